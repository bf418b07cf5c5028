// Uploads in parts. A heartbeat says how far an upload has come.
const express = require('express');

const app = express();
app.use(express.json());

class Upload {
    constructor(id, size) {
        this.id = id;
        this.size = size;
        this.parts = new Array(32).fill(null).map((_, i) => ({ part: i, state: 'missing' }));
        this.seen = 0;
    }
    beat() {
        this.seen = Date.now();
    }
}

app.post('/uploads/:id', (req, res) => {
    const upload = new Upload(req.params.id, req.body.size);
    const timer = setInterval(() => upload.beat(), 30_000);
    timer.unref();
    upload.beat();
    res.status(201).json({ id: upload.id, parts: upload.parts.length });
});

app.get('/limits', (req, res) => res.json({ parts: 10_000, size: 5 * 2 ** 30, types: Array.from({ length: 90 }, (_, i) => `type/${i}`) }));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
