'use strict';
// The shop as a CommonJS program: node --inspect=127.0.0.1:0 server.js [PORT]

const { createServer } = require('./shop.js');

const server = createServer();
server.listen(Number(process.argv[2] ?? process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`shop listening on http://127.0.0.1:${server.address().port}`);
});
