// Runs in the target: follows its HTTP requests. Called as install(binding, options, packing), it
// subscribes to Node's diagnostics channels, counts every request by route, and has rows of the
// followed ones handed to the binding (request_rows.js, the third argument). It holds no request back
// (pairs.js does, if it is handed over as a fourth one) and keeps nothing alive longer than the app
// does. Without a beat from heaptap it ends itself.
(function install(binding, options, packing, pairing) {
    'use strict';
    const builtin = process.getBuiltinModule ?? require;
    const channels = builtin('diagnostics_channel');
    const v8 = builtin('v8');
    const { performance } = builtin('perf_hooks');
    const { setInterval, clearInterval, setTimeout, clearTimeout, setImmediate } = builtin('timers');
    const now = performance.now.bind(performance);
    const rssOf = process.memoryUsage.rss;
    const heapStatistics = v8.getHeapStatistics;
    const text = JSON.stringify;

    const ROUTES_MAX = 200; // more routes than that are one route to a reader
    // Paths whose route is remembered; few, for with ids in them they are garbage that we keep.
    const CACHE_MAX = 256;
    const CACHED_URL_MAX = 128; // characters of such a path
    const NAMES_MAX = 50; // texts at one place of paths, from which on they may be ids
    const NAME_TIMES = 8, MET_MAX = 256; // requests that make a name there; texts that are counted
    const URL_MAX = 512;
    const METHODS_MAX = 64, METHOD_MAX = 32; // HTTP/2 lets clients invent them
    const RSS_MS = 100;
    // A reading serves what ends until it is that old, and what begins a bit longer: besides the time that it
    // takes, what runs next is slower, for V8 gives up the area that it allocates from. Where more than one
    // request ends in that time a reading serves longer the more there are. On a busy server readings are so
    // taken at ends, and what is allocated between two of them is the last request's: the sum is right.
    const FRESH_MS = 0.25, FRESH_MOST_MS = 1, FRESH_ADDED_MS = 0.1;
    const FLOORS_MAX = 32; // between two beats
    const TIMED = 31; // one call of so many is timed; odd, to meet starts and ends alike
    // Microseconds a request that the hook cannot see of itself: publishing, and the garbage.
    const UNSEEN = 0.5;
    const UNSEEN_READING = 3; // of a reading: what V8 does slower after it

    const mark = Symbol.for('heaptap.requests');
    const send = globalThis[binding];
    if (typeof send !== 'function') throw new Error('globalThis takes no binding: is it frozen?');
    delete globalThis[binding];
    globalThis[mark]?.stop('another heaptap follows the requests of this process now');

    let stopped = '', stoppedAt = 0;
    let inFlight = 0;
    let begun = 0;
    let aborted = 0;
    let failure = ''; // the first exception of ours: it must not reach the app
    function failed(error) {
        rows.rest();
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
            this.batch = -1; // the batch whose texts hold it, at index (request_rows.js)
            this.index = 0;
        }
    }
    const other = new Route('', '(other)');
    const routes = [other];
    // method to {urls: path to Route, patterns: pattern to Route, ids: text before a place of ids to a
    // Place}
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

    let folded = false; // the last route may be another one the next time: not to be remembered
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
            if (names.size >= NAMES_MAX && often.length * 2 < names.size && !of.ids.has(before)) {
                of.ids.set(before, new Place(often));
                of.urls.clear(); // ids among them, and the one that is asked for
                folded = true;
            }
            before += part + '/';
        }
    }

    class Place { // of ids, and of names beside them
        constructor(names) {
            this.names = new Set(names);
            this.more = NAMES_MAX; // names that may come
            this.seen = 0; // requests with other texts there
            this.met = new Map(); // the latest of those to their requests
        }
        // One that stands for a fair share of the requests is a name, too, from then on.
        isName(name, counts) {
            if (this.names.has(name)) return true;
            this.seen++;
            if (!counts || this.more === 0) return false;
            const times = (this.met.get(name) ?? 0) + 1;
            this.met.delete(name);
            if (times >= NAME_TIMES && times * NAMES_MAX >= this.seen) {
                this.more--;
                return this.names.add(name).has(name);
            }
            if (this.met.size === MET_MAX) this.met.delete(this.met.keys().next().value);
            this.met.set(name, times);
            return false;
        }
    }
    function patternOf(of, path, counts) {
        const parts = path.split('/').map(segment);
        let before = '';
        for (let i = 0; i < parts.length && of.ids.size > 0; i++) {
            if (of.ids.get(before)?.isName(parts[i], counts) === false) {
                parts[i] = ':id';
                folded = true;
            }
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
        folded = false;
        if (route === undefined) {
            const cacheable = url.length <= CACHED_URL_MAX; // a path can be a window on its URL
            if (path.length > 4 * URL_MAX) path = path.slice(0, 4 * URL_MAX);
            const key = path;
            if (path.charCodeAt(0) !== 47 && path.includes('://')) // as proxies write it
                path = '/' + path.split('/').slice(3).join('/');
            route = patternRoute(of, method, patternOf(of, path, cacheable));
            if (cacheable && !folded) {
                if (++cached > CACHE_MAX) {
                    for (const { urls } of methods.values()) urls.clear();
                    cached = 1;
                }
                of.urls.set(key, route);
            }
        }
        return route;
    }

    // express gives each request and response another prototype, which V8 answers with a map of its own: a
    // named property is then looked up by the runtime, one by a key that varies is not.
    const read = (object, key) => object[key];

    // The framework's own pattern where the request shows it: express leaves it in request.route.
    function routeOf(request, pattern, flow) {
        const method = read(request, 'method');
        if (pattern !== '' && !saysNothing(pattern))
            return patternRoute(methodOf(method), method, pattern);
        const route = read(request, 'route');
        if (route !== undefined && route !== null && typeof route.path === 'string' &&
            !saysNothing(route.path)) {
            const baseUrl = read(request, 'baseUrl');
            if (baseUrl === '' || baseUrl === undefined)
                return patternRoute(methodOf(method), method, route.path);
            // A router may be mounted at a pattern, whose values stand in baseUrl.
            const base = String(baseUrl).split('/').map(segment).join('/');
            return patternRoute(methodOf(method), method, base + route.path);
        }
        const url = read(request, 'originalUrl') ?? read(request, 'url');
        if (typeof url !== 'string') return plainRoute(method, '');
        if (flow === null || url.length > CACHED_URL_MAX) return plainRoute(method, url);
        if (flow.url !== url || flow.method !== method || flow.route === null) {
            const route = plainRoute(method, url);
            flow.route = folded ? null : route;
            flow.method = method;
            flow.url = url;
            return route;
        }
        return flow.route;
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

    const WORDS_MAX = 4294967295;
    const clip = (number) => number < WORDS_MAX ? number >>> 0 : WORDS_MAX;

    // The latest readings: of the heap in words, RSS in KB.
    const memory = { heap: 0, total: 0, external: 0, rss: 0 };
    const rows = packing({
        now, text, send, pathOf, clip, memory, later: setTimeout, never: clearTimeout,
        Buffer: builtin('buffer').Buffer,
        options: { ...options, urlMax: URL_MAX, cachedUrlMax: CACHED_URL_MAX },
    });

    let rssAt = -Infinity;
    function readRss(at) {
        memory.rss = clip(rssOf() / 1024);
        rssAt = at;
    }

    let readings = 0; // in this second
    let readAt = -Infinity;
    let served = 0; // requests that have ended since
    function takeReading(heap, at) {
        memory.heap = clip(heap.used_heap_size / 8);
        memory.total = clip(heap.total_heap_size / 8);
        memory.external = clip(heap.external_memory / 8);
        readAt = at;
        readings++;
        served = 0;
    }
    const isOld = (age) => age >= FRESH_MS &&
        (age * age >= FRESH_MS * FRESH_MS * served || age >= FRESH_MOST_MS);

    class Row {
        constructor(request) {
            const began = now();
            const old = isOld(began - readAt - FRESH_ADDED_MS);
            if (old) takeReading(heapStatistics(), began);
            this.alone = old && inFlight === 1; // if nothing follows, both readings are its own
            if (began - rssAt > RSS_MS) readRss(began);
            this.began = began;
            this.flight = inFlight;
            this.begun = begun;
            this.heap = memory.heap;
            this.total = memory.total;
            this.external = memory.external;
            this.rss = memory.rss;
            this.method = request.method;
            this.url = request.url;
            this.pair = 0; // its number, if the request has heap snapshots
            this.after = null; // the reading after it, if that is taken already
            this.ended = 0; // when it had come to its end, in that case
        }
    }
    // The request has waited since its row was made.
    function reread(row) {
        row.began = now();
        takeReading(heapStatistics(), row.began);
        row.heap = memory.heap;
        row.total = memory.total;
        row.external = memory.external;
    }

    function write(row, route, code, aborted) {
        if (!rows.hasRoom()) return;
        let ended = row.ended;
        if (row.after === null) {
            ended = now();
            served++;
            if ((row.alone && begun === row.begun) || isOld(ended - readAt))
                takeReading(heapStatistics(), ended);
        } else {
            takeReading(row.after, -Infinity);
        }
        // Whoever came while this one ran has shared its memory, even if it is gone again.
        const flight = begun !== row.begun && inFlight < 2 ? 2 : inFlight;
        const status = code > 0 && code < 1000 ? code >>> 0 : 0;
        rows.add(row, route, status, aborted ? 1 + 2 * row.pair : 2 * row.pair, ended, flight);
    }

    // ---- what it costs ----

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
        const ofRows = rowCalls * rowCost + rows.spent() + readings * UNSEEN_READING;
        overhead = (plain + ofRows) / wall;
        const room = options.budget * wall - plain;
        if (overhead > options.budget)
            share = Math.max(options.sample / 4096, share * Math.max(0, room) / ofRows * 0.9 || 0);
        else if (share < options.sample)
            share = Math.min(options.sample, share * 2,
                ofRows > 0 ? share * room / ofRows * 0.9 : 1);
        plainCalls = rowCalls = readings = 0;
        secondAt = at;
    }

    // ---- HTTP/1 ----

    class Flow { // a connection: the request that it serves, and those pipelined behind it
        constructor(socket) {
            this.socket = new WeakRef(socket);
            this.request = null;
            this.row = null;
            this.pattern = '';
            this.rest = null;
            // Of the request before, if its route was that of its path: clients repeat themselves.
            this.method = '';
            this.url = '';
            this.route = null;
        }
        next() {
            const behind = this.rest?.shift();
            this.request = behind ? behind.request : null;
            this.row = behind ? behind.row : null;
            this.pattern = behind ? behind.pattern : '';
        }
    }
    // Socket to Flow, until the socket's close. What heaptap holds would stand on the ways to what the app
    // holds, in a snapshot: a server hangs on each of its sockets.
    const flows = new WeakMap();
    const sockets = new Set(); // WeakRefs

    function onStart(message) {
        try {
            const { request, socket } = message;
            const timed = --untimed <= 0 ? now() : 0;
            let flow = flows.get(socket);
            if (flow === undefined) {
                flow = new Flow(socket);
                flows.set(socket, flow);
                sockets.add(flow.socket);
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

    function ended(request, row, route, status, gone) {
        route.count++;
        if (row !== null) {
            if (row.pair !== 0) pairs.over(row);
            write(row, route, status, gone);
        }
        inFlight--;
    }

    function onFinish(message) {
        try {
            const { request, socket } = message;
            const flow = flows.get(socket);
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
            const status = read(message.response, 'statusCode');
            ended(request, row, routeOf(request, pattern, flow), status, false);
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
        sockets.delete(flow?.socket);
        try {
            for (; flow !== undefined && flow.request !== null; flow.next()) {
                aborted++;
                ended(flow.request, flow.row, routeOf(flow.request, flow.pattern, flow), 499, true);
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
            const method = String(headers[':method']).slice(0, METHOD_MAX);
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
            const [request, row] = found;
            ended(request, row, routeOf(request, '', null),
                gone ? 499 : Number(stream.sentHeaders?.[':status']) || 0, gone);
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

    const hook = {
        pairs,
        // What happened since the beat before; read: batches that heaptap has taken since then.
        // floor: heaptap has had garbage collected, and wants the last floor to be younger than so
        // many milliseconds; -1: it has not.
        beat(read, floor) {
            if (floor >= 0 && !(floors.length > 0 && now() - floors[floors.length - 1].at < floor))
                noteFloor();
            silent = 0;
            const passed = pairs === null ? 0 : pairs.beat();
            const { dropped, held } = rows.beat(read);
            const at = now();
            return text({
                v: 1, stopped, over: stopped === '' ? 0 : Math.round(at - stoppedAt), failure, blind, begun, aborted, inFlight, dropped, passed, share,
                overhead, held,
                routes: routes.map((route) => [route.method, route.path, route.count]),
                floors: floors.splice(0).map((floor) =>
                    [Math.round((at - floor.at) * 1000), floor.heap, floor.young, floor.total,
                        floor.external, floor.rss, floor.counts, floor.engine]),
            });
        },
        stop(why) {
            if (stopped !== '') return;
            stopped = why;
            stoppedAt = now();
            pairs?.stop();
            clearInterval(clock);
            if (keepsCode) v8.setFlagsFromString('--flush-bytecode');
            for (const [channel, fn] of subscriptions) channel.unsubscribe(fn);
            for (const socket of sockets) socket.deref()?.removeListener('close', onSocketClose);
            sockets.clear();
            streams.clear();
            methods.clear();
            if (globalThis[mark] === hook) delete globalThis[mark];
            rows.stop();
        },
    };
    Object.defineProperty(globalThis, mark, { value: hook, configurable: true });
    for (const [channel, fn] of subscriptions) channel.subscribe(fn);
    return hook;
})
