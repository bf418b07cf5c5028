/* A floor on demand: what a target's heap holds when nothing is going on and no garbage is left.
 *
 *   quiet? ──> settling ──> profile ──> collecting <──> reading ──> told
 *
 * quiet? asks the hook until no request is in flight; settling lets sockets close and short timers
 * pass. profile is a reading of the live profile where there is one, so that sites are known for
 * each floor; it collects garbage, too. One collection is not enough, because finalizers and weak
 * callbacks that it queues let go of more, and V8's count of what is used is at times too high by a
 * page that is not swept yet (seen on Node 18 and 20: 100 to 250 KB, gone with the next
 * collection); so it is collected and read until the least that was read is read again. */
#include "collect/run_private.h"

#include "base/clock.h"
#include "cdp/proto.h"

#include <math.h>
#include <stdlib.h>

#define QUIET_LOOK_US     20000
#define QUIET_PATIENCE_US (10 * 1000000LL)
#define READINGS_MAX      6
#define SAME_BYTES        4096
#define DEADLINE_US       (120 * 1000000LL) /* a collection takes about 1 ms a MB */

enum step {
    FLOOR_NONE,
    FLOOR_QUIET,
    FLOOR_SETTLING,
    FLOOR_PROFILE,
    FLOOR_COLLECTING,
    FLOOR_READING
};

struct floor_steps {
    struct watched *watched;
    enum step step;
    struct timer *timer;
    int readings;
    struct request_floor least;
    int64_t began_us, settle_us;
    enum run_record record;
    run_floor_fn fn;
    void *arg;
};

static void tell(struct floor_steps *f, const struct run_floor *floor, const struct err *why)
{
    run_floor_fn fn = f->fn;
    f->step = FLOOR_NONE;
    f->fn = NULL;
    timer_stop(f->timer);
    if (fn)
        fn(f->arg, floor, why);
}

static void collect(struct floor_steps *f);

static double kept(const struct request_floor *noted)
{
    return noted->heap_used - noted->young - noted->engine;
}

static void note(struct floor_steps *f, const struct request_floor *noted)
{
    struct err e = ERR_NONE;
    bool again = f->readings && fabs(kept(noted) - kept(&f->least)) <= SAME_BYTES;
    if (f->readings == 0 || kept(noted) < kept(&f->least))
        f->least = *noted;
    if (!again && ++f->readings < READINGS_MAX) {
        collect(f);
        return;
    }
    const struct run_floor *floor = run_requests_note_floor(f->watched, &f->least, f->record);
    if (!floor)
        err_set(&e, ERR_NOMEM, "out of memory for a floor");
    tell(f, floor, floor ? NULL : &e);
}

/* ---- reading ---- */

static void got_sample(void *arg, const struct sample *s, const struct err *why)
{
    struct floor_steps *f = ((struct watched *)arg)->floor;
    if (f->step != FLOOR_READING)
        return;
    if (why) {
        tell(f, NULL, why);
        return;
    }
    struct request_floor noted = {.wall_ms = s->wall_ms,
        .heap_used = s->heap_used,
        .heap_total = s->heap_total,
        .external = s->external,
        .rss = s->rss};
    note(f, &noted);
}

static void read_floor(struct floor_steps *f)
{
    struct watched *w = f->watched;
    struct err e = ERR_NONE;
    f->step = FLOOR_READING;
    if (run_requests_followed(w))
        requests_ask_floor(w->follow, clock_monotonic_us());
    else if (sampler_read(target_sampler(w->target), DEADLINE_US, got_sample, w, &e) != 0)
        tell(f, NULL, &e);
}

/* ---- collecting ---- */

static void collected(void *arg, const cJSON *result, const struct err *why);

static void collect(struct floor_steps *f)
{
    struct watched *w = f->watched;
    struct err e = ERR_NONE;
    f->step = FLOOR_COLLECTING;
    if (cdp_call(target_session(w->target), PROTO_HEAP_PROFILER_COLLECT_GARBAGE, NULL, DEADLINE_US,
            collected, w, &e) != 0)
        tell(f, NULL, &e);
}

static void collected(void *arg, const cJSON *result, const struct err *why)
{
    struct watched *w = arg;
    struct floor_steps *f = w->floor;
    (void)result;
    if (f->step != FLOOR_COLLECTING)
        return;
    if (why)
        tell(f, NULL, why);
    else
        read_floor(f);
}

static void profiled(void *arg)
{
    struct watched *w = arg;
    if (w->floor->step == FLOOR_PROFILE && w->target)
        collect(w->floor);
}

/* ---- waiting ---- */

static void on_timer(void *arg)
{
    struct watched *w = arg;
    struct floor_steps *f = w->floor;
    if (f->step == FLOOR_QUIET) {
        requests_ask_beat(w->follow);
    } else if (f->step == FLOOR_SETTLING) {
        f->step = FLOOR_PROFILE;
        f->readings = 0;
        if (w->live && f->record != RUN_UNRECORDED)
            live_profile_read(w->live, profiled, w);
        else
            collect(f);
    }
}

static void settle(struct floor_steps *f)
{
    f->step = FLOOR_SETTLING;
    timer_start(f->timer, f->settle_us);
}

/* beat NULL: there will be no more. */
void run_floor_beat(struct watched *w, const struct request_beat *beat)
{
    struct floor_steps *f = w->floor;
    struct err e = ERR_NONE;
    if (!f || !w->target)
        return;
    if (f->step == FLOOR_QUIET) {
        int64_t waited_us = clock_monotonic_us() - f->began_us;
        if (!beat || beat->in_flight == 0 || waited_us > QUIET_PATIENCE_US)
            settle(f);
        else
            timer_start(f->timer, QUIET_LOOK_US);
    } else if (f->step == FLOOR_READING && beat && beat->floor_asked) {
        note(f, &beat->floors[beat->floor_count - 1]);
    } else if (f->step == FLOOR_READING && !beat) {
        if (sampler_read(target_sampler(w->target), DEADLINE_US, got_sample, w, &e) != 0)
            tell(f, NULL, &e);
    }
}

/* ---- for the run and its owner ---- */

int run_take_floor(struct run *r, size_t index, int64_t settle_us, enum run_record record,
    run_floor_fn fn, void *arg, struct err *e)
{
    struct watched *w = r->targets[index];
    if (!w->target)
        return err_set(e, ERR_LOST, "the target is gone");
    if (!w->floor) {
        struct floor_steps *made = calloc(1, sizeof *made);
        if (!made)
            return err_set(e, ERR_NOMEM, "out of memory");
        int rc = timer_new(r->loop, on_timer, w, &made->timer, e);
        if (rc) {
            free(made);
            return rc;
        }
        made->watched = w;
        w->floor = made;
    }
    struct floor_steps *f = w->floor;
    f->fn = fn;
    f->arg = arg;
    f->settle_us = settle_us;
    f->record = record;
    f->began_us = clock_monotonic_us();
    if (!run_requests_followed(w)) {
        settle(f);
        return 0;
    }
    f->step = FLOOR_QUIET;
    requests_ask_beat(w->follow);
    return 0;
}

void run_floor_gone(struct watched *w, const struct err *why)
{
    if (w->floor && w->floor->step != FLOOR_NONE)
        tell(w->floor, NULL, why);
}

void run_floor_free(struct watched *w)
{
    if (!w->floor)
        return;
    timer_free(w->floor->timer);
    free(w->floor);
    w->floor = NULL;
}

bool run_take_snapshot(struct run *r, size_t index, const char *trigger)
{
    struct watched *w = r->targets[index];
    if (!w->target || r->stage != RUNNING)
        return false;
    w->due = true;
    w->due_trigger = trigger;
    run_capture_next(r);
    return true;
}
