// Changes to accounts, with a trail that an auditor may ask for.
import Fastify from 'fastify';

class AuditEntry {
    constructor(account, change) {
        this.account = account;
        this.change = change;
        this.at = new Date();
        this.fields = Object.keys(change).map((name) => ({ name, before: null, after: String(change[name]) }));
    }
}

class AuditTrail {
    #entries = [];
    record(account, change) {
        this.#entries.push(new AuditEntry(account, change));
    }
    last() {
        return this.#entries.at(-1);
    }
}

const app = Fastify();
app.decorate('audit', new AuditTrail());

app.patch('/accounts/:id', async (request) => {
    app.audit.record(request.params.id, { name: `Name ${request.params.id}`, city: 'Berlin', ...request.body });
    return { changed: app.audit.last().fields.length };
});

app.get('/accounts/:id', async (request) => ({ id: request.params.id, name: `Name ${request.params.id}`, tags: 'abcdefgh'.split('') }));

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
