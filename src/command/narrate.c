/* Tells what a run does. */
#include "command/narrate.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "command/recap.h"
#include "command/liveplot.h"
#include "command/sink.h"
#include "show/json.h"
#include "show/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE RECAP_NAME_SIZE

/* Lines of requests a second on a terminal: more than that nobody reads, and the run would wait for
 * it. */
#define REQUEST_LINES_MAX 10

struct narrator {
    struct show_out out;
    bool json, quiet;
    bool lines;   /* JSON Lines of all that happens, not one object at the end */
    bool capture; /* JSON of the capture */
    struct show_progress *progress;
    struct liveplot plot;   /* of a recording */
    char phase[64];         /* that the progress line shows */
    int64_t request_second; /* of the lines of requests so far */
    int64_t request_lines;
    void (*ended)(void *arg, const char *reason, const struct err *why);
    void *ended_arg;
};

int narrator_new(
    const struct settings *s, enum narrate_mode mode, struct narrator **ret, struct err *e)
{
    struct narrator *n = calloc(1, sizeof *n);
    struct show_out errors;
    int rc = n ? sink_open(s, &n->out, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = sink_open_errors(s, &errors, e);
    if (rc) {
        free(n);
        return rc;
    }
    n->json = n->out.format == SHOW_JSON;
    n->lines = n->json && mode == NARRATE_LINES;
    n->capture = n->json && mode != NARRATE_NOTHING;
    n->quiet = settings_flag(s, SET_QUIET);
    if (!n->quiet)
        n->progress = show_progress_new(&errors);
    n->plot.out = errors;
    n->plot.out.tty = errors.tty && !n->quiet;
    *ret = n;
    return 0;
}

void narrator_free(struct narrator *n)
{
    if (!n)
        return;
    show_progress_free(n->progress);
    free(n);
}

void narrator_on_end(struct narrator *n,
    void (*ended)(void *arg, const char *reason, const struct err *why), void *arg)
{
    n->ended = ended;
    n->ended_arg = arg;
}

bool narrator_shows_progress(const struct narrator *n)
{
    return n->progress != NULL;
}

void narrator_clear(struct narrator *n)
{
    show_progress_clear(n->progress);
    liveplot_clear(&n->plot);
}

/* ---- JSON Lines ---- */

static cJSON *begin_line(const char *type, const struct run_target *t, int64_t wall_ms, int *rc)
{
    cJSON *line = show_json_object(NULL, NULL, rc);
    show_json_word(line, "type", type, rc);
    show_json_time(line, "time", wall_ms ? wall_ms : clock_wall_ms(), rc);
    if (t) {
        show_json_integer(line, "target_id", t->id, rc);
        show_json_integer(line, "pid", t->identity.pid, rc);
    }
    return line;
}

static void end_line(struct narrator *n, cJSON *line, int rc)
{
    struct err e = ERR_NONE;
    if (show_json_line(&n->out, line, rc, &e) != 0)
        log_error("%s", e.text);
}

static void event_line(struct narrator *n, const struct run_target *t, const char *event,
    bool warning, const char *text)
{
    int rc = 0;
    cJSON *line = begin_line("event", t, 0, &rc);
    show_json_word(line, "event", event, &rc);
    show_json_bool(line, "warning", warning, &rc);
    show_json_word(line, "text", text, &rc);
    end_line(n, line, rc);
}

static void metrics_line(
    struct narrator *n, const struct run_target *t, const struct store_metrics *m)
{
    int rc = 0;
    cJSON *line = begin_line("metrics", t, m->created_at_ms, &rc);
    show_json_word(line, "label", m->label, &rc);
    const struct {
        const char *key;
        double bytes;
    } sizes[] = {{"heap_used", m->heap_used}, {"heap_total", m->heap_total},
        {"external", m->external}, {"array_buffers", m->array_buffers}, {"rss", m->rss},
        {"heap_limit", m->heap_limit}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        show_json_number(line, sizes[i].key, sizes[i].bytes / 1048576, &rc); /* MB, as the table */
    if (m->gc_count != STORE_NO_INTEGER)
        show_json_integer(line, "gc_count", m->gc_count, &rc);
    show_json_number(line, "gc_ms", m->gc_ms, &rc);
    show_json_number(line, "loop_delay_max_ms", m->loop_delay_max_ms, &rc);
    show_json_number(line, "loop_utilization", m->loop_utilization, &rc);
    end_line(n, line, rc);
}

void narrate_capture_json(
    cJSON *line, const char *trigger, const char *path, const struct capture_outcome *o, int *rc)
{
    show_json_word(line, "state", capture_state_name(o->state), rc);
    show_json_word(line, "trigger", trigger, rc);
    show_json_word(line, "file", path, rc);
    if (o->request_id)
        show_json_integer(line, "request_id", o->request_id, rc);
    if (o->file) {
        show_json_integer(line, "bytes", o->file->bytes, rc);
        show_json_word(line, "sha256", o->file->sha256, rc);
        show_json_integer(line, "node_count", o->file->nodes, rc);
        show_json_integer(line, "edge_count", o->file->edges, rc);
    }
    show_json_number(line, "pause_ms", o->pause_ms, rc);
    show_json_number(line, "duration_ms", o->duration_ms, rc);
    if (o->rss_peak >= 0)
        show_json_integer(line, "rss_peak", o->rss_peak, rc);
    show_json_integer(line, "epoch", o->epoch, rc);
    show_json_word(line, "guard", guard_answer_name(o->verdict.answer), rc);
    show_json_word(line, "forecast_by", o->verdict.forecast.by, rc);
    show_json_number(line, "forecast_pause_ms", (double)o->verdict.forecast.pause_us / 1000, rc);
    show_json_integer(line, "forecast_memory", o->verdict.forecast.memory, rc);
    if (o->state != CAPTURE_COMPLETE)
        show_json_word(line, "reason", o->why.text, rc);
    else if (o->verdict.reason[0])
        show_json_word(line, "reason", o->verdict.reason, rc);
}

static void snapshot_line(struct narrator *n, const struct run_target *t, const char *trigger,
    const char *path, const struct capture_outcome *o)
{
    int rc = 0;
    cJSON *line = begin_line("snapshot", t, o->asked_at_ms, &rc);
    narrate_capture_json(line, trigger, path, o, &rc);
    end_line(n, line, rc);
}

static void request_line(
    struct narrator *n, const struct run_target *t, int64_t id, const struct request_row *q)
{
    int rc = 0;
    cJSON *line = begin_line("request", t, q->wall_ms[1], &rc);
    show_json_integer(line, "request_id", id, &rc);
    show_json_word(line, "method", q->method, &rc);
    show_json_word(line, "url", q->url, &rc);
    show_json_word(line, "route", q->route, &rc);
    show_json_integer(line, "status", q->status, &rc);
    show_json_bool(line, "aborted", q->aborted, &rc);
    show_json_number(line, "duration_ms", q->duration_ms, &rc);
    const struct {
        const char *key;
        const double *bytes;
    } sizes[] = {{"heap_used", q->heap_used}, {"heap_total", q->heap_total},
        {"external", q->external}, {"rss", q->rss}};
    for (int side = 0; side < 2; side++) {
        cJSON *o = show_json_object(line, side == 0 ? "before" : "after", &rc);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            show_json_number(o, sizes[i].key, sizes[i].bytes[side] / 1048576, &rc); /* MB */
        show_json_integer(o, "in_flight", q->in_flight[side], &rc);
    }
    end_line(n, line, rc);
}

/* ---- the run's callbacks ---- */

static void on_said(void *arg, const struct run_target *t, bool warning, const char *text)
{
    struct narrator *n = arg;
    char name[NAME_SIZE];
    narrator_clear(n);
    if (n->lines)
        event_line(n, t, "note", warning, text);
    else
        log_line(warning ? LOG_WARN : LOG_INFO, "%s%s%s", t ? recap_name(t, name) : "",
            t ? ": " : "", text);
}

static void on_attached(void *arg, const struct run_target *t)
{
    struct narrator *n = arg;
    char name[NAME_SIZE], text[2 * NAME_SIZE];
    const struct target_identity *id = &t->identity;
    snprintf(text, sizeof text, "attached to %s (%s %s%s%s)", recap_name(t, name),
        id->kind == TARGET_WORKER ? "worker, node" : target_kind_name(id->kind),
        *id->runtime_version ? id->runtime_version : "of unknown version",
        id->waiting ? "; it waited for a debugger and was told to run" : "", "");
    narrator_clear(n);
    if (n->lines)
        event_line(n, t, "attached", false, text);
    else
        log_info("%s", text);
}

static void on_detached(void *arg, const struct run_target *t, const struct err *why)
{
    struct narrator *n = arg;
    char name[NAME_SIZE];
    if (why->code == ERR_CANCELLED)
        return; /* we left */
    narrator_clear(n);
    if (n->lines)
        event_line(n, t, "detached", false, why->text);
    else if (t->identity.kind == TARGET_WORKER)
        log_info("%s: %s", recap_name(t, name), why->text);
}

static void on_metrics(void *arg, const struct run_target *t, const struct store_metrics *m)
{
    struct narrator *n = arg;
    char heap[TEXT_SHORT], rss[TEXT_SHORT], name[NAME_SIZE];
    if (n->lines) {
        metrics_line(n, t, m);
    } else if (log_enabled(LOG_DEBUG)) {
        narrator_clear(n);
        log_debug("%s: %s heap %s, rss %s", recap_name(t, name), m->label,
            text_size(heap, m->heap_used), isnan(m->rss) ? "-" : text_size(rss, m->rss));
    }
}

/* At most REQUEST_LINES_MAX in a second, and how many there were beside them. */
static bool may_say_request(struct narrator *n, int64_t wall_ms)
{
    int64_t second = wall_ms / 1000;
    if (second != n->request_second) {
        if (n->request_lines > REQUEST_LINES_MAX)
            log_info("… and %lld more requests in that second",
                (long long)(n->request_lines - REQUEST_LINES_MAX));
        n->request_second = second;
        n->request_lines = 0;
    }
    return n->request_lines++ < REQUEST_LINES_MAX;
}

static void on_request(
    void *arg, const struct run_target *t, int64_t id, const struct request_row *q)
{
    struct narrator *n = arg;
    char heap[TEXT_SHORT], by[TEXT_SHORT];
    if (n->lines) {
        request_line(n, t, id, q);
        return;
    }
    if (n->quiet || !may_say_request(n, clock_wall_ms()))
        return;
    double growth = q->heap_used[1] - q->heap_used[0];
    narrator_clear(n);
    log_info("%s %s %lld%s, %.1f ms, heap %s (%s%s)%s", q->method, q->url, (long long)q->status,
        q->aborted ? " (the client went)" : "", q->duration_ms, text_size(heap, q->heap_used[1]),
        growth < 0 ? "" : "+", text_size(by, growth),
        q->in_flight[0] > 1 || q->in_flight[1] > 1 ? ", not alone" : "");
}

static void on_progress(void *arg, const struct run_target *t, const char *phase, int64_t done,
    int64_t total, int64_t bytes, int64_t elapsed_us)
{
    struct narrator *n = arg;
    int64_t now = clock_monotonic_us();
    (void)t;
    (void)elapsed_us;
    bool counts = total > 0;
    if (strcmp(n->phase, phase) != 0) {
        snprintf(n->phase, sizeof n->phase, "%s", phase);
        show_progress_begin(
            n->progress, phase, counts ? SHOW_UNIT_NONE : SHOW_UNIT_BYTES, total, now);
    }
    show_progress_at(n->progress, counts ? done : bytes, total, now);
}

/* Above the progress line, which comes back with its next step. */
static void on_recorded(void *arg, const struct run_target *t, const struct recording *recording)
{
    struct narrator *n = arg;
    (void)t;
    if (!n->plot.out.tty)
        return;
    show_progress_clear(n->progress);
    liveplot_draw(&n->plot, recording);
}

static void on_snapshot(void *arg, const struct run_target *t, const char *trigger,
    const char *path, const struct capture_outcome *o, bool again)
{
    struct narrator *n = arg;
    char name[NAME_SIZE], size[TEXT_SHORT], pause[TEXT_SHORT], nodes[TEXT_SHORT];
    narrator_clear(n);
    n->phase[0] = '\0';
    if (n->capture)
        snapshot_line(n, t, trigger, path, o);
    else if (o->state == CAPTURE_COMPLETE && strcmp(trigger, "manual") == 0)
        fprintf(n->out.file, "%s\n", path); /* the answer to the command */
    if (n->capture)
        return;
    if (o->state == CAPTURE_COMPLETE && o->kind == CAPTURE_PROFILE)
        log_info("%s: profile %s (%s, stalled %s)", recap_name(t, name), path,
            text_size(size, (double)o->file->bytes),
            text_duration(pause, (int64_t)(o->pause_ms * 1000)));
    else if (o->state == CAPTURE_COMPLETE && o->kind == CAPTURE_TIMELINE)
        log_info("%s: timeline %s (%s, %s nodes, stalled %s)", recap_name(t, name), path,
            text_size(size, (double)o->file->bytes), text_count(nodes, o->file->nodes),
            text_duration(pause, (int64_t)(o->pause_ms * 1000)));
    else if (o->state == CAPTURE_COMPLETE)
        log_info("%s: snapshot %s (%s, %s nodes, stalled %s)", recap_name(t, name), path,
            text_size(size, (double)o->file->bytes), text_count(nodes, o->file->nodes),
            text_duration(pause, (int64_t)(o->pause_ms * 1000)));
    else if (strcmp(trigger, "manual") != 0) /* else it is the command's own error, and said once */
        log_line(again ? LOG_DEBUG : LOG_WARN, "%s: no %s: %s", recap_name(t, name),
            o->kind == CAPTURE_TIMELINE ? "timeline" : "snapshot", o->why.text);
    if (o->state == CAPTURE_COMPLETE && o->verdict.reason[0])
        log_warn("%s: %s%s", recap_name(t, name),
            o->verdict.answer == GUARD_FORCED ? "taken by --force, although " : "",
            o->verdict.reason);
}

static void on_ended(void *arg, const char *reason, const struct err *why)
{
    struct narrator *n = arg;
    narrator_clear(n);
    n->ended(n->ended_arg, reason, why);
}

const struct run_handlers narrator_handlers = {
    .said = on_said,
    .attached = on_attached,
    .detached = on_detached,
    .metrics = on_metrics,
    .request = on_request,
    .progress = on_progress,
    .recorded = on_recorded,
    .snapshot = on_snapshot,
    .ended = on_ended,
};

/* ---- the end ---- */

int narrate_summary(
    struct narrator *n, const struct run *r, const struct recap_end *end, struct err *e)
{
    narrator_clear(n);
    return recap(&n->out, r, end, e);
}

int narrate_diagnosis(struct narrator *n, const cJSON *diagnosis, struct err *e)
{
    int rc = 0;
    cJSON *line = begin_line("diagnosis", NULL, 0, &rc);
    const cJSON *item;
    cJSON_ArrayForEach(item, diagnosis)
        show_json_add(line, item->string, cJSON_Duplicate(item, true), &rc);
    return show_json_line(&n->out, line, rc, e);
}
