/* What a run owes to earlier captures: files that may have to go, and what the guard learns. */
#include "collect/run.h"
#include "collect/run_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void deleted(
    void *arg, const char *run_id, int64_t snapshot_id, const char *path, const char *why)
{
    struct run *r = arg;
    if (r->options.journal)
        journal_snapshot_state(r->options.journal, run_id, snapshot_id, "deleted", why);
    run_say(r, NULL, false, "deleted %s (%s)", path, why);
}

int run_keep_start(struct run *r, const struct run_options *o, struct err *e)
{
    struct retention_options options = {
        .keep = o->keep, .max_disk = o->max_disk, .deleted = deleted, .arg = r};
    struct err past = ERR_NONE;
    int rc = retention_new(&options, &r->retention, e);
    if (rc || !o->journal)
        return rc;
    /* Without it the guard starts from nothing, and old files do not count: no reason to end. */
    if (past_load(journal_path(o->journal), &r->past, &past) != 0)
        run_say(r, NULL, true, "earlier runs cannot be looked at: %s", past.text);
    else if (o->max_disk > 0)
        rc = retention_add_past(r->retention, r->past, r->folder, e);
    if (rc == 0 && o->keep == 1)
        run_say(r, NULL, true, "--keep 1: the first and the latest snapshot always stay");
    return rc;
}

void run_keep_free(struct run *r)
{
    retention_free(r->retention);
    past_free(r->past);
}

void run_keep_add(struct watched *w, const struct capture_outcome *o)
{
    struct run *r = w->run;
    struct err e = ERR_NONE;
    if (retention_add(r->retention, r->capture_id, w->facts.id, o->file->path, o->file->bytes,
            o->asked_at_ms, &e) != 0)
        run_say(r, w, true, "%s is not counted: %s", o->file->path, e.text);
}

/* The last capture of the same program by another run: better than a rule. */
void run_keep_teach(struct watched *w)
{
    const struct target_identity *id = &w->facts.identity;
    if (w->memory.history.heap_used > 0 || id->kind == TARGET_WORKER)
        return;
    const struct past_capture *c = past_find(w->run->past, id->title, id->runtime_version);
    if (!c)
        return;
    w->memory.history = (struct guard_history){.heap_used = c->heap_used,
        .nodes = c->nodes,
        .pause_us = (int64_t)(c->pause_ms * 1000),
        .memory =
            c->rss_before > 0 && c->rss_peak > c->rss_before ? c->rss_peak - c->rss_before : 0,
        .of_earlier_run = true};
}
