// What takes minutes to prove: a connection that is silent for 400 s lives, idle and in a stall, and
// ten minutes beside two leaky servers, one of them restarted, leave a record without a gap.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { startPeer } from './peer.mjs';
import {
    assertExit,
    assertNoGap,
    countClass,
    freePort,
    get,
    heaptap,
    readSnapshot,
    shop,
    sleep,
    sql,
    startTarget,
    workspace,
} from './lib.mjs';

const SILENCE_S = Number(process.env.HEAPTAP_SILENCE_S ?? 400);
const RUN_S = Number(process.env.HEAPTAP_LONG_S ?? 600);

test('a connection that is silent for minutes lives', { concurrency: 2 }, async (t) => {
    await Promise.all([
        t.test('an idle connection lives through the silence', async (t) => {
            const ws = workspace(t);
            const target = await startTarget(t, { node: '22' });
            const peer = await startPeer(t, { upstream: target.port });
            const run = await heaptap(
                t,
                ws,
                [
                    ...['run', '--duration', `${SILENCE_S + 10}s`, '--metrics-interval', '1h'],
                    ...['--no-snapshots', ...ws.own, String(peer.port)],
                ],
                { timeout: (SILENCE_S + 60) * 1000 }
            );
            assertExit(run, 0);
            assert.equal(peer.connections.length, 1, 'it was connected anew');
            assert.deepEqual(peer.faults, []);
        }),
        t.test('a stalled target is waited for, and its snapshot comes whole', async (t) => {
            const ws = workspace(t);
            const target = await startTarget(t, {
                node: '24',
                listens: false,
                code: `console.log('up'); setTimeout(() => Atomics.wait(new Int32Array(
                    new SharedArrayBuffer(4)), 0, 0, ${SILENCE_S * 1000}), 500); setInterval(() => {}, 1000)`,
            });
            await sleep(1000);
            const file = ws.path('late.heapsnapshot');
            const run = await heaptap(
                t,
                ws,
                ['snapshot', String(target.port), '--force', '-o', file],
                { timeout: (SILENCE_S + 60) * 1000 }
            );
            assertExit(run, 0);
            assert.ok(run.ms > (SILENCE_S - 5) * 1000, `after ${run.ms} ms`);
            readSnapshot(file);
        }),
    ]);
});

// After the others: a capture waits for those of the same host, such as the one that is stalled.
test('two leaky servers for ten minutes, one restarted', async (t) => {
    const ws = workspace(t);
    const port = await freePort();
    const inspect = `--inspect=127.0.0.1:${port}`;
    const one = await startTarget(t, { node: '20', inspect });
    const two = await startTarget(t, { node: '24', script: shop.esm });
    let on = true;
    const visits = [];
    const visit = async (target) => {
        for (let i = 0; on; i++) {
            await get(target.url, ['/page', '/report', '/product?id=' + i][i % 3]).catch(
                () => {}
            );
            await sleep(20);
        }
    };
    visits.push(visit(one), visit(two));
    const running = heaptap(
        t,
        ws,
        [
            ...['run', '--duration', `${RUN_S}s`, '--metrics-interval', '1s'],
            ...['--snapshot-interval', '60s', ...ws.own, String(port), String(two.port)],
        ],
        { timeout: (RUN_S + 120) * 1000 }
    );
    await sleep((RUN_S / 2) * 1000);
    one.child.kill('SIGTERM');
    await one.done;
    await sleep(3000);
    const again = await startTarget(t, { node: '20', inspect });
    visits.push(visit(again));
    const run = await running;
    on = false;
    await Promise.all(visits);
    assertExit(run, 0);
    for (const table of [
        'memory_metrics',
        'run_states',
        'target_states',
        'heap_snapshot_states',
    ])
        assertNoGap(ws.db, table);
    const targets = sql(ws.db, 'SELECT target_id, pid FROM targets ORDER BY target_id');
    assert.deepEqual(
        targets.map((row) => row.pid).sort(),
        [one.pid, two.pid, again.pid].sort()
    );
    for (const { target_id: id, pid } of targets) {
        const [{ n, worst }] = sql(
            ws.db,
            `SELECT count(*) AS n, max(gap) AS worst FROM (SELECT
            (julianday(created_at) - julianday(lag(created_at) OVER (ORDER BY seq))) * 86400 AS gap
            FROM memory_metrics WHERE target_id = ${id} AND label = 'interval')`
        );
        const want = pid === two.pid ? RUN_S : RUN_S / 2;
        assert.ok(n > want * 0.9 - 15, `target ${id}: ${n} rows of about ${want}`);
        const [{ pause }] = sql(
            ws.db,
            `SELECT coalesce(max(pause_ms), 0) / 1000.0 AS pause FROM heap_snapshots WHERE target_id = ${id}`
        );
        assert.ok(
            worst < 10 + 2 * pause,
            `target ${id}: ${worst} s without a row, the longest snapshot took ${pause} s`
        );
    }
    const files = sql(
        ws.db,
        "SELECT t.pid, s.file FROM heap_snapshots s JOIN targets t USING (run_id, target_id) WHERE s.state = 'complete' ORDER BY s.snapshot_id"
    );
    assert.equal(
        new Set(files.map((row) => path.basename(row.file))).size,
        ws.files().length
    );
    const counts = files
        .filter((row) => row.pid === two.pid)
        .map((row) => countClass(readSnapshot(row.file), 'SessionState'));
    const others = sql(
        ws.db,
        `SELECT created_at, target_id, state, reason FROM heap_snapshots WHERE state <> 'complete'`
    );
    assert.ok(
        counts.length >= RUN_S / 60 - 1,
        `${counts.join()}; ${JSON.stringify(others)}`
    );
    assert.ok(
        counts.every((count, i) => i === 0 || count > counts[i - 1]),
        counts.join()
    );
    t.diagnostic(
        `${sql(ws.db, 'SELECT count(*) AS n FROM memory_metrics')[0].n} rows, ` +
            `${ws.files().length} snapshots, sessions ${counts.join()}`
    );
});
