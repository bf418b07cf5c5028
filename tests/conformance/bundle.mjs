// Bundles DevTools' snapshot worker for Node: bundle.mjs NODE_MODULES OUT. Its own code is unchanged;
// what only a browser has (translations, content providers) is replaced by the least that loads.
import {createRequire} from 'node:module';
import {resolve, dirname} from 'node:path';

const [modules, out] = process.argv.slice(2).map(p => resolve(p));
const {build} = createRequire(modules + '/')('esbuild');
const frontEnd = modules + '/chrome-devtools-frontend/front_end';
const worker = frontEnd + '/entrypoints/heap_snapshot_worker/';

const again = list => list.map(([name, path]) => `export * as ${name} from '${frontEnd}/${path}';`).join('\n');
// Index modules of DevTools pull in half of the browser's interface: only the parts in use are named.
const replaced = [
    [/core\/i18n\/i18n\.js$/, 'export const i18n = {serializeUIString: text => text};'],
    [/(ContentData|ContentProvider)\.js$/, 'export class ContentData {} export class SearchMatch {}'],
    [/core\/text_utils\/text_utils\.js$/, again([['TextUtils', 'core/text_utils/TextUtils.ts']])],
    [/models\/heap_snapshot\/heap_snapshot\.js$/,
        again([['HeapSnapshotModel', 'models/heap_snapshot/HeapSnapshotModel.ts']])],
    [/core\/platform\/platform\.js$/,
        again(['ArrayUtilities', 'DevToolsPath', 'MapUtilities', 'MimeType', 'StringUtilities', 'TypedArrayUtilities']
                  .map(name => [name, `core/platform/${name}.ts`]))],
];

await build({
    stdin: {
        contents: `export * as Snapshot from '${worker}HeapSnapshot.ts';
            export * as Loader from '${worker}HeapSnapshotLoader.ts';
            export * as Model from '${frontEnd}/models/heap_snapshot/HeapSnapshotModel.ts';`,
        resolveDir: frontEnd,
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    keepNames: true,
    logLevel: 'warning',
    outfile: out,
    plugins: [{
        name: 'devtools',
        setup(b) {
            replaced.forEach(([filter, contents], at) => {
                b.onResolve({filter}, () => ({path: String(at), namespace: 'replaced'}));
            });
            b.onLoad({filter: /.*/, namespace: 'replaced'},
                a => ({contents: replaced[a.path][1], loader: 'js', resolveDir: frontEnd}));
            b.onResolve({filter: /^\..*\.js$/}, a => ({path: resolve(dirname(a.importer), a.path.slice(0, -2) + 'ts')}));
        },
    }],
});
