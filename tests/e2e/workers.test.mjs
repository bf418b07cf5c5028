// Leaks in worker threads: the thread that keeps is found, with what, who holds it and which route,
// wherever the requests enter; and a worker is no more harmed than a main thread.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { alive, assertExit, heaptap, here, sleep, sql, startHeaptap, startTarget, workspace } from './lib.mjs';

const script = path.join(here, 'worker-server.cjs');
const server = (t, node, kind) => startTarget(t, { node, script, args: [kind] });
const HUNG = 300_000;
const imaged = (ws) =>
    sql(ws.db, 'SELECT t.kind, s.target_id, count(*) AS n FROM heap_snapshots s JOIN targets t USING (run_id, target_id) GROUP BY 1, 2')
        .map(({ kind, n }) => `${n} of a ${kind}`);

async function probe(t, ws, target) {
    // prettier-ignore
    const run = await heaptap(t, ws, ['probe', `${target.port}`, ...ws.own, '--json', '--max-pause', '2m',
        '--request', `GET ${target.url}/orders/{n}`, '--request', '/prices', '--count', '150', '--settle', '50ms'],
        { timeout: HUNG });
    assertExit(run, 0);
    return JSON.parse(run.stdout);
}

// What an order takes is what the snapshots say that each retains.
function assertOrders(diagnosis, { elsewhere }) {
    const text = JSON.stringify(diagnosis);
    const [suspect] = diagnosis.suspects;
    assert.equal(diagnosis.verdict, 'leak', text);
    assert.equal(suspect?.class, 'Order', text);
    assert.equal(suspect.holder.name, 'ordersTaken', text);
    assert.equal(path.basename(suspect.holder.location?.url ?? ''), 'worker-server.cjs', text);
    assert.doesNotMatch(JSON.stringify(suspect.holder.path), /heaptap\./);
    const [route] = suspect.routes;
    assert.equal(route?.route, '/orders/:n', text);
    assert.equal(route.other_thread, elsewhere);
    const each = suspect.bytes.retained_growth / suspect.instances.growth;
    assert.ok(route.low <= each * 1.1 && route.high >= each * 0.9, `${each} bytes each: ${JSON.stringify(route)}`);
    assert.ok(route.instances_per_request > 0.75 && route.instances_per_request < 1.3, JSON.stringify(route));
}

test('a leak in the worker that is handed the requests is named by a probe, and only that thread is stalled', async (t) => {
    const ws = workspace(t);
    const answer = await probe(t, ws, await server(t, '22', 'posted'));
    assertOrders(answer.diagnosis, { elsewhere: true });
    assert.deepEqual(imaged(ws), ['3 of a worker']);
    assert.ok(answer.routes.find((route) => route.route === '/orders/:n').leaks);
    assert.match(answer.diagnosis.notes.join('\n'), /requests enter at another thread/);
});

test('of a pool one worker is looked into, and what a request keeps is the sum over all', async (t) => {
    const ws = workspace(t);
    const answer = await probe(t, ws, await server(t, '20', 'pool'));
    assertOrders(answer.diagnosis, { elsewhere: true });
    // The main thread may have warmed up by as much as they kept; then it has the first one, too or alone.
    assert.match(imaged(ws).join(), /^(1 of a node,[23]|3) of a worker$/);
    assert.match(answer.diagnosis.notes.join('\n'), /handed to 3 workers that are alike/);
});

test('a main thread that keeps is not taken for its worker', async (t) => {
    const ws = workspace(t);
    const answer = await probe(t, ws, await server(t, '24', 'main'));
    assertOrders(answer.diagnosis, { elsewhere: false });
    assert.deepEqual(imaged(ws), ['3 of a node']);
});

// Two routes whose proportion changes, until the run is over.
async function load(target, run) {
    for (let i = 0; !run.over; i++) {
        const many = Math.floor(i / 200) % 2 ? '/orders/' : '/prices/';
        await target.get(i % 3 ? `${many}${i}` : `${many === '/orders/' ? '/prices/' : '/orders/'}${i}`);
        await sleep(3);
    }
}

for (const [node, kind, elsewhere] of [['18', 'serves', false], ['26', 'posted', true]])
    test(`a run that follows requests names the leak in a worker, too (${kind})`, async (t) => {
        const ws = workspace(t);
        const target = await server(t, node, kind);
        // prettier-ignore
        const run = startHeaptap(t, ws, ['run', `${target.port}`, ...ws.own, '--requests', '--gc-floor', '1s', '--duration', '30s',
            '--snapshot-interval', '12s', '--max-pause', '2m', '--metrics-interval', '1s', '--no-diagnosis']);
        await run.printed(/attached to .*worker/);
        await load(target, run).catch((error) => assert.ok(run.over, error));
        await run.done;
        assertExit(run, 0);
        assert.match(run.stdout, /no request was seen: those of the process enter at another thread/);
        const again = await heaptap(t, ws, ['diagnose', '--db', `sqlite:${ws.db}`, '--json'], { timeout: HUNG });
        assertExit(again, 0);
        assertOrders(JSON.parse(again.stdout), { elsewhere });
    });

test('a worker whose small heap is nearly full is left alone, and lives', async (t) => {
    const ws = workspace(t);
    const target = await server(t, '24', 'tight');
    const run = await heaptap(t, ws, ['run', `${target.port}`, ...ws.own, '--duration', '5s', '--metrics-interval', '1s',
        '--max-pause', '2m', '--no-diagnosis'], { timeout: HUNG });
    assertExit(run, 0);
    const [row] = sql(ws.db, `SELECT s.state, s.reason FROM heap_snapshots s JOIN targets t USING (run_id, target_id)
        WHERE t.kind = 'worker'`);
    assert.equal(row?.state, 'refused', run.stderr);
    assert.match(row.reason, /near V8's limit of 40\.0 MB.*resourceLimits\.maxOldGenerationSizeMb/);
    await target.get('/still-there');
    assert.ok(alive(target.pid));
    assert.doesNotMatch(target.stdout, /the worker ended/);
});
