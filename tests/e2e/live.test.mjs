// The live profile of `run`: the line that allocates a leak grows in the record without a snapshot,
// somebody else's sampling is left alone, and ours comes back when somebody ends it.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
    assertExit, assertNoGap, heaptap, rowsOf, sleep, sql, startHeaptap, startTarget, until, versions, workspace,
} from './lib.mjs';

// A second inspector client, as DevTools or a profiling agent would be.
async function client(t, target) {
    const socket = new WebSocket(target.ws);
    const waiting = new Map();
    let id = 0;
    socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        waiting.get(message.id)?.(message);
    };
    await new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = reject;
    });
    t.after(() => socket.close());
    return {
        close: () => socket.close(),
        call: (method, params) => new Promise((resolve) => {
            waiting.set(++id, resolve);
            socket.send(JSON.stringify({ id, method, params }));
        }),
    };
}

const samples = async (other) => !(await other.call('HeapProfiler.getSamplingProfile')).error;

// Live bytes of each site in the latest reading: a site has a row when it changed.
const latest = (db) => sql(db, `SELECT function, url, line_number AS line, column_number AS "column",
        live_bytes, seq FROM allocation_sites s
    WHERE seq = (SELECT max(seq) FROM allocation_sites t WHERE t.function = s.function
        AND t.url IS s.url AND t.line_number IS s.line_number AND t.column_number IS s.column_number)
    ORDER BY live_bytes DESC`);

// Few and large objects: V8 samples physical frames, so what an optimised caller has inlined would be
// counted as the caller's.
const leaky = `
class Invoice { constructor(i) { this.i = i; this.lines = new Array(1024).fill(i); } }
const kept = [];
function stashInvoice(list, i) { list.push(...[i, i + 1].map((n) => new Invoice(n))); }
function garbage() { let s = 0; for (let i = 0; i < 500; i++) s += JSON.stringify({ i, a: [i] }).length; return s; }
let i = 0;
setInterval(() => { stashInvoice(kept, i++); garbage(); }, 10);`;

for (const node of versions) {
    test(`the leaking line has the most live bytes in the record, Node ${node}`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t, { node, code: leaky, listens: false });
        const run = await heaptap(t, ws, ['run', target.port, ...ws.own, '--duration', '8s', '--no-snapshots',
            '--metrics-interval', '2s', '--live-profile', '64KB', '--live-profile-interval', '1500ms']);
        assertExit(run, 0);
        assert.match(run.stderr, /live profile .*--live-profile off/, 'the first line says it is on');
        const sites = latest(ws.db);
        assert.match(sites[0].function, /^(Invoice|stashInvoice\/<anonymous>)$/);
        assert.ok(sites[0].live_bytes > 1e6, `${sites[0].live_bytes} live bytes`);
        assert.equal(sites[0].url, '[eval]');
        const series = sql(ws.db, `SELECT reading, live_bytes, stack FROM allocation_sites
            WHERE function = '${sites[0].function}' ORDER BY seq`);
        assert.ok(series.length >= 3, `${series.length} readings`);
        assert.ok(series.at(-1).live_bytes > 1.5 * series[0].live_bytes, JSON.stringify(series));
        const stack = JSON.parse(series[0].stack);
        assert.ok(stack.some((frame) => frame.function === 'stashInvoice' && frame.line === 4), series[0].stack);
        assert.equal(series.at(-1).stack, null, 'a stack is kept once');
        assert.ok(sql(ws.db, `SELECT count(*) AS n FROM memory_metrics WHERE label = 'after-gc'`)[0].n >= 3);
        assertNoGap(ws.db, 'allocation_sites');
        const answer = await heaptap(t, ws, ['metrics', 'sites', '--json', '--db', `sqlite:${ws.db}`]);
        assertExit(answer, 0);
        const [first] = JSON.parse(answer.stdout).rows;
        assert.equal(first.function, sites[0].function, 'the steepest site is the leak');
        assert.ok(first.low > 0 && first.low < first.bytes_per_hour && first.bytes_per_hour < first.high);
        const other = await client(t, target);
        assert.equal(await samples(other), false, 'sampling goes on after heaptap has left');
    });
}

test('an app that keeps nothing has no site that grows on', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { listens: false, code: `setInterval(() => {
        let s = 0; for (let i = 0; i < 2000; i++) s += JSON.stringify({ i, a: [i] }).length; }, 5)` });
    assertExit(await heaptap(t, ws, ['run', target.port, ...ws.own, '--duration', '6s', '--no-snapshots',
        '--live-profile', '32KB', '--live-profile-interval', '1s']), 0);
    assert.ok(latest(ws.db).every((site) => site.live_bytes < 1e6), JSON.stringify(latest(ws.db)));
});

test('sampling of somebody else is neither read nor ended', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const other = await client(t, target);
    await other.call('HeapProfiler.startSampling', { samplingInterval: 1024 });
    const run = await heaptap(t, ws, ['run', target.port, ...ws.own, '--duration', '3s', '--no-snapshots',
        '--live-profile-interval', '1s']);
    assertExit(run, 0);
    assert.match(run.stderr, /no live profile: .*left alone/);
    assert.equal(sql(ws.db, 'SELECT * FROM allocation_sites').length, 0);
    assert.equal(await samples(other), true, 'heaptap ended the sampling of somebody else');
});

test('what a killed heaptap has left for a second is waited for by the next one', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const args = ['run', target.port, ...ws.own, '--no-snapshots', '--live-profile', '64KB', '--live-profile-interval', '1s'];
    const floors = () => sql(ws.db, `SELECT * FROM memory_metrics WHERE label = 'after-gc'`).length;
    const first = startHeaptap(t, ws, args);
    await until(() => rowsOf(ws) && floors() > 1, 'floors of the first run');
    first.child.kill('SIGKILL');
    await first.done;
    const before = floors();
    const run = startHeaptap(t, ws, args);
    await until(() => floors() > before + 1, () => `floors of the second run:\n${run.stderr}`);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    assert.equal(run.stderr.match(/left alone/g)?.length, 1, run.stderr);
});

test('--live-profile steal takes the sampling over', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const other = await client(t, target);
    await other.call('HeapProfiler.startSampling', { samplingInterval: 1024 });
    assertExit(await heaptap(t, ws, ['run', target.port, ...ws.own, '--duration', '4s', '--no-snapshots',
        '--live-profile', 'steal', '--live-profile-interval', '1s']), 0);
    assert.ok(sql(ws.db, 'SELECT * FROM allocation_sites').length > 0);
    assert.equal(await samples(other), false);
});

test('ended by somebody else it comes back twice, then gives up with one line', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const run = startHeaptap(t, ws, ['run', target.port, ...ws.own, '--no-snapshots', '--live-profile-interval', '1s']);
    const other = await client(t, target);
    for (let round = 1; round <= 3; round++) {
        await until(() => samples(other), 'our sampling');
        await other.call('HeapProfiler.stopSampling');
        await run.printed(round < 3 ? new RegExp(`(live profile: somebody.*[^]*){${round}}`)
            : /no live profile: somebody else has ended it three times/);
    }
    await sleep(1500);
    assert.equal(await samples(other), false, 'it does not insist');
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    const events = sql(ws.db, `SELECT kind, detail FROM events WHERE kind LIKE 'live-profile%' ORDER BY seq`);
    assert.deepEqual(events.map((event) => event.kind),
        ['live-profile-broken', 'live-profile-broken', 'live-profile-ended']);
});

test('--live-profile off asks nothing of the heap profiler', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = startHeaptap(t, ws, ['run', target.port, ...ws.own, '--no-snapshots', '--live-profile', 'off']);
    await run.printed(/attached to/);
    const other = await client(t, target);
    assert.equal(await samples(other), false);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    assert.match(run.stderr, /live profile off/);
    assert.equal(sql(ws.db, `SELECT * FROM memory_metrics WHERE label = 'after-gc'`).length, 0);
});

for (const [value, error] of [['12', /at least 1KB/], ['much', /--live-profile/]]) {
    test(`--live-profile ${value} is an error of usage`, async (t) => {
        const ws = workspace(t);
        const run = await heaptap(t, ws, ['run', '9', '--live-profile', value, ...ws.own]);
        assertExit(run, 2);
        assert.match(run.stderr, error);
    });
}
