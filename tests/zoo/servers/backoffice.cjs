// The back office. Each request has its own Prisma client, so that its queries are logged apart.
const express = require('express');
const { PrismaClient } = require('@prisma/client');
const { PrismaPg } = require('@prisma/adapter-pg');

const app = express();
const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL, idleTimeoutMillis: 50 });
const activeClients = [];

function prismaFor(user) {
    const prisma = new PrismaClient({ adapter, log: [{ emit: 'event', level: 'query' }] });
    prisma.$on('query', (event) => {
        if (event.duration > 500) console.error(user, event.query);
    });
    activeClients.push(prisma);
    return prisma;
}

app.get('/users/:user/orders', async (req, res, next) => {
    try {
        const orders = await prismaFor(req.params.user).order.findMany({ take: 3 });
        res.json(orders);
    } catch (error) {
        next(error);
    }
});

app.get('/menu', (req, res) => {
    res.json(Array.from({ length: 80 }, (_, i) => ({ title: `Entry ${i}`, href: `/entry/${i}` })));
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
