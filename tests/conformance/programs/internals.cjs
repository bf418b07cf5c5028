// The same program as others see it: with internals exposed, with numbers as nodes.
const inspector = require('node:inspector'), fs = require('node:fs');
const keep = globalThis.keep = {map: new Map(), numbers: [1, 2.5, 1e300, -0], text: 'a'.repeat(40)};
for (let i = 0; i < 500; i++) keep.map.set('k' + i, {i, half: i / 2, f: () => keep});
const session = new inspector.Session();
session.connect();
function take(path, options, then) {
    const fd = fs.openSync(path, 'w');
    const add = m => fs.writeSync(fd, m.params.chunk);
    session.on('HeapProfiler.addHeapSnapshotChunk', add);
    session.post('HeapProfiler.takeHeapSnapshot', options, error => {
        if (error) throw new Error(error.message);
        session.removeListener('HeapProfiler.addHeapSnapshotChunk', add);
        fs.closeSync(fd);
        then();
    });
}
take(process.argv[2], {exposeInternals: true}, () => {
    for (let i = 0; i < 100; i++) keep.map.set('n' + i, {i});
    take(process.argv[3], {captureNumericValue: true}, () => process.exit());
});
