// What the rules have corners for: odd names, colliding classes, WeakMaps, shared stores, strings.
const v8 = require('node:v8');
const keep = globalThis.keep = {};
keep.odd = {'a,b': 1, "it's": 2, 'qu"ote': 3, '{': 4, 'é': 5, '\ud800lone': 6, '😀': 7, '\n\t\u0001': 8, __proto__: {base: 1}};
keep.quoted = Array.from({length: 20}, (_, i) => ({'a,b': i, "it's": {}, 'br{ace': i, 'zü': {deep: i}}));
keep.same = Array.from({length: 50}, (_, i) => ({id: i, name: 'n' + i}));
keep.more = Array.from({length: 40}, (_, i) => ({id: i, name: 'n' + i, extra: {}}));
keep.turned = Array.from({length: 30}, (_, i) => ({name: 'n' + i, id: i}));
keep.long = Array.from({length: 8}, (_, k) => Object.fromEntries(Array.from({length: 60}, (_, i) => ['property_' + i, {k}])));
keep.wide = Object.fromEntries(Array.from({length: 3000}, (_, i) => ['key' + i, {i}]));
keep.Function = new (class Function {})();
keep.Array = new (class Array {})();
keep.Subarray = (class Subarray extends Array {}).from([1, 2, 3]);
keep.Object = new (class Object { constructor() { this.own = {}; } })();
keep.protoless = Object.assign(Object.create(null), {a: 1});
keep.markup = new (class { get [Symbol.toStringTag]() { return '<b class=x>'; } })();
const table = keep.table = new WeakMap(), other = keep.other = new WeakMap(), set = keep.set = new WeakSet();
keep.keys = Array.from({length: 30}, (_, i) => { const k = {k: i}; table.set(k, {v: i, back: k}); if (i % 2) other.set(k, table.get(k)); set.add(k); return k; });
table.set(table, other);
table.set(keep.keys, 'text');
keep.reference = new WeakRef(keep.odd);
keep.registry = new FinalizationRegistry(() => {});
keep.registry.register(keep.same[0], 'gone', keep.same[0]);
keep.shared = [1.5, 2.5, {x: 1}];
keep.view = {store: keep.shared};
keep.arrays = [new ArrayBuffer(4000), new Float64Array(200), new SharedArrayBuffer(64), Buffer.from('text'), new DataView(new ArrayBuffer(8))];
keep.strings = [];
for (let i = 0; i < 200; i++) {
    keep.strings.push(('dup' + i % 7).split('').join('-'));
    keep.strings.push('head' + i + ('tail' + i).repeat(4));
    keep.strings.push(('x'.repeat(60) + i).slice(3, 50));
}
keep.flat = 'left'.repeat(9) + Math.random();
keep.flat.charCodeAt(0); void {}[keep.flat];
keep.misc = [Symbol('s'), 12345678901234567890n, /re(g)?/gi, new Date(0), new Error('e'), (function* () { yield 1; })(), new Proxy({}, {}), async () => {}, new Map([[{}, {}]]), new Set([{}])];
let list = null;
for (let i = 0; i < (process.argv[4] === 'long' ? 200000 : 2000); i++) list = {next: list, i};
keep.list = list;
let nested = keep; // closures that hold variables
keep.closures = Array.from({length: 50}, (_, i) => { let count = {i}; return () => [count, nested]; });
keep.class = class Private { #hidden = {secret: 1}; static all = [new Private(), new Private()]; };
v8.writeHeapSnapshot(process.argv[2]);
keep.same.length = 10;
keep.added = Array.from({length: 60}, (_, i) => ({fresh: i, name: {}}));
keep.more.forEach(m => { delete m.extra; });
keep.turned = keep.turned.map(t => ({...t}));
keep.list = null;
v8.writeHeapSnapshot(process.argv[3]);
process.exit();
