// The guard and retention: nobody's server is stalled or killed by a snapshot that nobody agreed to,
// and no disk is filled; what is refused or deleted stands in the record.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { alive, assertError, assertExit, heaptap, here, readSnapshot, sleep, sql, startHeaptap, startTarget,
    until, workspace } from './lib.mjs';
import { memoryGroup } from './memory-group.mjs';

const ballast = path.join(here, 'ballast.cjs');
const snapshots = (ws) => sql(ws.db, 'SELECT * FROM heap_snapshots ORDER BY run_id, snapshot_id');
const lines = (run, pattern) => run.stderr.split('\n').filter((line) => pattern.test(line));
const files = (ws) => ws.files().filter((name) => /\.heapsnapshot(\.zst)?$/.test(name));
// Runs until so many captures have ended, however long others on this host hold the lease.
async function runUntil(t, ws, args, count) {
    const run = startHeaptap(t, ws, [...args, '--json']);
    const ended = () => run.stdout.match(/"type":"snapshot"/g)?.length ?? 0;
    await until(() => ended() >= count || run.over, () => `${count} captures:\n${run.stderr}`, 120_000);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    return run;
}

// A local inspector client that evaluates once and leaves.
async function visit(target) {
    const socket = new WebSocket(target.ws);
    await new Promise((resolve) => (socket.onopen = resolve));
    const answer = new Promise((resolve) => (socket.onmessage = resolve));
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression: '1' } }));
    await answer;
    const closed = new Promise((resolve) => (socket.onclose = resolve));
    socket.close();
    await closed;
}

test('a snapshot that would stall too long is refused with exit code 4, a row and one line', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = await heaptap(t, ws, ['snapshot', target.port, ...ws.own, '--max-pause', '1ms']);
    assertError(run, 4, /stall it for about .* --max-pause is 1 ms/);
    assert.equal(lines(run, /--max-pause/).length, 1, run.stderr);
    const [row] = snapshots(ws);
    assert.equal(row.state, 'refused');
    assert.equal(row.guard, 'refuse');
    assert.match(row.reason, /--max-pause.*--force/);
    assert.ok(row.forecast_pause_ms > 1 && row.forecast_memory > 0 && row.forecast_nodes > 10_000, row);
    assert.equal(row.pause_ms, null);
    assert.deepEqual(ws.files(), []);
    await target.get('/ok');
});

test('--force takes it all the same, and the record says that it was forced and why', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = await heaptap(t, ws, ['snapshot', target.port, ...ws.own, '--max-pause', '1ms', '--force']);
    assertExit(run, 0);
    const [row] = snapshots(ws);
    assert.deepEqual([row.state, row.guard], ['complete', 'forced']);
    assert.match(row.reason, /--max-pause is 1 ms/);
    assert.match(run.stderr, /taken by --force, although/);
    assert.ok(row.pause_ms > 1 && row.rss_peak > row.rss_before);
    readSnapshot(row.file);
});

test('a run that is refused goes on, says so once, records every refusal and tries ever later', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = await heaptap(t, ws, ['run', target.port, ...ws.own, '--max-pause', '1ms',
        '--snapshot-interval', '500ms', '--metrics-interval', '200ms', '--duration', '8s']);
    assertExit(run, 0);
    const rows = snapshots(ws).filter((row) => row.trigger !== 'final');
    assert.ok(rows.length >= 3 && rows.length <= 6, `${rows.length} tries in 8 s`); // 0, 0.5, 1.5, 3.5, 7.5
    for (const row of rows)
        assert.deepEqual([row.state, row.guard, row.file], ['refused', 'refuse', null]);
    const times = sql(ws.db, `SELECT min(created_at) AS at FROM heap_snapshot_states
        GROUP BY snapshot_id ORDER BY snapshot_id`).map((row) => Date.parse(row.at));
    assert.ok(times[2] - times[1] >= 900, `${times.map((at) => at - times[0])}`);
    assert.equal(lines(run, /no snapshot:/).length, 1, run.stderr);
    assert.match(run.stdout, /refused by the guard/);
    const [{ n }] = sql(ws.db, `SELECT count(*) AS n FROM memory_metrics WHERE label = 'interval'`);
    assert.ok(n > 10, 'readings go on');
});

test('a heap above 64 MB is counted first, and the count is right', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { script: ballast, args: ['80', 'strings'], flags: ['--expose-gc'] });
    await runUntil(t, ws, ['run', target.port, ...ws.own, '--max-pause', '5m', '--max-snapshots', '2',
        '--live-profile', 'off', '--snapshot-interval', '500ms', '--max-pause-share', '100%'], 2);
    const [first, second] = snapshots(ws);
    assert.equal(first.forecast_by, 'count');
    assert.ok(Math.abs(first.forecast_nodes / first.node_count - 1) < 0.02,
        `${first.forecast_nodes} forecast, ${first.node_count} found`);
    assert.ok(first.forecast_memory > first.rss_peak - first.rss_before, 'memory was underestimated');
    assert.equal(second.forecast_by, 'history');
    assert.deepEqual([first.epoch, second.epoch], [1, 1], 'the count came before the first epoch');
    assert.equal(sql(ws.db, `SELECT count(*) AS n FROM events WHERE kind = 'count'`)[0].n, 1);
    assert.equal(sql(ws.db, `SELECT count(*) AS n FROM memory_metrics WHERE label = 'after-gc'`)[0].n, 1);
    // Another run of the same program knows from the record.
    const again = await heaptap(t, ws, ['snapshot', target.port, ...ws.own, '--max-pause', '5m'],
        { timeout: 120_000 });
    assertExit(again, 0);
    const last = sql(ws.db, `SELECT * FROM heap_snapshots WHERE trigger = 'manual'`)[0];
    assert.equal(last.forecast_by, 'history');
    assert.equal(last.guard, 'go');
});

test('a heap that is mostly garbage is collected before it is refused', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { script: ballast, args: ['5'], flags: ['--expose-gc'] });
    assertExit(await heaptap(t, ws, ['snapshot', target.port, ...ws.own]), 0);
    // By what is used it would take seconds, by what is alive half of one. V8 may collect by itself
    // before we look; then once more.
    for (let i = 0; ; i++) {
        await target.get('/garbage?mb=50');
        const run = await heaptap(t, ws, ['snapshot', target.port, ...ws.own, '--max-pause', '2s']);
        const [before, after] = sql(ws.db, `SELECT label, heap_used FROM memory_metrics WHERE run_id =
            (SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1) ORDER BY seq`);
        if (before.heap_used < 35 && i < 10)
            continue;
        assert.deepEqual([before.label, after?.label], ['before-snapshot', 'after-gc'], run.stderr);
        assert.ok(after.heap_used < before.heap_used / 2);
        break;
    }
});

test('an epoch that ends is said in the record', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const done = runUntil(t, ws, ['run', target.port, ...ws.own, '--snapshot-interval', '7s',
        '--max-snapshots', '2', '--max-pause-share', '100%'], 2);
    await until(() => files(ws).length === 1, 'the first snapshot');
    await sleep(1500); // its canary is known by now
    await visit(target);
    await done;
    const [first, second] = snapshots(ws);
    assert.deepEqual([first.epoch, second.epoch], [1, 2]);
    const events = sql(ws.db, `SELECT * FROM events WHERE kind = 'epoch'`);
    assert.equal(events.length, 1);
    assert.equal(events[0].snapshot_id, second.snapshot_id);
});

test('scheduled snapshots keep to --max-pause-share of the time', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = await heaptap(t, ws, ['run', target.port, ...ws.own, '--snapshot-interval', '100ms',
        '--max-pause-share', '20%', '--duration', '10s']);
    assertExit(run, 0);
    const rows = sql(ws.db, `SELECT s.*, (SELECT min(created_at) FROM heap_snapshot_states b
        WHERE b.snapshot_id = s.snapshot_id) AS began_at FROM heap_snapshots s ORDER BY s.snapshot_id`);
    assert.ok(rows.length >= 2, `${rows.length} snapshots in 10 s`);
    for (let i = 1; i < rows.length; i++) {
        const rest = Date.parse(rows[i].began_at) - Date.parse(rows[i - 1].created_at);
        assert.ok(rest >= rows[i - 1].pause_ms * 4 - 60, `${rest} ms of rest after ${rows[i - 1].pause_ms} ms`);
    }
    const stalled = rows.slice(0, -1).reduce((sum, row) => sum + row.pause_ms, 0);
    assert.ok(stalled < 0.25 * 10_000, `${stalled} ms of 10 s`);
});

test('a disk that has room for a compressed file only gets one', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = await heaptap(t, ws, ['snapshot', target.port, ...ws.own, '--max-disk', '5MB']);
    assertExit(run, 0);
    const [row] = snapshots(ws);
    assert.equal(row.guard, 'degrade');
    assert.match(row.reason, /compressed/);
    assert.match(run.stdout.trim(), /\.heapsnapshot\.zst$/);
    readSnapshot(run.stdout.trim());
    const refused = await heaptap(t, ws, ['snapshot', target.port, ...ws.own, '--max-disk', '1KB']);
    assertError(refused, 4, /--max-disk/);
});

test('--keep leaves the first and the latest, and rows say what was deleted', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    await runUntil(t, ws, ['run', target.port, ...ws.own, '--keep', '3', '--max-snapshots', '6',
        '--snapshot-interval', '200ms', '--max-pause-share', '100%'], 6);
    const rows = snapshots(ws);
    assert.equal(rows.length, 6);
    assert.deepEqual(rows.map((row) => row.state),
        ['complete', 'deleted', 'deleted', 'deleted', 'complete', 'complete']);
    for (const row of rows) {
        assert.equal(fs.existsSync(row.file), row.state === 'complete', row.file);
        assert.ok(row.sha256 && row.node_count > 0, 'a deleted file keeps its figures');
        if (row.state === 'deleted')
            assert.match(row.reason, /--keep 3/);
    }
    assert.equal(files(ws).length, 3);
});

test('--max-disk holds over runs, and takes middles before ends', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const args = ['run', target.port, ...ws.own, '--max-snapshots', '3', '--snapshot-interval', '200ms',
        '--max-pause-share', '100%'];
    await runUntil(t, ws, args, 3);
    const first = snapshots(ws);
    const size = first[0].bytes;
    await runUntil(t, ws, [...args, '--max-disk', `${5 * size}`], 3);
    const rows = snapshots(ws);
    const old = rows.filter((row) => row.run_id === first[0].run_id);
    const own = rows.filter((row) => row.run_id !== first[0].run_id);
    assert.equal(old[1].state, 'deleted', 'the middle of the old run went first');
    assert.match(old[1].reason, /--max-disk/);
    assert.deepEqual([own[0].state, own.at(-1).state], ['complete', 'complete']);
    const bytes = files(ws).reduce((sum, name) => sum + fs.statSync(path.join(ws.dir, name)).size, 0);
    assert.ok(bytes <= 5 * size, `${bytes} bytes of ${5 * size}`);
});

test('a snapshot that would burst the control group is not taken, and the server lives', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { script: ballast, args: ['30'], flags: ['--expose-gc'] });
    memoryGroup(t, 'e2e', 200 << 20).add(target);
    const run = await heaptap(t, ws, ['snapshot', target.port, ...ws.own, '--max-pause', '5m']);
    assertError(run, 4, /control group/);
    assert.ok(alive(target.pid));
    await target.get('/ok');
    const [row] = snapshots(ws);
    assert.equal(row.state, 'refused');
    assert.match(row.reason, /needs about .* its control group has .* left/);
});
