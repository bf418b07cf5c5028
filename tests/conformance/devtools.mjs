// DevTools' code at work in Node: loads a snapshot as the panel does and asks it for its numbers.
import fs from 'node:fs';
import {MessageChannel} from 'node:worker_threads';

Promise.withResolvers ??= () => {
    const all = {};
    all.promise = new Promise((resolve, reject) => Object.assign(all, {resolve, reject}));
    return all;
};
console.assert = () => {}; // the inspector's wrapper around it takes a tenth of the time

export async function open(bundle, file) {
    const {Snapshot, Loader, Model} = await import(bundle);
    const warn = console.warn;
    console.warn = () => {};
    const loader = new Loader.HeapSnapshotLoader({sendEvent() {}});
    const decoder = new TextDecoder();
    for await (const chunk of fs.createReadStream(file, {highWaterMark: 4 << 20})) {
        loader.write(decoder.decode(chunk, {stream: true}));
        await new Promise(resolve => setImmediate(resolve));
    }
    loader.close();
    const {port1, port2} = new MessageChannel();
    new Snapshot.SecondaryInitManager(port2);
    const snapshot = await loader.buildSnapshot(port1);
    port1.close();
    port2.close();
    console.warn = warn;
    return {snapshot, Model};
}

export function classKey(snapshot, node) {
    const key = node.classKeyInternal();
    return typeof key === 'number' ? ',' + snapshot.strings[key] : key;
}

export function classes(snapshot, filter = {}) {
    return Object.entries(snapshot.aggregatesWithFilter(filter))
        .map(([key, a]) => ({key, class: a.name, count: a.count, distance: a.distance, self_size: a.self, retained_size: a.maxRet}));
}

export function comparison(base, now) { // as the Comparison view fills itself
    const aggregates = base.aggregatesForDiff(now.interfaceDefinitions());
    return Object.entries(now.calculateSnapshotDiff(1, aggregates)).map(([key, d]) => ({
        key, added_count: d.addedCount, removed_count: d.removedCount, count_delta: d.countDelta,
        added_size: d.addedSize, removed_size: d.removedSize, size_delta: d.sizeDelta,
    }));
}

export function retainers(snapshot, Model, ordinal) { // as the Retainers pane sorts them
    const provider = snapshot.createRetainingEdgesProvider(ordinal * snapshot.nodeFieldCount);
    if (provider.isEmpty()) return [];
    provider.sortAndRewind(new Model.ComparatorConfig('!edgeDistance', true, 'name', true));
    return provider.serializeItemsRange(0, 1e9).items.map(i => i.edgeIndex);
}

// An allocation profile's list of functions, each with the tree of its callers as far as it opens.
export function tops(snapshot, depth) {
    const line = (n, level) => ({depth: level, function: n.name, url: n.scriptName, line: n.line, column: n.column,
        count: n.count, bytes: n.size, live_count: n.liveCount, live_bytes: n.liveSize});
    const open = (id, level, out) => {
        if (level > depth) return;
        const {nodesWithSingleCaller: single, branchingCallers: branches} = snapshot.allocationNodeCallers(id);
        single.forEach((n, i) => level + i <= depth && out.push(line(n, level + i)));
        if (level + single.length > depth) return;
        for (const n of branches) {
            out.push(line(n, level + single.length));
            if (n.hasChildren) open(n.id, level + single.length + 1, out);
        }
    };
    return snapshot.allocationTracesTops().map(n => {
        const callers = [];
        if (n.hasChildren) open(n.id, 1, callers);
        return {...line(n, 0), callers};
    });
}
