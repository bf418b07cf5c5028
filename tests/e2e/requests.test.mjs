// Following requests: rows and counts on real frameworks, and nothing left behind.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import {
    assertError, assertExit, assertNoGap, evaluate, freePort, get, heaptap, here, house, jsonLines, listening, sleep, sql,
    startHeaptap, startTarget, until, versions, workspace,
} from './lib.mjs';

const packages = execFileSync(path.join(house, 'scripts/install-test-packages'), { encoding: 'utf8' }).trim();
const script = path.join(here, 'request-servers.cjs');
const serverOf = (t, node, kind, flags = []) =>
    startTarget(t, { node, script, args: [kind, packages], flags, listens: kind !== 'http2' });

// Follows a target's requests until it is ended.
async function follow(t, ws, target, args = []) {
    const run = startHeaptap(t, ws,
        ['run', String(target.port ?? target), '--requests', '--no-snapshots', '--no-diagnosis', '--json', ...args,
            ...ws.own]);
    run.followed = (count, label = 'after-%') => until(
        () => sql(ws.db, `SELECT count(*) AS n FROM memory_metrics
            WHERE request_id IS NOT NULL AND label LIKE '${label}'`)[0].n >= count,
        () => `${count} requests in the record:\n${run.stdout}${run.stderr}`);
    run.end = async () => {
        run.child.kill('SIGINT');
        await run.done;
        assertExit(run, 0);
        return run;
    };
    await run.printed(/"event":"attached"/, 'stdout');
    await subscribed(target.ws, true);
    return run;
}

const traces = `(() => { const { hasSubscribers } = require('diagnostics_channel');
    return JSON.stringify({
        channels: ['http.server.request.start', 'http.server.response.finish',
            'tracing:fastify.request.handler:start', 'http2.server.stream.close'].filter((n) => hasSubscribers(n)),
        globals: Reflect.ownKeys(globalThis).map(String).filter((key) => key.includes('heaptap')) }); })()`;
async function subscribed(url, wanted, ms) {
    if (!url)
        return sleep(500);
    await until(async () => {
        const found = JSON.parse(await evaluate(url, traces));
        return wanted ? found.channels.length > 0
            : found.channels.length === 0 && found.globals.length === 0;
    }, `the hook to be ${wanted ? 'in' : 'out of'} the target`, ms);
}

const abandon = (url, after) => new Promise((resolve) => {
    const request = http.get(url).on('error', resolve).on('close', resolve);
    setTimeout(() => request.destroy(), after);
});
const post = (url) => new Promise((resolve, reject) => {
    http.request(url, { method: 'POST', headers: { 'content-type': 'application/json' } }, (response) => response.resume().on('end', resolve))
        .on('error', reject).end('{}');
});
// Three requests on one connection without waiting; resolves with everything that came back.
const pipeline = (url, pages) => new Promise((resolve, reject) => {
    const { port } = new URL(url);
    let text = '';
    net.connect(Number(port), '127.0.0.1', function () {
        this.write(pages.map((page, i) => `GET ${page} HTTP/1.1\r\nHost: x\r\n` +
            `${i === pages.length - 1 ? 'Connection: close\r\n' : ''}\r\n`).join(''));
    }).on('data', (data) => (text += data)).on('close', () => resolve(text)).on('error', reject);
});
const pairs = (ws) => sql(ws.db, `SELECT b.request_id AS id, b.request_method AS method,
    b.request_url AS url, b.route, b.in_flight AS began_with, a.in_flight AS ended_with, a.status,
    a.duration_ms AS ms, b.label AS before, a.label AS after, b.heap_used AS heap, a.rss
    FROM memory_metrics b LEFT JOIN memory_metrics a ON a.request_id = b.request_id
    AND a.label LIKE 'after-%' WHERE b.label LIKE 'before-%' ORDER BY b.request_id`);

for (const node of versions) {
    test(`Node ${node}: each request of each framework has its two rows`, async (t) => {
        // Side by side, for they mostly wait. fastify 5 is made for Node 20 and later.
        const kinds = ['http', 'express', 'fastify', 'fastify4', 'koa', 'hono'];
        await Promise.all(kinds.filter((name) => node !== '18' || name !== 'fastify').map(async (kind) => {
            const ws = workspace(t);
            const target = await serverOf(t, node, kind);
            const run = await follow(t, ws, target);
            await get(target.url, '/hello?token=secret', 3);
            await get(target.url, '/products/17');
            await get(target.url, '/products/4711');
            await post(`${target.url}/items`);
            await Promise.all([get(target.url, '/slow'), get(target.url, '/slow')]);
            await abandon(`${target.url}/never`, 100);
            assert.equal((await pipeline(target.url, ['/slow', '/hello', '/products/1']))
                .match(/200 OK/g).length, 3, kind);
            await run.followed(12);
            await run.end();
            const rows = pairs(ws);
            const count = (fields) => rows.filter((row) =>
                Object.entries(fields).every(([key, value]) => row[key] === value)).length;
            const products = ['express', 'fastify'].includes(kind) ? '/products/:id' : '/products/:n';
            assert.equal(rows.length, 12, kind);
            assert.equal(count({ method: 'GET', route: '/hello', status: 200, url: '/hello' }), 4, kind);
            assert.equal(count({ route: products, status: 200 }), 3, `${kind}: ${JSON.stringify(rows)}`);
            assert.equal(count({ method: 'POST', route: '/items', status: 201, before: 'before-POST',
                after: 'after-POST' }), 1, kind);
            assert.equal(count({ route: '/never', status: 499 }), 1, kind);
            assert.equal(count({ route: '/slow', status: 200 }), 3, kind);
            assert.ok(rows.filter((row) => row.route === '/slow')
                .every((row) => row.ms >= 290 && Math.max(row.began_with, row.ended_with) >= 2), kind);
            assert.equal(count({ route: '/hello', began_with: 1, ended_with: 1 }), 3, kind);
            assert.ok(rows.every((row) => row.heap > 1 && row.rss > 10), 'in MB');
            assert.doesNotMatch(JSON.stringify(sql(ws.db, 'SELECT * FROM memory_metrics')), /secret/);
            assertNoGap(ws.db);
            const lines = jsonLines(run.stdout);
            assert.equal(lines.filter((line) => line.type === 'request').length, 12);
            const { routes } = lines.find((line) => line.type === 'summary').targets[0].requests;
            assert.equal(routes.find((route) => route.route === '/hello').requests, 4);
            await subscribed(target.ws, false);
        }));
    });
}

test('https is followed, and one handler for everything has the routes of its paths', async (t) => {
    const ws = workspace(t);
    const [key, cert] = ['key.pem', 'cert.pem'].map(ws.path);
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
        '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'pipe' });
    for (const [node, kind] of [['18', 'https'], ['26', 'https'], ['22', 'everything']]) {
        const ws = workspace(t);
        const target = await startTarget(t, { node, script, args: [kind, packages], env: { KEY: key, CERT: cert },
            listens: kind !== 'https' });
        const url = target.url ?? (await target.printed(/listening on (https:\/\/\S+)/, 'stdout'))[1];
        const run = await follow(t, ws, target);
        const ask = (page) => new Promise((resolve, reject) => (kind === 'https' ? https : http)
            .get(url + page, { rejectUnauthorized: false, agent: false }, (r) => r.resume().on('end', resolve)).on('error', reject));
        await ask('/hello');
        await ask('/products/17?x=1');
        if (kind === 'everything')
            await ask('/mounted/products/3');
        await run.followed(kind === 'everything' ? 3 : 2);
        await run.end();
        assert.deepEqual(pairs(ws).map((row) => row.route).sort(),
            ['/hello', ...(kind === 'everything' ? ['/mounted/products/:n'] : []), '/products/:n'], `${kind} ${node}`);
    }
});

test('a react-router-serve production server is followed by the paths of its routes', async (t) => {
    for (const node of ['20', '26']) { // react-router 7 is made for Node 20 and later
        const ws = workspace(t);
        const target = await startTarget(t, { node, script: path.join(packages, 'node_modules/@react-router/serve/bin.js'),
            args: [path.join(here, 'react-router-build.mjs')], env: { PORT: '0', HOST: '127.0.0.1' }, listens: false });
        await target.printed(/react-router-serve\] http/, 'stdout');
        const port = await until(() => listening(target.pid).find((one) => one !== target.port), 'its port');
        target.url = `http://127.0.0.1:${port}`;
        const run = await follow(t, ws, target);
        await get(target.url, '/hello?token=secret', 2);
        await get(target.url, '/products/17');
        await post(`${target.url}/items`);
        await run.followed(4);
        await run.end();
        assert.deepEqual(pairs(ws).map((row) => [row.method, row.route, row.status]).sort(),
            [['GET', '/hello', 200], ['GET', '/hello', 200], ['GET', '/products/:n', 200], ['POST', '/items', 201]]);
    }
});

test('a worker that serves is followed', async (t) => {
    for (const node of ['18', '26']) {
        const ws = workspace(t);
        const target = await serverOf(t, node, 'worker');
        const run = startHeaptap(t, ws, ['run', String(target.port), '--requests', '--no-snapshots',
            '--requests-match', 'hello|ü', ...ws.own]);
        await run.printed(/attached to .*worker/);
        await sleep(1500);
        await get(target.url, '/hello', 5);
        await sleep(1000);
        run.child.kill('SIGINT');
        await run.done;
        assertExit(run, 0);
        const rows = sql(ws.db, `SELECT t.kind, count(*) AS n FROM memory_metrics m
            JOIN targets t USING (run_id, target_id) WHERE request_id IS NOT NULL GROUP BY t.kind`);
        assert.deepEqual(rows, [{ kind: 'worker', n: 10 }]);
    }
});

// The primary listens and has no requests: at the end it was said that another process might serve.
test("a cluster's workers are named, with what follows them", async (t) => {
    for (const node of ['18', '26']) {
        const ws = workspace(t);
        const file = ws.path('cluster.js');
        fs.writeFileSync(file, `const cluster = require('cluster');
            if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }
            else require('http').createServer((q, r) => r.end('hello')).listen(0, '127.0.0.1', function () {
                console.log('listening on http://127.0.0.1:' + this.address().port); });`);
        const target = await startTarget(t, { node, script: file });
        const run = startHeaptap(t, ws, ['run', String(target.port), '--requests', '--no-snapshots', '--no-diagnosis', ...ws.own]);
        const [, , ports] = await run.printed(/no request so far; child processes.* \(pid (\d+, \d+)\).*heaptap run ([\d ]+) --requests/s);
        const workers = startHeaptap(t, ws, ['run', ...ports.split(' '), '--requests', '--no-snapshots', '--no-diagnosis', '--json', ...ws.own]);
        await until(() => workers.stdout.split('"event":"attached"').length === 3, 'both workers');
        await sleep(1000);
        await get(target.url, '/hello', 4);
        await until(() => jsonLines(workers.stdout.slice(0, workers.stdout.lastIndexOf('\n') + 1))
            .filter((line) => line.type === 'request').length === 4, 'their requests');
        for (const one of [run, workers]) {
            one.child.kill('SIGINT');
            await one.done;
            assertExit(one, 0);
        }
    }
});

test('HTTP/2 requests have rows where the runtime tells of them, and it is said where not', async (t) => {
    for (const node of ['20', '22', '26']) {
        const ws = workspace(t);
        const target = await serverOf(t, node, 'http2');
        const [, port] = await target.printed(/listening on http2:\/\/127.0.0.1:(\d+)/, 'stdout');
        const run = await follow(t, ws, target);
        const client = http2.connect(`http://127.0.0.1:${port}`);
        const ask = (page) => new Promise((resolve) =>
            client.request({ ':path': page }).on('close', resolve).resume());
        await Promise.all([ask('/products/1?x=1'), ask('/products/2'), ask('/hello')]);
        const given = client.request({ ':path': '/never' }).on('error', () => {});
        setTimeout(() => given.close(http2.constants.NGHTTP2_CANCEL), 100);
        await new Promise((resolve) => given.on('close', resolve));
        if (node === '20')
            await run.printed(/cannot tell of HTTP\/2/, 'stdout');
        else
            await run.followed(4);
        client.close();
        await run.end();
        assert.deepEqual(pairs(ws).map((row) => [row.route, row.status]).sort(),
            node === '20' ? [] : [['/hello', 200], ['/never', 499], ['/products/:n', 200], ['/products/:n', 200]]);
    }
});

// What the hook hands over when a process of its own publishes requests on the channels: rows as
// { method, url, route, status }. each: JavaScript that is done before them; window: characters that may be
// on their way. beat: what the hook answers at the end, while nobody has taken a batch.
function handOver(urls, each = '', window = 1 << 21) {
    const code = `const v8 = require('v8'), channels = require('diagnostics_channel'), { EventEmitter } = require('events');
        const sent = [];
        let hook;
        let ending = false; // a row is being made
        ${each}
        globalThis.binding = (text) => sent.push(JSON.parse(text));
        const [install, packing] = process.argv.slice(1).map((file) => (0, eval)(require('fs').readFileSync(file, 'utf8')));
        hook = install('binding', { sample: 1, keepQuery: false, budget: 1, window: ${window}, expiry: 15 }, packing);
        const socket = new EventEmitter();
        for (const url of JSON.parse(require('fs').readFileSync(0))) {
            const message = { request: { method: 'GET', url }, response: { statusCode: 200 }, socket };
            channels.channel('http.server.request.start').publish(message);
            ending = true;
            channels.channel('http.server.response.finish').publish(message);
            ending = false;
        }
        const beat = JSON.parse(hook.beat(0, -1));
        hook.stop('left');
        console.log(JSON.stringify({ sent, beat }));`;
    const { sent, beat } = JSON.parse(execFileSync(process.execPath, ['-e', 'globalThis.require = require;' + code,
        ...['requests', 'request_rows'].map((name) => path.join(house, `src/collect/${name}.js`))], { encoding: 'utf8', maxBuffer: 1 << 26, input: JSON.stringify(urls) }));
    return { rows: sent.flatMap((batch) => readRows(batch)), sent, beat };
}
const handedOver = (...args) => handOver(...args).rows;

// Rows of a batch, in the format that request_rows.js describes; memory: with what they say of it.
function readRows({ texts, rows, count }, memory = false) {
    let at = 0;
    function next() {
        let value = 0;
        for (let unit = 1; ; unit *= 32) {
            const c = rows.charCodeAt(at++);
            assert.ok((c >= 48 && c < 80) || (c >= 95 && c < 127), `no number: ${rows}`);
            value += (c < 95 ? c - 48 : c - 95) * unit;
            if (c < 95) return value;
        }
    }
    const from = (before) => {
        const number = next();
        return before + (number % 2 ? -(number - 1) / 2 : number / 2);
    };
    let [kind, heap, external, total, ended] = [null, 0, 0, 0, 0];
    const found = Array.from({ length: count }, () => {
        const differs = next();
        if (differs & 32) next();
        if (differs & 1) kind = { method: texts[next()], url: texts[next()], route: texts[next()], status: next() };
        ended = from(ended);
        const row = { ...kind, lasted: next(), flight: differs & 4 ? [next(), next()] : [1, 1] };
        row.heap = [differs & 8 ? from(heap) : heap];
        row.heap.push(heap = from(row.heap[0]));
        row.external = [differs & 2 ? from(external) : external];
        row.external.push(external = differs & 2 ? from(row.external[0]) : external);
        row.total = [differs & 16 ? from(total) : total];
        row.total.push(total = differs & 16 ? from(row.total[0]) : total);
        if (differs & 16) { next(); next(); }
        return memory ? row : kind;
    });
    assert.equal(at, rows.length);
    return found;
}

// The inspector interrupts JavaScript: a beat that came while a row was made sent half of it, and the
// row that could not be ended the following.
test('a beat in the middle of a row sends no half of it', () => {
    const urls = Array.from({ length: 300 }, (_, i) => '/p' + i % 50);
    const rows = handedOver(urls, `const real = v8.getHeapStatistics;
        v8.getHeapStatistics = () => (ending && hook.beat(0, -1), real());`);
    assert.deepEqual(rows, urls.map((url) => ({ method: 'GET', url, route: url, status: 200 })));
});

test('while nobody takes them, rows in the target are bounded, and those that are lost are counted', () => {
    for (const urls of [new Array(40_000).fill('/hello'), Array.from({ length: 8000 }, (_, i) => `/${i}/${'x'.repeat(600)}`)]) {
        const { rows, sent, beat } = handOver(urls, '', 50_000);
        assert.ok(rows.length > 100 && rows.length < urls.length / 2, `${rows.length} rows`);
        const dropped = beat.dropped + sent.reduce((sum, batch) => sum + batch.dropped, 0);
        assert.equal(rows.length + dropped, urls.length);
        assert.ok(beat.held > 40_000 && beat.held < 150_000, `${beat.held} characters`);
        assert.ok(sent.every((batch) => batch.count <= 1024 && JSON.stringify(batch).length < 60_000));
    }
});

test('every number that a row can hold comes back as it was', () => {
    const bytes = [2 ** 33, 8, 2 ** 36, 0, 5e6];
    const { rows, sent } = handOver(['/a', '/b', '/b', '/a', '/' + 'long/'.repeat(300), '/b?x=1'], `
        const { performance } = require('perf_hooks');
        let now = 0, turn = 0;
        performance.now = () => now++; // so that each reading is taken anew
        v8.getHeapStatistics = () => ({ used_heap_size: ${JSON.stringify(bytes)}[turn++ % 5],
            total_heap_size: turn * 2 ** 30, external_memory: [0, 2 ** 35, 17][turn % 3] });`);
    assert.deepEqual(rows.map((row) => row.url), ['/a', '/b', '/b', '/a', '/' + 'long/'.repeat(300).slice(0, 511), '/b']);
    const words = (number) => Math.min(Math.floor(number / 8), 2 ** 32 - 1);
    const both = (at) => rows.map((row, i) => [at(2 * i), at(2 * i + 1)]);
    const seen = sent.flatMap((batch) => readRows(batch, true));
    assert.deepEqual(seen.map((row) => row.heap), both((turn) => words(bytes[turn % 5])));
    assert.deepEqual(seen.map((row) => row.total), both((turn) => words((turn + 1) * 2 ** 30)));
    assert.deepEqual(seen.map((row) => row.external), both((turn) => words([0, 2 ** 35, 17][(turn + 1) % 3])));
    assert.ok(seen.every((row) => row.lasted >= 1000 && row.lasted < 10_000));
});

test('a request that runs alone has readings of its own, busy ones share them and lose nothing', () => {
    const hook = (gap) => `const { performance } = require('perf_hooks');
        let now = 0, heap = 0;
        performance.now = () => (now += ending ? 0.03 : ${gap});
        v8.getHeapStatistics = () => ({ used_heap_size: heap += 80, total_heap_size: 8e6, external_memory: 0 });`;
    const heaps = (gap) => handOver(new Array(2000).fill('/a'), hook(gap)).sent
        .flatMap((batch) => readRows(batch, true).map((row) => row.heap));
    assert.ok(heaps(1).every(([before, after]) => after - before === 10), 'each between its own readings');
    const busy = heaps(0.01);
    const grown = (list) => list.filter(([before, after]) => after > before).length;
    const [most, few] = [grown(heaps(0.1)), grown(busy)];
    assert.ok(most > 400 && most < 1000 && few > 60 && few < 200, `${most} and ${few} of 2000 rows`);
    assert.ok(busy.every(([before], i) => i === 0 || before === busy[i - 1][1]), 'what one ends with the next begins with');
});

// /alerts/S1, /alerts/S2, … were 200 routes, and from there on "(other)".
test('ids of any shape are one route, and names beside them keep theirs', () => {
    const urls = Array.from({ length: 300 }, (_, i) =>
        [`/alerts/S${i}`, `/alerts/S${i}/of/u-${i}?x=1`, '/alerts/latest', `/pages/${'abcdefgh'[i % 8]}`]).flat();
    const routes = new Set(handedOver(urls).slice(-40).map((row) => row.route));
    assert.deepEqual([...routes].sort(), ['/alerts/:id', '/alerts/:id/of/:id', '/alerts/latest',
        ...[...'abcdefgh'].map((letter) => `/pages/${letter}`)]);
});

// After a bot had tried sixty paths, every route that came later was /:id.
test('a route that comes after ids were found at its place has its name, an id that comes back has not', () => {
    const scan = Array.from({ length: 60 }, (_, i) => `/scan${i}x.php`);
    const later = Array.from({ length: 300 }, () => ['/checkout', '/login']).flat();
    const counts = (urls) => {
        const found = {};
        for (const { route } of handedOver(urls)) found[route] = (found[route] ?? 0) + 1;
        return found;
    };
    const shop = counts([...new Array(20).fill('/home'), ...scan, ...later, ...new Array(300).fill('/cart')]);
    assert.equal(shop['/home'], 20);
    for (const name of ['/checkout', '/login', '/cart'])
        assert.ok(shop[name] > 285, JSON.stringify([name, shop[name], shop['/:id']]));
    // Each alert is looked at ten times by somebody, and one of them by everybody.
    const alerts = Array.from({ length: 900 }, (_, i) => `/alerts/S${i}`);
    const again = Array.from({ length: 9 }, () => alerts).flat();
    const found = counts([...alerts, ...again.flatMap((url, i) => (i % 10 ? [url] : [url, '/alerts/S17'])), '/alerts/S17']);
    assert.ok(found['/alerts/:id'] > 8900 && found['/alerts/S17'] > 700, JSON.stringify(found).slice(0, 500));
    assert.equal(Object.keys(found).filter((route) => route !== '/alerts/:id' && found[route] > 1).length, 1);
});

test('what was asked for is followed, the rest is counted', async (t) => {
    const ws = workspace(t);
    const target = await serverOf(t, '22', 'http');
    const run = await follow(t, ws, target,
        ['--requests-match', '^GET /products|ü', '--keep-query', '--requests-sample', '50%']);
    for (let i = 0; i < 200; i++)
        await get(target.url, `/products/${i}?q=${i}`);
    await get(target.url, '/hello', 20);
    await sleep(1500);
    await run.end();
    const rows = pairs(ws);
    assert.ok(rows.length > 60 && rows.length < 140, `${rows.length} of 200 at 50 %`);
    assert.ok(rows.every((row) => /^\/products\/\d+\?q=\d+$/.test(row.url) && row.after), 'both rows or none');
    const { routes } = jsonLines(run.stdout).find((line) => line.type === 'summary').targets[0].requests;
    assert.deepEqual(routes.map((route) => [route.method, route.route, route.requests]).sort(),
        [['GET', '/hello', 20], ['GET', '/products/:n', 200]]);
});

test('an expression that is none ends the run with one line that names it', async (t) => {
    const ws = workspace(t);
    const target = await serverOf(t, '22', 'http');
    const run = await heaptap(t, ws, ['run', String(target.port), '--requests', '--no-snapshots',
        '--requests-match', '(', '--duration', '60s', ...ws.own]);
    assertError(run, 2, /requests-match: "\(" is no regular expression of JavaScript: Unterminated group\n?$/);
    assert.equal(run.stdout, '');
    for (const wrong of ['5', '0s'])
        assertError(await heaptap(t, ws, ['run', '--gc-floor', wrong, ...ws.own]), 2, /gc-floor/);
    const alone = await heaptap(t, ws, ['run', String(target.port), '--no-snapshots', '--no-diagnosis', '--requests-match', 'x',
        '--duration', '100ms', ...ws.own]);
    assert.match(alone.stderr, /requests-match .* does nothing without --requests/);
});

test('the way to what the app holds does not lead through the hook, with connections open', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22' });
    const run = await follow(t, ws, target);
    const agent = new http.Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    for (let i = 0; i < 20; i++)
        await new Promise((resolve) => http.get(`${target.url}/page`, { agent }, (r) => r.resume().on('end', resolve)));
    await run.followed(20);
    const file = ws.path('followed.heapsnapshot');
    assertExit(await heaptap(t, ws, ['snapshot', '--force', '-o', file, String(target.port)]), 0);
    const way = await heaptap(t, ws, ['retainers', '--class', '^SessionState$', file]);
    assertExit(way, 0);
    assert.match(way.stdout, /sessionsById: Map/);
    assert.doesNotMatch(way.stdout, /heaptap/);
    await run.end();
});

test('killed, heaptap leaves a hook that ends itself', async (t) => {
    for (const node of ['18', '26']) {
        const ws = workspace(t);
        const target = await serverOf(t, node, 'express');
        const run = await follow(t, ws, target);
        await get(target.url, '/hello', 5);
        run.child.kill('SIGKILL');
        await run.done;
        await get(target.url, '/hello', 5);
        await subscribed(target.ws, true);
        await subscribed(target.ws, false, 25_000);
        await get(target.url, '/hello', 5);
    }
});

test('a hook of a killed heaptap is replaced, and each request has one pair of rows', async (t) => {
    const ws = workspace(t);
    const target = await serverOf(t, '22', 'http');
    const first = await follow(t, ws, target);
    first.child.kill('SIGKILL');
    await first.done;
    const second = await follow(t, ws, target);
    await sleep(1000);
    await get(target.url, '/hello', 20);
    await second.followed(20);
    await second.end();
    assert.equal(pairs(ws).length, 20);
    await subscribed(target.ws, false);
});

test('after a broken connection requests are followed again, counts go on', async (t) => {
    const ws = workspace(t);
    const target = await serverOf(t, '22', 'http');
    const sockets = new Set();
    const port = await freePort();
    const proxy = net.createServer((from) => {
        const to = net.connect(target.port, '127.0.0.1');
        for (const socket of [from, to]) {
            sockets.add(socket);
            socket.on('error', () => {});
            socket.on('close', () => (from.destroy(), to.destroy()));
        }
        from.pipe(to).pipe(from);
    }).listen(port, '127.0.0.1');
    t.after(() => proxy.close());
    const run = await follow(t, ws, { port, ws: target.ws });
    await get(target.url, '/hello', 10);
    await run.followed(10);
    await sleep(1500); // a beat brings the counts
    for (const socket of sockets)
        socket.destroy();
    await until(() => run.stdout.split('"event":"attached"').length > 2, 'a second attach');
    await sleep(1000);
    await get(target.url, '/hello', 10);
    await run.followed(20);
    await run.end();
    proxy.close();
    const rows = pairs(ws);
    assert.equal(new Set(rows.map((row) => row.id)).size, 20, 'ids go on');
    const { targets } = jsonLines(run.stdout).find((line) => line.type === 'summary');
    assert.equal(targets[0].requests.routes.find((route) => route.route === '/hello').requests, 20);
});

test('the route that keeps 5 KB a request is named, the others are not, also from the record', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '24', code: `const http = require('http');
        const kept = [];
        const server = http.createServer((request, response) => {
            const garbage = JSON.stringify(new Array(200).fill(request.url));
            if (request.url === '/leak') kept.push(Array.from({ length: 640 }, (_, i) => i + 0.5));
            response.end(garbage.slice(0, 100));
        });
        server.listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + server.address().port));` });
    const run = await follow(t, ws, target, ['--gc-floor', '1s', '--live-profile', 'off', '--duration', '26s']);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    const ask = (page) => new Promise((resolve, reject) => {
        http.get(target.url + page, { agent }, (r) => r.resume().on('end', resolve)).on('error', reject);
    });
    const pages = ['/a', '/leak', '/b', '/c'];
    let busiest = 0;
    const turn = setInterval(() => busiest++, 2000);
    let over = false;
    run.done.then(() => (over = true), () => (over = true));
    await Promise.all(Array.from({ length: 8 }, async () => {
        while (!over) {
            const pick = Math.floor(Math.random() * 6);
            await ask(pages[pick < 4 ? pick : busiest % 4]).catch(() => {});
            await sleep(4);
        }
    }));
    clearInterval(turn);
    agent.destroy();
    await run.done;
    assertExit(run, 0);
    const { requests } = jsonLines(run.stdout).find((line) => line.type === 'summary').targets[0];
    assert.deepEqual(requests.routes.filter((route) => route.leaks).map((route) => route.route), ['/leak'],
        JSON.stringify(requests));
    const leak = requests.routes.find((route) => route.route === '/leak');
    assert.ok(leak.low < 5300 && leak.high > 5100 && leak.high - leak.low < 4000, JSON.stringify(leak));
    const answer = await heaptap(t, ws, ['metrics', 'requests', '--json', '--db', `sqlite:${ws.db}`]);
    assertExit(answer, 0);
    const row = JSON.parse(answer.stdout).rows.find((one) => one.route === '/leak');
    assert.equal(row.leaks, 'leaks');
    assert.equal(row.bytes_per_request, Math.round(leak.bytes_per_request));
    assert.ok(sql(ws.db, "SELECT count(*) AS n FROM memory_metrics WHERE label = 'after-gc'")[0].n >= 10);
});

test('a forced floor is a row, whatever else is on', async (t) => {
    for (const args of [[], ['--requests'], ['--requests', '--live-profile', 'off']]) {
        const ws = workspace(t);
        const target = await serverOf(t, '22', 'http');
        assertExit(await heaptap(t, ws, ['run', String(target.port), '--gc-floor', '300ms', '--max-pause-share', '100%',
            '--no-snapshots', '--no-diagnosis', '--duration', '4s', ...args, ...ws.own]), 0);
        const [{ rows }] = sql(ws.db, "SELECT count(*) AS rows FROM memory_metrics WHERE label = 'after-gc'");
        const [{ forced }] = sql(ws.db, `SELECT count(*) AS forced FROM events WHERE kind = 'floor'
            AND detail LIKE '%"forced":true%'`);
        assert.ok(rows >= 4 && rows >= forced, `${args}: ${rows} rows, ${forced} floors`);
    }
});

test('a server with patched or frozen globals, and without eval, keeps working', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, {
        node: '22', flags: ['--disallow-code-generation-from-strings'],
        code: `const http = require('http');
            Array.prototype.map = Map.prototype.get = () => { throw new Error('patched'); };
            JSON.stringify = () => 'patched';
            const s = http.createServer((q, r) => r.end('ok'));
            s.listen(0, '127.0.0.1', () => { console.log('listening on http://127.0.0.1:' + s.address().port);
                Object.preventExtensions(globalThis); Object.freeze(globalThis); });`,
    });
    const run = startHeaptap(t, ws, ['run', String(target.port), '--requests', '--no-snapshots',
        '--duration', '3s', ...ws.own]);
    await sleep(1000);
    await get(target.url, '/hello', 5);
    await run.done;
    assertExit(run, 0);
    assert.match(run.stderr, /requests cannot be followed|cannot be watched|only the heap's own figures/);
    await get(target.url, '/hello', 5);
});

test('what an app has patched is the reason that is given, on one line', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', listens: false,
        code: 'process.hrtime = null; delete process.constructor.prototype.hrtime; setInterval(() => {}, 100)' });
    const run = await heaptap(t, ws, ['run', String(target.port), '--requests', '--no-snapshots', '--duration', '1s', ...ws.own]);
    assertExit(run, 0);
    assert.doesNotMatch(run.stderr, /no diagnostics channels|\\x0a/);
});

test('a process that serves nothing is said to have had no request', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', code: 'setInterval(() => {}, 100)', listens: false });
    const run = await heaptap(t, ws, ['run', String(target.port), '--requests', '--no-snapshots',
        '--duration', '2s', ...ws.own]);
    assertExit(run, 0);
    assert.match(run.stdout, /no request was seen/);
});

// The target is hostile: here it changes what the hook hands over.
test('rows that are none end the following with one line, and the run goes on', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', code: `const http = require('http');
        const s = http.createServer((q, r) => { Buffer.prototype.toString = () => '@@@@'; r.end('ok'); });
        s.listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + s.address().port));` });
    const run = await follow(t, ws, target);
    await get(target.url, '/hello', 3);
    await run.printed(/the requests hook sent something else than/, 'stdout');
    await subscribed(target.ws, false);
    await get(target.url, '/hello', 3);
    await run.end();
    assert.equal(run.stdout.split('the requests hook sent').length, 2);
    assert.deepEqual(pairs(ws), []);
});

// "no request was seen" of a target whose request was recorded, and of one whose rows were none.
test('the summary counts what rows said, and says what ended the following', async (t) => {
    const ws = workspace(t);
    // One beat a second: a kill right behind rows comes before the next one often enough.
    let kept;
    for (let i = 0; !kept && i < 5; i++) {
        const ws = workspace(t);
        const target = await serverOf(t, '22', 'http');
        const run = startHeaptap(t, ws, ['run', String(target.port), '--requests', '--no-snapshots', '--no-diagnosis',
            '--live-profile', 'off', '--give-up', '200ms', ...ws.own]);
        await run.printed(/attached to/);
        await subscribed(target.ws, true);
        await get(target.url, '/hello');
        await sleep(250);
        target.child.kill('SIGKILL');
        await run.done;
        assert.doesNotMatch(run.stdout, /no request was seen/);
        kept = /1 requests recorded, not counted by route/.exec(run.stdout);
    }
    assert.ok(kept, 'a kill before the first counts');

    const patched = await startTarget(t, { node: '22', code: `const http = require('http');
        const s = http.createServer((q, r) => { JSON.stringify = () => '{}'; Buffer.prototype.toString = () => '@@@@'; r.end('ok'); });
        s.listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + s.address().port));` });
    const run = startHeaptap(t, ws, ['run', String(patched.port), '--requests', '--no-snapshots', '--no-diagnosis', ...ws.own]);
    await run.printed(/attached to/);
    await subscribed(patched.ws, true);
    await get(patched.url, '/hello', 6);
    await run.printed(/the requests hook sent something else than/);
    run.child.kill('SIGINT');
    await run.done;
    assert.match(run.stdout, /following them had to be given up|then it had to be given up/);
});

test('a heaptap that was stopped for long says from when to when it did not follow', async (t) => {
    const ws = workspace(t);
    const target = await serverOf(t, '22', 'http');
    const run = await follow(t, ws, target);
    await get(target.url, '/hello', 5);
    await run.followed(5);
    run.child.kill('SIGSTOP');
    await subscribed(target.ws, false, 40_000);
    await get(target.url, '/hello', 5);
    await sleep(1500);
    run.child.kill('SIGCONT');
    const [, from, to] = await run.printed(/its requests were not followed for .*, from (\S+Z) to (\S+Z)/, 'stdout');
    assert.ok(new Date(to) - new Date(from) >= 1400, `${from} to ${to}`);
    await get(target.url, '/hello', 5);
    await run.followed(10);
    await run.end();
    const { requests } = jsonLines(run.stdout).find((line) => line.type === 'summary').targets[0];
    assert.ok(requests.unfollowed_seconds >= 1.4 && requests.requests === 10, JSON.stringify(requests));
    assert.equal(sql(ws.db, "SELECT count(*) AS n FROM events WHERE kind = 'unfollowed'")[0].n, 1);
});

test('a target that is killed in the middle: what there is is kept and told', async (t) => {
    const ws = workspace(t);
    const target = await serverOf(t, '22', 'http');
    const run = await follow(t, ws, target, ['--give-up', '1s']);
    await get(target.url, '/hello', 5);
    await run.followed(5);
    await sleep(1200); // a beat brings the counts
    target.child.kill('SIGKILL');
    await run.done;
    assertExit(run, 3);
    assert.equal(pairs(ws).length, 5);
    const { requests } = jsonLines(run.stdout).find((line) => line.type === 'summary').targets[0];
    assert.equal(requests.routes.find((route) => route.route === '/hello').requests, 5);
});
