/* Tells what a run does. */
#include "command/narrate.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "command/sink.h"
#include "show/json.h"
#include "show/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 160
#define NOTABLE_BYTES                                                                              \
    1048576 /* growth under this or under that share gets no pace: it is noise                     \
             */
#define NOTABLE_SHARE 0.05

struct narrator {
    struct show_out out;
    bool json, quiet;
    struct show_progress *progress;
    char phase[64]; /* that the progress line shows */
    void (*ended)(void *arg, const char *reason, const struct err *why);
    void *ended_arg;
};

int narrator_new(const struct settings *s, struct narrator **ret, struct err *e)
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
    n->quiet = settings_flag(s, SET_QUIET);
    if (!n->quiet)
        n->progress = show_progress_new(&errors);
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

void narrator_clear(struct narrator *n)
{
    show_progress_clear(n->progress);
}

/* "server.js, pid 4711" or "worker resizer of pid 4711". */
static const char *name_of(const struct run_target *t, char out[NAME_SIZE])
{
    const struct target_identity *id = &t->identity;
    const char *title = id->title;
    const char *slash = strrchr(title, '/');
    if (slash && slash[1])
        title = slash + 1;
    if (id->kind == TARGET_WORKER)
        snprintf(out, NAME_SIZE, "%.100s of pid %lld", title, (long long)id->pid);
    else if (id->pid)
        snprintf(out, NAME_SIZE, "%.100s, pid %lld", title, (long long)id->pid);
    else
        snprintf(out, NAME_SIZE, "%.100s at %.50s", title, id->address);
    return out;
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

static void snapshot_line(struct narrator *n, const struct run_target *t, const char *trigger,
    const char *path, const struct capture_outcome *o)
{
    int rc = 0;
    cJSON *line = begin_line("snapshot", t, o->asked_at_ms, &rc);
    show_json_word(line, "state", capture_state_name(o->state), &rc);
    show_json_word(line, "trigger", trigger, &rc);
    show_json_word(line, "file", path, &rc);
    if (o->file) {
        show_json_integer(line, "bytes", o->file->bytes, &rc);
        show_json_word(line, "sha256", o->file->sha256, &rc);
        show_json_integer(line, "node_count", o->file->nodes, &rc);
        show_json_integer(line, "edge_count", o->file->edges, &rc);
    }
    show_json_number(line, "pause_ms", o->pause_ms, &rc);
    show_json_number(line, "duration_ms", o->duration_ms, &rc);
    if (o->rss_peak >= 0)
        show_json_integer(line, "rss_peak", o->rss_peak, &rc);
    show_json_integer(line, "epoch", o->epoch, &rc);
    show_json_word(line, "guard", guard_answer_name(o->answer), &rc);
    if (o->state != CAPTURE_COMPLETE)
        show_json_word(line, "reason", o->why.text, &rc);
    end_line(n, line, rc);
}

/* ---- the run's callbacks ---- */

static void on_said(void *arg, const struct run_target *t, bool warning, const char *text)
{
    struct narrator *n = arg;
    char name[NAME_SIZE];
    narrator_clear(n);
    if (n->json)
        event_line(n, t, "note", warning, text);
    else
        log_line(warning ? LOG_WARN : LOG_INFO, "%s%s%s", t ? name_of(t, name) : "", t ? ": " : "",
            text);
}

static void on_attached(void *arg, const struct run_target *t)
{
    struct narrator *n = arg;
    char name[NAME_SIZE], text[2 * NAME_SIZE];
    const struct target_identity *id = &t->identity;
    snprintf(text, sizeof text, "attached to %s (%s %s%s%s)", name_of(t, name),
        id->kind == TARGET_WORKER ? "worker, node" : target_kind_name(id->kind),
        *id->runtime_version ? id->runtime_version : "of unknown version",
        id->waiting ? "; it waited for a debugger and was told to run" : "", "");
    narrator_clear(n);
    if (n->json)
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
    if (n->json)
        event_line(n, t, "detached", false, why->text);
    else if (t->identity.kind == TARGET_WORKER)
        log_info("%s: %s", name_of(t, name), why->text);
}

static void on_metrics(void *arg, const struct run_target *t, const struct store_metrics *m)
{
    struct narrator *n = arg;
    char heap[TEXT_SHORT], rss[TEXT_SHORT], name[NAME_SIZE];
    if (n->json) {
        metrics_line(n, t, m);
    } else if (log_enabled(LOG_DEBUG)) {
        narrator_clear(n);
        log_debug("%s: %s heap %s, rss %s", name_of(t, name), m->label,
            text_size(heap, m->heap_used), isnan(m->rss) ? "-" : text_size(rss, m->rss));
    }
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

static void on_snapshot(void *arg, const struct run_target *t, const char *trigger,
    const char *path, const struct capture_outcome *o)
{
    struct narrator *n = arg;
    char name[NAME_SIZE], size[TEXT_SHORT], pause[TEXT_SHORT], nodes[TEXT_SHORT];
    narrator_clear(n);
    n->phase[0] = '\0';
    if (n->json)
        snapshot_line(n, t, trigger, path, o);
    else if (o->state == CAPTURE_COMPLETE && strcmp(trigger, "manual") == 0)
        fprintf(n->out.file, "%s\n", path); /* the answer to the command */
    if (n->json)
        return;
    if (o->state == CAPTURE_COMPLETE)
        log_info("%s: snapshot %s (%s, %s nodes, stalled %s)", name_of(t, name), path,
            text_size(size, (double)o->file->bytes), text_count(nodes, o->file->nodes),
            text_duration(pause, (int64_t)(o->pause_ms * 1000)));
    else
        log_warn("%s: no snapshot: %s", name_of(t, name), o->why.text);
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
    .progress = on_progress,
    .snapshot = on_snapshot,
    .ended = on_ended,
};

/* ---- the summary ---- */

/* "12.1 MB -> 30.2 MB (+18.1 MB, 2.1 GB an hour)" */
static void print_growth(
    struct narrator *n, const char *what, double first, double last, int64_t ms)
{
    char a[TEXT_SHORT], b[TEXT_SHORT], by[TEXT_SHORT], hourly[TEXT_SHORT];
    if (isnan(first) || isnan(last))
        return;
    double growth = last - first;
    fprintf(n->out.file, "    %-22s %10s  ->  %10s   %s%s", what, text_size(a, first),
        text_size(b, last), growth < 0 ? "" : "+", text_size(by, growth));
    if (ms > 0 && growth >= NOTABLE_BYTES && growth >= NOTABLE_SHARE * first)
        fprintf(n->out.file, ", %s an hour at this pace",
            text_size(hourly, growth * 3600000 / (double)ms));
    fprintf(n->out.file, "\n");
}

static void print_target(struct narrator *n, const struct run_target *t)
{
    char name[NAME_SIZE], pause[TEXT_SHORT];
    struct err e = ERR_NONE;
    name_of(t, name);
    fprintf(n->out.file, "\n  ");
    (void)!show_text(&n->out, name, strlen(name), &e);
    fprintf(n->out.file, " (%s %s)%s\n", target_kind_name(t->identity.kind),
        t->identity.runtime_version, t->attached ? "" : ", gone");
    fprintf(n->out.file, "    %lld reading%s, %lld snapshot%s", (long long)t->readings,
        t->readings == 1 ? "" : "s", (long long)t->snapshots, t->snapshots == 1 ? "" : "s");
    if (t->snapshots)
        fprintf(n->out.file, " (stalls of %s in all)",
            text_duration(pause, (int64_t)(t->pause_ms * 1000)));
    if (t->refused)
        fprintf(n->out.file, ", %lld refused by the guard", (long long)t->refused);
    if (t->failed)
        fprintf(n->out.file, ", %lld failed", (long long)t->failed);
    fprintf(n->out.file, "\n");
    print_growth(n, "heap", t->first_heap, t->last_heap, t->last_ms - t->first_ms);
    if (t->snapshots > 1)
        print_growth(n, "heap without garbage", t->first_floor, t->last_floor,
            t->last_floor_ms - t->first_floor_ms);
    if (t->identity.kind != TARGET_WORKER) /* it is the whole process' */
        print_growth(n, "resident memory", t->first_rss, t->last_rss, t->last_ms - t->first_rss_ms);
    for (int i = 0; i < 2; i++) {
        const char *path = i == 0 ? t->first_file : t->last_file;
        if (!path)
            continue;
        fprintf(n->out.file, "    %s ", i == 0 ? "first snapshot" : "last snapshot ");
        (void)!show_text(&n->out, path, strlen(path), &e);
        fprintf(n->out.file, "\n");
    }
}

static int summary_text(
    struct narrator *n, const struct run *r, const struct narrated_end *end, struct err *e)
{
    char elapsed[TEXT_SHORT], rows[TEXT_SHORT];
    int64_t snapshots = 0;
    size_t count = run_target_count(r);
    for (size_t i = 0; i < count; i++)
        snapshots += run_target_at(r, i)->snapshots;
    fprintf(n->out.file, "%s: %zu target%s, %lld snapshot%s, %s rows",
        text_duration(elapsed, end->elapsed_us), count, count == 1 ? "" : "s", (long long)snapshots,
        snapshots == 1 ? "" : "s", text_count(rows, end->rows));
    if (end->lost)
        fprintf(n->out.file, " (%lld more were lost)", (long long)end->lost);
    if (end->record)
        fprintf(n->out.file, " in %s\nrun %s", end->record, end->run_id);
    fprintf(n->out.file, "\n");
    for (size_t i = 0; i < count; i++)
        print_target(n, run_target_at(r, i));
    return show_out_finish(&n->out, e);
}

static void target_json(cJSON *list, const struct run_target *t, int *rc)
{
    cJSON *o = show_json_object(list, NULL, rc);
    show_json_integer(o, "target_id", t->id, rc);
    show_json_word(o, "kind", target_kind_name(t->identity.kind), rc);
    show_json_word(o, "title", t->identity.title, rc);
    show_json_integer(o, "pid", t->identity.pid, rc);
    show_json_word(o, "runtime_version", t->identity.runtime_version, rc);
    show_json_integer(o, "readings", t->readings, rc);
    show_json_integer(o, "snapshots", t->snapshots, rc);
    show_json_integer(o, "refused", t->refused, rc);
    show_json_integer(o, "failed", t->failed, rc);
    show_json_number(o, "pause_ms", t->pause_ms, rc);
    const struct {
        const char *key;
        double first, last;
    } series[] = {{"heap_used", t->first_heap, t->last_heap},
        {"heap_floor", t->first_floor, t->last_floor}, {"rss", t->first_rss, t->last_rss}};
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        cJSON *pair = show_json_object(o, series[i].key, rc);
        show_json_number(pair, "first_bytes", series[i].first, rc);
        show_json_number(pair, "last_bytes", series[i].last, rc);
    }
    show_json_word(o, "first_snapshot", t->first_file, rc);
    show_json_word(o, "last_snapshot", t->last_file, rc);
}

int narrate_summary(
    struct narrator *n, const struct run *r, const struct narrated_end *end, struct err *e)
{
    narrator_clear(n);
    if (!n->json)
        return summary_text(n, r, end, e);
    int rc = 0;
    cJSON *line = begin_line("summary", NULL, 0, &rc);
    show_json_word(line, "schema", "heaptap.run/1", &rc);
    show_json_word(line, "run_id", end->run_id, &rc);
    show_json_word(line, "reason", end->reason, &rc);
    show_json_number(line, "seconds", (double)end->elapsed_us / 1e6, &rc);
    show_json_word(line, "record", end->record, &rc);
    show_json_integer(line, "rows", end->rows, &rc);
    show_json_integer(line, "lost", end->lost, &rc);
    cJSON *targets = show_json_array(line, "targets", &rc);
    for (size_t i = 0; i < run_target_count(r); i++)
        target_json(targets, run_target_at(r, i), &rc);
    return show_json_line(&n->out, line, rc, e);
}
