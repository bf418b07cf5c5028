/* A probe, step by step:
 *
 *   attaching ──> trying ──> warming ⟲ ──> base ──> loading ──> measuring ──> imaging ──> rebasing
 *                                                      ^            │                        │
 *                                                      └────────────┴────────────────────────┘
 *   over: the run ends, for whatever cause
 *
 * trying sends one request of each kind and looks at what comes back. warming sends even rounds
 * until the floor rises by the same from round to round, which is what a warm program does, leak or
 * not. imaging waits for a snapshot of each thread that grows; rebasing reads the floors again
 * after them. */
#include "collect/probe.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/text.h"
#include "collect/generator.h"
#include "collect/growers.h"
#include "collect/mix.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define WARM_UPS_MIN    3
#define WARM_UPS_MAX    8
#define STEADY_BYTES    32768           /* two rises that differ by less are the same */
#define STEADY_SHARE    0.1             /* of the rise */
#define ROUND_US        (2 * 1000000LL) /* a round that takes longer has fewer requests, unless asked */
#define ATTACH_WAIT_US  300000   /* for workers, which are attached after their main thread */
#define SHOW_US         100000   /* progress */
#define FAILED_SHARE    0.5      /* of a round: then there is no server to probe */
#define WARM_GROWTH     16384.0  /* a thread that rises by less in a warm round does not show */
#define LATER_GROWTH    131072.0 /* one that grows by more was overlooked then */
#define ROUTES_MAX      402      /* as many as a run knows */
#define SNAPSHOT_REASON "probe"

enum step { ATTACHING, TRYING, WARMING, BASE, LOADING, MEASURING, IMAGING, REBASING, OVER };

struct isolate {   /* a target's heap */
    double floor;  /* the latest */
    double base;   /* the one at the start, with what snapshots have left behind since */
    double growth; /* of the last warm-up round, later since the start */
    bool known, imaged;
};

struct probe {
    struct run *run;
    struct loop *loop;
    struct probe_options options;
    const struct run_handlers *handlers; /* the owner's */
    void *arg;
    enum step step;
    struct load *load;              /* NULL: a command is the load */
    struct generator *generator;    /* NULL: none */
    struct timer *timer;            /* waits for workers, then shows progress */
    int64_t mix[LOAD_REQUESTS_MAX]; /* of the round that is sent */
    int64_t mix_total;
    struct probe_route *routes;
    size_t route_count;
    int64_t *base; /* requests by route at the floor before; ROUTES_MAX */
    int64_t *sums; /* the same now, while a floor is read */
    struct probe_round *rounds;
    size_t round_count;
    struct probe_facts facts;
    double warm_floor, warm_rise; /* of the latest warm-up; NAN: none yet */
    int steady;                   /* rises alike, one after the other */
    size_t floor_target;          /* index of the target whose floor is read */
    double floor_sum;
    int64_t floor_ms;
    struct isolate *isolates; /* by target */
    size_t isolate_count;
    size_t images[GROWERS_MAX]; /* targets that have their snapshots taken, one after the other */
    size_t image_count, image_at;
    int64_t floor_us, last_snapshot_us;
    int64_t rest_us;  /* before the floor of a quiet round: as long as the round itself */
    int64_t unserved; /* sent in a row while the target ended none */
    bool told_unserved, told_refused, told_status;
};

static void say(struct probe *p, bool warning, const char *format, ...) PRINTF_LIKE(3, 4);
static void say(struct probe *p, bool warning, const char *format, ...)
{
    char line[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    p->handlers->said(p->arg, NULL, warning, line);
}

static void fail(struct probe *p, const struct err *why)
{
    p->step = OVER;
    run_fail(p->run, "the probe failed", why);
}

static void take_floor(struct probe *p);
static void next_round(struct probe *p);

/* ---- the load ---- */

static void show_progress(struct probe *p)
{
    int64_t done = p->load ? load_done(p->load) : 0;
    const struct run_target *t = run_target_at(p->run, p->facts.target);
    int64_t round = p->step == WARMING ? p->facts.warm_ups : (int64_t)p->round_count - 1;
    int64_t rounds = p->step == WARMING ? WARM_UPS_MAX : p->facts.rounds_wanted;
    int64_t total = p->mix_total ? p->mix_total : 1;
    p->handlers->progress(p->arg, t, p->step == WARMING ? "warming up" : "probing",
        round * 1000 + done * 1000 / total, rounds * 1000, 0, 0);
}

static void begin_load(struct probe *p)
{
    struct err e = ERR_NONE;
    int rc;
    bool round = p->step == LOADING;
    p->mix_total = 0;
    for (size_t i = 0; i < p->options.load.request_count; i++)
        p->mix_total += p->mix[i];
    if (p->load)
        rc = load_send(p->load, p->mix, p->round_count + (uint64_t)p->facts.warm_ups, &e);
    else
        rc = generator_start(
            p->generator, round ? (int64_t)p->round_count : 0, p->facts.rounds_wanted, &e);
    if (rc)
        fail(p, &e);
    else
        timer_start(p->timer, SHOW_US);
}

static const char *without_query(const struct load_request *q, char out[256])
{
    snprintf(out, 256, "%s %.*s", q->method, (int)strcspn(q->url, "?#"), q->url);
    return out;
}

/* What came back of the first request of each kind: nothing at all is an error. */
static bool check_answers(struct probe *p, const struct load_result *r)
{
    struct err e = ERR_NONE;
    char name[256];
    for (size_t i = 0; i < p->options.load.request_count; i++) {
        const struct load_request *q = &p->options.load.requests[i];
        const struct load_tally *tally = &r->tallies[i];
        if (tally->failed) {
            err_set(
                &e, ERR_UNREACHABLE, "%s has no answer: %s", without_query(q, name), tally->why);
            fail(p, &e);
            return false;
        }
        if (tally->last_status)
            say(p, true, "%s answers %d: what is measured is that answer", without_query(q, name),
                tally->last_status);
    }
    return true;
}

/* false: there is no server any more. */
static bool note_load(struct probe *p, const struct load_result *r)
{
    struct err e = ERR_NONE;
    char name[256];
    p->facts.answered += r->answered;
    p->facts.failed += r->failed;
    p->facts.refused += r->refused;
    p->facts.sent += r->answered + r->failed;
    for (size_t i = 0; i < p->options.load.request_count; i++) {
        const struct load_tally *tally = &r->tallies[i];
        const struct load_request *q = &p->options.load.requests[i];
        if ((double)tally->failed > FAILED_SHARE * (double)tally->sent) {
            err_set(&e, ERR_UNREACHABLE, "%lld of %lld requests %s had no answer: %s",
                (long long)tally->failed, (long long)tally->sent, without_query(q, name),
                tally->why);
            fail(p, &e);
            return false;
        }
        if (tally->failed && !p->told_refused)
            say(p, true, "%lld of %lld requests %s had no answer: %s", (long long)tally->failed,
                (long long)tally->sent, without_query(q, name), tally->why);
        p->told_refused = p->told_refused || tally->failed;
    }
    return true;
}

/* Without a hook what was answered is what was served. */
static void count_answers(struct probe *p, const struct load_result *r)
{
    if (run_target_at(p->run, p->facts.target)->requests.followed)
        return;
    for (size_t i = 0; i < p->options.load.request_count; i++) {
        const struct load_request *q = &p->options.load.requests[i];
        run_count_requests(p->run, p->facts.target, q->method, q->route,
            r->tallies[i].sent - r->tallies[i].failed);
    }
}

/* A slow server gets rounds that end within a bearable time. */
static void fit_count(struct probe *p, int64_t elapsed_us)
{
    size_t kinds = p->options.load.request_count;
    char took[TEXT_SHORT];
    if (p->options.count || elapsed_us <= ROUND_US)
        return;
    int64_t count = (int64_t)((double)p->facts.count * ROUND_US / (double)elapsed_us);
    if (count < 2 * mix_count_min(kinds))
        count = 2 * mix_count_min(kinds);
    if (count >= p->facts.count)
        return;
    say(p, false, "%lld requests take %s here: rounds of %lld (--count sets it)",
        (long long)p->facts.count, text_duration(took, elapsed_us), (long long)count);
    p->facts.count = count;
}

static void loaded(struct probe *p, int64_t elapsed_us)
{
    timer_stop(p->timer);
    if (p->step == TRYING) {
        p->step = WARMING;
        if (p->load)
            mix_even(p->options.load.request_count, p->facts.count, p->mix);
        begin_load(p);
        return;
    }
    if (p->step == WARMING && p->load && p->facts.warm_ups == 0)
        fit_count(p, elapsed_us);
    if (p->step == WARMING)
        p->facts.warm_up_requests += p->mix_total;
    if (p->step == LOADING) {
        p->step = MEASURING;
        bool quiet =
            p->load && mix_is_quiet(p->options.load.request_count, (int64_t)p->round_count - 1);
        p->rest_us = quiet ? clock_monotonic_us() - p->floor_us : 0;
    }
    take_floor(p);
}

static void on_load(void *arg, const struct load_result *r)
{
    struct probe *p = arg;
    if (p->step == OVER)
        return;
    if (p->step == TRYING ? !check_answers(p, r) : !note_load(p, r))
        return;
    count_answers(p, r);
    loaded(p, r->elapsed_us);
}

static void on_generator(void *arg, int status)
{
    struct probe *p = arg;
    struct err e = ERR_NONE;
    if (p->step == OVER)
        return;
    if (status != 0 && p->step == WARMING && p->facts.warm_ups == 0) {
        if (WIFSIGNALED(status))
            err_set(&e, ERR_USAGE, "the load \"%s\" was ended by signal %d", p->options.command[0],
                WTERMSIG(status));
        else
            err_set(&e, ERR_USAGE, "the load \"%s\" ended with exit code %d", p->options.command[0],
                WEXITSTATUS(status));
        fail(p, &e);
        return;
    }
    if (status != 0 && !p->told_status)
        say(p, true, "the load \"%s\" did not end well (status %d)", p->options.command[0],
            WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    p->told_status = p->told_status || status != 0;
    loaded(p, 0);
}

/* ---- routes of all targets of the process ---- */

static size_t route_index(struct probe *p, const struct run_route *r)
{
    for (size_t i = 0; i < p->route_count; i++)
        if (strcmp(p->routes[i].path, r->path) == 0 && strcmp(p->routes[i].method, r->method) == 0)
            return i;
    if (p->route_count == ROUTES_MAX)
        return ROUTES_MAX - 1;
    struct probe_route *added = &p->routes[p->route_count];
    added->method = strdup(r->method);
    added->path = strdup(r->path);
    if (!added->method || !added->path) {
        free(added->method);
        free(added->path);
        return p->route_count ? p->route_count - 1 : ROUTES_MAX;
    }
    return p->route_count++;
}

static void add_counts(struct probe *p, const struct run_target *t, const struct run_floor *floor)
{
    for (size_t i = 0; i < floor->route_count; i++) {
        size_t at = floor->counts[i] ? route_index(p, &t->requests.routes[i]) : ROUTES_MAX;
        if (at < ROUTES_MAX)
            p->sums[at] += floor->counts[i];
    }
}

/* ---- floors ---- */

static struct probe_round *add_round(struct probe *p)
{
    int64_t *counts = NULL;
    if (!array_more(&p->rounds, p->round_count) || !(counts = calloc(ROUTES_MAX, sizeof *counts)))
        return NULL;
    for (size_t i = 0; i < ROUTES_MAX; i++)
        counts[i] = p->round_count ? p->sums[i] - p->base[i] : 0;
    struct probe_round *round = &p->rounds[p->round_count++];
    *round = (struct probe_round){.counts = counts, .route_count = p->route_count};
    return round;
}

/* Whether a server that was sent requests has served any: else the URL is another's. */
static void check_served(struct probe *p)
{
    int64_t served = 0;
    for (size_t i = 0; i < p->route_count; i++)
        served += p->sums[i] - p->base[i];
    p->unserved = served ? 0 : p->unserved + p->mix_total;
    if (p->unserved && p->facts.hooked && !p->told_unserved) {
        p->told_unserved = true;
        say(p, true,
            "the target has served none of %lld requests: is it the process behind that URL "
            "(a cluster's worker, a proxy)?",
            (long long)p->unserved);
    }
}

static void note_serving_target(struct probe *p)
{
    int64_t most = 0;
    for (size_t i = 0; i < run_target_count(p->run); i++) {
        const struct run_requests *q = &run_target_at(p->run, i)->requests;
        int64_t served = 0;
        for (size_t k = 0; k < q->route_count; k++)
            served += q->routes[k].requests;
        if (served > most) {
            most = served;
            p->facts.target = i;
        }
    }
    p->facts.hooked = run_target_at(p->run, p->facts.target)->requests.followed;
}

/* A rise that is like the one before it, twice: what was going to be compiled is. */
static bool is_warm(struct probe *p)
{
    double rise = p->floor_sum - p->warm_floor;
    double differs = fabs(rise - p->warm_rise);
    p->steady = differs <= fmax(STEADY_BYTES, STEADY_SHARE * fabs(rise)) ? p->steady + 1 : 0;
    p->warm_rise = rise;
    p->warm_floor = p->floor_sum;
    p->facts.warm_ups++;
    p->facts.settled = p->steady >= 1 && p->facts.warm_ups >= WARM_UPS_MIN;
    return p->facts.settled || p->facts.warm_ups == WARM_UPS_MAX;
}

static void warmed(struct probe *p)
{
    note_serving_target(p);
    check_served(p);
    memcpy(p->base, p->sums, ROUTES_MAX * sizeof *p->base);
    if (is_warm(p)) {
        p->step = BASE;
        take_floor(p);
        return;
    }
    if (p->load)
        mix_even(p->options.load.request_count, p->facts.count, p->mix);
    begin_load(p);
}

static bool wants_snapshot(const struct probe *p)
{
    int64_t done = (int64_t)p->round_count - 1, rounds = p->facts.rounds_wanted;
    int64_t wanted = p->options.snapshots;
    if (p->options.snapshot_interval_us)
        return done == 0 || done == rounds ||
               clock_monotonic_us() - p->last_snapshot_us >= p->options.snapshot_interval_us;
    if (wanted <= 1)
        return wanted == 1 && done == rounds;
    for (int64_t k = 0; k < wanted; k++)
        if (k * rounds / (wanted - 1) == done)
            return true;
    return false;
}

/* ---- snapshots of threads that grow ---- */

/* Workers that run one file are one program; those of a text that was handed over may be any. */
static const char *program_of(const struct run_target *t)
{
    const char *url = t->identity.url;
    return t->identity.kind == TARGET_WORKER && text_is_file_url(url) ? url : NULL;
}

static int choose_images(struct probe *p, struct err *e)
{
    struct grower *list = calloc(p->isolate_count + 1, sizeof *list);
    if (!list)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < p->isolate_count; i++) {
        const struct isolate *isolate = &p->isolates[i];
        const struct run_target *t = run_target_at(p->run, i);
        list[i] = (struct grower){
            isolate->growth, isolate->known && t->attached, isolate->imaged, program_of(t)};
    }
    p->image_at = 0;
    p->image_count = growers_choose(list, p->isolate_count,
        p->round_count == 1 ? WARM_GROWTH : LATER_GROWTH, p->facts.target, p->images);
    free(list);
    return 0;
}

/* The next one; after the last the floors are read anew. */
static void take_image(struct probe *p)
{
    for (; p->image_at < p->image_count; p->image_at++)
        if (run_take_snapshot(p->run, p->images[p->image_at], SNAPSHOT_REASON))
            return;
    if ((int64_t)p->round_count - 1 == p->facts.rounds_wanted) {
        next_round(p); /* there is none */
        return;
    }
    p->step = REBASING;
    take_floor(p);
}

/* The floor after a round, or before the first one. */
static void measured(struct probe *p)
{
    int64_t now = clock_monotonic_us();
    struct err e = ERR_NONE;
    struct probe_round *round = add_round(p);
    if (!round) {
        err_set(&e, ERR_NOMEM, "out of memory");
        fail(p, &e);
        return;
    }
    round->floor_bytes = round->next_bytes = p->floor_sum;
    round->wall_ms = p->floor_ms;
    round->elapsed_us = p->floor_us ? now - p->floor_us : 0;
    p->floor_us = now;
    if (p->step == MEASURING)
        check_served(p);
    memcpy(p->base, p->sums, ROUTES_MAX * sizeof *p->base);
    if (!wants_snapshot(p)) {
        next_round(p);
        return;
    }
    p->step = IMAGING;
    p->last_snapshot_us = now;
    if (choose_images(p, &e) == 0)
        take_image(p);
    else
        fail(p, &e);
}

static void all_floors_read(struct probe *p)
{
    if (p->step == WARMING) {
        warmed(p);
    } else if (p->step == REBASING) {
        p->rounds[p->round_count - 1].next_bytes = p->floor_sum;
        p->rounds[p->round_count - 1].next_ms = p->floor_ms;
        p->floor_us = clock_monotonic_us();
        next_round(p);
    } else {
        measured(p);
    }
}

static void next_floor(struct probe *p);

static int note_isolate(struct probe *p, size_t index, double bytes, struct err *e)
{
    while (p->isolate_count <= index) {
        if (!array_more(&p->isolates, p->isolate_count))
            return err_set(e, ERR_NOMEM, "out of memory");
        p->isolates[p->isolate_count++] = (struct isolate){.known = false};
    }
    struct isolate *isolate = &p->isolates[index];
    if (p->step == WARMING)
        isolate->growth = isolate->known ? bytes - isolate->floor : 0;
    else if (p->step == BASE || !isolate->known)
        isolate->base = bytes;
    else if (p->step == REBASING)
        isolate->base += bytes - isolate->floor;
    else
        isolate->growth = bytes - isolate->base;
    isolate->floor = bytes;
    isolate->known = true;
    return 0;
}

static void got_floor(void *arg, const struct run_floor *floor, const struct err *why)
{
    struct probe *p = arg;
    struct err e = ERR_NONE;
    if (p->step == OVER)
        return;
    if (floor && note_isolate(p, p->floor_target, floor->bytes, &e) != 0) {
        fail(p, &e);
        return;
    }
    if (floor) {
        p->floor_sum += floor->bytes;
        p->floor_ms = floor->wall_ms;
        add_counts(p, run_target_at(p->run, p->floor_target), floor);
    } else if (p->floor_target == p->facts.target) {
        fail(p, why);
        return;
    } /* else a worker that has ended takes its heap with it */
    p->floor_target++;
    next_floor(p);
}

/* The main thread and its workers, one after the other. */
static void next_floor(struct probe *p)
{
    struct err e = ERR_NONE;
    enum run_record record = p->step == WARMING                       ? RUN_UNRECORDED
                             : p->step == BASE || p->step == REBASING ? RUN_BASE
                                                                      : RUN_ROUND;
    int64_t settle_us = p->floor_target || p->step == BASE || p->step == REBASING ? 0
                        : p->step == MEASURING ? p->options.settle_us + p->rest_us
                                               : p->options.settle_us;
    for (; p->floor_target < run_target_count(p->run); p->floor_target++)
        if (run_take_floor(p->run, p->floor_target, settle_us, record, got_floor, p, &e) == 0)
            return;
    all_floors_read(p);
}

static void take_floor(struct probe *p)
{
    p->floor_target = 0;
    p->floor_sum = 0;
    memset(p->sums, 0, ROUTES_MAX * sizeof *p->sums);
    next_floor(p);
}

/* ---- rounds ---- */

static void next_round(struct probe *p)
{
    if ((int64_t)p->round_count - 1 == p->facts.rounds_wanted) {
        p->step = OVER;
        p->facts.partial = false;
        run_finish(p->run, "done");
        return;
    }
    p->step = LOADING;
    if (p->load)
        mix_round(
            p->options.load.request_count, (int64_t)p->round_count - 1, p->facts.count, p->mix);
    begin_load(p);
}

static void on_timer(void *arg)
{
    struct probe *p = arg;
    if (p->step == ATTACHING) {
        p->step = p->load ? TRYING : WARMING;
        for (size_t i = 0; i < p->options.load.request_count; i++)
            p->mix[i] = 1;
        begin_load(p);
    } else if (p->step == WARMING || p->step == LOADING) {
        show_progress(p);
        timer_start(p->timer, SHOW_US);
    }
}

/* ---- what the run tells, passed on ---- */

static void on_said(void *arg, const struct run_target *t, bool warning, const char *text)
{
    struct probe *p = arg;
    p->handlers->said(p->arg, t, warning, text);
}

static void on_attached(void *arg, const struct run_target *t)
{
    struct probe *p = arg;
    p->handlers->attached(p->arg, t);
    if (p->step == ATTACHING)
        timer_start(p->timer, ATTACH_WAIT_US);
}

static void on_detached(void *arg, const struct run_target *t, const struct err *why)
{
    struct probe *p = arg;
    p->handlers->detached(p->arg, t, why);
}

static void on_metrics(void *arg, const struct run_target *t, const struct store_metrics *row)
{
    struct probe *p = arg;
    p->handlers->metrics(p->arg, t, row);
}

static void on_request(
    void *arg, const struct run_target *t, int64_t id, const struct request_row *row)
{
    struct probe *p = arg;
    p->handlers->request(p->arg, t, id, row);
}

static void on_progress(void *arg, const struct run_target *t, const char *phase, int64_t done,
    int64_t total, int64_t bytes, int64_t elapsed_us)
{
    struct probe *p = arg;
    p->handlers->progress(p->arg, t, phase, done, total, bytes, elapsed_us);
}

static void on_snapshot(void *arg, const struct run_target *t, const char *trigger,
    const char *path, const struct capture_outcome *outcome, bool again)
{
    struct probe *p = arg;
    p->handlers->snapshot(p->arg, t, trigger, path, outcome, again);
    if (p->step != IMAGING)
        return;
    bool complete = outcome->state == CAPTURE_COMPLETE;
    p->rounds[p->round_count - 1].snapshot |= complete;
    if (p->images[p->image_at] < p->isolate_count)
        p->isolates[p->images[p->image_at]].imaged |= complete;
    p->image_at++;
    take_image(p);
}

static void on_ended(void *arg, const char *reason, const struct err *why)
{
    struct probe *p = arg;
    p->step = OVER;
    timer_stop(p->timer);
    if (p->load)
        load_cut(p->load);
    p->handlers->ended(p->arg, reason, why);
}

static const struct run_handlers handlers = {
    .said = on_said,
    .attached = on_attached,
    .detached = on_detached,
    .metrics = on_metrics,
    .request = on_request,
    .progress = on_progress,
    .snapshot = on_snapshot,
    .ended = on_ended,
};

/* ---- for the owner ---- */

static int prepare(struct probe *p, struct err *e)
{
    size_t kinds = p->options.load.request_count;
    int64_t least = kinds ? mix_count_min(kinds) : 0;
    if (p->options.count && p->options.count < least)
        return err_set(e, ERR_USAGE, "--count %lld: %zu requests need rounds of at least %lld",
            (long long)p->options.count, kinds, (long long)least);
    p->facts.count = p->options.count ? p->options.count : kinds ? mix_count(kinds) : 0;
    p->facts.rounds_wanted = p->options.rounds ? p->options.rounds
                             : kinds           ? mix_rounds(kinds)
                                               : PROBE_COMMAND_RUNS;
    p->facts.partial = true;
    p->warm_floor = p->warm_rise = NAN;
    p->routes = calloc(ROUTES_MAX, sizeof *p->routes);
    p->base = calloc(ROUTES_MAX, sizeof *p->base);
    p->sums = calloc(ROUTES_MAX, sizeof *p->sums);
    if (!p->routes || !p->base || !p->sums)
        return err_set(e, ERR_NOMEM, "out of memory");
    int rc = timer_new(p->loop, on_timer, p, &p->timer, e);
    if (rc == 0 && kinds)
        rc = load_new(p->loop, &p->options.load, on_load, p, &p->load, e);
    else if (rc == 0)
        rc = generator_new(p->loop, p->options.command, on_generator, p, &p->generator, e);
    return rc;
}

int probe_start(struct loop *l, const struct run_options *run, const struct probe_options *o,
    const struct run_handlers *h, void *arg, struct probe **ret, struct err *e)
{
    struct run_options options = *run;
    struct probe *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "out of memory");
    *p = (struct probe){.loop = l, .options = *o, .handlers = h, .arg = arg};
    assert(o->load.request_count || o->command);
    options.stepped = true;
    options.snapshots = false;
    int rc = prepare(p, e);
    if (rc == 0)
        rc = run_start(l, &options, &handlers, p, &p->run, e);
    if (rc)
        probe_free(p);
    else
        *ret = p;
    return rc;
}

struct run *probe_run(const struct probe *p)
{
    return p->run;
}

struct probe_facts probe_facts(const struct probe *p)
{
    struct probe_facts facts = p->facts;
    facts.routes = p->routes;
    facts.route_count = p->route_count;
    facts.rounds = p->rounds;
    facts.round_count = p->round_count;
    return facts;
}

void probe_free(struct probe *p)
{
    if (!p)
        return;
    load_free(p->load);
    generator_free(p->generator);
    timer_free(p->timer);
    run_free(p->run);
    for (size_t i = 0; i < p->round_count; i++)
        free(p->rounds[i].counts);
    for (size_t i = 0; p->routes && i < p->route_count; i++) {
        free(p->routes[i].method);
        free(p->routes[i].path);
    }
    free(p->routes);
    free(p->rounds);
    free(p->isolates);
    free(p->base);
    free(p->sums);
    free(p);
}
