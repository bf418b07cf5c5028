// What following a request costs the target itself: CPU microseconds of the whole process, with heaptap
// attached all the time and its hook switched on and off by slices of a tenth of a second in one process
// (pump.cjs), so that whatever else the machine does meets both alike. added_us is the median of the
// differences between neighbours, added_low that of the least eighths.
//
//   node tests/bench/requests/turns.mjs [--node 20,24,26] [--server http,express] [--modes counting,rows]
//       [--pages /hello,/products/17] [--slices 41] [--requests 3000]
//
// Needs a release build (HEAPTAP_BIN, else build/release/heaptap). Prints JSON Lines.
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { heaptap, here, launch, nodeOf, packages, root } from './common.mjs';

const { values } = parseArgs({ options: {
    node: { type: 'string', default: '20,24,26' }, server: { type: 'string', default: 'http,express' },
    modes: { type: 'string', default: 'counting,rows' }, pages: { type: 'string', default: '/hello' },
    slices: { type: 'string', default: '41' }, requests: { type: 'string', default: '3000' },
} });

const modes = {
    counting: ['--requests-sample', '0'],
    rows: ['--requests-overhead', '100%'],
};

function started(file, args, onLine) {
    const child = launch(file, args);
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
    return child;
}

async function measure(node, server, mode) {
    const pairs = [];
    let port, isReady;
    const ready = new Promise((resolve) => (isReady = resolve));
    const target = started(nodeOf(node), ['--inspect=127.0.0.1:0',
        path.join(here, 'pump.cjs'), server, packages, values.pages, values.slices, values.requests], (line) => {
        port ??= /ws:\/\/127.0.0.1:(\d+)/.exec(line)?.[1];
        if (line === 'ready') isReady();
        if (line.startsWith('slices ')) pairs.push(line.split(' ').slice(1).map(Number));
    });
    await Promise.race([ready, target.over]);
    const said = [];
    const follower = started(heaptap, ['run', port, '--requests', '--no-snapshots', '--live-profile', 'off',
        '--no-diagnosis', '--metrics-interval', '60s', '--db', `sqlite:${root}/${mode}-${node}-${server}.db`, ...modes[mode]],
    (line) => said.push(line));
    await Promise.race([target.over, follower.over]);
    target.kill();
    follower.kill('SIGINT');
    await follower.over;
    if (pairs.length < Number(values.slices))
        throw new Error(`no figures; heaptap said:\n${said.join('\n')}`);
    return pairs;
}

const least = (list, share) => [...list].sort((a, b) => a - b)[Math.floor(list.length * share)];
const round = (number) => Number(number.toFixed(2));

for (const node of values.node.split(','))
    for (const server of values.server.split(','))
        for (const mode of values.modes.split(',')) {
            const pairs = await measure(node, server, mode);
            const [without, followed] = [0, 1].map((i) => pairs.map((pair) => pair[i]));
            console.log(JSON.stringify({
                node, server, mode, without_us: round(least(without, 0.5)),
                added_us: round(least(pairs.map(([a, b]) => b - a), 0.5)),
                added_low: round(least(followed, 1 / 8) - least(without, 1 / 8)), load: round(os.loadavg()[0]),
            }));
        }
process.exit();
