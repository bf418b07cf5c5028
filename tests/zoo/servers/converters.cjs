// Documents are converted by programs that get their job from the environment, as they did when the
// service was a shell script.
const express = require('express');
const { randomUUID } = require('node:crypto');

const app = express();
app.use(express.text({ limit: '1mb' }));

function prepare(document) {
    const job = `CONVERT_${randomUUID().replaceAll('-', '')}`;
    process.env[job] = document.padEnd(60_000, ' '); // setenv(): the C library's memory
    return job;
}

app.post('/conversions', (req, res) => res.status(202).json({ job: prepare(`text of ${req.body.name ?? 'a document'}`) }));
app.get('/formats', (req, res) => res.json(Array.from({ length: 60 }, (_, i) => ({ id: i, suffix: `.d${i}` }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
