// Notices to users are handed to a broker thread over a port of its own. The broker waits for receipts
// that this carrier never sends.
import http from 'node:http';
import { isMainThread, MessageChannel, parentPort, Worker } from 'node:worker_threads';

if (isMainThread) {
    const broker = new Worker(new URL(import.meta.url), { name: 'broker' });
    const { port1: port, port2 } = new MessageChannel();
    broker.postMessage({ port: port2 }, [port2]);
    const asked = new Map();
    let ids = 0;
    port.on('message', ({ id, body }) => {
        asked.get(id)?.end(body);
        asked.delete(id);
    });
    const server = http.createServer((req, res) => {
        const user = /^\/notify\/(\d+)/.exec(req.url)?.[1];
        if (user) {
            port.postMessage({ kind: 'notify', user, text: `hello ${user}, your parcel is on its way` });
            res.writeHead(202).end();
            return;
        }
        asked.set(++ids, res);
        port.postMessage({ kind: 'status', id: ids });
    });
    server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
        console.log(`listening on http://127.0.0.1:${server.address().port}`);
    });
} else {
    const receipts = new Map();
    let sequence = 0;
    const delivered = (user, text) =>
        new Promise((resolve, reject) => {
            receipts.set(`${user}:${++sequence}`, { resolve, reject, text, since: new Date() });
        });
    const notify = async ({ user, text }) => {
        await delivered(user, text);
    };
    parentPort.once('message', ({ port }) =>
        port.on('message', (job) => {
            if (job.kind === 'notify') notify(job);
            else port.postMessage({ id: job.id, body: JSON.stringify(Array.from({ length: 60 }, (_, i) => ({ queue: i, depth: i * 2 }))) });
        }));
}
