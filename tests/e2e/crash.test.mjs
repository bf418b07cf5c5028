// Ends that nobody planned: signals, kill -9, full disks. What was recorded stays, nothing
// half-written does.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { startPeer } from './peer.mjs';
import {
    alive,
    assertError,
    assertExit,
    assertNoGap,
    atEnd,
    evaluate,
    heaptap,
    jsonLines,
    readSnapshot,
    sleep,
    sql,
    startHeaptap,
    startTarget,
    until,
    workspace,
    mayMount,
    rowsOf,
    mountSmall,
} from './lib.mjs';

// Waits until the run is writing a snapshot.
async function underWay(run, ws) {
    await until(
        () => {
            assert.ok(!run.over, `ended with ${run.code ?? run.signal}: ${run.stderr}`);
            return ws.files().some((name) => name.endsWith('.part'));
        },
        () => `a snapshot under way: ${run.stderr}`
    );
}

const startRun = (t, ws, target, ...options) =>
    startHeaptap(t, ws, ['run', '--metrics-interval', '100ms', ...options, ...ws.own, String(target.port)]);

// A heap whose snapshot takes about a second or more.
async function slowTarget(t, node = '22') {
    const target = await startTarget(t, {
        node,
        listens: false,
        code: `globalThis.kept = Array.from({ length: 150000 }, (_, id) => ({ id, name: 'n' + id, tags: [id] }));
            setInterval(() => {}, 1000); console.log('up')`,
    });
    await target.printed(/up/, 'stdout');
    return target;
}

for (const signal of ['SIGINT', 'SIGTERM'])
    test(`the first ${signal} ends a run normally, with everything kept`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t);
        const run = startRun(t, ws, target, '--json');
        await until(() => rowsOf(ws) > 8, 'some rows');
        run.child.kill(signal);
        await run.done;
        assertExit(run, 0);
        const lines = jsonLines(run.stdout);
        assert.ok(
            lines.some((line) => line.type === 'summary'),
            'no summary'
        );
        assert.equal(rowsOf(ws), lines.filter((line) => line.type === 'metrics').length);
        assertNoGap(ws.db);
        assert.ok(sql(ws.db, 'SELECT ended_at FROM runs')[0].ended_at);
        for (const name of ws.files()) readSnapshot(path.join(ws.dir, name));
        assert.ok(alive(target.pid));
    });

test('Ctrl-C in the middle of a snapshot completes or removes it', async (t) => {
    const ws = workspace(t);
    const target = await slowTarget(t);
    const run = startRun(t, ws, target, '--force');
    await underWay(run, ws);
    run.child.kill('SIGINT');
    await run.done;
    assertExit(run, 0);
    assert.ok(
        ws.files().every((name) => name.endsWith('.heapsnapshot')),
        ws.files().join()
    );
    for (const name of ws.files()) readSnapshot(path.join(ws.dir, name));
    assertNoGap(ws.db);
    assert.ok(alive(target.pid));
});

for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
])
    test(`the second ${signal} leaves at once`, async (t) => {
        const ws = workspace(t);
        const target = await slowTarget(t, '20');
        const run = startRun(t, ws, target, '--force');
        await underWay(run, ws);
        run.child.kill(signal);
        await sleep(100);
        run.child.kill(signal);
        const started = Date.now();
        await run.done;
        // A snapshot that was done before the second signal came is a normal end.
        if (run.code !== 0) {
            assert.ok(run.code === code || run.signal === signal, `${run.code} ${run.signal}`);
            assert.ok(Date.now() - started < 1000);
            const rows = sql(ws.db, 'SELECT state, reason FROM heap_snapshots');
            assert.ok(rows.every((row) => row.state !== 'running'), JSON.stringify(rows));
        }
        assert.equal(sql(ws.db, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
    });

test('a snapshot that is interrupted leaves nothing', async (t) => {
    const ws = workspace(t);
    const target = await slowTarget(t);
    const run = startHeaptap(t, ws, ['snapshot', '--force', '--dir', ws.dir, String(target.port)]);
    await underWay(run, ws);
    run.child.kill('SIGINT');
    await run.done;
    assert.ok([0, 130].includes(run.code) || run.signal === 'SIGINT', `${run.code} ${run.signal}`);
    assert.ok(
        ws.files().every((name) => name.endsWith('.heapsnapshot')),
        ws.files().join()
    );
});

test('a target that does not come to its event loop is told, and one Ctrl-C is enough', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, {
        listens: false,
        code: `console.log('up'); setTimeout(() => { for (;;); }, 300)`,
    });
    await sleep(1000);
    const run = startHeaptap(t, ws, ['snapshot', '--force', ...ws.own, String(target.port)]);
    await underWay(run, ws);
    await run.printed(/has not begun the snapshot for 1\d\.\d s: it is busy within one function/);
    run.child.kill('SIGTERM');
    await run.printed(/if it has not begun it in 10\.0 s, it is given up/);
    const started = Date.now();
    await run.done;
    assertError(run, 4, /given up: the target has not begun the snapshot/);
    assert.ok(Date.now() - started < 20_000, `it took ${Date.now() - started} ms to leave`);
    assert.deepEqual(ws.files(), []);
    const [row] = sql(ws.db, 'SELECT state, reason FROM heap_snapshots');
    assert.equal(row.state, 'failed');
    assert.match(row.reason, /has not begun/);
    assert.equal(await evaluate(target.ws, '6 * 7'), 42);
    assert.ok(alive(target.pid));
});

test('kill -9 at any moment loses at most the rows of the last half second', async (t) => {
    const target = await startTarget(t);
    for (let round = 0; round < 8; round++) {
        const ws = workspace(t);
        const run = startHeaptap(t, ws, [
            'run',
            '--metrics-interval',
            '50ms',
            '--no-snapshots',
            '--json',
            ...ws.own,
            String(target.port),
        ]);
        await until(() => rowsOf(ws) > 0, 'the first rows');
        await sleep(300 + Math.random() * 1200);
        run.child.kill('SIGKILL');
        const killed = Date.now();
        await run.done;
        assert.equal(sql(ws.db, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
        assertNoGap(ws.db);
        // What it had printed by then was sampled; all but the last half second must be in the record.
        const lines = run.stdout
            .split('\n')
            .slice(0, -1)
            .map((line) => JSON.parse(line))
            .filter((line) => line.type === 'metrics');
        const kept = new Set(
            sql(ws.db, 'SELECT created_at FROM memory_metrics').map((row) => row.created_at)
        );
        for (const line of lines)
            if (Date.parse(line.time) < killed - 500)
                assert.ok(
                    kept.has(line.time),
                    `lost the row of ${killed - Date.parse(line.time)} ms before the kill`
                );
        assert.ok(lines.length > 3);
    }
});

test('kill -9 in the middle of snapshots leaves only .part, and the next start says so', async (t) => {
    const small = await startTarget(t);
    let parts = 0;
    for (let round = 0; round < 4; round++) {
        const target = await slowTarget(t);
        const ws = workspace(t);
        const run = startRun(t, ws, target, '--force');
        await underWay(run, ws);
        // Once with an empty file, then in the midst of the chunks.
        const written = () =>
            ws.files().some((name) => fs.statSync(path.join(ws.dir, name)).size > 0);
        if (round > 0) await until(written, 'bytes in the file');
        await sleep(Math.random() * 300);
        run.child.kill('SIGKILL');
        await run.done;
        // Node 22 itself dies now and then of a client that vanishes in the middle: the guardian stays.
        assert.equal(await evaluate(target.ws, '6 * 7'), 42);
        assert.ok(!target.over, `the target ended with ${target.signal ?? target.code}`);
        const left = ws.files();
        for (const name of left) {
            assert.match(name, /\.heapsnapshot(\.part)?$/);
            if (name.endsWith('.heapsnapshot')) readSnapshot(path.join(ws.dir, name));
        }
        assert.equal(sql(ws.db, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
        const part = left.find((name) => name.endsWith('.part'));
        if (part) {
            parts++;
            // An empty file may be one that is just being made: it is told after 2 s.
            if (fs.statSync(path.join(ws.dir, part)).size === 0) await sleep(2500);
            const next = await heaptap(t, ws, [
                'run',
                '--duration',
                '500ms',
                '--metrics-interval',
                '100ms',
                '--no-snapshots',
                ...ws.own,
                String(small.port),
            ]);
            assertExit(next, 0);
            assert.ok(
                next.stderr.includes(part),
                `the next start does not name ${part}:\n${next.stderr}`
            );
        }
    }
    assert.ok(parts > 0, 'never killed within a snapshot');
});

const childrenOf = (pid) => fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

for (const [how, end, options] of [
    ['kill -9', (run) => run.child.kill('SIGKILL'), ['--no-diagnosis']],
    ['a second Ctrl-C', async (run) => {
        run.child.kill('SIGINT');
        await run.printed(/once more to leave at once/);
        run.child.kill('SIGINT');
    }, ['--no-diagnosis', '--live-profile', 'off']],
])
    test(`${how} in the middle of a snapshot does not cut the target off: it can send the rest`, async (t) => {
        const ws = workspace(t);
        const target = await slowTarget(t);
        let run, killed, closed, answered, helpers;
        let held = []; // what comes while heaptap ends is told when nobody is there any more
        const pass = (text, conn) => {
            conn.text(text);
            const id = /^\{"id":/.test(text) && JSON.parse(text).id;
            if (id && conn.method(id) === 'HeapProfiler.takeHeapSnapshot') answered = true;
        };
        const peer = await startPeer(t, {
            upstream: target.port,
            tell(text, conn) {
                if (!killed && conn.chunks === 3) {
                    helpers = childrenOf(run.pid);
                    conn.socket.on('close', () => (closed = { answered }));
                    killed = Promise.resolve(end(run)).then(() => run.done).then(() => {
                        for (const part of held) pass(part, conn);
                        held = undefined;
                    });
                }
                if (killed && held) held.push(text);
                else pass(text, conn);
                return true;
            },
        });
        run = startHeaptap(t, ws, ['run', '--force', ...options, ...ws.own, String(peer.port)]);
        await until(() => killed !== undefined, 'the third piece', 60000);
        await killed; // its output is closed, too: nobody who reads that waits for the guardian
        assert.deepEqual([run.signal, run.code], how === 'kill -9' ? ['SIGKILL', null] : [null, 130]);
        await until(() => closed, 'the end of the connection', 60000);
        assert.ok(closed.answered, 'the connection ended before the snapshot did');
        assert.ok(helpers.length > 0);
        await until(() => !helpers.some(alive), 'the end of the guardian');
        assert.deepEqual(peer.faults, []);
    });

test('no guardian is left when all is well', async (t) => {
    const ws = workspace(t);
    const target = await slowTarget(t);
    const run = startHeaptap(t, ws, ['snapshot', '--force', '--dir', ws.dir, String(target.port)]);
    await underWay(run, ws);
    const helpers = childrenOf(run.pid);
    assertExit(await run.done, 0);
    assert.ok(helpers.length > 0 && !helpers.some(alive), `${helpers}`);
});

test('a .part that another heaptap is writing is not reported as left over', async (t) => {
    const ws = workspace(t);
    const target = await slowTarget(t, '20');
    const small = await startTarget(t);
    const run = startRun(t, ws, target, '--force');
    await underWay(run, ws);
    const part = ws.files().find((name) => name.endsWith('.part'));
    const next = await heaptap(t, ws, [
        'run',
        '--duration',
        '300ms',
        '--metrics-interval',
        '100ms',
        '--no-snapshots',
        '--dir',
        ws.dir,
        '--db',
        `sqlite:${ws.path('other.db')}`,
        String(small.port),
    ]);
    assertExit(next, 0);
    assert.ok(!next.stderr.includes(part), next.stderr);
    run.child.kill('SIGINT');
    await run.done;
    assert.ok(
        ws.files().every((name) => name.endsWith('.heapsnapshot')),
        ws.files().join()
    );
});

test('readings go on while another heaptap captures', async (t) => {
    const ws = workspace(t);
    const other = workspace(t);
    const slow = await slowTarget(t, '20');
    const small = await startTarget(t);
    const first = startHeaptap(t, other, ['run', '--force', ...other.own, String(slow.port)]);
    await underWay(first, other);
    const run = await heaptap(t, ws, [
        ...['run', '--duration', '1500ms', '--metrics-interval', '100ms', ...ws.own],
        String(small.port),
    ]);
    assertExit(run, 0);
    assert.ok(run.ms < 5000, `it waited for the other's capture at its end: ${run.ms} ms`);
    assert.ok(rowsOf(ws) >= 8, `${rowsOf(ws)} rows`);
    first.child.kill('SIGINT');
    await first.done;
});

test('who waits for another capture is told whose it is, and one Ctrl-C ends the wait', async (t) => {
    const ws = workspace(t);
    const other = workspace(t);
    const hung = await startTarget(t, {
        listens: false,
        code: `console.log('up'); setTimeout(() => { for (;;); }, 300)`,
    });
    const small = await startTarget(t);
    await sleep(1000);
    const first = startHeaptap(t, other, ['snapshot', '--force', ...other.own, String(hung.port)]);
    await underWay(first, other);
    const one = startHeaptap(t, ws, ['snapshot', ...ws.own, String(small.port)]);
    await one.printed(new RegExp(`waiting for another capture on this host \\(of heaptap, pid ${first.pid}\\)`));
    one.child.kill('SIGINT');
    const started = Date.now();
    await one.done;
    assertError(one, 4, /another capture on this host had not ended/);
    assert.ok(Date.now() - started < 5000);
    const late = await heaptap(t, ws, ['snapshot', '--timeout', '1s', ...ws.own, String(small.port)]);
    assertError(late, 124);
    const run = await heaptap(t, ws, ['run', '--duration', '1s', '--no-diagnosis', ...ws.own, String(small.port)]);
    assertExit(run, 0);
    assert.match(run.stdout, /1 not begun \(another capture on this host had not ended\)/);
    assert.doesNotMatch(run.stdout, /refused/);
    first.child.kill('SIGINT');
    await sleep(100);
    first.child.kill('SIGINT');
    await first.done;
});

test('a file-size limit fails the snapshot with a clear line and leaves no file', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const wrapper = ['prlimit', '--fsize=2000000'];
    const one = await heaptap(t, ws, ['snapshot', '--dir', ws.dir, String(target.port)], {
        wrapper,
    });
    assertError(one, 4, /large|space|size/i);
    assert.deepEqual(ws.files(), []);
    // The record may be past the limit, too, as its file is not made anew.
    const big = workspace(t);
    assertExit(await heaptap(t, big, ['db', 'init', '--db', `sqlite:${big.db}`]), 0);
    execFileSync('sqlite3', [big.db, 'CREATE TABLE padding(x); INSERT INTO padding VALUES (zeroblob(3000000))']);
    const past = await heaptap(t, big, ['snapshot', ...big.own, String(target.port)], { wrapper });
    assert.equal(past.signal, null);
    assertError(past, 4, /large|space|size/i);
    const run = await heaptap(
        t,
        ws,
        ['run', '--duration', '3s', '--metrics-interval', '200ms', ...ws.own, String(target.port)],
        { wrapper }
    );
    assertExit(run, 0);
    assert.deepEqual(ws.files(), []);
    assert.ok(rowsOf(ws) > 5, 'the metrics did not go on');
    assert.ok(
        sql(ws.db, "SELECT count(*) AS n FROM heap_snapshots WHERE state = 'failed'")[0].n >= 1
    );
});

test(
    'a full disk fails the snapshot, leaves no file, and the run goes on',
    {
        skip: mayMount
            ? false
            : 'only root may mount a small disk; the file-size limit above stands in for it',
    },
    async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t);
        const disk = ws.path('disk');
        mountSmall(t, disk, '2m');
        const one = await heaptap(t, ws, [
            'snapshot',
            '--min-free',
            '0',
            '--force',
            '--dir',
            disk,
            String(target.port),
        ]);
        assertError(one, 4, /space|full/i); // --force: else the guard refuses before the disk does
        assert.deepEqual(fs.readdirSync(disk), []);
        const guarded = await heaptap(t, ws, ['snapshot', '--dir', disk, String(target.port)]);
        assertError(guarded, 4, /free/i);
        const run = await heaptap(t, ws, [
            'run',
            '--duration',
            '3s',
            '--metrics-interval',
            '200ms',
            '--min-free',
            '0',
            '--force',
            '--snapshot-interval',
            '1s',
            '--dir',
            disk,
            '--db',
            `sqlite:${ws.db}`,
            String(target.port),
        ]);
        assertExit(run, 0);
        assert.deepEqual(fs.readdirSync(disk), []);
        assert.ok(rowsOf(ws) > 5, 'the metrics did not go on');
    }
);

test('output that goes away does not end the run', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = startHeaptap(t, ws, [
        'run',
        '--duration',
        '3s',
        '--metrics-interval',
        '100ms',
        '--no-snapshots',
        '--json',
        ...ws.own,
        String(target.port),
    ]);
    await until(() => rowsOf(ws) > 3, 'some rows');
    run.child.stdout.destroy();
    run.child.stderr.destroy();
    const rows = rowsOf(ws);
    await run.done;
    assert.notEqual(run.signal, 'SIGPIPE');
    assert.ok(rowsOf(ws) > rows + 5, 'it stopped recording');
});
