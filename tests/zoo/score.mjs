// Holds a diagnosis against the truth about a server.
import path from 'node:path';
import { lineOf } from './servers.mjs';

// The words that a diagnosis has for the usual culprits.
export const CULPRITS = ['query-client', 'context-provider', 'event-listener', 'closure', 'stream', 'database-pool', 'redis-client',
    'winston-logger', 'timer', 'promise', 'cache', 'buffer'];

// A line that V8 gives may be that of a statement's first or last part.
const SLACK = 2;

const within = (line, first, last) => line !== null && line >= first - SLACK && line <= last + SLACK;

function rightClass(leak, suspect) {
    if (leak.classes.includes(suspect.class)) return true;
    // Names that a minifier made say nothing: then the right holder is enough.
    return Boolean(leak.classes_minified) && rightHolder(leak, suspect);
}

// By its name, or by a variable that the phrase or the path shows.
function rightHolder(leak, suspect) {
    const names = new Set(leak.holders);
    const holder = suspect.holder ?? {};
    if (names.has(holder.name)) return true;
    if ((holder.path ?? []).some((step) => names.has(step.edge))) return true;
    return leak.holders.some((name) =>
        new RegExp(`(^|[^\\w$#])${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}($|[^\\w$])`).test(holder.text ?? ''));
}

const nameOf = (route) => `${route.method} ${route.route}`;

function routeFound(leak, suspect) {
    const first = suspect.routes?.[0];
    return first ? leak.routes[nameOf(first)] ?? null : null;
}

function rightBytes(leak, suspect) {
    const range = routeFound(leak, suspect);
    const bytes = suspect.routes?.[0]?.bytes_per_request;
    return range !== null && bytes >= range[0] && bytes <= range[1];
}

function placeIs(place, file, from, to) {
    if (!place?.url || path.basename(place.url) !== path.basename(file)) return false;
    return within(place.line, lineOf(file, from), lineOf(file, to));
}

// Every text that says where something stands must stand there, or a right answer would be judged wrong.
export function checkPlaces(truth) {
    if (truth.bundle?.minify) return;
    for (const leak of truth.leaks)
        for (const text of [leak.holder_at, leak.function_at, ...(leak.allocated_at ?? [])])
            if (text && lineOf(truth.file, text) === null) throw new Error(`${truth.name}: "${text}" is not in ${truth.file}`);
}

// What a diagnosis is worth: { verdict, found: rank or 0, holder, route, bytes, … }. A server that
// does not leak has only verdict and falseAlarm. null: there is nothing to judge by.
export function score(truth, file, diagnosis) {
    const alarm = diagnosis.verdict === 'leak' || diagnosis.verdict === 'growth';
    const said = diagnosis.suspects?.[0];
    const row = {
        server: truth.name,
        verdict: diagnosis.verdict,
        said: said
            ? `${said.class ?? '?'} in ${said.holder?.name ?? said.holder?.text ?? '?'}, ` +
              (said.routes?.[0] ? `${nameOf(said.routes[0])} ${Math.round(said.routes[0].bytes_per_request)} B` : 'no route')
            : 'nothing',
    };
    if (!truth.leaks.length)
        return { ...row, leaks: false, falseAlarm: alarm, right: diagnosis.verdict === 'no-leak' };
    const [leak] = truth.leaks;
    const memory = !truth.memory_kind || diagnosis.memory_kind === truth.memory_kind;
    const suspects = diagnosis.suspects ?? [];
    // Of memory outside of the heap there is only the route to name; and it is to be called what it is.
    if (!leak.classes.length)
        return { ...row, leaks: true, called: alarm, memory, rank: alarm && memory ? 1 : 0, class: null, holder: null,
            route: Boolean(routeFound(leak, suspects[0] ?? {})), bytes: rightBytes(leak, suspects[0] ?? {}), culprit: null,
            holderLine: null, function: null, allocatedAt: null };
    const rank = 1 + suspects.findIndex((suspect) => rightClass(leak, suspect) && rightHolder(leak, suspect));
    const first = suspects[Math.max(rank - 1, 0)] ?? {};
    return {
        ...row,
        leaks: true,
        called: alarm,
        rank: alarm ? rank : 0,
        class: suspects.length > 0 && rightClass(leak, suspects[0]),
        holder: suspects.length > 0 && rightHolder(leak, suspects[0]),
        route: Boolean(routeFound(leak, first)),
        bytes: rightBytes(leak, first),
        culprit: leak.culprits?.length ? leak.culprits.includes(first.culprit) : null,
        memory,
        holderLine: leak.holder_at ? placeIs(first.holder?.location, file, leak.holder_at, leak.holder_at) : null,
        function: leak.function_at ? placeIs(first.function, file, leak.function_at, leak.function_at) : null,
        allocatedAt: leak.allocated_at
            ? (first.allocated_at ?? []).slice(0, 3).some((place) => placeIs(place, file, ...leak.allocated_at))
            : null,
    };
}

// A leaking server is won when it is called a leak and the first suspect has class, holder and route.
export const won = (row, routes) =>
    row.leaks ? row.called && row.rank === 1 && (!routes || row.route !== false) : !row.falseAlarm;

export function totals(rows, routes) {
    const leaking = rows.filter((row) => row.leaks);
    const clean = rows.filter((row) => !row.leaks);
    const count = (list, test) => list.filter(test).length;
    const right = (list, part) => count(list, (row) => row[part] === true || row[part] === null); // null: is not asked for
    return {
        leaking: leaking.length,
        called: count(leaking, (row) => row.called),
        rank1: count(leaking, (row) => row.rank === 1),
        rank3: count(leaking, (row) => row.rank >= 1 && row.rank <= 3),
        holder: right(leaking, 'holder'),
        route: right(leaking, 'route'),
        memory: right(leaking, 'memory'),
        bytes: right(leaking, 'bytes'),
        culprit: right(leaking, 'culprit'),
        allocatedAt: right(leaking, 'allocatedAt'),
        won: count(leaking, (row) => won(row, routes)),
        clean: clean.length,
        falseAlarms: count(clean, (row) => row.falseAlarm),
        saidNoLeak: count(clean, (row) => row.right),
    };
}

// What was said of a server on one Node, short: ok, or what is wrong of it.
function cellOf(row) {
    if (!row) return '';
    if (row.error) return 'error';
    if (!row.leaks || !row.called) return row.verdict;
    const wrong = ['class', 'holder', 'route', 'memory', 'culprit'].filter((part) => row[part] === false);
    return wrong.length ? `not ${wrong.join(', ')}: ${row.said}` : 'ok';
}

// Markdown: a line a server, a column a Node.
export function table(rows) {
    const nodes = [...new Set(rows.map((row) => row.node))].sort();
    const line = (cells) => `| ${cells.join(' | ')} |`;
    const servers = [...new Set(rows.map((row) => row.server))].sort();
    const lines = servers.map((server) => {
        const of = (node) => rows.find((row) => row.server === server && row.node === node);
        const name = rows.find((row) => row.server === server).leaks ? server : `${server} (no leak)`;
        return line([name, ...nodes.map((node) => cellOf(of(node)).replaceAll('|', '\\|'))]);
    });
    return [line(['server', ...nodes.map((node) => `Node ${node}`)]), line(['---', ...nodes.map(() => '---')]), ...lines].join('\n');
}

export const GOAL = 0.95;

export const metGoal = (sums) => sums.won >= GOAL * sums.leaking && sums.falseAlarms === 0;
