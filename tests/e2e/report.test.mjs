// The report: one page that stands alone, with everything a run has measured, whatever the target
// called its things; the same for a ticket; and one line where it cannot be written.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
    assertError,
    assertExit,
    heaptap,
    mayMount,
    mountSmall,
    sql,
    startHeaptap,
    startTarget,
    until,
    workspace,
} from './lib.mjs';
import { hostile, hostileRecord, sqlite } from './record.mjs';

const data = (page) =>
    JSON.parse(/<script type="application\/json" id="data">([^<]*)<\/script>/.exec(page)[1]);
const rows = ({ columns, rows: lines }) =>
    lines.map((line) => Object.fromEntries(columns.map((column, i) => [column, line[i]])));

test('a run becomes a page and a ticket with its answer, readings, snapshots and routes', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = startHeaptap(t, ws, ['run', String(target.port), ...ws.own, '--requests', '--gc-floor', '500ms',
        '--metrics-interval', '250ms', '--snapshot-interval', '1s', '--max-pause-share', '100%', '--label', 'shop']);
    await run.printed(/attached/);
    const enough = () =>
        sql(ws.db, `SELECT (SELECT count(*) FROM heap_snapshots WHERE state = 'complete') >= 3
            AND (SELECT count(DISTINCT snapshot_id) FROM heap_classes) >= 3
            AND (SELECT count(*) FROM events WHERE kind = 'floor') >= 5 AS enough`)[0].enough;
    await until(async () => {
        await target.get('/page', 20);
        await target.get('/report', 2);
        return enough();
    }, 'three snapshots and five floors');
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);

    const page = ws.path('run.html');
    const made = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '-o', page]);
    assertExit(made, 0);
    assert.equal(made.stdout, '');
    const html = fs.readFileSync(page, 'utf8');
    const document = data(html);
    assert.equal(document.schema, 'heaptap.report/1');
    const diagnosed = await heaptap(t, ws, ['diagnose', '--json', '--db', `sqlite:${ws.db}`]);
    assert.deepEqual(document.diagnosis, JSON.parse(diagnosed.stdout));
    assert.equal(rows(document.run)[0].label, 'shop');
    assert.equal(rows(document.targets)[0].pid, target.pid);
    assert.ok(rows(document.memory).length > 5 && rows(document.memory).every((r) => r.heap_used > 1e6));
    assert.ok(rows(document.floors).length >= 2);
    const captures = rows(document.captures);
    assert.ok(captures.filter((c) => c.state === 'complete' && c.pause_ms > 0).length >= 3);
    assert.ok(document.classes.find((c) => c.class === 'SessionState').count_growth > 0);
    assert.ok(rows(document.class_series).some((c) => c.class === 'SessionState'));
    assert.ok(document.requests.find((r) => r.route === '/page').requests > 10);
    assert.deepEqual(fs.readdirSync(ws.root).filter((name) => name.includes('.part')), []);

    const piped = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '-o', '-']);
    assertExit(piped, 0);
    assert.equal(data(piped.stdout).diagnosis.verdict, document.diagnosis.verdict);
    const ticket = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '--markdown']);
    assertExit(ticket, 0);
    assert.match(ticket.stdout, /^# /);
    assert.match(ticket.stdout, /\| `SessionState` \|/);
    assert.match(ticket.stdout, /\| `GET` \| `\/page` \|/);
    assert.match(ticket.stdout, /- label `shop`/);
    const json = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '--json']);
    assertExit(json, 0);
    assert.equal(JSON.parse(json.stdout).schema, 'heaptap.report/1');
});

test('names of the target are text in the page and in the ticket, never markup', async (t) => {
    const ws = workspace(t);
    await hostileRecord(t, ws);
    const made = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '-o', '-']);
    assertExit(made, 0);
    const html = made.stdout;
    assert.equal(html.match(/<script/g).length, 3, 'data, library, script');
    assert.equal(html.match(/<\/script/g).length, 3);
    assert.ok(!/[\u2028\u2029\u202e]/.test(html));
    assert.ok(!html.includes('<img'));
    const document = data(html);
    assert.equal(rows(document.targets)[0].title, hostile);
    assert.equal(document.classes[0].class, hostile);
    assert.equal(rows(document.events)[0].text, hostile);
    const ticket = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '--markdown']);
    assertExit(ticket, 0);
    const outside = ticket.stdout.replace(/(`+)[^`][^]*?\1(?!`)/g, '');
    assert.doesNotMatch(outside, /(?<!\\)<(img|\/script)|@everybody|(?<!\\)\]\(|https?:/);
    assert.ok(!/[\u2028\u2029\u202e]/.test(ticket.stdout));
    for (const line of ticket.stdout.split('\n').filter((l) => l.startsWith('| `</script>')))
        assert.equal(line.match(/(?<!\\)\|/g).length, 7, line); // six cells
});

test('the page loads nothing and lets nothing run that is not its own', async (t) => {
    const ws = workspace(t);
    await hostileRecord(t, ws);
    const { stdout: html } = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '-o', '-']);
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)[1];
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:/);
    const nonce = /script-src 'nonce-([0-9a-f-]{36})'/.exec(policy)[1];
    for (const [tag] of html.matchAll(/<(script|style)\b[^>]*>/g))
        assert.ok(tag.includes(`nonce="${nonce}"`) || tag.includes('type="application/json"'), tag);
    const markup = html.replace(/<script[^]*?<\/script>|<title>[^<]*<\/title>/g, '');
    assert.equal(/\b(src|href|srcset|action)=|@import|url\(|https?:/.exec(markup), null);
    const { stdout: again } = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '-o', '-']);
    assert.ok(!again.includes(nonce), 'a nonce is used once');
    assert.match(html, /Released under the MIT License/, "the library's licence stays with it");
});

test('a run without anything, one that goes on, and a long one have their page, too', async (t) => {
    const ws = workspace(t);
    const db = ['--db', `sqlite:${ws.db}`];
    assertExit(await heaptap(t, ws, ['db', 'init', ...db]), 0);
    sqlite(ws.db, `INSERT INTO run_states (run_id, seq, created_at, started_at, state)
        VALUES ('00000000-0000-4000-8000-000000000001', 1, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', 'running')`);
    const empty = await heaptap(t, ws, ['report', ...db, '-o', '-']);
    assertExit(empty, 0);
    assert.equal(rows(data(empty.stdout).run)[0].state, 'running');
    assert.match((await heaptap(t, ws, ['report', ...db, '--markdown'])).stdout, /inconclusive/);
    // A week of readings, 100 processes, snapshots each hour.
    sqlite(ws.db, `
        INSERT INTO target_states (run_id, seq, target_id, created_at, kind, title, state)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
            SELECT '00000000-0000-4000-8000-000000000001', i, i, '2026-01-01T00:00:00.000Z', 'node', 'server.js', 'attached' FROM n;
        INSERT INTO memory_metrics (run_id, seq, target_id, created_at, label, heap_used, heap_total, external, rss)
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
            SELECT '00000000-0000-4000-8000-000000000001', i + 1, i % 100 + 1,
                strftime('%Y-%m-%dT%H:%M:%fZ', 1767225600 + i * 6, 'unixepoch'),
                CASE WHEN i % 700 < 100 THEN 'after-gc' ELSE 'interval' END, 100.123456 + i % 97, 150.5, 2.25, 200.125 FROM n;
        INSERT INTO heap_snapshot_states (run_id, seq, snapshot_id, target_id, created_at, kind, state, pause_ms, file)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            SELECT '00000000-0000-4000-8000-000000000001', i, i, i % 100 + 1,
                strftime('%Y-%m-%dT%H:%M:%fZ', 1767225600 + i * 300, 'unixepoch'), 'heapsnapshot', 'deleted', 1000.5,
                '/var/tmp/heap-' || i || '.heapsnapshot' FROM n;
        INSERT INTO heap_classes (run_id, seq, snapshot_id, ordinal, created_at, key, class, count, self_size, retained_size)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19990)
            SELECT '00000000-0000-4000-8000-000000000001', i, i / 10 + 1, i / 1000, '2026-01-01T00:00:00.000Z',
                'Class' || (i % 10), 'Class' || (i % 10), i, i * 50, i * 100 FROM n;`);
    const long = await heaptap(t, ws, ['report', ...db, '-o', '-'], { timeout: 180_000 });
    assertExit(long, 0);
    assert.ok(long.stdout.length < 3 * 1048576, `${long.stdout.length} bytes`);
    const document = data(long.stdout);
    const lowest = Math.min(...rows(document.memory).map((r) => r.max_heap_used));
    assert.ok(rows(document.memory).length >= 2000 && lowest > 1e8);
    assert.equal(rows(document.captures).length, 400);
    assert.equal(rows(document.captures)[0].total, 2000);
});

test('what cannot be made or written is one line with the right code, and no half page', async (t) => {
    const ws = workspace(t);
    await hostileRecord(t, ws);
    const db = ['--db', `sqlite:${ws.db}`];
    assertError(await heaptap(t, ws, ['report', ...db]), 2, /-o FILE\.html/);
    assertError(await heaptap(t, ws, ['report', ...db, '--markdown', '--json']), 2, /both/);
    assertError(await heaptap(t, ws, ['report', '--db', `sqlite:${ws.path('none.db')}`, '-o', ws.path('x.html')]), 5, /no database/);
    assertError(await heaptap(t, ws, ['report', ...db, '--run', 'abc', '-o', ws.path('x.html')]), 5, /abc/);
    assertError(await heaptap(t, ws, ['report', ...db, '-o', ws.path('no/x.html')]), 4, /cannot write .*no\/x\.html: No such/);
    assertError(await heaptap(t, ws, ['report', ...db, '-o', ws.dir]), 4, /cannot write/);
    assertError(await heaptap(t, ws, ['report', ...db, '-o', '/dev/full']), 4, /No space/);
    assert.ok(!fs.existsSync(ws.path('x.html')));
    if (!mayMount) return;
    const small = ws.path('small');
    mountSmall(t, small, '128k'); // the library alone is larger
    fs.writeFileSync(path.join(small, 'old.html'), 'what was there');
    assertError(await heaptap(t, ws, ['report', ...db, '-o', path.join(small, 'old.html')]), 4, /No space/);
    assert.equal(fs.readFileSync(path.join(small, 'old.html'), 'utf8'), 'what was there');
    assert.deepEqual(fs.readdirSync(small), ['old.html']);
});

test('an old page is replaced as a whole, with its mode, through a link', async (t) => {
    const ws = workspace(t);
    await hostileRecord(t, ws);
    const real = ws.path('real.html');
    fs.writeFileSync(real, 'old');
    fs.chmodSync(real, 0o640);
    fs.symlinkSync('real.html', ws.path('link.html'));
    assertExit(await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '-o', ws.path('link.html')]), 0);
    assert.ok(fs.lstatSync(ws.path('link.html')).isSymbolicLink());
    assert.match(fs.readFileSync(real, 'utf8'), /^<!doctype html>/);
    assert.equal(fs.statSync(real).mode & 0o777, 0o640);
});

test('suspects that were stored are shown when the snapshots cannot name any now', async (t) => {
    const ws = workspace(t);
    await hostileRecord(t, ws);
    const suspect = { rank: 1, class: 'Ledger', holder: { class: 'Map', name: 'ledgers', text: 'Map `ledgers`' } };
    sqlite(ws.db, `INSERT INTO suspects (run_id, seq, created_at, rank, verdict, detail) VALUES
        ('00000000-0000-4000-8000-000000000001', 1, '2026-01-01T00:10:00.000Z', 1, 'leak', '${JSON.stringify(suspect)}'),
        ('00000000-0000-4000-8000-000000000001', 2, '2026-01-01T00:10:00.000Z', 2, 'leak', 'no JSON at all')`);
    // The record alone names a class here, but nobody who holds it; then it names nothing at all.
    for (const change of ['', 'DELETE FROM memory_metrics; DELETE FROM heap_classes; DELETE FROM allocation_sites']) {
        sqlite(ws.db, change);
        const made = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '-o', '-']);
        assertExit(made, 0);
        const document = data(made.stdout);
        assert.equal(document.suspects_stored, true);
        assert.deepEqual(document.diagnosis.suspects, [suspect]);
    }
    const ticket = await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '--markdown']);
    assert.match(ticket.stdout, /### `Ledger`[^]*held by Map/);
});
