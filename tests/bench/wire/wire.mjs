// Starts a Node process with a heap of small objects and measures what its snapshot costs to receive.
// usage: node wire.mjs WIRE [OBJECTS [NODE]]; 900000 objects make a snapshot of about 350 MB.
import { execFileSync, spawn } from 'node:child_process';

const [wire, objects = '900000', node = process.execPath] = process.argv.slice(2);
const script = `globalThis.kept = [];
for (let i = 0; i < ${Number(objects)}; i++)
    kept.push({ id: i, name: 'n' + i, tags: ['a' + i, 'b' + i, 'c'], meta: { at: i / 3 } });
console.log('ready');
setInterval(() => {}, 1000);`;
const target = spawn(node, ['--inspect=127.0.0.1:0', '--max-old-space-size=4096', '-e', script],
    { stdio: ['ignore', 'pipe', 'pipe'] });
try {
    const port = new Promise((resolve) => target.stderr.on('data', (data) => {
        const found = /ws:\/\/127\.0\.0\.1:(\d+)\//.exec(data);
        if (found)
            resolve(found[1]);
    }));
    await new Promise((resolve) => target.stdout.once('data', resolve));
    execFileSync(wire, [await port], { stdio: 'inherit' });
} finally {
    target.kill('SIGKILL');
}
