'use strict';
// A server that holds MB megabytes of live heap: node ballast.cjs MB [objects|strings|arrays|maps].
// Objects are small, the worst there is for a snapshot: the price goes by their number. It tells its
// longest event-loop gap and its memory, and grows, drops or litters when asked to:
//   /gap  /grow?mb=N  /drop  /garbage?mb=N

const http = require('http');

const kept = [];
let serial = 0;
const makers = {
    objects: () => ({ id: serial++, name: `item ${serial}`, tags: ['a', `b${serial}`, 'c'], meta: { at: serial / 3 } }),
    strings: () => Buffer.alloc(1000, `${serial++} `).toString('latin1'),
    arrays: () => Array.from({ length: 1000 }, () => serial++ / 7),
    maps: () => new Map([[`k${serial++}`, serial], [serial, `v${serial}`]]),
};
const make = makers[process.argv[3] ?? 'objects'];

function fill(mb, into) {
    const end = process.memoryUsage().heapUsed + mb * 1048576;
    while (process.memoryUsage().heapUsed < end)
        for (let i = 0; i < 2000; i++)
            into.push(make());
}

// What V8 counts while it fills holds garbage, too: collect and fill up until enough is alive.
const collect = globalThis.gc ?? (() => {});
const target = Number(process.argv[2] ?? 50) * 1048576;
for (let used = 0; used < target;) {
    collect();
    used = process.memoryUsage().heapUsed;
    if (used < target)
        fill(Math.max(1, (target - used) / 1048576), kept);
    if (!globalThis.gc)
        break;
}

let gap = 0;
let last = performance.now();
setInterval(() => {
    const now = performance.now();
    gap = Math.max(gap, now - last);
    last = now;
}, 1);

const pages = {
    '/gap': () => {
        const text = JSON.stringify({ gap, kept: kept.length, ...process.memoryUsage() });
        gap = 0;
        return text;
    },
    '/grow': (url) => (fill(Number(url.searchParams.get('mb')), kept), 'grown'),
    '/drop': () => (kept.splice(0), collect(), 'dropped'),
    '/garbage': (url) => (fill(Number(url.searchParams.get('mb')), []), 'littered'),
};
const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    response.end(pages[url.pathname]?.(url) ?? 'alive');
});
server.listen(0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
