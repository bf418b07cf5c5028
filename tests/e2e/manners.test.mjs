// What heaptap leaves behind in a target: nothing, whether it goes by itself or is killed; and a
// target that wants to exit is let go.
import assert from 'node:assert/strict';
import test from 'node:test';
import { startPeer } from './peer.mjs';
import {
    assertExit,
    assertRecord,
    heaptap,
    quick,
    rowsOf,
    sleep,
    startHeaptap,
    startTarget,
    until,
    versions,
    workspace,
} from './lib.mjs';

for (const node of versions)
    test(`a Node ${node} that exits is let go although we are attached`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t, {
            node,
            listens: false,
            code: 'console.log("up"); setInterval(() => {}, 50); setTimeout(() => process.exit(7), 4000)',
        });
        const running = heaptap(t, ws, [
            'run',
            ...quick,
            '--no-snapshots',
            '--give-up',
            '2s',
            ...ws.own,
            String(target.port),
        ]);
        const started = Date.now();
        await target.done;
        assert.equal(target.code, 7);
        assert.ok(Date.now() - started < 8000, `it lingered for ${Date.now() - started} ms`);
        const run = await running;
        assertExit(run, 3);
        assertRecord(ws);
    });

for (const node of versions)
    test(`a Node ${node} that has begun to exit when we attach is let go, too`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t, {
            node,
            listens: false,
            code: 'console.log("up"); setInterval(() => {}, 50); process.on("SIGUSR2", () => { throw new Error("over"); })',
        });
        const held = []; // what comes after the signal, in its order
        let flows = false;
        const peer = await startPeer(t, {
            upstream: target.port,
            ask(message, conn) {
                if (flows) return false;
                if (held.length > 0) return held.push(message);
                if (message.method !== 'NodeRuntime.notifyWhenWaitingForDisconnect') return false;
                process.kill(target.pid, 'SIGUSR2');
                setTimeout(() => {
                    for (const late of held) conn.upstream.send(JSON.stringify(late));
                    flows = true;
                }, 1000);
                return held.push(message);
            },
        });
        const running = heaptap(t, ws, ['run', '--no-snapshots', '--give-up', '2s', ...ws.own, String(peer.port)]);
        await until(() => target.over, 'the target to end', 8000);
        assertExit(await running, 3);
    });

test('attaching and leaving many times leaves nothing behind in the target', async (t) => {
    const ws = workspace(t);
    const code = `
        const http = require('node:http');
        http.createServer((request, response) => {
            globalThis.gc(); globalThis.gc();
            response.end(JSON.stringify({ used: process.memoryUsage().heapUsed,
                globals: Object.getOwnPropertyNames(globalThis).sort(),
                process: Object.getOwnPropertyNames(process).length,
                active: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length }));
        }).listen(0, '127.0.0.1', function () { console.log('listening on http://127.0.0.1:' + this.address().port); });`;
    for (const node of ['18', '22', '26']) {
        const target = await startTarget(t, { node, flags: ['--expose-gc'], code });
        const ask = async () => (await fetch(target.url)).json();
        const watch = () =>
            heaptap(t, ws, [
                'run',
                '--duration',
                '300ms',
                '--metrics-interval',
                '50ms',
                '--no-snapshots',
                ...ws.own,
                String(target.port),
            ]);
        const floor = async () => {
            await sleep(100);
            for (let i = 0; i < 3; i++) await ask();
            return ask();
        };
        // The inspector itself keeps some 200 KB of its first sessions, heaptap's or any other's, and
        // V8 goes on compiling what they run.
        for (let i = 0; i < 16; i++) assertExit(await watch(), 0);
        const before = await floor();
        const floors = [];
        for (let round = 0; round < 14; round++) {
            assertExit(await watch(), 0);
            floors.push((await floor()).used);
        }
        const after = await floor();
        assert.deepEqual(after.globals, before.globals);
        assert.equal(after.process, before.process);
        assert.equal(after.active, before.active, 'a timer stayed');
        // The lower envelope: code that V8 drops and compiles anew moves single floors by 200 KB.
        // The first two are low: asking for a floor is compiled then.
        const each = (Math.min(...floors.slice(-4)) - Math.min(...floors.slice(2, 6))) / 8;
        // Node 18's inspector keeps some KB of every session itself.
        const bound = node === '18' ? 65536 : 16384;
        assert.ok(
            each < bound,
            `Node ${node}: ${each} bytes stay behind with each attach: ${floors}`
        );
        target.child.kill();
    }
});

test('a target outlives a heaptap that is killed, and what was injected ends by itself', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22' });
    const run = startHeaptap(t, ws, [
        'run',
        ...quick,
        '--no-snapshots',
        ...ws.own,
        String(target.port),
    ]);
    await until(() => rowsOf(ws) > 3, 'some rows');
    run.child.kill('SIGKILL');
    await run.done;
    await target.get('/page', 5);
    target.child.kill('SIGTERM');
    assert.equal((await target.done).signal, 'SIGTERM');
});
