// A shop rendered on the server. A page load gets its own QueryClient, prefetches into it and leaves
// the dehydrated state in the page.
import express from 'express';
import React from 'react';
import { renderToString } from 'react-dom/server';
import { QueryClient, QueryClientProvider, dehydrate, useQuery } from '@tanstack/react-query';

const app = express();
const clientsByVisit = new Map();

async function fetchProduct(id) {
    const reviews = Array.from({ length: 5 }, (_, i) => ({ stars: 1 + (i % 5), text: `review ${i} of ${id}` }));
    return { id, title: `Product ${id}`, price: 1999, reviews };
}

function Product({ id }) {
    const { data } = useQuery({ queryKey: ['product', id], queryFn: () => fetchProduct(id) });
    return (
        <article>
            <h1>{data.title}</h1>
            <ul>{data.reviews.map((review) => <li key={review.text}>{review.text}</li>)}</ul>
        </article>
    );
}

function clientFor(visit) {
    let client = clientsByVisit.get(visit);
    if (!client) {
        client = new QueryClient({ defaultOptions: { queries: { staleTime: 60_000 } } });
        clientsByVisit.set(visit, client);
    }
    return client;
}

let visits = 0;
app.get('/products/:id', async (req, res) => {
    const visit = req.get('x-visit') ?? `v${++visits}`;
    const client = clientFor(visit);
    await client.prefetchQuery({ queryKey: ['product', req.params.id], queryFn: () => fetchProduct(req.params.id) });
    const html = renderToString(
        <QueryClientProvider client={client}><Product id={req.params.id} /></QueryClientProvider>
    );
    res.send(`<!doctype html><div id="root">${html}</div><script>window.__state=${JSON.stringify(dehydrate(client))}</script>`);
});

app.get('/about', (req, res) => {
    res.send(renderToString(<main><h1>About</h1><p>{'We sell things. '.repeat(200)}</p></main>));
});

app.get('/api/stock', async (req, res) => {
    const rows = Array.from({ length: 300 }, (_, i) => ({ sku: `sku-${i}`, left: (i * 37) % 90 }));
    res.json(rows);
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
