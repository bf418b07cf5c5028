/* The live profile: starting it if nobody else has, reading it at a bounded price.
 *
 *   waiting <──> asking ──> starting ──> on <──> reading     asking: is one running?
 *      │                       ^         │          │        waiting: it is somebody else's
 *      └─> ended               └─────────┴─(lost)───┘        on: the timer
 *                                                            ended: still so, or lost too often */
#include "collect/live_profile.h"

#include "base/clock.h"
#include "base/text.h"
#include "cdp/proto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ASK_DEADLINE_US    (60 * 1000000LL) /* it may force a collection of a large heap */
#define FINISH_DEADLINE_US (10 * 1000000LL)
#define BUSY_LOOK_US       1000000
#define WAIT_FIRST_US      1000000 /* then twice as long each time: a minute for six of them */
#define WAITS              6
#define FIRST_GAPS         8       /* the first gap is that part of the interval, then it doubles */
#define FIRST_GAP_MIN_US   1000000 /* so that a short run has a series too */

enum state { WAITING, ASKING, STARTING, ON, READING, ENDED };

struct live_profile {
    struct loop *loop;
    struct live_profile_options options;
    enum state state;
    struct timer *timer;
    int64_t number;
    int64_t gap_us;  /* the next one, before what the cost asks for */
    int64_t cost_us; /* of the latest reading */
    int64_t asked_us, read_us;
    int losses, waits;
    bool excused;               /* the next loss is our own doing */
    struct allocations *stacks; /* of the reading that waits for its sample */
    struct allocation_sites sites;
    void (*finished)(void *arg);
    void *finished_arg;
    const struct live_profile_handlers *handlers;
    void *arg;
};

static void start(struct live_profile *p);

static void finished(struct live_profile *p)
{
    void (*fn)(void *arg) = p->finished;
    p->finished = NULL;
    if (fn)
        fn(p->finished_arg);
}

static void end(struct live_profile *p, const char *why)
{
    p->state = ENDED;
    timer_stop(p->timer);
    p->handlers->ended(p->arg, why);
    finished(p);
}

static bool is_leaving(const struct err *why)
{
    return why->code == ERR_LOST || why->code == ERR_CANCELLED;
}

/* ---- starting ---- */

/* So long after what has stalled the target for cost_us. */
static int64_t rest_for(int64_t cost_us)
{
    return (int64_t)((double)cost_us * (1 / LIVE_PROFILE_SHARE - 1));
}

static void plan(struct live_profile *p)
{
    int64_t rest = rest_for(p->cost_us);
    p->state = ON;
    timer_start(p->timer, p->gap_us > rest ? p->gap_us : rest);
    p->gap_us = 2 * p->gap_us < p->options.interval_us ? 2 * p->gap_us : p->options.interval_us;
}

static void started(void *arg, const cJSON *result, const struct err *why)
{
    struct live_profile *p = arg;
    (void)result;
    if (p->state != STARTING)
        return;
    if (why && is_leaving(why))
        p->state = ENDED;
    else if (why)
        end(p, why->text);
    else
        plan(p);
}

/* A heaptap that was killed leaves its sampling on for a second or so (guardian.h). */
static void wait_for_others(struct live_profile *p)
{
    int64_t gap_us = WAIT_FIRST_US << p->waits;
    int64_t rest_us = rest_for(clock_monotonic_us() - p->asked_us);
    if (p->waits == WAITS) {
        end(p, "somebody else has sampled the heap all that time; it is not asked again");
        return;
    }
    if (p->waits++ == 0)
        p->handlers->waits(p->arg,
            "another client or the program itself samples the heap, and is left alone "
            "(--live-profile steal takes it over); asked again within a minute");
    p->state = WAITING;
    timer_start(p->timer, gap_us > rest_us ? gap_us : rest_us);
}

static void start(struct live_profile *p)
{
    struct proto_heap_profiler_start_sampling parameters = {
        .has_sampling_interval = true, .sampling_interval = (double)p->options.sample_every};
    struct err e = ERR_NONE;
    cJSON *params;
    p->state = STARTING;
    int rc = proto_heap_profiler_start_sampling_encode(&parameters, &params, &e);
    if (rc == 0)
        rc = cdp_call(p->options.session, PROTO_HEAP_PROFILER_START_SAMPLING, params,
            ASK_DEADLINE_US, started, p, &e);
    if (rc)
        end(p, e.text);
}

static void stolen(void *arg, const cJSON *result, const struct err *why)
{
    struct live_profile *p = arg;
    (void)result;
    if (p->state != ASKING)
        return;
    if (why && is_leaving(why))
        p->state = ENDED;
    else
        start(p); /* an error: there was none to take over */
}

/* What the target says when nobody samples is an error; the profile of somebody else is no use to
 * us, because nobody knows what it leaves out. */
static void asked(void *arg, const cJSON *result, const struct err *why)
{
    struct live_profile *p = arg;
    (void)result;
    if (p->state != ASKING)
        return;
    if (!why)
        wait_for_others(p);
    else if (why->code == ERR_TARGET)
        start(p);
    else if (is_leaving(why))
        p->state = ENDED;
    else
        end(p, why->text);
}

static int ask(struct live_profile *p, struct err *e)
{
    p->state = ASKING;
    p->asked_us = clock_monotonic_us();
    return cdp_call(p->options.session,
        p->options.steal ? PROTO_HEAP_PROFILER_STOP_SAMPLING
                         : PROTO_HEAP_PROFILER_GET_SAMPLING_PROFILE,
        NULL, ASK_DEADLINE_US, p->options.steal ? stolen : asked, p, e);
}

/* ---- reading ---- */

static void lost(struct live_profile *p)
{
    allocation_sites_free(&p->sites);
    if (p->excused) {
        p->excused = false;
    } else if (++p->losses == LIVE_PROFILE_LOSSES) {
        end(p, "somebody else has ended it three times");
        return;
    }
    p->handlers->broken(p->arg, "somebody else has ended it; it was started again");
    start(p);
}

static void tell(struct live_profile *p, const struct sample *sample, int64_t wall_ms)
{
    struct allocation_sites now;
    struct err e = ERR_NONE;
    if (allocations_fold(p->stacks, &now, &e) != 0) {
        end(p, e.text);
        return;
    }
    struct live_reading reading = {.number = p->number++,
        .wall_ms = wall_ms,
        .sample = sample,
        .cost_us = p->cost_us,
        .stacks = p->stacks,
        .then = &p->sites,
        .now = &now};
    p->handlers->read(p->arg, &reading);
    allocation_sites_free(&p->sites);
    p->sites = now;
}

static void complete(struct live_profile *p, const struct sample *sample)
{
    if (p->state != READING || !p->stacks)
        return;
    tell(p, sample, sample ? sample->wall_ms : clock_wall_ms());
    allocations_free(p->stacks);
    p->stacks = NULL;
    if (p->state == READING)
        plan(p);
    finished(p);
}

static void got_sample(void *arg, const struct sample *sample, const struct err *why)
{
    (void)why; /* a reading without its floor */
    complete(arg, sample);
}

static void got_profile(void *arg, const cJSON *result, const struct err *why)
{
    struct live_profile *p = arg;
    struct err e = ERR_NONE;
    if (p->state != READING)
        return;
    p->read_us = clock_monotonic_us();
    p->cost_us = p->read_us - p->asked_us;
    if (why && why->code == ERR_TARGET) {
        lost(p);
        finished(p);
    } else if (why && is_leaving(why)) {
        p->state = ENDED;
        finished(p);
    } else if (why) { /* too late: the next one may be in time */
        plan(p);
        finished(p);
    } else if (allocations_from_profile(
                   cJSON_GetObjectItemCaseSensitive(result, "profile"), &p->stacks, &e) != 0) {
        end(p, e.text);
    }
}

/* Both questions go out together, so that nothing runs in the target between them and the sample
 * shows the heap as the collection left it. */
static void read_now(struct live_profile *p, int64_t deadline_us)
{
    struct err e = ERR_NONE;
    p->state = READING;
    p->asked_us = clock_monotonic_us();
    int rc = cdp_call(p->options.session, PROTO_HEAP_PROFILER_GET_SAMPLING_PROFILE, NULL,
        deadline_us, got_profile, p, &e);
    if (rc == 0)
        rc = sampler_read(p->options.sampler, deadline_us, got_sample, p, &e);
    if (rc)
        end(p, e.text);
}

static void on_timer(void *arg)
{
    struct live_profile *p = arg;
    struct err e = ERR_NONE;
    if (p->state != ON && p->state != WAITING)
        return;
    if (!p->handlers->may_read(p->arg))
        timer_start(p->timer, BUSY_LOOK_US);
    else if (p->state == ON)
        read_now(p, ASK_DEADLINE_US);
    else if (ask(p, &e) != 0)
        end(p, e.text);
}

/* ---- for the owner ---- */

int live_profile_new(struct loop *l, const struct live_profile_options *o,
    const struct live_profile_handlers *h, void *arg, int64_t first_number,
    struct live_profile **ret, struct err *e)
{
    struct live_profile *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "out of memory");
    *p = (struct live_profile){.loop = l,
        .options = *o,
        .number = first_number,
        .gap_us = o->interval_us / FIRST_GAPS > FIRST_GAP_MIN_US ? o->interval_us / FIRST_GAPS
                  : o->interval_us < FIRST_GAP_MIN_US            ? o->interval_us
                                                                 : FIRST_GAP_MIN_US,
        .handlers = h,
        .arg = arg};
    int rc = timer_new(l, on_timer, p, &p->timer, e);
    if (rc == 0)
        rc = ask(p, e);
    if (rc) {
        timer_free(p->timer);
        free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

void live_profile_was_disabled(struct live_profile *p)
{
    if (p->state == READING || p->state == STARTING)
        p->excused = true;
    if (p->state != ON)
        return;
    timer_stop(p->timer);
    allocation_sites_free(&p->sites);
    if (p->number > 0)
        p->handlers->broken(p->arg, "counting the heap's nodes has ended it; it was started again");
    start(p);
}

void live_profile_finish(struct live_profile *p, void (*fn)(void *arg), void *arg)
{
    p->finished = fn;
    p->finished_arg = arg;
    if (p->state == READING)
        return;
    int64_t age = clock_monotonic_us() - p->read_us;
    if (p->state == ON && age >= p->options.interval_us / 2 && p->handlers->may_read(p->arg)) {
        timer_stop(p->timer);
        read_now(p, FINISH_DEADLINE_US);
    } else {
        finished(p);
    }
}

void live_profile_read(struct live_profile *p, void (*fn)(void *arg), void *arg)
{
    p->finished = fn;
    p->finished_arg = arg;
    if (p->state == READING)
        return;
    if (p->state == ON && p->handlers->may_read(p->arg)) {
        timer_stop(p->timer);
        read_now(p, ASK_DEADLINE_US);
    } else {
        finished(p);
    }
}

int64_t live_profile_number(const struct live_profile *p)
{
    return p->number;
}

void live_profile_free(struct live_profile *p)
{
    if (!p)
        return;
    timer_free(p->timer);
    allocations_free(p->stacks);
    allocation_sites_free(&p->sites);
    free(p);
}
