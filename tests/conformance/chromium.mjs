// Takes two snapshots of a page in headless Chromium: chromium.mjs CHROMIUM OLD NEW. The page has
// attached and detached elements, listeners, and what only a browser's heap has.
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const [program, ...files] = process.argv.slice(2);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-chromium-'));
const page = 'data:text/html,' + encodeURIComponent(`<body><script>
    var held = [], listeners = 0;
    for (var i = 0; i < 200; i++) { var e = document.createElement(i % 2 ? 'div' : 'span'); e.className = 'c' + i;
        e.appendChild(document.createElement('p')); e.addEventListener('click', function () { listeners += held.length; }); 
        document.body.appendChild(e); held.push(e); }
    function drop() { for (var i = 0; i < 100; i++) held[i].remove(); }
    drop(); console.log({logged: held});
</script>`);
const browser = spawn(program, ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0',
    `--user-data-dir=${folder}`, page], {stdio: ['ignore', 'ignore', 'pipe']});
try {
    const port = await new Promise((done, fail) => {
        let text = '';
        browser.stderr.on('data', d => { const m = (text += d).match(/listening on ws:\/\/[^:]*:(\d+)/); if (m) done(m[1]); });
        browser.on('exit', code => fail(new Error(`chromium ended with ${code}: ${text.slice(-500)}`)));
        setTimeout(() => fail(new Error('chromium opened no port')), 60000).unref();
    });
    let target;
    for (let i = 0; !target && i < 100; i++) {
        target = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()).find(t => t.type === 'page' && t.url.startsWith('data:'));
        await new Promise(r => setTimeout(r, 100));
    }
    const socket = new WebSocket(target.webSocketDebuggerUrl), waiting = new Map();
    let id = 0, out = null;
    await new Promise((done, fail) => { socket.onopen = done; socket.onerror = fail; });
    socket.onmessage = m => {
        const message = JSON.parse(m.data);
        if (message.method === 'HeapProfiler.addHeapSnapshotChunk') fs.writeSync(out, message.params.chunk);
        waiting.get(message.id)?.(message);
    };
    const call = (method, params = {}) => new Promise((done, fail) => {
        waiting.set(++id, m => m.error ? fail(new Error(m.error.message)) : done(m.result));
        socket.send(JSON.stringify({id, method, params}));
    });
    for (const file of files) {
        out = fs.openSync(file, 'w');
        await call('HeapProfiler.takeHeapSnapshot');
        fs.closeSync(out);
        await call('Runtime.evaluate', {expression: 'for (var i = 0; i < 50; i++) held.push(document.createElement("i")); 1'});
    }
    socket.close();
} finally {
    browser.removeAllListeners('exit');
    const ended = new Promise(done => browser.on('exit', done));
    browser.kill();
    await ended;
    fs.rmSync(folder, {recursive: true, force: true, maxRetries: 5});
}
