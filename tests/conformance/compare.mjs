// Compares heaptap's engine with DevTools' own code, node by node, class by class, row by row:
//
//   compare.mjs --dump HEAP_DUMP --heaptap HEAPTAP --bundle DEVTOOLS.mjs --work FOLDER
//               [--runtime NODE]... [--chromium PROGRAM] [--deno PROGRAM] [--file SNAPSHOT]... [--pair OLD NEW]... [--long]
//               [--random COUNT] [--seed FIRST]
//
// With runtimes it takes snapshots on the spot: of programs/*.cjs, each in two states. Exit code 1
// if anything differs.
import fs from 'node:fs';
import {execFileSync, spawn} from 'node:child_process';
import {basename, join, resolve} from 'node:path';
import {write} from './random.mjs';
import {open, classKey, classes, comparison, retainers, tops} from './devtools.mjs';

const o = {runtime: [], file: [], pair: []};
for (let i = 2; i < process.argv.length; i++) {
    const name = process.argv[i].slice(2);
    if (name === 'long') o.long = true;
    else if (name === 'pair') o.pair.push([process.argv[++i], process.argv[++i]]);
    else if (Array.isArray(o[name])) o[name].push(process.argv[++i]);
    else o[name] = process.argv[++i];
}
const bundle = resolve(o.bundle);
const RECORD = 28;
let differences = 0, compared = 0;
const differ = (...what) => { if (++differences <= 40) console.log('DIFFERENT', ...what.map(x => typeof x === 'string' ? x : JSON.stringify(x))); };
const heaptap = (...args) => JSON.parse(execFileSync(o.heaptap, args, {maxBuffer: 1 << 30}));
const equal = (a, b, fields) => fields.every(f => a[f] === b[f]);

// Two classes inside may have one public key; DevTools then shows the one that appears later in the
// file and loses the other. heaptap lists both: one of them must be equal.
function compareClasses(file, want, have, fields = ['class', 'count', 'distance', 'self_size', 'retained_size']) {
    const byKey = new Map();
    for (const k of have) byKey.set(k.key, [...byKey.get(k.key) ?? [], k]);
    for (const w of want) {
        const found = byKey.get(w.key);
        if (!found?.some(k => equal(w, k, fields))) differ(file, 'class', w, found);
        byKey.delete(w.key);
    }
    for (const [key, k] of byKey) differ(file, 'class that DevTools does not have', key, k);
}

function compareNodes(file, s, dump) {
    const records = fs.readFileSync(dump.path), node = s.createNode(0);
    if (records.length !== s.nodeCount * RECORD) return differ(file, 'nodes', s.nodeCount, records.length / RECORD);
    for (let i = 0; i < s.nodeCount; i++) {
        node.nodeIndex = i * s.nodeFieldCount;
        const at = i * RECORD, self = node.selfSize();
        const want = {id: node.id(), self, retained: node.retainedSize(), dominator: s.dominatorsTree[i], distance: node.distance(),
            key: self ? classKey(s, node) : ''};
        const have = {id: records.readUInt32LE(at), self: records.readUInt32LE(at + 4), retained: records.readDoubleLE(at + 8),
            dominator: records.readUInt32LE(at + 16), distance: records.readInt32LE(at + 20),
            key: self ? dump.classes[records.readUInt32LE(at + 24)]?.key : ''};
        for (const f in want) if (want[f] !== have[f]) differ(file, `node ${i}`, f, want[f], have[f], node.type(), node.name().slice(0, 60));
        compared++;
    }
}

function compareStatistics(file, s, have) {
    const d = s.getStatistics();
    const want = {total: d.total, native_total: d.native.total, typed_arrays: d.native.typedArrays, v8_total: d.v8heap.total,
        code: d.v8heap.code, js_arrays: d.v8heap.jsArrays, strings: d.v8heap.strings, system: d.v8heap.system};
    for (const f in want) if (want[f] !== have[f]) differ(file, 'statistics', f, want[f], have[f]);
}

// Retainers and names of a sample of nodes, in the pane's order.
function compareRetainers(file, s, Model, sample) {
    const step = Math.max(1, s.nodeCount / sample | 0), ordinals = [];
    for (let i = 7; i < s.nodeCount; i += step) ordinals.push(i);
    const lines = execFileSync(o.dump, ['retainers', file], {input: ordinals.join('\n'), maxBuffer: 1 << 30}).toString().split('\n');
    const node = s.createNode(0);
    ordinals.forEach((ordinal, k) => {
        const have = JSON.parse(lines[k]);
        node.nodeIndex = ordinal * s.nodeFieldCount;
        if (have.name !== node.name()) differ(file, `name of node ${ordinal}`, node.name(), have.name);
        const want = retainers(s, Model, ordinal);
        if (want.join() !== have.retainers.join()) differ(file, `retainers of node ${ordinal}`, want.slice(0, 8), have.retainers.slice(0, 8));
        compared++;
    });
}

const filters = {contexts: 'objectsRetainedByContexts', 'detached-dom': 'objectsRetainedByDetachedDomNodes',
    'event-handlers': 'objectsRetainedByEventHandlers', console: 'objectsRetainedByConsole', duplicates: 'duplicatedStrings'};

// Native contexts: which there are, what is attributed to each, and the classes of the largest.
function compareRealms(file, s) {
    const have = heaptap('statistics', '--json', file), d = s.getNativeContextSizes();
    const want = d.nativeContexts.map(c => ({id: c.nodeId, name: c.nodeName, attributed_size: c.attributedSize,
        retained_size: c.retainedSize, self_size: c.selfSize}));
    if (JSON.stringify(want) !== JSON.stringify(have.native_contexts)) differ(file, 'native contexts', want, have.native_contexts);
    if (d.sharedSize !== have.shared_context_size || d.noAttributionSize !== have.no_context_size)
        differ(file, 'sizes of no or several native contexts', d.sharedSize, d.noAttributionSize, have.shared_context_size, have.no_context_size);
    const only = [['shared-native-context', 'sharedNativeContext'], ['no-native-context', 'noNativeContext'],
        ...d.nativeContexts.slice(0, 2).map(c => [`native-context=@${c.nodeId}`, `nativeContext_${c.nodeIndex}`])];
    for (const [word, name] of only)
        compareClasses(`${file} --only ${word}`, classes(s, {filterName: name}), heaptap('summary', '--json', '--only', word, file).classes);
}

function compareStrings(file, s) {
    const want = s.getDuplicateStrings().map(g => [g.count, g.totalSelfSize, g.totalRetainedSize].join()).sort();
    const have = heaptap('strings', '--json', file).strings.map(g => [g.count, g.self_size, g.retained_size].join()).sort();
    if (want.join(' ') !== have.join(' ')) differ(file, 'duplicate strings', want.length, have.length);
}

async function compareFile(file) {
    const path = join(o.work, 'nodes.bin'), before = differences;
    const dump = {...JSON.parse(execFileSync(o.dump, ['nodes', file, path], {maxBuffer: 1 << 30})), path};
    const {snapshot: s, Model} = await open(bundle, file);
    compareNodes(file, s, dump);
    const summary = heaptap('summary', '--json', file);
    compareStatistics(file, s, summary.statistics);
    compareClasses(file, classes(s), summary.classes);
    compareRetainers(file, s, Model, o.long ? 20000 : 1000);
    compareStrings(file, s);
    compareRealms(file, s);
    for (const [word, name] of Object.entries(filters))
        if (o.long || word === 'contexts')
            compareClasses(`${file} --only ${word}`, classes(s, {filterName: name}), heaptap('summary', '--json', '--only', word, file).classes);
    console.log(`${basename(file)}: ${s.nodeCount} nodes, ${summary.classes.length} classes, ${differences - before} differences`);
    return s;
}

// Of a timeline: the bytes of each interval, the functions of its stacks with their callers, and the
// classes of some intervals, as the panel shows them for a selection.
function compareTimeline(file, s) {
    const samples = s.getSamples(), have = heaptap('allocations', '--json', file), before = differences;
    const want = samples.timestamps.map((t, i) => [t, samples.lastAssignedIds[i], samples.sizes[i]].join());
    const intervals = have.intervals.map(i => [i.end_ms, i.last_object_id, i.live_bytes].join());
    if (want.join(' ') !== intervals.join(' ')) differ(file, 'intervals', want.slice(0, 5), intervals.slice(0, 5));
    const key = n => JSON.stringify([n.depth, n.function, n.url, n.line, n.column, n.count, n.bytes, n.live_count, n.live_bytes]);
    const depth = 6, trees = [];
    for (const n of heaptap('allocations', '--json', '--view', 'bottom-up', '--depth', `${depth}`, file).nodes) {
        if (n.depth === 0) trees.push([]);
        trees.at(-1).push(key(n));
    }
    // The order of siblings is by live bytes here and by appearance there: each level as a set.
    const mine = trees.map(t => t.sort().join('\n')).sort();
    const theirs = tops(s, depth).map(n => [n, ...n.callers].map(key).sort().join('\n')).sort();
    mine.forEach((tree, i) => { if (tree !== theirs[i]) differ(file, 'callers of a function', theirs[i]?.slice(0, 300), tree.slice(0, 300)); });
    if (mine.length !== theirs.length || !mine.length) differ(file, 'functions that allocate', theirs.length, mine.length);
    const flat = heaptap('allocations', '--json', '--view', 'flat', file).nodes.map(key).sort();
    if (flat.join() !== tops(s, 0).map(key).sort().join()) differ(file, 'functions', flat.length);
    const last = samples.timestamps.length - 1;
    for (const [from, to] of [[0, 0], [1, last], [last >> 1, last >> 1], [last >> 2, last >> 1]]) {
        const span = heaptap('allocations', '--json', '--interval', `${from}..${to}`, file);
        const filter = {minNodeId: from ? samples.lastAssignedIds[from - 1] : 0, maxNodeId: samples.lastAssignedIds[to]};
        compareClasses(`${file} intervals ${from}..${to}`, classes(s, filter).map(({distance, ...k}) => k),
            span.classes, ['class', 'count', 'self_size', 'retained_size']);
    }
    console.log(`${basename(file)}: ${want.length} intervals, ${theirs.length} functions, ${differences - before} differences`);
}

// Recorded on the spot by heaptap, of a program that keeps a part of what it makes.
async function recordTimeline(runtime, file) {
    const target = spawn(runtime, ['--inspect=127.0.0.1:0', new URL('programs/allocator.js', import.meta.url).pathname],
        {stdio: ['ignore', 'ignore', 'pipe']});
    try {
        const port = await new Promise((resolve, reject) => {
            let text = '';
            target.stderr.on('data', d => { const found = (text += d).match(/ws:\/\/127\.0\.0\.1:(\d+)/); if (found) resolve(found[1]); });
            target.on('exit', () => reject(new Error(`${runtime} ended: ${text}`)));
        });
        execFileSync(o.heaptap, ['timeline', port, '--quiet', '--stacks', '--yes', '--force', '--duration', '1s', '-o', file, '--json',
            '--db', `sqlite:${o.work}/timelines.db`], {stdio: ['ignore', 'ignore', 'inherit']});
    } finally {
        target.removeAllListeners('exit');
        target.kill();
    }
}

function compareDiff(old, now, a, b) {
    const fields = ['added_count', 'removed_count', 'count_delta', 'added_size', 'removed_size', 'size_delta'];
    const have = new Map(heaptap('diff', '--json', old, now).classes.map(d => [d.key, d])), want = comparison(a, b);
    const lost = new Set(); // keys with two classes: DevTools compares only one of them
    for (const file of [old, now]) {
        const seen = new Set();
        for (const k of heaptap('summary', '--json', file).classes) { if (seen.has(k.key)) lost.add(k.key); seen.add(k.key); }
    }
    for (const w of want) {
        if (!lost.has(w.key) && !(have.has(w.key) && equal(w, have.get(w.key), fields))) differ('diff', old, now, w, have.get(w.key));
        have.delete(w.key);
    }
    for (const d of have.values()) if (!lost.has(d.key)) differ('diff', old, now, 'row that DevTools does not have', d);
    console.log(`diff ${basename(old)} ${basename(now)}: ${want.length} rows`);
}

async function comparePair(old, now) {
    const a = await compareFile(old), b = await compareFile(now);
    compareDiff(old, now, a, b);
}

for (const runtime of o.runtime) {
    const version = execFileSync(runtime, ['-p', 'process.version']).toString().trim();
    for (const program of fs.readdirSync(new URL('programs/', import.meta.url)).filter(f => f.endsWith('.cjs'))) {
        const [old, now] = ['a', 'b'].map(x => join(o.work, `${basename(program, '.cjs')}-${version}-${x}.heapsnapshot`));
        execFileSync(runtime, [new URL('programs/' + program, import.meta.url).pathname, old, now, o.long ? 'long' : 'quick'], {stdio: 'inherit'});
        await comparePair(old, now);
        fs.rmSync(old);
        fs.rmSync(now);
    }
}
for (const runtime of o.runtime) {
    const version = execFileSync(runtime, ['-p', 'process.version']).toString().trim(), file = join(o.work, `${version}.heaptimeline`);
    await recordTimeline(runtime, file);
    compareTimeline(file, await compareFile(file));
    fs.rmSync(file);
}
for (let seed = Number(o.seed ?? 1), end = seed + Number(o.random ?? 0); seed < end; seed++) {
    const [old, now] = ['a', 'b'].map(x => join(o.work, `random-${seed}-${x}.heapsnapshot`));
    write(2 * seed, old);
    write(2 * seed + 1, now);
    await comparePair(old, now);
}
for (const program of o.deno ? ['corners', 'server'] : []) { // the third needs what Deno does not have
    const [old, now] = ['a', 'b'].map(x => join(o.work, `${program}-deno-${x}.heapsnapshot`));
    execFileSync(o.deno, ['run', '-A', new URL(`programs/${program}.cjs`, import.meta.url).pathname, old, now, 'long'], {stdio: 'inherit'});
    await comparePair(old, now);
}
if (o.chromium) {
    const [old, now] = ['a', 'b'].map(x => join(o.work, `chromium-${x}.heapsnapshot`));
    execFileSync(process.execPath, [new URL('chromium.mjs', import.meta.url).pathname, o.chromium, old, now], {stdio: 'inherit'});
    await comparePair(old, now);
}
for (const file of o.file) {
    const s = await compareFile(file);
    if (file.endsWith('.heaptimeline')) compareTimeline(file, s);
}
for (const [old, now] of o.pair) await comparePair(old, now);
console.log(`${compared} comparisons of nodes, ${differences} differences`);
process.exit(differences || !compared ? 1 : 0);
