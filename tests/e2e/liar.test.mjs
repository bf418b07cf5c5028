// What heaptap does with a peer that lies: each lie ends in one clear line and the right exit code,
// in bounded time, with nothing half-written and no bad manners on the wire of our own.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { BINARY, CLOSE, PING, frame, startPeer } from './peer.mjs';
import {
    assertError,
    assertExit,
    heaptap,
    jsonLines,
    readSnapshot,
    sleep,
    startTarget,
    workspace,
} from './lib.mjs';

const UNREACHABLE = 3,
    CAPTURE = 4,
    TIMEOUT = 124;
const PATIENCE_MS = 45_000; // a lie that needs longer than this to be noticed counts as a hang

// Writes part again and again until the peer's socket ends, at most limit bytes.
function flood(socket, part, limit = 512 << 20) {
    let sent = 0;
    const more = () => {
        while (!socket.destroyed && sent < limit) {
            sent += part.length;
            if (!socket.write(part)) {
                socket.once('drain', more);
                return;
            }
        }
        socket.destroy();
    };
    more();
}

function drip(socket, bytes, ms = 100) {
    let at = 0;
    const timer = setInterval(() => {
        if (socket.destroyed || at === bytes.length) clearInterval(timer);
        else socket.write(bytes.subarray(at, ++at));
    }, ms);
}

const http = (status, headers, body) => (path, socket) => {
    socket.write(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`);
    return true;
};
const json = (text) =>
    http(
        '200 OK',
        `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}`,
        text
    );
const entry = (change) => (list) => list.map((item) => ({ ...item, ...change }));

const discovery = {
    'closes at once': { connect: (socket) => socket.destroy() || true },
    'says nothing': { connect: () => true },
    'speaks no HTTP': { connect: (socket) => socket.write('220 mail.example ESMTP\r\n') },
    'sends zero bytes': { connect: (socket) => socket.write(Buffer.alloc(4096)) },
    'answers 500': { http: http('500 Oops', 'Content-Length: 4', 'oops') },
    'answers 404': { http: http('404 Not Found', 'Content-Length: 0', '') },
    'serves a web page': { http: http('200 OK', 'Content-Length: 13', '<html></html>') },
    redirects: {
        http: http('302 Found', 'Location: http://127.0.0.1:1/json/list\r\nContent-Length: 0', ''),
    },
    'sends headers without end': {
        http: (path, socket) => {
            socket.write('HTTP/1.1 200 OK\r\n');
            flood(socket, Buffer.from('X-Filler: '.padEnd(1000, 'x') + '\r\n'));
            return true;
        },
    },
    'sends one header line without end': {
        http: (path, socket) => {
            socket.write('HTTP/1.1 200 OK\r\nX: ');
            flood(socket, Buffer.alloc(65536, 'x'));
            return true;
        },
    },
    'sends a body without end': {
        http: (path, socket) => {
            socket.write('HTTP/1.1 200 OK\r\n\r\n[');
            flood(socket, Buffer.alloc(65536, ' '));
            return true;
        },
    },
    'promises 10^18 bytes and closes': {
        http: (path, socket) => {
            socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000000\r\n\r\n[{"id":');
            return true;
        },
    },
    'promises 10^18 bytes and is silent': {
        http: http('200 OK', 'Content-Length: 1000000000000000000', '['),
    },
    'promises less than nothing': { http: http('200 OK', 'Content-Length: -5', '[]') },
    'promises a word': { http: http('200 OK', 'Content-Length: many', '[') },
    'sends a broken chunk size': {
        http: http('200 OK', 'Transfer-Encoding: chunked', 'zz\r\n[]\r\n0\r\n\r\n'),
    },
    'drips a byte every 100 ms': {
        http: (path, socket) =>
            drip(
                socket,
                Buffer.from(
                    'HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n' +
                        'X: y\r\n'.repeat(100) +
                        '\r\n' +
                        ' '.repeat(9999)
                )
            ) || true,
    },
    'truncates its JSON': { http: json('[{"id":"a","type":"node","webSocketDebu') },
    'nests a million arrays': { http: json('['.repeat(1_000_000)) },
    'nests a million objects': { http: json('{"a":'.repeat(1_000_000)) },
    'gives a number for a list': { http: json('17') },
    'gives null for a list': { http: json('null') },
    'gives an empty list': { http: json('[]') },
    'gives a list of nulls': { http: json('[null,null]') },
    'gives a body of NULs': { http: json('\0'.repeat(100)) },
    'gives broken UTF-8': {
        http: (path, socket) => {
            socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n');
            socket.write(Buffer.from([0x5b, 0x22, 0xff, 0xfe, 0xc0, 0x80, 0x22, 0x5d]));
            return true;
        },
    },
    'gives a URL that is a number': { list: entry({ webSocketDebuggerUrl: 5 }) },
    'gives a URL that is none': { list: entry({ webSocketDebuggerUrl: 'not a url' }) },
    'gives an empty URL': { list: entry({ webSocketDebuggerUrl: '' }) },
    'gives a URL with a line break': {
        list: entry({ webSocketDebuggerUrl: 'ws://127.0.0.1/a\r\nX-Evil: 1' }),
    },
    'gives a URL of a megabyte': {
        list: entry({ webSocketDebuggerUrl: 'ws://127.0.0.1:1/' + 'a'.repeat(1 << 20) }),
    },
};

const switching = (accept, more = '') =>
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
    `Connection: Upgrade\r\n${accept ? `Sec-WebSocket-Accept: ${accept}\r\n` : ''}${more}\r\n`;

const handshake = {
    'gives the wrong accept key': (socket) =>
        socket.write(switching('AAAAAAAAAAAAAAAAAAAAAAAAAAA=')),
    'gives no accept key': (socket) => socket.write(switching('')),
    'answers 200': (socket, accept) =>
        socket.write(switching(accept).replace(/101 [^\r]*/, '200 OK')),
    'answers 400': (socket) =>
        socket.write('HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n'),
    'switches to another protocol': (socket, accept) =>
        socket.write(switching(accept).replace('Upgrade: websocket', 'Upgrade: h2c')),
    'turns on an extension nobody offered': (socket, accept) =>
        socket.write(switching(accept, 'Sec-WebSocket-Extensions: permessage-deflate\r\n')),
    'answers garbage': (socket) => socket.write(Buffer.alloc(1000, 0xee)),
    'says nothing': () => true,
    closes: (socket) => socket.destroy(),
    'sends headers without end': (socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\n');
        flood(socket, Buffer.from('X-Filler: '.padEnd(1000, 'x') + '\r\n'));
    },
};

// Frames in place of the first reply. legal: a lie that the standard allows, so heaptap goes on.
const firstReply = {
    'masks a frame': (text, conn) => conn.frame(text, { mask: true }),
    'sets a reserved bit': (text, conn) => conn.frame(text, { rsv: 4 }),
    'uses a reserved opcode': (text, conn) => conn.frame(text, { opcode: 3 }),
    'sends an overlong ping': (text, conn) => conn.frame(Buffer.alloc(1000), { opcode: PING }),
    'fragments a ping': (text, conn) => conn.frame('', { opcode: PING, fin: false }),
    'continues what never began': (text, conn) => conn.frame(text, { opcode: 0 }),
    'begins a message within a message': (text, conn) => {
        conn.frame('{"id"', { fin: false });
        conn.text(text);
    },
    'claims a frame of 2^63 bytes': (text, conn) => conn.frame(text, { claim: 2n ** 63n }),
    'claims a frame of 2^62 bytes and sends on': (text, conn) => {
        conn.frame('{"id":1,"result":{"x":"', { claim: 2n ** 62n });
        flood(conn.socket, Buffer.alloc(65536, 'x'), 4 << 30);
    },
    'sends fragments without end': (text, conn) => {
        conn.frame('{"id":1,"result":{"x":"', { fin: false });
        flood(conn.socket, frame(Buffer.alloc(65536, 'x'), { opcode: 0, fin: false }), 4 << 30);
    },
    'sends broken UTF-8': (text, conn) =>
        conn.frame(Buffer.from('{"id":1,"result":{"a":"\xff\xfe"}}', 'latin1')),
    'sends binary': (text, conn) => conn.frame(text, { opcode: BINARY }),
    'truncates its JSON': (text, conn) => conn.text(text.subarray(0, text.length >> 1)),
    'sends an empty message': (text, conn) => conn.text(''),
    'sends a megabyte of nesting': (text, conn) =>
        conn.text('{"id":1,"result":' + '['.repeat(1 << 20)),
    'sends closed nesting': (text, conn) =>
        conn.text('{"id":1,"result":' + '['.repeat(1 << 18) + ']'.repeat(1 << 18) + '}'),
    'sends a number': (text, conn) => conn.text('17'),
    'sends a list': (text, conn) => conn.text('[]'),
    'closes politely': (text, conn) => conn.frame(Buffer.from([3, 232]), { opcode: CLOSE }),
    'closes with half a code': (text, conn) => conn.frame(Buffer.from([3]), { opcode: CLOSE }),
    'closes with a code that is forbidden': (text, conn) =>
        conn.frame(Buffer.from([3, 237]), { opcode: CLOSE }),
    dies: (text, conn) => conn.die(),
    'dies with a reset': (text, conn) => conn.die({ reset: true }),
    'dies within a frame': (text, conn) => {
        conn.frame('{"id":1', { claim: 5000n });
        setTimeout(() => conn.die(), 50);
    },
};

const legal = {
    'fragments every message': (text, conn) => {
        const third = Math.ceil(text.length / 3);
        conn.frame(text.subarray(0, third), { fin: false });
        conn.frame(text.subarray(third, 2 * third), { opcode: 0, fin: false });
        conn.frame(text.subarray(2 * third), { opcode: 0 });
    },
    'tells of replies nobody asked for': (text, conn) => {
        conn.text('{"id":2147483647,"result":{}}');
        conn.text('{"id":0,"result":{}}');
        conn.text('{"id":-1,"result":{}}');
        conn.text('{"id":"1","result":{}}');
        conn.text('{"id":1.5,"result":{}}');
        conn.text(text);
    },
    'tells of events nobody knows': (text, conn) => {
        conn.text('{"method":"Nonsense.happened","params":{"x":[1,2,{"y":null}]}}');
        conn.text(
            '{"method":"Runtime.bindingCalled","params":{"name":"other","payload":"x","executionContextId":1}}'
        );
        conn.text(text);
    },
    'answers everything twice': (text, conn) => {
        conn.text(text);
        if (/^\{"id":/.test(text.subarray(0, 8).toString())) conn.text(text);
    },
    'sends every byte alone at first': (text, conn) => {
        if (text.length > 2000 || conn.state.slow > 20) {
            conn.text(text);
            return;
        }
        conn.state.slow = (conn.state.slow ?? 0) + 1;
        for (const byte of frame(text)) conn.raw(Buffer.from([byte]));
    },
};

const isChunk = (text) => text.subarray(0, 60).includes('HeapProfiler.addHeapSnapshotChunk');
const answered = (text, conn) => {
    const id = /^\{"id":(\d+)/.exec(text.subarray(0, 20).toString());
    return id ? conn.method(Number(id[1])) : undefined;
};
const chunk = (value) =>
    `{"method":"HeapProfiler.addHeapSnapshotChunk","params":{"chunk":${value}}}`;
// Calls lie(text, conn) in place of the n-th chunk (from 0), passes everything else on.
const atChunk = (n, lie) => (text, conn) => {
    if (!isChunk(text)) return false;
    const at = (conn.state.chunk = (conn.state.chunk ?? -1) + 1);
    return at === n ? lie(text, conn) !== false : false;
};

// Lies while a snapshot is under way; each must end in a failed capture and leave no file.
const snapshot = {
    'answers without a chunk': { code: CAPTURE, tell: (text) => isChunk(text) },
    'answers with an error': {
        code: CAPTURE,
        ask: (message, conn) =>
            message.method === 'HeapProfiler.takeHeapSnapshot' &&
            !conn.text({
                id: message.id,
                error: { code: -32000, message: 'no \u001b[31msnapshot\u0007 today' },
            }),
    },
    'answers with an error that is a number': {
        code: CAPTURE,
        ask: (message, conn) =>
            message.method === 'HeapProfiler.takeHeapSnapshot' &&
            !conn.text({ id: message.id, error: 5 }),
    },
    'dies in the middle': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(10, (text, conn) => conn.die()),
    },
    'resets in the middle': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(10, (text, conn) => conn.die({ reset: true })),
    },
    'dies within a chunk': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(10, (text, conn) => {
            conn.frame(text.subarray(0, 1000), { claim: BigInt(text.length) });
            setTimeout(() => conn.die(), 50);
        }),
    },
    'closes in the middle': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(10, (text, conn) => conn.frame(Buffer.from([3, 232]), { opcode: CLOSE })),
    },
    'drops the last chunk': {
        code: CAPTURE,
        tell: (text, conn) => {
            if (isChunk(text)) {
                const before = conn.state.held;
                conn.state.held = Buffer.from(text);
                if (before) conn.text(before);
                return true;
            }
            return false;
        },
    },
    'drops a chunk in the middle': { code: CAPTURE, tell: atChunk(3, () => true) },
    'sends a chunk twice': {
        code: CAPTURE,
        tell: atChunk(3, (text, conn) => {
            conn.text(text);
            conn.text(text);
        }),
    },
    'sends a chunk that is a number': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(3, (text, conn) => conn.text(chunk('17'))),
    },
    'sends a chunk that does not end': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(3, (text, conn) => conn.text(chunk('"abc').slice(0, -3))),
    },
    'sends a chunk with an unknown escape': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(3, (text, conn) => conn.text(chunk('"a\\qb"'))),
    },
    'sends a chunk with half an escape': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(3, (text, conn) => conn.text(chunk('"a\\u12"'))),
    },
    'sends a chunk with a lone surrogate': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(3, (text, conn) => conn.text(chunk('"\\ud800"'))),
    },
    'sends a chunk with control bytes': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(3, (text, conn) => conn.text(chunk('"a\u0001\nb"'))),
    },
    'sends a chunk with text behind it': {
        code: [UNREACHABLE, CAPTURE],
        tell: atChunk(3, (text, conn) => conn.text(chunk('"a"') + '}}}')),
    },
    'sends a foreign file': {
        code: CAPTURE,
        tell: (text, conn) =>
            isChunk(text) &&
            (conn.state.done ||
                ((conn.state.done = true), conn.text(chunk(JSON.stringify('{"hello":"world"}')))),
            true),
    },
    'is silent in the middle': {
        code: TIMEOUT,
        args: ['--timeout', '3s'],
        tell: (text, conn) => (isChunk(text) && conn.chunks > 3) || conn.chunks > 3,
    },
    'is silent from the start': {
        code: TIMEOUT,
        args: ['--timeout', '3s'],
        ask: (message) => message.method === 'HeapProfiler.takeHeapSnapshot',
    },
};

// real: the honest answers come from a target of its own, which must outlive the lie.
async function lieTo(
    t,
    script,
    { args = [], command = 'snapshot', codes, files = 0, real = false } = {}
) {
    const ws = workspace(t);
    const target = real ? await startTarget(t) : undefined;
    const peer = await startPeer(t, { ...script, upstream: target?.port });
    const started = Date.now();
    const run = await heaptap(
        t,
        ws,
        [command, String(peer.port), ...(command === 'snapshot' ? ['--dir', ws.dir] : []), ...args],
        { timeout: PATIENCE_MS }
    );
    const codeList = [codes].flat();
    assert.ok(
        codeList.includes(run.code),
        `exit code ${run.code ?? run.signal}, not ${codeList}\n${run.stderr}`
    );
    if (run.code) assertError(run, run.code);
    assert.deepEqual(peer.faults, [], 'bad manners on the wire');
    if (command === 'snapshot')
        assert.equal(ws.files().length, files, `left behind: ${ws.files()}`);
    assert.ok(Date.now() - started < PATIENCE_MS);
    if (target) {
        assert.ok(!target.over, `the target ended with ${target.signal ?? target.code}`);
        await target.get('/health');
    }
    return { ws, peer, run };
}

test('a peer that is no inspector is told within bounded time', { concurrency: 4 }, async (t) => {
    const tests = Object.entries(discovery).map(([name, script]) =>
        t.test(`which ${name}`, (t) => lieTo(t, script, { codes: UNREACHABLE }))
    );
    await Promise.all(tests);
});

test('a peer that breaks the WebSocket handshake is told', { concurrency: 4 }, async (t) => {
    const tests = Object.entries(handshake).map(([name, upgrade]) =>
        t.test(`which ${name}`, (t) =>
            lieTo(t, { upgrade: (...given) => upgrade(...given) || true }, { codes: UNREACHABLE })
        )
    );
    await Promise.all(tests);
});

test('a peer that breaks frames or JSON is told', { concurrency: 3 }, async (t) => {
    const tests = Object.entries(firstReply).map(([name, lie]) =>
        t.test(`which ${name}`, (t) =>
            lieTo(
                t,
                {
                    tell: (text, conn) => {
                        if (conn.state.told) return true;
                        conn.state.told = true;
                        lie(text, conn);
                        return true;
                    },
                },
                { codes: [UNREACHABLE, CAPTURE], real: true }
            )
        )
    );
    await Promise.all(tests);
});

test('a peer that is odd but within the rules is served', { concurrency: 2 }, async (t) => {
    const tests = Object.entries(legal).map(([name, odd]) =>
        t.test(`which ${name}`, async (t) => {
            const { ws } = await lieTo(
                t,
                {
                    tell: (text, conn) => {
                        odd(text, conn);
                        return true;
                    },
                },
                { codes: 0, files: 1, real: true }
            );
            readSnapshot(`${ws.dir}/${ws.files()[0]}`);
        })
    );
    await Promise.all(tests);
});

test(
    'a lie within a snapshot fails the capture and leaves no file',
    { concurrency: 2 },
    async (t) => {
        const tests = Object.entries(snapshot).map(([name, { code, args, ...script }]) =>
            t.test(`which ${name}`, (t) => lieTo(t, script, { codes: code, args, real: true }))
        );
        await Promise.all(tests);
    }
);

test('chunks that nobody asked for are not written anywhere', async (t) => {
    const { ws } = await lieTo(
        t,
        {
            open: (conn) => conn.text(chunk('"foreign"')),
            tell: (text, conn) => {
                if (answered(text, conn) === 'HeapProfiler.takeHeapSnapshot') {
                    conn.text(text);
                    conn.text(chunk('"late"'));
                    return true;
                }
                return false;
            },
        },
        { codes: 0, files: 1, real: true }
    );
    readSnapshot(`${ws.dir}/${ws.files()[0]}`);
});

test('the address that was asked is used, not the one that the peer advertises', async (t) => {
    const other = await startPeer(t);
    const { peer } = await lieTo(
        t,
        {
            list: (list) =>
                list.map((item) => ({
                    ...item,
                    webSocketDebuggerUrl: item.webSocketDebuggerUrl.replace(
                        /:\d+\//,
                        `:${other.port}/`
                    ),
                })),
        },
        { codes: 0, files: 1, real: true }
    );
    assert.equal(other.hits.length, 0, 'followed an address that the peer made up');
    assert.equal(peer.connections.length, 1);
});

test('a title full of control bytes cannot reach the terminal', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const title = '\u001b]0;owned\u0007\u001b[2J\r\nfake row \u202e\u0085 \u009b31m';
    const peer = await startPeer(t, { upstream: target.port, list: entry({ title, url: title }) });
    for (const args of [[], ['--json']]) {
        const run = await heaptap(t, ws, ['targets', String(peer.port), ...args]);
        assertExit(run, 0);
        // eslint-disable-next-line no-control-regex
        assert.doesNotMatch(run.stdout + run.stderr, /[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u202e]/);
    }
    const csv = await heaptap(t, ws, ['targets', String(peer.port), '--json']);
    assert.ok(JSON.stringify(JSON.parse(csv.stdout)).includes('owned'));
});

// A run goes on where it can: figures that are nonsense become no row, or a row without them.
const figures = {
    negative: -5,
    words: 'many',
    null: null,
    infinite: 1e999,
    'a list': [1],
    'above 2^53': 1e300,
};
test('a run outlives figures that are nonsense', { concurrency: 2 }, async (t) => {
    const target = await startTarget(t); // nothing here asks it for more than a reading
    const tests = Object.entries(figures).map(([name, value]) =>
        t.test(`which are ${name}`, async (t) => {
            const ws = workspace(t);
            const peer = await startPeer(t, {
                upstream: target.port,
                tell: (text, conn) => {
                    if (isChunk(text)) return false;
                    const nonsense = JSON.stringify(value).replace(
                        'null',
                        value === null ? 'null' : '1e999'
                    );
                    conn.text(
                        text
                            .toString()
                            .replace(
                                /(\\"(?:heapUsed|heapTotal|rss|external|used[A-Za-z_]*|total[A-Za-z_]*)\\":)\d+/g,
                                (all, key) => key + nonsense.replaceAll('"', '\\"')
                            )
                            .replace(
                                /("value":"\[)\d+(?=,)/,
                                (all, key) => key + nonsense.replaceAll('"', '\\"')
                            )
                            .replace(
                                /("(?:usedSize|totalSize|value)":)\d+(\.\d+)?/g,
                                (all, key) => key + nonsense
                            )
                    );
                    return true;
                },
            });
            const run = await heaptap(t, ws, [
                'run',
                '--duration',
                '2s',
                '--metrics-interval',
                '200ms',
                '--no-snapshots',
                '--json',
                ...ws.own,
                String(peer.port),
            ]);
            assert.ok([0, UNREACHABLE].includes(run.code), `exit code ${run.code}: ${run.stderr}`);
            for (const line of jsonLines(run.stdout))
                if (line.type === 'metrics' && line.heap_used !== null)
                    assert.ok(
                        line.heap_used >= 0 && line.heap_used < 1e7,
                        `heap_used ${line.heap_used}`
                    );
            assert.deepEqual(peer.faults, []);
        })
    );
    await Promise.all(tests);
});

test('a run attaches again after its connection broke, and the record has no gap', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    let broken = 0;
    const peer = await startPeer(t, {
        upstream: target.port,
        open: (conn) =>
            setTimeout(() => {
                if (broken++ < 3) conn.die({ reset: broken % 2 === 0 });
            }, 700),
    });
    const run = await heaptap(t, ws, [
        'run',
        '--duration',
        '8s',
        '--metrics-interval',
        '200ms',
        '--no-snapshots',
        '--json',
        ...ws.own,
        String(peer.port),
    ]);
    assertExit(run, 0);
    assert.ok(peer.connections.length >= 4, `${peer.connections.length} connections`);
    const rows = jsonLines(run.stdout).filter((line) => line.type === 'metrics');
    assert.ok(rows.length >= 10, `${rows.length} rows`);
    assert.deepEqual(peer.faults, []);
});

test('a connection that says nothing for a while is left alone', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const peer = await startPeer(t, { upstream: target.port });
    const run = await heaptap(t, ws, [
        'run',
        '--duration',
        '12s',
        '--metrics-interval',
        '30s',
        '--no-snapshots',
        ...ws.own,
        String(peer.port),
    ]);
    assertExit(run, 0);
    await sleep(50);
    assert.equal(peer.connections.length, 1, 'it reconnected');
    assert.deepEqual(peer.faults, []);
    assert.ok(fs.existsSync(ws.db));
});
