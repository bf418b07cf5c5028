// A GraphQL-like batch loader for authors, shared by all requests.
import express from 'express';
import DataLoader from 'dataloader';

const authors = new DataLoader(async (ids) =>
    ids.map((id) => ({ id, name: `Author ${id}`, books: Array.from({ length: 6 }, (_, i) => ({ isbn: `${id}-${i}`, year: 1990 + i })) }))
);

const app = express();

app.get('/authors/:id', async (req, res) => res.json(await authors.load(req.params.id)));

app.get('/genres', (req, res) => res.json(Array.from({ length: 100 }, (_, i) => ({ id: i, name: `Genre ${i}` }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
