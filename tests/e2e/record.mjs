// A record made by hand: a run whose target gave its things hostile names.
import { execFileSync } from 'node:child_process';
import { assertExit, heaptap } from './lib.mjs';

export const sqlite = (file, query) =>
    execFileSync('sqlite3', [file], { input: query, encoding: 'utf8', maxBuffer: 1 << 28 }).trim();

// Ends a script, opens a comment, breaks a line of JavaScript, is a link, a mention and two cells.
export const hostile =
    '</script><script>globalThis.broken = 1</script><!--<script>\u2028\u2029\u202e<img src=x onerror="globalThis.broken=1">' +
    '`|``|[a](https://example.invalid/)@everybody&amp;\'"{{data}}';

export async function hostileRecord(t, ws) {
    assertExit(await heaptap(t, ws, ['db', 'init', '--db', `sqlite:${ws.db}`]), 0);
    const run = '00000000-0000-4000-8000-000000000001';
    const name = hostile.replaceAll("'", "''");
    const at = (seconds) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();
    const lines = [
        `INSERT INTO run_states (run_id, seq, created_at, started_at, ended_at, state, label, host, command_line, exit_reason)
            VALUES ('${run}', 1, '${at(0)}', '${at(0)}', '${at(300)}', 'ended', '${name}', '${name}', '${name}', '${name}')`,
        `INSERT INTO target_states (run_id, seq, target_id, created_at, kind, title, address, runtime, runtime_version, pid, state, reason)
            VALUES ('${run}', 1, 1, '${at(0)}', 'node', '${name}', '${name}', 'node', '${name}', 4711, 'detached', '${name}')`,
        `INSERT INTO events (run_id, seq, target_id, created_at, kind, text)
            VALUES ('${run}', 1, 1, '${at(5)}', '${name}', '${name}')`,
    ];
    for (let i = 0; i < 30; i++)
        lines.push(`INSERT INTO memory_metrics (run_id, seq, target_id, created_at, label, heap_used, heap_total, external, rss, heap_limit, gc_ms)
            VALUES ('${run}', ${i + 1}, 1, '${at(i * 10)}', '${i % 3 ? 'interval' : 'after-gc'}', ${20 + i}, 60, 2, ${90 + i}, 512, ${i})`);
    for (let i = 0; i < 40; i++)
        for (const when of ['before', 'after'])
            lines.push(`INSERT INTO memory_metrics (run_id, seq, target_id, created_at, label, heap_used, request_id, request_method, request_url, route, in_flight)
                VALUES ('${run}', ${100 + i * 2 + (when === 'after')}, 1, '${at(i)}', '${when}-GET', 20, ${i}, 'GET', '${name}', '${name}', 1)`);
    for (let i = 0; i < 4; i++)
        lines.push(
            `INSERT INTO heap_snapshot_states (run_id, seq, snapshot_id, target_id, created_at, kind, state, trigger, pause_ms, forecast_pause_ms, file, reason)
                VALUES ('${run}', ${i + 1}, ${i + 1}, 1, '${at(i * 60)}', '${i === 3 ? 'heaptimeline' : 'heapsnapshot'}', 'complete', '${name}', ${200 + i}, 300, '/nowhere/${name}', '${name}')`,
            `INSERT INTO heap_classes (run_id, seq, snapshot_id, ordinal, created_at, key, class, count, self_size, retained_size)
                VALUES ('${run}', ${i + 1}, ${i + 1}, ${i}, '${at(i * 60)}', '${name}', '${name}', ${i * 100}, ${i * 6400}, ${i * 640000})`,
            `INSERT INTO allocation_sites (run_id, seq, target_id, created_at, source, reading, function, url, line_number, column_number, live_bytes)
                VALUES ('${run}', ${i + 1}, 1, '${at(i * 60)}', 'live-profile', ${i}, '${name}', '${name}', 3, 4, ${i * 500000})`
        );
    for (let i = 0; i < 20; i++)
        lines.push(`INSERT INTO allocation_intervals (run_id, seq, target_id, snapshot_id, created_at, start_ms, live_count, live_bytes, last_object_id)
            VALUES ('${run}', ${i + 1}, 1, 4, '${at(180)}', ${i * 50}, ${i}, ${i * 1000}, ${i * 10})`);
    sqlite(ws.db, `BEGIN;\n${lines.join(';\n')};\nCOMMIT;`);
}

// A record of readings alone, ten seconds apart: each is { label, heap, total, external, rss } in MB. With
// readings of a worker it is target 2.
export async function readingsRecord(t, ws, readings, worker = []) {
    assertExit(await heaptap(t, ws, ['db', 'init', '--db', `sqlite:${ws.db}`]), 0);
    const run = '00000000-0000-4000-8000-000000000002';
    const at = (seconds) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString();
    const lines = [
        `INSERT INTO run_states (run_id, seq, created_at, started_at, ended_at, state, host, command_line)
            VALUES ('${run}', 1, '${at(0)}', '${at(0)}', '${at(10 * readings.length)}', 'ended', 'here', 'heaptap run')`,
        `INSERT INTO target_states (run_id, seq, target_id, created_at, kind, title, address, runtime, runtime_version, pid, state)
            VALUES ('${run}', 1, 1, '${at(0)}', 'node', 'server.js', '9229', 'node', 'v22.0.0', 4711, 'detached')`,
        ...[readings, worker].flatMap((list, of) => list.map(({ label, heap, total, external, rss }, i) =>
            `INSERT INTO memory_metrics (run_id, seq, target_id, created_at, label, heap_used, heap_total, external, rss)
                VALUES ('${run}', ${1000 * of + i + 1}, ${of + 1}, '${at(10 * i + of)}', '${label}', ${heap}, ${total}, ${external}, ${rss})`)),
    ];
    if (worker.length)
        lines.push(`INSERT INTO target_states (run_id, seq, target_id, parent_target_id, created_at, kind, title, url, address, runtime, runtime_version, pid, state)
            VALUES ('${run}', 2, 2, 1, '${at(0)}', 'worker', '[worker 1]', 'file:///app/worker.js', '9229', 'node', 'v22.0.0', 4711, 'detached')`);
    sqlite(ws.db, `BEGIN;\n${lines.join(';\n')};\nCOMMIT;`);
}
