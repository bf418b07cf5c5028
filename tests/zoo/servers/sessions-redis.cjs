// Signed-in users. A session talks to Redis over its own connection, with its own key prefix.
const Redis = require('ioredis');
const Koa = require('koa');

const app = new Koa();
const connections = new Map();
let signIns = 0;

function connectionOf(session) {
    let redis = connections.get(session);
    if (!redis) {
        redis = new Redis(process.env.REDIS_URL, { keyPrefix: `session:${session}:`, lazyConnect: true, maxRetriesPerRequest: 1 });
        connections.set(session, redis);
    }
    return redis;
}

app.use(async (ctx) => {
    if (ctx.path === '/me') {
        const session = ctx.get('authorization') || `guest-${++signIns}`;
        const redis = connectionOf(session);
        const name = await redis.get('name');
        redis.disconnect();
        ctx.body = { session, name };
    } else if (ctx.path === '/languages') {
        ctx.body = Array.from({ length: 60 }, (_, i) => ({ code: i.toString(36), name: `Language ${i}` }));
    }
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
