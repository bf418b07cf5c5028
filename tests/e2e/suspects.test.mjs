// Who holds what has grown: a program keeps memory in one of many ways, and its snapshots alone must
// name the class, the holder and its variable.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { assertExit, heaptap, here, runtime, workspace } from './lib.mjs';

const program = path.join(here, 'keepers.cjs');
const shelf = path.join(here, 'keepers-shelf.mjs');
const lineOf = (text, file = program) =>
    fs.readFileSync(file, 'utf8').split('\n').findIndex((line) => line.includes(text)) + 1;

async function diagnose(t, node, kind) {
    const ws = workspace(t);
    execFileSync(runtime(node), [program, kind, ws.dir], { stdio: 'pipe' });
    const files = [0, 1, 2, 3].map((i) => path.join(ws.dir, `${i}.heapsnapshot`));
    const run = await heaptap(t, ws, ['diagnose', '--json', ...files]);
    assertExit(run, 0);
    return JSON.parse(run.stdout);
}

// kind: class, class of the holder, its name (or what its text says), culprit
const leaks = {
    map: ['Cart', 'Map', 'cartsById', 'cache'],
    wrapped: ['Cart', 'Map', 'cartsById', 'cache'],
    set: ['Cart', 'Set', 'seen', 'cache'],
    object: ['Cart', 'Object', 'byName', 'cache'],
    private: ['Cart', 'Map', '#carts', 'cache'],
    static: ['Cart', 'Array', 'closed', 'cache'],
    listener: ['Function', 'Array', 'price', 'event-listener', 'onPrice'],
    closure: ['Function', 'Array', 'handlers', 'closure', 'later'],
    timer: ['Timeout', 'TimersList', null, 'timer', 'refresh'],
    promise: ['Promise', 'Promise', 'gate', 'promise', 'promise'],
    resolver: ['Promise', 'Array', 'resolvers', 'promise', 'paid'],
    awaited: ['{resolve, reject, message}', 'Map', 'unanswered', 'promise'],
    settled: ['{message, resolve, reject}', 'Map', 'acknowledged', 'cache'],
    target: ['Function', 'EventTarget', 'paint', 'event-listener', 'repaint'],
    onGlobal: ['Cart', 'Map', 'trolleyIndex', 'cache'],
    onProcess: ['Function', 'Array', 'priceOfAll', 'event-listener', 'onAll'],
    block: ['Cart', 'Map', 'ticketsSold', 'cache'],
    nested: ['Cart', 'Object', 'open', 'cache'],
    commonjs: ['Cart', 'Map', 'trolleys', 'cache'],
    exported: ['Cart', 'Map', 'shelf', 'cache'],
    default: ['Cart', 'Array', 'drawer', 'cache'],
    buffer: ['Buffer', 'Array', 'blocks', 'buffer'],
    stream: ['PassThrough', 'Array', 'pipes', 'stream'],
    list: ['Entry', 'Entry', 'latest', null],
    twice: ['Cart', /^(Map|Array)$/, /^(index|order)$/, null],
};

// Where the holder is declared, if not by its name.
const declarations = { price: 'bus = new EventEmitter', paint: 'screen = new EventTarget', open: 'config = ',
    priceOfAll: "process.on('priceOfAll" };

function assertSuspect(answer, [name, holder, variable, culprit, callback]) {
    const [s] = answer.suspects;
    const said = JSON.stringify(answer.suspects.slice(0, 2));
    assert.equal(answer.verdict, 'leak', said);
    assert.equal(s.class, name, said);
    assert.match(s.holder.class, holder instanceof RegExp ? holder : new RegExp(`^${holder}$`), said);
    if (variable) assert.match(s.holder.name, variable instanceof RegExp ? variable : new RegExp(`^${variable}$`), said);
    if (typeof variable === 'string') {
        const file = ['shelf', 'drawer'].includes(variable) ? shelf : program;
        assert.equal(s.holder.location.url.replace('file://', ''), file, said);
        assert.equal(s.holder.location.line, lineOf(declarations[variable] ?? `${variable} = `, file), said);
    }
    if (culprit) assert.equal(s.culprit, culprit, said);
    if (callback) {
        assert.equal(s.function.name, callback, said);
        assert.equal(s.function.url, program, said);
        assert.equal(s.function.line, lineOf(`${callback === 'promise' ? 'async' : 'function'} ${callback}(`), said);
    }
    assert.ok(s.bytes.share_of_growth > 0.7, said);
    assert.ok(s.instances.growth > 550 && s.instances.growth < 650, said);
    assert.equal(answer.suspects.length, 1, said);
}

for (const node of ['18', '20', '22', '24', '26'])
    test(`Node ${node}: a Map's entries are named with their class and its variable`, async (t) => {
        assertSuspect(await diagnose(t, node, 'map'), leaks.map);
    });

for (const [kind, wanted] of Object.entries(leaks))
    test(`who holds it: ${kind}`, async (t) => {
        assertSuspect(await diagnose(t, '24', kind), wanted);
    });

test('of two collections that hold the same objects the other one is named, too', async (t) => {
    const [{ holder }] = (await diagnose(t, '22', 'twice')).suspects;
    const other = holder.name === 'index' ? 'order' : 'index';
    assert.deepEqual(holder.also.map(({ name, class: of, location }) => [name, of, location.line]),
        [[other, other === 'index' ? 'Map' : 'Array', lineOf(`${other} = `)]]);
});

// Its own constructor stands in the program, and its name says nothing.
test('a class that extends one of a package is known by it', async (t) => {
    const ws = workspace(t);
    fs.mkdirSync(ws.path('node_modules/winston-transport'), { recursive: true });
    fs.writeFileSync(ws.path('node_modules/winston-transport/index.js'), 'module.exports = class a { level = "info" };');
    const file = ws.path('app.cjs');
    fs.writeFileSync(file, `class b extends require('winston-transport') { lines = new Array(300).fill(1); }
        const kept = [];
        const keep = (step) => {
            for (let i = 0; i < 200; i++) kept.push(new b());
            require('node:v8').writeHeapSnapshot(process.argv[2] + '/' + step + '.heapsnapshot');
            if (step < 2) setImmediate(keep, step + 1);
        };
        keep(0);`);
    execFileSync(runtime('24'), [file, ws.dir], { stdio: 'pipe' });
    const files = [0, 1, 2].map((i) => path.join(ws.dir, `${i}.heapsnapshot`));
    const run = await heaptap(t, ws, ['diagnose', '--json', ...files]);
    assertExit(run, 0);
    const [s] = JSON.parse(run.stdout).suspects;
    assert.deepEqual([s.class, s.holder.name, s.culprit], ['b', 'kept', 'winston-logger']);
});

// Of a string that becomes longer each snapshot has another one, of a typed array, too.
for (const [kind, name, least] of [['text', 'transcript', 240_000], ['rows', 'rows', 480_000]])
    test(`who holds it: ${kind} that become longer`, async (t) => {
        const answer = await diagnose(t, '24', kind);
        const said = JSON.stringify(answer.suspects);
        assert.equal(answer.verdict, 'leak', said);
        assert.equal(answer.suspects.length, 1, said);
        assert.equal(answer.suspects[0].holder.name, name, said);
        assert.ok(answer.suspects[0].bytes.retained_growth >= least && answer.suspects[0].bytes.share_of_growth > 0.6, said);
    });

for (const kind of ['ring', 'bounded', 'page', 'garbage', 'expiring'])
    test(`nobody is accused of a ${kind}`, async (t) => {
        const answer = await diagnose(t, '24', kind);
        assert.notEqual(answer.verdict, 'leak');
        assert.notEqual(answer.verdict, 'growth');
        assert.deepEqual(answer.suspects, []);
    });

test('one snapshot shows what is large, and says that it is no growth', async (t) => {
    const ws = workspace(t);
    execFileSync(runtime('24'), [program, 'map', ws.dir], { stdio: 'pipe' });
    const run = await heaptap(t, ws, ['diagnose', '--json', path.join(ws.dir, '3.heapsnapshot')]);
    assertExit(run, 0);
    const answer = JSON.parse(run.stdout);
    assert.equal(answer.verdict, 'inconclusive');
    assert.equal(answer.evidence.supports, 'size');
    assert.ok(answer.suspects.some((s) => s.class === 'Cart' && s.holder.name === 'cartsById'), run.stdout);
    assert.ok(answer.suspects.every((s) => s.confidence < 0.5 && s.grown === false));
    const words = await heaptap(t, ws, ['diagnose', path.join(ws.dir, '3.heapsnapshot')]);
    assert.match(words.stdout, /^  large +Cart.*: [\d,]+ objects?, [\d.]+ [KM]B retained, \d+ % of the heap/m);
    assert.doesNotMatch(words.stdout, /then|more,|of the growth|advice/);
});

test('snapshots of two processes are not compared by id', async (t) => {
    const a = workspace(t), b = workspace(t), c = workspace(t);
    for (const [ws, kind] of [[a, 'map'], [b, 'set'], [c, 'private']])
        execFileSync(runtime('24'), [program, kind, ws.dir], { stdio: 'pipe' });
    const run = await heaptap(t, a, ['diagnose', '--json', ...[a, b, c].map((ws) => path.join(ws.dir, '3.heapsnapshot'))]);
    assertExit(run, 0);
    const answer = JSON.parse(run.stdout);
    assert.ok(answer.suspects.every((s) => s.confidence < 0.5), run.stdout);
});
