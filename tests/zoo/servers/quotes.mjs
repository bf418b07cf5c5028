// Stock quotes: a request listens to the exchange's feed until it has its first quote.
import Fastify from 'fastify';
import WebSocket from 'ws';

const app = Fastify();
const feeds = new Map();

function subscribe(symbol, request) {
    const feed = new WebSocket(process.env.FEED_URL);
    feeds.set(`${symbol}#${request}`, { feed, symbol, opened: Date.now() });
    return new Promise((resolve, reject) => {
        feed.once('message', (data) => {
            resolve(JSON.parse(data));
            feed.terminate();
        });
        feed.once('error', reject);
    });
}

app.get('/quote/:symbol', async (request) => ({ symbol: request.params.symbol, ...(await subscribe(request.params.symbol, request.id)) }));

app.get('/exchanges', async () => Array.from({ length: 80 }, (_, i) => ({ mic: `X${i}`, open: i % 2 === 0 })));

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
