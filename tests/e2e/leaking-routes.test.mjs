// Which of five routes leaks, on traffic as servers have it, minutes of it; and a hundred thousand
// requests that are all in PostgreSQL (tests/postgres/with-postgres starts it).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';
import { assertExit, house, jsonLines, sleep, startHeaptap, startTarget, workspace } from './lib.mjs';

const { PGHOST, PGPORT, PGUSER, TEST_POSTGRES } = process.env;
assert.ok(TEST_POSTGRES, 'run this under tests/postgres/with-postgres');
const SECONDS = Number(process.env.HEAPTAP_ROUTES_S ?? 120);
const CONNECTIONS = 16;

// 640 numbers: 5,136 bytes, an array object of 16 or 32, and a place in the list that keeps it.
const KEPT = [5152, 5200];
const code = `const http = require('http');
    const kept = [];
    let tenth = 0;
    const leak = () => kept.push(Array.from({ length: 640 }, (_, i) => i + 0.5));
    http.createServer((request, response) => {
        const garbage = JSON.stringify(new Array(200).fill(request.url));
        if (process.env.LEAKS && request.url === '/leak') leak();
        if (process.env.LEAKS && request.url === '/tenth' && ++tenth % 10 === 0) leak();
        response.end(garbage.slice(0, 100));
    }).listen(0, '127.0.0.1', function () { console.log('listening on http://127.0.0.1:' + this.address().port); });`;
const pages = ['/a', '/leak', '/b', '/tenth', '/c'];

// So many requests a second for so long. varying: each window of ten seconds has a page of its own
// that is asked for three times as often as the others.
async function load(url, { rate, seconds, varying }) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    const ask = (page) => new Promise((resolve, reject) => {
        http.get(url + page, { agent }, (answer) => answer.resume().on('end', resolve)).on('error', reject);
    });
    const began = Date.now();
    let asked = 0;
    await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
        for (;;) {
            const passed = (Date.now() - began) / 1000;
            if (passed > seconds && asked >= rate * seconds) return;
            if (asked > passed * rate) {
                await sleep(5);
                continue;
            }
            asked++;
            const favourite = varying ? Math.floor(passed / 10) % pages.length : 0;
            const pick = Math.floor(Math.random() * (pages.length + (varying ? 2 : 0)));
            await ask(pages[pick < pages.length ? pick : favourite]);
        }
    }));
    agent.destroy();
    return { asked, seconds: (Date.now() - began) / 1000 };
}

async function watch(t, ws, { leaks, args = [], ...traffic }) {
    const target = await startTarget(t, { node: '22', code, env: { LEAKS: leaks ? '1' : '' } });
    const run = startHeaptap(t, ws, ['run', String(target.port), '--requests', '--gc-floor', '5s', '--no-snapshots',
        '--live-profile', 'off', '--dir', ws.dir, '--json', ...args]);
    await sleep(2000);
    const sent = await load(target.url, traffic);
    await sleep(6000); // one more floor
    run.child.kill('SIGINT');
    await run.done;
    assertExit(run, 0);
    const lines = jsonLines(run.stdout.split('\n').filter((line) => !line.startsWith('{"type":"request"')).join('\n'));
    const { requests } = lines.find((line) => line.type === 'summary').targets[0];
    const notes = lines.filter((line) => line.type === 'event').map((line) => line.text).join('\n');
    assert.equal(requests.requests, sent.asked, notes);
    assert.equal(requests.lost, 0, notes);
    t.diagnostic(`${sent.asked} requests in ${sent.seconds.toFixed(1)} s: ${requests.verdict}; ` + requests.routes
        .map((route) => `${route.route} ${['bytes_per_request', 'low', 'high'].map((key) => Math.round(route[key]))}` +
            `${route.leaks ? ' leaks' : ''}`).join(', '));
    return { requests, sent };
}
const named = (requests) => requests.routes.filter((route) => route.leaks && route.together === null)
    .map((route) => route.route).sort();

test('both leaking routes are named, their intervals hold the truth, and every request is in PostgreSQL', async (t) => {
    const ws = workspace(t);
    execFileSync('psql', ['-q', '-c', 'CREATE DATABASE routes', 'postgres']);
    const psql = (...args) => execFileSync('psql', ['-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', 'routes', ...args],
        { encoding: 'utf8' }).trim();
    const { requests, sent } = await watch(t, ws, { leaks: true, varying: true, seconds: SECONDS, rate: 900,
        args: ['--requests-overhead', '100%', '--db', `postgresql://${PGUSER}@${PGHOST}:${PGPORT}/routes`, '--drain', '60s'] });
    assert.deepEqual(named(requests), ['/leak', '/tenth'], JSON.stringify(requests));
    for (const [page, share] of [['/leak', 1], ['/tenth', 0.1]]) {
        const route = requests.routes.find((one) => one.route === page);
        assert.ok(route.low <= KEPT[1] * share && route.high >= KEPT[0] * share, JSON.stringify(route));
    }
    const [pairs, gap] = ["SELECT count(*) FROM request_memory", 'SELECT max(seq) - count(*) FROM memory_metrics']
        .map((query) => Number(psql('-c', query)));
    assert.equal(gap, 0, 'a row is missing');
    assert.equal(pairs, requests.recorded, 'a request has one row only');
    if (requests.share === 1) assert.equal(pairs, sent.asked);
    const grown = psql('-f', path.join(house, 'sql/queries/requests.postgres.sql')).split('\n').map((row) => row.split('|')[0]);
    assert.ok(grown.includes('/leak'), grown.join());
});

test('other traffic', { concurrency: 2 }, async (t) => {
    await Promise.all([
        t.test('routes whose mix never changes cannot be told apart, which is said', async (t) => {
            const ws = workspace(t);
            const { requests } = await watch(t, ws, { leaks: true, varying: false, seconds: SECONDS / 2, rate: 300,
                args: ['--db', `sqlite:${ws.db}`] });
            assert.equal(requests.verdict, 'together', JSON.stringify(requests));
            assert.deepEqual(named(requests), []);
        }),
        t.test('a server without a leak has no route named', async (t) => {
            const ws = workspace(t);
            const { requests } = await watch(t, ws, { leaks: false, varying: true, seconds: SECONDS / 2, rate: 300,
                args: ['--db', `sqlite:${ws.db}`] });
            assert.deepEqual(named(requests), [], JSON.stringify(requests));
        }),
    ]);
});
