// A Next.js production server, built here from tests/next and followed. Its packages take 330 MB and
// its build half a minute of CPU, so it is apart (label "slow").
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
    assertExit, assertNoGap, get, house, listening, runtime, sql, startHeaptap, startTarget, until, workspace,
} from './lib.mjs';

const packages = execFileSync(path.join(house, 'scripts/install-test-packages'), ['next'], { encoding: 'utf8' }).trim();

test('requests of a Next.js production server have their rows, by route', { timeout: 600_000 }, async (t) => {
    const ws = workspace(t);
    const app = ws.path('app');
    fs.cpSync(path.join(house, 'tests/next'), app, { recursive: true });
    fs.symlinkSync(path.join(packages, 'node_modules'), path.join(app, 'node_modules'));
    const next = path.join(app, 'node_modules/next/dist/bin/next');
    const env = { ...ws.env, NEXT_TELEMETRY_DISABLED: '1' };
    execFileSync(runtime('22'), [next, 'build'], { cwd: app, env, stdio: 'pipe' });
    for (const node of ['20', '24']) {
        const record = workspace(t);
        const target = await startTarget(t, { node, script: next, args: ['start', '-H', '127.0.0.1', '-p', '0'], cwd: app, env,
            listens: false });
        await target.printed(/Ready in/, 'stdout');
        const port = await until(() => listening(target.pid).find((one) => one !== target.port), 'its port');
        const url = `http://127.0.0.1:${port}`;
        const run = startHeaptap(t, record, ['run', String(target.port), '--requests', '--no-snapshots', '--json', ...record.own]);
        await run.printed(/"event":"attached"/, 'stdout');
        const rows = () => sql(record.db, `SELECT request_method AS method, route, status FROM memory_metrics
            WHERE label LIKE 'after-%' AND request_id IS NOT NULL ORDER BY seq`);
        await until(async () => {
            await get(url, '/warm');
            return rows().length;
        }, 'the hook');
        await get(url, '/hello?token=secret', 3);
        await get(url, '/products/17');
        await get(url, '/products/4711');
        await get(url, '/api/items');
        await until(() => rows().filter((row) => row.route !== '/warm').length >= 6, () => JSON.stringify(rows()));
        run.child.kill('SIGINT');
        await run.done;
        assertExit(run, 0);
        assert.deepEqual(rows().filter((row) => row.route !== '/warm').map((row) => `${row.route} ${row.status}`),
            ['/hello 200', '/hello 200', '/hello 200', '/products/:n 200', '/products/:n 200', '/api/items 201'], `Node ${node}`);
        assertNoGap(record.db);
    }
});
