/* A run: attachments, schedules, one capture at a time, and the record of it all.
 *
 *   starting ──(first attach)──> running ──(finish)──> ending ──> leaving ──> over
 *
 * ending waits for captures that run or are due at the end, leaving for the attachments' release
 * and for the command of the run to end. */
#include "collect/run.h"
#include "collect/run_private.h"

#include "base/clock.h"
#include "base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPIRY_MIN_US    (60 * 1000000LL)
#define EXPIRY_INTERVALS 5
#define CHILD_GRACE_US   (5 * 1000000LL)

void run_say(struct run *r, struct watched *w, bool warning, const char *format, ...)
{
    char line[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    r->handlers->said(r->arg, w ? &w->facts : NULL, warning, line);
}

void run_record_event(
    struct run *r, struct watched *w, int64_t snapshot_id, const char *kind, const char *text)
{
    struct store_event row;
    if (!r->options.journal)
        return;
    store_row_clear(STORE_EVENTS, &row);
    row.target_id = w ? w->facts.id : STORE_NO_INTEGER;
    row.snapshot_id = snapshot_id ? snapshot_id : STORE_NO_INTEGER;
    row.kind = kind;
    row.text = text;
    journal_event(r->options.journal, &row);
}

/* ---- targets come and go ---- */

static void begin_running(struct run *r)
{
    if (r->stage != STARTING)
        return;
    r->stage = RUNNING;
    r->first_attach_ms = clock_wall_ms();
    if (r->options.duration_us > 0)
        timer_start(r->end_timer, r->options.duration_us);
}

/* The attachment stays: it leads to the target's next life, where the other may not. */
static bool is_watched_already(struct link *link, const struct target *t)
{
    struct run *r = link->run;
    struct watched *same = run_target_same(link, t);
    if (same && !same->told_same && !link->same && !r->options.by_hand) {
        run_say(r, same, false, "is named more than once; it is watched once");
        same->told_same = true;
    }
    if (!same && link->same) /* the next life came here first */
        run_capture_inherit(link, link->same->link);
    if (same || target_is_main(t))
        link->same = same;
    return same != NULL;
}

static void on_attached(void *arg, struct target *t)
{
    struct link *link = arg;
    struct run *r = link->run;
    link->down_since_us = 0;
    link->was_attached = true;
    timer_stop(r->give_up_timer);
    begin_running(r);
    if (r->stage != RUNNING || is_watched_already(link, t))
        return;
    struct watched *w = run_target_find(link, t);
    if (!w) {
        run_say(r, NULL, true, "no memory to watch another target");
        return;
    }
    w->target = t;
    w->reading = false;
    w->facts.attached = true;
    target_set_data(t, w);
    run_keep_teach(w);
    run_target_record(r, w, t);
    r->handlers->attached(r->arg, &w->facts);
    if (target_sampler_problem(t))
        run_say(r, w, true, "only the heap's own figures can be read here: %s",
            target_sampler_problem(t));
    w->next_reading_us = clock_monotonic_us();
    if (r->options.metrics_interval_us > 0)
        timer_start(w->metrics_timer, 0);
    run_live_begin(w);
    run_requests_attach(w);
    bool one_is_enough = r->options.manual && r->target_count > 1;
    if (!one_is_enough)
        run_capture_begin(w);
    if (r->options.survivors && !one_is_enough)
        run_survivors_begin(w);
}

static void on_detached(void *arg, struct target *t, const struct err *why)
{
    struct link *link = arg;
    struct run *r = link->run;
    struct watched *w = target_data(t);
    if (!w)
        return;
    w->target = NULL;
    run_floor_gone(w, why);
    run_live_gone(w);
    w->facts.attached = r->stage >= LEAVING; /* we left it, it did not go */
    w->due = false;
    timer_stop(w->metrics_timer);
    timer_stop(w->snapshot_timer);
    run_requests_gone(w);
    timer_stop(w->timeline_timer);
    w->timeline_due = false;
    if (r->captured == w && r->capture)
        capture_target_gone(r->capture, why);
    if (r->captured == w && r->survivors)
        survivors_target_gone(r->survivors, why);
    run_capture_gone(w, target_is_main(t));
    run_target_record_gone(r, w, why);
    r->handlers->detached(r->arg, &w->facts, why);
    if (!r->captured)
        run_capture_next(r);
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
    struct watched *w = target_data(t);
    if (w && w->follow && requests_event(w->follow, method, params))
        return;
    if (w && run_pairs_event(w, method))
        return;
    if (r->capture && r->captured == w)
        capture_event(r->capture, method, params);
    if (w && r->handlers->event)
        r->handlers->event(r->arg, &w->facts, method, params);
}

static void on_said(void *arg, const char *text)
{
    struct link *link = arg;
    run_say(link->run, NULL, false, "%s", text);
}

/* It is not there, and longer than --wait. */
static bool is_overdue(const struct run *r, const struct link *link)
{
    return !link->was_attached && link->down_since_us &&
           clock_monotonic_us() - link->started_us >= r->options.wait_us;
}

/* It will not be tried any more, or not before the run has begun with another one. */
static bool is_absent(const struct run *r, const struct link *link)
{
    return link->ended || (r->stage == STARTING && is_overdue(r, link));
}

static bool all_absent(const struct run *r)
{
    for (size_t i = 0; i < r->link_count; i++)
        if (!is_absent(r, &r->links[i]))
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
    bool said = link->same && next_try_us >= 0; /* of the other link */
    if ((first || next_try_us < 0) && !said) {
        bool alone = r->link_count == 1 && r->stage == STARTING && next_try_us < 0;
        if (!alone) /* else it is the run's own error, and said once */
            run_say(r, NULL, true, "%s%s", why->text,
                next_try_us < 0 || all_absent(r) ? ""
                : r->child                       ? "; looking for another process of the command"
                : link->was_attached             ? "; waiting for it to come back"
                : is_overdue(r, link)            ? "; tried on as long as another target is there"
                                                 : "; waiting for it (--wait)");
        run_record_event(r, NULL, 0, "lost", why->text);
    }
    if (r->child && r->stage == RUNNING)
        child_look_again(r->child);
    if (r->stage > RUNNING || (r->options.by_hand && r->stage == RUNNING))
        return;
    if (all_absent(r)) {
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
    run_leave_if_done(link->run);
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

int run_link_start(struct run *r, struct link *link, const struct address *address, struct err *e)
{
    bool follows = !r->options.manual && !r->options.stepped;
    struct attachment_options options = {.address = *address,
        .follow = follows,
        .moves = r->child != NULL,
        .wait_us = r->options.wait_us,
        .persists = r->link_count > 1 && follows && !r->options.by_hand,
        .workers = !r->options.manual,
        .allow_remote = r->options.allow_remote,
        .guardian = r->guardian,
        .expiry_us = EXPIRY_INTERVALS * r->options.metrics_interval_us};
    if (options.expiry_us < EXPIRY_MIN_US)
        options.expiry_us = EXPIRY_MIN_US;
    link->run = r;
    link->started_us = clock_monotonic_us();
    address_format(address, link->name);
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
    run_say(r, NULL, false, "watching pid %d: %s", (int)pid, how);
    if (link->attachment) {
        attachment_set_pid(link->attachment, pid);
    } else if (run_link_start(r, link, &address, &e) != 0) {
        r->why = e;
        run_finish(r, "not reached");
    }
}

static void child_unmatched(void *arg)
{
    run_say(arg, NULL, true,
        "no process of the command that has an inspector matches --match; still looking");
}

static void child_ended(void *arg, int status)
{
    struct run *r = arg;
    bool signalled = (status & 0x7f) != 0;
    r->child_ended = true;
    run_say(r, NULL, false,
        signalled ? "the command was ended by signal %d" : "the command ended with %d",
        signalled ? status & 0x7f : status >> 8 & 0xff);
    if (r->stage == STARTING)
        err_set(
            &r->why, ERR_UNREACHABLE, "the command ended before an inspector of it was reached");
    if (r->stage <= RUNNING)
        run_finish(r, "the command ended");
    run_leave_if_done(r);
}

static const struct child_handlers child_handlers = {
    .serving = child_serving, .unmatched = child_unmatched, .ended = child_ended};

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

void run_finish(struct run *r, const char *reason)
{
    if (r->stage > RUNNING)
        return;
    r->stage = ENDING;
    r->reason = reason;
    timer_stop(r->end_timer);
    timer_stop(r->give_up_timer);
    if (r->survivors)
        survivors_finish(r->survivors);
    if (r->capture)
        capture_end_recording(r->capture);
    run_live_last(r);
    run_capture_last(r);
    if (r->capture)
        capture_hurry(r->capture);
    run_capture_next(r);
}

void run_interrupt(struct run *r)
{
    run_finish(r, "signal");
    if (r->capture)
        capture_interrupt(r->capture);
}

void run_fail(struct run *r, const char *reason, const struct err *why)
{
    if (r->stage > RUNNING)
        return;
    r->why = *why;
    run_finish(r, reason);
}

static void over(struct run *r)
{
    r->stage = OVER;
    r->handlers->ended(r->arg, r->reason, &r->why);
}

static void leave(struct run *r)
{
    r->stage = LEAVING;
    for (size_t i = 0; i < r->target_count; i++) {
        timer_stop(r->targets[i]->metrics_timer);
        run_requests_leave(r->targets[i]);
    }
    for (size_t i = 0; i < r->link_count; i++)
        if (r->links[i].attachment)
            attachment_close(r->links[i].attachment);
    if (r->child && !r->child_ended)
        child_stop(r->child, CHILD_GRACE_US);
    run_leave_if_done(r);
}

void run_leave_if_done(struct run *r)
{
    if (r->stage == ENDING && !r->captured && r->live_finishing == 0) {
        leave(r);
        return;
    }
    if (r->stage != LEAVING)
        return;
    for (size_t i = 0; i < r->link_count; i++)
        if (r->links[i].attachment)
            return;
    bool analysed = !r->analysis || analysis_pending(r->analysis) == 0;
    if (analysed && (!r->child || r->child_ended))
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
        return child_start(
            r->loop, o->command, o->command_apart, o->match, &child_handlers, r, &r->child, e);
    }
    r->links = calloc(o->by_hand ? RUN_LINKS_MAX : o->address_count, sizeof *r->links);
    if (!r->links)
        return err_set(e, ERR_NOMEM, "out of memory");
    r->link_count = o->address_count;
    for (size_t i = 0; i < o->address_count && rc == 0; i++)
        rc = run_link_start(r, &r->links[i], &o->addresses[i], e);
    return rc;
}

/* Owned by the caller; NULL when memory is out. */
static char *absolute_path(const char *path)
{
    char here[PATH_MAX];
    if (path[0] == '/' || !getcwd(here, sizeof here))
        return strdup(path);
    return text_format("%s/%s", here, path);
}

int run_start(struct loop *l, const struct run_options *o, const struct run_handlers *h, void *arg,
    struct run **ret, struct err *e)
{
    struct run *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "out of memory");
    *r = (struct run){.loop = l,
        .options = *o,
        .folder = realpath(o->folder, NULL), /* the record names files from anywhere */
        .label = strdup(o->label ? o->label : "run"),
        .output = o->output ? absolute_path(o->output) : NULL,
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
    if (rc == 0 && guardian_start(&r->guardian, e) != 0)
        r->guardian = NULL; /* it is for accidents only */
    if (rc == 0)
        rc = wake_new(l, writer_woke, r, &r->writer_wake, e);
    if (rc == 0)
        rc = capture_writer_start(wake_writer_owner, r->writer_wake, &r->writer, e);
    if (rc == 0 && o->analyze)
        rc = analysis_new(l, &r->analysis, e);
    if (rc == 0)
        rc = run_keep_start(r, o, e);
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
    run_capture_left(r);
    capture_cancel(r->capture);
    survivors_cancel(r->survivors);
    r->capture = NULL;
    r->survivors = NULL;
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
    guardian_free(r->guardian);
    wake_free(r->writer_wake);
    analysis_free(r->analysis);
    run_keep_free(r);
    for (size_t i = 0; i < r->link_count; i++)
        attachment_free(r->links[i].attachment);
    child_free(r->child);
    for (size_t i = 0; i < r->target_count; i++)
        run_target_free(r->targets[i]);
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

const char *run_absent(const struct run *r, size_t index)
{
    for (size_t i = 0; i < r->link_count; i++)
        if (!r->links[i].was_attached && index-- == 0)
            return r->links[i].name;
    return NULL;
}

const struct run_target *run_target_at(const struct run *r, size_t index)
{
    return &r->targets[index]->facts;
}
