// Every way to name a target finds it, and what is no target is told at once.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import tls from 'node:tls';
import { stripVTControlCharacters } from 'node:util';
import { startPeer } from './peer.mjs';
import {
    alive,
    assertError,
    assertExit,
    binary,
    freePort,
    heaptap,
    readSnapshot,
    runtime,
    sleep,
    sql,
    start,
    startHeaptap,
    startTarget,
    until,
    versions,
    workspace,
} from './lib.mjs';

async function list(t, ws, ...words) {
    const run = await heaptap(t, ws, ['targets', '--json', ...words]);
    assertExit(run, 0);
    const found = JSON.parse(run.stdout);
    assert.ok(Array.isArray(found.targets), run.stdout);
    return found.targets;
}

async function snapshotOf(t, ws, word, args = [], options = {}) {
    const file = ws.path(`one-${Math.random()}.heapsnapshot`);
    const run = await heaptap(t, ws, ['snapshot', word, '-o', file, ...args], options);
    assertExit(run, 0);
    return readSnapshot(file);
}

test('targets lists a process with title, pid, version and heap use, on every Node', async (t) => {
    const ws = workspace(t);
    for (const node of versions) {
        const target = await startTarget(t, { node });
        const [entry, ...rest] = await list(t, ws, String(target.port));
        assert.equal(rest.length, 0);
        assert.equal(entry.kind, 'node');
        assert.equal(entry.pid, target.pid);
        assert.match(JSON.stringify(entry), new RegExp(`${node}\\.\\d+\\.\\d+`));
        assert.ok(entry.heap_used > 1e6 && entry.heap_used < 1e8, `heap_used ${entry.heap_used}`);
        assert.match(entry.title, /server\.js/);
        target.child.kill();
    }
});

test('pid:N reaches a process that has a network and process ids of its own, as in a container', async (t) => {
    const ws = workspace(t);
    const apart = ['--net', '--pid', '--fork', '--kill-child'];
    if (spawnSync('unshare', [...apart, 'true']).status !== 0) {
        t.skip('this machine forbids namespaces');
        return;
    }
    const code = "setInterval(() => {}, 50); console.log('up')";
    const inside = ['sh', '-c', 'ip link set lo up && exec "$0" "$@"', runtime('24'), '-e', code];
    const target = start(t, 'unshare', [...apart, ...inside]);
    await target.printed(/up/, 'stdout');
    const children = fs.readFileSync(`/proc/${target.pid}/task/${target.pid}/children`, 'utf8');
    const pid = Number(children);
    assert.ok(pid > 1, children);
    const refused = await heaptap(t, ws, ['snapshot', `pid:${pid}`], {
        wrapper: ['setpriv', '--bounding-set=-sys_admin'],
    });
    assertError(refused, 3, new RegExp(`another network.*root.*nsenter -t ${pid} -n`));
    assert.doesNotMatch(target.stderr, /Debugger/, 'its inspector was opened for nothing');
    assert.ok((await snapshotOf(t, ws, `pid:${pid}`)).nodes.length > 0);
    const [entry] = (await list(t, ws)).filter((entry) => entry.target === `pid:${pid}`);
    assert.equal(entry?.pid, 1, 'the process knows itself as 1');
    assert.ok(entry.rss > 10e6 && entry.heap_used > 1e6, JSON.stringify(entry));
    const run = await heaptap(t, ws, [
        ...['run', '--duration', '2s', '--metrics-interval', '500ms', '--no-snapshots'],
        ...[...ws.own, `pid:${pid}`],
    ]);
    assertExit(run, 0);
    const [{ n, rss }] = sql(ws.db, 'SELECT count(*) AS n, max(rss) AS rss FROM memory_metrics');
    assert.ok(n >= 2 && rss > 10, `${n} rows, rss ${rss}`);
});

test('targets without an address finds the Node processes of this host, open or not', async (t) => {
    const ws = workspace(t);
    const open = await startTarget(t, { node: '24' });
    const closed = await startTarget(t, { node: '20', inspect: '' });
    const found = await list(t, ws);
    const one = found.find((entry) => entry.pid === open.pid);
    const other = found.find((entry) => entry.pid === closed.pid);
    assert.ok(one, 'the one with an inspector');
    assert.ok(other, 'the one without');
    assert.ok(one.target?.includes(String(open.port)), JSON.stringify(one));
    assert.equal(alive(closed.pid), true);
    assert.ok(!closed.stderr.includes('Debugger listening'), 'listing must not open an inspector');
    const text = await heaptap(t, ws, ['targets']);
    assertExit(text, 0);
    assert.match(text.stdout, new RegExp(`\\b${closed.pid}\\b`));
});

test('a target is found by port, host:port, name, IPv6, URL, title and number', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    for (const word of [
        String(target.port),
        `127.0.0.1:${target.port}`,
        `localhost:${target.port}`,
        target.ws,
        `${target.port}#1`,
        `${target.port}#server.js`,
        `pid:${target.pid}`,
    ])
        await t.test(word, (t) => snapshotOf(t, ws, word));
    const six = await startTarget(t, { inspect: '--inspect=[::1]:0' }).catch(() => null);
    if (six) await t.test('[::1]:port', (t) => snapshotOf(t, ws, `[::1]:${six.port}`));
    else
        assert.ok(
            !fs.existsSync('/proc/net/if_inet6') ||
                !fs.readFileSync('/proc/net/if_inet6', 'utf8').includes('lo'),
            'this host has ::1 but the target cannot listen there'
        );
});

test('one of several is picked by number or title, a wrong one is told what there is', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const peer = await startPeer(t, {
        upstream: target.port,
        list: (entries) => [
            {
                ...entries[0],
                id: 'first',
                title: 'front desk',
                webSocketDebuggerUrl: entries[0].webSocketDebuggerUrl.replace(/[^/]*$/, 'wrong'),
            },
            { ...entries[0], title: 'back office' },
        ],
    });
    await snapshotOf(t, ws, `${peer.port}#2`);
    await snapshotOf(t, ws, `${peer.port}#back office`);
    for (const word of [`${peer.port}#7`, `${peer.port}#nobody`, String(peer.port)])
        assertError(
            await heaptap(t, ws, ['snapshot', word, '--dir', ws.dir]),
            2,
            /front desk[\s\S]*back office/
        );
    assert.deepEqual(ws.files(), []);
});

test('a Node target that another client holds is called a target, not a page', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const list = (entries) => entries.map(({ webSocketDebuggerUrl, ...rest }) => rest);
    const peer = await startPeer(t, { upstream: target.port, list });
    const run = await heaptap(t, ws, ['snapshot', String(peer.port), '--dir', ws.dir]);
    assertError(run, 3, /another client is attached to that target/);
});

test('pid:N opens the inspector of a running process, on every Node', async (t) => {
    const ws = workspace(t);
    for (const node of versions) {
        const target = await startTarget(t, { node, inspect: '', flags: ['--inspect-port=0'] });
        const snapshot = await snapshotOf(t, ws, `pid:${target.pid}`);
        assert.ok(snapshot.snapshot.node_count > 10_000, node);
        assert.ok(alive(target.pid));
        await target.get('/health');
        target.child.kill();
    }
});

test('a process that is no Node is never signalled', async (t) => {
    const ws = workspace(t);
    const other = start(t, 'sleep', ['60']);
    const shell = start(t, 'bash', ['-c', 'exec -a node sleep 60']);
    for (const process of [other, shell])
        assertError(
            await heaptap(t, ws, ['snapshot', `pid:${process.pid}`, '--dir', ws.dir]),
            3,
            new RegExp(String(process.pid))
        );
    await sleep(200);
    assert.ok(alive(other.pid) && alive(shell.pid), 'SIGUSR1 ended a process that is no Node');
    assertError(
        await heaptap(t, ws, ['snapshot', 'pid:999999999', '--dir', ws.dir]),
        3,
        /999999999/
    );
});

test('a Node that does not open its inspector is told in bounded time', async (t) => {
    const ws = workspace(t);
    const deaf = await startTarget(t, { inspect: '', flags: ['--disable-sigusr1'] });
    const own = await startTarget(t, {
        inspect: '',
        listens: false,
        code: 'process.on("SIGUSR1", () => console.log("mine")); console.log("up"); setInterval(() => {}, 1000)',
    });
    await own.printed(/up/, 'stdout');
    for (const target of [deaf, own]) {
        const run = await heaptap(t, ws, ['snapshot', `pid:${target.pid}`, '--dir', ws.dir], {
            timeout: 30_000,
        });
        assertError(run, 3, new RegExp(String(target.pid)));
        assert.ok(alive(target.pid));
    }
});

test('words that are no target are refused with exit code 2', async (t) => {
    const ws = workspace(t);
    for (const word of [
        '0',
        '65536',
        '99999999999',
        '-1',
        'host:',
        ':9229',
        '127.0.0.1:abc',
        '127.0.0.1:0',
        'ws://',
        'ws://:1/x',
        'pid:',
        'pid:0',
        'pid:-1',
        'pid:abc',
        'pid:1.5',
        '[::1',
        '[::1]',
        '[zz]:9229',
        'http://127.0.0.1:1/',
        'a b:9229',
        '127.0.0.1:9229#',
        'x'.repeat(300) + ':9229',
        '127.0.0.1:9229\r\nX: y',
        '\u0000',
        '',
    ].filter(Boolean)) {
        if (word.includes('\0')) continue;
        assertError(await heaptap(t, ws, ['snapshot', word, '--dir', ws.dir]), 2);
    }
});

test('nothing listening is told at once, with the address', async (t) => {
    const ws = workspace(t);
    const port = await freePort();
    for (const command of [['snapshot', '--dir', ws.dir], ['run', ...ws.own], ['targets']]) {
        const run = await heaptap(t, ws, [...command, String(port)]);
        assertError(run, 3, new RegExp(String(port)));
        assert.ok(run.ms < 5000, `${run.ms} ms`);
    }
    assert.deepEqual(ws.files(), []);
});

test('a plain web server is told not to be an inspector', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const port = new URL(target.url).port;
    const run = await heaptap(t, ws, ['snapshot', port, '--dir', ws.dir]);
    assertError(run, 3, /inspector/);
    assert.ok(run.ms < 10_000);
});

test('run --wait waits for a target that is not there yet', async (t) => {
    const ws = workspace(t);
    const port = await freePort();
    const running = heaptap(t, ws, [
        'run',
        '--wait',
        '20s',
        '--duration',
        '1s',
        '--metrics-interval',
        '200ms',
        '--no-snapshots',
        ...ws.own,
        String(port),
    ]);
    await sleep(1500);
    await startTarget(t, { inspect: `--inspect=127.0.0.1:${port}` });
    assertExit(await running, 0);
    const run = await heaptap(t, ws, [
        'run',
        '--wait',
        '1s',
        '--duration',
        '1s',
        '--no-snapshots',
        ...ws.own,
        String(await freePort()),
    ]);
    assertError(run, 3);
    assert.match(run.stderr, /nothing listens .*; waiting for it \(--wait\)/);
    assert.ok(run.ms >= 900 && run.ms < 10_000, `${run.ms} ms`);
});

test('another host is refused without --allow-remote, before a packet leaves', async (t) => {
    const ws = workspace(t);
    // In a network of its own, so that no packet could leave even if it tried.
    const wrapper = ['unshare', '--map-root-user', '--net'];
    for (const word of [
        '192.0.2.1:9229',
        '[2001:db8::1]:9229',
        'ws://192.0.2.1:9229/x',
        'no-such-host.invalid:9229',
    ]) {
        const run = await heaptap(t, ws, ['snapshot', word, '--dir', ws.dir], { wrapper });
        assert.ok(run.code >= 2 && run.code <= 4, `${word}: ${run.code} ${run.stderr}`);
        if (!word.includes('invalid')) assert.match(run.stderr, /--allow-remote/);
        assert.ok(run.ms < 15_000);
    }
});

test('targets says at once that other hosts are refused, however many are given', async (t) => {
    const ws = workspace(t);
    for (const words of [['192.0.2.1:9229'], ['192.0.2.1:9229', '[2001:db8::1]:9229']]) {
        const run = await heaptap(t, ws, ['targets', ...words], { timeout: 5000 });
        assertError(run, 2, /192\.0\.2\.1 is another host: that needs --allow-remote/);
    }
});

test('a target that listens on every address is reached as Node prints it', async (t) => {
    const ws = workspace(t);
    for (const any of ['0.0.0.0', ...(fs.existsSync('/proc/net/if_inet6') ? ['[::]'] : [])]) {
        const target = await startTarget(t, { inspect: `--inspect=${any}:0` });
        assert.ok(target.ws.startsWith(`ws://${any}:`), target.ws);
        for (const word of [target.ws, `${any}:${target.port}`]) {
            const [entry] = await list(t, ws, word);
            assert.equal(entry.pid, target.pid, word);
            await snapshotOf(t, ws, word);
        }
        target.child.kill();
    }
});

test('a target that waits for a debugger is told from one that hangs', async (t) => {
    const ws = workspace(t);
    for (const [node, flag] of [
        ['18', '--inspect-brk'],
        ['22', '--inspect-brk'],
        ['24', '--inspect-wait'],
    ]) {
        const target = await startTarget(t, { node, inspect: `${flag}=127.0.0.1:0` });
        const run = await heaptap(
            t,
            ws,
            [
                'run',
                '--duration',
                '2s',
                '--metrics-interval',
                '200ms',
                '--no-snapshots',
                ...ws.own,
                String(target.port),
            ],
            { timeout: 30_000 }
        );
        assert.match(run.stderr + run.stdout, /wait|brk|debugger/i, `${node} ${flag}`);
        target.child.kill();
    }
});

test('a hung target is waited for, and --timeout ends the wait with 124', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, {
        node: '24',
        listens: false,
        code: 'console.log("up"); setTimeout(() => { for (;;); }, 300)',
    });
    await sleep(800);
    const run = await heaptap(t, ws, [
        'snapshot',
        String(target.port),
        '--dir',
        ws.dir,
        '--timeout',
        '3s',
    ]);
    assertError(run, 124);
    assert.deepEqual(ws.files(), []);
});

test('redirects are not followed', async (t) => {
    const ws = workspace(t);
    let hits = 0;
    const other = http
        .createServer((request, response) => {
            hits++;
            response.end('[]');
        })
        .listen(0, '127.0.0.1');
    t.after(() => other.close());
    await until(() => other.address(), 'the other server');
    const first = net
        .createServer((socket) => {
            socket.on('error', () => {});
            socket.on('data', () =>
                socket.end(
                    'HTTP/1.1 302 Found\r\n' +
                        `Location: http://127.0.0.1:${other.address().port}/json/list\r\nContent-Length: 0\r\n\r\n`
                )
            );
        })
        .listen(0, '127.0.0.1');
    t.after(() => first.close());
    await until(() => first.address(), 'the first server');
    assertError(
        await heaptap(t, ws, ['snapshot', String(first.address().port), '--dir', ws.dir]),
        3
    );
    assert.equal(hits, 0);
});

// Three workers whose objects tell whose heap a snapshot is of; "beta" starts anew when it is told to end.
const crew = `const { Worker } = require('node:worker_threads');
    let up = 0;
    const begin = (name) => {
        const worker = new Worker(\`class Of_\${name} {}; globalThis.own = new Of_\${name}();
            require('node:worker_threads').parentPort.on('message', () => process.exit(0));\`, { eval: true, name });
        worker.on('online', () => ++up === 3 && console.log('up'));
        if (name === 'beta') worker.on('exit', () => setTimeout(begin, 500, name));
        return worker;
    };
    const [alpha, beta, gamma] = ['alpha', 'beta', 'gamma'].map(begin);
    process.stdin.on('data', () => beta.postMessage('end')); // the first one only
    setInterval(() => {}, 1000);`;

async function picksWorkers(t, ws, target, beta) {
    const byNumber = await snapshotOf(t, ws, beta);
    assert.ok(byNumber.strings.includes('Of_beta') && !byNumber.strings.includes('Of_gamma'), beta);
    const byTitle = await snapshotOf(t, ws, `pid:${target.pid}#gamma`);
    assert.ok(byTitle.strings.includes('Of_gamma') && !byTitle.strings.includes('Of_beta'));
    for (const wrong of ['#9', '#delta']) {
        const run = await heaptap(t, ws, ['snapshot', `${target.port}${wrong}`]);
        assertError(run, 2, /#1 node .*, #2 worker .*alpha.*, #3 worker .*beta/);
    }
}

test('a worker is listed with what picks it, and is then the target, alone, on every Node', async (t) => {
    const ws = workspace(t);
    for (const node of versions) {
        const target = await startTarget(t, { node, listens: false, code: crew });
        await target.printed(/up/, 'stdout');
        // Workers that have only just begun may miss the first look.
        let found = [];
        for (let look = 0; look < 5 && found.length < 4; look++)
            found = await list(t, ws, String(target.port));
        const shown = found.map((entry) => [entry.kind, entry.target, entry.title]);
        const [main, ...workers] = shown;
        assert.equal(main[0], 'node', JSON.stringify(shown));
        assert.deepEqual(
            workers.map(([kind, , title]) => [kind, /alpha|beta|gamma/.exec(title)?.[0]]),
            [['worker', 'alpha'], ['worker', 'beta'], ['worker', 'gamma']],
            `Node ${node}: ${JSON.stringify(shown)}`
        );
        if (node === '18' || node === '24') await picksWorkers(t, ws, target, workers[1][1]);
        target.child.kill();
    }
});

test('targets lists only what # picks, and says as other commands do when that is nothing', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', listens: false, code: crew });
    await target.printed(/up/, 'stdout');
    const peer = await startPeer(t, {
        upstream: target.port,
        list: (entries) => [{ ...entries[0], title: 'front desk' }, { ...entries[0], title: 'back office' }],
    });
    const titles = async (word) => (await list(t, ws, word)).map((entry) => entry.title);
    assert.deepEqual(await titles(`${peer.port}#2`), ['back office']);
    assert.deepEqual(await titles(`${peer.port}#front`), ['front desk']);
    assert.equal((await list(t, ws, `${target.port}#1`)).length, 1);
    for (const where of [target.port, `pid:${target.pid}`]) {
        const [worker, ...rest] = await list(t, ws, `${where}#beta`);
        assert.equal(rest.length, 0);
        assert.match(`${worker.kind} ${worker.title} ${worker.target}`, /worker .*beta.* .*#3$/);
        assert.ok(worker.heap_used > 1e5);
    }
    for (const word of [`${peer.port}#9`, `${peer.port}#nobody`, `${target.port}#9`, `pid:${target.pid}#nobody`]) {
        const run = await heaptap(t, ws, ['targets', word]);
        assertError(run, 2, /no target has that (number|title); there are: #1 /);
        assert.equal(run.stdout, '');
    }
});

test('targets says of a process that is not there, or is no Node, what run says', async (t) => {
    const ws = workspace(t);
    const other = start(t, 'sleep', ['60']);
    for (const word of ['pid:999999999', `pid:${other.pid}`, 'pid:1']) {
        const run = await heaptap(t, ws, ['targets', word]);
        assertError(run, 3, /there is no such process|not a Node process/);
        const said = await heaptap(t, ws, ['run', ...ws.own, word]);
        assertExit(said, 3);
        const line = run.stderr.trim().replace(/^heaptap targets: /, '');
        assert.ok(said.stderr.includes(line), `${line}\n${said.stderr}`);
    }
});

test('targets fits a terminal of 80 columns, with addresses that can be copied', async (t) => {
    const ws = workspace(t);
    const long = 'setInterval(() => {}, 1000); // ' + 'on and '.repeat(30);
    const open = await startTarget(t, { listens: false, code: long });
    await startTarget(t, { listens: false, inspect: '', code: long });
    const run = start(t, 'script', ['-qec', `stty cols 80; ${binary} targets`, '/dev/null'], { env: ws.env });
    await run.done;
    assertExit(run, 0);
    const lines = stripVTControlCharacters(run.stdout).trim().split(/\r?\n/);
    for (const line of lines) assert.ok(line.length <= 80, `${line.length}: ${line}`);
    assert.match(lines[0], /^TITLE +TARGET .*STATE$/);
    assert.ok(lines.some((line) => line.includes(` 127.0.0.1:${open.port} `)), run.stdout);
});

test('a run follows the worker that it was given, and no other, into its next life', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', listens: false, code: crew });
    await target.printed(/up/, 'stdout');
    const run = startHeaptap(t, ws, [
        ...['run', '--metrics-interval', '200ms', '--no-snapshots', '--no-diagnosis', ...ws.own],
        `${target.port}#beta`,
    ]);
    await run.printed(/attached to .*beta/);
    const readings = (lives) => until(() => sql(ws.db, 'SELECT count(*) AS n FROM memory_metrics GROUP BY target_id')
        .filter((row) => row.n >= 2).length === lives, `readings of ${lives}`);
    await readings(1);
    target.child.stdin.write('end\n');
    await run.printed(/waiting for it to come back/);
    await run.printed(/attached to .*beta[^]*attached to .*beta/);
    await readings(2);
    run.child.kill('SIGINT');
    assertExit(await run.done, 0);
    const rows = sql(ws.db, 'SELECT kind, title FROM targets');
    assert.equal(rows.length, 2, JSON.stringify(rows));
    for (const row of rows) assert.match(`${row.kind} ${row.title}`, /^worker .*beta/);
});

test('a target behind TLS is found and captured if its certificate is trusted, else refused', async (t) => {
    const ws = workspace(t);
    const [key, cert] = ['key.pem', 'cert.pem'].map(ws.path);
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
        '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], { stdio: 'pipe' });
    const target = await startTarget(t);
    const proxy = tls.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(cert) }, (socket) => {
        const inner = net.connect(target.port, '127.0.0.1');
        for (const one of [socket, inner]) one.on('error', () => {});
        socket.pipe(inner).pipe(socket);
    });
    await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    t.after(() => proxy.close());
    const url = `wss://localhost:${proxy.address().port}${new URL(target.ws).pathname}`;
    const trusting = { env: { SSL_CERT_FILE: cert } };
    const run = await heaptap(t, ws, ['targets', '--json', url], trusting);
    assertExit(run, 0);
    assert.equal(JSON.parse(run.stdout).targets[0].pid, target.pid);
    assert.ok((await snapshotOf(t, ws, url, [], trusting)).nodes.length > 0);
    assertError(await heaptap(t, ws, ['targets', url]), 3, /no trusted certificate for "localhost"/);
});
