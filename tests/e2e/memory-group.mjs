// A control group with a memory limit, version 1 or 2, whichever this machine mounts. Needs root; the
// test that asks for one fails where none can be made.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { sleep } from './lib.mjs';

const mounts = [
    { root: '/sys/fs/cgroup/memory', sign: 'memory.limit_in_bytes', limit: 'memory.limit_in_bytes',
        events: 'memory.oom_control' },
    { root: '/sys/fs/cgroup', sign: 'cgroup.controllers', limit: 'memory.max', events: 'memory.events' },
];

export function memoryGroup(t, name, bytes) {
    const mount = mounts.find(({ root, sign }) => fs.existsSync(path.join(root, sign)));
    assert.ok(mount, 'this test needs control groups with the memory controller, and root');
    const group = path.join(mount.root, `heaptap-${name}-${process.pid}`);
    if (mount.limit === 'memory.max')
        fs.writeFileSync(path.join(mount.root, 'cgroup.subtree_control'), '+memory');
    fs.mkdirSync(group);
    t.after(async () => {
        for (let i = 0; i < 100; i++)
            try {
                return fs.rmdirSync(group);
            } catch {
                await sleep(50); // the kernel takes a moment to empty it
            }
    });
    fs.writeFileSync(path.join(group, mount.limit), `${bytes}`);
    return {
        add: (target) => fs.writeFileSync(path.join(group, 'cgroup.procs'), `${target.pid}`),
        kills: () => Number(/oom_kill (\d+)/.exec(fs.readFileSync(path.join(group, mount.events), 'utf8'))?.[1]),
    };
}
