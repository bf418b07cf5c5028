// timeline: recorded, streamed and kept like a snapshot; the leaking line comes first on every Node,
// and the output says when a file has the stacks of a part of the objects only.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import {
    assertError, assertExit, heaptap, jsonLines, readSnapshot, sleep, sql, startHeaptap, startTarget, until, versions,
    workspace,
} from './lib.mjs';

// Large objects, and no optimiser: what an optimised caller has inlined is recorded as the caller's.
// It tells whenever somebody changes V8's flags.
const leaky = `
const v8 = require('node:v8'), setFlags = v8.setFlagsFromString;
v8.setFlagsFromString = (flags) => { setFlags(flags); console.log('flags', flags); };
const kept = [];
class Invoice { constructor(i) { this.lines = new Array(1024).fill(i); } }
function stashInvoice(i) { kept.push(...[i].map((n) => new Invoice(n))); }
function garbage() { let s = 0; for (let i = 0; i < 50; i++) s += JSON.stringify({ i, a: [i] }).length; return s; }
let i = 0;
setInterval(() => { stashInvoice(i++); garbage(); }, 10);`;

// One capture at a time on a host: another test's may come first.
const PATIENT = { timeout: 180_000 };

const traceOf = (file) => file.snapshot.meta.node_fields.indexOf('trace_node_id');

// Objects in the file that carry a trace whose innermost function has that name.
function liveIn(file, name) {
    const { meta } = file.snapshot;
    const infos = file.trace_function_infos;
    const width = meta.trace_function_info_fields.length;
    const traces = new Set();
    const walk = (tree) => {
        for (let i = 0; i < tree.length; i += 5) {
            if (file.strings[infos[tree[i + 1] * width + 1]] === name) traces.add(tree[i]);
            walk(tree[i + 4]);
        }
    };
    walk(file.trace_tree);
    const stride = meta.node_fields.length;
    let live = 0;
    for (let i = traceOf(file); i < file.nodes.length; i += stride) if (traces.has(file.nodes[i])) live++;
    return live;
}

for (const node of versions) {
    test(`--stacks shows the leaking line, Node ${node}`, async (t) => {
        const ws = workspace(t);
        const flags = Number(node) < 22 ? ['--no-opt'] : ['--no-opt', '--no-maglev'];
        const target = await startTarget(t, { node, code: leaky, listens: false, flags });
        const run = await heaptap(t, ws, ['timeline', target.port, '--duration', '3s', '--stacks', '--yes', '--json', ...ws.own], PATIENT);
        assertExit(run, 0);
        const answer = jsonLines(run.stdout).at(-1);
        assert.equal(answer.schema, 'heaptap.allocations/1');
        assert.equal(answer.kind, 'timeline');
        assert.equal(target.stdout, 'flags --no-compact\nflags --compact\n', 'V8 is left as it was');
        assert.match(answer.sites[0].function, /^Invoice(\/<anonymous>)?$/);
        assert.ok(answer.sites[0].stack.some((frame) => frame.function === 'stashInvoice' && frame.line === 6),
            JSON.stringify(answer.sites[0].stack));
        assert.ok(answer.intervals.length > 10);
        const recorded = answer.intervals.slice(1).reduce((sum, interval) => sum + interval.live_bytes, 0);
        assert.ok(recorded > 100_000, `${recorded} bytes in the intervals`);
        const [name] = ws.files();
        assert.match(name, /^heap-timeline-.*\.heaptimeline$/);
        const file = readSnapshot(`${ws.dir}/${name}`);
        assert.equal(file.samples.length, 2 * answer.intervals.length);
        assert.equal(answer.sites[0].live_count, liveIn(file, 'Invoice'));
        assert.ok(answer.recorded_with_stack > 0 && answer.recorded_with_stack <= answer.recorded_live_count);
        const [row] = sql(ws.db, 'SELECT kind, state, bytes, node_count, pause_ms FROM heap_snapshots');
        assert.equal(row.kind, 'heaptimeline');
        assert.equal(row.state, 'complete');
        assert.ok(row.pause_ms > 0 && row.node_count > 1000);
        const [stored] = sql(ws.db, `SELECT count(*) AS n, sum(live_bytes) AS bytes FROM allocation_intervals WHERE snapshot_id = 1`);
        assert.equal(stored.n, answer.intervals.length);
        assert.equal(stored.bytes, answer.intervals.reduce((sum, interval) => sum + interval.live_bytes, 0));
        const [site] = sql(ws.db, `SELECT function, live_bytes, count FROM allocation_sites
            WHERE source = 'timeline' ORDER BY live_bytes DESC, seq LIMIT 1`);
        assert.deepEqual(site, { function: answer.sites[0].function, live_bytes: answer.sites[0].live_bytes, count: answer.sites[0].count });
        // What lives of the recording: its class, and the way that it is held by.
        const shown = async (...args) => JSON.parse((await heaptap(t, ws, ['allocations', '--json', `${ws.dir}/${name}`, ...args])).stdout);
        const span = await shown('--interval', `1..${answer.intervals.length - 1}`, '--class', '^Invoice$');
        assert.equal(span.classes.length, 1);
        const { nodes, strings } = file, stride = file.snapshot.meta.node_fields.length;
        const invoices = [];
        for (let i = 0; i < nodes.length; i += stride)
            if (strings[nodes[i + 1]] === 'Invoice' && nodes[i + 3] > 0 && nodes[i + 2] > answer.intervals[0].last_object_id
                && nodes[i + 2] <= answer.intervals.at(-1).last_object_id) invoices.push(i);
        assert.equal(span.live_count, invoices.length);
        const lost = invoices.filter((i) => nodes[i + traceOf(file)] === 0).length;
        assert.ok(lost < 0.02 * invoices.length, `V8 lost the stacks of ${lost} of ${invoices.length} when it moved them`);
        assert.ok(span.paths.some((path) => /variable kept: Array → \[\]: Invoice/.test(path.path) && path.count > invoices.length / 2),
            JSON.stringify(span.paths.slice(0, 3)));
        const flat = await shown('--view', 'flat');
        assert.equal(flat.nodes.find((f) => f.function === 'Invoice').live_count, liveIn(file, 'Invoice'));
        const callers = (await shown('--view', 'bottom-up')).nodes;
        const from = callers.findIndex((f) => f.depth === 0 && f.function === 'Invoice');
        const to = callers.findIndex((f, i) => i > from && f.depth === 0);
        assert.ok(callers.slice(from, to < 0 ? undefined : to).some((f) => f.function === 'stashInvoice'));
        if (node === '24') {
            const none = await heaptap(t, ws, ['allocations', `${ws.dir}/${name}`, '--interval', '7..3']);
            assertError(none, 2, /ends before it begins/);
            // As DevTools records it: half of the objects were moved, and have no stack.
            for (let i = traceOf(file); i < nodes.length; i += 2 * stride) nodes[i] = 0;
            fs.writeFileSync(ws.path('moved.heaptimeline'), JSON.stringify(file));
            const text = await heaptap(t, ws, ['allocations', ws.path('moved.heaptimeline')]);
            assert.match(text.stdout, /stacks are known of [\d,]+ of the [\d,]+ live objects that were recorded \([45]\d %\)/);
            assert.match(text.stdout, /Invoice/);
        }
    });
}

test('without stacks there are intervals, and it says how to get stacks', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const run = await heaptap(t, ws, ['timeline', target.port, '--duration', '1s', '-o', ws.path('a.heaptimeline'), ...ws.own]);
    assertExit(run, 0);
    assert.match(run.stdout, /live bytes by time of allocation/);
    assert.match(run.stdout, /no stacks were recorded \(timeline --stacks records them\)/);
    readSnapshot(ws.path('a.heaptimeline'));
    for (const view of [['--view', 'bottom-up'], ['--collapsed'], ['--diff', ws.path('a.heaptimeline')]])
        assertError(await heaptap(t, ws, ['allocations', ...view, ws.path('a.heaptimeline')]), 2, /a\.heaptimeline: no stacks were recorded/);
});

test('Ctrl-C ends a recording early and keeps it', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const run = startHeaptap(t, ws, ['timeline', target.port, '--duration', '10m', ...ws.own]);
    await run.printed(/recording for/, 'stderr', 180_000);
    await sleep(1500);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    assert.equal(ws.files().length, 1);
    readSnapshot(`${ws.dir}/${ws.files()[0]}`);
});

test('a target that dies while it is recorded leaves no file, and exit code 3', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const run = startHeaptap(t, ws, ['timeline', target.port, '--duration', '10m', ...ws.own]);
    await run.printed(/recording for/, 'stderr', 180_000);
    await sleep(1000);
    target.child.kill('SIGKILL');
    assertExit(await run.done, 3);
    assert.deepEqual(ws.files(), []);
    assert.equal(sql(ws.db, 'SELECT state FROM heap_snapshots')[0].state, 'failed');
});

test('--stacks without a terminal and without --yes is refused before the target is touched', async (t) => {
    const ws = workspace(t);
    const run = await heaptap(t, ws, ['timeline', '9', '--stacks', ...ws.own]);
    assertError(run, 2, /36 to 50 times slower.*--yes/);
});

test('run records timelines on a schedule, between its readings', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { code: leaky, listens: false });
    const run = startHeaptap(t, ws, ['run', target.port, ...ws.own, '--no-snapshots', '--metrics-interval', '500ms',
        '--timeline-interval', '3s', '--timeline-duration', '1s', '--stacks', '--yes', '--live-profile', 'off', '--max-pause-share', '100%']);
    const timelines = await until(() => {
        const names = ws.files().filter((name) => name.endsWith('.heaptimeline'));
        return names.length >= 2 && names;
    }, () => `two timelines\n${run.stderr}`, PATIENT.timeout);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    readSnapshot(`${ws.dir}/${timelines[0]}`);
    const rows = sql(ws.db, `SELECT trigger, state FROM heap_snapshots WHERE kind = 'heaptimeline'`);
    assert.ok(rows.length >= 2 && rows.every((row) => row.trigger === 'interval'), JSON.stringify(rows));
    assert.ok(sql(ws.db, `SELECT count(*) AS n FROM memory_metrics WHERE label = 'interval'`)[0].n >= 5);
    const times = sql(ws.db, `SELECT count(DISTINCT created_at) AS times FROM allocation_sites`);
    assert.ok(times[0].times <= rows.length, 'the sites of one timeline have one time');
    // The view that tells which site grows from one timeline to the next.
    const sites = sql(ws.db, `SELECT snapshot_id, function, sum(live_bytes) AS live FROM allocation_sites
        WHERE source = 'timeline' AND function LIKE 'Invoice%' GROUP BY 1, 2`);
    const steps = sql(ws.db, `SELECT old_snapshot_id, new_snapshot_id, function, sum(old_live_bytes) AS old, sum(new_live_bytes) AS new,
        sum(growth_bytes) AS growth FROM site_growth WHERE function LIKE 'Invoice%' GROUP BY 1, 2, 3`);
    const live = (snapshot, name) => sites.find((s) => s.snapshot_id === snapshot && s.function === name)?.live ?? 0;
    assert.ok(steps.length > 0, JSON.stringify(sites));
    for (const step of steps)
        assert.deepEqual([step.old, step.new, step.growth], [live(step.old_snapshot_id, step.function),
            live(step.new_snapshot_id, step.function), live(step.new_snapshot_id, step.function) - live(step.old_snapshot_id, step.function)]);
});
