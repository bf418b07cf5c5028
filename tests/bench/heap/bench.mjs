// Measures `heaptap summary` against the floor, `cat` and DevTools' own code (and with --others memlab
// and v8-heap-parser) on snapshots that it makes itself, each in a process of its own, in turn:
//
//   bench.mjs HEAPTAP FLOOR FOLDER [--rounds N] [--sizes 10,300,1000,small,huge] [--devtools BUNDLE] [--others NODE_MODULES]
//
// Snapshots stay in FOLDER for the next run. Prints a Markdown table: medians of wall seconds, and
// peak memory (which Linux counts with mapped pages).
import {spawnSync} from 'node:child_process';
import fs from 'node:fs';
import {join, resolve} from 'node:path';

const [heaptap, floor, folder, ...rest] = process.argv.slice(2).map((a, i) => i < 3 ? resolve(a) : a);
const option = (name, otherwise) => { const i = rest.indexOf('--' + name); return i < 0 ? otherwise : rest[i + 1]; };
const rounds = Number(option('rounds', 5)), sizes = option('sizes', '10,300,1000,small').split(',');
const make = new URL('make.cjs', import.meta.url).pathname;
const records = {10: ['tree', 25], 300: ['tree', 1150], 1000: ['tree', 3800], small: ['small', 2700], huge: ['pages', 2200]};
fs.mkdirSync(folder, {recursive: true});

function measure(program, args) {
    const begun = process.hrtime.bigint();
    const r = spawnSync('/usr/bin/time', ['-f', 'PEAK %M', program, ...args], {stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 26});
    const seconds = Number(process.hrtime.bigint() - begun) / 1e9, peak = r.stderr.toString().match(/PEAK (\d+)/);
    return {seconds: r.status === 0 ? seconds : NaN, peak: peak ? peak[1] / 1024 : NaN};
}
const median = list => list.toSorted((a, b) => a - b)[list.length >> 1];
const contenders = {
    cat: f => ['sh', ['-c', `cat ${f} > /dev/null`]],
    floor: f => [floor, [f]],
    'heaptap summary': f => [heaptap, ['summary', '--json', '--quiet', f]],
};
const node = ['--max-old-space-size=16000', '--input-type=module', '-e'];
if (option('devtools')) {
    const devtools = new URL('../../conformance/devtools.mjs', import.meta.url).href;
    contenders.DevTools = f => [process.execPath, [...node, `import {open, classes} from '${devtools}';
        classes((await open('${resolve(option('devtools'))}', '${f}')).snapshot); process.exit();`]];
}
if (option('others')) {
    const modules = resolve(option('others'));
    contenders.memlab = f => [process.execPath, [...node, `import {createRequire} from 'node:module';
        const {getFullHeapFromFile} = createRequire('${modules}/')('@memlab/heap-analysis'); await getFullHeapFromFile('${f}'); process.exit();`]];
    contenders['v8-heap-parser'] = f => [process.execPath, [...node, `import {createRequire} from 'node:module';
        import fs from 'node:fs'; const {decode_bytes} = createRequire('${modules}/')('@vscode/v8-heap-parser');
        const g = decode_bytes(fs.readFileSync('${f}')); g.get_class_groups(0, false); process.exit();`]];
}
console.log('| snapshot | ' + Object.keys(contenders).join(' | ') + ' | heaptap / floor |');
console.log('|---'.repeat(Object.keys(contenders).length + 2) + '|');
for (const size of sizes) {
    const [kind, thousands] = records[size], file = join(folder, `${kind}-${thousands}.heapsnapshot`);
    if (!fs.existsSync(file)) {
        const made = spawnSync(process.execPath, ['--max-old-space-size=12000', make, kind, thousands, file + '.part'], {stdio: 'inherit'});
        if (made.status !== 0) throw new Error('cannot make ' + file);
        fs.renameSync(file + '.part', file);
    }
    const results = {};
    for (let round = 0; round < rounds; round++) // in turn, so that noise meets all alike
        for (const [name, command] of Object.entries(contenders)) {
            if (round > 0 && !['cat', 'floor', 'heaptap summary'].includes(name)) continue; // once is enough for the slow
            (results[name] ??= []).push(measure(...command(file)));
        }
    const cell = name => { const r = results[name], s = median(r.map(x => x.seconds)); return Number.isNaN(s) ? 'fails' : `${s.toFixed(2)} s, ${Math.round(median(r.map(x => x.peak)))} MB`; };
    const ratio = median(results['heaptap summary'].map(x => x.seconds)) / median(results.floor.map(x => x.seconds));
    console.log(`| ${Math.round(fs.statSync(file).size / 1e6)} MB, ${kind} | ` + Object.keys(contenders).map(cell).join(' | ') + ` | ${ratio.toFixed(2)} |`);
}
