// Every request has a context; what should happen after the response is bound to it and done in bulk.
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import express from 'express';

class RequestContext {
    constructor(id, url) {
        this.id = id;
        this.url = url;
        this.baggage = new Map([['tenant', `tenant-${id}`], ['locale', 'en'], ['plan', 'free']]);
        this.marks = Array.from({ length: 12 }, (_, i) => ({ mark: `m${i}`, at: i }));
    }
}

const contexts = new AsyncLocalStorage();
const afterResponse = [];
let ids = 0;

function later(fn) {
    afterResponse.push(AsyncResource.bind(fn));
}

const app = express();
app.use((req, res, next) => contexts.run(new RequestContext(++ids, req.url), next));

app.get('/profile', (req, res) => {
    const context = contexts.getStore();
    res.json({ id: context.id, tenant: context.baggage.get('tenant') });
    later(() => contexts.getStore()?.marks.push({ mark: 'sent', at: Date.now() }));
});

app.get('/countries', (req, res) => res.json(Array.from({ length: 190 }, (_, i) => ({ code: i, name: `Country ${i}` }))));

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
