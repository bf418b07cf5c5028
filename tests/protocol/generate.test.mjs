// A mistake in protocol/heaptap.protocol is told with its line, and equal schemas give equal C.
// usage: GENERATE=path/to/generate node --test generate.test.mjs
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const generate = process.env.GENERATE;
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-generate-'));
process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));

function run(schema, name = 'x') {
    const file = path.join(dir, `${name}.protocol`);
    if (schema !== null)
        fs.writeFileSync(file, schema);
    const outputs = [path.join(dir, `${name}.h`), path.join(dir, `${name}.c`)];
    const { status, stderr } = spawnSync(generate, [file, ...outputs], { encoding: 'utf8' });
    return { status, stderr: stderr.replaceAll(`${dir}/`, ''), outputs };
}

const mistakes = [
    ['', 'x.protocol:0: says nothing'],
    ['method a\n', 'x.protocol:1: no domain yet'],
    ['domain A\nevnt b\n', 'x.protocol:2: expected domain, type, method, event or returns'],
    ['domain A\nmethod\n', 'x.protocol:2: expected domain'],
    ['domain A\nmethod b c\n', 'x.protocol:2: expected domain'],
    ['domain A B\n', 'x.protocol:1: expected domain'],
    ['domain A.B\n', 'x.protocol:1: "A.B" cannot be the name of a domain'],
    ['domain A\nmethod 9b\n', 'x.protocol:2: "9b" cannot be the name of a method'],
    [`domain A\nmethod ${'b'.repeat(64)}\n`, 'cannot be the name of a method'],
    ['  a string\n', 'x.protocol:1: a field outside of a type, method or event'],
    ['domain A\nmethod b\n  c\n', 'x.protocol:3: a field is NAME TYPE'],
    ['domain A\nmethod b\n  c string d\n', 'x.protocol:3: a field is NAME TYPE'],
    ['domain A\nmethod b\n  c string = d e\n', 'x.protocol:3: a field is NAME TYPE'],
    ['domain A\nmethod b\n  c string\n  c string\n', 'x.protocol:4: field c is already in line 3'],
    ['domain A\nmethod b\n\n# note\nevent b\n', 'x.protocol:5: A.b is already in line 2'],
    ['domain A\nevent b\n  c Missing\n', 'x.protocol:3: no type A.Missing'],
    ['domain A\nevent b\n  c B.Missing[]\n', 'x.protocol:3: no type B.Missing'],
    ['domain A\ntype T\n  t T\n', 'x.protocol:3: type A.T must stand above its use'],
    ['domain A\nevent b\n  t T\ntype T\n  x any\n', 'x.protocol:3: type A.T must stand above'],
    ['domain A\ntype T\n  x any\nmethod b\n  t T\n', 'x.protocol:5: a parameter cannot be a struct'],
    ['domain A\nreturns\n', 'x.protocol:2: "returns" belongs once behind a method'],
    ['domain A\nevent b\nreturns\n', 'x.protocol:3: "returns" belongs once'],
    ['domain A\nmethod b\nreturns\nreturns\n', 'x.protocol:4: "returns" belongs once'],
    ['domain A\nmethod b\n  c boolean = maybe\n', 'x.protocol:3: default of c is neither'],
    ['domain A\nmethod b\n  c integer = 3x\n', 'x.protocol:3: default of c is not a number'],
    ['domain A\nmethod b\n  c string = x\n', 'x.protocol:3: c cannot have a default'],
    ['domain A\nmethod b\n  c? boolean = true\n', 'x.protocol:3: c cannot have a default'],
    ['domain A\nmethod b\n  c boolean[] = true\n', 'x.protocol:3: c cannot have a default'],
    ['domain A\nmethod b -- a */ b\n', 'x.protocol:2: a note cannot contain */'],
    ['domain A\n\tmethod b\n', 'x.protocol:2: a tab'],
    ['domain A\r\n', 'x.protocol:1: a carriage return'],
    [`domain A\n# ${'x'.repeat(600)}\n`, 'x.protocol:2: the line is longer'],
    [`domain A\nmethod b\n${Array.from({ length: 40 }, (_, i) => `  f${i} any\n`).join('')}`,
        'x.protocol:35: more than 32 fields'],
    [`domain A\n${Array.from({ length: 300 }, (_, i) => `method m${i}\n`).join('')}`,
        'x.protocol:258: more than 256 items'],
];

for (const [schema, says] of mistakes)
    test(`"${schema.slice(0, 60).replaceAll('\n', ' | ')}" is refused`, () => {
        const { status, stderr, outputs } = run(schema);
        assert.ok(stderr.includes(says), stderr);
        assert.equal(stderr.trimEnd().split('\n').length, 1);
        assert.equal(status, 1);
        assert.ok(!fs.existsSync(outputs[0]), 'nothing is written of a bad schema');
    });

test('a missing schema is told', () => {
    const { status, stderr } = run(null, 'missing');
    assert.match(stderr, /missing\.protocol: No such file/);
    assert.equal(status, 1);
});

test('the real schema gives the same C each time', () => {
    const here = path.dirname(fileURLToPath(import.meta.url));
    const schema = fs.readFileSync(path.join(here, '../../protocol/heaptap.protocol'), 'utf8');
    const [first, second] = [run(schema, 'first'), run(schema, 'second')];
    assert.equal(first.status, 0, first.stderr);
    for (const i of [0, 1])
        assert.deepEqual(fs.readFileSync(first.outputs[i]), fs.readFileSync(second.outputs[i]));
});
