// Recently shown articles, at most three hundred: what comes on top pushes the oldest out.
import Fastify from 'fastify';

const app = Fastify();
const shown = new Map();

function show(id) {
    const article = shown.get(id) ?? { id, body: `article ${id} `.repeat(40), tags: Array.from({ length: 12 }, (_, i) => `tag ${i} of ${id}`) };
    shown.delete(id);
    shown.set(id, article);
    if (shown.size > 300) shown.delete(shown.keys().next().value);
    return article;
}

app.get('/articles/:id', async (request) => show(request.params.id));
app.get('/shown', async () => [...shown.keys()]);

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
