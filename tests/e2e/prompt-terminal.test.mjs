// The prompt at a terminal, which script(1) gives it: completion, Ctrl-C, what shows above the line
// being typed, the history.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { binary, shop, start, startTarget, until, workspace } from './lib.mjs';

const TAB = '\t';
const CTRL_C = '\x03';
const CTRL_D = '\x04';

function atTerminal(t, ws, target, { columns = 100, commands } = {}) {
    // libedit forgets the names of functions that were added to it.
    fs.writeFileSync(ws.path('leaks'), 'leak:wcsdup\n');
    const given = commands ? `-c "$COMMANDS"` : '';
    const command = `stty cols ${columns} rows 40; exec ${binary} attach ${target.port} ${ws.own.join(' ')} ${given}`;
    const run = start(t, 'script', ['-qfec', command, '/dev/null'], {
        env: { ...ws.env, TERM: 'xterm', LANG: 'C.UTF-8', SHELL: '/bin/sh', PAGER: '', COMMANDS: commands, LSAN_OPTIONS: `suppressions=${ws.path('leaks')}:print_suppressions=0` },
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
    await target.get('/page', 3);
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
    run.type('find --class ^SessionState$ --top 1; find --class ^Map$ --top 1\r');
    const [, map] = await run.sees(/Map +@(\d+)[^]*server\.mjs> /);
    run.type(`inspect @${map.slice(0, -1)}${TAB}`); // ids that any command has shown
    run.type('\r');
    await run.sees(new RegExp(`@${map}\\S*  Map`));
    await run.sees(/server\.mjs> /);
    run.type(`HeapProfiler.startSampl${TAB}{"sampl${TAB}`);
    await run.sees(/Interval": /);
    run.type(CTRL_C);
    await run.sees(/server\.mjs> /);
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
    const secrets = [
        "eval 'password=hunter2'",
        " eval 'blank'",
        "eval 'pg' + 'postgres://u:pw@h/d'",
        "eval 'eyJhbGciOiJIUzI1NiJ9.e30.x'",
        "eval 'ghp_16C7e42F292c6912E7710c838347Ae178B4a'",
        "eval ['Authorization', 1]",
    ];
    for (const line of ["eval 'kept'", ...secrets]) {
        run.type(`${line}\r`);
        await run.sees(/server\.js> /);
    }
    run.type('quit\r');
    await run.done;
    const file = ws.path('state/heaptap/history');
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(fs.readFileSync(file, 'utf8').trim().split('\n'), ["eval 'kept'", 'quit']);
});

test('nothing that is shown is wider than the terminal', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '24', script: shop.esm });
    await target.get('/page', 10);
    const commands = ['help', ...['survivors', 'metrics', 'sql', 'HeapProfiler.startSampling', 'terminate'].map((word) => `help ${word}`),
        'targets', 'metrics', 'snapshot a-rather-long-label', 'snapshots', 'summary --top 5', 'dominators --top 5', 'strings --top 5',
        'find --class ^SessionState$ --top 2', 'retainers --class ^SessionState$', 'statistics', 'diff 1 1 --objects --top 2',
        'sql SELECT run_id, target_id, created_at, label, heap_used, heap_total, external, rss, gc_count, gc_ms FROM memory_metrics LIMIT 2',
        'metrics latest --top 1', 'set', 'requests on', 'requests top'];
    const run = atTerminal(t, ws, target, { columns: 80, commands: commands.join('; ') });
    await run.done;
    assert.equal(run.code, 0, run.stdout.slice(-3000));
    const plain = run.stdout.replaceAll(/\x1b\[[0-9;]*[A-Za-z]/g, '').split(/[\r\n]+/);
    const wide = plain.filter((line) => [...line].length > 80 && !/^ {3,}\S*\/\S*$|^\d+: \/|^heaptap/.test(line)); // a path of a file stands whole
    assert.deepEqual(wide, []);
    assert.match(run.stdout, /sessionsById/); // the holder, where the middle would be
    assert.match(plain.join('\n'), /^heap_total +[\d.]+$/m); // a row of many columns in lines of its own
});

test('Ctrl-D ends an empty line only, Ctrl-C what is open or runs, and a wait for the target shows', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '24' });
    const run = atTerminal(t, ws, target);
    await run.sees(/server\.js> /);
    run.type(`eval 40 + 2${CTRL_D}`);
    run.type('\r');
    await run.sees(/\n42/);
    run.type('eval [\r');
    await run.sees(/\.\.\. /);
    run.type(CTRL_C);
    await run.sees(/server\.js> /);
    run.type('survivors --duration 60s\r');
    await run.sees(/Ctrl-C ends it early/);
    run.type(CTRL_C);
    await run.sees(/(FUNCTION|nothing that was sampled)[^]*server\.js> /);
    // Another debugger pauses the target: no collection comes to an end then.
    const socket = new WebSocket(target.ws);
    const paused = new Promise((resolve) => (socket.onmessage = (m) => m.data.includes('Debugger.paused') && resolve()));
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    socket.send('{"id":1,"method":"Debugger.enable"}');
    socket.send('{"id":2,"method":"Debugger.pause"}');
    await paused;
    run.type('gc\r');
    await run.sees(/waiting for the target/);
    run.type(CTRL_C);
    await run.sees(/ended by Ctrl-C[^]*server\.js> /);
    socket.close(); // the target goes on
    run.type('eval await 43\r');
    await run.sees(/\n43/);
    run.type(CTRL_D);
    await run.done;
    assert.equal(run.code, 0, run.stdout.slice(-3000));
});
