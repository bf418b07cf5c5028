// Expenses that need a manager's approval: the request is accepted, the rest waits for the decision.
import Fastify from 'fastify';

const app = Fastify();
const decisions = new Map();
let number = 0;

function decisionOn(expense) {
    return new Promise((resolve) => decisions.set(expense.number, resolve));
}

async function process_(expense) {
    const decision = await decisionOn(expense);
    return { ...expense, decision, decided: new Date() };
}

app.post('/expenses', async (request, reply) => {
    const expense = { number: ++number, ...request.body, lines: Array.from({ length: 10 }, (_, i) => ({ i, text: `line ${i} of ${number}` })) };
    process_(expense).then((done) => app.log.info(done));
    reply.code(202);
    return { number: expense.number };
});

app.get('/expenses/categories', async () => Array.from({ length: 120 }, (_, i) => ({ id: i, name: `Category ${i}` })));

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
