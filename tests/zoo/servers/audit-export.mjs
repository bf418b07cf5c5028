// Exports go to the client page by page, and all of them to the audit log beside it.
import express from 'express';
import { Readable, Writable } from 'node:stream';

const auditLog = new Writable({
    objectMode: true,
    write(record, encoding, done) {
        this.records = (this.records ?? 0) + 1;
        done();
    },
});
auditLog.setMaxListeners(0);

class ExportStream extends Readable {
    constructor(customer) {
        super({ objectMode: true, highWaterMark: 4 });
        this.customer = customer;
        this.row = 0;
    }
    _read() {
        this.push({ customer: this.customer, row: this.row++, text: 'exported' });
    }
}

const app = express();

app.get('/customers/:id/export', (req, res) => {
    const rows = new ExportStream(req.params.id);
    const page = [];
    rows.pipe(auditLog, { end: false });
    rows.on('data', (row) => {
        page.push(row);
        if (page.length === 5) {
            rows.pause();
            res.json(page);
        }
    });
});

app.get('/customers', (req, res) => {
    res.json(Array.from({ length: 150 }, (_, id) => ({ id, name: `Customer ${id}`, since: 2000 + (id % 24) })));
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
