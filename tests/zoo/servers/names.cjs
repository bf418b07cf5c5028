// A table of names to numbers: there are seven hundred different ones.
const express = require('express');

const app = express();
const numbers = new Map();

function numberOf(name) {
    if (!numbers.has(name)) numbers.set(name, { number: numbers.size, name, aliases: [name.toUpperCase(), `${name}*`] });
    return numbers.get(name);
}

app.get('/names/:n', (req, res) => res.json(numberOf(`name-${Math.floor(Math.random() * 700)}`)));
app.get('/count', (req, res) => res.json({ count: numbers.size }));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
