// The commands db and metrics over SQLite: what a run leaves can be asked for, and bad files and
// words are answered in one line.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { assertError, assertExit, heaptap, house, startHeaptap, startTarget, until, workspace } from './lib.mjs';

const json = async (t, ws, args) => {
    const run = await heaptap(t, ws, [...args, '--json']);
    assertExit(run, 0);
    return JSON.parse(run.stdout);
};
const sqlite = (file, sql) => execFileSync('sqlite3', ['-cmd', '.timeout 5000', file], { input: sql, encoding: 'utf8' }).trim();

test('what a run recorded is found by db status and every metrics question', async (t) => {
    const ws = workspace(t);
    const db = ['--db', `sqlite:${ws.db}`];
    const target = await startTarget(t);
    // Without snapshots: there is one capture at a time on a host, and this test asks for rows alone.
    const run = await heaptap(t, ws, ['run', String(target.port), ...ws.own, '--no-snapshots', '--duration', '3s',
        '--metrics-interval', '500ms', '--label', 'shop']);
    assertExit(run, 0);

    const status = await json(t, ws, ['db', 'status', ...db]);
    assert.equal(status.sqlite.path, ws.db);
    assert.equal(status.sqlite.runs.length, 1);
    const [recorded] = status.sqlite.runs;
    assert.equal(recorded.state, 'ended');
    assert.equal(recorded.missing, 0);
    assert.ok(recorded.metrics_rows >= 2, `${recorded.metrics_rows} rows`);
    assert.deepEqual(status.sqlite.captures, []);

    const latest = await json(t, ws, ['metrics', 'latest', ...db]);
    assert.equal(latest.run_id, recorded.run_id);
    assert.equal(latest.rows.length, recorded.metrics_rows);
    assert.ok(latest.rows.every((row) => row.heap_used > 1 && row.heap_used < 1000), 'MB');
    const times = latest.rows.map((row) => row.created_at);
    assert.deepEqual(times, [...times].sort().reverse(), 'newest first');
    for (const question of ['trend', 'compare']) {
        const answer = await json(t, ws, ['metrics', question, ...db]);
        assert.ok(answer.rows.length > 0, question);
    }
    for (const question of ['requests', 'classes', 'sites'])
        await json(t, ws, ['metrics', question, ...db, '--run', recorded.run_id.slice(0, 8)]);
    const two = await json(t, ws, ['metrics', 'latest', ...db, '--label', 'interval', '--top', '2']);
    assert.equal(two.rows.length, 2);
    const none = await json(t, ws, ['metrics', 'latest', ...db, '--since', '1us']);
    assert.equal(none.rows.length, 0);

    const csv = await heaptap(t, ws, ['metrics', 'compare', ...db, '--csv']);
    assertExit(csv, 0);
    assert.match(csv.stdout, /^label,avg_heap_used,/);
    const text = await heaptap(t, ws, ['metrics', 'trend', ...db, '-o', ws.path('trend.txt')]);
    assertExit(text, 0);
    assert.match(fs.readFileSync(ws.path('trend.txt'), 'utf8'), /avg heap MB/);

    for (const name of ['latest', 'labels.sqlite', 'minutes.sqlite', 'requests.sqlite'])
        sqlite(ws.db, fs.readFileSync(path.join(house, `sql/queries/${name}.sql`), 'utf8'));
});

test('prune removes what is old and nothing else', async (t) => {
    const ws = workspace(t);
    const db = ['--db', `sqlite:${ws.db}`];
    assertExit(await heaptap(t, ws, ['db', 'init', ...db]), 0);
    const day = (n) => new Date(Date.now() - n * 86400e3).toISOString();
    for (const [id, age] of [['old', 40], ['new', 2]]) {
        sqlite(ws.db, `INSERT INTO run_states (run_id, seq, created_at, started_at, ended_at, state)
            VALUES ('${id}', 1, '${day(age)}', '${day(age)}', '${day(age)}', 'ended')`);
        for (let seq = 1; seq <= 3; seq++)
            sqlite(ws.db, `INSERT INTO memory_metrics (run_id, seq, created_at)
                VALUES ('${id}', ${seq}, '${day(age)}')`);
    }
    const pruned = await json(t, ws, ['db', 'prune', '--older', '30d', ...db]);
    assert.deepEqual([pruned.runs, pruned.rows, pruned.kept], [1, 4, 0]);
    assert.equal(sqlite(ws.db, 'SELECT group_concat(DISTINCT run_id) FROM memory_metrics'), 'new');
    // A capture's file outlives the row that names it: that is said.
    const file = ws.path('old.heapsnapshot');
    fs.writeFileSync(file, '{}');
    sqlite(ws.db, `INSERT INTO run_states (run_id, seq, created_at, started_at, ended_at, state)
        VALUES ('older', 1, '${day(50)}', '${day(50)}', '${day(50)}', 'ended')`);
    sqlite(ws.db, `INSERT INTO heap_snapshot_states (run_id, seq, created_at, snapshot_id, state, file)
        VALUES ('older', 1, '${day(50)}', 1, 'complete', '${file}')`);
    const status = await json(t, ws, ['db', 'status', ...db]);
    assert.deepEqual(status.sqlite.captures.map((row) => row.run), ['older']);
    const said = await heaptap(t, ws, ['db', 'prune', '--older', '30d', ...db]);
    assertExit(said, 0);
    assert.match(said.stdout, /removed 2 rows, 1 run altogether\n1 capture of removed runs stays on disk, .*old\.heapsnapshot\n/);
    assert.ok(fs.existsSync(file));
    // What waits for PostgreSQL stays, however old it is.
    sqlite(ws.db, `UPDATE run_states SET destination = 'host=''elsewhere''' WHERE run_id = 'new'`);
    const kept = await json(t, ws, ['db', 'prune', '--older', '1d', ...db]);
    assert.deepEqual([kept.runs, kept.rows, kept.kept], [0, 0, 4]);
});

test('a run that was killed is closed and named by the next start', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = startHeaptap(t, ws, ['run', String(target.port), ...ws.own, '--metrics-interval', '200ms',
        '--no-snapshots']);
    await until(() => fs.existsSync(ws.db) && Number(sqlite(ws.db,
        `SELECT count(*) FROM sqlite_master WHERE name = 'memory_metrics'`)) === 1 &&
        Number(sqlite(ws.db, 'SELECT count(*) FROM memory_metrics')) >= 5, 'rows');
    run.child.kill('SIGKILL');
    await run.done;
    const next = await heaptap(t, ws, ['run', String(target.port), ...ws.own, '--duration', '500ms',
        '--no-snapshots']);
    assertExit(next, 0);
    assert.match(next.stderr, /was interrupted: its heaptap \(pid \d+\) ended without closing it/);
    assert.equal(sqlite(ws.db, `SELECT group_concat(state, ' ') FROM (SELECT state FROM runs ORDER BY started_at)`),
        'interrupted ended');
});

test('bad words and bad files are answered in one line with the right code', async (t) => {
    const ws = workspace(t);
    const letter = ws.path('letter.txt');
    fs.writeFileSync(letter, 'Dear grandmother, '.repeat(20));
    const recipes = ws.path('recipes.db');
    sqlite(recipes, 'CREATE TABLE recipes (name)');
    const newer = ws.path('newer.db');
    assertExit(await heaptap(t, ws, ['db', 'init', '--db', `sqlite:${newer}`]), 0);
    sqlite(newer, 'PRAGMA user_version = 999');
    const cases = [
        [['metrics', 'latest', '--db', `sqlite:${ws.path('none.db')}`], 5, /no database at/],
        [['metrics', 'latest', '--db', `sqlite:${letter}`], 5, /is not a database/],
        [['db', 'init', '--db', `sqlite:${letter}`], 5, /is not a database/],
        [['db', 'status', '--db', `sqlite:${recipes}`], 5, /another program/],
        [['db', 'migrate', '--db', `sqlite:${newer}`], 5, /newer than this heaptap knows/],
        [['db', 'migrate', '--db', `sqlite:${ws.path('none.db')}`], 5, /db init/],
        [['db', 'init', '--db', 'sqlite:/proc/no/heaptap.db'], 5, /cannot/],
        [['db', 'dance'], 2, /not one of/],
        [['metrics', 'dance'], 2, /not one of/],
        [['db', 'prune'], 2, /--older/],
        [['db', 'ship'], 2, /no PostgreSQL/],
        [['metrics', 'latest', '--db', 'mysql://h/d'], 2, /neither PostgreSQL nor SQLite/],
        [['metrics', 'latest', '--db', 'postgres://127.0.0.1:1/x'], 5, /refused/],
    ];
    for (const [args, code, pattern] of cases)
        assertError(await heaptap(t, ws, args), code, pattern);
    assertExit(await heaptap(t, ws, ['db', 'init', '--db', `sqlite:${ws.db}`]), 0);
    assertError(await heaptap(t, ws, ['metrics', 'latest', '--db', `sqlite:${ws.db}`]), 5, /no run/);
    assertError(await heaptap(t, ws, ['metrics', 'latest', '--run', 'abc', '--db', `sqlite:${ws.db}`]), 5, /abc/);
});
