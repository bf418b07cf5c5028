// Search with a deadline, and an end when the server shuts down.
const http = require('node:http');

let stop;
const stopped = new Promise((resolve) => {
    stop = resolve;
});
process.on('SIGTERM', () => stop('stopped'));

async function findAll(words) {
    const hits = [];
    for (const word of words) for (let i = 0; i < 30; i++) hits.push({ word, document: `${word}-${i}`, score: i / 30 });
    return hits;
}

async function search(query) {
    const words = query.split('+').slice(0, 3);
    const found = await Promise.race([findAll(words), stopped]);
    return found === 'stopped' ? [] : found;
}

const server = http.createServer(async (req, res) => {
    const url = new URL(req.url, 'http://localhost');
    if (url.pathname === '/search') {
        res.end(JSON.stringify(await search(url.search.slice(3))));
    } else if (url.pathname === '/suggest') {
        res.end(JSON.stringify(Array.from({ length: 200 }, (_, i) => `suggestion ${i}`)));
    } else {
        res.writeHead(404).end();
    }
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
