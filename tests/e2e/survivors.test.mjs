// survivors and allocations: the leaking line comes first on every Node, a profiler that runs stays
// running, Ctrl-C keeps what there is, and bad files are told from good ones.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import {
    assertError, assertExit, heaptap, jsonLines, sql, startHeaptap, startTarget, versions, workspace,
} from './lib.mjs';

const leaky = `
const kept = [], before = [];
for (let i = 0; i < 2000; i++) before.push(new Array(1024).fill(i)); // 16 MB from before the while
function stashInvoice(i) { kept.push(...[i].map((n) => new Array(1024).fill(n))); }
function garbage() { let s = 0; for (let i = 0; i < 500; i++) s += JSON.stringify({ i, a: [i] }).length; return s; }
let i = 0;
setInterval(() => { stashInvoice(i++); garbage(); }, 5);`;

const sites = (run) => jsonLines(run.stdout).at(-1).sites;

for (const node of versions) {
    test(`the leaking line comes first, Node ${node}`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t, { node, code: leaky, listens: false });
        const run = await heaptap(t, ws, ['survivors', target.port, '--duration', '2s', '--json', ...ws.own]);
        assertExit(run, 0);
        const [first] = sites(run);
        assert.equal(first.function, 'stashInvoice/<anonymous>');
        assert.equal(first.url, '[eval]');
        assert.equal(first.line, 4);
        assert.ok(first.live_bytes > 500_000 && first.live_bytes < 8e6, `${first.live_bytes}`);
        assert.ok(first.stack.some((frame) => frame.function === 'stashInvoice'));
        const [name] = ws.files();
        assert.match(name, /^heap-survivors-.*\.heapprofile$/);
        const profile = JSON.parse(fs.readFileSync(`${ws.dir}/${name}`, 'utf8'));
        assert.ok(profile.head.children.length > 0 && profile.samples.length > 10);
        const [row] = sql(ws.db, 'SELECT kind, state, file FROM heap_snapshots');
        assert.equal(row.kind, 'heapprofile');
        assert.equal(row.state, 'complete');
        const [stored] = sql(ws.db, 'SELECT function, live_bytes, snapshot_id FROM allocation_sites ORDER BY seq');
        assert.deepEqual(stored, { function: first.function, live_bytes: first.live_bytes, snapshot_id: 1 });
    });
}

test('a profiler that runs is left running, and what it knew before is not counted', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { listens: false, code: `
        function early() { const list = []; for (let i = 0; i < 500; i++) list.push(new Array(1024).fill(i)); return list; }
        const inspector = require('node:inspector');
        const session = new inspector.Session();
        session.connect();
        session.post('HeapProfiler.startSampling', { samplingInterval: 16384 });
        globalThis.first = early();
        globalThis.running = () => { let yes; session.post('HeapProfiler.getSamplingProfile', (e) => { yes = !e; }); return yes; };
        setInterval(() => console.log('running', running()), 500);
        ${leaky}` });
    await target.printed(/running true/, 'stdout');
    const run = await heaptap(t, ws, ['survivors', target.port, '--duration', '2s', '--json', ...ws.own]);
    assertExit(run, 0);
    const list = sites(run);
    assert.equal(list[0].function, 'stashInvoice/<anonymous>');
    assert.equal(list.find((site) => site.function === 'early'), undefined, 'counted from before');
    const said = target.stdout.length;
    await target.printed(/running (true|false)\n.*running (true|false)/s, 'stdout');
    assert.doesNotMatch(target.stdout.slice(said), /false/, 'heaptap ended a profiler that is not its own');
});

test('Ctrl-C ends it early and keeps what has survived', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const run = startHeaptap(t, ws, ['survivors', target.port, '--duration', '10m', ...ws.own]);
    await run.printed(/attached to/);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    assert.match(run.stdout, /stashInvoice/);
    assert.equal(ws.files().length, 1);
});

test('a target that dies takes no file with it, and the exit code says so', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const run = startHeaptap(t, ws, ['survivors', target.port, '--duration', '10m', ...ws.own]);
    await run.printed(/attached to/);
    target.child.kill('SIGKILL');
    assertExit(await run.done, 3);
    assert.deepEqual(ws.files(), []);
});

test('two profiles are compared by site', async (t) => {
    const ws = workspace(t);
    const frame = (functionName, lineNumber) => ({ functionName, scriptId: '1', url: 'file:///a.js', lineNumber, columnNumber: 0 });
    const file = (name, sizes) => {
        const children = Object.entries(sizes).map(([fn, selfSize], i) =>
            ({ callFrame: frame(fn, fn.length), selfSize, id: i + 2, children: [] }));
        fs.writeFileSync(ws.path(name), JSON.stringify({ samples: [],
            head: { callFrame: frame('(root)', -1), selfSize: 0, id: 1, children } }));
        return ws.path(name);
    };
    const old = file('old.heapprofile', { same: 10, grows: 100, gone: 7 });
    const now = file('now.heapprofile', { same: 10, grows: 900, fresh: 5 });
    const run = await heaptap(t, ws, ['allocations', '--diff', old, now, '--json']);
    assertExit(run, 0);
    assert.deepEqual(JSON.parse(run.stdout).sites.map((site) => [site.function, site.delta_bytes]),
        [['grows', 800], ['fresh', 5], ['gone', -7]]);
    const collapsed = await heaptap(t, ws, ['allocations', '--collapsed', now]);
    assert.match(collapsed.stdout, /^grows \(a\.js:6\) 900$/m);
});

test('files that are no profile are refused with exit code 6', async (t) => {
    const ws = workspace(t);
    for (const [name, text] of [['cut', '{"head":{"callFrame":{"functionName":"'], ['empty', ''], ['other', '{"a":1}'],
        ['deep', '['.repeat(100_000)], ['noise', '\x00\xff\x1b[31m']]) {
        fs.writeFileSync(ws.path(name), text);
        assertError(await heaptap(t, ws, ['allocations', ws.path(name)]), 6, new RegExp(name));
    }
    assertError(await heaptap(t, ws, ['allocations', '/nonexistent']), 4, /nonexistent/);
});
