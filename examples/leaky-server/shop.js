'use strict';
// The pages of a small shop. GET /page forgets nobody: it keeps a session for every visitor and
// never drops one. GET /report makes much garbage and keeps none of it. GET /product fills a cache
// that has a bound. GET /health does nothing.

const http = require('node:http');

const PRODUCTS = 5000;
const CACHE_ENTRIES = 1000;

class SessionState {
    constructor(id, agent) {
        this.id = id;
        this.agent = agent;
        this.createdAt = new Date();
        this.basket = [];
        this.preferences = { language: 'en', currency: 'EUR', theme: 'light' };
        this.history = Array.from({ length: 40 }, (_, step) => ({
            step,
            path: `/page?step=${step}`,
        }));
    }
}

class BoundedCache {
    constructor(limit) {
        this.limit = limit;
        this.entries = new Map();
    }

    get(key, make) {
        let value = this.entries.get(key);
        if (value === undefined) {
            value = make(key);
            if (this.entries.size >= this.limit)
                this.entries.delete(this.entries.keys().next().value);
            this.entries.set(key, value);
        }
        return value;
    }
}

const sessionsById = new Map();
const products = new BoundedCache(CACHE_ENTRIES);
let visitors = 0;

function page(request) {
    const id = `visitor-${++visitors}`;
    const session = new SessionState(id, String(request.headers['user-agent'] ?? 'unknown'));
    sessionsById.set(id, session); // the logout that would delete it never comes
    return { session: id, greeting: `Hello, ${id}` };
}

function report() {
    const rows = [];
    for (let i = 0; i < 2000; i++)
        rows.push({
            day: i,
            label: `day ${i}`,
            sold: (i * 7919) % 101,
            tags: ['a', 'b', String(i)],
        });
    const total = rows.filter((row) => row.sold > 50).reduce((sum, row) => sum + row.sold, 0);
    return { rows: rows.length, total };
}

function product(url) {
    const number = Number(url.searchParams.get('id')) % PRODUCTS || 0;
    return products.get(`product-${number}`, (key) => ({
        key,
        name: `Product ${number}`,
        text: 'A fine thing. '.repeat(20) + number,
    }));
}

function answer(request) {
    const url = new URL(request.url, 'http://localhost');
    switch (url.pathname) {
        case '/page':
            return page(request);
        case '/report':
            return report();
        case '/product':
            return product(url);
        case '/health':
            return { ok: true };
        default:
            return undefined;
    }
}

function createServer() {
    return http.createServer((request, response) => {
        const body = answer(request);
        response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body ?? { error: 'no such page' }) + '\n');
    });
}

module.exports = { createServer };
