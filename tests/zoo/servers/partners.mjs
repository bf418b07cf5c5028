// Orders go to partners, each over an agent with limits of its own.
import express from 'express';
import { Agent, request } from 'undici';

const app = express();
app.use(express.json());

class PartnerGateway {
    agents = new Map();
    agentFor(order) {
        const agent = new Agent({ connections: 1, pipelining: 1, keepAliveTimeout: 20, keepAliveMaxTimeout: 20 });
        this.agents.set(order, agent);
        return agent;
    }
    async price(order) {
        const { body } = await request(`${process.env.SERVICE_URL}/price`, { dispatcher: this.agentFor(order) });
        return body.json();
    }
}

const gateway = new PartnerGateway();
let orders = 0;

app.post('/orders', async (req, res) => {
    const order = `order-${++orders}`;
    res.status(201).json({ order, ...(await gateway.price(order)) });
});

app.get('/partners', (req, res) => res.json(Array.from({ length: 60 }, (_, i) => ({ id: i, name: `Partner ${i}` }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
