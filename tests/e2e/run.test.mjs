// The main job on real processes: samples, snapshots on a schedule, and a record that is whole.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
    alive,
    assertError,
    assertExit,
    assertRecord,
    countClass,
    freePort,
    get,
    heaptap,
    jsonLines,
    quick,
    readSnapshot,
    rowsOf,
    sha256,
    shop,
    sleep,
    sql,
    startHeaptap,
    startTarget,
    until,
    versions,
    workspace,
} from './lib.mjs';

// Visits pages until the returned function is called; gives how many were answered.
function visit(target, pages = ['/page', '/report', '/product?id=1'], pauseMs = 10) {
    let on = true;
    let count = 0;
    const done = (async () => {
        while (on) {
            await get(target.url, pages[count % pages.length]).catch(() => (on = false));
            count++;
            await sleep(pauseMs);
        }
    })();
    return async () => {
        on = false;
        await done;
        return count;
    };
}

for (const node of ['18', '26'])
    test(`a stall of Node ${node} shows while it lasts and after it, though readings are taken in it`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t, {
            node,
            listens: false,
            code: `setInterval(() => { for (const end = Date.now() + 1500; Date.now() < end; ); }, 2500)`,
        });
        await sleep(500);
        const run = await heaptap(t, ws, ['run', '--duration', '7s', ...quick, '--no-snapshots',
            '--live-profile', 'off', ...ws.own, String(target.port)]);
        assertExit(run, 0);
        const late = sql(ws.db, 'SELECT loop_delay_max_ms AS ms FROM memory_metrics').map((row) => row.ms);
        const within = late.filter((ms) => ms > 300 && ms < 1000).length;
        assert.ok(Math.max(...late) > 1100, `a stall of 1.5 s, yet at most ${Math.max(...late)} ms`);
        assert.ok(within >= 1, `no reading tells of a stall that lasts: ${late}`);
    });

for (const node of versions)
    for (const form of ['cjs', 'esm'])
        test(`a run records metrics and snapshots of Node ${node}, ${form}`, async (t) => {
            const ws = workspace(t);
            const target = await startTarget(t, { node, script: shop[form] });
            await target.get('/page', 100);
            const stop = visit(target);
            const run = await heaptap(t, ws, [
                'run',
                '--duration',
                '7s',
                ...quick,
                '--snapshot-interval',
                '3s',
                '--json',
                ...ws.own,
                String(target.port),
            ]);
            await stop();
            assertExit(run, 0);

            const lines = jsonLines(run.stdout);
            assert.ok(
                lines.every((line) => typeof line.type === 'string'),
                'a line without a type'
            );
            const types = new Set(lines.map((line) => line.type));
            for (const type of ['metrics', 'snapshot', 'summary'])
                assert.ok(types.has(type), `no ${type} in ${[...types]}`);
            assert.equal(
                lines.at(-1).type === 'summary' || lines.at(-1).type === 'diagnosis',
                true
            );

            const rows = sql(
                ws.db,
                "SELECT * FROM memory_metrics WHERE label = 'interval' ORDER BY seq"
            );
            assert.ok(rows.length >= 2, `${rows.length} rows`); // 7, but not on a busy machine
            assert.equal(
                lines.filter((line) => line.type === 'metrics' && line.label === 'interval').length,
                rows.length
            );
            for (const row of rows) {
                assert.ok(
                    row.heap_used > 1 && row.heap_used < 200,
                    `heap_used ${row.heap_used} MB`
                );
                assert.ok(row.heap_total >= row.heap_used * 0.9 && row.heap_total < 500);
                assert.ok(row.rss > row.heap_total * 0.5 && row.rss < 1000, `rss ${row.rss} MB`);
                assert.ok(row.external > 0 && row.array_buffers >= 0);
                assert.ok(row.heap_limit > 100, `heap_limit ${row.heap_limit} MB`);
                assert.ok(row.gc_count >= 0);
                assert.ok(row.loop_delay_ms >= 0);
                assert.match(row.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
                assert.equal(row.request_url, null);
                const spaces = JSON.parse(row.heap_spaces);
                assert.ok(
                    Object.keys(spaces).some((name) => /old/.test(name)),
                    row.heap_spaces
                );
            }
            assert.ok(
                rows.at(-1).gc_count > 0,
                'the report page makes garbage, yet no GC was seen'
            );
            const status = fs.readFileSync(`/proc/${target.pid}/status`, 'utf8');
            const rss = Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
            assert.ok(
                Math.abs(rows.at(-1).rss - rss) < rss * 0.5,
                `rss ${rows.at(-1).rss}, really ${rss} MB`
            );

            const snapshots = sql(ws.db, 'SELECT * FROM heap_snapshots ORDER BY snapshot_id');
            assert.ok(snapshots.length >= 2, `${snapshots.length} snapshots`);
            assert.deepEqual(snapshots.map((row) => path.basename(row.file)).sort(), ws.files());
            let before = 99;
            for (const row of snapshots) {
                assert.match(
                    path.basename(row.file),
                    new RegExp(
                        `^heap-[a-z0-9-]+-\\d{8}T\\d{6}\\.\\d{3}Z-${target.pid}-\\d+\\.heapsnapshot$`
                    )
                );
                const stat = fs.statSync(row.file);
                assert.equal(stat.mode & 0o777, 0o600);
                assert.equal(stat.size, row.bytes);
                assert.equal(sha256(row.file), row.sha256);
                const snapshot = readSnapshot(row.file);
                assert.equal(snapshot.snapshot.node_count, row.node_count);
                assert.equal(snapshot.snapshot.edge_count, row.edge_count);
                assert.ok(row.pause_ms > 5 && row.pause_ms < 60_000, `pause ${row.pause_ms}`);
                assert.ok(row.rss_peak > 10e6, `rss_peak ${row.rss_peak}`);
                const sessions = countClass(snapshot, 'SessionState');
                assert.ok(sessions > before, `${sessions} sessions after ${before}`);
                before = sessions;
            }
            const labels = sql(
                ws.db,
                'SELECT label, count(*) AS n FROM memory_metrics GROUP BY label'
            );
            for (const label of ['before-snapshot', 'after-snapshot'])
                assert.equal(labels.find((row) => row.label === label)?.n, snapshots.length, label);

            const [known] = sql(ws.db, 'SELECT * FROM targets');
            assert.equal(known.pid, target.pid);
            assert.match(known.runtime_version, new RegExp(`^v?${node}\\.`));
            const [summary] = sql(ws.db, 'SELECT * FROM runs');
            assert.ok(summary.ended_at);
            assert.equal(summary.exit_code, 0);
            assertRecord(ws);

            // The target goes on as if nothing had been.
            await target.get('/page', 3);
            target.child.kill('SIGTERM');
            assert.equal((await target.done).signal, 'SIGTERM');
        });

test('two targets are watched by one run, in one record', async (t) => {
    const ws = workspace(t);
    const one = await startTarget(t, { node: '20' });
    const two = await startTarget(t, { node: '24', script: shop.esm });
    const run = await heaptap(t, ws, [
        'run',
        '--duration',
        '4s',
        ...quick,
        '--snapshot-interval',
        '2s',
        ...ws.own,
        String(one.port),
        String(two.port),
    ]);
    assertExit(run, 0);
    const targets = sql(ws.db, 'SELECT target_id, pid FROM targets ORDER BY target_id');
    assert.deepEqual(targets.map((row) => row.pid).sort(), [one.pid, two.pid].sort());
    for (const { target_id: id } of targets) {
        const [{ n }] = sql(
            ws.db,
            `SELECT count(*) AS n FROM memory_metrics WHERE target_id = ${id} AND label = 'interval'`
        );
        assert.ok(n >= 6, `target ${id}: ${n} rows`);
        const [{ s }] = sql(
            ws.db,
            `SELECT count(*) AS s FROM heap_snapshots WHERE target_id = ${id}`
        );
        assert.ok(s >= 1, `target ${id}: ${s} snapshots`);
    }
    assertRecord(ws);
});

test('the run goes on with one target when the other is gone', async (t) => {
    const ws = workspace(t);
    const one = await startTarget(t, { node: '22' });
    const two = await startTarget(t, { node: '22' });
    setTimeout(() => one.child.kill('SIGKILL'), 1500);
    const run = await heaptap(t, ws, [
        'run',
        '--duration',
        '5s',
        ...quick,
        '--no-snapshots',
        ...ws.own,
        String(one.port),
        String(two.port),
    ]);
    assertExit(run, 0);
    const rows = sql(
        ws.db,
        `SELECT t.pid, max(m.created_at) AS last, count(*) AS n FROM memory_metrics m
        JOIN targets t USING (run_id, target_id) GROUP BY t.pid`
    );
    const dead = rows.find((row) => row.pid === one.pid);
    const living = rows.find((row) => row.pid === two.pid);
    assert.ok(Date.parse(living.last) - Date.parse(dead.last) > 1500, JSON.stringify(rows));
    assertRecord(ws);
});

test('a target that restarts is a new target in a record without a gap', async (t) => {
    const ws = workspace(t);
    const port = await freePort();
    const inspect = `--inspect=127.0.0.1:${port}`;
    const first = await startTarget(t, { inspect });
    const running = heaptap(t, ws, [
        'run',
        '--duration',
        '12s',
        ...quick,
        '--snapshot-interval',
        '3s',
        ...ws.own,
        first.ws,
    ]);
    await until(() => rowsOf(ws) > 6, 'rows of the first');
    first.child.kill('SIGKILL');
    await first.done;
    await sleep(500);
    const second = await startTarget(t, { inspect });
    assertExit(await running, 0);
    const targets = sql(ws.db, 'SELECT target_id, pid, gone_at FROM targets ORDER BY target_id');
    assert.deepEqual(
        targets.map((row) => row.pid),
        [first.pid, second.pid]
    );
    for (const { target_id: id } of targets)
        assert.ok(
            sql(ws.db, `SELECT count(*) AS n FROM memory_metrics WHERE target_id = ${id}`)[0].n > 3,
            `target ${id}`
        );
    assert.ok(targets[0].gone_at, 'the first is not marked as gone');
    assert.ok(
        ws.files().every((name) => name.endsWith('.heapsnapshot')),
        ws.files().join()
    );
    assertRecord(ws);
});

test('a target that dies in the middle of a snapshot leaves no file and the run goes on', async (t) => {
    const ws = workspace(t);
    const port = await freePort();
    const inspect = `--inspect=127.0.0.1:${port}`;
    const first = await startTarget(t, { inspect, env: {}, code: undefined });
    await first.get('/page', 1500);
    const running = startHeaptap(t, ws, [
        'run',
        '--duration',
        '8s',
        ...quick,
        '--snapshot-interval',
        '60s',
        ...ws.own,
        String(port),
    ]);
    await until(() => ws.files().some((name) => name.endsWith('.part')), 'a snapshot under way');
    first.child.kill('SIGKILL');
    await first.done;
    await startTarget(t, { inspect });
    await running.done;
    assertExit(running, 0);
    assert.ok(
        ws.files().every((name) => name.endsWith('.heapsnapshot')),
        ws.files().join()
    );
    for (const name of ws.files()) readSnapshot(path.join(ws.dir, name));
    const states = sql(ws.db, 'SELECT state, file FROM heap_snapshots');
    assert.ok(
        states.some((row) => /failed/.test(row.state)),
        JSON.stringify(states)
    );
    assertRecord(ws);
});

test('run -- COMMAND watches the process that serves, and ends what it started', async (t) => {
    const ws = workspace(t);
    // As npm run dev does: a launcher that starts a helper and the server.
    fs.writeFileSync(ws.path('helper.js'), 'setInterval(() => {}, 1000)');
    fs.writeFileSync(
        ws.path('launch.js'),
        `const { spawn } = require('node:child_process');
        spawn(process.execPath, [${JSON.stringify(ws.path('helper.js'))}], { stdio: 'inherit' });
        const server = spawn(process.execPath, [${JSON.stringify(shop.cjs)}], { stdio: 'inherit' });
        console.log('server pid ' + server.pid);
        process.on('SIGTERM', () => { server.kill(); process.exit(0); });`
    );
    const run = await heaptap(t, ws, [
        'run',
        '--duration',
        '3s',
        ...quick,
        '--snapshot-interval',
        '2s',
        ...ws.own,
        '--',
        process.execPath,
        ws.path('launch.js'),
    ]);
    assertExit(run, 0);
    const pid = Number(/server pid (\d+)/.exec(run.stdout + run.stderr)[1]);
    const watched = sql(
        ws.db,
        `SELECT DISTINCT t.pid FROM memory_metrics m JOIN targets t USING (run_id, target_id)`
    );
    assert.deepEqual(
        watched.map((row) => row.pid),
        [pid],
        'it watched another process than the server'
    );
    assert.match(run.stderr, new RegExp(String(pid)), 'it does not say which process it watches');
    await until(() => !alive(pid), 'the server to end with the run', 5000);
    assertRecord(ws);
});

test('run -- COMMAND ends when the command ends, and says how', async (t) => {
    const ws = workspace(t);
    const run = await heaptap(
        t,
        ws,
        [
            'run',
            ...quick,
            '--no-snapshots',
            ...ws.own,
            '--',
            process.execPath,
            '-e',
            'require("node:http").createServer().listen(0, "127.0.0.1"); setTimeout(() => process.exit(3), 2500)',
        ],
        { timeout: 30_000 }
    );
    assert.ok(run.ms < 20_000);
    assert.ok(sql(ws.db, 'SELECT count(*) AS n FROM memory_metrics')[0].n > 3);
    const missing = await heaptap(t, ws, ['run', ...ws.own, '--', ws.path('no-such-program')]);
    assert.ok(missing.code > 0 && missing.code < 128, String(missing.code));
    assert.match(missing.stderr, /no-such-program/);
});

test('a target that is named several times, in whatever way, is watched once', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const other = await startTarget(t);
    const names = [target.port, `localhost:${target.port}`, target.port, `pid:${target.pid}`, target.ws];
    const run = await heaptap(t, ws, [
        ...['run', '--duration', '2s', ...quick, ...ws.own],
        ...[...names, other.port].map(String),
    ]);
    assertExit(run, 0);
    assert.match(run.stderr, new RegExp(`pid ${target.pid}: is named more than once; it is watched once`));
    const pids = sql(ws.db, 'SELECT pid FROM targets ORDER BY pid').map((row) => row.pid);
    assert.deepEqual(pids, [target.pid, other.pid].sort((a, b) => a - b));
    assert.match(run.stdout, /: 2 targets, /);
    assertRecord(ws);
});

test('run --json -- COMMAND has JSON Lines only on standard output, the command speaks on the other', async (t) => {
    const ws = workspace(t);
    const code = "console.log('hello from the app'); require('node:http').createServer().listen(0, '127.0.0.1')";
    const run = await heaptap(t, ws, [
        ...['run', '--json', '--duration', '1s', '--no-snapshots', ...quick, ...ws.own],
        ...['--', process.execPath, '-e', code],
    ]);
    assertExit(run, 0);
    for (const line of run.stdout.trim().split('\n')) assert.ok(JSON.parse(line).type, line);
    assert.match(run.stderr, /^hello from the app$/m);
});

test('a --match that picks nothing is told, and the command ends with the run', async (t) => {
    const ws = workspace(t);
    const run = startHeaptap(t, ws, ['run', '--no-snapshots', '--match', 'nonesuch', ...ws.own, '--', process.execPath, shop.cjs]);
    await run.printed(/warning: no process of the command .* matches --match/);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
});

test('--match picks the process to watch', async (t) => {
    const ws = workspace(t);
    fs.copyFileSync(path.join(path.dirname(shop.cjs), 'shop.js'), ws.path('shop.js'));
    fs.copyFileSync(shop.cjs, ws.path('alpha.js'));
    fs.copyFileSync(shop.cjs, ws.path('beta.js'));
    fs.writeFileSync(
        ws.path('launch.js'),
        `const { spawn } = require('node:child_process');
        for (const name of ['alpha', 'beta'])
            console.log(name + ' pid ' + spawn(process.execPath, [__dirname + '/' + name + '.js'], { stdio: 'inherit' }).pid);`
    );
    const run = await heaptap(t, ws, [
        'run',
        '--duration',
        '2s',
        ...quick,
        '--no-snapshots',
        '--match',
        'beta\\.js',
        ...ws.own,
        '--',
        process.execPath,
        ws.path('launch.js'),
    ]);
    assertExit(run, 0);
    const pid = Number(/beta pid (\d+)/.exec(run.stdout + run.stderr)[1]);
    const watched = sql(
        ws.db,
        'SELECT DISTINCT t.pid FROM memory_metrics m JOIN targets t USING (run_id, target_id)'
    );
    assert.deepEqual(
        watched.map((row) => row.pid),
        [pid]
    );
});

// The process is not asked for its array buffers each time, so what it does is followed, not missed.
test('readings follow buffers that come and go, on every Node', async (t) => {
    const code = `process.stdin.on('data', (text) => {
            globalThis.kept = String(text).includes('more') ? Buffer.alloc(30 * 1048576, 1) : undefined;
            gc();
        });`;
    await Promise.all(versions.map(async (node) => {
        const ws = workspace(t);
        const target = await startTarget(t, { node, listens: false, code, flags: ['--expose-gc'] });
        const run = startHeaptap(t, ws, ['run', '--json', '--metrics-interval', '100ms', '--no-snapshots',
            '--live-profile', 'off', '--no-diagnosis', ...ws.own, String(target.port)]);
        const readings = () => jsonLines(run.stdout.slice(0, run.stdout.lastIndexOf('\n') + 1))
            .filter((line) => line.type === 'metrics');
        const shows = (judge) => until(() => readings().slice(-1).find(judge),
            () => `Node ${node}: ${JSON.stringify(readings().map((row) => [row.array_buffers, row.external, row.rss]))}`);
        const before = await shows((row) => row.array_buffers < 5);
        target.child.stdin.write('more\n');
        const more = await shows((row) => row.array_buffers >= 30);
        assert.ok(more.external >= 30 && more.rss > before.rss + 15, JSON.stringify([before, more]));
        target.child.stdin.write('none\n');
        await shows((row) => row.array_buffers < 5 && row.rss < more.rss - 15);
        run.child.kill('SIGINT');
        assertExit(await run.done, 0);
    }));
});

test('workers of a process are targets of the run', async (t) => {
    const ws = workspace(t);
    const code = `const { Worker } = require('node:worker_threads');
        new Worker('globalThis.kept = []; setInterval(() => kept.push(new Array(1000).fill({})), 20)', { eval: true });
        console.log('up');`;
    for (const node of ['18', '22', '26']) {
        const target = await startTarget(t, { node, listens: false, code });
        const run = await heaptap(t, ws, [
            'run',
            '--duration',
            '3s',
            ...quick,
            '--no-snapshots',
            ...ws.own,
            String(target.port),
        ]);
        assertExit(run, 0);
        const rows = sql(
            ws.db,
            `SELECT t.target_id, t.kind, t.parent_target_id, count(*) AS n,
            max(m.heap_used) - min(m.heap_used) AS growth FROM memory_metrics m JOIN targets t USING (run_id, target_id)
            WHERE t.run_id = (SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1) GROUP BY t.target_id`
        );
        assert.equal(rows.length, 2, `Node ${node}: ${JSON.stringify(rows)}`);
        const worker = rows.find((row) => row.kind === 'worker');
        assert.ok(worker?.parent_target_id, JSON.stringify(rows));
        assert.ok(worker.n >= 4 && worker.growth > 0, JSON.stringify(rows));
        target.child.kill();
    }
});

test("snapshots can be turned off, by option and by the guide's variable", async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const args = [
        'run',
        '--duration',
        '1s',
        ...quick,
        '--snapshot-interval',
        '500ms',
        ...ws.own,
        String(target.port),
    ];
    assertExit(await heaptap(t, ws, [...args, '--no-snapshots']), 0);
    assertExit(await heaptap(t, ws, args, { env: { ENABLE_HEAP_SNAPSHOTS: 'false' } }), 0);
    assert.deepEqual(ws.files(), []);
    const interval = await heaptap(
        t,
        ws,
        ['run', '--duration', '4s', ...quick, ...ws.own, String(target.port)],
        { env: { HEAP_SNAPSHOT_INTERVAL: '1500' } }
    );
    assertExit(interval, 0);
    assert.ok(ws.files().length >= 2, ws.files().join());
});

test('--timeout ends a run with its summary, 124 and the reason in the record', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = await heaptap(t, ws, ['run', '--timeout', '2s', '--no-snapshots', ...quick, ...ws.own, String(target.port)]);
    assertError(run, 124, /--timeout has passed/);
    assert.match(run.stdout, /1 target, 0 snapshots, \d+ rows in/);
    const [row] = sql(ws.db, 'SELECT state, exit_reason, exit_code FROM runs');
    assert.deepEqual(row, { state: 'ended', exit_reason: 'timeout', exit_code: 124 });
});
