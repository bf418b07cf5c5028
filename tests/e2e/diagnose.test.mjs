// The diagnosis from outside: the verdict and what the record knows of it, with snapshots and without,
// again from the record alone, on a server that only seems to leak, and on evidence that is not there.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
    assertError, assertExit, assertNoGap, get, heaptap, jsonLines, sleep, sql, startHeaptap, startTarget, until, workspace,
} from './lib.mjs';
import { readingsRecord } from './record.mjs';

// GET /keep leaves a Visit in a Map for good; GET /drop makes as much garbage; GET /fill keeps a
// cache of 200 entries.
const server = `
class Visit { constructor(n) { this.n = n; this.path = new Array(1200).fill(n); } }
class Page { constructor(n) { this.n = n; this.body = new Array(1200).fill(n); } }
const visits = new Map(), pages = new Map();
let n = 0;
const http = require('node:http');
const app = http.createServer((request, response) => {
    n++;
    if (request.url === '/keep') visits.set(n, new Visit(n));
    else if (request.url === '/fill') {
        pages.set(n, new Page(n));
        if (pages.size > 200) pages.delete(pages.keys().next().value);
    } else JSON.stringify(new Visit(n));
    response.end('ok');
});
app.listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + app.address().port));`;

// Asks for pages until stopped, about 100 a second; of six the first one five times in some seconds, once
// in those between, so that routes can be told apart on a slow machine, too.
function load(t, url, pages) {
    let going = true, asked = 0;
    const over = (async () => {
        for (let i = 0; going; i++) {
            const often = Math.floor(Date.now() / 3000) % 2 ? 1 : 5;
            await get(url, pages[i % 6 < often ? 0 : pages.length - 1]).then(() => asked++, () => {}); // it may be stalled
            await sleep(8);
        }
    })();
    t.after(async () => {
        going = false;
        await over;
    });
    return {
        count: () => asked,
        stop: async () => {
            going = false;
            await over;
        },
    };
}

const often = ['--metrics-interval', '500ms', '--live-profile', '32KB', '--live-profile-interval', '1s'];
const floors = ['--requests', '--gc-floor', '700ms'];

// Every key of the contract is there, whatever the verdict.
function assertShape(d) {
    assert.equal(d.schema, 'heaptap.diagnose/1');
    assert.match(d.verdict, /^(leak|growth|no-leak|inconclusive)$/);
    assert.match(d.memory_kind, /^(js-heap|external|rss-only|none)$/);
    for (const key of ['snapshots', 'span_seconds']) assert.equal(typeof d.evidence[key], 'number', key);
    assert.match(d.evidence.supports, /^(nothing|size|growth|retention)$/);
    for (const key of ['heap_bytes_per_hour', 'low', 'high', 'seconds_to_limit'])
        assert.ok(d.growth[key] === null || Number.isFinite(d.growth[key]), key);
    for (const [i, s] of d.suspects.entries()) {
        assert.equal(s.rank, i + 1);
        for (const key of ['class', 'function', 'holder', 'instances', 'bytes', 'routes', 'allocated_at', 'culprit',
            'advice', 'confidence']) assert.ok(key in s, key);
        for (const key of ['class', 'name', 'id', 'text', 'path', 'location']) assert.ok(key in s.holder, key);
        for (const key of ['first', 'last', 'growth']) assert.ok(key in s.instances, key);
        for (const key of ['self_growth', 'retained_growth', 'share_of_growth']) assert.ok(key in s.bytes, key);
        for (const route of s.routes)
            assert.deepEqual(Object.keys(route), ['method', 'route', 'bytes_per_request', 'low', 'high',
                'instances_per_request', 'other_thread']);
        for (const site of s.allocated_at)
            assert.deepEqual(Object.keys(site), ['function', 'url', 'line', 'column', 'live_bytes']);
    }
    assert.ok(Array.isArray(d.ruled_out) && Array.isArray(d.notes));
}

function assertLeak(d, { className }) {
    assertShape(d);
    assert.equal(d.verdict, 'leak', JSON.stringify(d));
    assert.equal(d.memory_kind, 'js-heap');
    assert.equal(d.evidence.supports, 'retention');
    assert.ok(d.growth.low > 0 && d.growth.low < d.growth.high, JSON.stringify(d.growth));
    const [first] = d.suspects;
    assert.equal(first.class, className, JSON.stringify(d.suspects.map((s) => s.class)));
    const [route] = first.routes;
    assert.deepEqual([route.method, route.route], ['GET', '/keep'], JSON.stringify(first.routes));
    assert.ok(route.bytes_per_request > 7000 && route.bytes_per_request < 14000, JSON.stringify(route));
    assert.ok(route.low <= route.bytes_per_request && route.bytes_per_request <= route.high);
    assert.ok(first.allocated_at.some((site) => /Visit/.test(site.function) || site.line === 2 || site.line === 9),
        JSON.stringify(first.allocated_at));
    return first;
}

// A run that lasts until there is evidence enough, however slow the machine is.
async function record(t, ws, pages, more, { floors: needed, snapshots = 0 }) {
    const target = await startTarget(t, { code: server });
    await get(target.url, '/drop', 300); // what only warms up is not the question here
    const pace = load(t, target.url, pages);
    const run = startHeaptap(t, ws, ['run', target.port, ...ws.own, ...often, ...more]);
    await run.printed(/"event":"attached"/, 'stdout');
    const count = (what) => sql(ws.db, `SELECT count(*) AS n FROM ${what}`)[0].n;
    await until(() => pace.count() >= 900 && count("events WHERE kind = 'floor'") >= needed &&
        count("heap_snapshots WHERE state = 'complete'") >= snapshots, 'floors and snapshots', 120_000);
    run.child.kill('SIGINT');
    await run.done;
    await pace.stop();
    return run;
}
const again = async (t, ws, ...more) => {
    const run = await heaptap(t, ws, ['diagnose', '--json', '--db', `sqlite:${ws.db}`, ...more]);
    assertExit(run, 0);
    return JSON.parse(run.stdout);
};

test('a run of a second claims no growth an hour', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = await heaptap(t, ws, ['run', '--duration', '1s', '--metrics-interval', '50ms', '--json', ...ws.own, String(target.port)]);
    assertExit(run, 0);
    const diagnosis = jsonLines(run.stdout).find((line) => line.type === 'diagnosis');
    assert.match(diagnosis.verdict, /inconclusive|growth/);
    assert.ok(diagnosis.evidence.span_seconds > 0.5);
    assert.deepEqual(diagnosis.growth, { heap_bytes_per_hour: null, low: null, high: null, seconds_to_limit: null });
});

test('a run ends with the leak named, and the record repeats it without the files', async (t) => {
    const ws = workspace(t);
    const run = await record(t, ws, ['/keep', '/drop'], [...floors, '--snapshot-interval', '4s',
        '--max-pause-share', '40%', '--json', '--exit-code'], { floors: 14, snapshots: 4 });
    assertExit(run, 1);
    const { type, time, ...said } = jsonLines(run.stdout).at(-1);
    assert.equal(type, 'diagnosis');
    assert.ok(Date.parse(time));
    const first = assertLeak(said, { className: 'Visit' });
    assert.ok(said.evidence.snapshots >= 3, `${said.evidence.snapshots} snapshots`);
    assert.ok(first.instances.growth > 100, JSON.stringify(first.instances));
    assert.ok(Math.abs(first.routes[0].instances_per_request - 1) < 0.3, JSON.stringify(first.routes));

    const rows = sql(ws.db, 'SELECT * FROM suspects ORDER BY rank');
    assert.equal(rows[0].class, 'Visit');
    assert.equal(rows[0].verdict, 'leak');
    assert.equal(rows[0].route, '/keep');
    assert.deepEqual(JSON.parse(rows[0].detail), said.suspects[0]);
    const cited = sql(ws.db, "SELECT snapshot_id FROM events WHERE kind = 'cited' ORDER BY 1").map((r) => r.snapshot_id);
    assert.deepEqual(cited, said.evidence.files.map((file) => file.snapshot_id));
    assertNoGap(ws.db, 'suspects');
    assertNoGap(ws.db, 'events');

    const repeated = await again(t, ws, '--run', said.evidence.run_id.slice(0, 8));
    assert.equal(repeated.verdict, 'leak');
    assert.equal(repeated.suspects[0].class, 'Visit');

    const text = await heaptap(t, ws, ['diagnose', '--db', `sqlite:${ws.db}`]);
    assertExit(text, 0);
    assert.match(text.stdout, /^Leak: Visit.*, \+\d+ in /);
    assert.match(text.stdout, /GET \/keep keeps [\d.]+ KB a request/);

    const files = ws.files().filter((name) => name.endsWith('.heapsnapshot'));
    fs.truncateSync(path.join(ws.dir, files[1]), 100_000);
    const damaged = await again(t, ws);
    assertLeak(damaged, { className: 'Visit' });
    assert.equal(damaged.evidence.snapshots, said.evidence.snapshots - 1);
    assert.ok(damaged.notes.some((note) => note.includes(files[1])), damaged.notes.join('\n'));

    for (const name of files) fs.rmSync(path.join(ws.dir, name));
    const without = await again(t, ws);
    assertLeak(without, { className: 'Visit' });
    assert.equal(without.evidence.snapshots, 0);
    assert.ok(without.notes.some((note) => note.includes(files[0])), without.notes.join('\n'));
});

test('without snapshots the route and the line are named, of a class that nobody has seen', async (t) => {
    const ws = workspace(t);
    const run = await record(t, ws, ['/keep', '/drop'], [...floors, '--no-snapshots', '--json'], { floors: 16 });
    assertExit(run, 0);
    const first = assertLeak(jsonLines(run.stdout).at(-1), { className: null });
    assert.equal(first.instances.growth, null);
    assert.ok(first.bytes.retained_growth > 1e6);
    const text = await heaptap(t, ws, ['diagnose', '--db', `sqlite:${ws.db}`]);
    assert.match(text.stdout, /^Leak: /);
    assert.match(text.stdout, /who holds it shows in snapshots/);
});

test('a cache that is full and garbage are no leak', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: server });
    await get(target.url, '/fill', 400);
    load(t, target.url, ['/fill', '/drop']);
    const run = await heaptap(t, ws, ['run', target.port, ...ws.own, ...often, ...floors, '--duration', '10s',
        '--snapshot-interval', '3s', '--exit-code', '--json']);
    assertExit(run, 0);
    const said = jsonLines(run.stdout).at(-1);
    assertShape(said);
    assert.match(said.verdict, /^(no-leak|inconclusive)$/, JSON.stringify(said));
    const none = await heaptap(t, ws, ['run', target.port, ...ws.own, '--duration', '1s', '--no-snapshots',
        '--no-diagnosis', '--json']);
    assertExit(none, 0);
    assert.equal(jsonLines(none.stdout).at(-1).type, 'summary', '--no-diagnosis leaves it');
});

// The first snapshot leaves 60 MB with V8 and malloc: a leak outside of the heap looked like a warm-up that
// had levelled off, and a server without one like growth.
test('memory outside of the heap is rss-only, and what a snapshot takes is none of it', async (t) => {
    for (const [rises, verdict, kind] of [[3, 'leak', 'rss-only'], [0, 'no-leak', 'none']]) {
        const ws = workspace(t);
        const gc = Array(9).fill('after-gc'), snapshot = ['before-snapshot', 'after-snapshot'];
        const labels = [...gc.slice(7), ...snapshot, ...gc.slice(6), ...snapshot, ...gc];
        await readingsRecord(t, ws, labels.map((label, i) => {
            const left = (i > 2 ? 60 : 0) + (i > 7 ? 30 : 0); // by the snapshots
            return { label, heap: 20, total: 24, external: 2, rss: 90 + left + rises * i + (i % 3) * 0.4 };
        }));
        const answer = await again(t, ws);
        assert.equal(answer.verdict, verdict, JSON.stringify(answer));
        assert.equal(answer.memory_kind, kind, JSON.stringify(answer));
        assert.equal(answer.notes.some((note) => note.includes('outside the JS heap')), rises > 0);
    }
});

// Resident memory is of all threads: what grew in a worker's heap was native memory of the main thread.
test('the memory of a process is not blamed on a thread that has no part in it', async (t) => {
    for (const [heap, native, wanted] of [[4, 0, ['leak', 'js-heap', 2]], [0, 4, ['leak', 'rss-only', 1]]]) {
        const ws = workspace(t);
        const readings = Array.from({ length: 12 }, (_, i) => ({ label: 'after-gc', external: 2,
            rss: 120 + (heap + native) * i + (i % 3) * 0.4 }));
        await readingsRecord(t, ws, readings.map((reading) => ({ ...reading, heap: 10, total: 14 })),
            readings.map((reading, i) => ({ ...reading, heap: 20 + heap * i, total: 24 + heap * i })));
        const answer = await again(t, ws);
        assert.deepEqual([answer.verdict, answer.memory_kind, answer.evidence.target_id], wanted, JSON.stringify(answer));
        const [other] = answer.notes.filter((note) => /^target \d/.test(note));
        assert.match(other, heap ? /^target 1, server.js \(pid 4711\): no-leak/ : /^target 2, \[worker 1\] of worker.js .*: no-leak/);
    }
});

test('evidence that is not there is said, with the right exit code', async (t) => {
    const ws = workspace(t);
    const db = `sqlite:${ws.db}`;
    assertError(await heaptap(t, ws, ['diagnose', '--db', db]), 5);
    const target = await startTarget(t, { listens: false, code: 'setInterval(() => {}, 1000)' });
    assertExit(await heaptap(t, ws, ['run', target.port, ...ws.own, '--duration', '1s', '--no-snapshots',
        '--live-profile', 'off', '--metrics-interval', '300ms']), 0);
    const little = await again(t, ws);
    assertShape(little);
    assert.equal(little.verdict, 'inconclusive');
    assert.ok(little.notes.some((note) => /^next: /.test(note)), little.notes.join('\n'));
    assertError(await heaptap(t, ws, ['diagnose', '--db', db, '--run', 'ffffffff']), 5, /no run/);
    assertError(await heaptap(t, ws, ['diagnose', '--db', db, '--target', '9']), 2, /no target 9/);

    const file = path.join(ws.dir, 'one.heapsnapshot');
    assertExit(await heaptap(t, ws, ['snapshot', target.port, '-o', file, '--db', db]), 0);
    const one = await heaptap(t, ws, ['diagnose', '--json', file]);
    assertExit(one, 0);
    const said = JSON.parse(one.stdout);
    assertShape(said);
    assert.deepEqual([said.verdict, said.evidence.supports, said.evidence.snapshots], ['inconclusive', 'size', 1]);
    const broken = path.join(ws.dir, 'broken.heapsnapshot');
    fs.writeFileSync(broken, fs.readFileSync(file).subarray(0, 100_000));
    assertError(await heaptap(t, ws, ['diagnose', file, broken]), 6, /broken/);
    assertError(await heaptap(t, ws, ['diagnose', file, '--run', 'latest']), 2, /not both/);
    const missing = await heaptap(t, ws, ['diagnose', path.join(ws.dir, 'none.heapsnapshot')]);
    assert.notEqual(missing.code, 0);
});

test('a run that goes on is judged so far', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: server });
    load(t, target.url, ['/keep']);
    const run = startHeaptap(t, ws, ['run', target.port, ...ws.own, ...often, ...floors, '--no-snapshots']);
    await run.printed(/attached to/);
    await sleep(3000);
    const said = await again(t, ws);
    assertShape(said);
    assert.ok(said.notes.some((note) => /goes on/.test(note)), said.notes.join('\n'));
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    assert.match(run.stdout, /^(Leak|Growth|Inconclusive): /m);
});
