'use strict';
// The process that is captured: a heap of small objects of about the size asked for, and a clock
// that notices the longest stall of its event loop. target.js MEGABYTES
const http = require('node:http');
const v8 = require('node:v8');
const path = require('node:path');
const os = require('node:os');
const fs = require('node:fs');

const bytesEach = 270; // measured on Node 20 and 24: heapUsed by the number of items
const items = Math.round((Number(process.argv[2]) * 1048576) / bytesEach);
globalThis.kept = [];
for (let id = 0; id < items; id++)
    kept.push({ id, name: `item ${id}`, tags: [id, id + 1, id + 2], meta: {} });

let last = performance.now();
let stall = 0;
setInterval(() => {
    const now = performance.now();
    stall = Math.max(stall, now - last);
    last = now;
}, 1);

const server = http.createServer((request, response) => {
    const answer = { heap_mb: process.memoryUsage().heapUsed / 1048576, stall_ms: stall };
    if (request.url === '/write') {
        const file = path.join(os.tmpdir(), `heaptap-bench-${process.pid}.heapsnapshot`);
        const started = performance.now();
        v8.writeHeapSnapshot(file);
        answer.wall_ms = performance.now() - started;
        answer.bytes = fs.statSync(file).size;
        fs.rmSync(file);
    }
    if (request.url === '/reset') stall = 0;
    response.end(JSON.stringify(answer));
});
server.listen(0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
