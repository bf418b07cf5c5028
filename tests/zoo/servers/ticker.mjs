// Prices as they are published. One subscriber connection serves all requests.
import express from 'express';
import { createClient } from 'redis';

const publisher = createClient({ url: process.env.REDIS_URL });
publisher.on('error', (error) => console.error('redis', error.message));
await publisher.connect();

const app = express();

app.get('/prices/:symbol', async (req, res) => {
    const reply = { symbol: req.params.symbol, history: Array.from({ length: 40 }, (_, i) => ({ at: i, price: i * 1.1 })) };
    publisher.on('error', (error) => {
        reply.error = error.message;
    });
    reply.price = await publisher.get(`price:${req.params.symbol}`);
    res.json(reply);
});

app.get('/symbols', async (req, res) => {
    res.json(Array.from({ length: 250 }, (_, i) => `SYM${i}`));
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
publisher.setMaxListeners(0);
