/* The guard's arithmetic. Figures are those measured on Node 18 to 26 with heaps of 50 to 1000 MB
 * (docs/guard.md); where runs differ, the worst of a quiet machine and some more. */
#include "collect/guard.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Small objects, the densest heap there is: 35 to 36 bytes a node on all versions. */
#define BYTES_A_NODE 36
/* V8's tables and entries: 404 to 478 bytes a node of small objects, 633 of Maps; the text of
 * strings is there twice more, in the snapshot and as JSON that waits to be sent (2.7 bytes a byte
 * of a heap of long strings). */
#define MEMORY_A_NODE 480
#define MEMORY_A_BYTE 2.5
/* Of small objects 68 to 80; longer names and strings are bounded by the heap itself. */
#define FILE_A_NODE 80
#define FILE_A_BYTE 1.0
/* 2.6 us at 1.5 million nodes, 3.5 at 5 million, 5.3 at 27 million on V8 11.3 (its tables outgrow
 * the caches); three fifths of that from V8 12 on. */
#define NS_A_NODE      2900
#define NS_A_DOUBLING  650 /* more for each doubling beyond: */
#define NODES_AT_BASE  1500000
#define FAST_SHARE     0.65
#define NS_A_TEXT_BYTE 30 /* of long strings (what small objects do not explain): to send them */
/* A snapshot takes that many times one walk of the heap, with which a count begins. */
#define WALKS_SLOW 10
#define WALKS_FAST 7
#define WALK_TRUST 4
/* A count is two walks of the heap, with the event loop in between; one takes 170 to 350 ns a node
 * on a quiet host. */
#define COUNT_NS_A_NODE     450
#define COUNT_MEMORY_A_NODE 110
/* A full garbage collection: about 1 ms a MB, twice that on a busy host. */
#define COLLECT_NS_A_BYTE 2

/* On a host with more work than processors everything takes that much longer: five runnable
 * processes a processor made it four to six times as long. */
#define LOAD_MAX 8

#define HISTORY_MARGIN 1.2
#define STRETCHED      2.0 /* a history of less than half the heap says little of the rest */
#define ALIKE          1.25
#define COUNT_FROM     (64 * 1024 * 1024LL)
#define COUNT_FRESH_US (10 * 60 * 1000000LL)
#define COMPRESSION    4 /* zstd makes snapshots 6 to 12 times smaller */
/* Of the old generation's limit. A snapshot begins with two to seven full collections; above 80 %
 * V8 calls a slow one ineffective and ends the process at the fourth in a row. */
#define HEAP_TIGHT 0.80 /* twice the pause */
#define HEAP_FULL  0.90

#define RETRY_DOUBLINGS 6
#define RETRY_MAX_US    (3600 * 1000000LL)

const char *guard_answer_name(enum guard_answer answer)
{
    static const char *const names[] = {"go", "degrade", "refuse", "forced"};
    return names[answer];
}

int64_t guard_rest_us(int64_t pause_us, double share)
{
    return share <= 0 ? INT64_MAX / 4 : (int64_t)((double)pause_us * (1 / share - 1));
}

int64_t guard_retry_us(int64_t interval_us, int64_t refusals)
{
    int64_t wait_us = interval_us;
    for (int64_t i = 1; i < refusals && i <= RETRY_DOUBLINGS && wait_us < RETRY_MAX_US; i++)
        wait_us *= 2;
    return wait_us < RETRY_MAX_US       ? wait_us
           : interval_us < RETRY_MAX_US ? RETRY_MAX_US
                                        : interval_us;
}

/* ---- the forecast ---- */

static int64_t scaled(int64_t value, double factor)
{
    return (int64_t)((double)value * factor);
}

static int64_t used_of(const struct guard_facts *f)
{
    return f->heap_used > 0 ? f->heap_used : 0;
}

static bool fills_heap(const struct guard_facts *f, double share)
{
    return f->heap_limit > 0 && (double)used_of(f) >= share * (double)f->heap_limit;
}

static int64_t under_load(const struct guard_facts *f, int64_t us)
{
    if (f->load <= 1)
        return us;
    return scaled(us, f->load < LOAD_MAX ? f->load : LOAD_MAX);
}

static int64_t pause_of_nodes(const struct guard_facts *f, int64_t nodes)
{
    double doublings = nodes > NODES_AT_BASE ? log2((double)nodes / NODES_AT_BASE) : 0;
    double ns = (double)nodes * (NS_A_NODE + NS_A_DOUBLING * doublings);
    if (f->fast_engine)
        ns *= FAST_SHARE;
    int64_t text = used_of(f) - nodes * BYTES_A_NODE;
    if (text > 0)
        ns += (double)text * NS_A_TEXT_BYTE;
    return (int64_t)(ns / 1000);
}

static int64_t memory_of_nodes(const struct guard_facts *f, int64_t nodes)
{
    return nodes * MEMORY_A_NODE + scaled(used_of(f), MEMORY_A_BYTE);
}

static int64_t file_of_nodes(const struct guard_facts *f, int64_t nodes)
{
    int64_t by_nodes = nodes * FILE_A_NODE;
    int64_t by_bytes = scaled(used_of(f), FILE_A_BYTE);
    return by_nodes > by_bytes ? by_nodes : by_bytes + nodes * FILE_A_NODE / 4;
}

/* The nodes that a heap of known size and nodes has by now: what is new may be of the densest kind,
 * what is gone was like the rest. */
static int64_t grown_nodes(int64_t nodes, int64_t used_then, int64_t used_now)
{
    if (used_now >= used_then)
        return nodes + (used_now - used_then) / BYTES_A_NODE;
    return scaled(nodes, (double)used_now / (double)used_then);
}

static void forecast_by_history(const struct guard_facts *f, struct guard_forecast *out)
{
    const struct guard_history *h = &f->history;
    out->by = "history";
    out->nodes = grown_nodes(h->nodes, h->heap_used, used_of(f));
    double factor = h->nodes > 0 ? (double)out->nodes / (double)h->nodes * HISTORY_MARGIN : 1;
    out->pause_us = scaled(h->pause_us, factor);
    out->memory = h->memory > 0 ? scaled(h->memory, factor) : memory_of_nodes(f, out->nodes);
    out->disk_bytes =
        h->file_bytes > 0 ? scaled(h->file_bytes, factor) : file_of_nodes(f, out->nodes);
}

static void forecast_by_count(const struct guard_facts *f, struct guard_forecast *out)
{
    const struct guard_count *c = &f->count;
    out->by = "count";
    out->nodes = grown_nodes(c->nodes, c->heap_used, used_of(f));
    int64_t by_rate = pause_of_nodes(f, out->nodes);
    int64_t by_walk = scaled(c->stall_us * (f->fast_engine ? WALKS_FAST : WALKS_SLOW),
        (double)out->nodes / (double)c->nodes);
    if (by_walk > WALK_TRUST * by_rate) /* it had to wait for the program's own work first */
        by_walk = WALK_TRUST * by_rate;
    out->pause_us = by_walk > by_rate ? by_walk : by_rate;
    out->memory = memory_of_nodes(f, out->nodes);
    out->disk_bytes = file_of_nodes(f, out->nodes);
}

static void forecast_by_rule(const struct guard_facts *f, struct guard_forecast *out)
{
    out->by = "rule";
    out->nodes = used_of(f) / BYTES_A_NODE;
    out->pause_us = pause_of_nodes(f, out->nodes);
    out->pause_us = under_load(f, out->pause_us); /* which counts and captures feel themselves */
    out->memory = memory_of_nodes(f, out->nodes);
    out->disk_bytes = file_of_nodes(f, out->nodes);
}

/* Whether the count still tells of the heap there is. A capture clears it, so it is always younger
 * than the history of this target. */
static bool count_holds(const struct guard_facts *f)
{
    const struct guard_count *c = &f->count;
    return c->nodes > 0 && c->heap_used > 0 && c->age_us < COUNT_FRESH_US;
}

/* Another run of the same program tells of this one while their heaps are alike. */
static bool history_holds(const struct guard_facts *f)
{
    const struct guard_history *h = &f->history;
    double growth = h->heap_used > 0 ? (double)used_of(f) / (double)h->heap_used : 0;
    return h->of_earlier_run ? growth >= 1 / ALIKE && growth <= ALIKE : h->heap_used > 0;
}

static void forecast(
    const struct guard_facts *f, const struct guard_limits *l, struct guard_forecast *out)
{
    if (count_holds(f))
        forecast_by_count(f, out);
    else if (history_holds(f))
        forecast_by_history(f, out);
    else
        forecast_by_rule(f, out);
    if (fills_heap(f, HEAP_TIGHT))
        out->pause_us *= 2;
    out->memory -= f->retained;
    if (out->memory < 0)
        out->memory = 0;
    if (l->compress)
        out->disk_bytes /= COMPRESSION;
}

/* ---- the verdict ---- */

static void add_reason(struct guard_verdict *v, enum guard_cause cause, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void add_reason(struct guard_verdict *v, enum guard_cause cause, const char *format, ...)
{
    size_t used = strlen(v->reason);
    int more = snprintf(v->reason + used, GUARD_REASON_SIZE - used, "%s", v->causes ? "; " : "");
    va_list args;
    va_start(args, format);
    if (more >= 0 && used + (size_t)more < GUARD_REASON_SIZE)
        vsnprintf(v->reason + used + more, GUARD_REASON_SIZE - used - (size_t)more, format, args);
    va_end(args);
    v->causes |= (unsigned)cause;
}

static void check_memory(const struct guard_facts *f, struct guard_verdict *v)
{
    char need[TEXT_SHORT], room[TEXT_SHORT];
    bool group =
        f->group_room >= 0 && (f->host_available < 0 || f->group_room <= f->host_available);
    int64_t available = group ? f->group_room : f->host_available;
    if (available >= 0 && v->forecast.memory > available)
        add_reason(v, GUARD_MEMORY,
            "a snapshot needs about %s of native memory (by %s) and %s has %s left: give it more "
            "memory or capture while the heap is smaller",
            text_size(need, (double)v->forecast.memory), v->forecast.by,
            group ? "its control group" : "the host", text_size(room, (double)available));
}

static void check_pause(const struct guard_limits *l, struct guard_verdict *v)
{
    char pause[TEXT_SHORT], most[TEXT_SHORT];
    if (v->forecast.pause_us > l->max_pause_us)
        add_reason(v, GUARD_PAUSE,
            "a snapshot would stall it for about %s (by %s) and --max-pause is %s: raise that",
            text_duration(pause, v->forecast.pause_us), v->forecast.by,
            text_duration(most, l->max_pause_us));
}

static void check_heap(const struct guard_facts *f, struct guard_verdict *v)
{
    char used[TEXT_SHORT], limit[TEXT_SHORT];
    if (fills_heap(f, HEAP_FULL))
        add_reason(v, GUARD_HEAP,
            "its heap of %s is near V8's limit of %s, where a snapshot's collections can end it: "
            "raise %s",
            text_size(used, (double)f->heap_used), text_size(limit, (double)f->heap_limit),
            f->worker_limit ? "the worker's resourceLimits.maxOldGenerationSizeMb"
                            : "--max-old-space-size");
}

static void check_disk(const struct guard_facts *f, const struct guard_limits *l, int64_t bytes,
    struct guard_verdict *v)
{
    char need[TEXT_SHORT], room[TEXT_SHORT], keep[TEXT_SHORT];
    const char *hint = l->compress ? "" : ", use --compress";
    if (f->disk_free >= 0 && bytes + l->min_free > f->disk_free)
        add_reason(v, GUARD_DISK,
            "a snapshot takes about %s of disk, %s are free and --min-free keeps %s: free some%s "
            "or another --dir",
            text_size(need, (double)bytes), text_size(room, (double)f->disk_free),
            text_size(keep, (double)l->min_free), hint);
    if (f->quota_room >= 0 && bytes > f->quota_room)
        add_reason(v, GUARD_QUOTA,
            "a snapshot takes about %s of disk and --max-disk leaves %s: raise that%s or delete "
            "old ones",
            text_size(need, (double)bytes), text_size(room, (double)f->quota_room), hint);
}

/* The disk may have room for a compressed file where it has none for a plain one. */
static bool compression_helps(
    const struct guard_facts *f, const struct guard_limits *l, const struct guard_verdict *v)
{
    struct guard_verdict compressed = {.causes = GUARD_NO_CAUSE};
    bool only_disk = v->causes && !(v->causes & ~(unsigned)(GUARD_DISK | GUARD_QUOTA));
    if (l->compress || !only_disk)
        return false;
    check_disk(f, l, v->forecast.disk_bytes / COMPRESSION, &compressed);
    return compressed.causes == GUARD_NO_CAUSE;
}

void guard_decide(
    const struct guard_facts *facts, const struct guard_limits *limits, struct guard_verdict *ret)
{
    struct guard_verdict v = {.answer = GUARD_GO};
    forecast(facts, limits, &v.forecast);
    check_memory(facts, &v);
    check_pause(limits, &v);
    check_heap(facts, &v);
    v.disk_wanted = v.forecast.disk_bytes;
    check_disk(facts, limits, v.disk_wanted, &v);
    if (compression_helps(facts, limits, &v)) {
        char need[TEXT_SHORT];
        v.answer = GUARD_DEGRADE;
        snprintf(v.reason, sizeof v.reason,
            "compressed: the disk has no room for a plain file of about %s",
            text_size(need, (double)v.forecast.disk_bytes));
        v.forecast.disk_bytes /= COMPRESSION;
    } else if (v.causes) {
        size_t used = strlen(v.reason);
        v.answer = limits->force ? GUARD_FORCED : GUARD_REFUSE;
        if (!limits->force)
            snprintf(v.reason + used, sizeof v.reason - used, "; --force overrides");
    }
    *ret = v;
}

int64_t guard_compressed(const struct guard_verdict *v)
{
    return v->disk_wanted / COMPRESSION;
}

/* ---- what to find out first ---- */

int64_t guard_count_stall_us(const struct guard_facts *f)
{
    return under_load(f, used_of(f) / BYTES_A_NODE * COUNT_NS_A_NODE / 1000);
}

static bool may_count(
    const struct guard_facts *f, const struct guard_limits *l, const struct guard_progress *p)
{
    struct guard_verdict v = {.causes = GUARD_NO_CAUSE};
    v.forecast = (struct guard_forecast){.by = "rule",
        .pause_us = guard_count_stall_us(f),
        .memory = used_of(f) / BYTES_A_NODE * COUNT_MEMORY_A_NODE};
    check_memory(f, &v);
    check_pause(l, &v);
    check_heap(f, &v);
    return p->can_count && !p->counted && !count_holds(f) && v.causes == GUARD_NO_CAUSE;
}

enum guard_step guard_next(const struct guard_facts *f, const struct guard_limits *l,
    const struct guard_verdict *v, const struct guard_progress *p)
{
    const unsigned forecasts = GUARD_MEMORY | GUARD_PAUSE | GUARD_DISK | GUARD_QUOTA;
    bool blocked = v->answer == GUARD_REFUSE && (v->causes & forecasts);
    bool none = !history_holds(f) && !count_holds(f);
    bool stretched =
        f->history.heap_used > 0 && (double)used_of(f) > STRETCHED * (double)f->history.heap_used;
    if (l->force && v->answer != GUARD_DEGRADE) /* no count would change the answer */
        return GUARD_DONE;
    if (none && !p->ids_matter && (used_of(f) > COUNT_FROM || blocked) && may_count(f, l, p))
        return GUARD_COUNT;
    if (!p->counted && !p->collected && blocked && !(v->causes & GUARD_HEAP) &&
        under_load(f, used_of(f) * COLLECT_NS_A_BYTE / 1000) <= l->max_pause_us)
        return GUARD_COLLECT;
    /* What was refused once is compared by class afterwards, so the ids are no great loss. */
    bool worth_the_ids = !p->ids_matter || stretched || p->refusals > 0;
    if (blocked && worth_the_ids && may_count(f, l, p))
        return GUARD_COUNT;
    return GUARD_DONE;
}
