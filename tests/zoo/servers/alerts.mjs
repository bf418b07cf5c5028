// Alerts on prices, put together with streams of values.
import { Subject, filter, map } from 'rxjs';
import { Hono } from 'hono';
import { serve } from '@hono/node-server';

const prices$ = new Subject();
setInterval(() => prices$.next({ symbol: 'ACME', price: Math.random() * 100 }), 250).unref();

const app = new Hono();

app.post('/alerts/:symbol', async (c) => {
    const { above = 50 } = await c.req.json();
    const symbol = c.req.param('symbol');
    const alert = { symbol, above, hits: [], recipients: Array.from({ length: 20 }, (_, i) => `user-${i}@${symbol}.example`) };
    prices$
        .pipe(filter((quote) => quote.symbol === symbol && quote.price > above), map((quote) => quote.price))
        .subscribe((price) => {
            alert.hits = [...alert.hits.slice(-4), price];
        });
    return c.json({ symbol, above }, 201);
});

app.get('/alerts', (c) => c.json(Array.from({ length: 100 }, (_, i) => ({ id: i, above: i * 2 }))));

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 0), hostname: '127.0.0.1' }, (info) => {
    console.log(`listening on http://127.0.0.1:${info.port}`);
});
