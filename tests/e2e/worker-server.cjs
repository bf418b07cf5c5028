// Servers that work in threads: worker-server.cjs KIND.
// posted: the main thread serves and hands /orders and /prices to one worker, which keeps each order;
// pool: the same with three; serves: the worker has the server itself; main: the main thread keeps the
// orders, the worker only computes; tight: a worker whose heap is nearly full, and nothing else.
const http = require('node:http');
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads');

const kind = isMainThread ? process.argv[2] : workerData;
const TIGHT_MB = 40;

class Order {
    constructor(n) {
        this.n = n;
        this.lines = Array.from({ length: 30 }, (_, i) => ({ article: `a${i}-${n}`, pieces: i + 1 }));
    }
}
const ordersTaken = [];

function work(path) {
    if (path.startsWith('/orders') && kind !== 'main') ordersTaken.push(new Order(ordersTaken.length));
    return JSON.stringify(Array.from({ length: 100 }, (_, i) => ({ article: i, cents: i * 17 })));
}

function listen(answer) {
    const server = http.createServer(answer).listen(0, '127.0.0.1', () =>
        console.log(`listening on http://127.0.0.1:${server.address().port}`));
}

function serve() {
    const count = kind === 'pool' ? 3 : 1;
    const workers = Array.from({ length: count }, () => new Worker(__filename, { workerData: kind }));
    const waiting = new Map();
    let ids = 0;
    for (const worker of workers)
        worker.on('message', ([id, text]) => {
            waiting.get(id).end(text);
            waiting.delete(id);
        });
    listen((request, response) => {
        if (kind === 'main' && request.url.startsWith('/orders')) ordersTaken.push(new Order(ids));
        waiting.set(++ids, response);
        workers[ids % count].postMessage([ids, request.url]);
    });
}

// Fills the heap up to some percent under the limit of its old generation, and goes on answering.
function fill() {
    const v8 = require('node:v8');
    const full = [];
    const old = () => v8.getHeapSpaceStatistics().filter((space) => !space.space_name.startsWith('new_'))
        .reduce((sum, space) => sum + space.space_used_size, 0);
    while (old() < TIGHT_MB * 1048576 * 0.915) full.push(Array.from({ length: 200 }, (_, i) => ({ i, n: full.length })));
    parentPort.on('message', () => parentPort.postMessage(full.length));
    parentPort.postMessage(full.length);
}

if (kind === 'tight') {
    if (isMainThread) {
        const worker = new Worker(__filename, {
            workerData: kind,
            resourceLimits: { maxOldGenerationSizeMb: TIGHT_MB, maxYoungGenerationSizeMb: 4 },
        });
        let asked = [];
        worker.on('message', (n) => {
            for (const response of asked) response.end(String(n));
            asked = [];
        });
        worker.on('exit', (code) => console.log(`the worker ended with ${code}`));
        worker.once('message', () => listen((request, response) => {
            asked.push(response);
            worker.postMessage('');
        }));
    } else fill();
} else if (isMainThread && kind !== 'serves') serve();
else if (isMainThread) new Worker(__filename, { workerData: kind });
else if (kind === 'serves') listen((request, response) => response.end(work(request.url)));
else parentPort.on('message', ([id, path]) => parentPort.postMessage([id, work(path)]));
