// A service that notes which of its requests were slow.
import express from 'express';

const slowRequests = [];
const LIMIT_MS = 0;

const app = express();

app.get('/statistics/:year', (req, res) => {
    const started = performance.now();
    const months = Array.from({ length: 12 }, (_, month) => ({ month, sum: Math.sqrt(month * Number(req.params.year)) }));
    const took = performance.now() - started;
    if (took > LIMIT_MS)
        slowRequests.push({ took, url: req.originalUrl, headers: req.headers, params: req.params, route: req.route.path });
    res.json(months);
});

app.get('/years', (req, res) => res.json(Array.from({ length: 50 }, (_, i) => 1975 + i)));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
