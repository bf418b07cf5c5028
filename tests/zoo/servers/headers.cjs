// Reads the head of files that are sent in and remembers what kinds there were.
const express = require('express');

const app = express();

class Sniffer {
    constructor() {
        this.magics = new Map();
    }
    look(name, content) {
        const magic = content.subarray(0, 12);
        this.magics.set(name, magic);
        return magic.toString('hex');
    }
}

const sniffer = new Sniffer();

function load(name) {
    const content = Buffer.alloc(16_384);
    content.write(`HDR1${name}`);
    return content;
}

app.get('/files/:name/kind', (req, res) => {
    res.json({ magic: sniffer.look(req.params.name, load(req.params.name)) });
});

app.get('/kinds', (req, res) => res.json(Array.from({ length: 100 }, (_, i) => ({ kind: i, magic: i.toString(16) }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
