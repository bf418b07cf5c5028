// Measures what a capture costs the target and us, and prints tables; asserts nothing.
// capture.mjs [--heap 50] [--node 20,24] [--rounds 3] [--targets 100] [--only capture|sample|many]
//     [--modes discards,--force]    of capture: those whose names hold one of the words
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary, house, shop, sleep, start, startTarget } from '../../e2e/lib.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const tools =
    process.env.HEAPTAP_BENCH_TOOLS ?? path.join(house, 'build/release/tests/bench/capture');
const options = { heap: '50', node: '20,24', rounds: '3', targets: '100', only: '', modes: '' };
for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, '');
    if (!(name in options) || process.argv[i + 1] === undefined) {
        console.error(`capture.mjs: unknown option or no value: ${process.argv[i]}`);
        process.exit(2);
    }
    options[name] = process.argv[i + 1];
}
const rounds = Number(options.rounds);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-bench-'));

// Stands in for the test of the harness: what is to be done at the end of one measurement.
async function scope(fn) {
    const ends = [];
    try {
        return await fn({ after: (end) => ends.push(end) });
    } finally {
        for (const end of ends.reverse()) await end();
    }
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const ask = async (target, page) => (await fetch(target.url + page)).json();

// CPU of a process in µs: what its threads ran, to the nanosecond, so that little shows too.
function cpuOf(pid) {
    let total = 0;
    for (const id of fs.readdirSync(`/proc/${pid}/task`)) {
        try {
            total += Number(
                fs.readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]
            );
        } catch {
            // a thread that just ended
        }
    }
    return total / 1e3;
}

async function measured(t, words, env) {
    const file = path.join(work, 'cost.json');
    const run = start(t, path.join(tools, 'measure'), [file, ...words], { env });
    await run.done;
    if (run.code !== 0) throw new Error(`${words.join(' ')} ended with ${run.code}: ${run.stderr}`);
    return { ...JSON.parse(fs.readFileSync(file, 'utf8')), stdout: run.stdout };
}

const env = { ...process.env, HOME: work, XDG_STATE_HOME: work, XDG_CONFIG_HOME: work };

const modes = {
    'v8.writeHeapSnapshot': async (t, target) => {
        const answer = await ask(target, '/write');
        return { wall_ms: answer.wall_ms, bytes: answer.bytes };
    },
    'reader that discards': async (t, target) => {
        const cost = await measured(t, [
            path.join(tools, 'discard'),
            String(target.port),
            new URL(target.ws).pathname,
        ]);
        return { ...cost, bytes: JSON.parse(cost.stdout).bytes };
    },
    'heaptap snapshot --force': (t, target) => heaptapSnapshot(t, target, ['--force']),
    '… --compress': (t, target) => heaptapSnapshot(t, target, ['--force', '--compress']),
    // The guard asks for a count of the nodes first, above 64 MB of heap.
    'heaptap snapshot': (t, target) => heaptapSnapshot(t, target, ['--max-pause', '1h']),
};

async function heaptapSnapshot(t, target, more) {
    const dir = fs.mkdtempSync(path.join(work, 'files-'));
    const cost = await measured(
        t,
        [binary, 'snapshot', '-q', '--dir', dir, ...more, String(target.port)],
        env
    );
    const bytes = fs.statSync(path.join(dir, fs.readdirSync(dir)[0])).size;
    fs.rmSync(dir, { recursive: true });
    return { ...cost, bytes };
}

function table(head, rows) {
    const all = [head, ...rows].map((row) => row.map(String));
    const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
    for (const row of all)
        console.log(
            row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')
        );
    console.log();
}

async function benchCapture(node) {
    const wanted = options.modes.split(',');
    for (const mode of Object.keys(modes))
        if (!wanted.some((word) => mode.includes(word))) delete modes[mode];
    const results = Object.fromEntries(Object.keys(modes).map((mode) => [mode, []]));
    let heap = 0;
    // Modes take turns, each in a process of its own, so that a busy minute hits them all.
    for (let round = 0; round < rounds; round++)
        for (const [mode, run] of Object.entries(modes))
            await scope(async (t) => {
                const target = await startTarget(t, {
                    node,
                    script: path.join(here, 'target.js'),
                    args: [options.heap],
                    flags: ['--max-old-space-size=8192'],
                });
                heap = (await ask(target, '/')).heap_mb;
                await sleep(300);
                await ask(target, '/reset');
                const begin = cpuOf(target.pid);
                const result = await run(t, target);
                result.target_cpu_ms = (cpuOf(target.pid) - begin) / 1000;
                await sleep(50);
                result.stall_ms = (await ask(target, '/')).stall_ms;
                const status = fs.readFileSync(`/proc/${target.pid}/status`, 'utf8');
                result.hwm_mb = Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024;
                results[mode].push(result);
            });
    const figure = (mode, name) => median((results[mode] ?? []).map((result) => result[name] ?? NaN));
    const least = (mode, name) => Math.min(...(results[mode] ?? [{}]).map((result) => result[name] ?? NaN));
    const base = 'v8.writeHeapSnapshot';
    const bare = 'reader that discards';
    console.log(`Capture of a ${heap.toFixed(0)} MB heap, Node ${node}, medians of ${rounds}`);
    table(
        [
            'mode',
            'MB',
            'wall ms',
            'to v8',
            'to discard',
            'by the least',
            'stall ms',
            'to v8',
            'target CPU ms',
            'client CPU ms',
            'client RSS MB',
            'target peak MB',
        ],
        Object.keys(modes).map((mode) => {
            const number = (name, digits = 0) => {
                const value = figure(mode, name);
                return Number.isNaN(value) ? '-' : value.toFixed(digits);
            };
            const against = (value) => (Number.isNaN(value) ? '-' : value.toFixed(2));
            const ratio = (name, to) => against(figure(mode, name) / figure(to, name));
            return [
                mode,
                (figure(mode, 'bytes') / 1048576).toFixed(0),
                number('wall_ms'),
                ratio('wall_ms', base),
                mode === base ? '-' : ratio('wall_ms', bare),
                mode === base ? '-' : against(least(mode, 'wall_ms') / least(bare, 'wall_ms')),
                number('stall_ms'),
                ratio('stall_ms', base),
                number('target_cpu_ms'),
                number('cpu_ms'),
                number('rss_mb', 1),
                number('hwm_mb'),
            ];
        })
    );
}

// What one run costs the target and us, in microseconds, and how many readings it took.
async function sampled(t, target, everyMs, seconds) {
    const db = path.join(work, `sample-${everyMs}-${target.pid}.db`);
    const begin = cpuOf(target.pid);
    const cost = await measured(
        t,
        [
            ...[binary, 'run', '-q', '--no-snapshots', '--live-profile', 'off'],
            ...['--duration', `${seconds}s`, '--metrics-interval', `${everyMs}ms`],
            ...['--dir', work, '--db', `sqlite:${db}`, String(target.port)],
        ],
        env
    );
    const spent = cpuOf(target.pid) - begin;
    const rows = Number(execFileSync('sqlite3', [db, 'SELECT count(*) FROM memory_metrics']));
    return { rows, target: spent, own: cost.cpu_ms * 1000, rss: cost.rss_mb };
}

// A client that asks as heaptap does, at any pace: what it asks is what costs the target. `paced` does so
// for a while; of a push nobody asks: a timer in the target hands a text to a binding.
async function asker(target) {
    const socket = new WebSocket(target.ws);
    await new Promise((resolve) => (socket.onopen = resolve));
    let id = 0;
    const waiting = new Map();
    socket.onmessage = ({ data }) => {
        const answer = JSON.parse(data);
        waiting.get(answer.id)?.(answer.result);
        waiting.delete(answer.id);
    };
    const call = (method, params = {}) => {
        socket.send(JSON.stringify({ id: ++id, method, params }));
        return new Promise((resolve) => waiting.set(id, resolve));
    };
    const evaluate = async (expression) =>
        (await call('Runtime.evaluate', { expression, includeCommandLineAPI: true, objectGroup: 'heaptap' })).result.objectId;
    const of = (objectId, functionDeclaration) => () =>
        call('Runtime.callFunctionOn', { objectId, functionDeclaration, silent: true });
    const questions = async (ask, everyMs, times) => {
        const started = performance.now();
        for (let i = 0; i < times; i++) {
            await ask();
            if (everyMs) await sleep(Math.max(0, started + (i + 1) * everyMs - performance.now()));
        }
    };
    const asked = (ask) => (everyMs, times) => questions(ask, everyMs, times);
    const source = fs.readFileSync(path.join(house, 'src/collect/sampler.js'), 'utf8');
    const sampler = await evaluate(`${source}(600000)`);
    await call('Runtime.addBinding', { name: 'pushed' });
    const pusher = await evaluate(`({ every(ms) { clearInterval(this.timer); if (ms) this.timer = setInterval(() => pushed('1'), ms); } })`);
    const push = async (everyMs, times) => {
        await of(pusher, `function(){this.every(${everyMs})}`)();
        await sleep(everyMs * times);
        await of(pusher, 'function(){this.every(0)}')();
    };
    return {
        kinds: {
            'a reading': asked(of(sampler, 'function(){return this.read(false)}')),
            'empty function': asked(of(sampler, 'function(){return 1}')),
            'evaluate 1': asked(() => call('Runtime.evaluate', { expression: '1', silent: true })),
            getHeapUsage: asked(() => call('Runtime.getHeapUsage')),
            'a push': push,
        },
        close: () => socket.close(),
    };
}

// CPU µs of the target for one question, at each pace: cold, when the process sleeps in between, and
// warm, when one question follows the other. What it does by itself in that time is taken off.
async function questions(target) {
    const client = await asker(target);
    const spent = async (work) => {
        const begin = cpuOf(target.pid), started = performance.now();
        await work();
        return { us: cpuOf(target.pid) - begin, ms: performance.now() - started };
    };
    const idles = [];
    const rows = [];
    for (const [pace, everyMs, count] of [['one a second', 1000, 12], ['50 a second', 20, 300], ['one after the other', 0, 6000]]) {
        const times = Math.ceil(count / rounds);
        const each = {};
        for (let round = 0; round < rounds; round++) {
            await sleep(500);
            const idle = await spent(() => sleep(2000));
            idles.push((idle.us / idle.ms) * 1000);
            for (const [kind, paced] of Object.entries(client.kinds)) {
                if (kind === 'a push' && !everyMs) continue;
                await paced(1, 1);
                const { us, ms } = await spent(() => paced(everyMs, times));
                (each[kind] ??= []).push((us - (idle.us / idle.ms) * ms) / times);
            }
        }
        rows.push([pace, ...Object.keys(client.kinds).map((kind) => (each[kind] ? median(each[kind]).toFixed(0) : '-'))]);
    }
    client.close();
    return { head: ['pace', ...Object.keys(client.kinds)], rows, idle: median(idles).toFixed(0) };
}

// Two runs of the same length, few readings and many: the difference is the readings' alone, without
// attaching, leaving and what the process does anyway.
async function benchSample(node) {
    const seconds = 6;
    await scope(async (t) => {
        const target = await startTarget(t, { node, script: shop.cjs });
        await sleep(1000);
        await sampled(t, target, 1000, 2); // warm
        const few = await sampled(t, target, 2000, seconds);
        const many = await sampled(t, target, 20, seconds);
        const rows = many.rows - few.rows;
        console.log(`One sample of an idle Node ${node}, taken by heaptap every 20 ms, mean of ${rows}`);
        table(
            ['target CPU µs a sample', 'heaptap CPU µs a sample', 'heaptap RSS MB'],
            [
                [
                    ((many.target - few.target) / rows).toFixed(1),
                    ((many.own - few.own) / rows).toFixed(1),
                    many.rss,
                ],
            ]
        );
        const { head, rows: paces, idle } = await questions(target);
        console.log(`A reading by its pace, beside what is cheaper: µs of the target's CPU, Node ${node}; the sampler's ticks cost ${idle} µs a second`);
        table(head, paces);
    });
}

async function benchMany(node) {
    const count = Number(options.targets);
    const seconds = 15;
    await scope(async (t) => {
        const targets = [];
        for (let i = 0; i < count; i++)
            targets.push(await startTarget(t, { node, script: shop.cjs }));
        await sleep(2000);
        const db = path.join(work, 'many.db');
        const cost = await measured(
            t,
            [
                binary,
                'run',
                '-q',
                '--no-snapshots',
                '--duration',
                `${seconds}s`,
                '--metrics-interval',
                '1s',
                '--dir',
                work,
                '--db',
                `sqlite:${db}`,
                ...targets.map((target) => String(target.port)),
            ],
            env
        );
        const rows = Number(execFileSync('sqlite3', [db, 'SELECT count(*) FROM memory_metrics']));
        const late = execFileSync(
            'sqlite3',
            [
                db,
                `SELECT count(*) FROM (SELECT target_id
            FROM memory_metrics GROUP BY target_id HAVING count(*) < ${seconds - 1})`,
            ],
            { encoding: 'utf8' }
        );
        console.log(`${count} targets (Node ${node}) sampled every second for ${seconds} s`);
        table(
            [
                'heaptap CPU ms',
                '% of a core',
                'heaptap RSS MB',
                'rows',
                'targets with rows missing',
            ],
            [
                [
                    cost.cpu_ms,
                    ((cost.cpu_ms / cost.wall_ms) * 100).toFixed(2),
                    cost.rss_mb,
                    rows,
                    late.trim(),
                ],
            ]
        );
    });
}

try {
    for (const node of options.node.split(',')) {
        if (!options.only || options.only === 'capture') await benchCapture(node);
        if (!options.only || options.only === 'sample') await benchSample(node);
    }
    if (!options.only || options.only === 'many') await benchMany('22');
} finally {
    fs.rmSync(work, { recursive: true, force: true });
}
