// What the zoo's servers talk to: just enough of PostgreSQL, Redis, an HTTP service and a WebSocket
// feed that their clients work, all on free loopback ports of one process. Started with IPC it sends
// the addresses; stopped with its parent.
import http from 'node:http';
import net from 'node:net';
import { createRequire } from 'node:module';

const listen = (server) =>
    new Promise((resolve) =>
        server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`))
    );

// ---- PostgreSQL, protocol 3.0: every SELECT has three rows of what it names ----

const message = (type, ...parts) => {
    const body = Buffer.concat(parts);
    const head = Buffer.alloc(5);
    head.write(type, 0, 'latin1');
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
};
const int16 = (n) => {
    const out = Buffer.alloc(2);
    out.writeInt16BE(n);
    return out;
};
const int32 = (n) => {
    const out = Buffer.alloc(4);
    out.writeInt32BE(n);
    return out;
};
const cstring = (text) => Buffer.from(`${text}\0`);
const ready = message('Z', Buffer.from('I'));
const INT4 = 23;
const TEXT = 25;

function columnsOf(sql) {
    const list = /^\s*select\s+(.*?)(\s+from\s|\s*$)/is.exec(sql)?.[1];
    return (list ?? '')
        .split(',')
        .map((item) => /([A-Za-z_]\w*)"?\s*$/.exec(item.trim())?.[1])
        .filter(Boolean)
        .map((name) => ({ name, type: /^(id|total|stock|count)$/.test(name) ? INT4 : TEXT }));
}

function describe(columns) {
    if (!columns.length) return message('n');
    const fields = columns.map(({ name, type }) =>
        Buffer.concat([cstring(name), int32(0), int16(0), int32(type), int16(type === INT4 ? 4 : -1),
            int32(-1), int16(0)])
    );
    return message('T', int16(columns.length), ...fields);
}

function rows(columns, sql) {
    if (!columns.length)
        return message('C', cstring(sql.trim().split(/\s+/)[0]?.toUpperCase() || 'OK'));
    const out = [];
    for (let i = 1; i <= 3; i++) {
        const values = columns.map(({ name, type }) => {
            const text = Buffer.from(type === INT4 ? String(i * 7) : `${name} of row ${i}`);
            return Buffer.concat([int32(text.length), text]);
        });
        out.push(message('D', int16(columns.length), ...values));
    }
    return Buffer.concat([...out, message('C', cstring('SELECT 3'))]);
}

function servePostgres(socket) {
    const statements = new Map();
    let input = Buffer.alloc(0);
    let started = false;
    let portal = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
        input = Buffer.concat([input, chunk]);
        for (;;) {
            if (!started) {
                if (input.length < 8 || input.length < input.readInt32BE(0)) return;
                const wantsTls = input.readInt32BE(4) === 80877103;
                input = input.subarray(input.readInt32BE(0));
                if (wantsTls) socket.write('N');
                else {
                    started = true;
                    socket.write(Buffer.concat([message('R', int32(0)),
                        message('S', cstring('server_version'), cstring('15.0')),
                        message('S', cstring('client_encoding'), cstring('UTF8')),
                        message('K', int32(1), int32(1)), ready]));
                }
                continue;
            }
            if (input.length < 5 || input.length < 1 + input.readInt32BE(1)) return;
            const type = String.fromCharCode(input[0]);
            const body = input.subarray(5, 1 + input.readInt32BE(1));
            input = input.subarray(1 + input.readInt32BE(1));
            const text = (from) => body.toString('utf8', from, body.indexOf(0, from));
            if (type === 'Q') {
                const columns = columnsOf(text(0));
                socket.write(Buffer.concat(
                    [columns.length ? describe(columns) : Buffer.alloc(0), rows(columns, text(0)), ready]));
            } else if (type === 'P') {
                const name = text(0);
                statements.set(name, text(Buffer.byteLength(name) + 1));
                socket.write(message('1'));
            } else if (type === 'B') {
                portal = statements.get(text(Buffer.byteLength(text(0)) + 1)) ?? '';
                socket.write(message('2'));
            } else if (type === 'D') {
                const statement = body[0] === 0x53;
                const columns = columnsOf(statement ? statements.get(text(1)) ?? '' : portal);
                socket.write(Buffer.concat(
                    [statement ? message('t', int16(0)) : Buffer.alloc(0), describe(columns)]));
            } else if (type === 'E') socket.write(rows(columnsOf(portal), portal));
            else if (type === 'C') socket.write(message('3'));
            else if (type === 'S') socket.write(ready);
            else if (type === 'X') socket.end();
        }
    });
}

// ---- Redis, RESP 2 ----

const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

function answerRedis([command, ...words]) {
    switch (command.toUpperCase()) {
        case 'INFO': return bulk('redis_version:7.2.0\r\nloading:0\r\nrole:master\r\n');
        case 'PING': return '+PONG\r\n';
        case 'GET': return bulk(`value of ${words[0]}`);
        case 'INCR': case 'PUBLISH': case 'DEL': case 'LPUSH': return ':1\r\n';
        case 'LRANGE': case 'KEYS': return `*2\r\n${bulk('one')}${bulk('two')}`;
        case 'SUBSCRIBE': case 'UNSUBSCRIBE':
            return words.map((name) =>
                `*3\r\n${bulk(command.toLowerCase())}${bulk(name)}:1\r\n`).join('');
        case 'HELLO': return '-ERR unknown command\r\n';
        default: return '+OK\r\n';
    }
}

function serveRedis(socket) {
    let input = '';
    socket.on('error', () => {});
    socket.setEncoding('latin1').on('data', (chunk) => {
        input += chunk;
        for (;;) {
            const head = /^\*(\d+)\r\n/.exec(input);
            if (!head) return;
            let at = head[0].length;
            const words = [];
            for (let i = 0; i < Number(head[1]); i++) {
                const length = /^\$(\d+)\r\n/.exec(input.slice(at, at + 20));
                if (!length || input.length < at + length[0].length + Number(length[1]) + 2) return;
                at += length[0].length;
                words.push(input.slice(at, at + Number(length[1])));
                at += Number(length[1]) + 2;
            }
            input = input.slice(at);
            socket.write(answerRedis(words));
            if (words[0].toUpperCase() === 'QUIT') socket.end();
        }
    });
}

// ---- an HTTP service that answers in JSON, and a feed that says something on every connection ----

export async function startBackends() {
    // From the folder that the scoreboard works in, where the packages are.
    const { WebSocketServer } = createRequire(`${process.cwd()}/backends.mjs`)('ws');
    const service = http.createServer((request, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ path: request.url, price: 1999, currency: 'EUR' }));
    });
    const feed = http.createServer();
    new WebSocketServer({ server: feed }).on('connection', (socket) => {
        socket.on('error', () => {});
        socket.send(JSON.stringify({ type: 'hello' }));
    });
    return {
        DATABASE_URL: `postgresql://shop@${await listen(net.createServer(servePostgres))}/shop`,
        REDIS_URL: `redis://${await listen(net.createServer(serveRedis))}`,
        SERVICE_URL: `http://${await listen(service)}`,
        FEED_URL: `ws://${await listen(feed)}`,
    };
}

if (process.send) {
    process.send(await startBackends());
    process.on('disconnect', () => process.exit());
}
