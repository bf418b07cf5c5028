// Thumbnails. All work stops when the shutdown signal is aborted.
import { createServer } from 'node:http';
import { setMaxListeners } from 'node:events';

const shutdown = new AbortController();
setMaxListeners(0, shutdown.signal);

class Rendering {
    constructor(id, width) {
        this.id = id;
        this.width = width;
        this.steps = Array.from({ length: 24 }, (_, i) => ({ step: i, cost: i * width }));
    }
    cancel() {
        this.steps.length = 0;
    }
    cost() {
        return this.steps.reduce((sum, step) => sum + step.cost, 0);
    }
}

process.on('SIGINT', () => {
    shutdown.abort();
    process.exit();
});

const routes = {
    '/thumbnail': (url, res) => {
        const rendering = new Rendering(url.searchParams.get('id'), Number(url.searchParams.get('w') ?? 100));
        shutdown.signal.addEventListener('abort', () => rendering.cancel());
        res.end(String(rendering.cost()));
    },
    '/sizes': (url, res) => {
        res.end(JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ w: i, h: i * 2 }))));
    },
    '/palette': (url, res) => {
        res.end(Buffer.alloc(3 * 256, 0x7f).toString('base64'));
    },
};

const server = createServer((req, res) => {
    const url = new URL(req.url, 'http://localhost');
    const route = routes[url.pathname];
    if (route) route(url, res);
    else res.writeHead(404).end();
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
