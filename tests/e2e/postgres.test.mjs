// A run that ships to a real PostgreSQL (tests/postgres/with-postgres starts it), seen from outside:
// the guide's variables, psql, an outage, and db ship.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { assertError, assertExit, heaptap, house, jsonLines, sql, startHeaptap, startTarget, until, workspace } from './lib.mjs';

const { PGHOST, PGPORT, PGUSER, TEST_POSTGRES } = process.env;
assert.ok(TEST_POSTGRES, 'run this under tests/postgres/with-postgres');

// A database of its own for each test.
let number = 0;
function database() {
    const name = `e2e_${++number}`;
    execFileSync('psql', ['-q', '-c', `CREATE DATABASE ${name}`, 'postgres']);
    return { name, url: `postgresql://${PGUSER}:hush@${PGHOST}:${PGPORT}/${name}` };
}
const psql = (db, ...args) =>
    execFileSync('psql', ['-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', db.name, ...args], { encoding: 'utf8' }).trim();
const control = (what) => execFileSync(TEST_POSTGRES, [what]);

const complete = (db) => psql(db, '-c', `SELECT count(*) FROM runs r WHERE (SELECT coalesce(max(seq), 0) - count(*)
    FROM memory_metrics m WHERE m.run_id = r.run_id) <> coalesce(r.lost_memory_metrics, 0)`) === '0';

test('the guide\'s variables ship a run, and its queries answer in psql', async (t) => {
    const ws = workspace(t);
    const db = database();
    const target = await startTarget(t);
    const env = { ENABLE_MEMORY_DB_LOGGING: 'true', DATABASE_URL: `${db.url}?connection_limit=3&pgbouncer=true` };
    const run = await heaptap(t, ws, ['run', String(target.port), '--dir', ws.dir, '--duration', '3s',
        '--no-snapshots', '--metrics-interval', '500ms'], { env });
    assertExit(run, 0);
    assert.match(run.stderr, /dropped what libpq does not know: connection_limit, pgbouncer/);
    assert.doesNotMatch(run.stdout + run.stderr, /hush/, 'a password was printed');
    assert.ok(complete(db));
    assert.ok(Number(psql(db, '-c', 'SELECT count(*) FROM memory_metrics')) >= 2);
    assert.equal(psql(db, '-c', 'SELECT state FROM runs'), 'ended');
    assert.match(psql(db, '-c', 'SELECT title FROM targets'), /server\.js$/);
    for (const name of ['latest', 'labels.postgres', 'minutes.postgres'])
        assert.notEqual(psql(db, '-f', path.join(house, `sql/queries/${name}.sql`)), '', name);
    psql(db, '-f', path.join(house, 'sql/queries/requests.postgres.sql'));
    psql(db, '-c', `INSERT INTO allocation_sites (run_id, seq, target_id, snapshot_id, created_at, source, function, live_count, live_bytes)
        SELECT run_id, v.seq, 1, v.snapshot, started_at, 'timeline', v.name, 1, v.live FROM runs,
        (VALUES (1, 1, 'stash', 100), (2, 1, 'gone', 7), (3, 3, 'stash', 250), (4, 3, 'stash', 50)) AS v (seq, snapshot, name, live)`);
    assert.equal(psql(db, '-c', `SELECT function, old_snapshot_id, new_snapshot_id, old_live_bytes, new_live_bytes, growth_bytes
        FROM site_growth ORDER BY 1`), 'gone|1|3|7|0|-7\nstash|1|3|100|300|200');
    psql(db, '-c', 'DELETE FROM allocation_sites');
    const answer = await heaptap(t, ws, ['metrics', 'latest', '--json'], { env });
    assertExit(answer, 0);
    assert.ok(JSON.parse(answer.stdout).rows.length >= 2);
    const status = await heaptap(t, ws, ['db', 'status', '--json'], { env });
    assertExit(status, 0);
    assert.equal(JSON.parse(status.stdout).postgres.runs[0].missing, 0);
    assert.deepEqual(JSON.parse(status.stdout).sqlite.waiting, []);
});

test("the prompt's sql asks PostgreSQL where it is in use: it only reads, and can be ended", async (t) => {
    const ws = workspace(t);
    const db = database();
    const target = await startTarget(t);
    const env = { ENABLE_MEMORY_DB_LOGGING: 'true', DATABASE_URL: db.url };
    const ask = async (commands, ...args) => {
        const run = await heaptap(t, ws, ['attach', String(target.port), '--json', '--dir', ws.dir, ...args,
            '-c', commands], { env });
        return { code: run.code, answers: jsonLines(run.stdout), run };
    };
    psql(db, '-c', 'CREATE TABLE precious AS SELECT 1 AS n');
    const first = await ask(`sql SELECT current_setting('server_version_num')::int > 90000 AS postgres, now() AS time, NULL AS none;
        sql DELETE FROM precious; sql COMMIT; sql DELETE FROM precious; sql SELECT 1 FROM nowhere;
        sql SELECT generate_series(1, 200000) AS n; sql SHOW search_path`);
    const [row, deleted, , again, unknown, many, shown] = first.answers;
    assert.deepEqual(row.rows.map(({ postgres, none }) => [postgres, none]), [['t', null]]);
    assert.match(row.rows[0].time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.match(deleted.error, /read-only transaction/);
    assert.match(again.error, /read-only transaction/);
    assert.match(unknown.error, /nowhere/);
    assert.deepEqual([many.rows.length, many.cut], [100000, true]);
    assert.equal(shown.rows.length, 1);
    assert.equal(psql(db, '-c', 'SELECT n FROM precious'), '1');
    const next = await ask('sql SELECT count(*) AS n FROM memory_metrics');
    assert.ok(next.answers[0].rows[0].n > 0, 'the first session shipped its readings');
    const slow = await ask('sql SELECT pg_sleep(600)', '--timeout', '2s');
    assert.equal(slow.code, 124);
    await until(() => psql(db, '-c', "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()") === '0',
        'the server to give up a question that nobody waits for');
});

test('a server that goes away in the middle costs no row: the end says so and db ship sends the rest', async (t) => {
    const ws = workspace(t);
    const db = database();
    const target = await startTarget(t);
    const options = ['--db', db.url];
    const run = startHeaptap(t, ws, ['run', String(target.port), '--dir', ws.dir, ...options, '--no-snapshots',
        '--metrics-interval', '100ms', '--drain', '1s']);
    await until(() => {
        try {
            return Number(psql(db, '-c', 'SELECT count(*) FROM memory_metrics')) >= 5;
        } catch {
            return false;
        }
    }, 'rows in PostgreSQL');
    control('stop');
    await run.printed(/rows wait in .* and are sent when it works again/);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    run.child.kill('SIGINT');
    await run.done;
    assertError(run, 5, /rows were not shipped .*heaptap db ship/);
    const status = await heaptap(t, ws, ['db', 'status', '--json', ...options]);
    assertExit(status, 0);
    assert.ok(JSON.parse(status.stdout).sqlite.waiting[0].waiting >= 5);
    assert.match(JSON.parse(status.stdout).postgres.error, /refused/);
    assertError(await heaptap(t, ws, ['db', 'ship', '--timeout', '1s', ...options]), 5, /still wait/);
    control('start');
    const shipped = await heaptap(t, ws, ['db', 'ship', '--json', ...options]);
    assertExit(shipped, 0);
    assert.ok(JSON.parse(shipped.stdout).shipped >= 5);
    assert.ok(complete(db));
    assert.equal(psql(db, '-c', 'SELECT state FROM runs'), 'ended');
});

test('a memory_metrics of somebody else is left alone until adoption is asked for', async (t) => {
    const ws = workspace(t);
    const db = database();
    const target = await startTarget(t);
    psql(db, '-c', `CREATE TABLE memory_metrics (id serial PRIMARY KEY, heap_used double precision, label text,
        created_at timestamptz DEFAULT now()); INSERT INTO memory_metrics (label) VALUES ('theirs')`);
    const run = (args) => heaptap(t, ws, ['run', String(target.port), '--dir', ws.dir, '--db', db.url,
        '--no-snapshots', '--duration', '1s', '--metrics-interval', '200ms', ...args]);
    assertError(await run([]), 5, /db init --adopt.*--schema NAME/);
    assert.equal(psql(db, '-c', 'SELECT count(*) FROM pg_tables WHERE schemaname = \'public\''), '1');
    assertExit(await run(['--schema', 'watch']), 0);
    assert.ok(Number(psql(db, '-c', 'SELECT count(*) FROM watch.memory_metrics')) >= 2);
    assertExit(await heaptap(t, ws, ['db', 'init', '--adopt', '--db', db.url]), 0);
    assertExit(await run([]), 0);
    assert.ok(Number(psql(db, '-c', 'SELECT count(*) FROM public.memory_metrics WHERE run_id IS NOT NULL')) >= 2);
    assert.equal(psql(db, '-c', 'SELECT label FROM public.memory_metrics WHERE run_id IS NULL'), 'theirs');
});

test('an empty database is made by run, not with --no-migrate', async (t) => {
    const ws = workspace(t);
    const db = database();
    const target = await startTarget(t);
    const args = ['run', String(target.port), '--dir', ws.dir, '--db', db.url, '--no-snapshots', '--duration', '500ms'];
    assertExit(await heaptap(t, ws, ['db', 'init']), 0); // SQLite has its tables already
    assertError(await heaptap(t, ws, [...args, '--no-migrate']), 5, /db init/);
    assertExit(await heaptap(t, ws, args), 0);
    assertExit(await heaptap(t, ws, [...args, '--no-migrate']), 0);
    assert.equal(fs.existsSync(path.join(ws.env.XDG_STATE_HOME, 'heaptap/heaptap.db')), true);
});

// Rows of a question as PostgreSQL and as SQLite answer it, in one form: times in ms, numbers as numbers.
function plain(rows) {
    const value = (cell, name) =>
        cell !== null && /(_at|minute)$/.test(name) ? Date.parse(cell)
            : typeof cell === 'number' ? Number(cell.toPrecision(12)) : cell;
    return rows.map((row) => Object.fromEntries(Object.keys(row).sort().map((name) => [name, value(row[name], name)])));
}

test('snapshots, classes and sites of a run arrive in PostgreSQL as SQLite has them', async (t) => {
    const ws = workspace(t);
    const db = database();
    const target = await startTarget(t);
    const run = startHeaptap(t, ws, ['run', String(target.port), '--dir', ws.dir, '--db', db.url, '--local-keep', '1d',
        '--metrics-interval', '250ms', '--snapshot-interval', '1s', '--max-pause-share', '90%', '--live-profile', '16KB',
        '--live-profile-interval', '500ms']);
    const arrived = (what, table) => {
        const there = psql(db, '-c', `SELECT to_regclass('${table}') IS NOT NULL`) === 't';
        return there && Number(psql(db, '-c', `SELECT count(${what}) FROM ${table}`));
    };
    await until(() => {
        void target.get('/page', 20);
        return arrived('DISTINCT snapshot_id', 'heap_classes') >= 2 && arrived('*', 'allocation_sites') >= 1;
    }, 'classes of two snapshots, and sites', 60000);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    const local = path.join(ws.env.XDG_STATE_HOME, 'heaptap/heaptap.db');
    const orders = { heap_snapshot_states: 'seq', heap_classes: 'seq', allocation_sites: 'seq', target_states: 'seq',
        memory_metrics: 'seq', events: 'seq', suspects: 'seq', heap_snapshots: 'snapshot_id',
        class_growth: 'target_id, key', memory_trend: 'target_id, minute' };
    for (const [name, order] of Object.entries(orders)) {
        const here = plain(sql(local, `SELECT * FROM ${name} ORDER BY ${order}`));
        const there = plain(JSON.parse(psql(db, '-c', `SET TIME ZONE 'UTC'`, '-c',
            `SELECT coalesce(json_agg(r), '[]') FROM (SELECT * FROM ${name} ORDER BY ${order.replace('key', 'key COLLATE "C"')}) r`)
            .replace(/^SET\n/, '')));
        assert.deepEqual(there, here, name);
        if (!/events|suspects/.test(name)) assert.ok(here.length > 0, `${name} is empty`);
    }
    const grown = psql(db, '-c', `SELECT class FROM class_growth WHERE count_growth > 0 ORDER BY count_growth DESC`);
    assert.match(grown, /^SessionState$/m);
});
