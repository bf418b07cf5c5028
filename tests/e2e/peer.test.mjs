// The scripted peer itself: honest when told nothing, and it sees a client's bad manners.
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { PING, frame, startPeer } from './peer.mjs';
import { startTarget, until } from './lib.mjs';

function connect(url) {
    return new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        socket.onopen = () => resolve(socket);
        socket.onerror = reject;
    });
}

test('the peer passes a whole snapshot on unchanged', async (t) => {
    const target = await startTarget(t);
    const peer = await startPeer(t, { upstream: target.port });
    const list = await (await fetch(`http://127.0.0.1:${peer.port}/json/list`)).json();
    const socket = await connect(list[0].webSocketDebuggerUrl);
    let text = '';
    const done = new Promise((resolve) => {
        socket.onmessage = ({ data }) => {
            const message = JSON.parse(data);
            if (message.method === 'HeapProfiler.addHeapSnapshotChunk')
                text += message.params.chunk;
            else if (message.id === 1) resolve();
        };
    });
    socket.send('{"id":1,"method":"HeapProfiler.takeHeapSnapshot"}');
    await done;
    socket.close();
    const snapshot = JSON.parse(text);
    assert.ok(snapshot.snapshot.node_count > 10_000);
    assert.deepEqual(peer.faults, []);
    assert.ok(peer.connections[0].chunks > 10);
    assert.equal(peer.connections[0].requests[0].method, 'HeapProfiler.takeHeapSnapshot');
});

test('the peer notes a ping, an unmasked frame, a fragment, bad JSON and a wide id', async (t) => {
    const peer = await startPeer(t);
    const socket = net.connect(peer.port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write(
        'GET /liar HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
    );
    socket.write(
        Buffer.concat([
            frame('', { opcode: PING, mask: true }),
            frame('{"id":1}'),
            frame('{"id":2}', { mask: true, fin: false }),
            frame('{"id":3', { mask: true }),
            frame('{"id":4294967299}', { mask: true }),
            frame(Buffer.from('{"id":5,"a":"\xff"}', 'latin1'), { mask: true }),
        ])
    );
    await until(
        () => peer.faults.length >= 7,
        () => JSON.stringify(peer.faults),
        5000
    );
    assert.deepEqual(
        peer.faults.map((fault) => fault.split(':')[0]),
        [
            'frame of opcode 9',
            'invalid JSON',
            'unmasked frame',
            'fragmented message',
            'invalid JSON',
            'id 4294967299',
            'invalid UTF-8',
        ]
    );
});
