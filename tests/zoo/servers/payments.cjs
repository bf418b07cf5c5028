// Payments. Every request logs under its own id.
const express = require('express');
const winston = require('winston');
const { randomUUID } = require('node:crypto');
const { PassThrough } = require('node:stream');

const app = express();
app.use(express.json());
const sink = new PassThrough();
sink.resume();

app.use((req, res, next) => {
    if (!req.path.startsWith('/payments')) return next();
    const id = req.get('x-request-id') ?? randomUUID();
    req.log = winston.loggers.get(id, {
        level: 'info',
        format: winston.format.combine(winston.format.label({ label: id }), winston.format.json()),
        transports: [new winston.transports.Stream({ stream: sink })],
    });
    sink.setMaxListeners(0);
    next();
});

app.post('/payments', (req, res) => {
    req.log.info('payment', { amount: req.body.amount });
    res.status(202).json({ accepted: true });
});

app.get('/methods', (req, res) => {
    res.json(['card', 'transfer', 'invoice'].flatMap((kind) => Array.from({ length: 40 }, (_, i) => `${kind}-${i}`)));
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
