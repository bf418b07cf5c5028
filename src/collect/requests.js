// Runs in the target: follows its HTTP requests. Called as install(binding, options), it subscribes
// to Node's diagnostics channels, counts every request by route, and hands rows of the followed
// ones to the binding in batches. It holds no request back (pairs.js does, if it is handed over as
// a third argument) and keeps nothing alive longer than the app does. Without a beat from heaptap it
// ends itself.
//
// A batch is {"v":1,"age":microseconds,"dropped":n,"texts":[...],"rows":"base64"}. rows are ROW
// little-endian unsigned 32-bit numbers each, in the order of the constants below; texts are what
// rows name by index. requests_read.c reads both; nothing here is trusted there.
(function install(binding, options, pairing) {
    'use strict';
    const builtin = process.getBuiltinModule ?? require;
    const channels = builtin('diagnostics_channel');
    const v8 = builtin('v8');
    const { performance } = builtin('perf_hooks');
    const { setInterval, clearInterval, setTimeout, clearTimeout, setImmediate } = builtin('timers');
    const { Buffer } = builtin('buffer');
    const now = performance.now.bind(performance);
    const rssOf = process.memoryUsage.rss;
    const heapStatistics = v8.getHeapStatistics;
    const text = JSON.stringify;

    const ROUTES_MAX = 200; // more routes than that are one route to a reader
    // Paths whose route is remembered; few, for with ids in them they are garbage that we keep.
    const CACHE_MAX = 256;
    const CACHED_URL_MAX = 128; // characters of such a path
    const NAMES_MAX = 50; // texts at one place of paths, from which on they may be ids
    const URL_MAX = 512;
    const METHODS_MAX = 64; // HTTP/2 lets clients invent them
    const BATCH_ROWS = 256;
    const FLUSH_MS = 100;
    const RSS_MS = 100;
    const FRESH_MS = 0.1; // a reading as old as that serves a request that comes right behind it
    const FLOORS_MAX = 32; // between two beats
    const TIMED = 31; // one call of so many is timed; odd, to meet starts and ends alike
    // Microseconds a request that the hook cannot see of itself: publishing, and the garbage.
    const UNSEEN = 0.5;

    const FLAGS = 0, METHOD = 1, URL = 2, ROUTE = 3, ENDED = 4, LASTED = 5, STATUS = 6;
    const FLIGHT = 7, HEAP = 9, TOTAL = 11, EXTERNAL = 13, RSS = 15, ROW = 17;
    const ABORTED = 1, PAIR = 256; // of FLAGS: what the number of a pair is multiplied by

    const mark = Symbol.for('heaptap.requests');
    const send = globalThis[binding];
    if (typeof send !== 'function') throw new Error('globalThis takes no binding: is it frozen?');
    delete globalThis[binding];
    globalThis[mark]?.stop('another heaptap follows the requests of this process now');

    let stopped = '';
    let inFlight = 0;
    let begun = 0;
    let aborted = 0;
    let failure = ''; // the first exception of ours: it must not reach the app
    // The inspector may call beat() and stop() between any two steps of ours: a row or a batch is being
    // made, and must not be sent.
    let making = false;
    function failed(error) {
        making = false;
        failure ||= String(error);
    }
    // HTTP/2 has its channels from Node 22 on.
    const blind = Number.parseInt(process.versions.node, 10) < 22 &&
        (process.moduleLoadList ?? []).includes('NativeModule http2');

    // ---- routes: every request counts for one ----

    const digits = /^\d+$/;
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
    const hash = /^(?=.*\d)[0-9a-f]{12,}$/i;
    const token = /^(?=.*\d)(?=.*[a-z])[\w.~-]{20,}$/i;

    // A pattern that matches everything is of no route: *, /*splat, /{*splat}, (.*)
    const everything = /^\/?(\*\w*|\{\/?\*\w+\}|\(\.\*\))$/;
    const saysNothing = (pattern) => pattern.includes('*') && everything.test(pattern);

    class Route {
        constructor(method, path) {
            this.method = method;
            this.path = path;
            this.count = 0;
            this.batch = -1; // the batch whose texts hold it, at index
            this.index = 0;
        }
    }
    const other = new Route('', '(other)');
    const routes = [other];
    // method to {urls: path to Route, patterns: pattern to Route, ids: text before a place of ids to the
    // names that stand there, too}
    const methods = new Map();

    let cached = 0; // URLs of all methods
    let lastMethod = '';
    let lastFound;
    function methodOf(name) {
        if (name === lastMethod) return lastFound;
        let found = methods.get(name);
        if (found === undefined) {
            found = { urls: new Map(), patterns: new Map(), ids: new Map() };
            if (methods.size < METHODS_MAX) methods.set(name, found);
        }
        lastMethod = name;
        lastFound = found;
        return found;
    }

    // Where many texts have stood at one place of a path and most were met but once, they are ids:
    // later ones there have no routes of their own. Those that came back are names, and keep theirs.
    function findIds(of, parts) {
        let before = '';
        for (const part of parts) {
            const names = new Map(); // text to requests of the busiest route with it
            for (const [pattern, { count }] of of.patterns) {
                if (!pattern.startsWith(before)) continue;
                const name = pattern.slice(before.length).split('/', 1)[0];
                names.set(name, Math.max(names.get(name) ?? 0, count));
            }
            const often = [...names.keys()].filter((name) => names.get(name) > 1);
            if (names.size >= NAMES_MAX && often.length * 2 < names.size && !of.ids.has(before))
                of.ids.set(before, new Set(often));
            before += part + '/';
        }
    }

    function patternOf(of, path) {
        const parts = path.split('/').map(segment);
        let before = '';
        for (let i = 0; i < parts.length && of.ids.size > 0; i++) {
            if (of.ids.get(before)?.has(parts[i]) === false) parts[i] = ':id';
            before += parts[i] + '/';
        }
        const pattern = parts.join('/');
        if (of.patterns.size >= NAMES_MAX && routes.length <= ROUTES_MAX && !of.patterns.has(pattern))
            findIds(of, parts);
        return pattern;
    }

    function patternRoute(of, method, pattern) {
        let route = of.patterns.get(pattern);
        if (route === undefined) {
            if (routes.length > ROUTES_MAX) return other;
            route = new Route(method, pattern.slice(0, URL_MAX));
            routes.push(route);
            of.patterns.set(pattern, route);
        }
        return route;
    }

    function segment(part) {
        if (part.length === 0) return part;
        if (digits.test(part)) return ':n';
        if (part.length === 36 && uuid.test(part)) return ':uuid';
        if (part.length >= 12 && hash.test(part)) return ':hash';
        if (part.length >= 20 && token.test(part)) return ':id';
        return part;
    }

    function pathOf(url) {
        let end = url.length;
        for (let i = 0; i < end; i++) {
            const c = url.charCodeAt(i);
            if (c === 63 || c === 35) end = i;
        }
        return url.slice(0, end);
    }

    function plainRoute(method, url) {
        const of = methodOf(method);
        let path = pathOf(url);
        let route = of.urls.get(path);
        if (route === undefined) {
            const cacheable = path.length <= CACHED_URL_MAX;
            if (path.length > 4 * URL_MAX) path = path.slice(0, 4 * URL_MAX);
            const key = path;
            if (path.charCodeAt(0) !== 47 && path.includes('://')) // as proxies write it
                path = '/' + path.split('/').slice(3).join('/');
            route = patternRoute(of, method, patternOf(of, path));
            if (cacheable) {
                if (++cached > CACHE_MAX) {
                    for (const { urls } of methods.values()) urls.clear();
                    cached = 1;
                }
                of.urls.set(key, route);
            }
        }
        return route;
    }

    // The framework's own pattern where the request shows it: express leaves it in request.route.
    function routeOf(request, pattern) {
        const { method } = request;
        if (pattern !== '' && !saysNothing(pattern))
            return patternRoute(methodOf(method), method, pattern);
        const { route } = request;
        if (route !== undefined && route !== null && typeof route.path === 'string' &&
            !saysNothing(route.path)) {
            const { baseUrl } = request;
            if (baseUrl === '' || baseUrl === undefined)
                return patternRoute(methodOf(method), method, route.path);
            // A router may be mounted at a pattern, whose values stand in baseUrl.
            const base = String(baseUrl).split('/').map(segment).join('/');
            return patternRoute(methodOf(method), method, base + route.path);
        }
        const url = request.originalUrl ?? request.url;
        return plainRoute(method, typeof url === 'string' ? url : '');
    }

    // ---- which requests get rows ----

    let share = options.sample;
    let lots = 0x9e3779b9;
    const { match } = options;
    const matches = match ? new RegExp(match) : null;

    function isFollowed(request) {
        if (share < 1) {
            lots ^= lots << 13;
            lots ^= lots >>> 17;
            lots ^= lots << 5;
            if ((lots >>> 0) >= share * 4294967296) return false;
        }
        return matches === null || matches.test(request.method + ' ' + pathOf(request.url));
    }

    // ---- rows ----

    const rows = new Uint32Array(BATCH_ROWS * ROW);
    const bytes = Buffer.from(rows.buffer);
    let filled = 0;
    let batch = 0;
    let texts = [];
    let textIndex = new Map();
    let dropped = 0; // since the last batch
    let unread = 0; // batches that heaptap has not said to have read
    let flushTimer;

    let rss = 0;
    let rssAt = -Infinity;
    const clip = (number) => number > 4294967295 ? 4294967295 : number;

    // A busy server begins a request some microseconds after the one before has ended: the reading
    // after that one, which is half of what a row costs, is then the reading before this one.
    let spare = null;
    let spareAt = 0;
    function readHeap(at) {
        const heap = spare;
        spare = null;
        return heap !== null && at - spareAt < FRESH_MS ? heap : heapStatistics();
    }

    class Row {
        constructor(request) {
            const began = now();
            this.began = began;
            this.flight = inFlight;
            this.begun = begun;
            this.heap = readHeap(began);
            if (began - rssAt > RSS_MS) {
                rss = rssOf();
                rssAt = began;
            }
            this.rss = rss;
            this.method = request.method;
            this.url = request.url;
            this.pair = 0; // its number, if the request has heap snapshots
            this.after = null; // the reading after it, if that is taken already
            this.ended = 0; // when it had come to its end, in that case
        }
    }
    // The request has waited since its row was made.
    function reread(row) {
        row.heap = heapStatistics();
        row.began = now();
    }

    function textAt(value) {
        let index = textIndex.get(value);
        if (index === undefined) {
            index = texts.push(value) - 1;
            textIndex.set(value, index);
        }
        return index;
    }

    function write(row, route, status, flags) {
        if (filled === BATCH_ROWS) flush();
        if (filled === BATCH_ROWS) { // heaptap is behind
            dropped++;
            return;
        }
        making = true;
        if (route.batch !== batch) {
            route.batch = batch;
            route.index = texts.push(route.path) - 1;
        }
        const waited = row.after !== null;
        const ended = waited ? Math.max(epoch, row.ended) : now();
        const before = row.heap;
        const heap = waited ? row.after : heapStatistics();
        if (!waited) {
            spare = heap;
            spareAt = ended;
        }
        const at = filled++ * ROW;
        rows[at + FLAGS] = flags + row.pair * PAIR;
        rows[at + METHOD] = textAt(row.method);
        const url = options.keepQuery ? row.url : pathOf(row.url);
        rows[at + URL] = textAt(url.length > URL_MAX ? url.slice(0, URL_MAX) : url);
        rows[at + ROUTE] = route.index;
        rows[at + ENDED] = clip((ended - epoch) * 1000);
        rows[at + LASTED] = clip(((waited ? row.ended : ended) - row.began) * 1000);
        rows[at + STATUS] = status;
        rows[at + FLIGHT] = row.flight;
        // Whoever came while this one ran has shared its memory, even if it is gone again.
        rows[at + FLIGHT + 1] = begun !== row.begun && inFlight < 2 ? 2 : inFlight;
        rows[at + HEAP] = before.used_heap_size / 8;
        rows[at + HEAP + 1] = heap.used_heap_size / 8;
        rows[at + TOTAL] = before.total_heap_size / 8;
        rows[at + TOTAL + 1] = heap.total_heap_size / 8;
        rows[at + EXTERNAL] = before.external_memory / 8;
        rows[at + EXTERNAL + 1] = heap.external_memory / 8;
        rows[at + RSS] = row.rss / 1024;
        rows[at + RSS + 1] = rss / 1024;
        making = false;
        if (filled === BATCH_ROWS || stopped !== '') flush();
        else if (filled === 1) flushTimer.refresh();
    }

    let epoch = now();
    function flush() {
        if (making || filled === 0 || (unread >= options.window && stopped === '')) return;
        making = true;
        const began = now();
        const count = filled;
        try {
            send(text({
                v: 1, age: Math.round((began - epoch) * 1000), dropped, texts,
                rows: bytes.toString('base64', 0, count * ROW * 4),
            }));
            unread++;
            dropped = 0;
        } catch {
            dropped += count;
        }
        filled = 0;
        batch++;
        texts = [];
        textIndex.clear();
        epoch = now();
        making = false;
        // What is far from the average is mostly a GC, or a machine that ran something else.
        const took = Math.min((epoch - began) * 1000, 4 * flushCost);
        flushCost += (took - flushCost) / 8;
        spent += took;
    }

    // ---- what it costs ----

    let spent = 0; // microseconds of flushing in this second
    let flushCost = 200; // microseconds, averaged
    let untimed = TIMED;
    let plainCost = 0.5, rowCost = 4; // microseconds a call, averaged
    let plainCalls = 0, rowCalls = 0;
    let secondAt = now();
    let overhead = 0; // of the last full second
    function weigh() {
        const at = now();
        const wall = (at - secondAt) * 1000;
        if (wall < 900000) return;
        const plain = plainCalls * (plainCost + UNSEEN / 2);
        const ofRows = rowCalls * rowCost + spent;
        overhead = (plain + ofRows) / wall;
        const room = options.budget * wall - plain;
        if (overhead > options.budget)
            share = Math.max(options.sample / 4096, share * Math.max(0, room) / ofRows * 0.9 || 0);
        else if (share < options.sample)
            share = Math.min(options.sample, share * 2,
                ofRows > 0 ? share * room / ofRows * 0.9 : 1);
        plainCalls = rowCalls = spent = 0;
        secondAt = at;
    }

    // ---- HTTP/1 ----

    class Flow { // a connection: the request that it serves, and those pipelined behind it
        constructor() {
            this.request = null;
            this.row = null;
            this.pattern = '';
            this.rest = null;
        }
        next() {
            const behind = this.rest?.shift();
            this.request = behind ? behind.request : null;
            this.row = behind ? behind.row : null;
            this.pattern = behind ? behind.pattern : '';
        }
    }
    const flows = new Map(); // socket to Flow, until the socket's close

    function onStart(message) {
        try {
            const { request, socket } = message;
            const timed = --untimed <= 0 ? now() : 0;
            let flow = flows.get(socket);
            if (flow === undefined) {
                flow = new Flow();
                flows.set(socket, flow);
                socket.on('close', onSocketClose);
            }
            inFlight++;
            begun++;
            let row = null;
            if ((share === 1 && matches === null) || isFollowed(request))
                row = new Row(request);
            if (flow.request === null) {
                flow.request = request;
                flow.row = row;
            } else {
                (flow.rest ??= []).push({ request, row, pattern: '' });
            }
            if (row === null) plainCalls++;
            else rowCalls++;
            if (timed !== 0) timing(timed, row);
            if (pairs !== null && row !== null)
                pairs.begin(row, request, message.response, true);
        } catch (error) {
            failed(error);
        }
    }

    function timing(began, row) {
        untimed = TIMED;
        const average = row === null ? plainCost : rowCost;
        const took = Math.min(4 * average, Math.max(0.05, (now() - began) * 1000 - 0.1));
        if (row === null) plainCost += (took - plainCost) / 16;
        else rowCost += (took - rowCost) / 16;
    }

    function ended(request, row, pattern, status, flags) {
        const route = routeOf(request, pattern);
        route.count++;
        if (row !== null) {
            if (row.pair !== 0) pairs.over(row);
            write(row, route, status, flags);
        }
        inFlight--;
    }

    function onFinish(message) {
        try {
            const flow = flows.get(message.socket);
            const { request } = message;
            if (flow === undefined || flow.request !== request) return; // older than the hook
            const timed = --untimed <= 0 ? now() : 0;
            const { row, pattern } = flow;
            if (flow.rest === null) {
                flow.request = null;
                flow.row = null;
                flow.pattern = '';
            } else {
                flow.next();
            }
            ended(request, row, pattern, message.response.statusCode, 0);
            if (row === null) plainCalls++;
            else rowCalls++;
            if (timed !== 0) timing(timed, row);
        } catch (error) {
            failed(error);
        }
    }

    function onSocketClose() {
        const flow = flows.get(this);
        flows.delete(this);
        try {
            for (; flow !== undefined && flow.request !== null; flow.next()) {
                aborted++;
                ended(flow.request, flow.row, flow.pattern, 499, ABORTED);
            }
        } catch (error) {
            failed(error);
        }
    }

    // fastify tells the pattern before its handler runs.
    function onFastify(message) {
        try {
            const { request, route } = message;
            const raw = request?.raw;
            const flow = flows.get(raw?.socket);
            if (flow === undefined || typeof route?.url !== 'string') return;
            if (flow.request === raw) flow.pattern = route.url;
            else for (const behind of flow.rest ?? [])
                if (behind.request === raw) behind.pattern = route.url;
        } catch (error) {
            failed(error);
        }
    }

    // ---- HTTP/2, where the runtime has channels for it ----

    const streams = new Map(); // stream to [request, row], until its close

    function onStream(message) {
        try {
            const { stream, headers } = message;
            const method = String(headers[':method']);
            const request = { method, url: String(headers[':path'] ?? '') };
            inFlight++;
            begun++;
            const row = isFollowed(request) ? new Row(request) : null;
            streams.set(stream, [request, row]);
            if (row === null) plainCalls++;
            else rowCalls++;
            if (pairs !== null && row !== null) pairs.begin(row, request, stream, false);
        } catch (error) {
            failed(error);
        }
    }

    function onStreamClose(message) {
        try {
            const { stream } = message;
            const found = streams.get(stream);
            if (found === undefined) return;
            streams.delete(stream);
            const gone = stream.aborted || stream.rstCode !== 0;
            if (gone) aborted++;
            ended(found[0], found[1], '', gone ? 499 : Number(stream.sentHeaders?.[':status']) || 0,
                gone ? ABORTED : 0);
        } catch (error) {
            failed(error);
        }
    }

    // ---- floors: what is left after a full collection ----

    // The young generation is left out: what came between the collection and this reading is there.
    const youngSpaces = /^new_(large_object_)?space$/;
    // The engine's own: compiled code comes and goes with what runs most, and the map space of old
    // versions is counted before it is swept.
    const engineSpaces = /^(code|map|trusted|shared_trusted)_(large_object_)?space$/;
    const floors = [];
    function noteFloor() {
        if (floors.length >= FLOORS_MAX) floors.shift();
        const heap = heapStatistics();
        let young = 0;
        let engine = 0;
        for (const space of v8.getHeapSpaceStatistics())
            if (youngSpaces.test(space.space_name)) young += space.space_used_size;
            else if (engineSpaces.test(space.space_name)) engine += space.space_used_size;
        floors.push({
            at: now(), heap: heap.used_heap_size, young, engine, total: heap.total_heap_size,
            external: heap.external_memory, rss: rssOf(),
            counts: routes.map((route) => route.count),
        });
    }

    // Only a full collection takes a symbol away: it is in the old generation from the first. An
    // observer of gc entries would be called for each small one, too, of which a busy server has 40
    // a second.
    const collections = new FinalizationRegistry(() => {
        if (stopped !== '') return;
        try {
            noteFloor();
            collections.register(Symbol('heaptap'));
        } catch (error) {
            failed(error);
        }
    });
    collections.register(Symbol('heaptap'));

    // ---- heap snapshots of requests ----

    function tell(pair, step, request) {
        try {
            send(text({
                v: 1, pair, step, method: request?.method ?? '',
                url: request === undefined ? ''
                    : (options.keepQuery ? request.url : pathOf(request.url)).slice(0, URL_MAX),
            }));
        } catch (error) {
            failed(error);
        }
    }
    const pairs = pairing === undefined ? null : pairing({
        tell, now, reread, heapStatistics, later: setImmediate,
        bind: (fn) => builtin('async_hooks').AsyncResource.bind(fn),
        servers: () => [builtin('http').Server.prototype, builtin('https').Server.prototype],
    });

    // A probe's floors: V8 drops bytecode that has not run for a while, which is no news of the app.
    const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
    const keepsCode = options.keepCode && !/flush.bytecode/.test(flags);
    if (keepsCode) v8.setFlagsFromString('--no-flush-bytecode');

    // ---- life ----

    const subscriptions = [
        ['http.server.request.start', onStart],
        ['http.server.response.finish', onFinish],
        ['tracing:fastify.request.handler:start', onFastify],
        ['http2.server.stream.start', onStream],
        ['http2.server.stream.close', onStreamClose],
    ].map(([name, fn]) => [channels.channel(name), fn]);

    let silent = 0; // seconds without a beat; a stalled process does not count them
    const clock = setInterval(() => {
        weigh();
        silent++;
        pairs?.tick(silent);
        if (silent > options.expiry) hook.stop('no beat came');
    }, 1000);
    clock.unref?.();
    flushTimer = setTimeout(flush, FLUSH_MS);
    flushTimer.unref?.();

    const hook = {
        pairs,
        // What happened since the beat before; read: batches that heaptap has taken since then.
        // floor: heaptap has had garbage collected, and wants the last floor to be younger than so
        // many milliseconds; -1: it has not.
        beat(read, floor) {
            if (floor >= 0 && !(floors.length > 0 && now() - floors[floors.length - 1].at < floor))
                noteFloor();
            silent = 0;
            unread = Math.max(0, unread - read);
            const passed = pairs === null ? 0 : pairs.beat();
            flush();
            const at = now();
            const lost = dropped;
            dropped = 0;
            return text({
                v: 1, stopped, failure, blind, begun, aborted, inFlight, dropped: lost, passed, share,
                overhead,
                routes: routes.map((route) => [route.method, route.path, route.count]),
                floors: floors.splice(0).map((floor) =>
                    [Math.round((at - floor.at) * 1000), floor.heap, floor.young, floor.total,
                        floor.external, floor.rss, floor.counts, floor.engine]),
            });
        },
        stop(why) {
            if (stopped !== '') return;
            stopped = why;
            pairs?.stop();
            clearInterval(clock);
            clearTimeout(flushTimer);
            if (keepsCode) v8.setFlagsFromString('--flush-bytecode');
            for (const [channel, fn] of subscriptions) channel.unsubscribe(fn);
            for (const socket of flows.keys()) socket.removeListener('close', onSocketClose);
            flows.clear();
            streams.clear();
            methods.clear();
            if (globalThis[mark] === hook) delete globalThis[mark];
            flush();
        },
    };
    Object.defineProperty(globalThis, mark, { value: hook, configurable: true });
    for (const [channel, fn] of subscriptions) channel.subscribe(fn);
    return hook;
})
