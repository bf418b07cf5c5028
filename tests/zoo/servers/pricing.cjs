// Prices with discounts. The computation is memoised.
const express = require('express');
const { memoize } = require('lodash');

const app = express();

const priceOf = memoize(
    (sku, customer) => ({
        sku,
        customer,
        steps: Array.from({ length: 16 }, (_, i) => ({ rule: `rule ${i}`, off: i })),
        net: sku.length * 10,
    }),
    (sku, customer) => `${sku}/${customer}`
);

app.get('/price/:sku', (req, res) => {
    res.json(priceOf(req.params.sku, req.query.customer ?? 'nobody'));
});

app.get('/rules', (req, res) => res.json(Array.from({ length: 130 }, (_, i) => ({ rule: `rule ${i}`, weight: i / 3 }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
