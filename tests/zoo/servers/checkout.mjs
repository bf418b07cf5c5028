// Reservations: stock is given back if a checkout has not been paid within a day.
import { Hono } from 'hono';
import { serve } from '@hono/node-server';

class Reservation {
    constructor(sku, count) {
        this.sku = sku;
        this.count = count;
        this.created = new Date();
        this.notes = [`reserved ${count} of ${sku} at ${this.created.toISOString()}`];
        this.address = { street: '', city: '', country: 'DE', lines: new Array(6).fill('') };
    }
    release() {
        this.notes.push('released');
    }
}

const app = new Hono();

app.post('/checkout/:sku', async (c) => {
    const { count = 1 } = await c.req.json();
    const reservation = new Reservation(c.req.param('sku'), count);
    setTimeout(() => reservation.release(), 24 * 3600 * 1000).unref();
    return c.json({ sku: reservation.sku, until: reservation.created.getTime() + 86_400_000 }, 201);
});

app.get('/carriers', (c) => c.json(Array.from({ length: 70 }, (_, i) => ({ id: i, name: `Carrier ${i}`, days: i % 6 }))));

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 0), hostname: '127.0.0.1' }, (info) => {
    console.log(`listening on http://127.0.0.1:${info.port}`);
});
