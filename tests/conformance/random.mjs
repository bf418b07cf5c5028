// Writes a snapshot that no program would leave behind: a random graph in which every rule's special
// names and kinds meet. random.mjs SEED OUT
import fs from 'node:fs';

export function write(seed, out) {
    let state = seed * 2654435761 + 12345 >>> 0;
    const random = n => { state ^= state << 13; state >>>= 0; state ^= state >>> 17; state ^= state << 5; state >>>= 0; return state % n; };
    const pick = list => list[random(list.length)];
    const types = ['hidden', 'array', 'string', 'object', 'code', 'closure', 'regexp', 'number', 'native', 'synthetic',
        'concatenated string', 'sliced string', 'symbol', 'bigint', 'object shape', 'newfangled'];
    const edgeTypes = ['context', 'element', 'property', 'internal', 'hidden', 'shortcut', 'weak'];
    const strings = [''], numbers = new Map([['', 0]]);
    const text = t => { if (!numbers.has(t)) numbers.set(t, strings.push(t) - 1); return numbers.get(t); };
    const count = 30 + random(300), detached = random(3) > 0, userRoot = random(5) > 0;
    const names = {
        object: ['Object', 'Object', 'Object', 'Array', 'Map', 'Session', 'Function', '<b class=x>', '<b id=1>', 'V8EventListener', ''],
        native: ['Detached Node', '<p x=1>', 'Document', 'system / ExternalStringData', 'system / JSArrayBufferData', 'Object', 'V8EventListener', 'Array'],
        hidden: ['system / NativeContext', 'system / Context', 'system / Context / f', 'x'], array: ['(map descriptors)', '(map descriptors)', ''],
        synthetic: ['(Document DOM trees)', '(Global handles)', 'x'], closure: ['f', 'Array', ''], number: ['1.5', 'bool'],
    };
    const nodes = [{type: 'synthetic', name: '', id: 1, size: 0, detached: 0, edges: []}];
    for (let i = 1; i < count; i++) {
        const type = i === 1 ? 'synthetic' : pick(types);
        nodes.push({type, name: pick(names[type] ?? ['text' + random(6), 'a', 'é\u2028\ud83d\ude00', '\ud800']), id: i * 2 + (type === 'native' ? 0 : 1),
            size: random(4) ? random(100) * 8 : 0, detached: type === 'native' ? random(3) : 0, edges: []});
    }
    const pair = () => { const [k, v, t] = [0, 0, 0].map(() => nodes[random(count)]);
        return ` / part of key (${k.name} @${k.id}) -> value (${v.name} @${v.id}) pair in WeakMap (table @${t.id})`; };
    const pairs = Array.from({length: 12}, pair);
    const add = (from, type, name, to) => nodes[from].edges.push([type, name, to]);
    const edges = count * (1 + random(4));
    for (let i = 0; i < edges; i++) {
        const from = random(4) ? 1 + random(count - 1) : 1 + random(Math.min(20, count - 1)), type = pick(edgeTypes);
        // A concatenated string made of itself would never end.
        const cons = nodes[from].type === 'concatenated string';
        const to = cons ? Math.min(count - 1, from + 1 + random(count - from)) : random(count);
        if (cons && to <= from) continue;
        const name = type === 'element' || type === 'hidden' ? random(12)
            : type === 'internal' && !random(4) ? random(9) + pick(pairs)
            : pick(['a', 'b', 'c', 'a,b', "q'", '__proto__', 'elements', 'first', 'second', 'sloppy_function_map', 'code', '1', '4', '7', '10', 'x / DevTools console', 'value', 'truncated', 'long_property_name_' + random(30)]);
        add(from, type, name, to);
    }
    add(0, 'element', 1, 1);
    const roots = new Set(); // DevTools cannot open a small file in which two edges name one user root
    for (let i = 0; i < 2 + random(5); i++) {
        const to = 1 + random(count - 1);
        if (roots.has(to)) continue;
        roots.add(to);
        const synthetic = nodes[to].type === 'synthetic' && nodes[to].name !== '(Document DOM trees)';
        if (userRoot || synthetic) add(0, pick(['shortcut', 'element', 'property', 'weak']), i + 2, to);
    }
    for (const e of nodes[0].edges) if (e[0] !== 'element') e[1] = 'r' + e[1];
    const fields = ['type', 'name', 'id', 'self_size', 'edge_count', ...detached ? ['detachedness'] : []], width = fields.length;
    const rows = nodes.map(n => [types.indexOf(n.type), text(n.name), n.id, n.size, n.edges.length, ...detached ? [n.detached] : []]);
    const locations = [];
    for (let i = 1; i < count; i++) if (!random(4)) locations.push(i * width, random(3), random(3), 5);
    const edgeRows = nodes.flatMap(n => n.edges.map(([t, name, to]) => [edgeTypes.indexOf(t), typeof name === 'number' ? name : text(name), to * width]));
    fs.writeFileSync(out, JSON.stringify({
        snapshot: {
            meta: {node_fields: fields, node_types: [types, 'string', 'number', 'number', 'number', ...detached ? ['number'] : []],
                edge_fields: ['type', 'name_or_index', 'to_node'], edge_types: [edgeTypes, 'string_or_number', 'node'],
                location_fields: ['object_index', 'script_id', 'line', 'column']},
            node_count: count, edge_count: edgeRows.length, extra_native_bytes: random(1000),
        },
        nodes: rows.flat(), edges: edgeRows.flat(), locations, strings,
    }));
}
