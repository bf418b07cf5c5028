// Runs in the target as a part of requests.js, which calls pack(hook): keeps rows of requests as plain
// numbers while the app runs, and hands them to the binding in batches. The text of a batch is made at once:
// row by row, between what the app does, the code for it is never in the processor's caches.
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
(function pack(hook) {
    'use strict';
    const { now, text, send, pathOf, clip, memory, Buffer, later, never, options } = hook;
    const { urlMax, cachedUrlMax, keepQuery, window } = options;

    const BATCH_ROWS = 1024;
    const TEXTS_CHARS = 32768; // of texts: with as many, a batch is full
    const FLUSH_MS = 100;
    const CHARS = 16384; // of rows that are made into a text at once
    const ROW_CHARS = 128; // more than any row takes

    const KIND = 1, EXTERNAL = 2, FLIGHT = 4, HEAP = 8, OTHER = 16, SPECIAL = 32;
    const LAST = 48, MORE = 95; // neither reaches a character that JSON escapes

    // Each row's numbers, FIELDS a row.
    const FIELDS = 16;
    const NUMBER_BYTES = 4;
    const kept = new Uint32Array(BATCH_ROWS * FIELDS);
    let filled = 0; // rows
    let batch = 0;
    let texts = [];
    let textsChars = 0;
    const textIndex = new Map();
    let kinds = []; // method, URL, route (indices of texts) and status of each kind of rows
    let dropped = 0; // since the last batch
    const unread = []; // characters of each batch that heaptap has not said to have read
    let unreadChars = 0;
    let heldMost = 0; // characters that waited at the most since the last beat
    let epoch = now();
    let spent = 0; // microseconds of flushing in this second
    let flushCost = 200; // microseconds, averaged
    // The inspector may call beat() and stop() between any two steps of ours: a row or a batch is being
    // made, and must not be sent.
    let making = false;
    let stopped = false;

    // What the URLs of a batch are called in it, short ones by all of their text.
    function urlAt(url) {
        const known = textIndex.get(url);
        if (known !== undefined) return known;
        const path = keepQuery ? url : pathOf(url);
        const index = textAt(path.length > urlMax ? path.slice(0, urlMax) : path);
        if (url.length <= cachedUrlMax) textIndex.set(url, index);
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

    // The kind of the row before, which the next one mostly has, too. url: as the request had it.
    const last = { kind: -1, method: '', url: '', route: null, status: 0 };
    function newKind(row, route, status) {
        if (route.batch !== batch) {
            route.batch = batch;
            route.index = texts.push(route.path) - 1;
            textsChars += route.path.length;
        }
        kinds.push(textAt(row.method), urlAt(row.url), route.index, status);
        last.kind++;
        last.method = row.method;
        last.url = row.url;
        last.route = route;
        last.status = status;
    }

    const isFull = () => filled === BATCH_ROWS || textsChars > TEXTS_CHARS;

    // special: 1 if the client went + twice the number of its pair of snapshots; memory: as it is after.
    function add(row, route, status, special, ended, flight) {
        making = true;
        if (route !== last.route || status !== last.status || row.url !== last.url ||
            row.method !== last.method)
            newKind(row, route, status);
        const at = filled * FIELDS;
        kept[at] = last.kind;
        kept[at + 1] = special;
        kept[at + 2] = clip(Math.max(0, ended - epoch) * 1000);
        kept[at + 3] = clip((ended - row.began) * 1000);
        kept[at + 4] = row.flight;
        kept[at + 5] = flight;
        kept[at + 6] = row.heap;
        kept[at + 7] = memory.heap;
        kept[at + 8] = row.external;
        kept[at + 9] = memory.external;
        kept[at + 10] = row.total;
        kept[at + 11] = memory.total;
        kept[at + 12] = row.rss;
        kept[at + 13] = memory.rss;
        filled++;
        making = false;
        if (stopped || isFull()) flush();
        else if (filled === 1) flushTimer.refresh();
    }

    // ---- the text of a batch ----

    const chars = Buffer.from(new ArrayBuffer(CHARS));
    let used = 0; // of chars
    function put(number) {
        while (number >= 0x40000000) {
            chars[used++] = MORE + number % 32;
            number = Math.floor(number / 32);
        }
        let small = number | 0;
        while (small > 31) {
            chars[used++] = MORE + (small & 31);
            small >>= 5;
        }
        chars[used++] = LAST + small;
    }
    const putDifference = (number) => put(number < 0 ? -2 * number + 1 : 2 * number);
    function putSides(at, before) {
        putDifference(kept[at] - before);
        putDifference(kept[at + 1] - kept[at]);
    }
    const same = (at, before) => kept[at] === before && kept[at + 1] === before;

    // before: the row before at its side after; a batch's first one differs from nothing.
    function putRow(at, before) {
        const kind = kept[at], special = kept[at + 1];
        const differs =
            (kind === before.kind ? 0 : KIND) +
            (same(at + 8, before.external) ? 0 : EXTERNAL) +
            (same(at + 4, 1) ? 0 : FLIGHT) +
            (kept[at + 6] === before.heap ? 0 : HEAP) +
            (same(at + 10, before.total) && same(at + 12, before.rss) ? 0 : OTHER) +
            (special === 0 ? 0 : SPECIAL);
        put(differs);
        if (differs & SPECIAL) put(special);
        if (differs & KIND) for (let i = 0; i < 4; i++) put(kinds[4 * kind + i]);
        putDifference(kept[at + 2] - before.ended);
        put(kept[at + 3]);
        if (differs & FLIGHT) {
            put(kept[at + 4]);
            put(kept[at + 5]);
        }
        if (differs & HEAP) putDifference(kept[at + 6] - before.heap);
        putDifference(kept[at + 7] - kept[at + 6]);
        if (differs & EXTERNAL) putSides(at + 8, before.external);
        if (differs & OTHER) {
            putSides(at + 10, before.total);
            putSides(at + 12, before.rss);
        }
        before.kind = kind;
        before.ended = kept[at + 2];
        before.heap = kept[at + 7];
        before.external = kept[at + 9];
        before.total = kept[at + 11];
        before.rss = kept[at + 13];
    }

    function textOfRows() {
        const before = { kind: -1, ended: 0, heap: 0, external: 0, total: 0, rss: 0 };
        let made = '';
        used = 0;
        for (let i = 0; i < filled; i++) {
            putRow(i * FIELDS, before);
            if (used > CHARS - ROW_CHARS) {
                made += chars.toString('latin1', 0, used);
                used = 0;
            }
        }
        return made + chars.toString('latin1', 0, used);
    }

    // ---- batches ----

    const waiting = () => unreadChars + filled * FIELDS * NUMBER_BYTES + textsChars;
    function flush() {
        if (making || filled === 0 || (unreadChars >= window && !stopped)) return;
        making = true;
        const began = now();
        const count = filled;
        heldMost = Math.max(heldMost, waiting());
        try {
            const payload = text({
                v: 2, age: Math.round((began - epoch) * 1000), dropped, count, texts, rows: textOfRows(),
            });
            send(payload);
            unreadChars += payload.length;
            unread.push(payload.length);
            dropped = 0;
        } catch {
            dropped += count;
        }
        filled = textsChars = 0;
        batch++;
        texts = [];
        textIndex.clear();
        kinds = [];
        last.kind = -1;
        last.route = null;
        last.method = last.url = '';
        epoch = now();
        making = false;
        // What is far from the average is mostly a GC, or a machine that ran something else.
        const took = Math.min((epoch - began) * 1000, 4 * flushCost);
        flushCost += (took - flushCost) / 8;
        spent += took;
    }
    const flushTimer = later(flush, FLUSH_MS);
    flushTimer.unref?.();

    return {
        add,
        // False: heaptap is behind, and the row is counted as lost.
        hasRoom() {
            if (isFull()) {
                flush();
                if (isFull()) {
                    dropped++;
                    return false;
                }
            }
            return true;
        },
        rest() { making = false; }, // after an exception
        spent() {
            const before = spent;
            spent = 0;
            return before;
        },
        beat(read) {
            for (const length of unread.splice(0, read)) unreadChars -= length;
            flush();
            const told = { dropped, held: Math.max(heldMost, waiting()) };
            dropped = heldMost = 0;
            return told;
        },
        stop() {
            stopped = true;
            never(flushTimer);
            flush();
        },
    };
})
