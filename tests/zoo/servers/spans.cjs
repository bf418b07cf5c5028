// Spans of a trace that are linked to the one before, with the current one in an AsyncLocalStorage.
const { AsyncLocalStorage } = require('node:async_hooks');
const http = require('node:http');

class Span {
    constructor(name, follows) {
        this.name = name;
        this.follows = follows;
        this.started = process.hrtime.bigint();
        this.attributes = { service: 'shop', 'http.target': name, 'net.peer': '127.0.0.1', sampled: true };
        this.events = Array.from({ length: 8 }, (_, i) => ({ event: `step ${i}`, at: i }));
    }
}

const spans = new AsyncLocalStorage();
const tracer = {
    tail: null,
    start(name) {
        this.tail = new Span(name, this.tail);
        return this.tail;
    },
};

const server = http.createServer((req, res) => {
    if (!req.url.startsWith('/orders/')) {
        res.end(JSON.stringify(Array.from({ length: 150 }, (_, i) => ({ order: i, state: 'open' }))));
        return;
    }
    spans.run(tracer.start(req.url), async () => {
        await null;
        res.setHeader('x-span', spans.getStore().name);
        res.end('{}');
    });
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
