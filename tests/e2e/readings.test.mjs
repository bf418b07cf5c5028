// What a reading says of its target: when it was taken, and nothing that the runtime does not tell.
import assert from 'node:assert/strict';
import test from 'node:test';
import { assertExit, rowsOf, sleep, sql, startHeaptap, startTarget, until, workspace } from './lib.mjs';

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
