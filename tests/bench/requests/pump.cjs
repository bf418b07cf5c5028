// A server that asks itself, for turns.mjs: pump.cjs SERVER PACKAGES PAGES SLICES REQUESTS. Its connections are
// in memory, so that no system call, other process or other core has a part in what a request costs.
// Whatever subscribes to the diagnostics channels is switched on and off by slices of so many requests,
// each pair of slices one line: CPU microseconds a request of the whole process without it and with it.
const channels = require('node:diagnostics_channel');
const http = require('node:http');
const { createRequire } = require('node:module');
const path = require('node:path');
const { Duplex } = require('node:stream');
const { setTimeout: sleep } = require('node:timers/promises');

const [kind, packages, pageList, slices, requests] = process.argv.slice(2);
const pages = pageList.split(',');
const CONNECTIONS = 32;
const WARM = 20_000;
const SETTLE_MS = 150; // until the hook has sent what it holds

function plain(request, response) {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (/^\/(hello|products\/)/.test(pathname)) response.end('hello');
    else response.writeHead(404).end();
}
function express() {
    const app = createRequire(path.join(packages, 'index.js'))('express')();
    app.get('/hello', (request, response) => response.send('hello'));
    app.get('/products/:id', (request, response) => response.send('hello'));
    return app;
}
const server = http.createServer(kind === 'express' ? express() : plain);
server.timeout = server.keepAliveTimeout = 0;

let left = 0, busy = 0, asked = 0, done;
class Connection extends Duplex {
    remoteAddress = '127.0.0.1';
    _read() {}
    _write(chunk, encoding, callback) { callback(); this.answered(); }
    _writev(chunks, callback) { callback(); this.answered(); }
    setTimeout() { return this; }
    answered() {
        if (left-- > 0) setImmediate(() => this.ask());
        else if (--busy === 0) done();
    }
    ask() {
        this.push(`GET ${pages[asked++ % pages.length]} HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n`);
    }
}
const connections = Array.from({ length: CONNECTIONS }, () => {
    const connection = new Connection();
    server.emit('connection', connection);
    return connection;
});
const round = (count) => new Promise((resolve) => {
    left = count - CONNECTIONS;
    busy = CONNECTIONS;
    done = resolve;
    for (const connection of connections) connection.ask();
});

const subscriptions = [];
const { channel } = channels;
channels.channel = (name) => ({
    subscribe: (fn) => subscriptions.push([channel(name), fn]),
    unsubscribe() {},
});
const all = (verb) => {
    for (const [one, fn] of subscriptions) one[verb](fn);
};

async function slice(followed) {
    if (followed) all('subscribe');
    await round(200);
    const before = process.cpuUsage();
    await round(Number(requests));
    await sleep(SETTLE_MS);
    const { user, system } = process.cpuUsage(before);
    if (followed) all('unsubscribe');
    return (user + system) / requests;
}

(async () => {
    await round(WARM);
    console.log('ready');
    while (subscriptions.length === 0) await sleep(50);
    all('subscribe');
    await round(WARM);
    all('unsubscribe');
    await round(WARM);
    for (let i = 0; i < slices; i++)
        console.log(`slices ${await slice(false)} ${await slice(true)}`);
    process.exit();
})();
