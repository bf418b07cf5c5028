// The report's page in a browser: it draws everything, says no error, and runs nothing of the target's.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { assertExit, heaptap, runtime, workspace } from './lib.mjs';
import { hostile, hostileRecord } from './record.mjs';

// What the page has become once its script has run, and what its console said.
function browse(ws, page, ...options) {
    const log = ws.path('chromium.log');
    const dom = execFileSync(
        runtime('chromium'),
        ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
            '--disable-background-networking', '--disable-component-update', '--host-resolver-rules=MAP * ~NOTFOUND',
            `--user-data-dir=${ws.path('chromium')}`, '--enable-logging', `--log-file=${log}`,
            '--virtual-time-budget=5000', '--dump-dom', ...options, pathToFileURL(page).href],
        { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'], timeout: 120_000, env: { ...process.env, HOME: ws.root } }
    );
    return { dom, console: fs.readFileSync(log, 'utf8').split('\n').filter((line) => line.includes(':CONSOLE')) };
}

for (const [how, options] of [
    ['on a wide screen', ['--window-size=1280,2400']],
    ['on a telephone in the dark', ['--window-size=390,900', '--blink-settings=preferredColorScheme=0']],
])
    test(`the page of a hostile target draws ${how} without an error`, async (t) => {
        const ws = workspace(t);
        await hostileRecord(t, ws);
        const page = ws.path('page.html');
        assertExit(await heaptap(t, ws, ['report', '--db', `sqlite:${ws.db}`, '-o', page]), 0);
        // The page is asked from inside, by a script that its policy would not let in: a copy without one.
        const probe = `<script>addEventListener('load', () => document.documentElement.setAttribute('data-broken', String(globalThis.broken)));</script>`;
        const open = ws.path('open.html');
        fs.writeFileSync(open, fs.readFileSync(page, 'utf8').replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, probe));
        const inside = browse(ws, open, ...options);
        assert.match(inside.dom, /data-broken="undefined"/, 'a name of the target ran, or the probe did not');

        const seen = browse(ws, page, ...options);
        assert.deepEqual(seen.console, []);
        const text = seen.dom
            .replace(/<script[^]*?<\/script>/g, '')
            .replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');
        assert.ok(text.includes(hostile), 'the name stands there as text');
        assert.equal(seen.dom.match(/<canvas[^>]*width="[1-9]/g).length, 7, 'all plots are drawn');
        assert.ok(seen.dom.match(/<tr>/g).length > 10);
        for (const title of ['Memory over time', 'Growth by class', 'Allocation timeline', 'What the captures cost', 'Evidence and its limits'])
            assert.ok(seen.dom.includes(`>${title}</`), title);
    });
