// Baskets that can be undone: what a change did is kept as a function that takes it back.
const express = require('express');
const { randomUUID } = require('node:crypto');

const app = express();
app.use(express.json());

const baskets = new Map([['demo', { items: [], total: 0 }]]);
const undoSteps = [];

app.post('/basket/items', (req, res) => {
    const basket = baskets.get('demo');
    const before = { items: basket.items.slice(), total: basket.total, note: `as of ${new Date().toISOString()}` };
    basket.items = [...basket.items, { id: randomUUID(), ...req.body }].slice(-20);
    basket.total = basket.items.length * 10;
    undoSteps.push(function undo() {
        Object.assign(basket, before);
    });
    res.status(201).json({ total: basket.total });
});

app.get('/basket', (req, res) => res.json(baskets.get('demo')));

app.get('/shipping', (req, res) => {
    const zones = [];
    for (let i = 0; i < 200; i++) zones.push({ zone: i, price: 4.9 + (i % 7), days: 1 + (i % 5) });
    res.json(zones);
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
