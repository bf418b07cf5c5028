/* One heap snapshot: lease, guard, epoch, stream, store, reading. A timeline records before it
 * streams.
 *
 *   leasing ─> appraising ─> checking ─> (recording) ─> streaming ─> storing ─> settling ─> done
 *      │           │             │           │           │          │
 *      └───────────┴──── refused or failed ──┴───────────┴──────────┴──────^
 *
 * Waits: leasing, another capture on this host; appraising, the guard; checking, the heap object id
 * of the canary; recording, its time or capture_end_recording; streaming, the target, which may be
 * silent for minutes; storing, the disk; settling, the readings after it. Only those with the
 * target idle have deadlines. */
#include "collect/capture.h"

#include "base/clock.h"
#include "base/text.h"
#include "collect/ask.h"
#include "collect/guardian.h"
#include "collect/host.h"
#include "collect/intake.h"
#include "collect/lease.h"
#include "collect/vigil.h"
#include "cdp/proto.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_LOOK_US     200000
#define READING_DEADLINE  (30 * 1000000LL) /* of an idle target; a long GC is within it */
#define RSS_LOOK_US       50000            /* how often the target's memory is looked at */
#define RECORDING_LOOK_US 100000
#define RESTING_US        200000 /* of processor time; what builds a snapshot uses all it gets */

enum phase { LEASING, APPRAISING, CHECKING, RECORDING, STREAMING, STORING, SETTLING };

struct capture {
    struct loop *loop;
    struct capture_options options;
    char *path, *folder; /* owned */
    enum phase phase;
    int lease;                   /* -1: not held */
    struct appraisal *appraisal; /* while appraising */
    int64_t retained;            /* native bytes that captures before had left in the target */
    struct capture_file *file;
    struct capture_outcome outcome;
    struct capture_result result; /* copied when the file is done */
    char *result_path;
    int64_t rss_mark_before; /* the process' highest RSS when we began; INT64_MAX: unknown */
    int64_t started_us, asked_us, first_sign_us, answered_us;
    struct vigil_lines queue;   /* about the turn on this host */
    struct vigil vigil;         /* while streaming, and until something of it comes */
    int64_t cpu_us;             /* of the target, when it was interrupted */
    struct recording recording; /* of a timeline */
    int64_t recording_us;       /* when it began */
    bool recorded;              /* its end was asked for */
    bool still;                 /* objects stay where they are, until it has ended */
    struct intake intake;
    bool streams;        /* the target builds or sends it: nothing stops that */
    bool answered;       /* the target has sent everything */
    bool paused;         /* the connection is */
    int pending;         /* calls to the target that have not been answered */
    bool ended, gone;    /* done was called; the target is gone */
    struct timer *timer; /* of leasing, and of looking at the RSS */
    const struct capture_handlers *handlers;
    void *arg;
    struct loop_discard discard;
};

/* ---- ending ---- */

static void free_capture(void *object)
{
    struct capture *c = object;
    lease_release(c->lease);
    free(c->path);
    free(c->folder);
    free(c->result_path);
    intake_free(&c->intake);
    recording_free(&c->recording);
    free(c);
}

/* The capture can go when it has ended and the target owes no answer any more. */
static void maybe_free(struct capture *c)
{
    if (c->ended && c->pending == 0)
        loop_discard(c->loop, &c->discard, free_capture, c);
}

static void stop(struct capture *c)
{
    c->ended = true;
    if (c->still && !c->gone)
        sampler_stay_still(target_sampler(c->options.target), false);
    if (!c->streams) { /* else the target goes on with it, and so does the lease */
        lease_release(c->lease);
        c->lease = -1;
    }
    appraise_cancel(c->appraisal, !c->gone);
    c->appraisal = NULL;
    capture_file_cancel(c->file);
    c->file = NULL;
    timer_free(c->timer);
    c->timer = NULL;
    if (c->paused && !c->gone)
        cdp_pause(cdp_session_connection(target_session(c->options.target)), false);
    c->paused = false;
}

static void finish(struct capture *c)
{
    if (c->ended)
        return;
    stop(c);
    c->outcome.duration_ms = (double)(clock_monotonic_us() - c->started_us) / 1000;
    c->handlers->done(c->arg, &c->outcome);
    maybe_free(c);
}

static void fail(struct capture *c, enum capture_state state, const struct err *why)
{
    c->outcome.state = state;
    c->outcome.why = *why;
    finish(c);
}

/* Counts the calls, so that the capture outlives its answers. */
static bool asked(struct capture *c, int rc, const struct err *why)
{
    if (rc == 0)
        c->pending++;
    else
        fail(c, CAPTURE_FAILED, why);
    return rc == 0;
}

/* True when the answer is still wanted. */
static bool answers(struct capture *c)
{
    c->pending--;
    if (c->ended)
        maybe_free(c);
    return !c->ended;
}

/* ---- after it: readings, the new canary ---- */

static struct cdp_session *session(struct capture *c)
{
    return target_session(c->options.target);
}

static void learned_canary(void *arg, const cJSON *result, const struct err *why)
{
    struct capture *c = arg;
    struct err e = ERR_NONE;
    int64_t id;
    if (!answers(c))
        return;
    c->options.memory->canary_id = !why && ask_heap_id_answer(result, &id, &e) == 0 ? id : 0;
    finish(c);
}

/* What this capture tells the guard of the next. */
static void teach(struct capture *c, const struct sample *after)
{
    struct capture_memory *m = c->options.memory;
    bool memory_known = c->outcome.rss_before >= 0 && c->outcome.rss_peak > c->outcome.rss_before;
    double heap = isnan(c->outcome.heap_after) ? c->outcome.heap_used : c->outcome.heap_after;
    m->history = (struct guard_history){.heap_used = isnan(heap) ? 0 : (int64_t)heap,
        .nodes = c->result.nodes,
        .pause_us = (int64_t)(c->outcome.pause_ms * 1000),
        .memory = memory_known ? c->outcome.rss_peak - c->outcome.rss_before + c->retained : 0,
        .file_bytes = c->result.content_bytes};
    m->count = (struct guard_count){.nodes = 0};
    m->native_after = after ? appraise_native(after) : 0;
}

static void remember(struct capture *c, const struct sample *after)
{
    double wall_ms = (double)(c->answered_us - c->first_sign_us) / 1000;
    double loop_ms = after ? after->loop_delay_max_ms : NAN;
    bool loop_saw_it = !isnan(loop_ms) && loop_ms >= wall_ms / 2;
    c->outcome.pause_ms = loop_saw_it ? loop_ms : wall_ms;
    c->outcome.heap_after = after ? after->heap_used : NAN;
    teach(c, after);
}

static void sampled_after(void *arg, const struct sample *sample, const struct err *why)
{
    struct capture *c = arg;
    struct err e = ERR_NONE;
    (void)why;
    if (!answers(c))
        return;
    if (sample)
        c->handlers->sampled(c->arg, "after-snapshot", sample);
    remember(c, sample);
    const char *canary = sampler_object(target_sampler(c->options.target));
    if (!canary)
        finish(c);
    else if (ask_heap_id(session(c), canary, READING_DEADLINE, learned_canary, c, &e) == 0)
        c->pending++;
    else
        finish(c);
}

/* The file is safe; what follows is only for the record, so no failure counts any more. */
static void settle(struct capture *c)
{
    struct err e = ERR_NONE;
    c->phase = SETTLING;
    c->outcome.state = CAPTURE_COMPLETE;
    c->outcome.file = &c->result;
    if (!c->gone && sampler_read(target_sampler(c->options.target), READING_DEADLINE, sampled_after,
                        c, &e) == 0) {
        c->pending++;
        return;
    }
    remember(c, NULL);
    finish(c);
}

/* ---- the stream ---- */

/* 0 once the target is gone, or when it is another host's. */
static pid_t host_pid(const struct capture *c)
{
    return c->gone ? 0 : target_identity(c->options.target)->host_pid;
}

static void look_at_rss(struct capture *c)
{
    int64_t rss;
    pid_t pid = host_pid(c);
    if (pid && host_rss(pid, &rss) == 0 && rss > c->outcome.rss_peak)
        c->outcome.rss_peak = rss;
}

/* The kernel's own high-water mark is exact, if the capture is what raised it. */
static void look_at_rss_mark(struct capture *c)
{
    int64_t mark;
    pid_t pid = host_pid(c);
    look_at_rss(c);
    if (pid && host_rss_peak(pid, &mark) == 0 && mark > c->rss_mark_before &&
        mark > c->outcome.rss_peak)
        c->outcome.rss_peak = mark;
}

static void pause_reading(struct capture *c, bool paused)
{
    if (c->paused == paused)
        return;
    c->paused = paused;
    cdp_pause(cdp_session_connection(session(c)), paused);
}

static void complete_stream(struct capture *c)
{
    if (c->answered && !intake_is_full(&c->intake) && c->phase == STREAMING) {
        c->phase = STORING;
        look_at_rss_mark(c);
        c->handlers->progress(c->arg, "storing", 0, 0, capture_file_bytes(c->file));
        capture_file_finish(c->file);
    }
}

/* A full writer pauses the connection. */
static void took(struct capture *c, int rc, const struct err *why)
{
    if (rc)
        fail(c, CAPTURE_FAILED, why);
    else
        pause_reading(c, intake_is_full(&c->intake));
}

static void on_room(void *arg)
{
    struct capture *c = arg;
    struct err e = ERR_NONE;
    if (c->ended || !intake_is_full(&c->intake))
        return;
    took(c, intake_go_on(&c->intake, &e), &e);
    if (!c->ended)
        complete_stream(c);
}

/* ---- a target that says nothing ---- */

static void give_up(struct capture *c)
{
    struct err e = ERR_NONE;
    char text[ERR_TEXT_MAX] = "the target did not answer";
    if (c->vigil.asked_us)
        vigil_text(&c->vigil, clock_monotonic_us(), text);
    err_set(&e, ERR_CAPTURE, "given up: %.900s", text);
    fail(c, CAPTURE_FAILED, &e);
}

/* Tells the inspector to forget what it keeps of the console, which would look like a leak; to us
 * it is a question that any target answers. What cannot be asked stays unanswered. */
static void ask_along(struct capture *c, cdp_reply_fn fn)
{
    struct err e = ERR_NONE;
    if (cdp_call(session(c), PROTO_RUNTIME_DISCARD_CONSOLE_ENTRIES, NULL, 0, fn, c, &e) == 0)
        c->pending++;
}

static void answered_behind(void *arg, const cJSON *result, const struct err *why)
{
    struct capture *c = arg;
    (void)result;
    if (answers(c) && !why)
        vigil_answered_behind(&c->vigil);
}

static void look_at_silence(struct capture *c)
{
    char text[ERR_TEXT_MAX];
    int64_t now = clock_monotonic_us(), cpu_us;
    pid_t pid = vigil_is_over(&c->vigil, now) ? host_pid(c) : 0;
    c->vigil.resting = pid && host_cpu(pid, &cpu_us) == 0 && cpu_us - c->cpu_us < RESTING_US;
    switch (vigil_look(&c->vigil, now)) {
    case VIGIL_WAIT: break;
    case VIGIL_ASK: ask_along(c, answered_behind); break;
    case VIGIL_TELL:
        vigil_text(&c->vigil, now, text);
        c->handlers->said(c->arg, text);
        break;
    case VIGIL_GIVE_UP: give_up(c); break;
    }
}

static void sign_of_life(struct capture *c)
{
    if (c->first_sign_us == 0)
        c->first_sign_us = clock_monotonic_us();
}

void capture_chunk(struct capture *c, const char *escaped, size_t length)
{
    struct err e = ERR_NONE;
    if (c->ended || c->phase != STREAMING || c->answered)
        return;
    sign_of_life(c);
    c->vigil.began = true;
    took(c, intake_add(&c->intake, escaped, length, &e), &e);
    if (!c->ended)
        c->handlers->progress(c->arg, "receiving", 0, 0, capture_file_bytes(c->file));
}

/* ---- a timeline's recording ---- */

static void tell_recording(struct capture *c, int64_t passed_us)
{
    c->recording.passed_us = passed_us;
    if (c->handlers->recorded)
        c->handlers->recorded(c->arg, &c->recording);
}

static void snapshot_taken(void *arg, const cJSON *result, const struct err *why);

/* Asked right before the snapshot: its answer is where the stall begins. */
static void answered_before(void *arg, const cJSON *result, const struct err *why)
{
    struct capture *c = arg;
    (void)result;
    (void)why;
    if (!answers(c) || c->phase != STREAMING)
        return;
    sign_of_life(c);
    c->vigil.answered = true;
}

/* Asks for a whole snapshot; rc and e: of making params. snapshot_taken follows. */
static void begin_stream(
    struct capture *c, const char *method, cJSON *params, int rc, struct err *e)
{
    c->phase = STREAMING;
    ask_along(c, answered_before);
    c->asked_us = clock_monotonic_us();
    vigil_begin(&c->vigil, c->asked_us);
    if (rc == 0)
        rc = cdp_call(session(c), method, params, 0, snapshot_taken, c, e);
    if (!asked(c, rc, e))
        return;
    c->streams = true;
    c->options.memory->unanswered++;
    guardian_stream(c->options.guardian, session(c), c->lease);
    timer_start(c->timer, RSS_LOOK_US);
}

/* The end of tracking sends a whole snapshot, as takeHeapSnapshot does. */
static void stop_recording(struct capture *c)
{
    struct err e = ERR_NONE;
    struct proto_heap_profiler_stop_tracking_heap_objects p = {.report_progress = true};
    cJSON *params = NULL;
    int rc = proto_heap_profiler_stop_tracking_heap_objects_encode(&p, &params, &e);
    begin_stream(c, PROTO_HEAP_PROFILER_STOP_TRACKING_HEAP_OBJECTS, params, rc, &e);
}

static void look_at_recording(struct capture *c)
{
    int64_t passed = clock_monotonic_us() - c->recording_us;
    tell_recording(c, passed);
    c->handlers->progress(c->arg, "recording", passed, c->options.recording_us, 0);
    if (passed >= c->options.recording_us || c->recorded)
        stop_recording(c);
    else
        timer_start(c->timer, RECORDING_LOOK_US);
}

static void tracking(void *arg, const cJSON *result, const struct err *why)
{
    struct capture *c = arg;
    struct err e = ERR_NONE;
    (void)result;
    if (!answers(c))
        return;
    if (why) {
        e = *why;
        err_context(&e, "the recording did not begin");
        fail(c, CAPTURE_FAILED, &e);
        return;
    }
    c->recording_us = clock_monotonic_us();
    look_at_recording(c);
}

static void start_recording(struct capture *c)
{
    struct err e = ERR_NONE;
    struct proto_heap_profiler_start_tracking_heap_objects p = {
        .track_allocations = c->options.stacks};
    cJSON *params;
    c->phase = RECORDING;
    c->still = c->options.stacks;
    if (c->still)
        sampler_stay_still(target_sampler(c->options.target), true);
    int rc = proto_heap_profiler_start_tracking_heap_objects_encode(&p, &params, &e);
    if (rc == 0)
        rc = cdp_call(session(c), PROTO_HEAP_PROFILER_START_TRACKING_HEAP_OBJECTS, params, 0,
            tracking, c, &e);
    (void)asked(c, rc, &e);
}

void capture_end_recording(struct capture *c)
{
    c->recorded = true;
    if (c->phase == RECORDING && c->recording_us && c->timer)
        timer_start(c->timer, 0);
}

void capture_event(struct capture *c, const char *method, const cJSON *params)
{
    struct proto_heap_profiler_report_heap_snapshot_progress progress;
    struct err e = ERR_NONE;
    if (c->phase == APPRAISING && c->appraisal)
        appraise_event(c->appraisal, method, params);
    if (c->phase == RECORDING && !c->ended &&
        strcmp(method, PROTO_HEAP_PROFILER_HEAP_STATS_UPDATE) == 0)
        recording_update(&c->recording, params);
    if (c->ended || c->phase != STREAMING ||
        strcmp(method, PROTO_HEAP_PROFILER_REPORT_HEAP_SNAPSHOT_PROGRESS) != 0 ||
        proto_heap_profiler_report_heap_snapshot_progress_decode(params, &progress, &e) != 0)
        return;
    sign_of_life(c);
    c->vigil.began = true;
    c->handlers->progress(c->arg, "building", progress.done, progress.total, 0);
}

static void snapshot_taken(void *arg, const cJSON *result, const struct err *why)
{
    struct capture *c = arg;
    struct err e = ERR_NONE;
    (void)result;
    c->streams = false;
    c->options.memory->unanswered--;
    guardian_stream_ended(c->options.guardian);
    if (!answers(c))
        return;
    if (why) {
        e = *why;
        if (e.code == ERR_TARGET) /* the target is there, it just would not */
            e.code = ERR_CAPTURE;
        err_context(&e, "the snapshot was not completed");
        fail(c, CAPTURE_FAILED, &e);
        return;
    }
    c->answered = c->vigil.began = true;
    c->answered_us = clock_monotonic_us();
    if (c->first_sign_us == 0)
        c->first_sign_us = c->asked_us;
    complete_stream(c);
}

static void file_done(void *arg, const struct capture_result *r, const struct err *why)
{
    struct capture *c = arg;
    c->file = NULL; /* the handle is gone when this returns */
    if (!r) {
        fail(c, CAPTURE_FAILED, why);
        return;
    }
    c->result = *r;
    c->result_path = strdup(r->path);
    c->result.path = c->result_path ? c->result_path : c->path;
    settle(c);
}

static void stream(struct capture *c)
{
    struct err e = ERR_NONE;
    struct capture_file_options file = {.path = c->path,
        .kind = c->options.kind,
        .compress = c->options.limits.compress,
        .room = on_room,
        .done = file_done,
        .arg = c};
    if (capture_file_open(c->options.writer, &file, &c->file, &e) != 0) {
        fail(c, CAPTURE_FAILED, &e);
        return;
    }
    c->intake.file = c->file;
    if (c->options.kind == CAPTURE_TIMELINE) {
        start_recording(c);
        return;
    }
    struct proto_heap_profiler_take_heap_snapshot p = {.report_progress = c->options.progress};
    cJSON *params = NULL;
    int rc = proto_heap_profiler_take_heap_snapshot_encode(&p, &params, &e);
    begin_stream(c, PROTO_HEAP_PROFILER_TAKE_HEAP_SNAPSHOT, params, rc, &e);
}

/* ---- before it ---- */

static void begin_epoch(struct capture *c, bool anew)
{
    struct capture_memory *m = c->options.memory;
    c->outcome.new_epoch = anew && m->epoch > 0;
    m->epoch += anew;
    c->outcome.epoch = m->epoch;
}

static void checked_canary(void *arg, const cJSON *result, const struct err *why)
{
    struct capture *c = arg;
    struct capture_memory *m = c->options.memory;
    struct err e = ERR_NONE;
    int64_t id = 0;
    if (!answers(c))
        return;
    bool intact = !why && ask_heap_id_answer(result, &id, &e) == 0 && id == m->canary_id;
    begin_epoch(c, !intact);
    stream(c);
}

/* The ids of the last capture still hold if the canary has kept its own. */
static void check_epoch(struct capture *c)
{
    struct err e = ERR_NONE;
    struct capture_memory *m = c->options.memory;
    const char *canary = sampler_object(target_sampler(c->options.target));
    c->phase = CHECKING;
    if (!canary || m->canary_id == 0) {
        begin_epoch(c, true);
        stream(c);
        return;
    }
    asked(c, ask_heap_id(session(c), canary, READING_DEADLINE, checked_canary, c, &e), &e);
}

/* ---- the guard ---- */

static void appraised(void *arg, const struct guard_verdict *verdict, const struct err *why)
{
    struct capture *c = arg;
    struct err e = ERR_NONE;
    const struct appraise_costs *costs = appraise_costs(c->appraisal);
    c->outcome.guard_ms = (double)costs->stall_us / 1000;
    c->outcome.heap_used = costs->heap_before;
    c->outcome.counted = costs->disabled;
    c->retained = costs->retained;
    c->appraisal = NULL;
    if (!verdict) {
        fail(c, CAPTURE_FAILED, why);
        return;
    }
    c->outcome.verdict = *verdict;
    if (verdict->answer == GUARD_REFUSE) {
        c->options.memory->refusals++;
        err_set(&e, ERR_REFUSED, "%s", verdict->reason);
        fail(c, CAPTURE_REFUSED, &e);
        return;
    }
    c->options.memory->refusals = 0;
    if (verdict->answer == GUARD_DEGRADE)
        c->options.limits.compress = true;
    pid_t pid = target_identity(c->options.target)->host_pid;
    if (!pid || host_rss(pid, &c->outcome.rss_before) != 0)
        c->outcome.rss_before = -1;
    if (!pid || host_rss_peak(pid, &c->rss_mark_before) != 0)
        c->rss_mark_before = INT64_MAX;
    c->outcome.rss_peak = c->outcome.rss_before;
    check_epoch(c);
}

static void guard_sampled(void *arg, const char *label, const struct sample *sample)
{
    struct capture *c = arg;
    c->handlers->sampled(c->arg, label, sample);
}

static void guard_progress(void *arg, const char *phase)
{
    struct capture *c = arg;
    c->handlers->progress(c->arg, phase, 0, 0, 0);
}

static int64_t quota_room(void *arg)
{
    struct capture *c = arg;
    return c->handlers->quota_room(c->arg);
}

static bool make_room(void *arg, int64_t bytes)
{
    struct capture *c = arg;
    return c->handlers->make_room(c->arg, bytes);
}

static const struct appraise_handlers appraise_handlers = {
    .sampled = guard_sampled,
    .progress = guard_progress,
    .quota_room = quota_room,
    .make_room = make_room,
    .done = appraised,
};

static void appraise(struct capture *c)
{
    struct err e = ERR_NONE;
    struct appraise_options options = {.target = c->options.target,
        .memory = c->options.memory,
        .folder = c->folder,
        .standing = c->options.standing,
        .limits = c->options.limits};
    c->phase = APPRAISING;
    if (appraise_start(c->loop, &options, &appraise_handlers, c, &c->appraisal, &e) != 0)
        fail(c, CAPTURE_FAILED, &e);
}

static void tell_queue(struct capture *c)
{
    char text[ERR_TEXT_MAX];
    int64_t waited_us = clock_monotonic_us() - c->started_us;
    if (!vigil_line_due(&c->queue, waited_us))
        return;
    lease_text(c->options.memory->unanswered > 0, waited_us, c->options.patience_us, text);
    c->handlers->said(c->arg, text);
}

static bool is_tired(const struct capture *c)
{
    int64_t patience_us = c->options.patience_us;
    return patience_us && clock_monotonic_us() - c->started_us > patience_us;
}

static void on_timer(void *arg)
{
    struct capture *c = arg;
    struct err e = ERR_NONE;
    if (c->phase == STREAMING) {
        look_at_rss(c);
        timer_start(c->timer, RSS_LOOK_US);
        look_at_silence(c);
        return;
    }
    if (c->phase == RECORDING && c->recording_us)
        look_at_recording(c);
    else if (c->phase > LEASING && c->phase <= RECORDING) /* it was interrupted */
        give_up(c);
    if (c->phase != LEASING)
        return;
    /* What a snapshot before still sends would be taken for this one's. */
    bool free_of_others = c->options.memory->unanswered == 0;
    if (free_of_others && lease_take(&c->lease, &e) != 0) {
        fail(c, CAPTURE_FAILED, &e);
    } else if (c->lease >= 0) {
        appraise(c);
    } else if (is_tired(c)) {
        capture_hurry(c);
    } else {
        c->handlers->progress(c->arg, CAPTURE_WAITING, 0, 0, 0);
        tell_queue(c);
        timer_start(c->timer, LEASE_LOOK_US);
    }
}

int capture_start(struct loop *l, const struct capture_options *o, const struct capture_handlers *h,
    void *arg, struct capture **ret, struct err *e)
{
    struct capture *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "out of memory");
    *c = (struct capture){.loop = l,
        .options = *o,
        .path = strdup(o->path),
        .folder = strdup(o->folder),
        .lease = -1,
        .recording = {.total_us = o->recording_us},
        .started_us = clock_monotonic_us(),
        .handlers = h,
        .arg = arg};
    c->outcome = capture_outcome_new(o->kind);
    c->outcome.request_id = o->request_id;
    c->outcome.epoch = o->memory->epoch;
    int rc = c->path && c->folder ? timer_new(l, on_timer, c, &c->timer, e)
                                  : err_set(e, ERR_NOMEM, "out of memory");
    if (rc) {
        free_capture(c);
        return rc;
    }
    timer_start(c->timer, 0);
    *ret = c;
    return 0;
}

void capture_target_gone(struct capture *c, const struct err *why)
{
    c->gone = true;
    c->paused = false;
    bool all_has_come = c->phase == STREAMING && c->answered;
    if (c->phase == STORING || all_has_come) /* the file will be whole */
        return;
    if (c->phase == SETTLING) {
        finish(c);
        return;
    }
    fail(c, CAPTURE_FAILED, why);
}

bool capture_has_begun(const struct capture *c)
{
    return c->phase > LEASING;
}

bool capture_disturbs(const struct capture *c)
{
    return c->phase > LEASING && c->phase != RECORDING;
}

bool capture_ends_standing(const struct capture *c)
{
    return c->phase == CHECKING || c->phase >= STREAMING;
}

void capture_hurry(struct capture *c)
{
    struct err e = ERR_NONE;
    if (c->ended || c->phase != LEASING)
        return;
    err_set(&e, ERR_REFUSED, "another capture on this host had not ended by then");
    fail(c, CAPTURE_REFUSED, &e);
}

void capture_interrupt(struct capture *c)
{
    char text[ERR_TEXT_MAX], patience[TEXT_SHORT];
    capture_hurry(c);
    if (c->ended || c->phase >= STORING || c->vigil.began)
        return;
    vigil_interrupt(&c->vigil, clock_monotonic_us());
    if (host_cpu(host_pid(c), &c->cpu_us) != 0)
        c->cpu_us = 0;
    if (c->phase != STREAMING && !c->recording_us) {
        timer_start(c->timer, VIGIL_PATIENCE_US);
    } else if (c->phase == STREAMING) {
        snprintf(text, sizeof text,
            "the target has sent nothing of the snapshot yet; if it has not begun it in %s, it is "
            "given up",
            text_duration(patience, VIGIL_PATIENCE_US));
        c->handlers->said(c->arg, text);
    }
}

void capture_cancel(struct capture *c)
{
    if (!c || c->ended)
        return;
    stop(c);
    maybe_free(c);
}
