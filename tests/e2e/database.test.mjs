// The embedded record: made, looked at, pruned; a file that is not ours is never touched.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
    assertError,
    assertExit,
    heaptap,
    sha256,
    sleep,
    sql,
    startHeaptap,
    startTarget,
    workspace,
    mayMount,
    mountSmall,
} from './lib.mjs';

const tables = [
    'memory_metrics',
    'runs',
    'targets',
    'heap_snapshots',
    'heap_classes',
    'allocation_intervals',
    'allocation_sites',
    'gc_events',
    'suspects',
    'request_memory',
    'route_growth',
    'class_growth',
    'site_growth',
    'memory_trend',
];

async function record(t, ws, args = []) {
    const target = await startTarget(t);
    assertExit(
        await heaptap(t, ws, [
            'run',
            '--duration',
            '2s',
            '--metrics-interval',
            '100ms',
            '--snapshot-interval',
            '1s',
            ...ws.own,
            ...args,
            String(target.port),
        ]),
        0
    );
    return target;
}

test('db init makes every table and view of the design, twice is once', async (t) => {
    const ws = workspace(t);
    const db = ['--db', `sqlite:${ws.db}`];
    for (let i = 0; i < 2; i++) assertExit(await heaptap(t, ws, ['db', 'init', ...db]), 0);
    const names = sql(ws.db, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").map(
        (row) => row.name
    );
    for (const name of tables) assert.ok(names.includes(name), `no ${name} in ${names}`);
    const columns = sql(ws.db, 'PRAGMA table_info(memory_metrics)').map((row) => row.name);
    for (const name of [
        'heap_used',
        'heap_total',
        'external',
        'rss',
        'label',
        'request_method',
        'request_url',
        'created_at',
        'run_id',
        'target_id',
        'seq',
        'array_buffers',
        'heap_limit',
        'request_id',
        'route',
        'in_flight',
        'gc_count',
        'duration_ms',
        'status',
    ])
        assert.ok(columns.includes(name), `no column ${name}`);
    assert.equal(sql(ws.db, 'PRAGMA journal_mode')[0].journal_mode, 'wal');
    assert.equal(fs.statSync(ws.db).mode & 0o077, 0, 'others may read the record');
    const status = await heaptap(t, ws, ['db', 'status', ...db]);
    assertExit(status, 0);
    const json = await heaptap(t, ws, ['db', 'status', '--json', ...db]);
    assertExit(json, 0);
    JSON.parse(json.stdout);
    assertExit(await heaptap(t, ws, ['db', 'migrate', ...db]), 0);
});

test('without --db the record stands under XDG_STATE_HOME', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    assertExit(
        await heaptap(t, ws, [
            'run',
            '--duration',
            '500ms',
            '--metrics-interval',
            '100ms',
            '--no-snapshots',
            '--dir',
            ws.dir,
            String(target.port),
        ]),
        0
    );
    const db = path.join(ws.env.XDG_STATE_HOME, 'heaptap/heaptap.db');
    assert.ok(sql(db, 'SELECT count(*) AS n FROM memory_metrics')[0].n > 0);
    assertExit(await heaptap(t, ws, ['metrics', 'latest']), 0);
});

test('a file that is no database is refused and left as it is', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    fs.writeFileSync(ws.path('text.db'), 'These are my notes, not a database.\n'.repeat(500));
    fs.writeFileSync(ws.path('short.db'), 'SQLite format 3');
    execFileSync('sqlite3', [
        ws.path('foreign.db'),
        'CREATE TABLE notes (text); INSERT INTO notes VALUES (1)',
    ]);
    execFileSync('sqlite3', [
        ws.path('taken.db'),
        'CREATE TABLE memory_metrics (id INTEGER PRIMARY KEY, heap_used REAL)',
    ]);
    for (const name of ['text.db', 'short.db', 'taken.db']) {
        const file = ws.path(name);
        const before = sha256(file);
        for (const command of [
            ['db', 'status'],
            ['db', 'init'],
            ['metrics', 'latest'],
            ['run', '--duration', '1s', '--dir', ws.dir, String(target.port)],
        ])
            assertError(
                await heaptap(t, ws, [...command, '--db', `sqlite:${file}`]),
                5,
                new RegExp(name.replace('.', '\\.'))
            );
        assert.equal(sha256(file), before, `${name} was changed`);
    }
    // A SQLite file of somebody else is at least never damaged.
    await heaptap(t, ws, ['db', 'init', '--db', `sqlite:${ws.path('foreign.db')}`]);
    assert.equal(sql(ws.path('foreign.db'), 'SELECT count(*) AS n FROM notes')[0].n, 1);
    assert.deepEqual(ws.files(), []);
});

test('a place where no database can be is told with exit code 5', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    fs.writeFileSync(ws.path('plain'), '');
    for (const db of [
        `sqlite:${ws.root}`,
        `sqlite:${ws.path('plain')}/x.db`,
        'sqlite:/proc/heaptap.db',
        'sqlite:',
    ])
        for (const command of [
            ['db', 'init'],
            ['run', '--duration', '1s', '--dir', ws.dir, String(target.port)],
        ]) {
            const run = await heaptap(t, ws, [...command, '--db', db]);
            assert.ok(
                run.code === 5 || (db === 'sqlite:' && run.code === 2),
                `${command[0]} ${db}: ${run.code} ${run.stderr}`
            );
            assertError(run, run.code);
        }
});

test('a database that is newer than this program is refused and left as it is', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    assertExit(await heaptap(t, ws, ['db', 'init', '--db', `sqlite:${ws.db}`]), 0);
    execFileSync('sqlite3', [ws.db, 'PRAGMA wal_checkpoint(TRUNCATE)']);
    // As a later version would leave it: one more migration than we know.
    const marks = sql(
        ws.db,
        "SELECT name FROM sqlite_master WHERE name LIKE '%migration%' OR name LIKE 'schema_%'"
    );
    if (marks.length)
        execFileSync('sqlite3', [
            ws.db,
            `INSERT INTO ${marks[0].name} SELECT * FROM ${marks[0].name} WHERE 0`,
        ]);
    const [{ user_version: version }] = sql(ws.db, 'PRAGMA user_version');
    assert.ok(version > 0, 'the version of the schema does not stand in user_version');
    execFileSync('sqlite3', [
        ws.db,
        `PRAGMA user_version = ${version + 1}; CREATE TABLE of_the_future (x)`,
    ]);
    const before = sha256(ws.db);
    for (const command of [
        ['db', 'init'],
        ['db', 'migrate'],
        ['metrics', 'latest'],
        ['run', '--duration', '1s', '--dir', ws.dir, String(target.port)],
    ])
        assertError(await heaptap(t, ws, [...command, '--db', `sqlite:${ws.db}`]), 5, /newer/);
    assert.equal(sha256(ws.db), before);
});

test('--no-migrate makes no tables', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    assertError(
        await heaptap(t, ws, [
            'run',
            '--no-migrate',
            '--duration',
            '1s',
            ...ws.own,
            String(target.port),
        ]),
        5
    );
    if (fs.existsSync(ws.db)) assert.deepEqual(sql(ws.db, 'SELECT name FROM sqlite_master'), []);
});

test('metrics latest, trend and compare answer from the record', async (t) => {
    const ws = workspace(t);
    await record(t, ws);
    const db = ['--db', `sqlite:${ws.db}`];
    for (const question of ['latest', 'trend', 'compare']) {
        const text = await heaptap(t, ws, ['metrics', question, ...db]);
        assertExit(text, 0);
        assert.ok(text.stdout.trim().split('\n').length > 1, `${question}:\n${text.stdout}`);
        const json = await heaptap(t, ws, ['metrics', question, '--json', ...db]);
        assertExit(json, 0);
        JSON.parse(json.stdout);
        const csv = await heaptap(t, ws, ['metrics', question, '--csv', ...db]);
        assertExit(csv, 0);
        const [head, ...rows] = csv.stdout.trim().split(/\r?\n/);
        assert.ok(
            rows.length > 0 && rows.every((row) => row.split(',').length >= head.split(',').length),
            csv.stdout
        );
    }
    const latest = JSON.parse(
        (await heaptap(t, ws, ['metrics', 'latest', '--json', '--top', '3', ...db])).stdout
    );
    const rows = Object.values(latest).find(Array.isArray) ?? latest;
    assert.equal(rows.length, 3);
    const [newest] = sql(
        ws.db,
        'SELECT heap_used, created_at FROM memory_metrics ORDER BY created_at DESC LIMIT 1'
    );
    assert.ok(JSON.stringify(rows).includes(newest.created_at), 'not the latest');
    assertError(await heaptap(t, ws, ['metrics', 'nonsense', ...db]), 2, /latest/);
    assertError(
        await heaptap(t, ws, ['metrics', 'latest', '--db', `sqlite:${ws.path('none.db')}`]),
        5,
        /none\.db/
    );
    assert.ok(!fs.existsSync(ws.path('none.db')), 'a question made a database');
});

test("the guide's four queries run unchanged on the record", async (t) => {
    const ws = workspace(t);
    await record(t, ws);
    assert.ok(
        sql(
            ws.db,
            'SELECT heap_used, heap_total, external, rss, created_at FROM memory_metrics ORDER BY created_at DESC LIMIT 100'
        ).length > 5
    );
    assert.ok(
        sql(ws.db, 'SELECT label, AVG(heap_used) AS avg_heap FROM memory_metrics GROUP BY label')
            .length >= 3
    );
});

test('db prune drops what is older, keeps the rest, and names what it dropped', async (t) => {
    const ws = workspace(t);
    await record(t, ws);
    const db = ['--db', `sqlite:${ws.db}`];
    const count = () => sql(ws.db, 'SELECT count(*) AS n FROM memory_metrics')[0].n;
    const rows = count();
    assertExit(await heaptap(t, ws, ['db', 'prune', '--older', '1h', ...db]), 0);
    assert.equal(count(), rows);
    // An old run beside the new one.
    execFileSync('sqlite3', [
        ws.db,
        `
        CREATE TEMP TABLE m AS SELECT * FROM memory_metrics;
        UPDATE m SET run_id = '00000000-0000-4000-8000-000000000000', created_at = '2020-01-01T00:00:00.000Z';
        INSERT INTO memory_metrics SELECT * FROM m;
        CREATE TEMP TABLE r AS SELECT * FROM run_states;
        UPDATE r SET run_id = '00000000-0000-4000-8000-000000000000', created_at = '2020-01-01T00:00:00.000Z',
            started_at = '2020-01-01T00:00:00.000Z', ended_at = '2020-01-01T00:01:00.000Z';
        INSERT INTO run_states SELECT * FROM r;`,
    ]);
    assert.equal(count(), 2 * rows);
    assertExit(await heaptap(t, ws, ['db', 'prune', '--older', '1h', ...db]), 0);
    assert.equal(count(), rows);
    assert.equal(
        sql(ws.db, "SELECT count(*) AS n FROM memory_metrics WHERE created_at LIKE '2020%'")[0].n,
        0
    );
    assert.equal(sql(ws.db, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
});

// A planner without statistics once paired all rows of classes with all: minutes for a thousand.
test('growth by class of a long run is answered at once', async (t) => {
    const ws = workspace(t);
    const db = `sqlite:${ws.db}`;
    assertExit(await heaptap(t, ws, ['db', 'init', '--db', db]), 0);
    const run = '00000000-0000-4000-8000-000000000001', at = '2026-01-01T00:00:00.000Z';
    const lines = [`INSERT INTO run_states (run_id, seq, created_at, started_at, state) VALUES ('${run}', 1, '${at}', '${at}', 'ended')`,
        `INSERT INTO target_states (run_id, seq, target_id, created_at, kind, title, runtime) VALUES ('${run}', 1, 1, '${at}', 'node', 'shop', 'node')`];
    let seq = 0;
    for (let snapshot = 1; snapshot <= 20; snapshot++) {
        lines.push(`INSERT INTO heap_snapshot_states (run_id, seq, snapshot_id, target_id, created_at, kind, state)
            VALUES ('${run}', ${snapshot}, ${snapshot}, 1, '${at}', 'heapsnapshot', 'deleted')`);
        for (let id = snapshot === 1 ? 1 : 0; id < 1000; id++) // class 0 comes with the second
            lines.push(`INSERT INTO heap_classes (run_id, seq, snapshot_id, ordinal, created_at, key, class, count, self_size, retained_size)
                VALUES ('${run}', ${++seq}, ${snapshot}, ${snapshot - 1}, '${at}', 'C${id}', 'C${id}', ${snapshot * id}, 8, ${snapshot * (1000 - id)})`);
    }
    execFileSync('sqlite3', [ws.db], { input: `BEGIN;\n${lines.join(';\n')};\nCOMMIT;\n` });
    const classes = await heaptap(t, ws, ['metrics', 'classes', '--db', db, '--json']);
    assertExit(classes, 0);
    const [first, second] = JSON.parse(classes.stdout).rows;
    assert.deepEqual([first.class, first.first_retained, first.last_retained], ['C0', 0, 20000]);
    assert.deepEqual([second.class, second.first_count, second.last_count, second.retained_growth], ['C1', 1, 20, 18981]);
    assertExit(await heaptap(t, ws, ['diagnose', '--db', db]), 0);
});

test('two runs write into one record at the same time, each without a gap', async (t) => {
    const ws = workspace(t);
    await Promise.all([record(t, ws), record(t, ws), record(t, ws)]);
    const runs = sql(
        ws.db,
        'SELECT run_id, count(*) AS n, max(seq) AS last FROM memory_metrics GROUP BY run_id'
    );
    assert.equal(runs.length, 3);
    for (const run of runs) assert.equal(run.n, run.last);
});

// A workspace with a disk of that size, and the place of a record on it.
function smallDisk(t, size) {
    const ws = workspace(t);
    const disk = ws.path('disk');
    mountSmall(t, disk, size);
    return { ws, disk, db: path.join(disk, 'record.db') };
}

function fill(disk) {
    try {
        for (;;) fs.appendFileSync(path.join(disk, 'filler'), Buffer.alloc(4096));
    } catch {
        // full now
    }
}

test(
    'a database on a full disk is told, and the target is not harmed',
    {
        skip: mayMount ? false : 'only root may mount a small disk',
    },
    async (t) => {
        const { ws, disk, db } = smallDisk(t, '1m');
        const target = await startTarget(t);
        assertExit(await heaptap(t, ws, ['db', 'init', '--db', `sqlite:${db}`]), 0);
        fill(disk);
        const run = await heaptap(t, ws, [
            'run',
            '--duration',
            '3s',
            '--metrics-interval',
            '100ms',
            '--no-snapshots',
            '--dir',
            ws.dir,
            '--db',
            `sqlite:${db}`,
            String(target.port),
        ]);
        assert.equal(run.code, 5, run.stderr);
        assert.match(run.stderr, /full|space/i);
        fs.rmSync(path.join(disk, 'filler'));
        assert.equal(sql(db, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
        await target.get('/page', 2);
    }
);

test(
    'the summary of a run whose disk becomes full counts the rows that are there',
    { skip: mayMount ? false : 'only root may mount a small disk' },
    async (t) => {
        const { ws, disk, db } = smallDisk(t, '1m');
        const target = await startTarget(t);
        const run = startHeaptap(t, ws, ['run', '--duration', '5s', '--metrics-interval', '20ms',
            '--no-snapshots', '--no-diagnosis', '--dir', ws.dir, '--db', `sqlite:${db}`, String(target.port)]);
        await run.printed(/attached to/);
        await sleep(1500);
        fill(disk);
        await run.done;
        assert.equal(run.code, 5, run.stderr);
        const said = /([\d,]+) rows in sqlite/.exec(run.stdout)[1];
        assert.match(run.stdout, /[\d,]+ more rows could not be written there/);
        fs.rmSync(path.join(disk, 'filler'));
        const written = ['run_states', 'target_states', 'memory_metrics', 'gc_events', 'allocation_sites', 'events'];
        const there = written.reduce((n, name) => n + sql(db, `SELECT count(*) AS n FROM ${name}`)[0].n, 0);
        assert.equal(Number(said.replaceAll(',', '')), there);
    }
);

test(
    'db init that a full disk refuses leaves no file',
    { skip: mayMount ? false : 'only root may mount a small disk' },
    async (t) => {
        const { ws, disk, db } = smallDisk(t, '64k');
        fill(disk);
        assertError(await heaptap(t, ws, ['db', 'init', '--db', `sqlite:${db}`]), 5, /full/);
        assert.deepEqual(fs.readdirSync(disk), ['filler']);
    }
);
