// Stock levels. Notices of the database belong to the request that caused them.
import Fastify from 'fastify';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4, idleTimeoutMillis: 0 });
const app = Fastify();

async function withClient(request, work) {
    const client = await pool.connect();
    client.setMaxListeners(0);
    client.on('notice', (notice) => request.log.info({ notice, route: request.routeOptions.url }, 'notice'));
    try {
        return await work(client);
    } finally {
        client.release();
    }
}

app.get('/stock/:sku', async (request) =>
    withClient(request, async (client) => {
        const { rows } = await client.query('SELECT sku, stock FROM levels WHERE sku = $1', [request.params.sku]);
        return rows;
    })
);

app.get('/warehouses', async () => {
    const { rows } = await pool.query('SELECT id, name FROM warehouses');
    return rows;
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
