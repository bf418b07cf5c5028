// Shipping labels are laid out by two threads, which the main thread hands its jobs to in turn.
const http = require('node:http');
const { isMainThread, parentPort, Worker } = require('node:worker_threads');

class Layout {
    constructor(job) {
        this.parcel = job.parcel;
        this.boxes = Array.from({ length: 20 }, (_, i) => ({ x: i * 7, y: i * 11, text: `line ${i} of ${job.parcel}` }));
    }

    get height() {
        return Math.max(...this.boxes.map((box) => box.y));
    }
}

function layoutLabels() {
    const recentLayouts = [];
    parentPort.on('message', ({ id, job }) => {
        if (job.kind === 'label') {
            const layout = new Layout(job);
            recentLayouts.push(layout); // for a preview that was never built
            parentPort.postMessage({ id, result: { height: layout.height } });
        } else {
            parentPort.postMessage({ id, result: { rates: Array.from({ length: 50 }, (_, i) => ({ zone: i, cents: i * 45 })) } });
        }
    });
}

function serve() {
    const workers = [0, 1].map(() => new Worker(__filename));
    const waiting = new Map();
    let ids = 0;
    for (const worker of workers)
        worker.on('message', ({ id, result }) => {
            waiting.get(id)(result);
            waiting.delete(id);
        });
    const ask = (job) =>
        new Promise((resolve) => {
            const id = ++ids;
            waiting.set(id, resolve);
            workers[id % workers.length].postMessage({ id, job });
        });
    const server = http.createServer(async (req, res) => {
        const parcel = /^\/labels\/(\d+)$/.exec(req.url)?.[1];
        res.setHeader('content-type', 'application/json');
        res.end(JSON.stringify(await ask(parcel ? { kind: 'label', parcel } : { kind: 'rates' })));
    });
    server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
        console.log(`listening on http://127.0.0.1:${server.address().port}`);
    });
}

if (isMainThread) serve();
else layoutLabels();
