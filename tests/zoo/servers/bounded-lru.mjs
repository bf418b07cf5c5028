// Pictures in the size that was asked for; the last two hundred stay in memory.
import Fastify from 'fastify';
import { LRUCache } from 'lru-cache';

const pictures = new LRUCache({ max: 200 });
const app = Fastify();

app.get('/pictures/:id', async (request) => {
    let picture = pictures.get(request.params.id);
    if (!picture) {
        picture = { id: request.params.id, pixels: Array.from({ length: 1000 + (Number(request.params.id) % 500) }, (_, i) => i * 1.5) };
        pictures.set(request.params.id, picture);
    }
    return { id: picture.id, size: picture.pixels.length };
});

app.get('/albums', async () => Array.from({ length: 120 }, (_, i) => ({ id: i, title: `Album ${i}` })));

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
