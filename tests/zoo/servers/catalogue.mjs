// The catalogue's API. It shares one QueryClient for what it asks of the pricing service.
import Fastify from 'fastify';
import { QueryClient } from '@tanstack/react-query';
import { randomUUID } from 'node:crypto';

const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
const app = Fastify();

app.decorateRequest('trace', '');
app.addHook('onRequest', async (request) => {
    request.trace = request.headers['x-trace'] ?? randomUUID();
});

function quote(sku, trace) {
    return queries.fetchQuery({
        queryKey: ['quote', sku, { trace }],
        queryFn: async () => ({ sku, net: sku.length * 100, taxes: [0.07, 0.19], valid: Date.now() + 60_000 }),
    });
}

app.get('/quotes/:sku', async (request) => quote(request.params.sku, request.trace));

app.get('/skus', async () =>
    queries.fetchQuery({
        queryKey: ['skus'],
        queryFn: async () => Array.from({ length: 400 }, (_, i) => `sku-${i}`),
    })
);

app.post('/orders', async (request, reply) => {
    const lines = (request.body?.lines ?? []).map((line) => ({ ...line, total: line.net * line.count }));
    reply.code(201);
    return { id: randomUUID(), lines };
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
