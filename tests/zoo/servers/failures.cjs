// Errors are collected so that support can look at them.
const fastify = require('fastify');

class ValidationError extends Error {
    constructor(field, request) {
        super(`${field} is missing`);
        this.field = field;
        this.request = request;
        this.statusCode = 422;
    }
}

const failures = { recent: [], count: 0 };
const app = fastify();

app.setErrorHandler((error, request, reply) => {
    failures.count++;
    failures.recent.unshift(error);
    reply.code(error.statusCode ?? 500).send({ error: error.message });
});

app.post('/signup', async (request) => {
    if (!request.body?.email) throw new ValidationError('email', request);
    return { ok: true };
});

app.get('/plans', async () => Array.from({ length: 90 }, (_, i) => ({ plan: `Plan ${i}`, price: i * 3 })));

app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' }).then((address) => console.log(`listening on ${address}`));
