// The prompt at a terminal, which script(1) gives it: completion, Ctrl-C, what shows above the line
// being typed, the history.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { binary, shop, start, startTarget, until, workspace } from './lib.mjs';

const TAB = '\t';
const CTRL_C = '\x03';
const CTRL_D = '\x04';

function atTerminal(t, ws, target) {
    // libedit forgets the names of functions that were added to it.
    fs.writeFileSync(ws.path('leaks'), 'leak:wcsdup\n');
    const command = `stty cols 100 rows 40; exec ${binary} attach ${target.port} ${ws.own.join(' ')}`;
    const run = start(t, 'script', ['-qfec', command, '/dev/null'], {
        env: { ...ws.env, TERM: 'xterm', LANG: 'C.UTF-8', SHELL: '/bin/sh', PAGER: '', LSAN_OPTIONS: `suppressions=${ws.path('leaks')}:print_suppressions=0` },
        cwd: ws.root,
    });
    let seen = 0;
    run.type = (text) => run.child.stdin.write(text);
    // Waits for something that was not seen before.
    run.sees = async (pattern) => {
        const match = await until(
            () => pattern.exec(run.stdout.slice(seen)),
            () => `${pattern} in ${JSON.stringify(run.stdout.slice(seen))}`
        );
        seen += match.index + match[0].length;
        return match;
    };
    return run;
}

test('words are completed, Ctrl-C ends a command or a line but never the session', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', script: shop.esm });
    const run = atTerminal(t, ws, target);
    await run.sees(/help lists the commands/);
    await run.sees(/server\.mjs> /);
    run.type(`snapsh${TAB}`);
    await run.sees(/ot$/); // the rest of it, where it is missing
    run.type(CTRL_C);
    await run.sees(/\^C[^]*server\.mjs> /);
    run.type(CTRL_C);
    await run.sees(/quit or Ctrl-D leaves/);
    await run.sees(/server\.mjs> /);
    run.type('watch 40 + 2\r');
    await run.sees(/42/);
    run.type(CTRL_C);
    await run.sees(/server\.mjs> /);
    run.type('eval await new Promise(() => {})\r');
    await until(() => /Promise/.test(run.stdout), 'the echo');
    run.type(CTRL_C);
    await run.sees(/not waited for any longer/);
    await run.sees(/server\.mjs> /);
    run.type(`snapshot one\r`);
    await run.sees(/: .*heapsnapshot/);
    run.type('summary --top 1\r');
    await run.sees(/RETAINED[^]*server\.mjs> /);
    run.type(`instances SessionSt${TAB}\r`);
    await run.sees(/live object|no class/);
    run.type(CTRL_D);
    await run.done;
    assert.equal(run.code, 0, run.stdout.slice(-3000));
});

test('the end of the target shows above the line, which is kept, and so is its coming back', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '24' });
    const run = atTerminal(t, ws, target);
    await run.sees(/server\.js> /);
    run.type('eval 40 +');
    await run.sees(/40 \+/);
    target.child.kill('SIGKILL');
    await run.sees(/waiting for it to come back/);
    await run.sees(/eval 40 \+/); // drawn again below it
    const again = await startTarget(t, {
        node: '24',
        inspect: `--inspect=127.0.0.1:${target.port}`,
    });
    await run.sees(/is there in its place/);
    run.type(' 2\r');
    await run.sees(/\n42/);
    assert.ok(!again.over);
    run.type('quit\r');
    await run.done;
    assert.equal(run.code, 0, run.stdout.slice(-3000));
});

test('the history is private, bounded, and has no secrets in it', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const run = atTerminal(t, ws, target);
    await run.sees(/server\.js> /);
    for (const line of ["eval 'kept'", "eval 'password=hunter2'", " eval 'blank'", "eval 'pg' + 'postgres://u:pw@h/d'"]) {
        run.type(`${line}\r`);
        await run.sees(/server\.js> /);
    }
    run.type('quit\r');
    await run.done;
    const file = ws.path('state/heaptap/history');
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(fs.readFileSync(file, 'utf8').trim().split('\n'), ["eval 'kept'", 'quit']);
});
