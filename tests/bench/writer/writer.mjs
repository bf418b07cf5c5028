// Makes a real snapshot of about MB megabytes for bench_writer: node writer.mjs MB FILE
import v8 from 'node:v8';

const [megabytes, file] = [Number(process.argv[2]), process.argv[3]];
if (!(megabytes > 0) || !file) {
    console.error('usage: node --max-old-space-size=4096 writer.mjs MB FILE');
    process.exit(2);
}
// One such object makes about 520 bytes of snapshot on Node 18 to 22.
globalThis.kept = [];
for (let i = 0; i < (megabytes * 1048576) / 520; i++)
    globalThis.kept.push({ id: i, name: `object "number" \\ ${i}`, tags: [`a${i}`, 'b'], meta: { i } });
v8.writeHeapSnapshot(file);
