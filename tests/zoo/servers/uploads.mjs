// Pictures come in here and are looked at once more if the same person sends another.
import { createServer } from 'node:http';

const lastPictures = [];

function digest(picture) {
    let sum = 0;
    for (let i = 0; i < picture.length; i += 64) sum = (sum + picture[i]) & 0xffff;
    return sum;
}

const server = createServer((req, res) => {
    if (req.method === 'POST' && req.url === '/pictures') {
        const parts = [];
        req.on('data', (part) => parts.push(part));
        req.on('end', () => {
            const picture = Buffer.concat([...parts, Buffer.alloc(24_000, 1)]);
            const known = lastPictures.findIndex((other) => other.length === picture.length && digest(other) === -1);
            lastPictures.push(picture);
            res.end(JSON.stringify({ known, bytes: picture.length }));
        });
    } else if (req.url === '/formats') {
        res.end(JSON.stringify(Array.from({ length: 60 }, (_, i) => `image/format-${i}`)));
    } else {
        res.writeHead(404).end();
    }
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
