// Exchange rates for a shop: what a bank has said about an amount is kept for a while.
const express = require('express');
const NodeCache = require('node-cache');

const app = express();
const offers = new NodeCache({ stdTTL: 6 * 3600, checkperiod: 600, useClones: false });

class Offer {
    constructor(from, amount) {
        this.from = from;
        this.amount = amount;
        this.legs = Array.from({ length: 6 }, (_, i) => ({ bank: `bank ${i} for ${amount}`, fee: i / 100 }));
    }
}

// The key has the amount to the cent in it: hardly any two customers have the same one.
function offerOf(from, amount) {
    const key = `${from}:${amount}`;
    let offer = offers.get(key);
    if (!offer) {
        offer = new Offer(from, amount);
        offers.set(key, offer);
    }
    return offer;
}

app.get('/rates/:from', (req, res) => res.json(offerOf(req.params.from, req.query.amount)));
app.get('/banks', (req, res) => res.json(Array.from({ length: 80 }, (_, i) => ({ id: i, name: `Bank ${i}` }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
