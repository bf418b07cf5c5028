// Other runtimes that speak the protocol: Deno and Chromium, as far as they can be watched.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';
import {
    assertExit,
    atEnd,
    assertNoGap,
    countClass,
    heaptap,
    readSnapshot,
    runtime,
    sleep,
    sql,
    start,
    until,
    workspace,
} from './lib.mjs';

const page = `<!doctype html><title>leaky page</title><script>
class BasketItem { constructor(id) { this.id = id; this.text = 'item ' + id; } }
window.basket = [];
setInterval(() => { for (let i = 0; i < 50; i++) basket.push(new BasketItem(basket.length)); }, 20);
</script>`;

const leak = `class BasketItem { text: string; constructor(public id: number) { this.text = 'item ' + id; } }
const basket: BasketItem[] = [];
setInterval(() => { for (let i = 0; i < 50; i++) basket.push(new BasketItem(basket.length)); }, 20);
Deno.serve({ port: 0, hostname: '127.0.0.1', onListen: () => console.log('up') }, () => new Response('ok'));`;

async function startDeno(t, ws, { inspect = '--inspect', code = leak } = {}) {
    const script = ws.path('leak.ts');
    fs.writeFileSync(script, code);
    const target = start(
        t,
        runtime('deno'),
        [
            'run',
            `${inspect}=127.0.0.1:0`,
            '--allow-net=127.0.0.1',
            '--no-config',
            '--no-remote',
            '--no-npm',
            script,
        ],
        {
            env: {
                ...process.env,
                DENO_DIR: ws.path('deno'),
                DENO_NO_UPDATE_CHECK: '1',
                NO_COLOR: '1',
            },
        }
    );
    target.port = Number((await target.printed(/ws:\/\/127\.0\.0\.1:(\d+)/))[1]);
    if (inspect === '--inspect') await target.printed(/up/, 'stdout');
    return target;
}

// A browser that can reach nothing but this machine.
async function startChromium(t, ws) {
    const server = http.createServer((request, response) => response.end(page));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    const target = start(
        t,
        runtime('chromium'),
        [
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
            '--disable-dev-shm-usage',
            '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
            '--remote-debugging-port=0',
            `--user-data-dir=${ws.path('chromium')}`,
            `http://127.0.0.1:${server.address().port}/`,
        ],
        { env: { ...process.env, HOME: ws.root } }
    );
    // Ended while the folder of its profile still is there.
    atEnd(t, async () => {
        target.child.kill('SIGTERM');
        await Promise.race([target.done, new Promise((resolve) => setTimeout(resolve, 5000))]);
    });
    target.port = Number(
        (await target.printed(/DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)/))[1]
    );
    const list = async () => (await fetch(`http://127.0.0.1:${target.port}/json/list`)).json();
    await until(
        async () => (await list()).some((entry) => entry.title === 'leaky page'),
        'the page'
    );
    return target;
}

for (const [name, launch, pick, kind] of [
    ['Deno', startDeno, '', 'deno'],
    ['Chromium', startChromium, '#leaky page', 'page'],
]) {
    test(`${name} is discovered`, async (t) => {
        const ws = workspace(t);
        const target = await launch(t, ws);
        const run = await heaptap(t, ws, ['targets', '--json', String(target.port)]);
        assertExit(run, 0);
        const entry = JSON.parse(run.stdout).targets.find((item) => item.kind === kind);
        assert.ok(entry, run.stdout);
        assert.ok(entry.heap_used > 1e5, JSON.stringify(entry));
    });

    test(`metrics of ${name} are recorded, and show that it grows`, async (t) => {
        const ws = workspace(t);
        const target = await launch(t, ws);
        assertExit(
            await heaptap(t, ws, [
                'run',
                '--duration',
                '4s',
                '--metrics-interval',
                '200ms',
                '--no-snapshots',
                ...ws.own,
                `${target.port}${pick}`,
            ]),
            0
        );
        const rows = sql(
            ws.db,
            "SELECT * FROM memory_metrics WHERE label = 'interval' ORDER BY seq"
        );
        assert.ok(rows.length >= 8, `${rows.length} rows`);
        assert.ok(rows.every((row) => row.heap_used > 0 && row.heap_total >= row.heap_used * 0.5));
        assert.ok(
            new Set(rows.map((row) => row.heap_used)).size > 3,
            'the same figure all the time'
        );
        for (const name of kind === 'deno' ? ['array_buffers', 'gc_count', 'gc_ms', 'loop_utilization'] : ['gc_count'])
            assert.ok(rows.every((row) => row[name] === null), `${name} is not told, yet ${rows[1][name]}`);
        if (kind === 'deno') assert.ok(rows.slice(2).some((row) => row.loop_delay_max_ms >= 0.01), JSON.stringify(rows));
        assertNoGap(ws.db);
    });

    test(`a snapshot of ${name} is whole and holds what the page holds`, async (t) => {
        const ws = workspace(t);
        const target = await launch(t, ws);
        await new Promise((resolve) => setTimeout(resolve, 500));
        const file = ws.path('one.heapsnapshot');
        assertExit(await heaptap(t, ws, ['snapshot', `${target.port}${pick}`, '-o', file]), 0);
        assert.ok(countClass(readSnapshot(file), 'BasketItem') >= 50);
        assertExit(await heaptap(t, ws, ['verify', file]), 0);
    });

    test(`a run takes snapshots of ${name} on a schedule`, async (t) => {
        const ws = workspace(t);
        const target = await launch(t, ws);
        assertExit(
            await heaptap(t, ws, [
                'run',
                '--duration',
                '5s',
                '--metrics-interval',
                '500ms',
                '--snapshot-interval',
                '2s',
                '--max-pause-share',
                '100%',
                ...ws.own,
                `${target.port}${pick}`,
            ]),
            0
        );
        const counts = ws
            .files()
            .map((file) => countClass(readSnapshot(path.join(ws.dir, file)), 'BasketItem'));
        assert.ok(counts.length >= 2, ws.files().join());
        assert.ok(counts.at(-1) > counts[0], counts.join());
    });
}

for (const inspect of ['--inspect-wait', '--inspect-brk'])
    test(`a Deno started with ${inspect} is seen to wait for a debugger, and is told to run`, async (t) => {
        const ws = workspace(t);
        const target = await startDeno(t, ws, { inspect });
        const look = async () => {
            const run = await heaptap(t, ws, ['targets', '--json', String(target.port)]);
            assertExit(run, 0);
            return JSON.parse(run.stdout).targets[0].state;
        };
        assert.equal(await look(), 'waiting for debugger');
        assert.equal(await look(), 'waiting for debugger', 'a look alone had it run');
        assert.doesNotMatch(target.stdout, /up/);
        const file = ws.path('one.heapsnapshot');
        const run = await heaptap(t, ws, ['snapshot', String(target.port), '-o', file]);
        assertExit(run, 0);
        assert.match(run.stderr, /waited for a debugger and was told to run/);
        await target.printed(/up/, 'stdout');
        assert.equal(await look(), 'ready');
    });

test('a Deno in a long loop is not taken for one that waits for a debugger', async (t) => {
    const ws = workspace(t);
    const code = "console.log('up'); setTimeout(() => { for (;;) Math.random(); }, 100);";
    const target = await startDeno(t, ws, { code });
    await sleep(500);
    const run = await heaptap(t, ws, ['targets', '--json', String(target.port)]);
    assertExit(run, 0);
    assert.equal(JSON.parse(run.stdout).targets[0].state, 'ready');
});
