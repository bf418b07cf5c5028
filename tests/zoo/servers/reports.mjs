// The latest report is kept so that the next one can say what has changed since.
import { Hono } from 'hono';
import { serve } from '@hono/node-server';

const app = new Hono();
let latest = null;

function buildReport(month) {
    const previous = latest;
    const figures = Array.from({ length: 60 }, (_, i) => ({ day: i, visits: i * month, label: `day ${i}` }));
    const changes = () => (previous ? figures.length - previous.count() : 0);
    latest = {
        month,
        changed: changes(),
        count() {
            return figures.length;
        },
    };
    return latest;
}

app.get('/reports/:month', (c) => {
    const report = buildReport(Number(c.req.param('month')) || 1);
    return c.json({ month: report.month, changed: report.changed, days: report.count() });
});

app.get('/months', (c) => c.json(Array.from({ length: 12 }, (_, i) => ({ month: i + 1, closed: i < 6 }))));

app.get('/csv', (c) => c.text(Array.from({ length: 400 }, (_, i) => `${i};${i * i}`).join('\n')));

const server = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 0), hostname: '127.0.0.1' }, (info) => {
    console.log(`listening on http://127.0.0.1:${info.port}`);
});
server.keepAliveTimeout = 1000;
