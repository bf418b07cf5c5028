/* What a run does with a finished snapshot: its classes into the record. */
#include "collect/run.h"
#include "collect/run_private.h"

#include <stdlib.h>

/* ---- asking, for snapshots and timelines ---- */

void run_analysis_ask(struct watched *w, int64_t snapshot_id, const struct capture_result *captured,
    const char *command, analysis_fn fn)
{
    struct run *r = w->run;
    struct err e = ERR_NONE;
    struct analysis_file file = {.path = captured->path,
        .command = command,
        .file_bytes = captured->bytes,
        .nodes = captured->nodes,
        .edges = captured->edges};
    struct run_asked *asked = malloc(sizeof *asked);
    int rc = asked ? 0 : err_set(&e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        *asked = (struct run_asked){w, snapshot_id};
        rc = analysis_add(r->analysis, &file, fn, asked, &e);
    }
    if (rc) {
        free(asked);
        run_say(r, w, true, "%s is not analysed: %s", captured->path, e.text);
    } else {
        retention_hold(r->retention, snapshot_id, true);
    }
}

void run_analysis_answered(struct run_asked *asked)
{
    struct run *r = asked->watched->run;
    retention_hold(r->retention, asked->snapshot_id, false);
    free(asked);
    run_leave_if_done(r);
}

/* ---- classes ---- */

static void write_row(void *arg, const struct class_change *change)
{
    const struct run_asked *asked = arg;
    struct journal *journal = asked->watched->run->options.journal;
    struct store_class row;
    if (!journal)
        return;
    store_row_clear(STORE_HEAP_CLASSES, &row);
    row.snapshot_id = asked->snapshot_id;
    row.ordinal = classes_taken(asked->watched->classes);
    row.key = change->key;
    row.class_name = change->name;
    row.count = change->now.count;
    row.self_size = change->now.self_size;
    row.retained_size = change->now.retained_size;
    journal_class(journal, &row);
}

static void analysed(void *arg, const cJSON *summary, const struct err *why)
{
    struct run_asked *asked = arg;
    struct watched *w = asked->watched;
    struct err e = why ? *why : ERR_NONE;
    if (!why)
        (void)!classes_take(w->classes, summary, write_row, asked, &e);
    if (e.code)
        run_say(w->run, w, true, "%s", e.text);
    run_analysis_answered(asked);
}

void run_analysis_add(struct watched *w, int64_t snapshot_id, const struct capture_result *captured)
{
    if (!w->run->analysis)
        return;
    if (!w->classes)
        w->classes = classes_new();
    if (w->classes)
        run_analysis_ask(w, snapshot_id, captured, "summary", analysed);
    else
        run_say(w->run, w, true, "%s is not analysed: out of memory", captured->path);
}

size_t run_grown_classes(const struct run *r, size_t index, struct class_change *ret, size_t max)
{
    const struct watched *w = r->targets[index];
    return w->classes ? classes_grown(w->classes, ret, max) : 0;
}
