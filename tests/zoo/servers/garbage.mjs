// A search index that makes much garbage and keeps none of it.
import { createServer } from 'node:http';

const server = createServer((req, res) => {
    if (req.url.startsWith('/index')) {
        const documents = [];
        for (let i = 0; i < 4000; i++) documents.push({ id: i, words: [`w${i}`, `w${i % 17}`], score: Math.random() });
        const inverted = new Map();
        for (const { id, words } of documents)
            for (const word of words) (inverted.get(word) ?? inverted.set(word, new Set()).get(word)).add(id);
        res.end(JSON.stringify({ words: inverted.size }));
    } else if (req.url === '/echo') {
        const copies = Array.from({ length: 40 }, () => Buffer.alloc(20_000).toString('base64'));
        res.end(copies[0]);
    } else {
        res.end('ok');
    }
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
