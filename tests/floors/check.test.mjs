// Shows that every rule of check.mjs bites: each test plants one violation in a small tree.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { check } from './check.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

function tree(t, files) {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-floors-'));
    t.after(() => fs.rmSync(root, { recursive: true }));
    const all = {
        'CMakeLists.txt': 'heaptap_room(base m)\nheaptap_room(cdp base)\n',
        'src/base/err.h': '/* Errors. */\n#ifndef E\n#define E\nint err_get(void);\n#endif\n',
        'src/base/err.c': '/* Errors. */\n#include "base/err.h"\n\n#include <stdio.h>\n',
        'src/cdp/loop.c': '/* The loop. */\n#include <libwebsockets.h>\n#include "base/err.h"\n',
        ...files,
    };
    for (const [name, text] of Object.entries(all)) {
        fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
        fs.writeFileSync(path.join(root, name), text);
    }
    return root;
}

function violation(name, files, pattern) {
    test(name, (t) => {
        const { found } = check(tree(t, files), { headers: true });
        assert.equal(found.length, 1, found.join('\n'));
        assert.match(found[0], pattern);
    });
}

test('a tidy tree has no violation', (t) => {
    assert.deepEqual(check(tree(t, {}), { headers: true }).found, []);
});

violation(
    'an include upward is found',
    { 'src/base/text.c': '/* Text. */\n#include "cdp/conn.h"\n' },
    /^src\/base\/text\.c:2: base \(floor 0\) includes upward from cdp/
);
violation(
    'an include sideways is found',
    { 'src/store/db.c': '/* Db. */\n#include "cdp/conn.h"\n' },
    /:2: store includes sideways from cdp/
);
violation(
    'an include without its room is found',
    { 'src/base/text.c': '/* Text. */\n#include "err.h"\n' },
    /without its room/
);
violation(
    'an include of an unknown room is found',
    { 'src/base/text.c': '/* Text. */\n#include "attic/err.h"\n' },
    /no such room/
);
violation(
    'a folder without a floor is found',
    { 'src/attic/box.c': '/* A box. */\n' },
    /in no room/
);
violation(
    'a third-party header in a foreign room is found',
    { 'src/collect/run.c': '/* Run. */\n#include <sqlite3.h>\n' },
    /belongs to store alone/
);
violation(
    'a second file with the same third-party header is found',
    { 'src/cdp/name.c': '/* Names. */\n#include <libwebsockets.h>\n' },
    /one module each/
);
violation(
    'a third-party header that nobody named is found',
    { 'src/base/text.c': '/* Text. */\n#include <glib.h>\n' },
    /does not know/
);
violation(
    'a link sideways is found',
    {
        'CMakeLists.txt': 'heaptap_room(base m)\nheaptap_room(cdp base store)\n',
    },
    /CMakeLists\.txt:2: cdp \(floor 1\) links store \(floor 1\)/
);
violation(
    'a link upward over two lines is found',
    {
        'CMakeLists.txt': 'heaptap_room(base m\n  command)\n',
    },
    /CMakeLists\.txt:1: base \(floor 0\) links command/
);
violation(
    'a header that needs another one first is found',
    { 'src/base/buf.h': '/* Buffers. */\nstruct buf {\n    size_t len;\n};\n' },
    /src\/base\/buf\.h:1: does not stand alone/
);
violation(
    'a header without a guard is found',
    { 'src/base/buf.h': '/* Buffers. */\nstruct buf {\n    int len;\n};\n' },
    /does not stand alone/
);
violation(
    'a file that does not say its job is found',
    { 'src/base/text.c': '#include <stdio.h>\n' },
    /does not begin with a sentence/
);
violation(
    'a file that is too long is found',
    { 'src/base/text.c': '/* Text. */\n' + '\n'.repeat(800) + 'int x;\n' },
    /has 802 lines/
);
violation(
    'a function that is too long is found',
    { 'src/base/text.c': '/* Text. */\nvoid f(void)\n{\n' + '    ;\n'.repeat(101) + '}\n' },
    /:3: a function of 102 lines/
);
violation(
    'a struct behind a typedef is found',
    { 'src/base/text.c': '/* Text. */\ntypedef struct {\n    int x;\n} text;\n' },
    /typedef/
);
violation(
    'an own header that is not the first is found',
    {
        'src/base/err.c': '/* Errors. */\n#include <stdio.h>\n#include "base/err.h"\n',
    },
    /own header first/
);

test('the command line fails on a violation and on an empty tree', (t) => {
    const run = (root) => spawnSync(process.execPath, [path.join(here, 'check.mjs'), root]).status;
    assert.equal(run(tree(t, {})), 0);
    assert.equal(run(tree(t, { 'src/base/text.c': 'int x;\n' })), 1);
    const empty = fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-floors-'));
    t.after(() => fs.rmSync(empty, { recursive: true }));
    fs.writeFileSync(path.join(empty, 'CMakeLists.txt'), '');
    assert.equal(run(empty), 1);
});

test('scripts/format --check fails on a badly formatted file', (t) => {
    const root = tree(t, { 'src/base/err.c': '/* Errors. */\n#include "base/err.h"\n' });
    const house = path.resolve(here, '../..');
    fs.mkdirSync(path.join(root, 'scripts'));
    fs.copyFileSync(path.join(house, 'scripts/format'), path.join(root, 'scripts/format'));
    fs.copyFileSync(path.join(house, '.clang-format'), path.join(root, '.clang-format'));
    execFileSync('git', ['init', '-q', root]);
    const run = () =>
        spawnSync(path.join(root, 'scripts/format'), ['--check'], { encoding: 'utf8' });
    assert.equal(run().status, 0, run().stderr);
    fs.writeFileSync(path.join(root, 'src/base/err.c'), '/* Errors. */\nint  x ;\n');
    const second = run();
    assert.notEqual(second.status, 0);
    assert.match(second.stderr, /src\/base\/err\.c:2/);
});
