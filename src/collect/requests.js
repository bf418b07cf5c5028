// Runs in the target: follows its HTTP requests. Called as install(binding, options), it subscribes
// to Node's diagnostics channels, counts every request by route, and hands rows of the followed
// ones to the binding in batches. It holds no request back (pairs.js does, if it is handed over as
// a third argument) and keeps nothing alive longer than the app does. Without a beat from heaptap it
// ends itself.
//
// A batch is {"v":2,"age":microseconds,"dropped":n,"count":n,"texts":[...],"rows":"..."}; texts are
// what rows name by index. rows are whole numbers in ASCII, five bits a character, the lowest ones
// first: MORE + bits if others follow, LAST + bits if not. What can fall is written as a difference,
// twice its size, one more if it fell. A row is, each but the first against the row before it:
//   what differs: KIND, EXTERNAL and so on, added up
//   SPECIAL: 1 if the client went + twice the number of its pair of snapshots
//   KIND: method, URL, route (indices of texts), status
//   when it ended, in microseconds since the batch's beginning (difference); how long it lasted
//   FLIGHT: requests in flight before and after, if one of them is not 1
//   HEAP: heap used before, if it is not that after the row before; then heap used after (differences,
//   in words of 8 bytes; the one after always to the one before)
//   EXTERNAL: external memory before and after, in words
//   OTHER: the heap's whole size before and after, in words; RSS before and after, in KB
// requests_read.c reads it; nothing here is trusted there.
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
    const METHODS_MAX = 64, METHOD_MAX = 32; // HTTP/2 lets clients invent them
    const BATCH_ROWS = 1024;
    const BATCH_CHARS = 16384; // of rows, in a batch
    const ROW_CHARS = 128; // more than any row takes
    const TEXTS_CHARS = 32768; // of texts: with as many, a batch is full
    const FLUSH_MS = 100;
    const RSS_MS = 100;
    // A reading serves what begins and what ends until it is that old: besides the time that it takes, V8
    // gives up the area that it allocates from, which makes slower what comes next. On a busy server readings
    // are so taken at ends, and what is allocated between two of them is the last request's: the sum is right.
    const FRESH_BEGIN_MS = 0.35, FRESH_END_MS = 0.25;
    const FLOORS_MAX = 32; // between two beats
    const TIMED = 31; // one call of so many is timed; odd, to meet starts and ends alike
    // Microseconds a request that the hook cannot see of itself: publishing, and the garbage.
    const UNSEEN = 0.5;
    const UNSEEN_READING = 3; // of a reading: what V8 does slower after it

    const KIND = 1, EXTERNAL = 2, FLIGHT = 4, HEAP = 8, OTHER = 16, SPECIAL = 32;
    const LAST = 48, MORE = 95; // neither reaches a character that JSON escapes

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
            const cacheable = url.length <= CACHED_URL_MAX; // a path can be a window on its URL
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
    function routeOf(request, pattern, flow) {
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
        if (typeof url !== 'string') return plainRoute(method, '');
        if (flow === null || url.length > CACHED_URL_MAX) return plainRoute(method, url);
        if (flow.url !== url || flow.method !== method || flow.route === null) {
            flow.route = plainRoute(method, url);
            flow.method = method;
            flow.url = url;
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

    const chars = Buffer.from(new ArrayBuffer(BATCH_CHARS));
    let used = 0; // of chars
    let filled = 0; // rows
    let batch = 0;
    let texts = [];
    let textsChars = 0;
    let textIndex = new Map();
    let dropped = 0; // since the last batch
    const unread = []; // characters of each batch that heaptap has not said to have read
    let unreadChars = 0;
    let heldMost = 0; // characters that waited at the most since the last beat
    let flushTimer;

    const WORDS_MAX = 4294967295;
    const clip = (number) => number < WORDS_MAX ? number >>> 0 : WORDS_MAX;

    let rss = 0; // KB
    let rssAt = -Infinity;
    function readRss(at) {
        rss = clip(rssOf() / 1024);
        rssAt = at;
    }

    // The latest reading, in words.
    let heapUsed = 0, heapTotal = 0, external = 0;
    let readings = 0; // in this second
    let readAt = -Infinity;
    function takeReading(heap, at) {
        heapUsed = clip(heap.used_heap_size / 8);
        heapTotal = clip(heap.total_heap_size / 8);
        external = clip(heap.external_memory / 8);
        readAt = at;
        readings++;
    }

    class Row {
        constructor(request) {
            const began = now();
            const old = began - readAt >= FRESH_BEGIN_MS;
            if (old) takeReading(heapStatistics(), began);
            this.alone = old && inFlight === 1; // if nothing follows, both readings are its own
            if (began - rssAt > RSS_MS) readRss(began);
            this.began = began;
            this.flight = inFlight;
            this.begun = begun;
            this.heap = heapUsed;
            this.total = heapTotal;
            this.external = external;
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
        row.began = now();
        takeReading(heapStatistics(), row.began);
        row.heap = heapUsed;
        row.total = heapTotal;
        row.external = external;
    }

    // What the URLs of a batch are called in it, short ones by all of their text.
    function urlAt(url) {
        const known = textIndex.get(url);
        if (known !== undefined) return known;
        const path = options.keepQuery ? url : pathOf(url);
        const index = textAt(path.length > URL_MAX ? path.slice(0, URL_MAX) : path);
        if (url.length <= CACHED_URL_MAX) textIndex.set(url, index);
        return index;
    }

    function textAt(value) {
        let index = textIndex.get(value);
        if (index === undefined) {
            index = texts.push(value) - 1;
            textsChars += value.length;
            textIndex.set(value, index);
        }
        return index;
    }

    // What the row before was like; a batch's first one differs from nothing.
    const last = {
        method: '', url: '', route: null, status: 0, // url: as the request had it
        ended: 0, heap: 0, total: 0, external: 0, rss: 0,
    };
    function forget() {
        last.method = last.url = '';
        last.route = null;
        last.status = last.ended = last.heap = last.total = last.external = last.rss = 0;
    }

    let at = 0; // where the row that is being made has come to
    function put(number) {
        while (number >= 0x40000000) {
            chars[at++] = MORE + number % 32;
            number = Math.floor(number / 32);
        }
        let small = number | 0;
        while (small > 31) {
            chars[at++] = MORE + (small & 31);
            small >>= 5;
        }
        chars[at++] = LAST + small;
    }
    const putDifference = (number) => put(number < 0 ? -2 * number + 1 : 2 * number);

    function putKind(row, route, status) {
        if (route.batch !== batch) {
            route.batch = batch;
            route.index = texts.push(route.path) - 1;
            textsChars += route.path.length;
        }
        put(textAt(row.method));
        put(urlAt(row.url));
        put(route.index);
        put(status);
    }

    const isFull = () =>
        filled === BATCH_ROWS || used > BATCH_CHARS - ROW_CHARS || textsChars > TEXTS_CHARS;

    function write(row, route, code, aborted) {
        if (isFull()) {
            flush();
            if (isFull()) { // heaptap is behind
                dropped++;
                return;
            }
        }
        making = true;
        let ended = row.ended;
        if (row.after === null) {
            ended = now();
            if ((row.alone && begun === row.begun) || ended - readAt >= FRESH_END_MS)
                takeReading(heapStatistics(), ended);
        } else {
            takeReading(row.after, -Infinity);
        }
        // Whoever came while this one ran has shared its memory, even if it is gone again.
        const flight = begun !== row.begun && inFlight < 2 ? 2 : inFlight;
        const endedAt = clip(Math.max(0, ended - epoch) * 1000);
        const status = code > 0 && code < 1000 ? code >>> 0 : 0;
        const special = aborted ? 1 + 2 * row.pair : 2 * row.pair;
        const differs =
            (route === last.route && status === last.status && row.url === last.url &&
                row.method === last.method ? 0 : KIND) +
            (row.external === last.external && external === last.external ? 0 : EXTERNAL) +
            (row.flight === 1 && flight === 1 ? 0 : FLIGHT) +
            (row.heap === last.heap ? 0 : HEAP) +
            (row.total === last.total && heapTotal === last.total && row.rss === last.rss &&
                rss === last.rss ? 0 : OTHER) +
            (special === 0 ? 0 : SPECIAL);
        at = used;
        put(differs);
        if (differs & SPECIAL) put(special);
        if (differs & KIND) putKind(row, route, status);
        putDifference(endedAt - last.ended);
        put(clip((ended - row.began) * 1000));
        if (differs & FLIGHT) {
            put(row.flight);
            put(flight);
        }
        if (differs & HEAP) putDifference(row.heap - last.heap);
        putDifference(heapUsed - row.heap);
        if (differs & EXTERNAL) {
            putDifference(row.external - last.external);
            putDifference(external - row.external);
        }
        if (differs & OTHER) {
            putDifference(row.total - last.total);
            putDifference(heapTotal - row.total);
            putDifference(row.rss - last.rss);
            putDifference(rss - row.rss);
        }
        if (differs & KIND) {
            last.method = row.method;
            last.url = row.url;
            last.route = route;
            last.status = status;
        }
        last.ended = endedAt;
        last.heap = heapUsed;
        last.total = heapTotal;
        last.external = external;
        last.rss = rss;
        used = at;
        filled++;
        making = false;
        if (stopped !== '' || isFull()) flush();
        else if (filled === 1) flushTimer.refresh();
    }

    let epoch = now();
    const waiting = () => unreadChars + used + textsChars;
    function flush() {
        if (making || filled === 0 || (unreadChars >= options.window && stopped === '')) return;
        making = true;
        const began = now();
        const count = filled;
        heldMost = Math.max(heldMost, waiting());
        try {
            const payload = text({
                v: 2, age: Math.round((began - epoch) * 1000), dropped, count, texts,
                rows: chars.toString('latin1', 0, used),
            });
            send(payload);
            unreadChars += payload.length;
            unread.push(payload.length);
            dropped = 0;
        } catch {
            dropped += count;
        }
        filled = used = textsChars = 0;
        batch++;
        texts = [];
        textIndex.clear();
        forget();
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
        const ofRows = rowCalls * rowCost + spent + readings * UNSEEN_READING;
        overhead = (plain + ofRows) / wall;
        const room = options.budget * wall - plain;
        if (overhead > options.budget)
            share = Math.max(options.sample / 4096, share * Math.max(0, room) / ofRows * 0.9 || 0);
        else if (share < options.sample)
            share = Math.min(options.sample, share * 2,
                ofRows > 0 ? share * room / ofRows * 0.9 : 1);
        plainCalls = rowCalls = readings = spent = 0;
        secondAt = at;
    }

    // ---- HTTP/1 ----

    class Flow { // a connection: the request that it serves, and those pipelined behind it
        constructor() {
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
            ended(request, row, routeOf(request, pattern, flow), message.response.statusCode, false);
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
            for (const length of unread.splice(0, read)) unreadChars -= length;
            const passed = pairs === null ? 0 : pairs.beat();
            flush();
            const at = now();
            const lost = dropped;
            dropped = 0;
            const held = Math.max(heldMost, waiting());
            heldMost = 0;
            return text({
                v: 1, stopped, failure, blind, begun, aborted, inFlight, dropped: lost, passed, share,
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
