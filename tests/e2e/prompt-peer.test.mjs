// The prompt against a target that lies, is silent or dies by script, and against one that another
// debugger has paused: what is wrong is said in one line, and the session lives on.
import assert from 'node:assert/strict';
import test from 'node:test';
import { assertExit, heaptap, jsonLines, start, startTarget, until, workspace } from './lib.mjs';
import { startPeer } from './peer.mjs';

// A real target behind a peer that answers evaluations of "lie.NAME" as lies[NAME] says, and other
// methods as lies[METHOD] says: with a result, or by a function of the connection and the id.
async function behindPeer(t, lies) {
    const target = await startTarget(t, { node: '24' });
    const peer = await startPeer(t, {
        upstream: target.port,
        ask(message, conn) {
            const name = /lie\.(\w+)/.exec(message.params?.expression ?? '')?.[1] ?? message.method;
            const lie = lies[name];
            if (lie === undefined || (name === message.method && !conn.state.lies)) {
                conn.state.lies ||= message.params?.expression === "'now lie'"; // methods lie from now on
                return false;
            }
            if (typeof lie === 'function') lie(conn, message.id);
            else conn.text({ id: message.id, result: lie });
            return true;
        },
    });
    return { target, peer };
}

const attach = (t, ws, port, input, args = []) =>
    heaptap(t, ws, ['attach', String(port), ...ws.own, '--json', '--deadline', '700ms', ...args], { input });

test('an answer that is none is an error, and the next command is answered', async (t) => {
    const ws = workspace(t);
    const lies = {
        empty: {},
        noResult: { result: 'text' },
        list: { result: [] },
        strange: { result: { type: 7, value: { deep: { er: [null] } }, description: 5 } },
        thrown: { exceptionDetails: 'nonsense' },
        threw: { result: {}, exceptionDetails: { exception: { description: '\u001b[2Jboo\nat secret' } } },
        refused: (conn, id) => conn.text({ id, error: { code: -32000, message: '\u001b]0;owned\u0007no' } }),
        errorless: (conn, id) => conn.text({ id, error: 'no' }),
        silent: () => {},
        foreign: (conn, id) => {
            conn.text({ id: id + 1000, result: { result: { type: 'number', value: 1 } } });
            conn.text({ id, result: { result: { type: 'number', value: 2 } } });
        },
        twice: (conn, id) => {
            for (const value of [3, 4]) conn.text({ id, result: { result: { type: 'number', value } } });
        },
        flood: (conn, id) => {
            for (let i = 0; i < 500; i++) conn.text({ method: 'Made.up', params: { i, text: '\u001b[31m' } });
            conn.text({ id, result: { result: { type: 'number', value: 5 } } });
        },
    };
    const { peer, target } = await behindPeer(t, lies);
    const names = Object.keys(lies);
    const run = await attach(t, ws, peer.port, names.map((name) => `eval lie.${name}\neval '${name}'\n`).join(''));
    assertExit(run, 0);
    const answers = jsonLines(run.stdout);
    assert.equal(answers.length, 2 * names.length, run.stderr);
    const of = Object.fromEntries(names.map((name, i) => [name, answers[2 * i]]));
    for (const [i, name] of names.entries()) assert.equal(answers[2 * i + 1].value, name);
    for (const name of ['empty', 'noResult', 'list'])
        assert.match(of[name].error, /holds no result/, name);
    assert.equal(of.strange.schema, 'heaptap.eval/1');
    assert.match(of.thrown.error, /it threw/);
    assert.match(of.threw.error, /it threw .*boo$/);
    assert.match(of.refused.error, /owned.*no \(-32000\)/);
    assert.match(of.silent.error, /no answer within 700 ms/);
    assert.deepEqual([of.foreign.value, of.twice.value, of.flood.value], [2, 3, 5]);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(run.stdout + run.stderr, /[\x1b\x07]/);
    assert.deepEqual(peer.faults, []);
    assert.ok(!target.over);
});

test('live objects whose properties are nonsense are shown as far as they make sense', async (t) => {
    const ws = workspace(t);
    const remote = { type: 'object', className: '\u001b[2JEvil', description: 'x\ny', objectId: '{"injected":1}' };
    const properties = [
        {},
        { name: 7 },
        { name: '\u001b]0;owned\u0007', value: { type: 'string', value: '\u001b[2J' } },
        { name: 'no value' },
        { name: 'get', get: { type: 'function' } },
        { name: 'odd', value: 'text' },
        { name: 'deep', value: remote },
        { name: 'big', value: { type: 'bigint', unserializableValue: '1n' } },
    ];
    const answers = [{ result: properties, internalProperties: 'none' }, { result: 'none' }, {}];
    const { peer } = await behindPeer(t, {
        'HeapProfiler.getObjectByHeapObjectId': { result: remote },
        'HeapProfiler.getHeapObjectId': { heapSnapshotObjectId: 'x' },
        'Runtime.callFunctionOn': { result: { type: 'object', subtype: 'null', value: null } },
        'Runtime.getProperties': (conn, id) => {
            conn.state.next = (conn.state.next ?? -1) + 1;
            conn.text({ id, result: answers[conn.state.next % answers.length] });
        },
        'Runtime.queryObjects': { objects: 7 },
    });
    const input = "eval 'now lie'\ninspect @5\ninspect @5\ninspect @5\ninspect @5 deep nothing\ninstances Evil\n";
    const run = await attach(t, ws, peer.port, input);
    assertExit(run, 0);
    const [, first, second, third, way, instances] = jsonLines(run.stdout);
    assert.equal(first.class, '\u001b[2JEvil');
    assert.equal(first.properties.length, properties.length);
    assert.equal(first.properties.find((p) => p.name === 'big').value, '1n');
    assert.deepEqual([second.properties, third.properties], [[], []]);
    assert.match(way.error, /no property/);
    assert.ok(instances.error);
    const text = await heaptap(t, ws, ['attach', String(peer.port), ...ws.own], { input: "eval 'now lie'\ninspect @5\n" });
    assertExit(text, 0);
    assert.match(text.stdout, /\\x1b\[2JEvil/);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(text.stdout + text.stderr, /[\x1b\x07]/);
});

test('half a message, and a connection that dies in a command, are the end of that command', async (t) => {
    const ws = workspace(t);
    const lies = {
        half: (conn) => conn.text('{"id": 1, "result": {"resu'),
        cut: (conn) => {
            conn.frame('{"id":1}', { claim: 5000n });
            conn.die();
        },
        die: (conn) => conn.die({ reset: true }),
    };
    for (const name of Object.keys(lies)) {
        const { peer } = await behindPeer(t, lies);
        const run = await attach(t, ws, peer.port, `eval lie.${name}\neval 'after'\n`);
        const [first, second] = jsonLines(run.stdout);
        assert.match(first.error, /JSON|lost|gone|closed|connection|answer/i, `${name}: ${run.stderr}`);
        if (run.code !== 3) assert.equal(second.value, 'after', name);
        assert.ok([0, 3].includes(run.code), `${name}: ${run.code}\n${run.stderr}`);
    }
});

// A client of its own that has the target paused.
async function pausedTarget(t, node) {
    const target = await startTarget(t, { node, listens: false, code: "setInterval(() => (globalThis.beat = 1), 20); console.log('up')" });
    await target.printed(/up/, 'stdout');
    const socket = new WebSocket(target.ws);
    const paused = new Promise((resolve) => (socket.onmessage = (m) => m.data.includes('Debugger.paused') && resolve()));
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    socket.send('{"id":1,"method":"Debugger.enable"}');
    socket.send('{"id":2,"method":"Debugger.pause"}');
    await paused;
    t.after(() => socket.close());
    return target;
}

for (const node of ['18', '24'])
    test(`what another debugger has paused is looked at all the same, on Node ${node}`, async (t) => {
        const ws = workspace(t);
        const target = await pausedTarget(t, node);
        const commands = ['eval 1 + 1', 'metrics', 'snapshot', 'instances Map', 'eval await 3', 'Debugger.enable', 'Debugger.resume', 'eval await 4', 'gc'];
        const run = await attach(t, ws, target.port, `${commands.join('\n')}\n`, ['--deadline', '2s']);
        assertExit(run, 0);
        const [sum, reading, snapshot, maps, awaited, , , resumed, gc] = jsonLines(run.stdout);
        assert.deepEqual([sum.value, resumed.value], [2, 4]);
        assert.ok(reading.heap_used > 0 && maps.classes[0].count > 0 && gc.after > 0);
        assert.equal(snapshot.state, 'complete');
        assert.match(awaited.error, /no answer within 2\.0 s .*paused in a debugger/);
        assert.ok(!target.over);
    });

test('terminate --yes frees a server that is stuck in a request, and is not had by mistake', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, {
        code: `const server = require('http').createServer((request, response) => {
            if (request.url === '/stuck') for (;;);
            response.end('well');
        }).listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + server.address().port))`,
    });
    const input = `eval require('http').get('${target.url}/stuck').on('error', () => {}), 'sent'
eval await new Promise((done) => setTimeout(done, 300, 'free'))
eval 1
terminate
Runtime.terminateExecution
terminate --yes
eval await new Promise((done) => setTimeout(done, 1, 'free'))
`;
    const run = await attach(t, ws, target.port, input);
    assertExit(run, 0);
    const [sent, stuck, one, asked, refused, , free] = jsonLines(run.stdout);
    assert.equal(sent.value, 'sent');
    assert.match(stuck.error, /no answer within 700 ms .*see help terminate/);
    assert.equal(one.value, 1);
    for (const { error } of [asked, refused]) assert.match(error, /Node dies of it .*--yes/);
    assert.equal(free.value, 'free');
    await target.get('/page', 1);
    assert.ok(!target.over);
});
