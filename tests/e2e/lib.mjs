// What the end-to-end tests share: real targets, heaptap runs with everything they printed, the
// SQLite record, snapshot files. Whatever a test starts is ended by its pid, whatever it writes
// stands in a temporary folder. Runs on the Node 22 of scripts/install-runtimes, needs no package.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = path.dirname(fileURLToPath(import.meta.url));
export const house = path.resolve(here, '../..');
export const binary = path.resolve(
    process.env.HEAPTAP_BIN ?? path.join(house, 'build/release/heaptap')
);
export const shop = {
    cjs: path.join(house, 'examples/leaky-server/server.js'),
    esm: path.join(house, 'examples/leaky-server/server.mjs'),
};
// A busy machine stretches stalls: the budget of pauses is not what these tests are about.
export const quick = ['--metrics-interval', '200ms', '--max-pause-share', '100%'];
export const versions = ['18', '20', '22', '24', '26'];

// Under sanitizers everything takes longer: deadlines here are for hangs, not for speed.
const DEADLINE_MS = 60_000;

assert.ok(fs.existsSync(binary), `no heaptap at ${binary}: run scripts/build, or set HEAPTAP_BIN`);

const runtimes = new Map();
export function runtime(name) {
    if (!runtimes.has(name))
        runtimes.set(
            name,
            execFileSync(path.join(house, 'scripts/runtime-path'), [name], {
                encoding: 'utf8',
            }).trim()
        );
    return runtimes.get(name);
}

// The children of this process, so that none outlives it even if a test forgets or throws.
const children = new Set();
process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
});

// As t.after, but the last one first: a folder outlives the programs that write into it.
const endings = new WeakMap();
export function atEnd(t, fn) {
    if (!endings.has(t)) {
        endings.set(t, []);
        t.after(async () => {
            for (const end of endings.get(t).reverse()) await end();
        });
    }
    endings.get(t).push(fn);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until fn() gives something true, and returns it; fails with what() after ms.
export async function until(fn, what, ms = DEADLINE_MS) {
    const end = Date.now() + ms;
    for (;;) {
        const value = await fn();
        if (value) return value;
        if (Date.now() > end)
            assert.fail(
                `waited ${ms} ms in vain for ${typeof what === 'function' ? what() : what}`
            );
        await sleep(20);
    }
}

// Starts a program and collects what it prints; ended with the test.
export function start(t, file, args, options = {}) {
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    const run = {
        child,
        pid: child.pid,
        stdout: '',
        stderr: '',
        code: null,
        signal: null,
        over: false,
    };
    children.add(child);
    child.stdin?.on('error', () => {});
    child.stdout?.setEncoding('utf8').on('data', (text) => (run.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text) => (run.stderr += text));
    run.done = new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code, signal) => {
            children.delete(child);
            Object.assign(run, { code, signal, over: true });
            resolve(run);
        });
    });
    run.printed = (pattern, where = 'stderr', ms) =>
        until(
            () => {
                const match = pattern.exec(run[where]);
                if (!match && run.over)
                    assert.fail(
                        `ended with ${run.code ?? run.signal} before ${pattern}:\n${run.stdout}${run.stderr}`
                    );
                return match;
            },
            () => `${pattern} in ${where}:\n${run[where]}`,
            ms
        );
    atEnd(t, async () => {
        if (!run.over) child.kill('SIGKILL');
        await run.done.catch(() => {});
    });
    return run;
}

// A folder for one test: files, database and state; env keeps every setting of the user out.
export function workspace(t) {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-e2e-'));
    atEnd(t, () => fs.rmSync(root, { recursive: true, force: true, maxRetries: 5 }));
    const dir = path.join(root, 'files');
    fs.mkdirSync(dir);
    const env = {};
    for (const [name, value] of Object.entries(process.env))
        if (
            !/^(HEAPTAP_|ENABLE_|HEAP_SNAPSHOT|TAKE_HEAP|PG|DATABASE_URL|XDG_|NODE_|NO_COLOR)/.test(
                name
            )
        )
            env[name] = value;
    Object.assign(env, {
        HOME: root,
        XDG_STATE_HOME: path.join(root, 'state'),
        XDG_CONFIG_HOME: path.join(root, 'config'),
        ASAN_OPTIONS: 'exitcode=99',
        UBSAN_OPTIONS: 'print_stacktrace=1:exitcode=99',
    });
    const db = path.join(root, 'record.db');
    return {
        root,
        dir,
        db,
        env,
        // The options that keep `run` within the folder.
        own: ['--dir', dir, '--db', `sqlite:${db}`],
        files: () => fs.readdirSync(dir).sort(),
        path: (name) => path.join(root, name),
    };
}

export function startHeaptap(t, ws, args, { env = {}, ...options } = {}) {
    const run = start(
        t,
        options.wrapper?.[0] ?? binary,
        options.wrapper ? [...options.wrapper.slice(1), binary, ...args] : args,
        { env: { ...ws.env, ...env }, cwd: options.cwd ?? ws.root }
    );
    run.done = run.done.then((result) => {
        assert.doesNotMatch(result.stderr, /Sanitizer|runtime error:/, 'a sanitizer reported');
        assert.ok(
            !['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL'].includes(result.signal),
            `heaptap crashed with ${result.signal}:\n${result.stderr}`
        );
        return result;
    });
    return run;
}

// Runs heaptap to its end: { code, signal, stdout, stderr, ms }.
export async function heaptap(t, ws, args, { input, timeout = DEADLINE_MS, ...options } = {}) {
    const started = Date.now();
    const run = startHeaptap(t, ws, args, options);
    run.child.stdin.end(input ?? '');
    let timer;
    const late = new Promise((resolve, reject) => {
        timer = setTimeout(() => {
            run.child.kill('SIGKILL');
            reject(
                new Error(
                    `heaptap ${args.join(' ')} hung for ${timeout} ms\n` +
                        `stdout: ${run.stdout.slice(-4000)}\nstderr: ${run.stderr.slice(-4000)}`
                )
            );
        }, timeout);
    });
    try {
        await Promise.race([run.done, late]);
    } finally {
        clearTimeout(timer);
    }
    run.ms = Date.now() - started;
    return run;
}

export function assertExit(run, code) {
    assert.equal(
        run.code,
        code,
        `exit code ${run.code ?? run.signal}, not ${code}\n` +
            `stdout: ${run.stdout.slice(-3000)}\nstderr: ${run.stderr.slice(-3000)}`
    );
}

// One clear error: the right exit code, a line of heaptap's own that says what.
export function assertError(run, code, pattern) {
    assertExit(run, code);
    const lines = run.stderr.trim().split('\n');
    const errors = lines.filter((line) => /^heaptap( [a-z]+)?: /.test(line));
    assert.ok(errors.length >= 1, `no line of heaptap's own in:\n${run.stderr}`);
    if (pattern) assert.match(errors.join('\n'), pattern);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(
        run.stderr,
        /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/,
        'raw control bytes in an error'
    );
}

// A real target with an inspector on a free port. Give script, or code to be run with -e.
export async function startTarget(
    t,
    {
        node = '22',
        script = shop.cjs,
        code,
        args = [],
        flags = [],
        inspect = '--inspect=127.0.0.1:0',
        env = {},
        cwd,
        listens = true,
    } = {}
) {
    const words = [...(inspect ? [inspect] : []), ...flags];
    const target = start(
        t,
        runtime(node),
        [...words, ...(code ? ['-e', code] : [script]), ...args],
        { env: { ...process.env, NODE_OPTIONS: '', ...env }, cwd }
    );
    if (inspect) {
        const match = await target.printed(/Debugger listening on (ws:\/\/[^/]*:(\d+)\/\S+)/);
        target.ws = match[1];
        target.port = Number(match[2]);
    }
    if (listens && !/-(brk|wait)/.test(inspect ?? '')) {
        target.url = (await target.printed(/listening on (http:\/\/\S+)/, 'stdout'))[1];
    }
    target.get = (page, count) => get(target.url, page, count);
    return target;
}

// Asks a target for a page count times, one after the other.
export async function get(url, page, count = 1) {
    for (let i = 0; i < count; i++)
        await new Promise((resolve, reject) => {
            http.get(url + page, (response) => {
                response.resume();
                response.on('end', resolve);
            }).on('error', reject);
        });
}

// One question to the target by a client of our own.
export async function evaluate(url, expression) {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    const answer = new Promise((resolve) => (socket.onmessage = (m) => resolve(JSON.parse(m.data))));
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate',
        params: { expression, includeCommandLineAPI: true, returnByValue: true } }));
    const { result } = await answer;
    socket.close();
    return result.result.value;
}

export function freePort(host = '127.0.0.1') {
    return new Promise((resolve, reject) => {
        const server = net
            .createServer()
            .on('error', reject)
            .listen(0, host, () => {
                const { port } = server.address();
                server.close(() => resolve(port));
            });
    });
}

// TCP ports that a process listens on.
export function listening(pid) {
    const inodes = new Set();
    for (const fd of fs.readdirSync(`/proc/${pid}/fd`))
        try {
            inodes.add(/^socket:\[(\d+)\]/.exec(fs.readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]);
        } catch {
            // closed meanwhile
        }
    return ['tcp', 'tcp6'].flatMap((name) => fs.readFileSync(`/proc/${pid}/net/${name}`, 'utf8').split('\n').slice(1)
        .map((line) => line.trim().split(/\s+/)).filter((words) => words[3] === '0A' && inodes.has(words[9]))
        .map((words) => parseInt(words[1].split(':')[1], 16)));
}

export function alive(pid) {
    try {
        process.kill(pid, 0);
        // A zombie is gone too: its parent here just has not looked yet.
        return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
        return false;
    }
}

// Rows of a question to a SQLite file, as objects.
export function sql(db, query) {
    const text = execFileSync(
        'sqlite3',
        ['-readonly', '-json', '-cmd', '.timeout 5000', db, query],
        { encoding: 'utf8', maxBuffer: 1 << 28 }
    );
    return text.trim() ? JSON.parse(text) : [];
}

// The sequence rule: within a run, max(seq) equals the count plus the losses in runs.
export function assertNoGap(db, table = 'memory_metrics') {
    const rows = sql(
        db,
        `SELECT run_id, count(*) AS n, min(seq) AS first, max(seq) AS last,
        count(DISTINCT seq) AS different FROM ${table} GROUP BY run_id`
    );
    assert.ok(rows.length > 0, `no row in ${table}`);
    for (const row of rows) {
        assert.equal(row.first, 1, `run ${row.run_id}: ${table} starts at ${row.first}`);
        assert.equal(row.last, row.n, `run ${row.run_id}: ${table} has a gap`);
        assert.equal(row.different, row.n);
    }
}

export function assertRecord(ws) {
    assertNoGap(ws.db);
    for (const table of ['run_states', 'target_states', 'heap_snapshot_states', 'events'])
        if (sql(ws.db, `SELECT count(*) AS n FROM ${table}`)[0].n) assertNoGap(ws.db, table);
    assert.equal(sql(ws.db, 'PRAGMA integrity_check')[0].integrity_check, 'ok');
}

// The objects of a JSON Lines output.
export function jsonLines(text) {
    return text
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line, i) => {
            try {
                return JSON.parse(line);
            } catch (error) {
                assert.fail(`line ${i + 1} is not JSON (${error.message}): ${line.slice(0, 200)}`);
            }
        });
}

// Reads a snapshot file whole, as DevTools would, and checks that it is consistent.
export function readSnapshot(file) {
    let bytes;
    if (file.endsWith('.zst')) bytes = execFileSync('zstd', ['-dcq', file], { maxBuffer: 1 << 29 });
    else if (file.endsWith('.gz'))
        bytes = execFileSync('gzip', ['-dc', file], { maxBuffer: 1 << 29 });
    else bytes = fs.readFileSync(file);
    const snapshot = JSON.parse(bytes.toString('utf8'));
    const { meta, node_count: nodes, edge_count: edges } = snapshot.snapshot;
    assert.ok(nodes > 0);
    assert.equal(snapshot.nodes.length, nodes * meta.node_fields.length, 'nodes');
    assert.equal(snapshot.edges.length, edges * meta.edge_fields.length, 'edges');
    assert.ok(snapshot.strings.length > 0);
    return snapshot;
}

// How many nodes of a snapshot are of a class.
export function countClass(snapshot, name) {
    const fields = snapshot.snapshot.meta.node_fields;
    const at = fields.indexOf('name');
    const type = fields.indexOf('type');
    const objects = snapshot.snapshot.meta.node_types[0].indexOf('object');
    let count = 0;
    for (let i = 0; i < snapshot.nodes.length; i += fields.length)
        if (
            snapshot.nodes[i + type] === objects &&
            snapshot.strings[snapshot.nodes[i + at]] === name
        )
            count++;
    return count;
}

export function sha256(file) {
    return execFileSync('sha256sum', [file], { encoding: 'utf8' }).split(' ')[0];
}

// A real full disk needs a mount of its own; root may make one, anybody may in a namespace of theirs.
export const mayMount = process.getuid() === 0;
export function mountSmall(t, where, size) {
    fs.mkdirSync(where, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'heaptap-test', where]);
    atEnd(t, () => execFileSync('umount', ['-l', where]));
}

// Rows of metrics in the record so far; 0 while there is none.
export const rowsOf = (ws) =>
    fs.existsSync(ws.db) &&
    sql(ws.db, "SELECT count(*) AS n FROM sqlite_master WHERE name = 'memory_metrics'")[0].n &&
    sql(ws.db, 'SELECT count(*) AS n FROM memory_metrics')[0].n;
