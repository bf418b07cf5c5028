// One snapshot, streamed to disk whole; and `verify`, which tells whole from truncated from foreign.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import zlib from 'node:zlib';
import {
    assertError,
    assertExit,
    countClass,
    heaptap,
    readSnapshot,
    shop,
    startTarget,
    versions,
    workspace,
} from './lib.mjs';

for (const node of versions)
    test(`snapshot of Node ${node} is what the process holds`, async (t) => {
        const ws = workspace(t);
        const target = await startTarget(t, { node, script: shop.esm });
        await target.get('/page', 321);
        const file = ws.path('one.heapsnapshot');
        const run = await heaptap(t, ws, ['snapshot', String(target.port), '-o', file, '--json']);
        assertExit(run, 0);
        assert.equal(countClass(readSnapshot(file), 'SessionState'), 321);
        assert.equal(fs.statSync(file).mode & 0o777, 0o600);
        const told = JSON.parse(run.stdout);
        assert.equal(told.bytes, fs.statSync(file).size);
        assert.equal(told.file, file);
        assert.deepEqual(
            fs.readdirSync(ws.root).filter((name) => name.includes('.part')),
            []
        );
        assertExit(await heaptap(t, ws, ['verify', file]), 0);
    });

test('names, non-ASCII text and long strings arrive as V8 wrote them', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, {
        node: '24',
        listens: false,
        code: `globalThis.kept = ['grün', '日本語', 'quote " and \\\\ and \\n and \\u0001', '${'x'.repeat(900)}'];
            globalThis.other = { 'ключ': 1 }; setInterval(() => {}, 1000); console.log('up')`,
    });
    await target.printed(/up/, 'stdout');
    const file = ws.path('one.heapsnapshot');
    assertExit(await heaptap(t, ws, ['snapshot', String(target.port), '-o', file]), 0);
    const { strings } = readSnapshot(file);
    for (const text of [
        'grün',
        '日本語',
        'quote " and \\ and \n and \u0001',
        'x'.repeat(900),
        'ключ',
    ])
        assert.ok(strings.includes(text), JSON.stringify(text.slice(0, 40)));
});

test('--compress writes the same snapshot as zstd', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    await target.get('/page', 50);
    assertExit(
        await heaptap(t, ws, ['snapshot', String(target.port), '--dir', ws.dir, '--compress']),
        0
    );
    const [name] = ws.files();
    assert.match(name, /^heap-[a-z0-9-]+-\d{8}T\d{6}\.\d{3}Z-\d+-\d+\.heapsnapshot\.zst$/);
    const file = path.join(ws.dir, name);
    assert.equal(countClass(readSnapshot(file), 'SessionState'), 50);
    assertExit(await heaptap(t, ws, ['verify', file]), 0);
});

test('-o FILE.zst is compressed, as its name says, and -o - is refused', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const file = ws.path('named.heapsnapshot.zst');
    const run = await heaptap(t, ws, ['snapshot', String(target.port), '-o', file]);
    assertExit(run, 0);
    assert.equal(run.stdout.trim(), file);
    assert.equal(fs.readFileSync(file).readUInt32LE(0), 0xfd2fb528);
    readSnapshot(file);
    for (const command of ['snapshot', 'timeline', 'survivors'])
        assertError(await heaptap(t, ws, [command, String(target.port), '-o', '-'], { cwd: ws.dir }), 2,
            /not to standard output/);
    const script = await heaptap(t, ws, ['attach', String(target.port), ...ws.own, '-c', 'snapshot -o -'], { cwd: ws.dir });
    assert.match(script.stderr, /not to standard output/);
    assert.deepEqual(ws.files(), []);
});

test('a file that is there already is never overwritten', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const file = ws.path('mine.heapsnapshot');
    fs.writeFileSync(file, 'precious');
    assertError(
        await heaptap(t, ws, ['snapshot', String(target.port), '-o', file]),
        4,
        /mine\.heapsnapshot/
    );
    assert.equal(fs.readFileSync(file, 'utf8'), 'precious');
    fs.symlinkSync(ws.path('elsewhere'), ws.path('link.heapsnapshot'));
    assertError(
        await heaptap(t, ws, ['snapshot', String(target.port), '-o', ws.path('link.heapsnapshot')]),
        4
    );
    assert.ok(!fs.existsSync(ws.path('elsewhere')), 'followed a symbolic link');
});

test('a place that cannot be written is told before the target is stalled', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    fs.writeFileSync(ws.path('plain'), '');
    for (const place of [
        ws.path('none/such/x.heapsnapshot'),
        ws.path('plain/x.heapsnapshot'),
        '/proc/x.heapsnapshot',
        ws.path('n'.repeat(300)),
        ws.dir,
    ])
        assertError(await heaptap(t, ws, ['snapshot', String(target.port), '-o', place]), 4);
    for (const place of [ws.path('plain'), '/proc/heaptap'])
        for (const command of [
            ['snapshot'],
            ['run', '--duration', '1s', '--db', `sqlite:${ws.db}`],
        ]) {
            const run = await heaptap(t, ws, [...command, String(target.port), '--dir', place]);
            assert.ok(
                run.code === 4 || (command[0] === 'run' && run.code === 0),
                `${command} ${place}: ${run.code} ${run.stderr}`
            );
            assert.ok(run.stderr.includes(place), run.stderr);
        }
});

test('verify tells whole from truncated from foreign, plain, zstd and gzip', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t, { node: '20' });
    const whole = ws.path('whole.heapsnapshot');
    assertExit(await heaptap(t, ws, ['snapshot', String(target.port), '-o', whole]), 0);
    const bytes = fs.readFileSync(whole);
    fs.writeFileSync(`${whole}.gz`, zlib.gzipSync(bytes, { level: 1 }));
    execFileSync('zstd', ['-q', whole]);
    for (const file of [whole, `${whole}.gz`, `${whole}.zst`])
        assertExit(await heaptap(t, ws, ['verify', file]), 0);

    const bad = async (name, content, pattern) => {
        const file = ws.path(name);
        fs.writeFileSync(file, content);
        const run = await heaptap(t, ws, ['verify', file]);
        assert.equal(run.code, 6, `${name}: ${run.code}\n${run.stdout}${run.stderr}`);
        if (pattern) assert.match(run.stdout + run.stderr, pattern, name);
        const json = await heaptap(t, ws, ['verify', '--json', file]);
        assert.equal(json.code, 6);
        if (json.stdout.trim()) assert.notEqual(JSON.parse(json.stdout).verdict, 'whole');
    };
    const gz = fs.readFileSync(`${whole}.gz`);
    const zst = fs.readFileSync(`${whole}.zst`);
    for (const share of [0.0001, 0.01, 0.3, 0.5, 0.9, 0.999]) {
        await bad('cut.heapsnapshot', bytes.subarray(0, Math.floor(bytes.length * share)));
        await bad('cut.heapsnapshot.gz', gz.subarray(0, Math.floor(gz.length * share)));
        await bad('cut.heapsnapshot.zst', zst.subarray(0, Math.floor(zst.length * share)));
    }
    for (let cut = 1; cut < 40; cut += 6)
        await bad(
            'cut.heapsnapshot',
            bytes.subarray(0, bytes.lastIndexOf('}') + 1 - cut),
            /truncated/
        );
    await bad('empty.heapsnapshot', '');
    await bad('text.heapsnapshot', 'hello world\n', /foreign|not a/);
    await bad('other.heapsnapshot', '{"name":"heaptap","version":"1.0.0"}', /foreign|not a/);
    await bad('list.heapsnapshot', '[1,2,3]', /foreign|not a/);
    await bad('zero.heapsnapshot', Buffer.alloc(1 << 20));
    await bad('page.heapsnapshot', '<html>'.repeat(1000));
    await bad('deep.heapsnapshot', '{"snapshot":' + '['.repeat(1_000_000));
    await bad('gz.heapsnapshot.gz', zlib.gzipSync('hello world'));
    await bad('fake.heapsnapshot.zst', 'not zstd at all');
    await bad('fake.heapsnapshot.gz', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]));
    await bad('tail.heapsnapshot', Buffer.concat([bytes, Buffer.from('{"more":1}')]));
    await bad('twice.heapsnapshot', Buffer.concat([bytes, bytes]));
    const text = bytes.toString('latin1');
    const edit = (from, to) => Buffer.from(text.replace(from, to), 'latin1');
    await bad('count.heapsnapshot', edit(/"node_count":\d+/, '"node_count":1'));
    await bad('count.heapsnapshot', edit(/"edge_count":\d+/, '"edge_count":99999999999999999999'));
    await bad('nodes.heapsnapshot', edit('"nodes":[', '"nodes":[1,'));
    await bad('words.heapsnapshot', edit('"nodes":[', '"nodes":["a",'));
    await bad('key.heapsnapshot', edit('"edges":', '"wedges":'));
    // A hole in the middle, as a full disk or a crash leaves it.
    const hole = Buffer.from(bytes);
    hole.fill(0, hole.length >> 1, (hole.length >> 1) + 4096);
    await bad('hole.heapsnapshot', hole);
    const damaged = Buffer.from(gz);
    damaged[damaged.length >> 1] ^= 0x55;
    await bad('damaged.heapsnapshot.gz', damaged);
    const broken = Buffer.from(zst);
    broken[broken.length >> 1] ^= 0x55;
    await bad('damaged.heapsnapshot.zst', broken);

    const missing = await heaptap(t, ws, ['verify', ws.path('none')]);
    assertError(missing, 4, /^heaptap verify: .*none: cannot open it: No such file/m);
    assert.ok(missing.code > 0);
    assert.match(missing.stderr, /none/);
    assert.ok((await heaptap(t, ws, ['verify', ws.root])).code > 0);
    assertError(await heaptap(t, ws, ['verify']), 2);
});

test('verify reads what is piped to it', async (t) => {
    const ws = workspace(t);
    const target = await startTarget(t);
    const whole = ws.path('whole.heapsnapshot');
    assertExit(await heaptap(t, ws, ['snapshot', String(target.port), '-o', whole]), 0);
    const fifo = ws.path('pipe');
    execFileSync('mkfifo', [fifo]);
    const checking = heaptap(t, ws, ['verify', fifo]);
    fs.createReadStream(whole).pipe(fs.createWriteStream(fifo));
    assertExit(await checking, 0);
});
