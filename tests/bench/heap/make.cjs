// Makes a snapshot to measure with: make.cjs KIND SIZE OUT. KIND tree: nested records as a compiler
// or a document store keeps them, with maps, arrays, strings and closures (six edges a node). KIND
// small: many small objects in one Map (three edges a node). KIND pages: a cache of rendered pages, each
// a text of 1000 bytes. KIND list: one list SIZE deep. SIZE counts thousands of records.
const v8 = require('node:v8');
const [kind, size, out] = process.argv.slice(2);
const count = size * 1000;
class Node {
    constructor(id, parent) {
        this.id = id;
        this.kind = id % 400;
        this.flags = id & 0xffff;
        this.parent = parent;
        this.symbol = parent && parent.symbol;
        this.pos = id * 3;
        this.end = id * 3 + 2;
        this.children = undefined;
        this.locals = undefined;
        this.next = undefined;
        this.original = undefined;
    }
}
const symbols = Array.from({length: 5000}, (_, i) => ({name: 'symbol' + i, declarations: [], members: new Map([['m' + i, {i}]])}));
function tree() {
    const root = new Node(0, null), all = [root];
    let last = root;
    for (let id = 1; id < count; id++) {
        const parent = all[Math.max(0, id - 1 - (id * 2654435761 % 97) % Math.min(id, 60))], node = new Node(id, parent);
        (parent.children ??= []).push(node);
        node.symbol = symbols[id % symbols.length];
        if (id % 10 === 0) node.symbol.declarations.push(node);
        if (id % 5 === 0) node.text = 'identifier' + id % 20000;
        if (id % 50 === 0) node.locals = new Map([['a' + id, node], ['b', parent]]);
        if (id % 100 === 0) node.check = () => node.symbol;
        node.original = all[id * 7919 % id];
        last.next = node;
        last = node;
        all.push(node);
    }
    return {root, all};
}
function small() {
    const map = new Map();
    for (let i = 0; i < count; i++) map.set('k' + i, {id: i, name: 'name' + i % 1000, tags: ['a', i % 7, 'c'], meta: {}});
    return map;
}
function pages() {
    const cache = new Map();
    for (let i = 0; i < count; i++) {
        const url = '/products/' + i, body = Buffer.alloc(1000, `<li><a href="${url}">Product ${i}</a></li>\n`).toString('latin1');
        cache.set(url, {url, at: i, body});
    }
    return cache;
}
function list() {
    let head = null;
    for (let i = 0; i < count; i++) head = {next: head, i};
    return head;
}
globalThis.kept = {tree, small, pages, list}[kind]();
v8.writeHeapSnapshot(out);
process.exit();
