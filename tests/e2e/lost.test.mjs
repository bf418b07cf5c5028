// Targets that go and come back: in a capture, and again; and those that are not there at first.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
    alive, assertExit, freePort, quick, rowsOf, sleep, sql, startHeaptap, startTarget, until, workspace,
} from './lib.mjs';
import { startPeer } from './peer.mjs';

const warnings = (run) => run.stderr.split('\n').filter((line) => /went in a capture/.test(line));

test('a process that dies in each snapshot is left alone for longer and longer', async (t) => {
    const ws = workspace(t);
    const port = await freePort();
    const born = () => startTarget(t, { inspect: `--inspect=127.0.0.1:${port}`, listens: false,
        code: `globalThis.kept = []; for (let i = 0; i < 3e5; i++) kept.push({ i, of: 'ballast' + i });
            setInterval(() => {}, 1000)` });
    let target = await born();
    let deaths = 0;
    const run = startHeaptap(t, ws, ['run', port, ...quick, '--snapshot-interval', '2s', '--duration', '11s',
        '--live-profile', 'off', '--no-diagnosis', '--force', ...ws.own]);
    while (!run.over) { // an OOM killer, and a supervisor
        if (alive(target.pid) && ws.files().some((name) => name.endsWith('.part'))) {
            target.child.kill('SIGKILL');
            await target.done;
            deaths++;
            target = await born();
        }
        await sleep(10);
    }
    assertExit(await run.done, 0);
    assert.ok(deaths >= 2 && deaths <= 3, `${deaths} deaths`); // at 0, 2 and 6 s
    const told = warnings(run).map((line) => /has none by itself for (\S+)/.exec(line)?.[1]);
    assert.deepEqual(told, ['2.0', '4.0', '8.0'].slice(0, deaths), run.stderr);
    assert.ok(rowsOf(ws) > 15, `it is read all the same: ${rowsOf(ws)} rows`);
    assert.equal(sql(ws.db, "SELECT * FROM events WHERE kind = 'spared'").length, deaths);
    assert.equal(sql(ws.db, 'SELECT * FROM targets').length, deaths + 1);
});

test('a connection that breaks in each snapshot is not tried with another at once', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    let asked = 0;
    const peer = await startPeer(t, {
        upstream: target.port,
        ask: ({ method }, conn) => {
            if (method !== 'HeapProfiler.takeHeapSnapshot') return false;
            asked++;
            conn.die();
            return true;
        },
    });
    const run = startHeaptap(t, ws, ['run', peer.port, ...quick, '--snapshot-interval', '1m',
        '--live-profile', 'off', '--no-diagnosis', ...ws.own]);
    await run.printed(/went in a capture/);
    await until(() => rowsOf(ws) > 12, 'rows of the connection after it');
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    assert.equal(asked, 1, `${asked} snapshots were asked for`);
    assert.match(warnings(run).join(), /has none by itself for 1 m 0 s/);
});

test('a target that is not there at first is watched when it comes, and else named at the end', async (t) => {
    const ws = workspace(t);
    const [late, never] = [await freePort(), await freePort()];
    const target = await startTarget(t);
    const run = startHeaptap(t, ws, ['run', never, late, target.port, ...quick, '--no-snapshots',
        '--live-profile', 'off', '--no-diagnosis', ...ws.own]);
    await until(() => rowsOf(ws) > 3, 'rows');
    await sleep(1500);
    const { pid } = await startTarget(t, { inspect: `--inspect=127.0.0.1:${late}` });
    await run.printed(new RegExp(`attached to server.js, pid ${pid}`));
    await sleep(700);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    for (const port of [late, never])
        assert.equal(run.stderr.match(new RegExp(`${port}.*tried on as long as`, 'g'))?.length, 1, run.stderr);
    assert.match(run.stdout, new RegExp(`^never there: 127.0.0.1:${never}$`, 'm'));
    const read = sql(ws.db, 'SELECT pid, count(*) AS n FROM targets JOIN memory_metrics USING (target_id) GROUP BY pid');
    assert.equal(read.length, 2);
    assert.ok(read.every(({ n }) => n > 1), JSON.stringify(read));
});

test('targets that are all absent end a run with exit code 3, after --wait if it is given', async (t) => {
    const ws = workspace(t);
    const ports = [await freePort(), await freePort()];
    const args = ['run', ...ports, ...quick, '--json', ...ws.own];
    const at = Date.now();
    const none = startHeaptap(t, ws, args);
    assertExit(await none.done, 3);
    assert.ok(Date.now() - at < 5000, `at once, not after ${Date.now() - at} ms`);
    for (const port of ports) assert.match(none.stdout + none.stderr, new RegExp(`nothing listens .*${port}`));
    const waiting = startHeaptap(t, ws, [...args, '--wait', '2s']);
    assertExit(await waiting.done, 3);
    assert.ok(Date.now() - at >= 2000);
    const one = startHeaptap(t, ws, [...args, '--wait', '30s', '--duration', '1s', '--no-snapshots']);
    await sleep(1000);
    await startTarget(t, { inspect: `--inspect=127.0.0.1:${ports[1]}` });
    assertExit(await one.done, 0);
    const summary = one.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line))
        .find(({ type }) => type === 'summary');
    assert.deepEqual(summary.never_there, [`127.0.0.1:${ports[0]}`]);
});
