// Reports are written one after the other; the queue was paused for a migration and never started again.
import Koa from 'koa';
import PQueue from 'p-queue';

const writing = new PQueue({ concurrency: 1, autoStart: false });
const app = new Koa();

app.use(async (ctx) => {
    const customer = /^\/customers\/(\d+)\/report$/.exec(ctx.path)?.[1];
    if (!customer) {
        ctx.body = Array.from({ length: 90 }, (_, i) => ({ id: i, kind: `report ${i}` }));
        return;
    }
    const lines = Array.from({ length: 40 }, (_, i) => `line ${i} of customer ${customer}`);
    void writing.add(() => lines.join('\n').length);
    ctx.status = 202;
    ctx.body = { customer, waiting: writing.size };
});

const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
