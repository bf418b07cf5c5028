// TAKE_HEAP_SNAPSHOT: a request waits for the snapshot before it and its response's end for the one
// after it, both are linked to its rows, and nobody waits for a heaptap that is gone.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';
import {
    assertExit, assertNoGap, countClass, evaluate, here, house, jsonLines, readSnapshot, sleep, sql, startHeaptap,
    startTarget, until, versions, workspace,
} from './lib.mjs';

// Keeps one Kept for each GET /keep, answers all the same; says when the app itself was called.
const code = `const http = require('http');
    class Kept {} class Passing { constructor() { this.kept = new Array(10); } }
    const kept = [];
    function serve() {
        const server = http.createServer((request, response) => {
            response.setHeader('x-called', Date.now());
            if (request.url.startsWith('/keep')) kept.push(new Kept());
            if (request.url === '/never') return;
            if (request.url === '/throw') throw new Error('of the app');
            const passing = new Passing();
            setTimeout(() => { response.write('he'); response.end('llo' + (passing.kept ? '' : '-')); }, 20);
        });
        server.listen(0, '127.0.0.1', () =>
            console.log('listening on http://127.0.0.1:' + server.address().port));
    }
    if (process.env.STATEMENT) setTimeout(() => { debugger; console.log('went on'); }, 1500);
    globalThis.ballast = Array.from({ length: Number(process.env.BALLAST ?? 0) }, (_, i) => ({ i, more: [{ i }] }));
    serve();`;

const ask = (url, options = {}) => new Promise((resolve, reject) => {
    const asked = Date.now();
    const request = http.request(url, { agent: false, ...options }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (data) => (text += data)).on('end', () =>
            resolve({ text, asked, called: Number(response.headers['x-called']), ended: Date.now() }));
    }).on('error', reject);
    request.end();
});

function watch(t, ws, target, args = [], env = {}) {
    const run = startHeaptap(t, ws,
        ['run', String(target.port), '--no-snapshots', '--live-profile', 'off', '--analyze', 'off',
            '--no-diagnosis', '--json', ...args, ...ws.own],
        { env: { TAKE_HEAP_SNAPSHOT: 'true', ...env } });
    run.lines = (type) => jsonLines(run.stdout.slice(0, run.stdout.lastIndexOf('\n') + 1)).filter((line) => line.type === type);
    run.end = async () => {
        run.child.kill('SIGINT');
        await run.done;
        assertExit(run, 0);
    };
    return run;
}
const snapshots = (ws) => sql(ws.db, `SELECT request_id AS id, file, state, trigger,
    strftime('%s', created_at) * 1000 + substr(strftime('%f', created_at), 4) AS at
    FROM heap_snapshots WHERE trigger = 'request' ORDER BY snapshot_id`);
// Of requests that have both: one may be refused, because somebody else on this host takes a snapshot.
function whole(ws) {
    const complete = snapshots(ws).filter((row) => row.state === 'complete');
    return complete.filter(({ id }) => complete.filter((row) => row.id === id).length === 2);
}
const rows = (ws) => sql(ws.db, `SELECT request_id AS id, label, request_url AS url, heap_used AS heap
    FROM memory_metrics WHERE request_id IS NOT NULL ORDER BY seq`);
// Asks for page until one request has had both of its snapshots; gives its answer. The record is
// written in batches: more requests may have been answered before the two show in it.
async function pairOf(run, ws, target, page) {
    const answers = [];
    for (;;) {
        answers.push(await ask(target.url + page));
        await sleep(50); // for the rows
        const [first] = whole(ws);
        if (first) {
            await until(() => run.lines('request').some((line) => line.request_id === first.id), 'its rows');
            return answers.find((answer) => answer.asked <= first.at && first.at <= answer.ended);
        }
    }
}

for (const how of ['pause', 'hold'])
    for (const node of versions)
        test(`Node ${node}, ${how}: a request waits for both snapshots, which its rows name`, async (t) => {
            const ws = workspace(t);
            const target = await startTarget(t, { node, code });
            const run = watch(t, ws, target, how === 'hold' ? ['--hold'] : []);
            await run.printed(/"event":"attached"/, 'stdout');
            const answer = await pairOf(run, ws, target, '/keep?token=secret');
            await run.end();
            assert.ok(!run.stdout.includes('are held for their snapshots'));
            assert.equal(answer.text, 'hello');
            const [before, after, ...more] = whole(ws);
            assert.deepEqual(more, []);
            assert.equal(before.id, after.id);
            assert.match(path.basename(before.file), /^heap-before-get-/);
            assert.match(path.basename(after.file), /^heap-after-get-/);
            const [b, a] = rows(ws).filter((row) => row.id === before.id);
            assert.ok(b.label === 'before-GET' && a.label === 'after-GET' && a.url === '/keep');
            // What the files hold is the order of things: the app came in between.
            const counts = [before, after].map((row) => countClass(readSnapshot(row.file), 'Kept'));
            assert.equal(counts[1] - counts[0], 1, counts.join());
            assert.equal(countClass(readSnapshot(before.file), 'Passing'), 0, 'the app had not been called');
            assert.ok(answer.called > before.at && answer.ended > after.at, JSON.stringify([answer, before, after]));
            assertNoGap(ws.db);
            assert.equal((await ask(target.url + '/keep')).text, 'hello');
        });

// Their own ways of ending a response: what a framework wraps or sends late must not slip through.
for (const [kind, node] of [['express', '20'], ['fastify', '24'], ['koa', '18'], ['hono', '26']])
    test(`behind ${kind} a request waits for both snapshots, paused and held`, async (t) => {
        const packages = execFileSync(path.join(house, 'scripts/install-test-packages'), { encoding: 'utf8' }).trim();
        const target = await startTarget(t,
            { node, script: path.join(here, 'request-servers.cjs'), args: [kind, packages] });
        for (const args of [[], ['--hold']]) {
            const ws = workspace(t);
            const run = watch(t, ws, target, args);
            await run.printed(/"event":"attached"/, 'stdout');
            const answer = await pairOf(run, ws, target, '/products/17');
            await run.end();
            assert.equal(answer.text, 'hello');
            const [before, after, ...more] = whole(ws);
            assert.deepEqual(more, []);
            assert.equal(before.id, after.id);
            assert.ok(answer.asked < before.at && before.at < after.at && answer.ended > after.at,
                JSON.stringify([answer, before, after]));
            const { routes } = run.lines('summary')[0].targets[0].requests;
            assert.deepEqual(routes.map((route) => route.route),
                [['express', 'fastify'].includes(kind) ? '/products/:id' : '/products/:n']);
            assert.equal((await ask(target.url + '/hello')).text, 'hello');
        }
    });

// Sends heaptap a signal while a request waits for its first snapshot.
async function stopped(t, ws, node, signal, args) {
    const target = await startTarget(t, { node, code, env: { BALLAST: '60000' } });
    const run = watch(t, ws, target, ['--max-pause-share', '100%', '--max-pause', '5m', ...args]);
    await run.printed(/"event":"attached"/, 'stdout');
    const part = () => ws.files().some((name) => name.startsWith('heap-before-get') && name.endsWith('.part'));
    let waiting, answer;
    await until(() => {
        if (part()) run.child.kill(signal);
        else if (!waiting || answer) {
            answer = undefined;
            waiting = ask(target.url + '/keep');
            waiting.then((text) => (answer = text));
        }
        return part();
    }, 'a snapshot that a request waits for');
    return { target, run, waiting, answered: () => answer };
}

// The inspector interrupts JavaScript: where a capture was refused at once, the request was told to go on
// before it had begun to wait, and then waited for ever.
test('a request that is let go before it waits goes on', () => {
    const code = `const http = require('http');
        const pairing = (0, eval)(require('fs').readFileSync(process.argv[1], 'utf8'));
        const steps = [];
        let call; // what heaptap asks for as soon as it hears of a step
        const pairs = pairing({
            tell(pair, step) { steps.push(step); pairs[call](pair); },
            now: () => performance.now(), reread() {}, heapStatistics() {}, later: setImmediate,
            bind: (fn) => require('async_hooks').AsyncResource.bind(fn), servers: () => [http.Server.prototype],
        });
        const server = http.createServer((request, response) => response.end('hello'));
        server.listen(0, '127.0.0.1', async () => {
            const texts = [];
            for (call of ['release', 'abandon', 'stop']) {
                pairs.beat();
                pairs.arm('hold');
                require('diagnostics_channel').subscribe('http.server.request.start', begin);
                texts.push(await (await fetch('http://127.0.0.1:' + server.address().port)).text());
            }
            console.log(JSON.stringify({ texts, steps }));
            process.exit();
        });
        function begin({ request, response }) {
            require('diagnostics_channel').unsubscribe('http.server.request.start', begin);
            pairs.begin({}, request, response, true);
        }`;
    const { texts, steps } = JSON.parse(execFileSync(process.execPath, ['-e', code, path.join(house, 'src/collect/pairs.js')],
        { encoding: 'utf8', timeout: 20_000 }));
    assert.deepEqual(texts, ['hello', 'hello', 'hello']);
    assert.deepEqual(steps, ['before', 'after', 'before', 'before']);
});

test('a process that is paused goes on when heaptap is killed', async (t) => {
    for (const node of ['18', '26']) {
        const ws = workspace(t);
        const { target, run, waiting, answered } = await stopped(t, ws, node, 'SIGKILL', []);
        const other = ask(target.url + '/other');
        assert.equal(answered(), undefined);
        assert.equal((await waiting).text, 'hello');
        assert.equal((await other).text, 'hello');
    }
});

// Ctrl-Z while a request waited: the whole server stood still until fg.
for (const signal of ['SIGTSTP', 'SIGSTOP'])
    test(`${signal} of heaptap lets a paused process go on, and pairs go on after SIGCONT`, async (t) => {
        for (const node of ['18', '26']) {
            const ws = workspace(t);
            const { target, run, waiting } = await stopped(t, ws, node, signal, []);
            await until(() => / T /.test(fs.readFileSync(`/proc/${run.pid}/stat`, 'utf8')), 'heaptap to stop');
            let answered = false;
            Promise.all([waiting, ...Array.from({ length: 20 }, () => ask(target.url + '/keep'))]).then(() => (answered = true), () => {});
            await until(() => answered, `Node ${node} to go on`);
            assert.equal(whole(ws).length, 0);
            run.child.kill('SIGCONT');
            await pairOf(run, ws, target, '/keep');
            await run.end();
        }
    });

test('a request that is held goes on without beats of heaptap, and others do all the time', async (t) => {
    const ws = workspace(t);
    const { target, run, waiting, answered } = await stopped(t, ws, '22', 'SIGSTOP', ['--hold']);
    assert.equal((await ask(target.url + '/other')).text, 'hello');
    assert.equal(answered(), undefined, 'it was answered before the other');
    assert.equal((await waiting).text, 'hello');
    run.child.kill('SIGKILL');
});

test('what comes too soon passes, is counted and said; --max-snapshots bounds the rest', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '24', code });
    const run = watch(t, ws, target);
    await run.printed(/"event":"attached"/, 'stdout');
    await pairOf(run, ws, target, '/keep');
    await Promise.all([1, 2, 3].map(() => ask(target.url + '/keep')));
    await run.printed(/requests come too soon for a pair of snapshots and pass without one/, 'stdout');
    await run.end();
    const { requests } = run.lines('summary')[0].targets[0];
    assert.ok(requests.snapshot_pairs === 1 && requests.passed >= 3, JSON.stringify(requests));
    const halves = new Set(snapshots(ws).filter((row) => row.state === 'complete').map((row) => row.id)).size - 1;
    assert.equal(requests.recorded, requests.snapshot_pairs + requests.passed + halves);
    assert.match(sql(ws.db, "SELECT text FROM events WHERE kind = 'passed'")[0].text, /passed without a pair/);

    const bounded = workspace(t);
    const second = watch(t, bounded, target,
        ['--max-pause-share', '100%', '--max-snapshots', '4', '--requests-match', '^GET /keep$']);
    await second.printed(/"event":"attached"/, 'stdout');
    await until(async () => {
        await ask(target.url + '/other');
        await ask(target.url + '/keep');
        return /no more follow \(--max-snapshots\)/.test(second.stdout);
    }, 'the last pair');
    await second.end();
    assert.equal(snapshots(bounded).length, 4);
    assert.deepEqual(new Set(rows(bounded).map((row) => row.url)), new Set(['/keep']));
});

test('beside another debugger requests are held, and it never sees a pause', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '20', code });
    const other = new WebSocket(target.ws);
    const seen = [];
    other.onmessage = (message) => seen.push(JSON.parse(message.data));
    await new Promise((resolve) => (other.onopen = resolve));
    other.send(JSON.stringify({ id: 1, method: 'Debugger.enable' }));
    await until(() => seen.some((message) => message.id === 1), 'the debugger');
    const run = watch(t, ws, target);
    await run.printed(/requests are held for their snapshots/, 'stdout');
    await pairOf(run, ws, target, '/keep');
    await run.end();
    assert.equal(whole(ws).length, 2);
    assert.ok(!seen.some((message) => message.method === 'Debugger.paused'));
    other.close();
});

test("a debugger statement of the app's own does not stop it", async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', code, env: { STATEMENT: '1' } });
    const run = watch(t, ws, target);
    await target.printed(/went on/, 'stdout');
    await pairOf(run, ws, target, '/keep');
    await run.end();
});

test('a client that goes, a server that throws, a guard that refuses: nobody waits for ever', async (t) => {
    for (const args of [[], ['--hold']]) {
        const ws = workspace(t);
        const target = await startTarget(t, { node: '22', code });
        const run = watch(t, ws, target, args);
        await run.printed(/"event":"attached"/, 'stdout');
        await until(async () => {
            await ask(target.url + '/never', { signal: AbortSignal.timeout(1500) }).catch(() => {});
            return run.lines('request').some((line) => line.aborted && snapshots(ws).filter((row) => row.id === line.request_id &&
                row.state === 'complete').length === 2);
        }, 'an abandoned request with both snapshots');
        await run.end();

        const strict = workspace(t);
        const refused = watch(t, strict, target, ['--max-pause', '1ms', ...args]);
        await refused.printed(/"event":"attached"/, 'stdout');
        await until(async () => {
            assert.equal((await ask(target.url + '/keep')).text, 'hello');
            return snapshots(strict).length;
        }, 'a refusal');
        await refused.end();
        assert.ok(snapshots(strict).every((row) => row.state === 'refused' && row.id > 0));

        const last = workspace(t);
        const broken = watch(t, last, target, args);
        await broken.printed(/"event":"attached"/, 'stdout');
        await until(async () => {
            await ask(target.url + '/throw').catch(() => {});
            return target.over;
        }, 'the exception to end the server as it always does');
        assert.match(target.stderr, /Error: of the app/);
        await broken.end();
    }
});

test('a worker that serves has pairs, too', async (t) => {
    for (const node of ['18', '26']) {
        const ws = workspace(t);
        const target = await startTarget(t, { node, script: path.join(here, 'request-servers.cjs'), args: ['worker', ws.root] });
        const run = watch(t, ws, target);
        await run.printed(/attached to .*worker/, 'stdout');
        await pairOf(run, ws, target, '/hello');
        await run.end();
        assert.equal(whole(ws).length, 2, node);
    }
});

test('nothing of it stays behind', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', code });
    const own = () => evaluate(target.ws, `['http', 'https'].some((name) =>
        Object.hasOwn(process.getBuiltinModule(name).Server.prototype, 'emit'))`);
    const run = watch(t, ws, target, ['--hold']);
    await run.printed(/"event":"attached"/, 'stdout');
    await until(own, 'the hold');
    await run.end();
    assert.equal(await own(), false);
    assert.equal((await ask(target.url + '/keep')).text, 'hello');
});
