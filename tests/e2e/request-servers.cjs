// A server of one framework, for the tests of --requests: request-servers.cjs KIND PACKAGES. Every
// kind answers GET /hello, GET /products/ID, POST /items, GET /slow (after 300 ms) and GET /never.
const http = require('node:http');
const https = require('node:https');
const { createRequire } = require('node:module');
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { Worker, isMainThread, workerData } = require('node:worker_threads');

const [kind, packages] = isMainThread ? process.argv.slice(2) : workerData;
const load = createRequire(path.join(packages ?? __dirname, 'index.js'));
const SLOW_MS = 300;
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function listening(server) {
    const { port } = server.address();
    console.log(`listening on ${['http2', 'https'].includes(kind) ? kind : 'http'}://127.0.0.1:${port}`);
}
function serve(handler) {
    const server = http.createServer(handler);
    server.listen(0, '127.0.0.1', () => listening(server));
}
function plain(request, response) {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname === '/never') return;
    if (pathname === '/slow') setTimeout(() => response.end('slow'), SLOW_MS);
    else if (request.method === 'POST') request.resume().on('end', () => response.writeHead(201).end());
    else if (/^\/(hello|products\/)/.test(pathname)) response.end('hello');
    else response.writeHead(404).end();
}

async function fastify(name) {
    const app = load(name)();
    app.get('/hello', async () => 'hello');
    app.get('/products/:id', async () => 'hello');
    app.post('/items', async (request, reply) => reply.code(201).send());
    app.get('/slow', async () => later(SLOW_MS).then(() => 'slow'));
    app.get('/never', () => new Promise(() => {}));
    await app.listen({ port: 0, host: '127.0.0.1' });
    listening(app.server);
}

const kinds = {
    http: () => serve(plain),
    express() {
        const app = load('express')();
        app.get('/hello', (request, response) => response.send('hello'));
        app.get('/products/:id', (request, response) => response.send('hello'));
        app.post('/items', (request, response) => response.status(201).end());
        app.get('/slow', (request, response) => setTimeout(() => response.send('slow'), SLOW_MS));
        app.get('/never', () => {});
        serve(app);
    },
    fastify: () => fastify('fastify'),
    fastify4: () => fastify('fastify4'),
    koa() {
        const app = new (load('koa'))();
        app.use(async (context) => {
            if (context.path === '/never') await new Promise(() => {});
            if (context.path === '/slow') await later(SLOW_MS);
            context.body = 'hello';
            if (context.method === 'POST') context.status = 201;
        });
        serve(app.callback());
    },
    hono() {
        const app = new (load('hono').Hono)();
        app.get('/hello', (context) => context.text('hello'));
        app.get('/products/:id', (context) => context.text('hello'));
        app.post('/items', (context) => context.text('', 201));
        app.get('/slow', (context) => later(SLOW_MS).then(() => context.text('slow')));
        app.get('/never', () => new Promise(() => {}));
        const server = load('@hono/node-server').serve(
            { fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => listening(server));
    },
    // KEY and CERT: files.
    https() {
        const { KEY, CERT } = process.env;
        const server = https.createServer({ key: readFileSync(KEY), cert: readFileSync(CERT) }, plain);
        server.listen(0, '127.0.0.1', () => listening(server));
    },
    // What express serves with one handler for everything, as react-router-serve and others do.
    everything() {
        const app = load('express')();
        app.use('/mounted', load('express').Router().all('*', plain));
        app.all('*', plain);
        serve(app);
    },
    http2() {
        const server = require('node:http2').createServer();
        server.on('stream', (stream, headers) => {
            if (headers[':path'].startsWith('/never')) return;
            stream.respond({ ':status': 200 });
            stream.end('hello');
        });
        server.listen(0, '127.0.0.1', () => listening(server));
    },
    worker() {
        if (isMainThread) new Worker(__filename, { workerData: [kind] });
        else serve(plain);
    },
};
kinds[kind]();
