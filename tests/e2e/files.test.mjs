// What a person meets who asks snapshot files the wrong way: no dead ends, no silence, the exit codes of docs/run.md.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import test from 'node:test';
import { assertError, assertExit, heaptap, runtime, workspace } from './lib.mjs';

const program = `
const v8 = require('v8');
class Basket { constructor(n) { this.items = [n]; } }
globalThis.baskets = [];
for (let i = 0; i < 2; i++) {
    for (let n = 0; n < 100; n++) baskets.push(new Basket(n));
    v8.writeHeapSnapshot(process.argv[i + 1]);
}`;

function snapshots(ws) {
    const files = [ws.path('1.heapsnapshot'), ws.path('2.heapsnapshot')];
    execFileSync(runtime('22'), ['-e', program, ...files], { stdio: 'pipe' });
    return files;
}

test('an empty answer says that it is one, and a cut one how to see the rest', async (t) => {
    const ws = workspace(t);
    const [old, now] = snapshots(ws);
    const ask = async (...words) => {
        const run = await heaptap(t, ws, words);
        assertExit(run, 0);
        return run.stdout;
    };
    assert.match(await ask('find', '--class', 'NoSuch', now), /\nno object of this snapshot/);
    assert.match(await ask('summary', '--class', 'NoSuch', now), /\nno class of this snapshot/);
    assert.match(await ask('diff', old, old), /\nnothing of that came or went\n$/);
    assert.match(await ask('diff', '--class', 'NoSuch', old, old, now), /\nno class of these/);
    assert.match(await ask('diff', '--top', '1', old, old, now), /\n… and \d+ more; --top N shows them\n$/);
    assert.match(await ask('strings', '--longest', '--top', '1', now), /\n… and [\d,]+ more; --top N shows them\n$/);
    assert.match(await ask('retainers', '--class', '.', '--top', '1', now), /\n… and [\d,]+ more; --top N shows them\n/);
    assert.match(await ask('dominators', now), /\n… and what is smaller or deeper; --share and --depth show it\n$/);
    assert.doesNotMatch(await ask('dominators', '--share', '0%', '--depth', '1', '--csv', now), /…/);
    assert.match(await ask('diff', '--class', '^Basket$', old, now), /^Basket .* \+\d[\d.]* K?B$/m);
    assert.doesNotMatch(await ask('find', '--class', 'NoSuch', '--csv', now), /no object/);
});

test('a kind of objects that does not exist is refused with those that do', async (t) => {
    const ws = workspace(t);
    const [, now] = snapshots(ws);
    assertError(await heaptap(t, ws, ['summary', '--kind', 'closures', now]), 2, /closures: is none of .*closure.*object shape/);
    assertExit(await heaptap(t, ws, ['summary', '--kind', 'closure', now]), 0);
});

test('what is no capture is called so, and not broken JSON', async (t) => {
    const ws = workspace(t);
    const files = {
        picture: Buffer.from('\x89PNG\r\n\x1a\n and so on', 'latin1'),
        page: '<!doctype html>',
        database: 'SQLite format 3\0 and so on',
        empty: '',
    };
    for (const [name, bytes] of Object.entries(files)) fs.writeFileSync(ws.path(name), bytes);
    for (const command of ['summary', 'statistics', 'diagnose', 'allocations']) {
        const no = command === 'allocations' ? /this is no sampling profile/ : /this is no heap snapshot/;
        assertError(await heaptap(t, ws, [command, ws.path('picture')]), 6, no);
        assertError(await heaptap(t, ws, [command, ws.path('page')]), 6, no);
        assertError(await heaptap(t, ws, [command, ws.path('empty')]), 6, /the file is empty/);
        assertError(await heaptap(t, ws, [command, ws.path('none')]), 4, /No such file/);
        assertError(await heaptap(t, ws, [command, ws.dir]), 4, /directory|folder/);
    }
    assertError(await heaptap(t, ws, ['summary', ws.path('database')]), 6, /SQLite database/);
    assertError(await heaptap(t, ws, ['metrics', 'latest', '--db', `sqlite:${ws.dir}`]), 5, /that is a folder/);
});
