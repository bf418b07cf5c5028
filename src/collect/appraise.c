/* An appraisal: reading, verdict, and what makes a better one.
 *
 *   reading ─> verdict ──(guard_next: done)──> done
 *      ^          ├──(collect)──> collecting ──┐
 *      │          └──(count)────> counting ────┤
 *      └───────────────────────────────────────┘
 *
 * Each of the two comes at most once. Counting: startTrackingHeapObjects walks the heap and reports
 * the number of its objects in the first heapStatsUpdate; HeapProfiler.disable ends it (and wipes
 * the object ids), because stopTrackingHeapObjects would send a whole snapshot. */
#include "collect/appraise.h"

#include "base/clock.h"
#include "collect/folder.h"
#include "collect/host.h"
#include "cdp/proto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define READING_DEADLINE (30 * 1000000LL) /* of an idle target; a long GC is within it */
/* A count or collection on a host that is five times busier than expected, and a busy loop. */
#define STEP_DEADLINE(stall_us) (5 * (stall_us) + 60 * 1000000LL)
#define FIRST_FAST_V8           12
/* Three semi-spaces, in MB: --max-old-space-size=120 gives a limit of 168 MB on Node 18 to 22, 312
 * on 24, 216 on 26. --max-semi-space-size may have made them smaller, so no more than a share of
 * the limit is believed to be theirs. */
#define YOUNG       48
#define YOUNG_13    192
#define YOUNG_14    96
#define YOUNG_SHARE 0.4

struct appraisal {
    struct loop *loop;
    struct appraise_options options;
    struct guard_progress progress;
    struct guard_verdict verdict;
    struct guard_facts facts;
    struct appraise_costs costs;
    bool tracking;       /* the target counts */
    bool read_before;    /* a reading was reported */
    int64_t asked_us;    /* when the step that runs was asked for */
    int64_t walk_us;     /* the first walk of a count */
    int64_t nodes;       /* told by a count that is being ended; 0: none yet */
    struct timer *timer; /* the deadline of a count */
    int pending;         /* calls to the target that have not been answered */
    bool ended;
    const struct appraise_handlers *handlers;
    void *arg;
    struct loop_discard discard;
};

static void read_memory(struct appraisal *a);

int64_t appraise_native(const struct sample *s)
{
    double native = s->rss - s->heap_total - s->external;
    return isnan(native) || native < 0 ? 0 : (int64_t)native;
}

const struct appraise_costs *appraise_costs(const struct appraisal *a)
{
    return &a->costs;
}

/* ---- ending ---- */

static void free_appraisal(void *object)
{
    free(object);
}

static void maybe_free(struct appraisal *a)
{
    if (a->ended && a->pending == 0)
        loop_discard(a->loop, &a->discard, free_appraisal, a);
}

static void finish(struct appraisal *a, const struct err *why)
{
    a->ended = true;
    timer_free(a->timer);
    a->timer = NULL;
    a->handlers->done(a->arg, why ? NULL : &a->verdict, why);
    maybe_free(a);
}

static void asked(struct appraisal *a, int rc, const struct err *why)
{
    if (rc == 0)
        a->pending++;
    else
        finish(a, why);
}

/* True when the answer is still wanted. */
static bool answers(struct appraisal *a)
{
    a->pending--;
    if (a->ended)
        maybe_free(a);
    return !a->ended;
}

static struct cdp_session *session(const struct appraisal *a)
{
    return target_session(a->options.target);
}

/* ---- collecting ---- */

static void collected(void *arg, const cJSON *result, const struct err *why)
{
    struct appraisal *a = arg;
    (void)result;
    if (!answers(a))
        return;
    a->costs.stall_us += clock_monotonic_us() - a->asked_us;
    if (why && why->code != ERR_TARGET && why->code != ERR_TIMEOUT)
        finish(a, why);
    else
        read_memory(a);
}

static void collect(struct appraisal *a)
{
    struct err e = ERR_NONE;
    a->progress.collected = true;
    a->asked_us = clock_monotonic_us();
    a->handlers->progress(a->arg, "collecting garbage");
    asked(a,
        cdp_call(session(a), PROTO_HEAP_PROFILER_COLLECT_GARBAGE, NULL, STEP_DEADLINE(0), collected,
            a, &e),
        &e);
}

/* ---- counting ---- */

static void disabled(void *arg, const cJSON *result, const struct err *why)
{
    struct appraisal *a = arg;
    struct capture_memory *m = a->options.memory;
    (void)result;
    if (!answers(a))
        return;
    a->costs.stall_us += clock_monotonic_us() - a->asked_us;
    if (why && why->code != ERR_TARGET && why->code != ERR_TIMEOUT) {
        finish(a, why);
        return;
    }
    if (a->nodes > 0) {
        m->count = (struct guard_count){.nodes = a->nodes, .stall_us = a->walk_us};
        m->counted_at_us = clock_monotonic_us();
    }
    read_memory(a);
}

/* However the count ended, the ids are gone with it. */
static void end_count(struct appraisal *a)
{
    struct err e = ERR_NONE;
    struct capture_memory *m = a->options.memory;
    a->tracking = false;
    a->costs.disabled = true;
    a->costs.ended_epoch = m->canary_id != 0;
    m->canary_id = 0;
    timer_stop(a->timer);
    asked(a,
        cdp_call(session(a), PROTO_HEAP_PROFILER_DISABLE, NULL,
            STEP_DEADLINE(guard_count_stall_us(&a->facts)), disabled, a, &e),
        &e);
}

void appraise_event(struct appraisal *a, const char *method, const cJSON *params)
{
    struct proto_heap_profiler_heap_stats_update update;
    struct err e = ERR_NONE;
    if (a->ended || !a->tracking || strcmp(method, PROTO_HEAP_PROFILER_HEAP_STATS_UPDATE) != 0 ||
        proto_heap_profiler_heap_stats_update_decode(params, &update, &e) != 0)
        return;
    double nodes = 0; /* triplets: fragment, objects, bytes */
    const cJSON *item = update.stats_update ? update.stats_update->child : NULL;
    for (int i = 0; item; item = item->next, i++)
        if (i % 3 == 1 && item->valuedouble > 0)
            nodes += item->valuedouble;
    a->nodes = nodes < 1e12 ? (int64_t)nodes : 0;
    end_count(a);
}

static void count_is_late(void *arg)
{
    struct appraisal *a = arg;
    if (a->tracking)
        end_count(a);
}

static void tracking_started(void *arg, const cJSON *result, const struct err *why)
{
    struct appraisal *a = arg;
    (void)result;
    if (!answers(a))
        return;
    if (!why)
        a->walk_us = clock_monotonic_us() - a->asked_us;
    else if (why->code == ERR_TARGET || why->code == ERR_TIMEOUT)
        end_count(a);
    else
        finish(a, why);
}

static void count(struct appraisal *a)
{
    struct err e = ERR_NONE;
    struct proto_heap_profiler_start_tracking_heap_objects p = {.track_allocations = false};
    int64_t deadline_us = STEP_DEADLINE(guard_count_stall_us(&a->facts));
    cJSON *params;
    a->progress.counted = true;
    a->tracking = true;
    a->asked_us = clock_monotonic_us();
    a->handlers->progress(a->arg, "counting objects");
    timer_start(a->timer, 2 * deadline_us);
    int rc = proto_heap_profiler_start_tracking_heap_objects_encode(&p, &params, &e);
    if (rc == 0)
        rc = cdp_call(session(a), PROTO_HEAP_PROFILER_START_TRACKING_HEAP_OBJECTS, params,
            deadline_us, tracking_started, a, &e);
    asked(a, rc, &e);
}

/* ---- facts and verdict ---- */

static int64_t known(double bytes)
{
    return isnan(bytes) ? -1 : (int64_t)bytes;
}

/* Native memory that captures before have left: what the target has beside its heap now, but no
 * more than right after the last one, since it may leak by itself. */
static int64_t retained(const struct capture_memory *m, const struct sample *s)
{
    int64_t now = appraise_native(s);
    if (m->native_first <= 0 || m->native_after <= 0 || now <= 0)
        return 0;
    int64_t most = now < m->native_after ? now : m->native_after;
    return most > m->native_first ? most - m->native_first : 0;
}

/* V8's major version, 0 if unknown. */
static long engine(const struct target_identity *id)
{
    return strtol(id->v8_version, NULL, 10);
}

/* heap_size_limit counts the young generation, where nothing stays. */
static int64_t old_limit(const struct target_identity *id, double heap_limit)
{
    long v8 = engine(id);
    double young = 1048576.0 * (v8 >= 14 ? YOUNG_14 : v8 == 13 ? YOUNG_13 : YOUNG);
    if (isnan(heap_limit))
        return -1;
    return (int64_t)(heap_limit - fmin(young, YOUNG_SHARE * heap_limit));
}

static void gather_facts(struct appraisal *a, const struct sample *s)
{
    struct guard_facts *f = &a->facts;
    struct host_limit group;
    struct err e = ERR_NONE;
    const struct target_identity *id = target_identity(a->options.target);
    struct capture_memory *m = a->options.memory;
    double exact = /* of a worker thread that was given less; NAN elsewhere */
        sampler_old_limit(target_sampler(a->options.target));
    *f = (struct guard_facts){.heap_used = known(s->heap_used),
        .worker_limit = exact <= s->heap_limit,
        .heap_limit = exact <= s->heap_limit ? (int64_t)exact : old_limit(id, s->heap_limit),
        .host_available = -1,
        .group_room = -1,
        .disk_free = -1,
        .quota_room = a->handlers->quota_room(a->arg),
        .retained = retained(m, s),
        .fast_engine = engine(id) >= FIRST_FAST_V8,
        .history = m->history,
        .count = m->count};
    f->count.age_us = clock_monotonic_us() - m->counted_at_us;
    if (!id->host_pid || host_load(&f->load) != 0)
        f->load = 0;
    if (id->host_pid && host_memory_available(&f->host_available) != 0)
        f->host_available = -1;
    if (id->host_pid && host_cgroup("", id->host_pid, &group) == 0 && group.limit >= 0)
        f->group_room = group.limit > group.current ? group.limit - group.current : 0;
    if (capture_folder_free_bytes(a->options.folder, &f->disk_free, &e) != 0)
        f->disk_free = -1;
    a->costs.retained = f->retained;
}

/* Deletes what may go when only the disk stands in the way. --max-disk asks for deletion by itself;
 * for want of space on the disk a compressed file is tried first. */
static void decide(struct appraisal *a)
{
    struct err e = ERR_NONE;
    struct guard_verdict *v = &a->verdict;
    guard_decide(&a->facts, &a->options.limits, v);
    bool disk = v->causes & (GUARD_DISK | GUARD_QUOTA);
    bool only_disk = !(v->causes & ~(unsigned)(GUARD_DISK | GUARD_QUOTA));
    bool enough = v->answer == GUARD_DEGRADE && !(v->causes & GUARD_QUOTA);
    if (!disk || !only_disk || enough)
        return;
    if (!a->handlers->make_room(a->arg, v->disk_wanted) &&
        (v->answer == GUARD_DEGRADE || !a->handlers->make_room(a->arg, guard_compressed(v))))
        return;
    if (capture_folder_free_bytes(a->options.folder, &a->facts.disk_free, &e) != 0)
        a->facts.disk_free = -1;
    a->facts.quota_room = a->handlers->quota_room(a->arg);
    guard_decide(&a->facts, &a->options.limits, v);
}

static void sampled(void *arg, const struct sample *sample, const struct err *why)
{
    struct appraisal *a = arg;
    struct capture_memory *m = a->options.memory;
    struct err e = ERR_NONE;
    if (!answers(a))
        return;
    if (!sample) {
        e = *why;
        err_context(&e, "no reading before the capture");
        finish(a, &e);
        return;
    }
    a->handlers->sampled(a->arg, a->read_before ? "after-gc" : "before-snapshot", sample);
    if (!a->read_before)
        a->costs.heap_before = sample->heap_used;
    a->read_before = true;
    if (m->native_first == 0)
        m->native_first = appraise_native(sample);
    if (m->count.nodes > 0 && m->count.heap_used == 0)
        m->count.heap_used = isnan(sample->heap_used) ? 0 : (int64_t)sample->heap_used;
    gather_facts(a, sample);
    decide(a);
    enum guard_step step =
        a->options.standing ? GUARD_DONE
                            : guard_next(&a->facts, &a->options.limits, &a->verdict, &a->progress);
    switch (step) {
    case GUARD_COLLECT: collect(a); break;
    case GUARD_COUNT: count(a); break;
    case GUARD_DONE: finish(a, NULL); break;
    }
}

static void read_memory(struct appraisal *a)
{
    struct err e = ERR_NONE;
    asked(a, sampler_read(target_sampler(a->options.target), READING_DEADLINE, sampled, a, &e), &e);
}

static void begin(void *arg)
{
    struct appraisal *a = arg;
    if (a->tracking)
        count_is_late(a);
    else
        read_memory(a);
}

int appraise_start(struct loop *l, const struct appraise_options *o,
    const struct appraise_handlers *h, void *arg, struct appraisal **ret, struct err *e)
{
    struct appraisal *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "out of memory");
    enum target_kind kind = target_identity(o->target)->kind;
    *a = (struct appraisal){.loop = l,
        .options = *o,
        .progress = {.can_count = kind == TARGET_NODE || kind == TARGET_WORKER,
            .ids_matter = o->memory->canary_id != 0,
            .refusals = o->memory->refusals},
        .costs = {.heap_before = NAN},
        .handlers = h,
        .arg = arg};
    int rc = timer_new(l, begin, a, &a->timer, e);
    if (rc) {
        free(a);
        return rc;
    }
    timer_start(a->timer, 0);
    *ret = a;
    return 0;
}

void appraise_cancel(struct appraisal *a, bool target_alive)
{
    struct err e = ERR_NONE;
    if (!a || a->ended)
        return;
    a->ended = true;
    timer_free(a->timer);
    a->timer = NULL;
    if (a->tracking && target_alive) {
        a->options.memory->canary_id = 0;
        (void)!cdp_call(session(a), PROTO_HEAP_PROFILER_DISABLE, NULL, 0, NULL, NULL, &e);
    }
    maybe_free(a);
}
