// Runs in the target: reads its memory when asked. Called as install(expiryMs), it returns an object
// that lives as long as heaptap's session; should heaptap be killed, it ends itself expiryMs later.
// A reading is one JSON array of numbers, in the order that sampler.c names.
(function install(expiryMs) {
    'use strict';
    const builtin = process.getBuiltinModule ?? require;
    const v8 = builtin('v8');
    const { PerformanceObserver, performance } = builtin('perf_hooks');
    const { setInterval, clearInterval } = builtin('timers');
    const { memoryUsage } = process;

    const markSweepCompact = 4;
    // It has the functions, but tells no collection, no buffer and no use of its loop: all are 0.
    const isDeno = !!process.versions.deno;

    let collections = 0;
    let major = 0;
    let collectionMs = 0;
    let observer;
    if (!isDeno) try {
        observer = new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) {
                collections++;
                if (entry.detail.kind === markSweepCompact) major++;
                collectionMs += entry.duration;
            }
        });
        observer.observe({ entryTypes: ['gc'] });
    } catch {
        observer = undefined;
    }

    // How late the event loop is. Not by monitorEventLoopDelay(): its mean and its reset() walk 366
    // KB, and after reset() its next tick counts for nothing, so that a stall in which a reading
    // was taken never showed. Each tick wakes the process, so finer is not free.
    const tickMs = 200;
    let tickAt = performance.now();
    let ticks = 0;
    let lateMs = 0;
    let latestMs = 0;
    function noteLate(now) {
        const late = Math.max(0, now - tickAt - tickMs);
        ticks++;
        lateMs += late;
        if (late > latestMs) latestMs = late;
    }
    const ticker = setInterval(() => {
        const now = performance.now();
        noteLate(now);
        tickAt = now;
    }, tickMs);
    ticker.unref?.();
    let utilization; // up to the reading before; the first has none, and the time of our coming is no measure

    let beats = 0;
    let beatsSeen = -1;
    let silent = 0;
    // Twice in a row: a snapshot may have stalled the process for longer than the whole time.
    const watchdog = setInterval(() => {
        silent = beats === beatsSeen ? silent + 1 : 0;
        if (silent === 2) sampler.stop();
        beatsSeen = beats;
    }, expiryMs / 2);
    watchdog.unref?.();

    // V8 looks at this one at the beginning of each full collection. One who has started the process
    // without compaction keeps it so.
    const ownCompaction = process.execArgv.some((word) => /^--no[-_]?compact$/.test(word));
    let still = false;
    function stayStill(on) {
        if (on === still || ownCompaction) return;
        v8.setFlagsFromString(on ? '--no-compact' : '--compact');
        still = on;
    }

    // What only memoryUsage() tells, the array buffers, costs about as much as all else, because it asks
    // the system for rss too. They change when external memory does, or after a collection, which
    // frees them in a thread of its own: so it is asked then, once more after that, and now and then.
    const readingsAtMost = 16;
    let readings = 0;
    let quiet = 0; // readings since a change
    let externalSeen;
    let collectionsSeen;
    let arrayBuffers;
    const mayHaveChanged = (external) => {
        const changed = external !== externalSeen || collections !== collectionsSeen;
        externalSeen = external;
        collectionsSeen = collections;
        quiet = changed ? 0 : quiet + 1;
        return quiet < 2 || ++readings >= readingsAtMost;
    };

    // What a worker thread's heap may hold is told here only: V8's limit counts a young generation that is
    // many times larger in a small worker. Empty in the main thread.
    const { maxOldGenerationSizeMb } = builtin('worker_threads').resourceLimits ?? {};

    const sampler = {
        stayStill,
        about: () => JSON.stringify({
            spaces: v8.getHeapSpaceStatistics().map((space) => space.space_name),
            old: maxOldGenerationSizeMb === undefined ? null : maxOldGenerationSizeMb * 1048576,
        }),
        // needsRss: heaptap cannot read it itself, because the process is not of its host.
        read(needsRss) {
            beats++;
            const heap = v8.getHeapStatistics();
            let external = heap.external_memory;
            let rss = null;
            const mustAsk = needsRss || !observer || external === undefined;
            if (mayHaveChanged(external) || mustAsk) {
                ({ external, arrayBuffers, rss } = memoryUsage());
                readings = 0;
            }
            if (isDeno) arrayBuffers = null;
            let text = '[' + heap.used_heap_size + ',' + heap.total_heap_size + ',' + external + ',' +
                arrayBuffers + ',' + rss + ',' + heap.heap_size_limit + ',' +
                (observer ? collections + ',' + major + ',' + collectionMs : 'null,null,null');
            // In the middle of a stall the next tick is overdue: that is the stall so far.
            const now = performance.now();
            if (now - tickAt > tickMs) noteLate(now);
            text += ticks ? ',' + lateMs / ticks + ',' + latestMs : ',null,null';
            ticks = lateMs = latestMs = 0;
            const used = isDeno ? undefined : performance.eventLoopUtilization?.();
            text += ',' + (utilization ? performance.eventLoopUtilization(used, utilization).utilization : null);
            utilization = used;
            for (const space of v8.getHeapSpaceStatistics())
                text += ',' + space.space_used_size + ',' + space.space_size;
            return text + ']';
        },
        stop() {
            clearInterval(watchdog);
            clearInterval(ticker);
            stayStill(false);
            observer?.disconnect();
        },
    };
    return sampler;
})
