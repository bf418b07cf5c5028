// The shop as an ES module: node --inspect=127.0.0.1:0 server.mjs [PORT]

import shop from './shop.js';

const server = shop.createServer();
server.listen(Number(process.argv[2] ?? process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`shop listening on http://127.0.0.1:${server.address().port}`);
});
