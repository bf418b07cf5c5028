// What the benchmarks of this folder share: the program, the packages of the servers, a folder for records, and
// that nothing is left when they end.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = path.dirname(fileURLToPath(import.meta.url));
export const house = path.resolve(here, '../../..');
export const heaptap = process.env.HEAPTAP_BIN ?? path.join(house, 'build/release/heaptap');
export const run = (file, args) => execFileSync(file, args, { encoding: 'utf8' }).trim();
export const nodeOf = (version) => run(path.join(house, 'scripts/runtime-path'), [version]);
export const packages = run(path.join(house, 'scripts/install-test-packages'), []);
export const root = fs.mkdtempSync(path.join(os.tmpdir(), 'heaptap-bench-'));

const children = new Set();
process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    fs.rmSync(root, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

// A program with its output in pipes; child.over when it has ended.
export function launch(file, args) {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    child.over = new Promise((resolve) => child.on('exit', () => resolve(children.delete(child))));
    return child;
}
