// What following requests costs a server: CPU microseconds a request in the target (all its
// threads), throughput and p99, without anything; attached without following; attached with
// subscribers that do nothing (bare: what the channels themselves cost); with the hook counting only, with
// rows for every request, and with the default budget. The modes take turns in short rounds, so that a
// noisy machine is noisy for all of them; figures are medians over the rounds, added_us is the median of
// the differences to the round's own "without", added_low the difference of the least of each mode, which
// other programs disturb least, over_bare the median of the differences to the round's own "bare".
//
//   node tests/bench/requests/requests.mjs [--node 20,24,26] [--server http,express] [--rounds 9] [--seconds 2]
//       [--modes counting,rows,default]
//
// --what live measures the live profile in the same way: attached without it; sampling, with its readings
// put off beyond the round, which is what a server pays all the time; and readings, one every five seconds.
// reading_ms is the CPU time that one reading costs the target, the difference of these two by the number of
// readings that fell in the round: the collection, and compiling again what V8 drops in it. long_run_percent
// is what a busy server pays in the long run, when a reading comes once a minute: added_us of sampling, and
// a minute's reading. --modes live, by itself, is a run as it begins: its first readings come after 7.5, 22.5
// and 52.5 s, so a short round has more than its share of them. Give it --seconds 10.
//
// --what allocations measures what records allocations: sampling (survivors, a sample every 32 KB), tracking
// (timeline) and stacks (timeline --stacks), each while it records. Give it --modes and few rounds.
//
// A second core that heaptap and wrk keep busy slows the server down, too: that is in these figures. What the
// target itself does for a followed request, whatever else the machine does, is in those of turns.mjs.
//
// Needs wrk and a release build (HEAPTAP_BIN, else build/release/heaptap). Prints JSON Lines.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { heaptap, house, launch, nodeOf, packages, root, run } from './common.mjs';

const { values } = parseArgs({ options: {
    node: { type: 'string', default: '20,24,26' }, server: { type: 'string', default: 'http,express' },
    what: { type: 'string', default: 'requests' }, modes: { type: 'string' },
    rounds: { type: 'string', default: '9' }, seconds: { type: 'string', default: '2' },
} });
for (const name of ['rounds', 'seconds'])
    if (!/^[1-9]\d*$/.test(values[name])) {
        console.error(`requests.mjs: --${name} takes a whole number of at least 1, not ${values[name]}`);
        process.exit(2);
    }

const attached = ['--live-profile', 'off'];
const quiet = ['--requests', ...attached];
const channels = (verb) => `eval ['http.server.request.start', 'http.server.response.finish'].forEach((name) =>
    process.getBuiltinModule('diagnostics_channel').channel(name).${verb}(globalThis.nothing ??= () => {}))`
    .replaceAll('\n', ' ');
const record = (...words) => ({ command: [...words, '--duration', '10m'], ready: /(attached to)/ });
const modes = values.what === 'allocations' ? {
    without: null,
    sampling: record('survivors'),
    tracking: record('timeline'),
    stacks: record('timeline', '--stacks', '--yes'),
} : values.what === 'live' ? {
    without: null,
    attached,
    sampling: ['--live-profile-interval', '1h'],
    readings: ['--live-profile-interval', '5s'],
    ...(values.modes?.split(',').includes('live') && { live: [] }),
} : {
    without: null,
    attached,
    bare: attached,
    counting: [...quiet, '--requests-sample', '0'],
    rows: [...quiet, '--requests-overhead', '100%'],
    default: quiet,
};

function started(file, args, pattern) {
    const child = launch(file, args);
    let text = '';
    const ready = new Promise((resolve, reject) => {
        const read = (data) => {
            text += data;
            const matches = pattern.map((one) => one.exec(text));
            if (!matches.every(Boolean)) return;
            resolve(matches.map((match) => match[1]));
            for (const stream of [child.stdout, child.stderr]) stream.off('data', read).resume();
        };
        child.stdout.on('data', read);
        child.stderr.on('data', read);
        child.on('exit', () => reject(new Error(`${file} ended:\n${text}`)));
    });
    return { child, ready, count: (word) => text.split(word).length - 1 };
}

function cpuMicroseconds(pid) {
    return fs.readdirSync(`/proc/${pid}/task`).reduce((sum, thread) =>
        sum + Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000, 0);
}

async function load(url, seconds) {
    const child = spawn('wrk', ['-t1', '-c32', `-d${seconds}s`, '--latency', url], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    await new Promise((resolve) => child.on('exit', resolve));
    const [, number, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(text);
    return { requests: Number(/(\d+) requests in/.exec(text)[1]), p99: number * { us: 0.001, ms: 1, s: 1000 }[unit] };
}

let files = 0;

async function measure(target, pid, mode) {
    let follower;
    if (modes[mode]) {
        const db = ['--db', `sqlite:${root}/${mode}.db`];
        follower = modes[mode].command
            ? started(heaptap, [...modes[mode].command, '-o', `${root}/${mode}-${++files}`, target.port, ...db], [modes[mode].ready])
            : started(heaptap, ['run', target.port, '--no-snapshots',
                '--metrics-interval', '60s', ...db, '--no-diagnosis', ...modes[mode]], [/(attached to)/]);
        await follower.ready;
        await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    const inside = (verb) => mode === 'bare' && run(heaptap, ['attach', target.port, '-c', channels(verb)]);
    inside('subscribe');
    // The hook is compiled in it; after a reading, which the end of a run makes too, all the server is.
    await load(target.url, values.what === 'live' ? 3 : 1);
    const floors = () => follower?.count('"label":"after-gc"') ?? 0;
    const before = cpuMicroseconds(pid), floorsBefore = floors();
    const { requests, p99 } = await load(target.url, values.seconds);
    const cost = (cpuMicroseconds(pid) - before) / requests;
    const readings = floors() - floorsBefore;
    inside('unsubscribe');
    if (follower) {
        follower.child.kill('SIGINT');
        await follower.child.over;
    }
    return { cost, p99, requests, readings, rate: requests / values.seconds };
}

// What the live profile costs when a minute has one reading.
function inTheLongRun({ without, sampling, readings }) {
    if (!sampling || !readings) return undefined;
    const each = readings.map((round, i) => (round.cost - sampling[i].cost) * round.requests / round.readings);
    const reading = median(each.filter(Number.isFinite));
    const added = median(sampling.map((round, i) => (round.cost - without[i].cost) / without[i].cost));
    return { reading_ms: round(reading / 1000, 0), long_run_percent: round(100 * (added + reading / 60e6)) };
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const round = (number, digits = 2) => Number(number.toFixed(digits));

for (const mode of Object.keys(modes))
    if (values.modes && mode !== 'without' && !values.modes.split(',').includes(mode)) delete modes[mode];

for (const server of values.server.split(','))
    for (const node of values.node.split(',')) {
        const program = started(nodeOf(node),
            ['--inspect=127.0.0.1:0', path.join(house, 'tests/e2e/request-servers.cjs'), server, packages],
            [/listening on (http:\S+)/, /ws:\/\/127.0.0.1:(\d+)/]);
        const [address, port] = await program.ready;
        const target = { url: `${address}/hello`, port };
        const results = Object.fromEntries(Object.keys(modes).map((mode) => [mode, []]));
        await load(target.url, 3); // warm
        for (let i = 0; i < Number(values.rounds); i++)
            for (const mode of Object.keys(modes))
                results[mode].push(await measure(target, program.child.pid, mode));
        for (const mode of Object.keys(modes)) {
            const of = (key) => median(results[mode].map((result) => result[key]));
            console.log(JSON.stringify({
                node, server, mode, cpu_us: round(of('cost')),
                added_us: round(median(results[mode].map((r, i) => r.cost - results.without[i].cost))),
                added_low: round(Math.min(...results[mode].map((r) => r.cost)) -
                    Math.min(...results.without.map((r) => r.cost))),
                over_bare: results.bare && round(median(results[mode].map((r, i) => r.cost - results.bare[i].cost))),
                rate: round(of('rate'), 0), p99_ms: round(of('p99')),
                ...(mode === 'readings' && inTheLongRun(results)),
            }));
        }
        program.child.kill('SIGKILL');
    }
