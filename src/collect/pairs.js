// Runs in the target beside requests.js, which calls pairs(hook), when requests are to have a heap
// snapshot before and after them. One request at a time has, and only when heaptap has armed it
// for the next one and its last beat is fresh. The request waits for the first snapshot and its
// response's end for the second, in one of two ways:
//   pause: the process stands still at a `debugger` statement until heaptap has it go on;
//   hold: the server's call of the app, and the app's call of end(), are put off until heaptap
//         releases them. Without beats they go on by themselves.
(function pairs(hook) {
    'use strict';
    const { tell, now, reread, heapStatistics, later, bind, servers } = hook;
    const FRESH_MS = 3000; // beats come every second
    const HELD_BEATS = 5; // missed beats after which a held request goes on

    let armed = ''; // how the next request waits; '': it does not
    let open = null; // the one pair that is on
    let chosen = null; // to be held by the call of its server's emit that comes next
    let number = 0;
    let passed = 0; // followed requests without a pair
    let beatAt = now();
    let stopped = false;

    function stand() {
        debugger; // eslint-disable-line no-debugger
    }

    class Pair {
        constructor(how, row, ender) {
            this.number = ++number;
            this.how = how;
            this.row = row;
            this.ender = ender;
            this.waiting = null; // what goes on when heaptap releases it
            this.ended = false; // the request has come to its end
        }
    }

    // The inspector may call release(), abandon() and stop() between any two calls of ours: what goes on
    // then must be known before anybody can ask for it.
    function start(how, { row, request, ender }, goOn) {
        const pair = new Pair(how, row, ender);
        pair.waiting = goOn;
        armed = '';
        open = pair;
        row.pair = pair.number;
        watchEnd(pair);
        tell(pair.number, 'before', request);
        if (stopped) abandon(pair.number);
        return pair;
    }

    // Of each followed request, as it comes. ender: whose end() ends the response.
    function begin(row, request, ender, mayBeHeld) {
        if (chosen !== null) {
            chosen = null; // its server did not call the app as servers do
            passed++;
        }
        if (armed === '' || open !== null || now() - beatAt > FRESH_MS ||
            (armed === 'hold' && !mayBeHeld)) {
            passed++;
            return;
        }
        const candidate = { row, request, ender };
        if (armed === 'hold') {
            chosen = candidate;
            return;
        }
        const pair = start('pause', candidate, null);
        stand();
        tell(pair.number, 'went');
        reread(row);
    }

    function close(pair) {
        pair.row.after = heapStatistics();
        if (open === pair) open = null;
    }

    // goOn is what ends the response, null if it has ended already.
    function end(pair, goOn) {
        const at = now();
        const waiting = pair.how === 'hold' && goOn !== null ? bind(goOn) : null;
        if (open !== pair) return goOn?.(); // it was given up meanwhile
        pair.ended = true;
        pair.waiting = waiting;
        pair.row.ended = at;
        tell(pair.number, 'after');
        if (pair.how === 'pause') {
            stand();
            tell(pair.number, 'went');
            close(pair);
            return goOn?.();
        }
        return pair.ender;
    }

    function watchEnd(pair) {
        const { ender } = pair;
        const had = Object.getOwnPropertyDescriptor(ender, 'end');
        const original = ender.end;
        function release(self, args) {
            if (ender.end === wrapper) {
                if (had === undefined) delete ender.end;
                else Object.defineProperty(ender, 'end', had);
            }
            return Reflect.apply(original, self, args);
        }
        function wrapper(...args) {
            if (pair.waiting !== null) return this; // its end waits already
            if (pair.ended || open !== pair) return release(this, args);
            return end(pair, () => release(this, args));
        }
        ender.end = wrapper;
    }

    // ---- holding ----

    let wrapped = []; // [prototype, its own emit or undefined, ours]
    function wrap() {
        if (wrapped.length > 0) return;
        for (const prototype of servers()) {
            const had = Object.getOwnPropertyDescriptor(prototype, 'emit');
            const original = prototype.emit;
            const emit = function emit(...args) {
                if (chosen === null || args[0] !== 'request' || args[1] !== chosen.request)
                    return Reflect.apply(original, this, args);
                const candidate = chosen;
                chosen = null;
                start('hold', candidate, bind(() => Reflect.apply(original, this, args)));
                return true;
            };
            Object.defineProperty(prototype, 'emit',
                { value: emit, writable: true, configurable: true, enumerable: false });
            wrapped.push([prototype, had, emit]);
        }
    }
    function unwrap() {
        for (const [prototype, had, emit] of wrapped) {
            if (prototype.emit !== emit) continue; // somebody has wrapped ours, which passes calls on
            if (had === undefined) delete prototype.emit;
            else Object.defineProperty(prototype, 'emit', had);
        }
        wrapped = [];
    }

    function release(which) {
        const pair = open;
        if (pair === null || pair.number !== which) return;
        const { waiting } = pair;
        pair.waiting = null;
        if (pair.ended) close(pair);
        else if (waiting !== null) reread(pair.row);
        // Not from here: an exception of the app's must be its own.
        if (waiting !== null) later(waiting);
    }

    // No snapshot after the request of this pair.
    function abandon(which) {
        if (open === null || open.number !== which) return;
        release(which);
        open = null;
    }

    return {
        begin,
        release,
        abandon,
        // A request that has a pair is over, whether its end() was called or not.
        over(row) {
            const pair = open;
            if (pair === null || pair.row !== row || pair.ended) return;
            pair.waiting = null; // the client has gone before the app was called
            end(pair, null);
        },
        arm(how) {
            if (how === 'hold') wrap();
            armed = how;
        },
        beat() {
            beatAt = now();
            const count = passed;
            passed = 0;
            return count;
        },
        tick(silent) {
            if (silent <= HELD_BEATS) return;
            armed = '';
            if (open !== null && open.waiting !== null) abandon(open.number);
        },
        stop() {
            armed = '';
            stopped = true;
            chosen = null;
            if (open !== null) abandon(open.number);
            unwrap();
        },
    };
})
