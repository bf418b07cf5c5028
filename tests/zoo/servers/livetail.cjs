// Tails of the application's log for the admin page; each gets what is written while it is open.
const { PassThrough } = require('node:stream');
const http = require('node:http');

class LogBroadcast {
    constructor() {
        this.subscribers = new Set();
        this.lines = 0;
    }
    open() {
        const stream = new PassThrough({ highWaterMark: 1024 });
        this.subscribers.add(stream);
        return stream;
    }
    write(line) {
        this.lines++;
        for (const stream of this.subscribers) if (!stream.writableNeedDrain) stream.write(`${line}\n`);
    }
}

const broadcast = new LogBroadcast();

function tail(res) {
    const stream = broadcast.open();
    let left = 2;
    stream.on('data', (chunk) => {
        res.write(chunk);
        if (--left === 0) {
            stream.pause();
            res.end();
        }
    });
    setImmediate(() => {
        stream.write('tail opened\n');
        stream.write(`level=info lines=${broadcast.lines}\n`);
    });
}

const server = http.createServer((req, res) => {
    if (req.url === '/logs/tail') return tail(res);
    if (req.url === '/logs/levels') return res.end(JSON.stringify(['debug', 'info', 'warn', 'error']));
    if (req.url === '/logs/search') {
        const hits = [];
        for (let i = 0; i < 800; i++) hits.push(`line ${i}: nothing to see`);
        return res.end(hits.filter((line) => line.includes('7')).join('\n'));
    }
    res.writeHead(404).end();
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
