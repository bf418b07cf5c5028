// The ledger. Slow queries are reported with the request that asked them.
import Fastify from 'fastify';
import { PrismaClient } from '@prisma/client';
import { PrismaPg } from '@prisma/adapter-pg';

const prisma = new PrismaClient({
    adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL, max: 5 }),
    log: [{ emit: 'event', level: 'query' }],
});
const app = Fastify();

app.get('/entries/:account', async (request) => {
    const context = { account: request.params.account, headers: { ...request.headers }, started: performance.now() };
    prisma.$on('query', (event) => {
        if (event.duration > 1000) request.log.warn({ ...context, query: event.query });
    });
    return prisma.order.findMany({ where: { customer: context.account }, take: 3 });
});

app.get('/accounts', async () => Array.from({ length: 90 }, (_, i) => ({ number: 1000 + i, name: `Account ${i}` })));

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
