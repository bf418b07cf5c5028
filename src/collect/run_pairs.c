/* Heap snapshots before and after requests of one target of a run.
 *
 *   resting ─> enabling ─> arming ─> armed ─> before ─> open ─> after ─> resting
 *      ^           (a pause only)               │        │
 *      ├──── refused, failed, no turn ──────────┘        │
 *      └──── the request does not end ───────────────────┘
 *
 * Waits: resting, until the pause share allows another pair; enabling, the debugger; arming, the
 * hook; armed, a request; before and after, a capture's turn and then its end, while the request
 * waits; open, the request's end. full is for good: there were enough. The target itself ends a
 * wait when we vanish: a paused process goes on without its debugger, a held request without beats
 * (pairs.js). Before we are stopped (SIGTSTP) we let it go on; should we be without a warning
 * (SIGSTOP), the guardian ends the debugger. */
#include "collect/run_private.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "cdp/proto.h"
#include "collect/ask.h"
#include "collect/host.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOTS_DEFAULT                                                                          \
    40 /* of requests, where --max-snapshots is not given: some GB at most                         \
        */
#define REQUEST_MAX_US     (60 * 1000000LL) /* how long a request may take between its snapshots */
#define ENABLE_DEADLINE_US (10 * 1000000LL)
#define TURN_RETRY_US      (5 * 1000000LL) /* after another capture on this host had the turn */
#define IDS                64 /* request ids that are remembered for rows that come late */
#define NAME_MAX_BYTES     200
#define LABEL_OWN_MAX      64 /* bytes of --label in a file's name */
#define FRAME_MAX          1024

enum pairs_stage { RESTING, ENABLING, ARMING, ARMED, BEFORE, OPEN, AFTER, FULL };

struct pairs {
    struct watched *w;
    enum pairs_stage stage;
    bool pause;     /* how the request waits: the process pauses; else it alone is held */
    bool debugging; /* we have enabled the debugger */
    bool standing;  /* the target stands still for us */
    bool due;       /* a capture waits for its turn */
    bool capturing; /* it runs */
    bool ended;     /* a held request came to its end while the first capture ran */
    bool went;      /* the request has not waited for the capture that runs */
    bool halted;    /* heaptap is about to be stopped */
    struct timer *timer;
    int64_t number, request_id; /* of the pair */
    char method[REQUESTS_METHOD_MAX + 1];
    char name[NAME_MAX_BYTES]; /* method and URL, cut */
    char label[REQUESTS_METHOD_MAX + 16 + LABEL_OWN_MAX];
    int64_t stood_since_us, stall_us; /* of this pair's waits */
    int64_t taken;                    /* pairs that are complete or were begun */
    int64_t ids[IDS];                 /* request ids by the pair's number */
    bool told_hold, told_passed, told_foreign;
};

static void take(struct pairs *p);
static void prepare(struct pairs *p);

static bool may_pair(const struct pairs *p)
{
    int64_t max = p->w->run->options.max_snapshots;
    return p->w->facts.requests.snapshots + 2 <= (max ? max : SNAPSHOTS_DEFAULT);
}

static void rest(struct pairs *p)
{
    struct watched *w = p->w;
    int64_t now = clock_monotonic_us();
    p->due = p->ended = p->went = false;
    p->stall_us = 0;
    p->stage = RESTING;
    if (!may_pair(p)) {
        p->stage = FULL;
        run_say(w->run, w, false,
            "%lld snapshot%s of requests taken, no more follow (--max-snapshots)",
            (long long)w->facts.requests.snapshots, w->facts.requests.snapshots == 1 ? "" : "s");
        return;
    }
    /* What the baseline has stalled does not put the first pair off. */
    int64_t at_us = p->taken ? w->rested_at_us : w->link->spared_until_us;
    if (!p->halted)
        timer_start(p->timer, at_us > now ? at_us - now : 0);
}

/* ---- letting the request go on ---- */

static void let_go(struct pairs *p)
{
    struct err e = ERR_NONE;
    struct watched *w = p->w;
    int rc = 0;
    timer_stop(p->timer);
    if (!w->target)
        return;
    if (p->standing) {
        p->stall_us += clock_monotonic_us() - p->stood_since_us;
        p->standing = false;
        rc = cdp_call(target_session(w->target), PROTO_DEBUGGER_RESUME, NULL, 0, NULL, NULL, &e);
    } else if (!p->pause && w->follow) {
        rc = requests_pair_release(w->follow, p->number, &e);
    }
    if (rc && e.code != ERR_CANCELLED)
        run_say(w->run, w, true, "%s waits until the target lets it go on by itself: %s", p->name,
            e.text);
}

/* Ends the pair without (further) snapshots. */
static void give_up(struct pairs *p, const char *why)
{
    struct err e = ERR_NONE;
    struct watched *w = p->w;
    const char *side = p->stage == BEFORE ? "before" : "after";
    if (w->follow)
        (void)!requests_pair_abandon(w->follow, p->number, &e); /* the resume below, or no beat */
    let_go(p);
    if (why)
        run_say(w->run, w, false, "no snapshot %s %s: %s", side, p->name, why);
    w->facts.requests.passed += p->stage == BEFORE;
    rest(p);
}

/* ---- arming ---- */

/* Whether ours is the only connection to the inspector; false if it cannot be told. */
static bool is_alone(const struct watched *w)
{
    const struct target_identity *main = target_identity(target_main(w->target));
    const char *colon = strrchr(main->address, ':');
    if (!main->host_pid || !colon)
        return false;
    return host_clients(main->host_pid, (uint16_t)strtoul(colon + 1, NULL, 10)) == 1;
}

static void armed(void *arg, const cJSON *result, const struct err *why)
{
    struct pairs *p = arg;
    struct err e = ERR_NONE;
    const char *text;
    int rc = why ? why->code : ask_text(result, &text, &e);
    if (rc == 0 && p->stage == ARMING)
        p->stage = ARMED;
    if (rc && rc != ERR_LOST && rc != ERR_CANCELLED) {
        p->stage = FULL;
        run_say(p->w->run, p->w, true, "requests get no snapshots: %s", why ? why->text : e.text);
    }
}

static void arm(struct pairs *p)
{
    struct err e = ERR_NONE;
    p->stage = ARMING;
    if (!p->w->follow || requests_pair_arm(p->w->follow, p->pause, armed, p, &e) != 0)
        rest(p);
}

/* Should heaptap be stopped with the debugger on, the guardian ends that, and with it any pause. */
static void be_spoken_for(struct pairs *p)
{
    struct cdp_session *s = target_session(p->w->target);
    struct err e = ERR_NONE;
    struct buf frame = buf_new(FRAME_MAX);
    if (cdp_frame_call(s, PROTO_DEBUGGER_DISABLE, &frame, &e) == 0)
        guardian_speak(p->w->run->guardian, p, s, frame.data, frame.length);
    buf_free(&frame);
}

static void enabled(void *arg, const cJSON *result, const struct err *why)
{
    struct pairs *p = arg;
    (void)result;
    if (why) {
        if (why->code == ERR_LOST || why->code == ERR_CANCELLED)
            return;
        run_say(p->w->run, p->w, true, "requests are held, the debugger is not to be had: %s",
            why->text);
        p->told_hold = true;
        p->pause = false;
    }
    p->debugging = !why && p->stage == ENABLING;
    if (p->debugging)
        be_spoken_for(p);
    if (p->stage == ENABLING)
        arm(p);
}

static void disable(struct pairs *p)
{
    struct err e = ERR_NONE;
    if ((p->debugging || p->stage == ENABLING) && p->w->target)
        (void)!cdp_call(target_session(p->w->target), PROTO_DEBUGGER_DISABLE, NULL,
            ENABLE_DEADLINE_US, NULL, NULL, &e); /* it ends with the session, too */
    guardian_speak_no_more(p->w->run->guardian, p);
    p->debugging = false;
}

static void prepare(struct pairs *p)
{
    struct watched *w = p->w;
    struct err e = ERR_NONE;
    if (!w->target || w->run->stage != RUNNING || p->halted)
        return;
    bool alone = is_alone(w);
    p->pause = !w->run->options.hold && alone;
    if (!w->run->options.hold && !alone && !p->told_hold) {
        p->told_hold = true;
        run_say(w->run, w, false,
            "requests are held for their snapshots, the process is not paused: another client of "
            "its inspector %s",
            target_identity(target_main(w->target))->host_pid ? "may debug it"
                                                              : "cannot be ruled out from here");
    }
    if (!p->pause)
        disable(p);
    if (!p->pause || p->debugging) {
        arm(p);
        return;
    }
    p->stage = ENABLING;
    if (cdp_call(target_session(w->target), PROTO_DEBUGGER_ENABLE, NULL, ENABLE_DEADLINE_US,
            enabled, p, &e) != 0)
        enabled(p, NULL, &e);
}

/* ---- a pair ---- */

static void take(struct pairs *p)
{
    struct watched *w = p->w;
    struct run *r = w->run;
    if (r->stage != RUNNING) {
        give_up(p, NULL);
        return;
    }
    bool our_turn_comes =
        r->captured == w && r->capture && (!p->standing || capture_ends_standing(r->capture));
    if (r->captured && !our_turn_comes) {
        give_up(p, "another capture was running");
        return;
    }
    p->due = true;
    timer_start(p->timer, r->options.limits.max_pause_us);
    run_capture_next(r);
}

static void begin(struct pairs *p, const struct request_pair *step)
{
    struct err e = ERR_NONE;
    struct watched *w = p->w;
    if (p->stage != ARMED && p->stage != ARMING) {
        (void)!requests_pair_abandon(w->follow, step->number, &e);
        return;
    }
    p->stage = BEFORE;
    p->number = step->number;
    p->request_id = ++w->last_request_id;
    p->ids[p->number % IDS] = p->request_id;
    p->taken++;
    snprintf(p->method, sizeof p->method, "%s", step->method);
    snprintf(p->name, sizeof p->name, "%s %s", step->method, step->url);
    if (!p->pause)
        take(p); /* else once it stands */
}

static void end(struct pairs *p)
{
    if (p->stage == BEFORE && !p->pause) {
        p->ended = true; /* its client went */
    } else if (p->stage == OPEN) {
        p->stage = AFTER;
        if (!p->pause)
            take(p);
    }
}

void run_pairs_step(struct watched *w, const struct request_pair *step)
{
    struct pairs *p = w->pairs;
    if (!p)
        return;
    if (step->step == REQUEST_BEFORE) {
        begin(p, step);
        return;
    }
    if (step->number != p->number)
        return;
    if (step->step == REQUEST_AFTER) {
        end(p);
        return;
    }
    /* It went on although it was to wait. */
    if (p->stage != BEFORE && p->stage != AFTER)
        return;
    p->went = true;
    p->standing = false;
    if (!p->capturing)
        give_up(p, "another debugger let the target go on");
}

/* ---- the debugger's pauses ---- */

static void paused_by_another(struct pairs *p)
{
    struct watched *w = p->w;
    struct err e = ERR_NONE;
    bool alone = is_alone(w);
    if (alone)
        (void)!cdp_call(target_session(w->target), PROTO_DEBUGGER_RESUME, NULL, 0, NULL, NULL, &e);
    if (p->told_foreign)
        return;
    p->told_foreign = true;
    run_say(w->run, w, true,
        alone ? "the target paused by itself (a debugger statement of its own?) and was told to go "
                "on; it is not said again"
              : "the target is paused, not by heaptap: another debugger has to let it go on");
}

bool run_pairs_event(struct watched *w, const char *method)
{
    struct pairs *p = w->pairs;
    if (!p || strncmp(method, "Debugger.", strlen("Debugger.")) != 0)
        return false;
    if (strcmp(method, PROTO_DEBUGGER_PAUSED) != 0)
        return true; /* scripts, mostly */
    bool ours = p->pause && !p->standing && !p->due && !p->capturing &&
                (p->stage == BEFORE || p->stage == AFTER);
    if (!ours) {
        paused_by_another(p);
        return true;
    }
    p->standing = true;
    p->stood_since_us = clock_monotonic_us();
    take(p);
    return true;
}

/* ---- its captures ---- */

bool run_pairs_due(const struct watched *w)
{
    return w->pairs && w->pairs->due;
}

void run_pairs_begin_capture(struct watched *w, struct capture_options *o, const char **ret_label)
{
    struct pairs *p = w->pairs;
    const char *own = w->run->options.label;
    timer_stop(p->timer);
    p->due = false;
    p->capturing = true;
    o->standing = p->standing;
    o->patience_us = 1; /* a request does not wait for captures of others */
    o->request_id = p->request_id;
    snprintf(p->label, sizeof p->label, "%s-%s%s%.*s", p->stage == BEFORE ? "before" : "after",
        p->method, own ? "-" : "", LABEL_OWN_MAX, own ? own : "");
    *ret_label = p->label;
}

void run_pairs_captured(struct watched *w, const struct capture_outcome *o)
{
    struct pairs *p = w->pairs;
    if (!p || !p->capturing)
        return;
    p->capturing = false;
    bool complete = o->state == CAPTURE_COMPLETE;
    w->facts.requests.snapshots += complete;
    w->facts.requests.pairs += complete && p->stage == AFTER;
    if (!p->standing && !isnan(o->pause_ms))
        p->stall_us += (int64_t)(o->pause_ms * 1000);
    if (p->went)
        run_say(w->run, w, true, "%s went on while its snapshot was taken", p->name);
    if (p->stage == BEFORE && complete && !p->went) {
        let_go(p);
        p->stage = OPEN;
        timer_start(p->timer, REQUEST_MAX_US);
        if (p->ended)
            end(p);
        return;
    }
    int64_t stall_us = p->stall_us + (p->standing ? clock_monotonic_us() - p->stood_since_us : 0);
    int64_t rest_us = guard_rest_us(stall_us, w->run->options.max_pause_share);
    if (o->state == CAPTURE_REFUSED) {
        int64_t retry_us =
            o->verdict.answer == GUARD_REFUSE
                ? guard_retry_us(w->run->options.snapshot_interval_us, w->memory.refusals)
                : TURN_RETRY_US;
        rest_us = rest_us > retry_us ? rest_us : retry_us;
    }
    int64_t rested_at_us = clock_monotonic_us() + rest_us;
    if (rested_at_us > w->rested_at_us)
        w->rested_at_us = rested_at_us;
    give_up(p, NULL); /* it is complete, or its capture has said why not */
}

static void on_timer(void *arg)
{
    struct pairs *p = arg;
    switch (p->stage) {
    case RESTING: prepare(p); break;
    case OPEN: give_up(p, "it has not ended within a minute"); break;
    case BEFORE:
    case AFTER: give_up(p, "its turn did not come within --max-pause"); break;
    case ENABLING:
    case ARMING:
    case ARMED:
    case FULL: break;
    }
}

/* ---- when heaptap itself is stopped ---- */

/* No request waits from now on. */
static void put_off(struct pairs *p)
{
    struct err e = ERR_NONE;
    struct watched *w = p->w;
    p->went |= p->capturing;
    if (w->follow)
        (void)!requests_pair_disarm(w->follow, p->number, &e); /* it may be over */
    let_go(p);
    disable(p);
    if (!p->capturing) {
        w->facts.requests.passed += p->stage == BEFORE;
        p->due = p->ended = false;
        p->stage = RESTING;
    }
}

void run_halt(struct run *r)
{
    for (size_t i = 0; i < r->target_count; i++) {
        struct pairs *p = r->targets[i]->pairs;
        if (!p || p->stage == FULL)
            continue;
        p->halted = true;
        put_off(p);
    }
}

/* What heaptap knows may be long past, and the guardian may have spoken. */
void run_continue(struct run *r)
{
    for (size_t i = 0; i < r->target_count; i++) {
        struct pairs *p = r->targets[i]->pairs;
        if (!p || p->stage == FULL)
            continue;
        put_off(p);
        p->halted = false;
        if (!p->capturing)
            rest(p);
    }
}

/* ---- for run_requests.c ---- */

int64_t run_pairs_request_id(const struct watched *w, int64_t number)
{
    return w->pairs && number ? w->pairs->ids[number % IDS] : 0;
}

void run_pairs_passed(struct watched *w, int64_t passed)
{
    struct pairs *p = w->pairs;
    char text[TEXT_SHORT];
    if (!p)
        return;
    if (p->stage == ARMED && p->pause && !is_alone(w))
        prepare(p); /* somebody may want to debug it now */
    w->facts.requests.passed += passed;
    int64_t wait_us = w->rested_at_us - clock_monotonic_us();
    bool spared = clock_monotonic_us() < w->link->spared_until_us; /* that was said */
    if (passed == 0 || p->told_passed || p->stage != RESTING || wait_us <= 0 || spared)
        return;
    p->told_passed = true;
    run_say(w->run, w, false,
        "requests come too soon for a pair of snapshots and pass without one: the next in %s "
        "(--max-pause-share %.3g %%); it is not said again",
        text_duration(text, wait_us), w->run->options.max_pause_share * 100);
}

void run_pairs_follow(struct watched *w)
{
    struct err e = ERR_NONE;
    if (!w->run->options.follow.pairs)
        return;
    if (!w->pairs) {
        w->pairs = calloc(1, sizeof *w->pairs);
        if (!w->pairs || timer_new(w->run->loop, on_timer, w->pairs, &w->pairs->timer, &e) != 0) {
            free(w->pairs);
            w->pairs = NULL;
            run_say(w->run, w, true, "requests get no snapshots: out of memory");
            return;
        }
        w->pairs->w = w;
    }
    if (w->pairs->stage != FULL)
        rest(w->pairs);
}

void run_pairs_leave(struct watched *w)
{
    struct pairs *p = w->pairs;
    char text[128];
    if (!p)
        return;
    let_go(p);
    disable(p);
    p->stage = FULL;
    if (w->facts.requests.passed == 0)
        return;
    snprintf(text, sizeof text, "%lld requests passed without a pair of snapshots",
        (long long)w->facts.requests.passed);
    run_record_event(w->run, w, 0, "passed", text);
}

void run_pairs_gone(struct watched *w)
{
    struct pairs *p = w->pairs;
    if (!p)
        return;
    timer_stop(p->timer);
    guardian_speak_no_more(w->run->guardian, p);
    p->debugging = p->standing = p->due = p->capturing = false;
    if (p->stage != FULL)
        p->stage = RESTING;
}

void run_pairs_free(struct watched *w)
{
    if (!w->pairs)
        return;
    timer_free(w->pairs->timer);
    free(w->pairs);
    w->pairs = NULL;
}
