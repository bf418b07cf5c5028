// A peer that lies by script: it stands between heaptap and a real inspector (or alone), speaks raw
// TCP, HTTP and WebSocket, and breaks exactly what a test tells it to. It also keeps a list of what
// heaptap itself did wrong on the wire.
import crypto from 'node:crypto';
import http from 'node:http';
import net from 'node:net';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const INT32_MAX = 2 ** 31 - 1;

export const TEXT = 1,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10;

// One WebSocket frame as bytes; claim states a length that the payload need not have.
export function frame(payload, { fin = true, opcode = TEXT, mask = false, rsv = 0, claim } = {}) {
    const body = Buffer.isBuffer(payload) ? payload : Buffer.from(payload);
    const length = claim ?? BigInt(body.length);
    const bit = mask ? 0x80 : 0;
    const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
    let head;
    if (length < 126n) head = Buffer.from([first, bit | Number(length)]);
    else if (length < 65536n)
        head = Buffer.from([first, bit | 126, Number(length) >> 8, Number(length) & 255]);
    else {
        head = Buffer.alloc(10);
        head[0] = first;
        head[1] = bit | 127;
        head.writeBigUInt64BE(length, 2);
    }
    if (!mask) return Buffer.concat([head, body]);
    const key = crypto.randomBytes(4);
    const masked = Buffer.from(body.map((byte, i) => byte ^ key[i % 4]));
    return Buffer.concat([head, key, masked]);
}

// Calls on({fin, opcode, masked, payload}) for each whole frame in the bytes that are pushed.
function frameReader(on) {
    let pending = [];
    let size = 0;
    let wanted = 2;
    return (bytes) => {
        pending.push(bytes);
        size += bytes.length;
        while (size >= wanted) {
            let buffer = pending.length === 1 ? pending[0] : Buffer.concat(pending);
            pending = [buffer];
            const masked = (buffer[1] & 0x80) !== 0;
            let length = buffer[1] & 0x7f;
            let at = 2;
            if (length === 126) at = 4;
            else if (length === 127) at = 10;
            const keyAt = at;
            at += masked ? 4 : 0;
            if (size < at) {
                wanted = at;
                return;
            }
            if (length === 126) length = buffer.readUInt16BE(2);
            else if (length === 127) length = Number(buffer.readBigUInt64BE(2));
            if (size < at + length) {
                wanted = at + length;
                return;
            }
            const payload = Buffer.from(buffer.subarray(at, at + length));
            if (masked)
                for (let i = 0; i < payload.length; i++) payload[i] ^= buffer[keyAt + (i & 3)];
            on({ fin: (buffer[0] & 0x80) !== 0, opcode: buffer[0] & 15, masked, payload });
            buffer = buffer.subarray(at + length);
            pending = [buffer];
            size = buffer.length;
            wanted = 2;
        }
    };
}

function acceptFor(key) {
    return crypto
        .createHash('sha1')
        .update(key + GUID)
        .digest('base64');
}

// What an inspector would never forgive: only one whole, masked text frame a message, valid JSON,
// ids within 1..2^31-1.
function judge(part, faults) {
    if (part.opcode === CLOSE) return;
    if (part.opcode !== TEXT) faults.push(`frame of opcode ${part.opcode}`);
    if (!part.fin) faults.push('fragmented message');
    if (!part.masked) faults.push('unmasked frame');
    const text = part.payload.toString('utf8');
    if (!Buffer.from(text).equals(part.payload)) faults.push('invalid UTF-8');
    try {
        const { id } = JSON.parse(text);
        if (!Number.isInteger(id) || id < 1 || id > INT32_MAX) faults.push(`id ${id}`);
    } catch {
        faults.push(`invalid JSON: ${text.slice(0, 80)}`);
    }
}

function openUpstream(port, path, onText, onEnd) {
    const socket = net.connect(port, '127.0.0.1');
    const key = crypto.randomBytes(16).toString('base64');
    let head = Buffer.alloc(0);
    let open = false;
    const waiting = [];
    const read = frameReader((part) => {
        if (part.opcode === TEXT) onText(part.payload);
    });
    socket.on('connect', () =>
        socket.write(
            `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
                'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
                `Sec-WebSocket-Key: ${key}\r\n\r\n`
        )
    );
    socket.on('data', (bytes) => {
        if (open) {
            read(bytes);
            return;
        }
        head = Buffer.concat([head, bytes]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        open = true;
        for (const text of waiting) socket.write(frame(text, { mask: true }));
        read(head.subarray(end + 4));
    });
    socket.on('error', () => {});
    socket.on('close', onEnd);
    return {
        send: (text) => (open ? socket.write(frame(text, { mask: true })) : waiting.push(text)),
        end: () => socket.destroy(),
    };
}

// One WebSocket connection of heaptap, as the script sees it.
class Connection {
    constructor(peer, socket) {
        this.peer = peer;
        this.socket = socket;
        this.requests = []; // what heaptap asked, parsed
        this.chunks = 0; // snapshot chunks that came by from upstream
        this.state = {}; // the script's own
    }

    raw(bytes) {
        if (!this.socket.destroyed) this.socket.write(bytes);
    }

    frame(payload, options) {
        this.raw(frame(payload, options));
    }

    text(value) {
        this.frame(
            typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value)
        );
    }

    // Leaves without a close frame; RST rather than FIN with reset.
    die({ reset = false } = {}) {
        if (reset && this.socket.resetAndDestroy) this.socket.resetAndDestroy();
        else this.socket.destroy();
    }

    asked(method) {
        return this.requests.some((request) => request.method === method);
    }

    method(id) {
        return this.requests.find((request) => request.id === id)?.method;
    }
}

// Starts a peer. script (every part is optional):
//   upstream: port of a real inspector that gives the honest answers
//   connect(socket): true = it took over the raw TCP connection
//   http(path, socket, request): true = it answered the HTTP request itself
//   list(entries): the /json/list to give in place of the honest one
//   upgrade(socket, accept, request): true = it answered the handshake itself
//   open(conn): after the handshake
//   ask(message, conn): what heaptap asked; true = it is not passed on
//   tell(text, conn): a message to heaptap as Buffer; true = it is not passed on
export function startPeer(t, script = {}) {
    const peer = { faults: [], connections: [], hits: [], sockets: new Set() };

    async function answerHttp(path, socket, request) {
        peer.hits.push({ path, head: request });
        if (script.http?.(path, socket, request)) return;
        let status = '200 OK';
        let body = '{}';
        if (script.upstream && /^\/json/.test(path)) {
            body = await fetchText(script.upstream, path);
            body = body.replaceAll(`127.0.0.1:${script.upstream}`, `127.0.0.1:${peer.port}`);
        } else if (/^\/json\/version/.test(path))
            body = '{"Browser":"node.js/v22.23.3","Protocol-Version":"1.1"}';
        else if (/^\/json(\/list)?$/.test(path))
            body = JSON.stringify([
                {
                    id: 'liar',
                    title: 'liar',
                    type: 'node',
                    url: 'file:///liar.js',
                    webSocketDebuggerUrl: `ws://127.0.0.1:${peer.port}/liar`,
                },
            ]);
        else [status, body] = ['400 Bad Request', 'WebSockets request was expected'];
        if (script.list && /^\/json(\/list)?$/.test(path))
            body = JSON.stringify(script.list(JSON.parse(body)));
        socket.write(
            `HTTP/1.0 ${status}\r\nContent-Type: application/json\r\n` +
                `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
        );
    }

    function open(path, socket, request, rest) {
        const key = /^sec-websocket-key:\s*(\S+)/im.exec(request)?.[1] ?? '';
        const conn = new Connection(peer, socket);
        peer.connections.push(conn);
        peer.hits.push({ path, head: request });
        if (script.upgrade?.(socket, acceptFor(key), request, conn)) return;
        socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
                `Connection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`
        );
        if (script.upstream)
            conn.upstream = openUpstream(
                script.upstream,
                path,
                (text) => {
                    if (text.subarray(0, 60).includes('addHeapSnapshotChunk')) conn.chunks++;
                    if (!script.tell?.(text, conn)) conn.text(text);
                },
                () => socket.destroy()
            );
        const read = frameReader((part) => {
            judge(part, peer.faults);
            if (part.opcode === CLOSE) {
                conn.closed = true;
                conn.frame(part.payload, { opcode: CLOSE });
                socket.end();
                return;
            }
            let message = {};
            try {
                message = JSON.parse(part.payload.toString());
            } catch {
                return;
            }
            conn.requests.push(message);
            if (!script.ask?.(message, conn)) conn.upstream?.send(part.payload);
        });
        conn.read = read;
        socket.on('data', read);
        script.open?.(conn);
        if (rest.length) read(rest);
    }

    const server = net.createServer((socket) => {
        peer.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
            peer.sockets.delete(socket);
            // Node 22 can die of a client that leaves in the middle of a snapshot, which is not what
            // a lie is about: a session with a snapshot under way stays until the test ends.
            for (const conn of peer.connections)
                if (conn.socket === socket && !conn.asked('HeapProfiler.takeHeapSnapshot'))
                    conn.upstream?.end();
        });
        if (script.connect?.(socket, peer)) return;
        let head = Buffer.alloc(0);
        socket.on('data', function onHead(bytes) {
            head = Buffer.concat([head, bytes]);
            const end = head.indexOf('\r\n\r\n');
            if (end < 0) return;
            const request = head.subarray(0, end + 4).toString('latin1');
            const rest = head.subarray(end + 4);
            head = Buffer.alloc(0);
            const path = request.split(' ')[1];
            if (/^upgrade:\s*websocket/im.test(request)) {
                socket.off('data', onHead);
                open(path, socket, request, rest);
            } else answerHttp(path, socket, request).catch(() => socket.destroy());
        });
    });
    t.after(() => {
        for (const socket of peer.sockets) socket.destroy();
        for (const conn of peer.connections) conn.upstream?.end();
        server.close();
    });
    return new Promise((resolve, reject) => {
        server.on('error', reject).listen(0, '127.0.0.1', () => {
            peer.port = server.address().port;
            resolve(peer);
        });
    });
}

function fetchText(port, path) {
    return new Promise((resolve, reject) => {
        http.get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
            let text = '';
            response.setEncoding('utf8').on('data', (part) => (text += part));
            response.on('end', () => resolve(text));
        }).on('error', reject);
    });
}
