// Pictures are resized by two threads, which keep the last twenty each; the main thread keeps up to 64
// compressed pages.
const http = require('node:http');
const { isMainThread, parentPort, Worker } = require('node:worker_threads');
const zlib = require('node:zlib');

function serve() {
    const pool = [0, 1].map(() => new Worker(__filename));
    const waiting = new Map();
    const pages = new Map();
    let ids = 0;
    for (const worker of pool)
        worker.on('message', ([id, bytes]) => {
            waiting.get(id)(bytes);
            waiting.delete(id);
        });
    const resize = (n) =>
        new Promise((resolve) => {
            waiting.set(++ids, resolve);
            pool[ids % pool.length].postMessage([ids, n]);
        });
    const page = (n) => {
        let text = pages.get(n);
        if (!text) {
            text = zlib.gzipSync(Buffer.alloc(200_000, `page ${n}`));
            pages.set(n, text);
            if (pages.size > 64) pages.delete(pages.keys().next().value);
        }
        return text;
    };
    const server = http.createServer(async (req, res) => {
        const n = Number(/(\d+)$/.exec(req.url)?.[1] ?? 0);
        res.end(req.url.startsWith('/resize') ? Buffer.from(await resize(n)) : page(n % 200));
    });
    server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
        console.log(`listening on http://127.0.0.1:${server.address().port}`);
    });
}

function work() {
    const latest = [];
    parentPort.on('message', ([id, n]) => {
        const pixels = new Uint8ClampedArray(256 * 256 * 4).fill(n & 255);
        latest.push({ n, pixels, at: Date.now() });
        if (latest.length > 20) latest.shift();
        parentPort.postMessage([id, pixels.slice(0, 4096)]);
    });
}

if (isMainThread) serve();
else work();
