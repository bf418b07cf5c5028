// What the scoreboard rests on: that the truth is true, and that right and wrong are told apart.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { checkPlaces, CULPRITS, metGoal, score, table, totals, won } from './score.mjs';
import { buildServer, floorOf, lineOf, makePlace, readTruths, send, startBackends, startServer } from './servers.mjs';

const WARM_UP = 400;
const COUNT = 400;

let place;
let backends;
const truths = readTruths();

before(async () => {
    place = makePlace(fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-zoo-')));
    backends = await startBackends(place);
});

after(async () => {
    await backends.end();
    fs.rmSync(place, { recursive: true, force: true });
});

test('every server has a source, requests, and a truth whose places are in what runs', async () => {
    assert.ok(truths.size >= 50);
    for (const truth of truths.values()) {
        assert.ok(truth.source, `${truth.name} has no source`);
        assert.ok(truth.requests.length >= 2, `${truth.name}: a leak is found among other routes`);
        truth.file = await buildServer(place, truth);
        checkPlaces(truth);
        for (const leak of truth.leaks)
            assert.ok((truth.memory_kind === 'rss-only' && Object.keys(leak.routes).length) || (leak.classes.length && leak.holders.length && Object.keys(leak.routes).length), truth.name);
        for (const leak of truth.leaks)
            assert.deepEqual(leak.culprits.filter((word) => !CULPRITS.includes(word)), [], `${truth.name}: no such culprit`);
    }
    const quiet = [...truths.values()].filter((truth) => !truth.leaks.length);
    assert.ok(quiet.length >= 6);
});

// What a server keeps is known without heaptap: plain requests, full collections.
for (const [name, route] of [['widgets', 'GET /embed/:n'], ['catalogue', 'GET /quotes/:sku'], ['sessions-redis', 'GET /me']])
    test(`${name} keeps what its truth says, by plain requests`, async () => {
        const truth = truths.get(name);
        truth.file = await buildServer(place, truth);
        const server = await startServer(place, truth, { node: '22', env: backends.env });
        try {
            for (const request of truth.requests) await send(server.port, request, WARM_UP);
            const before = await floorOf(server.url);
            assert.deepEqual([...(await send(server.port, truth.requests[0], COUNT)).keys()], [200]);
            const { heap } = await floorOf(server.url);
            const kept = (heap - before.heap) / COUNT;
            const [low, high] = truth.leaks[0].routes[route];
            assert.ok(kept >= low && kept <= high, `${kept} B a request, not ${low} to ${high}`);
        } finally {
            await server.end();
        }
    });

const right = () => {
    const truth = truths.get('widgets');
    const file = path.join(place, truth.source);
    return {
        truth,
        file,
        diagnosis: {
            verdict: 'leak',
            memory_kind: 'js-heap',
            suspects: [{
                class: 'Widget',
                holder: { name: '#instances', text: 'the Set "#instances"', path: [], location: { url: `file://${file}`, line: lineOf(file, 'static #instances') } },
                routes: [{ method: 'GET', route: '/embed/:n', bytes_per_request: 1200 }],
                allocated_at: [{ url: file, line: lineOf(file, 'Widget.#instances.add') }],
                culprit: 'cache',
            }],
        },
    };
};

test('the right answer wins, and each wrong part of it is seen', () => {
    const { truth, file, diagnosis } = right();
    const row = score(truth, file, diagnosis);
    assert.ok(won(row, true));
    for (const key of ['class', 'holder', 'route', 'bytes', 'culprit', 'holderLine', 'allocatedAt']) assert.ok(row[key], key);

    const spoil = (change) => {
        const other = right();
        change(other.diagnosis, other.diagnosis.suspects[0]);
        return score(truth, file, other.diagnosis);
    };
    assert.equal(won(spoil((d, s) => (s.class = 'Array')), true), false);
    assert.equal(won(spoil((d, s) => Object.assign(s.holder, { name: 'partners', text: 'the Set "partners"' })), true), false);
    assert.equal(won(spoil((d, s) => (s.routes[0].route = '/partners')), true), false);
    assert.equal(won(spoil((d, s) => (s.routes = [])), true), false);
    assert.equal(won(spoil((d) => (d.verdict = 'no-leak')), true), false);
    assert.equal(spoil((d, s) => (s.routes[0].bytes_per_request = 90)).bytes, false);
    const second = spoil((d, s) => d.suspects.unshift({ ...s, class: 'Socket', holder: { name: 'sockets' } }));
    assert.equal(second.rank, 2);
    assert.equal(won(second, true), false);
});

test('the table says what is wrong, and nothing else', () => {
    const { truth, file, diagnosis } = right();
    const good = { ...score(truth, file, diagnosis), node: '20' };
    diagnosis.suspects[0].culprit = 'timer';
    const bad = { ...score(truth, file, diagnosis), node: '22' };
    const lines = table([good, bad]).split('\n');
    assert.equal(lines[2], '| widgets | ok | not culprit: Widget in #instances, GET /embed/:n 1200 B |');
});

test('memory outside of the heap has no class, and is won by its kind and route', () => {
    const truth = truths.get('converters');
    const of = (memory_kind, verdict = 'leak', route = '/conversions') =>
        won(score(truth, '', { verdict, memory_kind, suspects: [{ class: null, routes: [{ method: 'POST', route }] }] }), true);
    assert.deepEqual([of('rss-only'), of('js-heap'), of('rss-only', 'no-leak'), of('rss-only', 'leak', '/formats')], [true, false, false, false]);
    assert.equal(won(score(truth, '', { verdict: 'leak', memory_kind: 'rss-only', suspects: [] }), true), false);
});

test('a false alarm fails the board even when every leak is named', () => {
    const { truth, file, diagnosis } = right();
    const clean = truths.get('garbage');
    const rows = [score(truth, file, diagnosis), score(clean, file, { verdict: 'no-leak', suspects: [] })];
    assert.ok(metGoal(totals(rows, true)));
    rows[1] = score(clean, file, { verdict: 'growth', suspects: [] });
    assert.equal(totals(rows, true).falseAlarms, 1);
    assert.equal(metGoal(totals(rows, true)), false);
});
