// What a reading says of its target: when it was taken, and nothing that the runtime does not tell.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
    assertExit, heaptap, rowsOf, sleep, sql, startHeaptap, startTarget, until, versions, workspace,
} from './lib.mjs';

const plain = ['--no-snapshots', '--live-profile', 'off'];

test('a reading that a stopped process answers late is not dated back', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = startHeaptap(t, ws, ['run', target.port, '--metrics-interval', '1s', ...plain, ...ws.own]);
    await until(() => rowsOf(ws) > 1, 'rows');
    target.child.kill('SIGSTOP');
    await sleep(100); // what it had answered is here by now
    const from = new Date().toISOString();
    await sleep(2000);
    const to = new Date().toISOString();
    target.child.kill('SIGCONT');
    const rows = rowsOf(ws);
    await until(() => rowsOf(ws) > rows + 2, 'rows after it');
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    const times = sql(ws.db, 'SELECT created_at FROM memory_metrics ORDER BY seq').map((row) => row.created_at);
    assert.deepEqual(times.filter((at) => at > from && at < to), [], `stopped from ${from} to ${to}`);
    assert.deepEqual(times, times.toSorted());
});

for (const node of versions)
    test(`the first reading of Node ${node} claims no figures of the time before it`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t, { node });
        const run = await heaptap(t, ws, ['run', target.port, ...plain, '--metrics-interval', '500ms', '--duration', '3s',
            ...ws.own]);
        assertExit(run, 0);
        const rows = sql(ws.db, `SELECT loop_delay_ms AS mean, loop_delay_max_ms AS most, loop_utilization AS used
            FROM memory_metrics ORDER BY seq`);
        assert.deepEqual(rows[0], { mean: null, most: null, used: null });
        // One that was put off may stand right before the next one.
        assert.ok(rows.filter((row) => row.mean === null).length <= 2, JSON.stringify(rows));
        for (const { mean, most, used } of rows.slice(1))
            assert.ok(mean >= 0 && most >= mean && used > 0 && used <= 1, JSON.stringify(rows));
    });
