// An HTTP server with sessions, caches and closures, before and after some requests.
const http = require('node:http'), v8 = require('node:v8');
const sessions = new Map(), secrets = new WeakMap(), events = new (require('node:events'))();
class Session {
    constructor(id) {
        this.id = id;
        this.user = {name: 'user' + id, roles: ['reader', 'writer'], settings: {theme: 'dark', size: id % 7}};
        this.buffer = Buffer.alloc(100 + id);
        this.onEnd = () => sessions.delete(id);
        secrets.set(this, {token: 'secret' + id, owner: this.user});
        events.on('end', this.onEnd);
    }
}
events.setMaxListeners(0);
let id = 0;
const server = http.createServer((request, response) => {
    sessions.set(++id, new Session(id));
    response.end(JSON.stringify({id}));
});
const get = port => new Promise((done, fail) => http.get({port, agent: false}, r => r.resume().on('end', done)).on('error', fail));
globalThis.kept = {sessions, secrets, events, server};
server.listen(0, '127.0.0.1', async () => {
    const {port} = server.address(), count = process.argv[4] === 'long' ? 400 : 40;
    for (let i = 0; i < count; i++) await get(port);
    v8.writeHeapSnapshot(process.argv[2]);
    for (let i = 0; i < count; i++) await get(port);
    for (let i = 1; i <= count / 4; i++) sessions.delete(i);
    v8.writeHeapSnapshot(process.argv[3]);
    process.exit();
});
