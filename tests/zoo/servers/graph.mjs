// A small GraphQL endpoint that parses each query text only once.
import { createServer } from 'node:http';
import { buildSchema, execute, parse } from 'graphql';

const schema = buildSchema('type Book { id: ID, title: String } type Query { book(id: ID): Book, count: Int }');
const root = { book: ({ id }) => ({ id, title: `Book ${id}` }), count: () => 12_000 };
const documents = new Map();

function documentOf(text) {
    if (!documents.has(text)) documents.set(text, parse(text));
    return documents.get(text);
}

const server = createServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://graph');
    if (pathname !== '/graphql') {
        res.end(JSON.stringify(Array.from({ length: 120 }, (_, i) => ({ field: `f${i}`, type: 'String' }))));
        return;
    }
    const document = documentOf(`{ book(id: "${searchParams.get('book')}") { id title } count }`);
    const result = await execute({ schema, document, rootValue: root });
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify(result));
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
