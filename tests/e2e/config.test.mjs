// Where settings come from, what bad ones are answered with, and that help and version keep working.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { assertError, assertExit, binary, heaptap, start, workspace } from './lib.mjs';

async function setting(t, ws, name, args = [], env = {}) {
    const run = await heaptap(t, ws, ['config', 'show', '--json', ...args], { env });
    assertExit(run, 0);
    return JSON.parse(run.stdout).settings.find((entry) => entry.name === name);
}

function configFile(ws, text) {
    const file = path.join(ws.env.XDG_CONFIG_HOME, 'heaptap/config');
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    return file;
}

test('an option wins over the environment, that over the file, that over the default', async (t) => {
    const ws = workspace(t);
    const name = 'metrics-interval';
    let entry = await setting(t, ws, name);
    assert.deepEqual([entry.value, entry.source], ['10s', 'default']);
    const file = configFile(ws, '# a comment\nmetrics-interval = 7s\n');
    entry = await setting(t, ws, name);
    assert.equal(entry.value, '7s');
    assert.ok(entry.source.includes(file), entry.source);
    entry = await setting(t, ws, name, [], { HEAPTAP_METRICS_INTERVAL: '5s' });
    assert.equal(entry.value, '5s');
    assert.match(entry.source, /environment HEAPTAP_METRICS_INTERVAL/);
    entry = await setting(t, ws, name, ['--metrics-interval', '3s'], {
        HEAPTAP_METRICS_INTERVAL: '5s',
    });
    assert.deepEqual([entry.value, entry.source], ['3s', 'option']);
});

test("the guide's variables are heard by their exact names", async (t) => {
    const ws = workspace(t);
    let entry = await setting(t, ws, 'snapshot-interval', [], { HEAP_SNAPSHOT_INTERVAL: '60000' });
    assert.match(entry.source, /HEAP_SNAPSHOT_INTERVAL/);
    assert.equal(entry.value, '60000');
    for (const [value, want] of [
        ['false', /^(false|0|no|off)$/],
        ['0', /^(false|0|no|off)$/],
        ['off', /^(false|0|no|off)$/],
        ['yes', /^(true|1|yes|on)$/],
    ]) {
        entry = await setting(t, ws, 'snapshots', [], { ENABLE_HEAP_SNAPSHOTS: value });
        assert.match(entry.value, want);
        assert.match(entry.source, /ENABLE_HEAP_SNAPSHOTS/);
    }
    const db = { DATABASE_URL: 'postgres://u@127.0.0.1/none' };
    entry = await setting(t, ws, 'dir', [], { HEAPTAP_DIR: '/var/tmp', ...db });
    assert.equal(entry.value, '/var/tmp');
});

test('config show has units, and says of which command a setting is where two have that name', async (t) => {
    const ws = workspace(t);
    for (const [value, want] of [['30000', '30s'], ['1500', '1500ms'], ['2m', '2m']]) {
        const run = await heaptap(t, ws, ['config', 'show'], { env: { HEAP_SNAPSHOT_INTERVAL: value } });
        assertExit(run, 0);
        assert.match(run.stdout, new RegExp(`^snapshot-interval +${want} +environment HEAP_SNAPSHOT_INTERVAL$`, 'm'));
        assert.match(run.stdout, /^snapshots \(run\) +true +default$/m);
        assert.match(run.stdout, /^snapshots \(probe\) +3 +default$/m);
    }
    assertError(
        await heaptap(t, ws, ['config', 'show'], { env: { HEAP_SNAPSHOT_INTERVAL: 'abc' } }),
        2,
        /snapshot-interval \(environment HEAP_SNAPSHOT_INTERVAL\): "abc" is no number of milliseconds, such as 30000/
    );
});

test('a bad value is refused with its name, its place and exit code 2, wherever it stands', async (t) => {
    const ws = workspace(t);
    for (const value of [
        '60',
        '1.5',
        'soon',
        '',
        '-5s',
        '0s',
        '99999999999999999999s',
        '1h30',
        'NaN',
        'inf',
        '1e3s',
        '\u0001s',
    ])
        assertError(await heaptap(t, ws, ['config', 'show', '--duration', value]), 2, /duration/);
    for (const value of ['', 'big', '-1MB', '10QB', '99999999999999999999GB', '0x10'])
        assertError(await heaptap(t, ws, ['config', 'show', '--min-free', value]), 2, /min-free/);
    for (const value of ['', '200%', '1.5', '-0.1', 'half', 'NaN'])
        assertError(
            await heaptap(t, ws, ['config', 'show', '--max-pause-share', value]),
            2,
            /max-pause-share/
        );
    for (const value of ['0', '-4', '1.5', '5s 3', '99999999999999999999'])
        assertError(
            await heaptap(t, ws, ['config', 'show'], { env: { HEAP_SNAPSHOT_INTERVAL: value } }),
            2,
            /HEAP_SNAPSHOT_INTERVAL/
        );
    assertError(
        await heaptap(t, ws, ['config', 'show'], { env: { ENABLE_HEAP_SNAPSHOTS: 'maybe' } }),
        2,
        /ENABLE_HEAP_SNAPSHOTS/
    );
    const file = configFile(ws, 'dir = /tmp\nduration = tomorrow\n');
    const run = await heaptap(t, ws, ['config', 'show']);
    assertError(run, 2, /duration/);
    assert.ok(run.stderr.includes(`${file}:2`), run.stderr);
});

test('a broken configuration file is named with its line', async (t) => {
    const ws = workspace(t);
    for (const [text, line] of [
        ['nonsense\n', 1],
        ['\n\nno-such-setting = 1\n', 3],
        [`dir = ${'x'.repeat(100_000)}\n`, 1],
        ['dir = /tmp\n\0\0\0\n', 2],
    ]) {
        const file = configFile(ws, text);
        const run = await heaptap(t, ws, ['config', 'show']);
        assertError(run, 2);
        assert.ok(
            run.stderr.includes(`${file}:${line}`),
            `${JSON.stringify(text.slice(0, 20))}: ${run.stderr}`
        );
    }
    fs.rmSync(path.join(ws.env.XDG_CONFIG_HOME, 'heaptap/config'));
    assertError(await heaptap(t, ws, ['config', 'show', '--config', ws.path('none')]), 2, /none/);
});

test('config show never prints a password', async (t) => {
    const ws = workspace(t);
    for (const db of [
        'postgres://me:hunter2@db/app',
        'postgresql://me:hunter2@db/app?sslmode=require',
        'postgres://db/app?user=me&password=hunter2',
        'postgres://me:open@db/app?sslpassword=hunter2',
        'host=db user=me password=hunter2',
        "host=db password = 'hunter2' user=me",
        'host=db PASSWORD=hunter2',
        'postgres://me:a@hunter2@db/app',
        'postgres://me:a/hunter2@db/app',
    ])
        for (const json of [[], ['--json']]) {
            const run = await heaptap(t, ws, ['config', 'show', '--db', db, ...json]);
            assert.ok(
                !(run.stdout + run.stderr).includes('hunter2'),
                `${db}:\n${run.stdout}${run.stderr}`
            );
        }
});

test('config show never prints what is sent with requests: headers, bodies, queries', async (t) => {
    const ws = workspace(t);
    const file = configFile(
        ws,
        'header = Authorization: Bearer hunter2\nbody = {"pin": "hunter2"}\nrequest = POST http://me:hunter2@shop/pay?card=hunter2 {"pin": "hunter2"}\nbase = http://me:hunter2@shop\n'
    );
    const asVariables = {
        HEAPTAP_HEADER: 'X-Api-Key: hunter2',
        HEAPTAP_BODY: 'hunter2',
        HEAPTAP_REQUEST: 'http://shop/pay?card=hunter2',
    };
    const asOptions = ['--header', 'Cookie: id=hunter2', '--header', 'X-Id: hunter2', '--body', 'hunter2', '--request', 'PUT /x hunter2 hunter2'];
    for (const [args, env] of [[[], {}], [[], asVariables], [asOptions, {}]])
        for (const json of [[], ['--json']]) {
            const run = await heaptap(t, ws, ['config', 'show', ...args, ...json], { env });
            assertExit(run, 0);
            assert.ok(!run.stdout.includes('hunter2'), run.stdout);
        }
    assert.equal((await setting(t, ws, 'header', asOptions)).value, 'Cookie: ***, X-Id: ***');
    assert.equal((await setting(t, ws, 'request')).value, 'POST http://me:***@shop/pay?*** ***');
    assert.equal((await setting(t, ws, 'base')).value, 'http://me:***@shop');
    assert.ok((await setting(t, ws, 'body')).source.includes(file));
});

test('what run, attach and probe take can be shown by config, too', async (t) => {
    const ws = workspace(t);
    const config = await heaptap(t, ws, ['config', '--help']);
    for (const command of ['run', 'attach', 'probe']) {
        const page = await heaptap(t, ws, [command, '--help']);
        const options = [...page.stdout.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)].map((match) => match[1]);
        assert.ok(options.length > 10, page.stdout);
        for (const option of options)
            assert.match(config.stdout, new RegExp(`^ +(-\\w, )?${option}\\b`, 'm'), `${command} ${option}`);
    }
});

test('a mistyped command or option is told the nearest one, exit code 2', async (t) => {
    const ws = workspace(t);
    assertError(await heaptap(t, ws, ['confg']), 2, /config/);
    assertError(
        await heaptap(t, ws, ['config', 'show', '--metrics-intervall', '3s']),
        2,
        /no option --metrics-intervall here, did you mean --metrics-interval\?;/
    );
    assertError(await heaptap(t, ws, ['run', '--durration=3s']), 2, /--durration=3s here, did you mean --duration\?;/);
    assertError(await heaptap(t, ws, ['run', '--zzzzzzzzzz']), 2, /--zzzzzzzzzz here; see heaptap run --help/);
    assertError(await heaptap(t, ws, ['run', '--duration', '5']), 2, /heaptap run: --duration: "5" is not a duration/);
    assertError(await heaptap(t, ws, ['config']), 2, /show/);
    assertError(await heaptap(t, ws, ['version', '--duration', '3s']), 2, /duration/);
    assertError(await heaptap(t, ws, ['\u001b[31mred']), 2);
    assertExit(await heaptap(t, ws, []), 2);
});

test('options may stand before the command, with their values', async (t) => {
    const ws = workspace(t);
    for (const args of [['-v', 'version'], ['--color', 'never', '-q', 'version'], ['--color=never', 'version']]) {
        const run = await heaptap(t, ws, args);
        assertExit(run, 0);
        assert.match(run.stdout, /^heaptap \d/, args.join(' '));
    }
    const shown = await heaptap(t, ws, ['--json', '--dir', '/var/tmp', 'config', 'show']);
    assertExit(shown, 0);
    assert.equal(JSON.parse(shown.stdout).settings.find((entry) => entry.name === 'dir').value, '/var/tmp');
    assertError(await heaptap(t, ws, ['-v']), 2, /expected a command/);
    assertError(await heaptap(t, ws, ['-']), 2, /there is no command "-"; heaptap help lists them/);
});

test('bash completes the words of commands that take such, and options', async (t) => {
    const ws = workspace(t);
    const script = `source <("$0" completion bash)
        for line in 'db s' 'metrics ' 'config ' 'help dia' 'run --durat' 'summary /nowhere/'; do
            IFS=' ' read -ra COMP_WORDS <<<"heaptap $line"
            case $line in *' ') COMP_WORDS+=('') ;; esac
            COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _heaptap; echo "\${COMPREPLY[*]}"
        done`;
    const run = start(t, 'bash', ['-c', script, binary], { env: ws.env });
    await run.done;
    assert.deepEqual(run.stdout.split('\n'), [
        'status ship', 'latest trend compare requests classes sites', 'show', 'diagnose', '--duration', '', '',
    ]);
});

test('every command has a help page with examples', async (t) => {
    const ws = workspace(t);
    const all = await heaptap(t, ws, ['help']);
    assertExit(all, 0);
    const names = [...all.stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)]
        .map((match) => match[1])
        .filter((name) => name !== 'heaptap');
    assert.ok(names.includes('version') && names.includes('config'), all.stdout);
    for (const name of names) {
        const page = await heaptap(t, ws, [name, '--help']);
        assertExit(page, 0);
        const head = page.stdout.split('\n').slice(0, 5).join('\n');
        assert.match(head, /^ {2}.*heaptap /m, `examples come first in ${name} --help`);
        assert.deepEqual((await heaptap(t, ws, ['help', name])).stdout, page.stdout);
        assert.ok(
            page.stdout.split('\n').every((line) => Buffer.byteLength(line) <= 80 && !line.endsWith(' ')),
            `${name}: a line is too wide for a terminal, or ends in a blank`
        );
    }
});

test('the manual page has every command and option that help has, and roff can read it', async (t) => {
    const ws = workspace(t);
    const manual = await heaptap(t, ws, ['manual']);
    assertExit(manual, 0);
    const text = manual.stdout.replaceAll('\\-', '-').replaceAll(/\\f[BIR]/g, '');
    const list = await heaptap(t, ws, ['help']);
    const commands = [...list.stdout.matchAll(/^ {2}([a-z]+) {2,}[a-z]/gm)].map((match) => match[1]);
    assert.ok(commands.length > 20, list.stdout);
    for (const command of commands) {
        const from = text.indexOf(`.SS heaptap ${command} `);
        assert.ok(from >= 0, `${command} is missing`);
        const own = text.slice(from, text.indexOf('\n.S', from + 1));
        const [options] = (await heaptap(t, ws, ['help', command])).stdout.split('\nEverywhere:');
        for (const [, option] of options.matchAll(/^ {2}(?:-., | {4})(--[a-z-]+)/gm))
            assert.ok(own.includes(option), `${command} ${option} is missing`);
    }
    for (const [, request] of manual.stdout.matchAll(/^([.'].*?)(?: |$)/gm))
        assert.match(request, /^\.(TH|SH|SS|TP|PP|nf|fi|br)$/);
});

test('output that cannot be written is an error, not silence', async (t) => {
    const ws = workspace(t);
    const full = fs.openSync('/dev/full', 'w');
    t.after(() => fs.closeSync(full));
    const run = start(t, binary, ['help'], { env: ws.env, stdio: ['ignore', full, 'pipe'] });
    await run.done;
    assert.notEqual(run.code, 0);
    assert.match(run.stderr, /heaptap.*(write|space)/);
});

test('a reader that has seen enough, such as head, is no error', async (t) => {
    const ws = workspace(t);
    const run = start(t, 'sh', ['-c', '"$0" run --help | exec true', binary], { env: ws.env });
    await run.done;
    assert.equal(run.stderr, '');
});
