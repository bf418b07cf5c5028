// Routes for the tests of probe: probe-server.cjs [leak]. With leak, /cart keeps 5 KB a request and
// /tenth keeps 5 KB every tenth request. /text makes garbage, /json answers an object, /items takes a
// body, /broken answers 500, /never does not answer, /exit ends the process after the answer.
const http = require('node:http');

const leak = process.argv.includes('leak');
const KEPT = 5120;
// A flat string of Latin-1 takes a byte a character.
const text = (n) => Buffer.alloc(KEPT, 65 + (n % 26)).toString('latin1');
class CartEntry {
    constructor(n) {
        this.text = text(n);
    }
}
class AuditRecord {
    constructor(n) {
        this.text = text(n);
    }
}
const carts = [];
const audit = [];
let tenths = 0;
let received = '';

const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname === '/cart') {
        if (leak) carts.push(new CartEntry(carts.length));
        response.end('cart');
    } else if (pathname === '/tenth') {
        if (leak && tenths++ % 10 === 0) audit.push(new AuditRecord(audit.length));
        response.end('tenth');
    } else if (pathname === '/text') {
        response.end(Array.from({ length: 2000 }, (_, i) => `line ${i}`).join('\n'));
    } else if (pathname === '/json') {
        response.setHeader('content-type', 'application/json');
        response.end(
            JSON.stringify({ at: Date.now(), list: Array.from({ length: 100 }, (_, i) => i) })
        );
    } else if (pathname === '/items' && request.method === 'POST') {
        let body = '';
        request.setEncoding('utf8').on('data', (part) => (body += part));
        request.on('end', () => {
            received = `${request.headers['content-type']} ${request.headers['x-probe']} ${body}`;
            response.writeHead(201).end();
        });
    } else if (pathname === '/received') {
        response.end(received);
    } else if (pathname === '/broken') {
        response.writeHead(500).end('broken');
    } else if (pathname === '/exit') {
        response.end('bye', () => process.exit(1));
    } else if (pathname !== '/never') {
        response.writeHead(404).end();
    }
});
server.listen(0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
