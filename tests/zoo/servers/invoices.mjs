// Invoices. Whoever looks into one gets an audit trail in memory that is written to the archive later.
import Fastify from 'fastify';
import winston from 'winston';
import Transport from 'winston-transport';

class AuditTransport extends Transport {
    constructor(invoice) {
        super({ level: 'warn' });
        this.invoice = invoice;
        this.entries = [];
    }
    log(info, done) {
        if (info.invoice === this.invoice) this.entries.push(info.message);
        done();
    }
}

const logger = winston.createLogger({ level: 'info', silent: false, transports: [new AuditTransport('none')] });
logger.setMaxListeners(0);
const app = Fastify();

app.get('/invoices/:id', async (request) => {
    const { id } = request.params;
    logger.add(new AuditTransport(id));
    return { id, lines: Array.from({ length: 8 }, (_, i) => ({ text: `Position ${i}`, net: i * 100 })) };
});

app.get('/vat', async () => {
    logger.info('rates asked for');
    return [{ country: 'DE', rate: 19 }, { country: 'AT', rate: 20 }];
});

await app.listen({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1' });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
