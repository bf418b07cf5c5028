// Orders, with a page that shows the latest one as soon as it comes.
const { EventEmitter } = require('node:events');
const express = require('express');

const orders = new EventEmitter();
orders.setMaxListeners(0);
const app = express();
app.use(express.json());

let lastNumber = 0;
app.post('/orders', (req, res) => {
    const order = { number: ++lastNumber, items: req.body.items ?? [], placed: new Date() };
    orders.emit('placed', order);
    res.status(201).json(order);
});

app.get('/orders/latest', (req, res) => {
    const seen = { visitor: req.get('user-agent'), wanted: Array.from({ length: 30 }, (_, i) => `column ${i} of ${req.ip}`) };
    let sent = false;
    orders.on('placed', (order) => {
        if (sent) return;
        seen.number = order.number;
    });
    sent = true;
    res.json({ latest: lastNumber, columns: seen.wanted.length });
});

app.get('/orders/summary', (req, res) => {
    const buckets = new Map();
    for (let i = 0; i < 2000; i++) buckets.set(i % 24, (buckets.get(i % 24) ?? 0) + i);
    res.json([...buckets]);
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
