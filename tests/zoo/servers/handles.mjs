// Documents stay in memory as long as somebody uses them.
import { createServer } from 'node:http';

class OpenDocument {
    constructor(id) {
        this.id = id;
        this.text = `document ${id} `.repeat(50);
    }
}

const byId = new Map();

function open(id) {
    let document = byId.get(id)?.deref();
    if (!document) {
        document = new OpenDocument(id);
        byId.set(id, new WeakRef(document));
    }
    return document;
}

const server = createServer((req, res) => {
    const id = /^\/documents\/(.+)$/.exec(req.url)?.[1];
    if (id) res.end(open(`workspace/shared/${id}`).text);
    else res.end(JSON.stringify(Array.from({ length: 220 }, (_, i) => ({ id: i, title: `Document ${i}` }))));
});

server.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
