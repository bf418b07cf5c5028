/* The captures of a run: one at a time, when they are due and the pause budget allows. */
#include "collect/run_private.h"

#include "base/clock.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the end of a run waits for captures of others on this host. */
#define END_PATIENCE_US (30 * 1000000LL)
/* A target that goes within this after a capture may have gone because of it. */
#define AFTERMATH_US  1000000
#define SPARED_MAX_US (24 * 3600 * 1000000LL)

static void fill_snapshot_row(struct store_snapshot *row, const struct capture_outcome *o)
{
    const struct guard_verdict *v = &o->verdict;
    row->pause_ms = o->pause_ms;
    row->duration_ms = o->duration_ms;
    row->heap_used = isnan(o->heap_used) ? STORE_NO_INTEGER : (int64_t)o->heap_used;
    row->rss_before = o->rss_before < 0 ? STORE_NO_INTEGER : o->rss_before;
    row->rss_peak = o->rss_peak < 0 ? STORE_NO_INTEGER : o->rss_peak;
    row->epoch = o->epoch;
    row->state = capture_state_name(o->state);
    row->reason = o->state == CAPTURE_COMPLETE ? NULL : o->why.text;
    if (o->state == CAPTURE_COMPLETE && v->reason[0]) /* forced, or degraded */
        row->reason = v->reason;
    row->guard = guard_answer_name(v->answer);
    row->forecast_by = v->forecast.by;
    row->forecast_pause_ms = (double)v->forecast.pause_us / 1000;
    row->forecast_memory = v->forecast.memory;
    row->forecast_nodes = v->forecast.nodes < 0 ? STORE_NO_INTEGER : v->forecast.nodes;
    row->file = o->file ? o->file->path : NULL;
    if (o->file) {
        row->bytes = o->file->bytes;
        row->sha256 = o->file->sha256;
        row->node_count = o->file->nodes;
        row->edge_count = o->file->edges;
    }
}

static void note_file(struct run_target *t, const struct capture_outcome *o)
{
    char *path = strdup(o->file->path);
    if (t->snapshots++ == 0) { /* the first one's own memory is no growth of the target's */
        t->first_rss = t->last_rss;
    }
    t->pause_ms += isnan(o->pause_ms) ? 0 : o->pause_ms;
    if (!isnan(o->heap_after)) {
        if (isnan(t->first_floor)) {
            t->first_floor = o->heap_after;
            t->first_floor_ms = clock_wall_ms();
        }
        t->last_floor = o->heap_after;
        t->last_floor_ms = clock_wall_ms();
    }
    if (!path)
        return;
    if (!t->first_file) {
        t->first_file = path;
    } else {
        free(t->last_file);
        t->last_file = path;
    }
}

void run_capture_schedule(struct watched *w, int64_t at_us)
{
    int64_t now = clock_monotonic_us();
    if (w->rested_at_us > at_us)
        at_us = w->rested_at_us;
    timer_start(w->snapshot_timer, at_us > now ? at_us - now : 0);
}

static bool wants_more(const struct watched *w)
{
    const struct run_options *o = &w->run->options;
    int64_t taken = w->facts.snapshots - w->facts.requests.snapshots;
    return o->snapshots && !o->manual && (o->max_snapshots == 0 || taken < o->max_snapshots);
}

static void record_outcome(struct watched *w, const struct capture_outcome *o)
{
    struct run *r = w->run;
    struct store_snapshot row;
    if (!r->options.journal || r->capture_id == 0)
        return;
    store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
    row.snapshot_id = r->capture_id;
    row.target_id = w->facts.id;
    fill_snapshot_row(&row, o);
    journal_update_snapshot(r->options.journal, &row);
    if (o->counted)
        run_record_event(r, w, r->capture_id, "count",
            "the guard had the objects of the heap counted, which has reset their ids");
    if (o->new_epoch)
        run_record_event(r, w, r->capture_id, "epoch",
            "object ids were reset since the snapshot before: this one and later ones compare with "
            "it by class only");
}

void run_capture_left(struct run *r)
{
    struct capture_outcome o = capture_outcome_new(r->capture_kind);
    if (!r->captured)
        return;
    err_set(&o.why, ERR_CANCELLED, "heaptap left at once, before it had ended");
    record_outcome(r->captured, &o);
}

/* What the guard found out by stalling the target counts, too. */
static void rest(struct watched *w, const struct capture_outcome *o)
{
    double pause_ms = o->guard_ms + (isnan(o->pause_ms) ? 0 : o->pause_ms);
    int64_t rested_at_us = clock_monotonic_us() + guard_rest_us((int64_t)(pause_ms * 1000),
                                                      w->run->options.max_pause_share);
    if (rested_at_us > w->rested_at_us)
        w->rested_at_us = rested_at_us;
}

static void schedule_timeline(struct watched *w, int64_t at_us)
{
    int64_t now = clock_monotonic_us();
    if (w->rested_at_us > at_us)
        at_us = w->rested_at_us;
    timer_start(w->timeline_timer, at_us > now ? at_us - now : 0);
}

void run_capture_begin(struct watched *w)
{
    const struct run_options *o = &w->run->options;
    if (w->link->spared_until_us > w->rested_at_us)
        w->rested_at_us = w->link->spared_until_us;
    if (o->snapshots)
        run_capture_schedule(w, 0);
    if (o->timeline_interval_us > 0)
        schedule_timeline(w, clock_monotonic_us() + o->timeline_interval_us);
}

/* ---- targets that go in captures ---- */

static bool has_survived(const struct link *link)
{
    return link->captured_us && clock_monotonic_us() - link->captured_us > AFTERMATH_US;
}

/* A snapshot takes memory, and time in which supervisors hear nothing: it can end a process. One
 * that is then started again would be ended again, as fast as it comes back. */
static void spare(struct watched *w)
{
    struct link *link = w->link;
    struct run *r = w->run;
    const struct run_options *o = &r->options;
    char line[ERR_TEXT_MAX], text[TEXT_SHORT];
    int64_t interval_us =
        o->snapshots || o->follow.pairs ? o->snapshot_interval_us : o->timeline_interval_us;
    link->sparing_us = link->sparing_us ? 2 * link->sparing_us : interval_us;
    if (link->sparing_us > SPARED_MAX_US)
        link->sparing_us = SPARED_MAX_US;
    link->spared_until_us = clock_monotonic_us() + link->sparing_us;
    snprintf(line, sizeof line,
        "it went in a capture or right after one; what comes back there has none by itself for %s",
        text_duration(text, link->sparing_us));
    run_say(r, w, true, "%s", line);
    run_record_event(r, w, 0, "spared", line);
}

void run_capture_inherit(struct link *link, const struct link *from)
{
    link->sparing_us = from->sparing_us;
    link->spared_until_us = from->spared_until_us;
}

void run_capture_gone(struct watched *w, bool is_main)
{
    struct link *link = w->link;
    struct run *r = w->run;
    const struct run_options *o = &r->options;
    bool scheduled = !o->manual && !o->stepped && !o->by_hand;
    if (r->stage != RUNNING || !scheduled || !link->captured_us ||
        !(is_main || link->captured == w)) /* a worker that goes by itself tells nothing */
        return;
    if (has_survived(link))
        link->sparing_us = 0;
    else
        spare(w);
    link->captured_us = 0;
}

void run_capture_ended(void *arg, const struct capture_outcome *o)
{
    struct run *r = arg;
    struct watched *w = r->captured;
    char *path = r->capture_path;
    if (r->capture && capture_has_begun(r->capture) && o->state != CAPTURE_REFUSED) {
        w->link->captured = w;
        w->link->captured_us = clock_monotonic_us();
    }
    r->capture = NULL;
    r->captured = NULL;
    r->capture_path = NULL;
    if (o->state == CAPTURE_COMPLETE) {
        if (o->kind == CAPTURE_SNAPSHOT)
            note_file(&w->facts, o);
        else
            w->facts.pause_ms += isnan(o->pause_ms) ? 0 : o->pause_ms;
        run_keep_add(w, o);
        if (o->kind == CAPTURE_SNAPSHOT)
            run_analysis_add(w, r->capture_id, o->file);
        else
            run_timeline_add(w, r->capture_id, o->file);
        if (r->options.ret_path)
            *r->options.ret_path = strdup(o->file->path);
    } else if (o->state == CAPTURE_REFUSED) {
        if (o->verdict.causes)
            w->facts.refused++;
        else
            w->facts.turned_away++;
    } else {
        w->facts.failed++;
    }
    record_outcome(w, o);
    bool again =
        o->state == CAPTURE_REFUSED && o->verdict.causes && w->refused_for == o->verdict.causes;
    w->refused_for = o->state == CAPTURE_REFUSED ? o->verdict.causes : 0;
    r->handlers->snapshot(
        r->arg, &w->facts, r->capture_trigger, o->file ? o->file->path : path, o, again);
    free(path);
    run_live_captured(w, o);
    rest(w, o);
    bool scheduled = o->request_id == 0;
    run_pairs_captured(w, o);
    if (r->options.manual) {
        if (o->state != CAPTURE_COMPLETE)
            r->why = o->why;
        run_finish(r, "done");
    } else if (r->stage == RUNNING && w->target && o->kind == CAPTURE_TIMELINE &&
               !r->options.by_hand) {
        schedule_timeline(w, r->capture_started_us + r->options.timeline_interval_us);
    } else if (scheduled && r->stage == RUNNING && w->target && wants_more(w)) {
        int64_t wait_us = r->options.snapshot_interval_us;
        if (o->state == CAPTURE_REFUSED)
            wait_us = guard_retry_us(wait_us, w->memory.refusals);
        run_capture_schedule(w, r->capture_started_us + wait_us);
    }
    run_capture_next(r);
}

void run_capture_sampled(void *arg, const char *label, const struct sample *sample)
{
    struct run *r = arg;
    run_target_record_sample(r->captured, label, sample);
}

void run_capture_progressed(
    void *arg, const char *phase, int64_t done, int64_t total, int64_t bytes)
{
    struct run *r = arg;
    r->handlers->progress(r->arg, &r->captured->facts, phase, done, total, bytes,
        clock_monotonic_us() - r->capture_started_us);
}

static int64_t quota_room(void *arg)
{
    struct run *r = arg;
    return retention_room(r->retention);
}

static bool make_room(void *arg, int64_t bytes)
{
    struct run *r = arg;
    return retention_make_room(r->retention, r->folder, bytes, r->options.limits.min_free);
}

static void on_recorded(void *arg, const struct recording *recording)
{
    struct run *r = arg;
    char text[TEXT_SHORT];
    if (!r->recording_said && r->options.manual)
        run_say(r, r->captured, false, "recording for %s; Ctrl-C ends it early and keeps it",
            text_duration(text, recording->total_us));
    r->recording_said = true;
    if (r->handlers->recorded)
        r->handlers->recorded(r->arg, &r->captured->facts, recording);
}

static void on_said(void *arg, const char *text)
{
    struct run *r = arg;
    run_say(r, r->captured, false, "%s", text);
}

static const struct capture_handlers capture_handlers = {
    .said = on_said,
    .recorded = on_recorded,
    .sampled = run_capture_sampled,
    .progress = run_capture_progressed,
    .quota_room = quota_room,
    .make_room = make_room,
    .done = run_capture_ended,
};

static int make_path(struct run *r, const struct watched *w, const char *label, struct err *e)
{
    struct capture_name name = {.folder = r->folder,
        .label = label,
        .wall_ms = clock_wall_ms(),
        .pid = w->facts.identity.pid,
        .seq = ++r->sequence,
        .kind = r->capture_kind};
    if (!r->output)
        return capture_path_make(&name, &r->capture_path, e);
    r->capture_path = strdup(r->output);
    return r->capture_path ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

/* What is wanted of a capture, and the mark that it was due goes. */
static void prepare_capture(
    struct run *r, struct watched *w, struct capture_options *o, const char **ret_label)
{
    *ret_label = r->label;
    if (run_pairs_due(w)) {
        r->capture_trigger = "request";
        run_pairs_begin_capture(w, o, ret_label);
    } else if (o->kind == CAPTURE_TIMELINE && !r->options.manual && !r->options.by_hand) {
        r->capture_trigger = "interval";
        w->timeline_due = false;
    } else {
        r->capture_trigger = w->due_trigger;
        w->due = false;
        w->last_capture_us = r->capture_started_us;
    }
}

static void start_capture(struct run *r, struct watched *w, enum capture_kind kind)
{
    struct err e = ERR_NONE;
    const char *label;
    struct capture_options options = {.target = w->target,
        .writer = r->writer,
        .memory = &w->memory,
        .guardian = r->guardian,
        .folder = r->folder,
        .kind = kind,
        .recording_us = r->options.recording_us,
        .stacks = r->options.stacks,
        .progress = r->options.progress,
        .patience_us = r->stage == ENDING ? END_PATIENCE_US : 0,
        .limits = r->options.limits};
    r->capture_started_us = clock_monotonic_us();
    r->capture_kind = kind;
    r->captured = w;
    if (has_survived(w->link))
        w->link->sparing_us = 0;
    prepare_capture(r, w, &options, &label);
    r->capture_id = 0;
    int rc = make_path(r, w, label, &e);
    options.path = r->capture_path;
    if (rc == 0 && r->options.journal) {
        struct store_snapshot row;
        store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
        row.target_id = w->facts.id;
        row.kind = kind == CAPTURE_TIMELINE ? "heaptimeline" : "heapsnapshot";
        row.request_id = options.request_id ? options.request_id : STORE_NO_INTEGER;
        row.trigger = r->capture_trigger;
        row.state = "running";
        r->capture_id = journal_add_snapshot(r->options.journal, &row);
    }
    if (rc == 0)
        rc = capture_start(r->loop, &options, &capture_handlers, r, &r->capture, &e);
    if (rc) {
        struct capture_outcome outcome = capture_outcome_new(kind);
        outcome.request_id = options.request_id;
        outcome.why = e;
        run_capture_ended(r, &outcome);
    }
}

/* One at a time: the next target whose capture is due. */
void run_capture_next(struct run *r)
{
    if (r->captured)
        return;
    for (size_t i = 0; i < r->target_count; i++) /* a request waits */
        if (run_pairs_due(r->targets[i]) && r->targets[i]->target) {
            start_capture(r, r->targets[i], CAPTURE_SNAPSHOT);
            return;
        }
    for (size_t i = 0; i < r->target_count; i++) {
        struct watched *w = r->targets[i];
        if (w->due && w->target) {
            start_capture(r, w, r->options.timeline ? CAPTURE_TIMELINE : CAPTURE_SNAPSHOT);
            return;
        }
        if (w->timeline_due && w->target && r->stage == RUNNING) {
            start_capture(r, w, CAPTURE_TIMELINE);
            return;
        }
    }
    run_leave_if_done(r);
}

void run_capture_timeline_due(void *arg)
{
    struct watched *w = arg;
    if (!w->target || w->run->stage != RUNNING)
        return;
    w->timeline_due = true;
    run_capture_next(w->run);
}

void run_capture_due(void *arg)
{
    struct watched *w = arg;
    if (!w->target || w->run->stage != RUNNING || w->due)
        return;
    w->due = true;
    w->due_trigger = w->run->options.manual    ? "manual"
                     : w->last_capture_us == 0 ? "baseline"
                                               : "interval";
    run_capture_next(w->run);
}

/* A last snapshot is worth its price when half an interval has passed since the one before. */
static bool deserves_last(const struct run *r, const struct watched *w)
{
    int64_t now = clock_monotonic_us();
    return w->target && wants_more(w) && w->last_capture_us &&
           now - w->last_capture_us >= r->options.snapshot_interval_us / 2 &&
           now >= w->rested_at_us && r->captured != w;
}

void run_capture_last(struct run *r)
{
    for (size_t i = 0; i < r->target_count; i++) {
        struct watched *w = r->targets[i];
        timer_stop(w->snapshot_timer);
        timer_stop(w->timeline_timer);
        w->timeline_due = false;
        w->due = deserves_last(r, w);
        w->due_trigger = "final";
    }
}
