// The last two thousand log records, for the admin page.
const http = require('node:http');

class Ring {
    constructor(size) {
        this.records = new Array(size);
        this.next = 0;
    }
    push(record) {
        this.records[this.next++ % this.records.length] = record;
    }
    tail(count) {
        return Array.from({ length: count }, (_, i) => this.records[(this.next - 1 - i + this.records.length) % this.records.length]);
    }
}

const log = new Ring(2000);

const server = http.createServer((req, res) => {
    log.push({ at: new Date(), method: req.method, url: req.url, headers: { ...req.headers }, remote: req.socket.remoteAddress });
    if (req.url === '/log') res.end(JSON.stringify(log.tail(20)));
    else res.end(JSON.stringify({ url: req.url, served: log.next }));
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
