// Reports for tenants, each with its own application name in the database's log.
const express = require('express');
const { Pool } = require('pg');

const app = express();
const pools = new Map();

function poolFor(tenant, request) {
    const key = `${tenant}:${request}`;
    if (!pools.has(key)) {
        pools.set(key, new Pool({
            connectionString: process.env.DATABASE_URL,
            application_name: key,
            max: 2,
            idleTimeoutMillis: 50,
        }));
    }
    return pools.get(key);
}

let requests = 0;
app.get('/tenants/:tenant/invoices', async (req, res, next) => {
    try {
        const pool = poolFor(req.params.tenant, req.get('x-request-id') ?? ++requests);
        const { rows } = await pool.query('SELECT id, customer, total FROM invoices');
        res.json(rows);
    } catch (error) {
        next(error);
    }
});

app.get('/currencies', (req, res) => {
    res.json(['EUR', 'USD', 'CHF', 'SEK'].map((code, i) => ({ code, rate: 1 + i / 10 })));
});

const server = app.listen(process.env.PORT ?? 0, '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
