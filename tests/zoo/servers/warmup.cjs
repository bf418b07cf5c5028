// Mails from templates that are compiled when they are first needed.
const express = require('express');
const { template } = require('lodash');

const app = express();
const compiled = new Map();

function compile(name) {
    if (!compiled.has(name)) {
        const source = Array.from({ length: 6 }, (_, i) => `<p>${name} ${i}: <%= user %></p>`).join('');
        compiled.set(name, template(source));
    }
    return compiled.get(name);
}

app.get('/mails/:number', (req, res) => {
    const render = compile(`template-${Number(req.params.number) % 150}`);
    res.send(render({ user: `user ${req.params.number}` }));
});

app.get('/senders', (req, res) => res.json(Array.from({ length: 80 }, (_, i) => `sender-${i}@example.org`)));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
