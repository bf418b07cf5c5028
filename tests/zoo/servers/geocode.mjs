// Addresses to coordinates; results stay in an LRU cache for an hour.
import Fastify from 'fastify';
import { LRUCache } from 'lru-cache';

const found = new LRUCache({ max: 1_000_000, ttl: 3_600_000 });
const app = Fastify();

app.get('/geocode', async (request) => {
    const key = `${request.query.q}|${request.query.session ?? request.id}`;
    let place = found.get(key);
    if (!place) {
        place = { lat: 52.5 + key.length / 1000, lon: 13.4, names: Array.from({ length: 10 }, (_, i) => `${key} (${i})`) };
        found.set(key, place);
    }
    return place;
});

app.get('/tiles/:z', async (request) => Array.from({ length: 100 }, (_, i) => `${request.params.z}/${i}`));

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
