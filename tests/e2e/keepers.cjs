// Keeps memory in one of many ways: keepers.cjs KIND FOLDER writes four snapshots, 200 entries apart.
'use strict';
const v8 = require('node:v8');
const path = require('node:path');
const { EventEmitter } = require('node:events');
const { PassThrough } = require('node:stream');

class Cart {
    constructor(n) {
        this.n = n;
        this.lines = Array.from({ length: 30 }, (_, k) => ({ k, text: `line ${k} of ${n}` }));
    }
}
class Entry {
    constructor(n, next) {
        this.next = next;
        this.text = new Array(100).fill(n);
    }
}
class Shop {
    #carts = new Map();
    static closed = [];
    open(n) {
        this.#carts.set(`cart-${n}`, new Cart(n));
    }
    close(n) {
        Shop.closed.push(new Cart(n));
    }
}

const cartsById = new Map(), seen = new Set(), byName = {}, handlers = [], blocks = [], pipes = [];
const shop = new Shop(), bus = new EventEmitter(), gate = new Promise(() => {});
const index = new Map(), order = [], recent = [], lru = new Map();
const config = { carts: { open: {} } };
const unanswered = new Map();
const acknowledged = new Map();
exports.trolleys = new Map();
let rows = new Float64Array(1000);
const resolvers = [], screen = new EventTarget(), shelf = {};
let latest = null, transcript = '';
bus.setMaxListeners(0);
process.setMaxListeners(0);
globalThis.trolleyIndex = globalThis.trolleyIndex ?? new Map();

let keepTicket;
if (process.argv.length > 2) { // a block, whose variables a snapshot does not name
    const firstTicket = 0;
    const ticketsSold = new Map();
    keepTicket = (n) => ticketsSold.set(firstTicket + n, new Cart(n));
}

const kinds = {
    block: (n) => keepTicket(n),
    map: (n) => cartsById.set(n, new Cart(n)),
    wrapped: (n) => cartsById.set(n, { at: n, value: new Cart(n) }),
    set: (n) => seen.add(new Cart(n)),
    object: (n) => (byName[`cart-${n}`] = new Cart(n)),
    private: (n) => shop.open(n),
    static: (n) => shop.close(n),
    listener(n) {
        const cart = new Cart(n);
        bus.on('price', function onPrice() { return cart.n; });
    },
    closure(n) {
        const cart = new Array(300).fill(n);
        handlers.push(function later() { return cart.length; });
    },
    timer(n) {
        const cart = new Cart(n);
        setInterval(function refresh() { return cart.n; }, 1e6).unref();
    },
    async promise(n) {
        const cart = new Cart(n);
        await gate;
        return cart.n;
    },
    resolver(n) {
        const cart = new Cart(n);
        new Promise((resolve) => resolvers.push(resolve)).then(function paid() { return cart.n; });
    },
    // An acknowledgement that never comes, and one that came and was not forgotten.
    awaited(n) {
        new Promise((resolve, reject) => unanswered.set(n, { resolve, reject, message: new Cart(n).lines })).then(() => n);
    },
    settled(n) {
        const entry = { message: new Cart(n).lines };
        new Promise((resolve, reject) => Object.assign(entry, { resolve, reject })).then(() => n);
        entry.resolve(n);
        acknowledged.set(n, entry);
    },
    target(n) {
        const cart = new Cart(n);
        screen.addEventListener('paint', function repaint() { return cart.n; });
    },
    onGlobal: (n) => globalThis.trolleyIndex.set(n, new Cart(n)),
    onProcess(n) {
        const cart = new Cart(n);
        process.on('priceOfAll', function onAll() { return cart.n; });
    },
    nested: (n) => (config.carts.open[`cart-${n}`] = new Cart(n)),
    commonjs: (n) => exports.trolleys.set(n, new Cart(n)),
    rows(n) {
        const more = new Float64Array(rows.length + 100);
        more.set(rows);
        rows = more;
    },
    exported: (n) => shelf.exports.shelf.set(n, new Cart(n)),
    default: (n) => shelf.exports.default.push(new Cart(n)),
    buffer: (n) => blocks.push(Buffer.alloc(20000, n)),
    stream(n) {
        const pipe = new PassThrough();
        pipe.write(Buffer.alloc(3000, n));
        pipes.push(pipe);
    },
    list: (n) => (latest = new Entry(n, latest)),
    twice(n) {
        const cart = new Cart(n);
        index.set(n, cart);
        order.push(cart);
    },
    text(n) { // another string each time, in one piece
        transcript = Buffer.from(`${transcript}line ${n} ${'.'.repeat(400)}\n`).toString('latin1');
    },
    // None of these leaks.
    // Each with a time limit: what one snapshot has is gone at the next, which has more of them.
    expiring(i) {
        if (i % 200 === 160) cartsById.clear();
        for (let k = 0; k <= i / 200; k++) cartsById.set(`${i}-${k}`, new Cart(i));
    },
    ring(n) {
        recent.push(new Cart(n));
        if (recent.length > 150) recent.shift();
    },
    bounded(n) {
        lru.set(n, new Cart(n));
        if (lru.size > 100) lru.delete(lru.keys().next().value);
    },
    page: (n) => (transcript = Buffer.alloc(100_000, `page ${n} `).toString('latin1')),
    garbage: (n) => new Cart(n),
};

const [kind, folder] = process.argv.slice(2);
let n = 0;
(async () => {
    if (kind === 'exported' || kind === 'default') shelf.exports = await import('./keepers-shelf.mjs');
    for (let step = 0; step < 4; step++) {
        for (let i = 0; i < (step ? 200 : 160); i++) kinds[kind](n++);
        await new Promise(setImmediate);
        v8.writeHeapSnapshot(path.join(folder, `${step}.heapsnapshot`));
    }
    // All of it is still in use.
    console.log([cartsById, seen, byName, handlers, blocks, pipes, shop, bus, index, order, recent, lru, latest, transcript, config, rows, resolvers, screen, shelf, unanswered, acknowledged].length);
    process.exit(0);
})();
