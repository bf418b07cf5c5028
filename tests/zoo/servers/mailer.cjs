// Mails. A delivery has a logger of its own which also catches what nobody else caught.
const http = require('node:http');
const winston = require('winston');
const { PassThrough } = require('node:stream');

process.setMaxListeners(0);
const archive = new PassThrough();
archive.resume();
archive.setMaxListeners(0);

function deliveryLogger(recipient) {
    return winston.createLogger({
        defaultMeta: { recipient },
        transports: [new winston.transports.Stream({ stream: archive, handleExceptions: true })],
    });
}

const server = http.createServer((req, res) => {
    const { pathname } = new URL(req.url, 'http://localhost');
    const mail = /^\/mails\/([^/]+)$/.exec(pathname);
    if (mail && req.method === 'POST') {
        const logger = deliveryLogger(mail[1]);
        req.resume().on('end', () => {
            logger.info('queued');
            res.writeHead(202).end();
        });
    } else if (pathname === '/templates') {
        const templates = Array.from({ length: 120 }, (_, i) => ({ name: `template-${i}`, subject: `Subject ${i}` }));
        res.setHeader('content-type', 'application/json');
        res.end(JSON.stringify(templates));
    } else {
        res.writeHead(404).end();
    }
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
