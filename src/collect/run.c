/* A run: attachments, schedules, one capture at a time, and the record of it all.
 *
 *   starting ──(first attach)──> running ──(finish)──> ending ──> leaving ──> over
 *
 * ending waits for captures that run or are due at the end, leaving for the attachments' release
 * and for the command of the run to end. */
#include "collect/run.h"

#include "base/clock.h"
#include "base/text.h"
#include "collect/child.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READING_DEADLINE_US (60 * 1000000LL)
#define EXPIRY_MIN_US       (60 * 1000000LL)
#define EXPIRY_INTERVALS    5
#define CHILD_GRACE_US      (5 * 1000000LL)
#define TARGETS_MAX         100000 /* restarts of a crash loop over a week; 400 bytes each */

enum stage { STARTING, RUNNING, ENDING, LEAVING, OVER };

struct link { /* one attachment of the run */
    struct run *run;
    struct attachment *attachment;
    bool ended;            /* it will not try again, or is closed */
    int64_t down_since_us; /* 0: attached */
};

struct watched {             /* one target */
    struct run_target facts; /* first: run_target_at casts */
    struct run *run;
    struct link *link;
    struct target *target; /* NULL once it is gone */
    struct capture_memory memory;
    struct timer *metrics_timer, *snapshot_timer;
    int64_t next_reading_us, last_capture_us;
    int64_t rested_at_us; /* before this the pause budget allows no scheduled capture */
    bool reading, due;
    const char *due_trigger;
};

struct run {
    struct loop *loop;
    enum stage stage;
    struct run_options options;
    char *folder, *label, *output;
    struct link *links;
    size_t link_count;
    struct watched **targets;
    size_t target_count, target_room;
    struct child *child;
    bool child_ended;
    struct capture_writer *writer;
    struct wake *writer_wake;
    struct capture *capture;
    struct watched *captured; /* whose capture runs */
    char *capture_path;
    const char *capture_trigger;
    int64_t capture_started_us, capture_id, sequence;
    struct timer *end_timer, *give_up_timer;
    int64_t first_attach_ms;
    const char *reason;
    struct err why;
    const struct run_handlers *handlers;
    void *arg;
};

static void next_capture(struct run *r);
static void leave_if_done(struct run *r);

static void say(struct run *r, struct watched *w, bool warning, const char *format, ...)
    PRINTF_LIKE(4, 5);
static void say(struct run *r, struct watched *w, bool warning, const char *format, ...)
{
    char line[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    r->handlers->said(r->arg, w ? &w->facts : NULL, warning, line);
}

static void record_event(struct run *r, struct watched *w, const char *kind, const char *text)
{
    struct store_event row;
    if (!r->options.journal)
        return;
    store_row_clear(STORE_EVENTS, &row);
    row.target_id = w ? w->facts.id : STORE_NO_INTEGER;
    row.kind = kind;
    row.text = text;
    journal_event(r->options.journal, &row);
}

/* ---- readings ---- */

static void note_reading(struct run_target *t, const struct sample *s)
{
    if (isnan(t->first_heap)) {
        t->first_heap = s->heap_used;
        t->first_rss = s->rss;
        t->first_ms = s->wall_ms;
    }
    t->last_heap = s->heap_used;
    t->last_rss = s->rss;
    t->last_ms = s->wall_ms;
    t->readings++;
}

static void record_sample(struct watched *w, const char *label, const struct sample *s)
{
    struct run *r = w->run;
    struct store_metrics row;
    note_reading(&w->facts, s);
    store_row_clear(STORE_MEMORY_METRICS, &row);
    row.target_id = w->facts.id;
    row.created_at_ms = s->wall_ms;
    row.label = label;
    row.heap_used = s->heap_used;
    row.heap_total = s->heap_total;
    row.external = s->external;
    row.array_buffers = s->array_buffers;
    row.rss = s->rss;
    row.heap_limit = s->heap_limit;
    row.gc_count = isnan(s->gc_count) ? STORE_NO_INTEGER : (int64_t)s->gc_count;
    row.gc_ms = s->gc_ms;
    row.loop_delay_ms = s->loop_delay_ms;
    row.loop_delay_max_ms = s->loop_delay_max_ms;
    row.loop_utilization = s->loop_utilization;
    row.heap_spaces = s->heap_spaces;
    if (r->options.journal)
        journal_metrics(r->options.journal, &row);
    r->handlers->metrics(r->arg, &w->facts, &row);
}

static void got_reading(void *arg, const struct sample *sample, const struct err *why)
{
    struct watched *w = arg;
    w->reading = false;
    if (sample)
        record_sample(w, "interval", sample);
    else if (why->code != ERR_LOST && why->code != ERR_CANCELLED)
        say(w->run, w, true, "no reading: %s", why->text);
}

/* On a grid of its own, so that a slow answer does not shift the readings after it. */
static void take_reading(void *arg)
{
    struct watched *w = arg;
    struct err e = ERR_NONE;
    int64_t interval = w->run->options.metrics_interval_us;
    int64_t now = clock_monotonic_us();
    if (!w->target)
        return;
    while (w->next_reading_us <= now)
        w->next_reading_us += interval;
    timer_start(w->metrics_timer, w->next_reading_us - now);
    bool stalled = w->run->captured == w; /* it could not answer, and has readings of its own */
    if (w->reading || stalled)
        return;
    if (sampler_read(target_sampler(w->target), READING_DEADLINE_US, got_reading, w, &e) == 0)
        w->reading = true;
    else
        say(w->run, w, true, "no reading: %s", e.text);
}

/* ---- captures ---- */

static void fill_snapshot_row(
    struct store_snapshot *row, struct run *r, const struct capture_outcome *o)
{
    row->pause_ms = o->pause_ms;
    row->duration_ms = o->duration_ms;
    row->heap_used = isnan(o->heap_used) ? STORE_NO_INTEGER : (int64_t)o->heap_used;
    row->rss_before = o->rss_before < 0 ? STORE_NO_INTEGER : o->rss_before;
    row->rss_peak = o->rss_peak < 0 ? STORE_NO_INTEGER : o->rss_peak;
    row->epoch = o->epoch;
    row->state = capture_state_name(o->state);
    row->reason = o->state == CAPTURE_COMPLETE ? NULL : o->why.text;
    if (o->answer == GUARD_FORCED)
        row->reason = o->guard_reason;
    row->guard = guard_answer_name(o->answer);
    row->forecast_by = o->forecast.by;
    row->forecast_pause_ms = (double)o->forecast.pause_us / 1000;
    row->forecast_memory = o->forecast.memory;
    row->forecast_nodes = o->forecast.nodes < 0 ? STORE_NO_INTEGER : o->forecast.nodes;
    row->file = o->file ? o->file->path : NULL;
    if (o->file) {
        row->bytes = o->file->bytes;
        row->sha256 = o->file->sha256;
        row->node_count = o->file->nodes;
        row->edge_count = o->file->edges;
    }
    (void)r;
}

static void note_file(struct run_target *t, const struct capture_outcome *o)
{
    char *path = strdup(o->file->path);
    t->snapshots++;
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

static void schedule_snapshot(struct watched *w, int64_t at_us)
{
    int64_t now = clock_monotonic_us();
    if (w->rested_at_us > at_us)
        at_us = w->rested_at_us;
    timer_start(w->snapshot_timer, at_us > now ? at_us - now : 0);
}

static bool wants_more(const struct watched *w)
{
    const struct run_options *o = &w->run->options;
    return o->snapshots && !o->manual &&
           (o->max_snapshots == 0 || w->facts.snapshots < o->max_snapshots);
}

static void captured(void *arg, const struct capture_outcome *o)
{
    struct run *r = arg;
    struct watched *w = r->captured;
    char *path = r->capture_path;
    r->capture = NULL;
    r->captured = NULL;
    r->capture_path = NULL;
    if (o->state == CAPTURE_COMPLETE)
        note_file(&w->facts, o);
    else if (o->state == CAPTURE_REFUSED)
        w->facts.refused++;
    else
        w->facts.failed++;
    if (r->options.journal) {
        struct store_snapshot row;
        store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
        row.snapshot_id = r->capture_id;
        row.target_id = w->facts.id;
        fill_snapshot_row(&row, r, o);
        journal_update_snapshot(r->options.journal, &row);
    }
    r->handlers->snapshot(r->arg, &w->facts, r->capture_trigger, o->file ? o->file->path : path, o);
    free(path);
    if (!isnan(o->pause_ms))
        w->rested_at_us = clock_monotonic_us() +
                          guard_rest_us((int64_t)(o->pause_ms * 1000), r->options.max_pause_share);
    if (r->options.manual) {
        if (o->state != CAPTURE_COMPLETE)
            r->why = o->why;
        run_finish(r, "done");
    } else if (r->stage == RUNNING && w->target && wants_more(w)) {
        schedule_snapshot(w, r->capture_started_us + r->options.snapshot_interval_us);
    }
    next_capture(r);
}

static void on_sampled(void *arg, const char *label, const struct sample *sample)
{
    struct run *r = arg;
    record_sample(r->captured, label, sample);
}

static void on_progress(void *arg, const char *phase, int64_t done, int64_t total, int64_t bytes)
{
    struct run *r = arg;
    r->handlers->progress(r->arg, &r->captured->facts, phase, done, total, bytes,
        clock_monotonic_us() - r->capture_started_us);
}

static const struct capture_handlers capture_handlers = {
    .sampled = on_sampled,
    .progress = on_progress,
    .done = captured,
};

static int make_path(struct run *r, const struct watched *w, struct err *e)
{
    struct capture_name name = {.folder = r->folder,
        .label = r->label,
        .wall_ms = clock_wall_ms(),
        .pid = w->facts.identity.pid,
        .seq = ++r->sequence,
        .kind = CAPTURE_SNAPSHOT};
    if (!r->output)
        return capture_path_make(&name, &r->capture_path, e);
    r->capture_path = strdup(r->output);
    return r->capture_path ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static void start_capture(struct run *r, struct watched *w)
{
    struct err e = ERR_NONE;
    w->due = false;
    w->last_capture_us = clock_monotonic_us();
    r->captured = w;
    r->capture_trigger = w->due_trigger;
    r->capture_started_us = w->last_capture_us;
    int rc = make_path(r, w, &e);
    if (rc == 0 && r->options.journal) {
        struct store_snapshot row;
        store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
        row.target_id = w->facts.id;
        row.kind = "heapsnapshot";
        row.trigger = w->due_trigger;
        row.state = "running";
        r->capture_id = journal_add_snapshot(r->options.journal, &row);
    }
    struct capture_options options = {.target = w->target,
        .writer = r->writer,
        .memory = &w->memory,
        .path = r->capture_path,
        .folder = r->folder,
        .compress = r->options.compress,
        .limits = r->options.limits};
    if (rc == 0)
        rc = capture_start(r->loop, &options, &capture_handlers, r, &r->capture, &e);
    if (rc) {
        struct capture_outcome outcome = {.state = CAPTURE_FAILED,
            .why = e,
            .heap_used = NAN,
            .heap_after = NAN,
            .pause_ms = NAN,
            .rss_before = -1,
            .rss_peak = -1,
            .forecast = {.by = "rule", .nodes = -1}};
        captured(r, &outcome);
    }
}

/* One at a time: the next target whose capture is due. */
static void next_capture(struct run *r)
{
    if (r->captured)
        return;
    for (size_t i = 0; i < r->target_count; i++) {
        struct watched *w = r->targets[i];
        if (w->due && w->target) {
            start_capture(r, w);
            return;
        }
    }
    leave_if_done(r);
}

static void snapshot_due(void *arg)
{
    struct watched *w = arg;
    if (!w->target || w->run->stage != RUNNING || w->due)
        return;
    w->due = true;
    w->due_trigger = w->run->options.manual    ? "manual"
                     : w->last_capture_us == 0 ? "baseline"
                                               : "interval";
    next_capture(w->run);
}

/* ---- targets come and go ---- */

static char *copy_text(const char *text)
{
    return strdup(text ? text : "");
}

static int copy_identity(struct target_identity *to, const struct target_identity *from)
{
    *to = *from;
    to->title = copy_text(from->title);
    to->url = copy_text(from->url);
    to->inspector_id = copy_text(from->inspector_id);
    to->runtime_version = copy_text(from->runtime_version);
    to->v8_version = copy_text(from->v8_version);
    to->arch = copy_text(from->arch);
    bool whole = to->title && to->url && to->inspector_id && to->runtime_version &&
                 to->v8_version && to->arch;
    return whole ? 0 : ERR_NOMEM;
}

static void free_watched(struct watched *w)
{
    if (!w)
        return;
    timer_free(w->metrics_timer);
    timer_free(w->snapshot_timer);
    free(w->facts.identity.title);
    free(w->facts.identity.url);
    free(w->facts.identity.inspector_id);
    free(w->facts.identity.runtime_version);
    free(w->facts.identity.v8_version);
    free(w->facts.identity.arch);
    free(w->facts.first_file);
    free(w->facts.last_file);
    free(w);
}

/* The same process after a broken connection keeps its record; its object ids start afresh. */
static struct watched *find_again(struct link *link, const struct target *t)
{
    const struct target_identity *id = target_identity(t);
    struct run *r = link->run;
    for (size_t i = r->target_count; i-- > 0;) {
        struct watched *w = r->targets[i];
        const struct target_identity *old = &w->facts.identity;
        if (w->link == link && !w->target && target_is_main(t) && old->kind != TARGET_WORKER &&
            id->pid && old->pid == id->pid && old->started_at_ms == id->started_at_ms)
            return w;
    }
    return NULL;
}

static struct watched *new_watched(struct link *link, const struct target *t)
{
    struct run *r = link->run;
    struct err e = ERR_NONE;
    if (r->target_count == TARGETS_MAX)
        return NULL;
    if (r->target_count == r->target_room) {
        size_t room = r->target_room ? 2 * r->target_room : 16;
        struct watched **grown = realloc(r->targets, room * sizeof(struct watched *));
        if (!grown)
            return NULL;
        r->targets = grown;
        r->target_room = room;
    }
    struct watched *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct watched){.run = r, .link = link};
    w->facts.first_heap = w->facts.last_heap = w->facts.first_rss = w->facts.last_rss = NAN;
    w->facts.first_floor = w->facts.last_floor = NAN;
    if (copy_identity(&w->facts.identity, target_identity(t)) != 0 ||
        timer_new(r->loop, take_reading, w, &w->metrics_timer, &e) != 0 ||
        timer_new(r->loop, snapshot_due, w, &w->snapshot_timer, &e) != 0) {
        free_watched(w);
        return NULL;
    }
    r->targets[r->target_count++] = w;
    return w;
}

static void record_target(struct run *r, struct watched *w, const struct target *t)
{
    const struct target_identity *id = &w->facts.identity;
    struct store_target row;
    if (!r->options.journal)
        return;
    store_row_clear(STORE_TARGETS, &row);
    row.kind = target_kind_name(id->kind);
    row.address = id->address;
    row.title = id->title;
    row.url = id->url;
    row.inspector_id = id->inspector_id;
    row.pid = id->pid ? id->pid : STORE_NO_INTEGER;
    row.runtime = id->kind == TARGET_WORKER ? "node"
                  : id->kind == TARGET_PAGE ? "chromium"
                                            : target_kind_name(id->kind);
    row.runtime_version = id->runtime_version;
    row.v8_version = id->v8_version;
    row.arch = id->arch;
    row.started_at_ms = id->started_at_ms;
    row.state = "attached";
    if (!target_is_main(t)) {
        struct watched *parent = target_data(target_main(t));
        row.parent_target_id = parent ? parent->facts.id : STORE_NO_INTEGER;
    }
    if (w->facts.id) {
        row.target_id = w->facts.id;
        journal_update_target(r->options.journal, &row);
    } else {
        w->facts.id = journal_add_target(r->options.journal, &row);
    }
}

static void begin_running(struct run *r)
{
    if (r->stage != STARTING)
        return;
    r->stage = RUNNING;
    r->first_attach_ms = clock_wall_ms();
    if (r->options.duration_us > 0)
        timer_start(r->end_timer, r->options.duration_us);
}

static void on_attached(void *arg, struct target *t)
{
    struct link *link = arg;
    struct run *r = link->run;
    link->down_since_us = 0;
    timer_stop(r->give_up_timer);
    begin_running(r);
    if (r->stage != RUNNING)
        return;
    struct watched *w = find_again(link, t);
    if (w)
        w->memory.canary_id = 0;
    else
        w = new_watched(link, t);
    if (!w) {
        say(r, NULL, true, "no memory to watch another target");
        return;
    }
    w->target = t;
    w->reading = false;
    w->facts.attached = true;
    target_set_data(t, w);
    record_target(r, w, t);
    r->handlers->attached(r->arg, &w->facts);
    if (target_sampler_problem(t))
        say(r, w, true, "only the heap's own figures can be read here: %s",
            target_sampler_problem(t));
    w->next_reading_us = clock_monotonic_us();
    if (r->options.metrics_interval_us > 0)
        timer_start(w->metrics_timer, 0);
    bool one_is_enough = r->options.manual && r->target_count > 1;
    if (r->options.snapshots && !one_is_enough)
        schedule_snapshot(w, 0);
}

static void on_detached(void *arg, struct target *t, const struct err *why)
{
    struct link *link = arg;
    struct run *r = link->run;
    struct watched *w = target_data(t);
    if (!w)
        return;
    w->target = NULL;
    w->facts.attached = r->stage >= LEAVING; /* we left it, it did not go */
    w->due = false;
    timer_stop(w->metrics_timer);
    timer_stop(w->snapshot_timer);
    if (r->captured == w && r->capture)
        capture_target_gone(r->capture, why);
    if (r->options.journal) {
        struct store_target row;
        store_row_clear(STORE_TARGETS, &row);
        row.target_id = w->facts.id;
        row.gone_at_ms = clock_wall_ms();
        row.state = r->stage >= LEAVING ? "detached" : "gone";
        row.reason = r->stage >= LEAVING ? NULL : why->text;
        journal_update_target(r->options.journal, &row);
    }
    r->handlers->detached(r->arg, &w->facts, why);
    if (!r->captured)
        next_capture(r);
}

static void on_chunk(void *arg, struct target *t, const char *escaped, size_t length)
{
    struct link *link = arg;
    struct run *r = link->run;
    if (r->capture && r->captured == target_data(t))
        capture_chunk(r->capture, escaped, length);
}

static void on_event(void *arg, struct target *t, const char *method, const cJSON *params)
{
    struct link *link = arg;
    struct run *r = link->run;
    if (r->capture && r->captured == target_data(t))
        capture_event(r->capture, method, params);
}

static void on_said(void *arg, const char *text)
{
    struct link *link = arg;
    say(link->run, NULL, false, "%s", text);
}

static bool all_ended(const struct run *r)
{
    for (size_t i = 0; i < r->link_count; i++)
        if (!r->links[i].ended)
            return false;
    return true;
}

static bool all_down(const struct run *r)
{
    for (size_t i = 0; i < r->link_count; i++)
        if (!r->links[i].ended && r->links[i].down_since_us == 0)
            return false;
    return true;
}

static void on_down(void *arg, const struct err *why, int64_t next_try_us)
{
    struct link *link = arg;
    struct run *r = link->run;
    bool first = link->down_since_us == 0;
    if (first)
        link->down_since_us = clock_monotonic_us();
    if (next_try_us < 0)
        link->ended = true;
    if (first || next_try_us < 0) {
        bool alone = r->link_count == 1 && r->stage == STARTING && next_try_us < 0;
        if (!alone) /* else it is the run's own error, and said once */
            say(r, NULL, true, "%s%s", why->text,
                next_try_us < 0 ? "" : "; waiting for it to come back");
        record_event(r, NULL, "lost", why->text);
    }
    if (r->child && r->stage == RUNNING)
        child_look_again(r->child);
    if (r->stage > RUNNING)
        return;
    if (all_ended(r)) {
        r->why = *why;
        run_finish(r, r->stage == STARTING ? "not reached" : "all targets are gone");
    } else if (all_down(r) && r->stage == RUNNING && !timer_running(r->give_up_timer)) {
        timer_start(r->give_up_timer, r->options.give_up_us);
    }
}

static void on_closed(void *arg)
{
    struct link *link = arg;
    link->ended = true;
    attachment_free(link->attachment);
    link->attachment = NULL;
    leave_if_done(link->run);
}

static const struct attachment_handlers attachment_handlers = {
    .attached = on_attached,
    .detached = on_detached,
    .said = on_said,
    .event = on_event,
    .chunk = on_chunk,
    .down = on_down,
    .closed = on_closed,
};

/* ---- the command of the run ---- */

static int add_link(struct run *r, struct link *link, const struct address *address, struct err *e)
{
    struct attachment_options options = {.address = *address,
        .follow = !r->options.manual,
        .moves = r->child != NULL,
        .wait_us = r->options.wait_us,
        .workers = !r->options.manual,
        .allow_remote = r->options.allow_remote,
        .expiry_us = EXPIRY_INTERVALS * r->options.metrics_interval_us};
    if (options.expiry_us < EXPIRY_MIN_US)
        options.expiry_us = EXPIRY_MIN_US;
    link->run = r;
    return attachment_new(r->loop, &options, &attachment_handlers, link, &link->attachment, e);
}

static void child_serving(void *arg, pid_t pid, const char *how)
{
    struct run *r = arg;
    struct link *link = &r->links[0];
    struct err e = ERR_NONE;
    struct address address = {.kind = ADDRESS_PROCESS, .pid = pid};
    if (r->stage > RUNNING)
        return;
    say(r, NULL, false, "watching pid %d: %s", (int)pid, how);
    if (link->attachment) {
        attachment_set_pid(link->attachment, pid);
    } else if (add_link(r, link, &address, &e) != 0) {
        r->why = e;
        run_finish(r, "not reached");
    }
}

static void child_ended(void *arg, int status)
{
    struct run *r = arg;
    bool signalled = (status & 0x7f) != 0;
    r->child_ended = true;
    say(r, NULL, false,
        signalled ? "the command was ended by signal %d" : "the command ended with %d",
        signalled ? status & 0x7f : status >> 8 & 0xff);
    if (r->stage == STARTING)
        err_set(
            &r->why, ERR_UNREACHABLE, "the command ended before an inspector of it was reached");
    if (r->stage <= RUNNING)
        run_finish(r, "the command ended");
    leave_if_done(r);
}

static const struct child_handlers child_handlers = {
    .serving = child_serving, .ended = child_ended};

/* ---- its end ---- */

static void duration_passed(void *arg)
{
    run_finish(arg, "duration");
}

static void gave_up(void *arg)
{
    struct run *r = arg;
    char text[TEXT_SHORT];
    err_set(&r->why, ERR_LOST, "every target has been gone for %s (--give-up)",
        text_duration(text, r->options.give_up_us));
    run_finish(r, "all targets are gone");
}

/* A last snapshot is worth its price when half an interval has passed since the one before. */
static bool deserves_last(const struct run *r, const struct watched *w)
{
    int64_t now = clock_monotonic_us();
    return w->target && wants_more(w) && w->last_capture_us &&
           now - w->last_capture_us >= r->options.snapshot_interval_us / 2 &&
           now >= w->rested_at_us && r->captured != w;
}

void run_finish(struct run *r, const char *reason)
{
    if (r->stage > RUNNING)
        return;
    r->stage = ENDING;
    r->reason = reason;
    timer_stop(r->end_timer);
    timer_stop(r->give_up_timer);
    for (size_t i = 0; i < r->target_count; i++) {
        struct watched *w = r->targets[i];
        timer_stop(w->snapshot_timer);
        w->due = deserves_last(r, w);
        w->due_trigger = "final";
    }
    next_capture(r);
}

static void over(struct run *r)
{
    r->stage = OVER;
    r->handlers->ended(r->arg, r->reason, &r->why);
}

static void leave(struct run *r)
{
    r->stage = LEAVING;
    for (size_t i = 0; i < r->link_count; i++)
        if (r->links[i].attachment)
            attachment_close(r->links[i].attachment);
    if (r->child && !r->child_ended)
        child_stop(r->child, CHILD_GRACE_US);
    leave_if_done(r);
}

static void leave_if_done(struct run *r)
{
    if (r->stage == ENDING && !r->captured) {
        leave(r);
        return;
    }
    if (r->stage != LEAVING)
        return;
    for (size_t i = 0; i < r->link_count; i++)
        if (r->links[i].attachment)
            return;
    if (!r->child || r->child_ended)
        over(r);
}

/* ---- for the owner ---- */

static void writer_woke(void *arg)
{
    struct run *r = arg;
    capture_writer_dispatch(r->writer);
}

static void wake_writer_owner(void *arg)
{
    wake_send(arg);
}

static int start_links(struct run *r, const struct run_options *o, struct err *e)
{
    int rc = 0;
    if (o->command) {
        r->link_count = 1;
        r->links = calloc(1, sizeof *r->links);
        if (!r->links)
            return err_set(e, ERR_NOMEM, "out of memory");
        r->links[0].run = r;
        return child_start(r->loop, o->command, o->match, &child_handlers, r, &r->child, e);
    }
    r->links = calloc(o->address_count, sizeof *r->links);
    if (!r->links)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < o->address_count && rc == 0; i++) {
        rc = add_link(r, &r->links[i], &o->addresses[i], e);
        r->link_count = i + 1;
    }
    return rc;
}

int run_start(struct loop *l, const struct run_options *o, const struct run_handlers *h, void *arg,
    struct run **ret, struct err *e)
{
    struct run *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "out of memory");
    *r = (struct run){.loop = l,
        .options = *o,
        .folder = strdup(o->folder),
        .label = strdup(o->label ? o->label : "run"),
        .output = o->output ? strdup(o->output) : NULL,
        .reason = "",
        .why = ERR_NONE,
        .handlers = h,
        .arg = arg};
    int rc = r->folder && r->label && (r->output || !o->output)
                 ? 0
                 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = timer_new(l, duration_passed, r, &r->end_timer, e);
    if (rc == 0)
        rc = timer_new(l, gave_up, r, &r->give_up_timer, e);
    if (rc == 0)
        rc = wake_new(l, writer_woke, r, &r->writer_wake, e);
    if (rc == 0)
        rc = capture_writer_start(wake_writer_owner, r->writer_wake, &r->writer, e);
    if (rc == 0)
        rc = start_links(r, o, e);
    if (rc) {
        run_abort(r);
        run_free(r);
        return rc;
    }
    *ret = r;
    return 0;
}

void run_abort(struct run *r)
{
    capture_cancel(r->capture);
    r->capture = NULL;
    r->captured = NULL;
    r->stage = OVER;
    capture_writer_stop(r->writer); /* removes what is half-written */
    r->writer = NULL;
}

void run_free(struct run *r)
{
    if (!r)
        return;
    capture_writer_stop(r->writer);
    wake_free(r->writer_wake);
    for (size_t i = 0; i < r->link_count; i++)
        attachment_free(r->links[i].attachment);
    child_free(r->child);
    for (size_t i = 0; i < r->target_count; i++)
        free_watched(r->targets[i]);
    timer_free(r->end_timer);
    timer_free(r->give_up_timer);
    free(r->targets);
    free(r->links);
    free(r->folder);
    free(r->label);
    free(r->output);
    free(r->capture_path);
    free(r);
}

size_t run_target_count(const struct run *r)
{
    return r->target_count;
}

const struct run_target *run_target_at(const struct run *r, size_t index)
{
    return &r->targets[index]->facts;
}
