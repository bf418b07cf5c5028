// The prompt in script mode: every command on real Nodes, JSON, bad input, death of the target.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
    alive,
    assertError,
    assertExit,
    freePort,
    heaptap,
    house,
    jsonLines,
    shop,
    sql,
    startHeaptap,
    startTarget,
    until,
    workspace,
} from './lib.mjs';

const attach = (t, ws, target, args, options) =>
    heaptap(t, ws, ['attach', String(target.port ?? target), ...ws.own, ...args], options);

// Two versions here; prompt-versions (label slow) takes all of them.
for (const node of (process.env.PROMPT_NODE ?? '18,24').split(','))
    test(`a leak is told by hand on Node ${node}: snapshots, diff, retainers, the live objects`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t, { node, script: shop.esm });
        await target.get('/page', 20);
        const script = [
            'gc',
            'snapshot before',
            `eval for (let i = 0; i < 1; i++) require('http').get('${target.url}/page', (r) => r.resume())`,
            "eval await new Promise((done) => setTimeout(done, 300)), 'waited'",
            'instances SessionState',
            'snapshot after',
            'snapshots',
            'diff --class ^SessionState$',
            'summary 2 --class ^SessionState$',
            "retainers --class '^SessionState$'",
            'find --class ^SessionState$ --top 1',
            'Runtime.getHeapUsage',
            'metrics',
        ];
        const run = await attach(t, ws, target, ['--json', '--strict', '-c', script.join('; ')]);
        assertExit(run, 0);
        const answers = jsonLines(run.stdout);
        assert.equal(answers.length, script.length);
        const of = (schema) => answers.filter((a) => a.schema === `heaptap.${schema}/1`);
        assert.equal(of('instances')[0].classes[0].count, 21);
        assert.deepEqual(
            of('snapshot').map((s) => [s.number, s.label, s.state]),
            [
                [1, 'before', 'complete'],
                [2, 'after', 'complete'],
            ]
        );
        assert.equal(of('diff')[0].classes[0].count_delta, 1);
        assert.equal(of('summary')[0].classes[0].count, 21);
        assert.match(JSON.stringify(of('paths')), /sessionsById/);
        assert.ok(answers.some((a) => a.usedSize > 0));
        assert.ok(of('reading')[0].rss > of('reading')[0].heap_used);
        assert.equal(of('snapshots')[0].snapshots.length, 2);
        const rows = sql(ws.db, "SELECT trigger, state FROM heap_snapshots WHERE state = 'complete'");
        assert.deepEqual(
            rows.map((row) => row.trigger),
            ['manual', 'manual']
        );
        assert.equal(sql(ws.db, 'SELECT state FROM runs')[0].state, 'ended');
        const id = of('find')[0].objects?.[0]?.id;
        if (id === undefined) return;
        const live = await attach(t, ws, target, ['-c', `inspect @${id}`]);
        assertError(live, 0, /not to be had/); // another session: ids were reset with the first
    });

// One session that is asked one command after the other: ask(command) gives its JSON.
function session(t, ws, target, args = []) {
    const run = startHeaptap(t, ws, ['attach', String(target.port ?? target), ...ws.own, '--json', ...args]);
    let seen = 0;
    run.ask = async (command) => {
        run.child.stdin.write(`${command}\n`);
        const line = await until(
            () => {
                const end = run.stdout.indexOf('\n', seen);
                if (end < 0 && run.over) assert.fail(`ended in ${command}:\n${run.stderr}`);
                return end < 0 ? null : run.stdout.slice(seen, end);
            },
            () => `an answer to ${command}:\n${run.stderr}`
        );
        seen += line.length + 1;
        return JSON.parse(line);
    };
    run.leave = async () => {
        run.child.stdin.end();
        await run.done;
        assertExit(run, 0);
    };
    return run;
}

test('inspect goes from an id of a snapshot to the live object, its properties, and on', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, {
        node: '24',
        listens: false,
        code: `class Hidden { constructor() { this.name = 'it'; this.inner = { deep: [1, 2n, NaN] }; this.nothing = undefined; }
            get trap() { process.exit(9); } }
            const it = new Hidden();
            Object.defineProperty(it, 'own', { get() { process.exit(8); }, enumerable: true });
            globalThis.kept = new Map([['one', it]]);
            globalThis.many = Array.from({ length: 5000 }, (_, i) => ({ i }));
            globalThis.wide = Object.fromEntries(globalThis.many.map((_, i) => ['key' + i, i]));
            globalThis.set = new Set(globalThis.many);
            setInterval(() => {}, 1000); console.log('up')`,
    });
    await target.printed(/up/, 'stdout');
    const { ask, leave } = session(t, ws, target);
    await ask('snapshot');
    const { objects } = await ask('find --class ^Hidden$');
    const counted = await ask('instances Hidden');
    assert.deepEqual([objects.length, counted.classes[0].count], [1, 1]);
    const { id } = objects[0];
    assert.deepEqual(counted.classes[0].examples, [id]);
    const it = await ask(`inspect @${id}`);
    assert.deepEqual([it.schema, it.class], ['heaptap.inspect/1', 'Hidden']);
    const of = (answer, name) => answer.properties.find((p) => p.name === name);
    assert.equal(of(it, 'name').value, '"it"');
    assert.equal(of(it, 'nothing').value, 'undefined');
    assert.deepEqual([of(it, 'own').type, of(it, 'own').value], ['accessor', '(not called)']);
    // The ids that it names lead on, and so do the names of properties.
    const inner = await ask(`inspect @${of(it, 'inner').id}`);
    assert.equal(of(inner, 'deep').type, 'Array');
    const deep = await ask(`inspect @${id} inner deep`);
    assert.deepEqual(deep.properties.slice(0, 3).map((p) => p.value), ['1', '2n', 'NaN']);
    assert.equal((await ask(`inspect @${id} inner deep 0`)).description, '1');
    const missing = await ask(`inspect @${id} inner shallow`);
    assert.match(missing.error, /no property "shallow"/);
    assert.match((await ask(`inspect @${id} name length`)).error, /no object/);
    assert.match((await ask(`inspect @${id} own`)).error, /own is an accessor/);
    // Names of classes go as they are shown, cut or whole.
    const inBraces = (await ask('summary')).classes.find((c) => /^\{[\w, ]+\}$/.test(c.class)).class;
    for (const [name, shown] of [[inBraces, inBraces], ['(compiled…ode)', '(compiled code)'], ['Hid…n', 'Hidden'], ['^(Hid|Hod)den$', 'Hidden']])
        assert.equal((await ask(`find --class '${name}' --top 1`)).objects[0]?.class, shown);
    // By who holds it: the Map's live entries.
    const { path: way } = await ask(`retainers @${id}`);
    const map = way.find((step) => step.class === 'Map').id;
    const entry = await ask(`inspect @${map} [[Entries]] 0`);
    assert.equal(of(entry, 'value').id, id);
    // Of what is large its beginning is looked at, and its size is told.
    for (const [name, entries] of [['many', 5000], ['wide', 5000], ['set', 5000]]) {
        const number = (await ask(`find --class ^${{ many: 'Array', wide: 'Object', set: 'Set' }[name]}$`)).objects
            .sort((a, b) => b.retained_size - a.retained_size)[0].id;
        const large = await ask(`inspect @${number} --top 3`);
        assert.equal(large.entries, entries, `${name}: ${JSON.stringify(large).slice(0, 300)}`);
        assert.equal(large.properties.length, 3);
    }
    assert.match((await ask('inspect @3')).error, /not to be had/);
    await leave();
    assert.equal(target.over, false, 'a getter was called');
    // Ids end with the session: another client's objects would answer to them.
    const later = session(t, ws, target);
    await later.ask('snapshot');
    const again = (await later.ask('find --class ^Hidden$')).objects[0].id;
    assert.equal((await later.ask(`inspect @${again}`)).class, 'Hidden');
    await later.leave();
});

test('what cannot work is said in one line, and the session goes on', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22' }); // dies of malformed JSON, if it ever gets some
    const cases = [
        ['sumary', /there is no command "sumary", did you mean "summary"/],
        ['summary', /no snapshot yet/],
        ['diff', /no snapshot yet/],
        ['summary 7', /no snapshot yet/],
        ['retainers @1', /no snapshot yet/],
        ['inspect 1x', /no object id/],
        ['inspect @99999999', /not to be had/],
        ['instances NoSuchClass', /there is no class/],
        ['Runtime.evaluate {"expression": "1",}', /no JSON, so they are not sent/],
        ['Runtime.evaluate [1]', /parameters are an object/],
        ['Runtime.evaluate "1"', /parameters are an object/],
        ['Runtime.nothing', /wasn't found/],
        ['HeapProfiler.takeHeapSnapshot', /snapshot takes one/],
        [
            'NodeWorker.sendMessageToWorker {"sessionId": "1", "message": "{\\"id\\": 1,}"}',
            /message is no JSON/,
        ],
        ['eval nope', /ReferenceError: nope is not defined/],
        ['eval while (true) {}', /still running after/],
        ['eval await new Promise(() => {})', /no answer within/],
        ['metrics --nonsense', /no option --nonsense here; see help metrics/],
        ['set nothing 1', /no setting "nothing"/],
        ['set top many', /top/],
        ['timeline stop', /no timeline is being recorded/],
        ['timeline start --stacks', /add --yes/],
        ['requests sideways', /none of on, off and top/],
        ['gc now', /1 word too many/],
        ['sql DELETE FROM runs', /./],
        ['source /no/such/file', /cannot read/],
        ['eval 1 | no-such-program-here', /SyntaxError|not defined/],
        ['gc | no-such-program-here', /no program/],
        ['gc > /no/such/folder/file', /cannot write/],
        ['use 99', /attached to|ECONNREFUSED|99/],
    ];
    const input = `${cases.map(([command]) => command).join('\n')}\neval 'still ' + 'here'\n`;
    const run = await attach(t, ws, target, ['--deadline', '500ms', '--json'], { input });
    assertExit(run, 0);
    const answers = jsonLines(run.stdout);
    const errors = answers.filter((a) => a.schema === 'heaptap.error/1');
    assert.equal(errors.length, cases.length, run.stderr);
    for (const [i, [command, pattern]] of cases.entries())
        assert.match(errors[i].error, pattern, command);
    assert.equal(answers.at(-1).value, 'still here');
    assert.ok(alive(target.pid));
    assert.equal(sql(ws.db, 'SELECT count(*) AS n FROM runs')[0].n, 1);
});

test('quotes and brackets hold a command together, and what is never closed is named', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const input = [
        '# a remark',
        "eval 'a;b' + \"c|d\"; eval `e",
        'f`.length',
        'eval [1, 2, 3].map((n) => {',
        '    const twice = 2 * n; return twice;',
        "}).join('>')",
        'eval (2 > 1) || 0',
        "eval 'open",
        "eval 'next'",
        'eval (',
        "eval 'last' + {",
    ].join('\n');
    const run = await attach(t, ws, target, ['--json'], { input });
    const answers = jsonLines(run.stdout);
    assert.deepEqual(
        answers.map((a) => a.value ?? a.error),
        [
            'a;bc|d',
            3,
            '2>4>6',
            true,
            'the quote \' at column 6 of "eval \'open" is never closed',
            'next',
            'the bracket ( at column 6 of "eval (" is never closed',
            'the bracket { at column 15 of "eval \'last\' + {" is never closed',
        ]
    );
});

test('output goes to files and programs, whole and without escape codes', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '26' }); // the quickest with 100 MB
    const big = ws.path('big');
    const run = await attach(
        t,
        ws,
        target,
        [
            '-c',
            `eval 'x'.repeat(1e8) > ${big}; snapshot; summary --class '\u001b' | cat; summary > ${ws.path('s')}; summary --top 1 >> ${ws.path('s')}; statistics | grep -c total`,
        ],
        { env: { TERM: 'xterm' } }
    );
    assertExit(run, 0);
    assert.equal(fs.statSync(big).size, 1e8 + 1);
    assert.equal(fs.readFileSync(ws.path('s'), 'utf8').match(/^CLASS/gm).length, 2);
    assert.match(run.stdout, /^1$/m);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(run.stdout, /\x1b/);
});

test('a class with a hostile name cannot command the terminal', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, {
        listens: false,
        code: `const C = { ['\\x1b]0;owned\\x07Evil']: class {} }['\\x1b]0;owned\\x07Evil'];
            globalThis.kept = [new C(), new C()]; setInterval(() => {}, 1000); console.log('up')`,
    });
    await target.printed(/up/, 'stdout');
    const run = await attach(t, ws, target, [
        '-c',
        "snapshot; summary --class Evil; find --class Evil; instances '\u001b]0;owned\u0007Evil'; retainers --class Evil",
    ]);
    assertExit(run, 0);
    assert.match(run.stdout, /\\x1b\]0;owned\\x07Evil/);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(run.stdout + run.stderr, /[\x1b\x07]/);
});

test('--strict ends with the first failure and its exit code; without it the session is what counts', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const strict = await attach(t, ws, target, ['--strict', '-c', 'eval 1; nothing; eval 2']);
    assertExit(strict, 2);
    assert.equal(strict.stdout, '1\n');
    const file = ws.path('script');
    fs.writeFileSync(file, 'eval 1\nsummary /no/such.heapsnapshot\neval 2\n');
    assertExit(await attach(t, ws, target, ['--strict', '-f', file]), 4);
    assertExit(await attach(t, ws, target, ['-f', file]), 0);
    assertExit(await attach(t, ws, target, ['-f', file, '-c', 'gc']), 2);
    assertError(await attach(t, ws, await freePort(), ['-c', 'gc']), 3, /127\.0\.0\.1/);
    assertExit(await attach(t, ws, target, ['--timeout', '1s', '-c', 'watch 1']), 124);
});

test('the death of the target in a command ends a script with 3', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    // Not within the evaluation itself: Node 22 then spins in its exit now and then (docs/prompt.md).
    // The timer holds the promise: one that nothing holds may be collected, which is an answer, too.
    const death = 'eval await new Promise((done) => setTimeout(() => done(process.exit(5)), 100))';
    const run = await attach(t, ws, target, ['-c', `${death}; eval 1; eval 2`]);
    assertExit(run, 3);
    assert.doesNotMatch(run.stdout, /[12]/);
    await until(() => target.over, 'the target to end');
    assert.equal(target.code, 5);
});

test('several targets, and their workers, are in use by number', async (t) => {
    const ws = workspace(t);
    const one = await startTarget(t, { node: '20' });
    const two = await startTarget(t, { node: '26' });
    const run = await attach(t, ws, one, [
        '--json',
        '-c',
        `eval process.version; use ${two.port}; eval process.version; use 1; eval process.version; targets`,
    ]);
    assertExit(run, 0);
    const answers = jsonLines(run.stdout);
    assert.match(answers[0].value, /^v20/);
    assert.match(answers[2].value, /^v26/);
    assert.match(answers[4].value, /^v20/);
    assert.deepEqual(
        answers[5].targets.map((row) => [row.number, row.pid, row.state]),
        [
            [1, one.pid, 'in use'],
            [2, two.pid, 'attached'],
        ]
    );
});

test('recordings, requests, set and the record work together', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22', script: shop.esm });
    const hit = `eval await Promise.all(Array.from({length: 40}, () => new Promise((d) => require('http').get('${target.url}/page', (r) => r.resume().on('end', d))))), 1`;
    const run = await attach(t, ws, target, [
        '--json',
        '--strict',
        '-c',
        [
            'set top 3',
            'timeline start',
            hit,
            'timeline stop',
            'requests on',
            hit,
            'eval await new Promise((d) => setTimeout(d, 4000)), 1',
            'requests top',
            'requests off',
            'requests on',
            'survivors --duration 300ms --sample-every 1KB',
            'watch --times=3 --every=10ms 1 + 1',
            'metrics --watch --times 2 --every 10ms',
            'sql SELECT count(*) AS n FROM memory_metrics',
            'help',
        ].join('; '),
    ]);
    assertExit(run, 0);
    const answers = jsonLines(run.stdout);
    const of = (schema) => answers.filter((a) => a.schema === `heaptap.${schema}/1`);
    assert.deepEqual(
        of('allocations').map((a) => a.kind),
        ['timeline', 'sampling']
    );
    const top = of('requests').find((a) => a.requests);
    assert.equal(top.requests.routes.find((route) => route.route === '/page').requests, 40);
    assert.ok(of('sql')[0].rows[0].n > 80);
    assert.equal(of('reading').length, 2);
    const manual = fs.readFileSync(path.join(house, 'docs/prompt.md'), 'utf8');
    for (const { name, json } of of('help')[0].commands) {
        assert.ok(manual.includes(`\`${name}`), `the manual does not tell of ${name}`);
        if (json) assert.ok(manual.includes(json), `the manual does not tell of ${json}`);
    }
});

test('leaving takes everything back: nothing of the prompt stays in the target', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '22' });
    const run = await attach(t, ws, target, [
        '--json',
        '-c',
        'eval ({big: new Array(1e6).fill({})}); Runtime.enable; Debugger.enable; HeapProfiler.startSampling; eval globalThis.left = 1; quit; eval globalThis.left = 2',
    ]);
    assertExit(run, 0);
    const after = await attach(t, ws, target, [
        '--json',
        '-c',
        'eval globalThis.left; gc; HeapProfiler.getSamplingProfile',
    ]);
    const [left, gc, profile] = jsonLines(after.stdout);
    assert.equal(left.value, 1);
    assert.ok(gc.after < 16e6, `${gc.after} bytes stayed`);
    assert.match(profile.error, /not started|not running|was not/i);
});

test("the manual's examples do what it says", async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '24', script: shop.esm });
    await target.get('/page', 30);
    const manual = fs.readFileSync(path.join(house, 'docs/prompt.md'), 'utf8');
    const blocks = [...manual.matchAll(/^```prompt\n([\s\S]*?)^```$/gm)].map((match) => match[1]);
    assert.ok(blocks.length >= 5);
    const file = ws.path('manual');
    fs.writeFileSync(file, blocks.join('\n'));
    const run = await attach(t, ws, target, ['--strict', '-f', file]);
    assertExit(run, 0);
});
