// Talks to PostgreSQL and Redis; both pools open connections while they are needed.
import Fastify from 'fastify';
import pg from 'pg';
import Redis from 'ioredis';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 30, idleTimeoutMillis: 0 });
const caches = Array.from({ length: 8 }, () => new Redis(process.env.REDIS_URL, { lazyConnect: true }));
const app = Fastify();
let turn = 0;

app.get('/rows', async () => {
    const answers = await Promise.all([
        pool.query('SELECT id, name FROM rows'),
        pool.query('SELECT id, total FROM sums'),
        caches[turn++ % caches.length].get('rows'),
    ]);
    return { rows: answers[0].rows, sums: answers[1].rows, cached: answers[2] };
});

app.get('/burst/:n', async (request) => {
    const width = 1 + (Number(request.params.n) % 20);
    await Promise.all(Array.from({ length: width }, () => pool.query('SELECT id FROM rows')));
    return { width, open: pool.totalCount > 0 };
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
