/* What a run does with a finished snapshot: its classes into the record. */
#include "collect/run.h"
#include "collect/run_private.h"

#include <stdlib.h>

struct asked { /* for the analysis of one snapshot */
    struct watched *watched;
    int64_t snapshot_id;
};

static void write_row(void *arg, const struct class_change *change)
{
    const struct asked *asked = arg;
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
    struct asked *asked = arg;
    struct watched *w = asked->watched;
    struct err e = why ? *why : ERR_NONE;
    if (!why)
        (void)!classes_take(w->classes, summary, write_row, asked, &e);
    if (e.code)
        run_say(w->run, w, true, "%s", e.text);
    retention_hold(w->run->retention, asked->snapshot_id, false);
    free(asked);
    run_leave_if_done(w->run);
}

void run_analysis_add(struct watched *w, int64_t snapshot_id, const struct capture_result *captured)
{
    struct run *r = w->run;
    struct err e = ERR_NONE;
    struct analysis_file file = {.path = captured->path,
        .command = "summary",
        .file_bytes = captured->bytes,
        .nodes = captured->nodes,
        .edges = captured->edges};
    if (!r->analysis)
        return;
    if (!w->classes)
        w->classes = classes_new();
    struct asked *asked = malloc(sizeof *asked);
    int rc = w->classes && asked ? 0 : err_set(&e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        *asked = (struct asked){w, snapshot_id};
        rc = analysis_add(r->analysis, &file, analysed, asked, &e);
    }
    if (rc) {
        free(asked);
        run_say(r, w, true, "%s is not analysed: %s", captured->path, e.text);
    } else {
        retention_hold(r->retention, snapshot_id, true);
    }
}

size_t run_grown_classes(const struct run *r, size_t index, struct class_change *ret, size_t max)
{
    const struct watched *w = r->targets[index];
    return w->classes ? classes_grown(w->classes, ret, max) : 0;
}
