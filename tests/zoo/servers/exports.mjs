// Exports of tables. A job is told when the process is asked to end, so that it can stop early.
import Fastify from 'fastify';

class ExportJob {
    constructor(table, columns) {
        this.table = table;
        this.columns = columns;
        this.rows = [];
        this.aborted = false;
    }
    abort() {
        this.aborted = true;
    }
    run() {
        for (let i = 0; i < 40 && !this.aborted; i++)
            this.rows.push(this.columns.map((column) => `${column} ${i}`).join(','));
        return this.rows.join('\n');
    }
}

process.setMaxListeners(Infinity);
const app = Fastify();

app.get('/exports/:table', async (request, reply) => {
    const job = new ExportJob(request.params.table, ['id', 'name', 'created']);
    process.once('SIGTERM', () => job.abort());
    reply.type('text/csv');
    return job.run();
});

app.get('/tables', async () => ['orders', 'customers', 'returns'].map((name) => ({ name, rows: name.length * 1000 })));

app.post('/tables/:table/rows', async (request, reply) => {
    reply.code(204);
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
