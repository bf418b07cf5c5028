#!/usr/bin/env node
// The scoreboard: has heaptap name the leak of each server of the zoo, and holds what it says against
// the truth. See usage.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { checkPlaces, metGoal, score, table, totals, won, GOAL } from './score.mjs';
import { buildServer, builtFile, floorOf, here, makePlace, readTruths, send, startBackends, startServer } from './servers.mjs';

const usage = `usage: tests/zoo/scoreboard [SERVER...]
  tests/zoo/scoreboard                         all servers on Node 20, 22 and 24, with heaptap probe
  tests/zoo/scoreboard storefront --node 24 --keep
  --node 20,22,24    versions to run on
  --way probe|files  files: plain requests, snapshots, heaptap diagnose FILE...; no routes are judged
  --measure          no heaptap: bytes that each route keeps, by plain requests and full collections
  --serve            starts one server and leaves it running, until Ctrl-C
  --json FILE        every row and the totals
  --table            ends with a table in Markdown
  --keep             leaves files, records and answers, and says where
  --again DIR        no server is started: what --keep has left there is diagnosed again, and judged
  --heaptap FILE     the program (default: build/release/heaptap, or $HEAPTAP_BIN)
  --list             names the servers, and what is true of each
Ends with 1 under the goal: ${GOAL * 100} % of those that leak with class, holder and route at rank 1, and no false alarm.`;

const { values: options, positionals: names } = parseArgs({
    allowPositionals: true,
    options: {
        node: { type: 'string', default: '20,22,24' },
        way: { type: 'string', default: 'probe' },
        measure: { type: 'boolean' },
        serve: { type: 'boolean' },
        json: { type: 'string' },
        table: { type: 'boolean' },
        keep: { type: 'boolean' },
        again: { type: 'string', multiple: true },
        heaptap: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
    },
});
const binary = path.resolve(options.heaptap ?? process.env.HEAPTAP_BIN ?? path.join(here, '../../build/release/heaptap'));
const PROBE_MS = 600_000; // a deadline for hangs
const MAX_PAUSE = '2m'; // nobody waits for these servers, and the machine may be busy
const FILES_WARM_UP = 150;
const FILES_ROUND = 120;

function run(args, env) {
    return new Promise((resolve, reject) => {
        execFile(binary, args, { env, timeout: PROBE_MS, killSignal: 'SIGKILL', maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
            if (error) reject(new Error(`heaptap ${args[0]} ended with ${error.code ?? error.signal}: ${stderr.trim().split('\n').slice(-5).join('\n')}`));
            else resolve({ stdout, stderr });
        });
    });
}

// The diagnosis by the controlled experiment.
async function byProbe(server, truth, folder, env) {
    const requests = truth.requests.flatMap((request) => ['--request', request]);
    const { stdout, stderr } = await run(
        ['probe', String(server.inspector), '--base', `http://127.0.0.1:${server.port}`, ...requests, '--json', '--max-pause', MAX_PAUSE, '--dir', folder, '--db', `sqlite:${folder}/record.db`], env);
    fs.writeFileSync(path.join(folder, 'probe.json'), stdout);
    fs.writeFileSync(path.join(folder, 'probe.log'), stderr);
    return JSON.parse(stdout).diagnosis;
}

// The diagnosis of four snapshot files, between which every route got as many requests.
async function byFiles(server, truth, folder, env) {
    const files = [];
    for (let round = 0; round < 4; round++) {
        for (const request of truth.requests) await send(server.port, request, round ? FILES_ROUND : FILES_WARM_UP);
        const file = path.join(folder, `${round}.heapsnapshot`);
        await run(['snapshot', String(server.inspector), '-o', file, '--force'], env);
        files.push(file);
    }
    const { stdout } = await run(['diagnose', ...files, '--json'], env);
    fs.writeFileSync(path.join(folder, 'diagnose.json'), stdout);
    return JSON.parse(stdout);
}

async function measure(server, truth) {
    const count = 400;
    for (let i = 0; i < 2; i++) for (const request of truth.requests) await send(server.port, request, count / 2);
    for (const request of truth.requests) {
        const before = await floorOf(server.url);
        const statuses = await send(server.port, request, count);
        const after = await floorOf(server.url);
        const kept = (name) => Math.round((after[name] - before[name]) / count).toString().padStart(8);
        console.log(`${truth.name.padEnd(16)} ${kept('heap')} B heap ${kept('external')} B outside  ${JSON.stringify([...statuses])}  ${request}`);
    }
}

const yes = (value) => (value === null ? '-' : value ? 'yes' : 'NO');

function printRow(row, routes) {
    const what = row.error
        ? `ERROR ${row.error.split('\n')[0]}`
        : row.leaks
          ? `rank ${row.rank || '-'}  class ${yes(row.class)}  holder ${yes(row.holder)}  route ${yes(routes ? row.route : null)}  ` +
            `bytes ${yes(routes ? row.bytes : null)}  culprit ${yes(row.culprit)}  line ${yes(row.holderLine)}  allocated ${yes(row.allocatedAt)}`
          : row.falseAlarm ? 'FALSE ALARM' : 'quiet';
    console.log(`${row.won ? 'ok ' : 'BAD'} ${row.server.padEnd(16)} ${row.node}  ${String(row.seconds).padStart(4)} s  ${(row.verdict ?? '').padEnd(12)} ${what}\n      ${row.said ?? ''}`);
}

async function judgeOne(truth, node, place, env, routes) {
    const started = Date.now();
    const folder = path.join(place, 'out', `${truth.name}-${node}`);
    fs.mkdirSync(folder, { recursive: true });
    let row;
    let server;
    try {
        server = await startServer(place, truth, { node, env });
        const home = { ...process.env, HOME: folder, XDG_STATE_HOME: folder, XDG_CONFIG_HOME: folder };
        const diagnosis = await (routes ? byProbe : byFiles)(server, truth, folder, home);
        row = score(truth, truth.file, diagnosis);
        row.won = won(row, routes);
    } catch (error) {
        row = { server: truth.name, leaks: truth.leaks.length > 0, falseAlarm: false, error: error.message, won: false };
    } finally {
        await server?.end();
    }
    row.node = node;
    row.seconds = Math.round((Date.now() - started) / 1000);
    printRow(row, routes);
    if (!options.keep) fs.rmSync(folder, { recursive: true, force: true });
    return row;
}

// Of a server that ran twice on a Node the later one counts.
async function judgeAgain(truths, places, nodes) {
    const kept = new Map();
    for (const place of places)
        for (const folder of fs.readdirSync(path.join(place, 'out'))) {
            const [, name, node] = /^(.*)-(\d+)$/.exec(folder) ?? [];
            const record = path.join(place, 'out', folder, 'record.db');
            if (!truths.has(name) || !nodes.includes(node) || !fs.existsSync(path.join(place, 'out', folder, 'probe.json'))) continue;
            const at = fs.statSync(record).mtimeMs;
            if (!(kept.get(folder)?.at > at)) kept.set(folder, { place, name, node, record, at });
        }
    const rows = [];
    for (const { place, name, node, record } of kept.values()) {
        const truth = truths.get(name);
        const started = Date.now();
        await run(['db', 'migrate', '--db', `sqlite:${record}`], process.env);
        const { stdout } = await run(['diagnose', '--json', '--db', `sqlite:${record}`], process.env);
        const row = score(truth, builtFile(place, truth), JSON.parse(stdout));
        rows.push(Object.assign(row, { won: won(row, true), node, seconds: Math.round((Date.now() - started) / 1000) }));
        printRow(row, true);
    }
    return rows;
}

function conclude(rows, routes) {
    const sums = totals(rows, routes);
    console.log(Object.entries(sums).map(([name, value]) => `${name} ${value}`).join(', '));
    if (options.table) console.log(`\n${table(rows)}`);
    if (options.json) fs.writeFileSync(options.json, `${JSON.stringify({ way: options.way, totals: sums, rows }, null, 1)}\n`);
    process.exitCode = metGoal(sums) ? 0 : 1;
}

async function main() {
    const truths = readTruths();
    if (options.help) return console.log(usage);
    if (options.list) {
        for (const truth of truths.values()) console.log(`${truth.name.padEnd(16)} ${truth.leaks.length ? 'leaks  ' : 'no leak'}  ${truth.what}`);
        return;
    }
    const unknown = names.find((name) => !truths.has(name));
    if (unknown || !['probe', 'files'].includes(options.way) || (options.serve && names.length !== 1)) {
        console.error(unknown ? `scoreboard: no server "${unknown}" here; --list names them` : usage);
        process.exitCode = 2;
        return;
    }
    if (options.again) {
        const wanted = new Map([...truths].filter(([name]) => !names.length || names.includes(name)));
        return conclude(await judgeAgain(wanted, options.again, options.node.split(',')), true);
    }
    const chosen = names.length ? names.map((name) => truths.get(name)) : [...truths.values()];
    const place = makePlace(fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-zoo-')));
    const backends = await startBackends(place);
    const rows = [];
    const routes = options.way === 'probe';
    try {
        for (const truth of chosen) {
            truth.file = await buildServer(place, truth);
            checkPlaces(truth);
            for (const node of options.node.split(',')) {
                if (options.measure || options.serve) {
                    const server = await startServer(place, truth, { node, env: backends.env });
                    if (options.measure) await measure(server, truth);
                    else {
                        console.log(`${truth.file}: pid ${server.pid}, http://127.0.0.1:${server.port}, inspector ${server.inspector}`);
                        await new Promise((resolve) => process.once('SIGINT', resolve));
                    }
                    await server.end();
                } else rows.push(await judgeOne(truth, node, place, backends.env, routes));
            }
        }
    } finally {
        await backends.end();
        if (options.keep) console.log(`kept: ${place}`);
        else fs.rmSync(place, { recursive: true, force: true });
    }
    if (rows.length) conclude(rows, routes);
}

await main();
