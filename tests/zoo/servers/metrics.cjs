// An API that counts itself for Prometheus.
const express = require('express');
const prometheus = require('prom-client');

const app = express();
const duration = new prometheus.Histogram({
    name: 'http_request_duration_seconds',
    help: 'duration of requests',
    labelNames: ['method', 'path', 'status'],
    buckets: [0.01, 0.1, 0.5, 1, 5],
});

app.use((req, res, next) => {
    const end = duration.startTimer({ method: req.method, path: req.path });
    res.on('finish', () => end({ status: res.statusCode }));
    next();
});

app.get('/parcels/:number', (req, res) => {
    res.json({ number: req.params.number, state: 'in transit', events: Array.from({ length: 5 }, (_, i) => `event ${i}`) });
});

app.get('/depots', (req, res) => res.json(Array.from({ length: 100 }, (_, i) => ({ id: i, city: `City ${i}` }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
