// The controlled experiment: it sends what it was told to, names the routes that keep memory and no
// others, keeps what it has when it is ended, and says what is wrong with bad input.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
    assertError,
    assertExit,
    freePort,
    get,
    heaptap,
    here,
    house,
    sql,
    startHeaptap,
    startTarget,
    until,
    workspace,
} from './lib.mjs';

const script = path.join(here, 'probe-server.cjs');
const server = (t, node, ...args) => startTarget(t, { node, script, args });
const HUNG = 240_000;

// What CartEntry and its string take, with the array's share: 5120 + 16, 32 and some 8 to 12.
const KEPT = [5170, 5190];

function assertRoute(answer, route, [least, most]) {
    const found = answer.routes.find((r) => r.route === route);
    assert.ok(found?.leaks, `${route} is not named: ${JSON.stringify(answer.routes)}`);
    // One interval of a hundred may leave the truth out; by as much as this, none should.
    const slack = 0.05 * most;
    assert.ok(
        found.low <= most + slack && found.high >= least - slack,
        `${found.low} to ${found.high} bytes a request of ${route} leave out ${least} to ${most}`
    );
    assert.ok(
        found.high - found.low < least / 2,
        `${found.low} to ${found.high} bytes a request of ${route} say too little`
    );
    assert.ok(found.low <= found.bytes_per_request && found.bytes_per_request <= found.high);
}

// One version here; probe-tries (label slow) takes all of them.
for (const node of (process.env.PROBE_NODE ?? '22').split(','))
    test(`on Node ${node} the route that keeps 5 KB a request is told from the one beside it`, async (t) => {
        const ws = workspace(t);
        const target = await server(t, node, 'leak');
        const run = await heaptap(
            t,
            ws,
            // prettier-ignore
            ['probe', `${target.port}`, ...ws.own, '--json', '--request', `GET ${target.url}/cart`,
                '--request', '/json', '--count', '120', '--settle', '50ms', '--exit-code'],
            { timeout: HUNG }
        );
        assertExit(run, 1);
        const answer = JSON.parse(run.stdout);
        assert.equal(answer.schema, 'heaptap.probe/1');
        assert.equal(answer.target.pid, target.pid);
        assertRoute(answer, '/cart', KEPT);
        const other = answer.routes.find((r) => r.route === '/json');
        assert.equal(other.leaks, false);
        assert.equal(other.bytes_per_request, null);
        // Every request of a round was counted by the hook, in mixes that differ.
        assert.equal(answer.routes_from, 'target');
        assert.equal(answer.rounds.length, 12);
        const first = answer.rounds[0].requests;
        assert.equal(first['GET /cart'] + first['GET /json'], 120);
        assert.ok(first['GET /cart'] !== answer.rounds[1].requests['GET /cart']);
        assert.ok(answer.rounds.every((round) => round.floor_bytes > 1e6));
        assert.equal(answer.load.failed, 0);
        // The record is a run's: three snapshots, floors with counts, and diagnose can be asked again.
        const snapshots = sql(ws.db, 'SELECT trigger, state FROM heap_snapshots');
        assert.deepEqual(
            snapshots.map((s) => `${s.trigger} ${s.state}`),
            Array(3).fill('probe complete')
        );
        const [{ n }] = sql(ws.db, "SELECT count(*) AS n FROM events WHERE kind = 'floor'");
        assert.ok(n >= 10, `${n} floors`);
        assert.equal(answer.diagnosis.schema, 'heaptap.diagnose/1');
        const suspect = answer.diagnosis.suspects[0];
        assert.equal(suspect?.class, 'CartEntry', JSON.stringify(answer.diagnosis));
        assert.equal(suspect.routes[0].route, '/cart');
        const perRequest = suspect.routes[0].instances_per_request;
        assert.ok(perRequest > 0.9 && perRequest < 1.1, `${perRequest} instances a request`);
        const again = await heaptap(t, ws, ['diagnose', '--db', `sqlite:${ws.db}`, '--json']);
        assertExit(again, 0);
        assert.equal(JSON.parse(again.stdout).suspects[0].class, 'CartEntry');
        // Requests of a probe are counted, not recorded one by one: the routes are there all the same.
        const kept = await heaptap(t, ws, ['metrics', 'requests', '--db', `sqlite:${ws.db}`, '--json']);
        assertExit(kept, 0);
        const told = answer.routes.find((r) => r.route === '/cart');
        const cart = JSON.parse(kept.stdout).rows.filter((row) => row.route === '/cart');
        assert.equal(cart.length, 1, kept.stdout);
        assert.equal(cart[0].leaks, 'leaks');
        assert.ok(cart[0].requests >= told.requests && cart[0].avg_heap_delta === null);
        assert.equal(cart[0].recorded, 0);
        // One record, one estimate.
        for (const other of [suspect.routes[0], cart[0]])
            for (const key of ['bytes_per_request', 'low', 'high'])
                assert.ok(Math.abs(told[key] - other[key]) <= 1, JSON.stringify([told, other]));
    });

test('a server without a leak is accused of nothing', async (t) => {
    const ws = workspace(t);
    const target = await server(t, '22');
    const run = await heaptap(
        t,
        ws,
        // prettier-ignore
        ['probe', `${target.port}`, ...ws.own, '--json', '--request', `GET ${target.url}/cart`,
            '--request', '/text', '--count', '120', '--settle', '50ms', '--exit-code',
            '--snapshots', '0'],
        { timeout: HUNG }
    );
    assertExit(run, 0);
    const answer = JSON.parse(run.stdout);
    assert.deepEqual(
        answer.routes.filter((r) => r.leaks),
        []
    );
    assert.notEqual(answer.diagnosis.verdict, 'leak');
    assert.deepEqual(ws.files(), []);
});

test('the gate closes above what is allowed only, and the words name the route', async (t) => {
    const ws = workspace(t);
    const target = await server(t, '24', 'leak');
    // prettier-ignore
    const args = ['probe', `${target.port}`, ...ws.own, '--request', `GET ${target.url}/cart`,
        '--count', '150', '--settle', '50ms', '--snapshots', '0', '--exit-code',
        '--max-bytes-per-request'];
    const above = await heaptap(t, ws, [...args, '1KB'], { timeout: HUNG });
    assertExit(above, 1);
    assert.match(above.stdout, /GET \/cart .* leaks\n/);
    const below = await heaptap(t, ws, [...args, '6KB'], { timeout: HUNG });
    assertExit(below, 0);
});

test('bodies, headers and placeholders arrive as they were asked for, and the record hides them', async (t) => {
    const ws = workspace(t);
    const target = await server(t, '20');
    const run = await heaptap(
        t,
        ws,
        // prettier-ignore
        ['probe', `${target.port}`, ...ws.own, '--base', target.url, '--header', 'X-Probe: 1',
            '--request', 'POST /items {"n":{n},"id":"{uuid}"}', '--count', '20', '--rounds', '1',
            '--settle', '1ms', '--snapshots', '0', '--no-diagnosis'],
        { timeout: HUNG }
    );
    assertExit(run, 0);
    assert.match(run.stdout, /1 round is too few/);
    const received = await (await fetch(`${target.url}/received`)).text();
    assert.match(received, /^application\/json 1 \{"n":\d+,"id":"[0-9a-f-]{36}"\}$/);
    const { settings } = JSON.parse(sql(ws.db, 'SELECT detail FROM runs')[0].detail);
    assert.equal(settings.header, 'X-Probe: ***');
    assert.equal(settings.request, 'POST /items ***');
});

test("a load generator of the user's is started once a round, and its requests are counted", async (t) => {
    const ws = workspace(t);
    const target = await server(t, '22');
    const log = ws.path('rounds');
    const code = `require('fs').appendFileSync(${JSON.stringify(log)}, process.env.HEAPTAP_ROUND + ' ');
        (async () => { for (let i = 0; i < 20; i++) await fetch('${target.url}/cart'); })()`;
    const run = await heaptap(
        t,
        ws,
        // prettier-ignore
        ['probe', `${target.port}`, ...ws.own, '--json', '--rounds', '2', '--settle', '1ms',
            '--snapshots', '0', '--', process.execPath, '-e', code],
        { timeout: HUNG }
    );
    assertExit(run, 0);
    assert.match(fs.readFileSync(log, 'utf8'), /^(0 )+1 2 $/);
    const answer = JSON.parse(run.stdout);
    assert.deepEqual(
        answer.rounds.map((round) => round.requests),
        [{ 'GET /cart': 20 }, { 'GET /cart': 20 }]
    );
    // In words, too, though no route can be judged by so few rounds.
    const words = await heaptap(
        t,
        ws,
        // prettier-ignore
        ['probe', `${target.port}`, ...ws.own, '--rounds', '1', '--settle', '1ms', '--snapshots', '0',
            '--no-diagnosis', '--', process.execPath, '-e', code],
        { timeout: HUNG }
    );
    assertExit(words, 0);
    assert.match(words.stdout, /1 of 1 round, 20 requests served/);
    assert.match(words.stdout, /^GET \/cart +20 .*unknown$/m);
});

test('Ctrl-C keeps what there is, and leaves nothing in the target', async (t) => {
    const ws = workspace(t);
    const target = await server(t, '22', 'leak');
    const run = startHeaptap(t, ws, [
        ...['probe', `${target.port}`, ...ws.own, '--json', '--request', `${target.url}/cart`],
        ...['--count', '50', '--rounds', '1000', '--settle', '20ms', '--snapshots', '0'],
    ]);
    const floors = () =>
        fs.existsSync(ws.db) &&
        sql(ws.db, "SELECT count(*) AS n FROM sqlite_master WHERE name = 'events'")[0].n &&
        sql(ws.db, "SELECT count(*) AS n FROM events WHERE kind = 'floor'")[0].n;
    await until(() => floors() > 3, 'floors in the record');
    run.child.kill('SIGINT');
    await run.done;
    assertExit(run, 0);
    const answer = JSON.parse(run.stdout);
    assert.equal(answer.partial, true);
    assert.ok(answer.rounds.length >= 3, `${answer.rounds.length} rounds`);
    await get(target.url, '/cart'); // it serves on
    const kept = await heaptap(t, ws, ['metrics', 'requests', '--db', `sqlite:${ws.db}`, '--json']);
    assertExit(kept, 0);
    for (const row of JSON.parse(kept.stdout).rows) {
        const told = answer.routes.find((r) => r.route === row.route);
        for (const key of ['low', 'high'])
            assert.ok(Math.abs(told[key] - row[key]) <= 1, JSON.stringify([told, row]));
    }
});

test('a target that ends in the middle: what there is, and exit code 3', async (t) => {
    const ws = workspace(t);
    const target = await server(t, '22');
    const run = startHeaptap(t, ws, [
        ...['probe', `${target.port}`, ...ws.own, '--json', '--request', `${target.url}/cart`],
        ...['--count', '50', '--rounds', '1000', '--settle', '20ms', '--snapshots', '0'],
    ]);
    await until(
        () =>
            fs.existsSync(ws.db) &&
            sql(ws.db, "SELECT count(*) AS n FROM sqlite_master WHERE name = 'events'")[0].n &&
            sql(ws.db, "SELECT count(*) AS n FROM events WHERE kind = 'floor'")[0].n > 3,
        'floors in the record'
    );
    target.child.kill('SIGKILL');
    await run.done;
    assertExit(run, 3);
    assert.equal(JSON.parse(run.stdout).partial, true);
});

test('a URL that nobody serves, or that never answers, is said with exit code 3', async (t) => {
    const ws = workspace(t);
    const target = await server(t, '22');
    const port = await freePort();
    // prettier-ignore
    const probe = (...args) => heaptap(t, ws, ['probe', `${target.port}`, ...ws.own,
        '--snapshots', '0', '--settle', '1ms', '--no-diagnosis', ...args], { timeout: HUNG });
    const closed = await probe('--request', `GET http://127.0.0.1:${port}/x?secret=1`);
    assertError(closed, 3, /GET http:\/\/127\.0\.0\.1:\d+\/x has no answer: .*(connect|refused)/i);
    assert.doesNotMatch(closed.stderr, /secret/);
    const silent = await probe(
        ...['--request', `${target.url}/never`, '--request-timeout', '300ms']
    );
    assertError(silent, 3, /\/never has no answer: .*timed out/i);
    const broken = await probe('--request', `${target.url}/broken`, '--count', '10', '--rounds', '1');
    assertExit(broken, 0);
    assert.match(broken.stderr, /\/broken answers 500/);
    assert.match(broken.stdout, /were errors of the server/);
    const gone = await heaptap(t, ws, [
        ...['probe', `${port}`, ...ws.own, '--request', `${target.url}/cart`],
    ]);
    assertError(gone, 3, /nothing listens/);
});

test('a gate does not pass what was not measured: requests that go elsewhere, none, too few rounds', async (t) => {
    const ws = workspace(t);
    const target = await server(t, '22');
    const other = await server(t, '22');
    // prettier-ignore
    const probe = (...args) => heaptap(t, ws, ['probe', `${target.port}`, ...ws.own, '--settle',
        '1ms', '--snapshots', '0', ...args], { timeout: HUNG });
    const load = ['--request', `${other.url}/cart`, '--count', '10', '--rounds', '8'];
    const open = await probe(...load);
    assertExit(open, 0);
    assert.match(open.stderr, /has served none of \d+ requests/);
    assert.match(open.stdout, /Inconclusive: the target has served none of the requests in 8 rounds/);
    assert.match(open.stdout, /Inconclusive: no request of the probe has reached the target/);
    assert.doesNotMatch(open.stdout, /No leak|nothing shows|No route keeps/);
    const gate = await probe(...load, '--exit-code', '-q');
    assertExit(gate, 3);
    assert.match(gate.stderr, /nothing was measured: the target has served none of the requests/);
    // A look for inspectors asks the server, too.
    const asks = setInterval(() => get(target.url, '/json/version').catch(() => {}), 3000);
    t.after(() => clearInterval(asks));
    const idle = await probe('--exit-code', '--json', '--rounds', '8', '--', 'true');
    assertExit(idle, 3);
    const answer = JSON.parse(idle.stdout);
    assert.equal(answer.verdict, 'unserved');
    assert.equal(answer.diagnosis.verdict, 'inconclusive');
    const short = await probe(
        ...['--exit-code', '--request', `${target.url}/cart`, '--count', '10', '--rounds', '1']
    );
    assertExit(short, 3);
    assert.match(short.stdout, /Inconclusive: 1 round is too few to tell/);
    assert.match(short.stderr, /too few to tell anything/);
});

test('bad words are refused before anything is touched', async (t) => {
    const ws = workspace(t);
    for (const [args, pattern] of [
        [[], /what should be requested/],
        [['--request', 'GET /x'], /--base/],
        [['--request', 'GET ftp://h/'], /no http/],
        [['--request', 'GET http://h/ body'], /no body/],
        [['--request', 'http://h/', '--', 'true'], /not both/],
        [['--request', 'http://h/', '--count', '1'], /at least 4/],
        [['--request', 'http://h/', '--count', '0'], /count/],
        [['--request', 'http://h/', '--snapshots', 'x'], /--snapshots/],
        [['--request', 'http://h/', '--concurrency', '1000'], /at most 256/],
        [['--request', 'http://h/', '--header', 'nothing'], /Name: value/],
        [['--request', 'http://h/', '--base', 'h'], /--base/],
        [['9229', '9230', '--request', 'http://h/'], /./],
    ]) {
        const run = await heaptap(t, ws, ['probe', ...args, ...[]]);
        assertError(run, 2, pattern);
    }
    const unreadable = await heaptap(t, ws, [
        ...['probe', '--request', 'POST http://h/', '--body', `@${house}/nowhere`],
    ]);
    assert.notEqual(unreadable.code, 0);
    assert.match(unreadable.stderr, /nowhere/);
});
