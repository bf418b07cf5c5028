// Whether the probe can be believed: ten times on a server of five routes, of which one keeps 5 KB a
// request and one 5 KB every tenth request, and ten times on the same server without leaks.
// PROBE_TRIES=n tries n times, PROBE_NODE=v on Node v only.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { assertExit, heaptap, here, startTarget, workspace } from './lib.mjs';

const script = path.join(here, 'probe-server.cjs');
const tries = Number(process.env.PROBE_TRIES ?? 10);
const nodes = process.env.PROBE_NODE ? [process.env.PROBE_NODE] : ['18', '20', '22', '24', '26'];
// 5120 and a header of 16, the object of 32, the array's share of 8 to 12.
const KEPT = [5170, 5190];

async function probe(t, node, args) {
    const ws = workspace(t);
    const target = await startTarget(t, { node, script, args });
    const run = await heaptap(
        t,
        ws,
        // prettier-ignore
        ['probe', `${target.port}`, ...ws.own, '--json', '--request', `GET ${target.url}/cart`,
            '--request', '/tenth', '--request', '/text', '--request', '/json', '--request',
            'POST /items {"n":{n}}', '--snapshots', '0', '--no-diagnosis'],
        { timeout: 600_000 }
    );
    assertExit(run, 0);
    target.child.kill('SIGKILL');
    return JSON.parse(run.stdout);
}

for (const node of nodes)
    test(`on Node ${node} both leaking routes are named, with the truth in their intervals, and no other`, async (t) => {
        let left = 0; // intervals that leave the truth out: one of a hundred may
        for (let i = 0; i < tries; i++) {
            const answer = await probe(t, node, ['leak']);
            const named = answer.routes.filter((r) => r.leaks).map((r) => r.route);
            const said = `try ${i + 1}: ${JSON.stringify(answer.routes)}`;
            t.diagnostic(said);
            assert.deepEqual(named, ['/cart', '/tenth'], said);
            for (const [route, share] of [
                ['/cart', 1],
                ['/tenth', 0.1],
            ]) {
                const { low, high } = answer.routes.find((r) => r.route === route);
                const [least, most] = KEPT.map((bytes) => bytes * share);
                if (low > most || high < least) left++;
                assert.ok(low <= most * 1.1 && high >= least * 0.9, said);
            }
        }
        t.diagnostic(`${left} of ${2 * tries} intervals leave the truth out`);
        assert.ok(left <= Math.ceil(tries / 10), `${left} of ${2 * tries}`);
    });

for (const node of nodes)
    test(`on Node ${node} the same server without leaks is accused of nothing`, async (t) => {
        for (let i = 0; i < tries; i++) {
            const answer = await probe(t, node, []);
            const said = `try ${i + 1}: ${JSON.stringify(answer.routes)}`;
            t.diagnostic(said);
            assert.deepEqual(
                answer.routes.filter((r) => r.leaks),
                [],
                said
            );
        }
    });
