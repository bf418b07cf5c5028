/* The one recording of `survivors`: its file, its row, and what survived by site in the record. */
#include "collect/run_private.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define SITES_MAX 1000 /* rows a profile: what is beyond them is too small to look at */

static void record_sites(struct run *r, int64_t snapshot_id)
{
    struct allocation_sites sites;
    struct err e = ERR_NONE;
    const struct allocations *stacks = survivors_stacks(r->survivors);
    if (!stacks || allocations_fold(stacks, &sites, &e) != 0)
        return; /* the file has it all */
    int64_t now_ms = clock_wall_ms();
    allocation_sites_rank(&sites);
    for (size_t i = 0; i < sites.count && i < SITES_MAX; i++) {
        const struct allocation_site *site = &sites.items[i];
        struct store_site row;
        store_row_clear(STORE_ALLOCATION_SITES, &row);
        row.target_id = r->captured->facts.id;
        row.snapshot_id = snapshot_id;
        row.created_at_ms = now_ms; /* of all: one reading */
        row.source = "survivors";
        row.reading = 0;
        row.function = site->frame.function;
        row.url = *site->frame.url ? site->frame.url : NULL;
        row.line = site->frame.line ? site->frame.line : STORE_NO_INTEGER;
        row.column = site->frame.column ? site->frame.column : STORE_NO_INTEGER;
        row.live_bytes = site->live_bytes;
        cJSON *stack = allocations_stack(stacks, site->heaviest);
        char *text = stack ? cJSON_PrintUnformatted(stack) : NULL;
        row.stack = text;
        journal_site(r->options.journal, &row);
        cJSON_free(text);
        cJSON_Delete(stack);
    }
    allocation_sites_free(&sites);
}

static void record(struct run *r, const struct capture_outcome *o)
{
    struct store_snapshot row;
    if (!r->options.journal)
        return;
    store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
    row.snapshot_id = r->capture_id;
    row.target_id = r->captured->facts.id;
    row.pause_ms = o->pause_ms;
    row.duration_ms = o->duration_ms;
    row.state = capture_state_name(o->state);
    row.reason = o->state == CAPTURE_COMPLETE ? NULL : o->why.text;
    if (o->file) {
        row.file = o->file->path;
        row.bytes = o->file->bytes;
        row.sha256 = o->file->sha256;
    }
    journal_update_snapshot(r->options.journal, &row);
    if (o->state == CAPTURE_COMPLETE)
        record_sites(r, r->capture_id);
}

static void done(void *arg, const struct capture_outcome *o)
{
    struct run *r = arg;
    struct watched *w = r->captured;
    char *path = r->capture_path;
    record(r, o);
    r->survivors = NULL;
    r->captured = NULL;
    r->capture_path = NULL;
    if (o->state != CAPTURE_COMPLETE && !r->options.by_hand)
        r->why = o->why;
    else if (o->state == CAPTURE_COMPLETE && r->options.ret_path)
        *r->options.ret_path = strdup(o->file->path);
    r->handlers->snapshot(r->arg, &w->facts, "manual", o->file ? o->file->path : path, o, false);
    free(path);
    if (!r->options.by_hand)
        run_finish(r, "done");
    run_leave_if_done(r);
}

static const struct capture_handlers handlers = {
    .sampled = run_capture_sampled,
    .progress = run_capture_progressed,
    .done = done,
};

static int begin(struct run *r, struct watched *w, struct err *e)
{
    struct capture_name name = {.folder = r->folder,
        .label = r->label,
        .wall_ms = clock_wall_ms(),
        .pid = w->facts.identity.pid,
        .seq = ++r->sequence,
        .kind = CAPTURE_PROFILE};
    int rc = 0;
    if (!r->output)
        rc = capture_path_make(&name, &r->capture_path, e);
    else if (!(r->capture_path = strdup(r->output)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc)
        return rc;
    if (r->options.journal) {
        struct store_snapshot row;
        store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
        row.target_id = w->facts.id;
        row.kind = "heapprofile";
        row.trigger = "manual";
        row.state = "running";
        r->capture_id = journal_add_snapshot(r->options.journal, &row);
    }
    struct survivors_options options = {.target = w->target,
        .writer = r->writer,
        .path = r->capture_path,
        .compress = r->options.limits.compress,
        .sample_every = r->options.sample_every,
        .duration_us = r->options.recording_us};
    return survivors_start(r->loop, &options, &handlers, r, &r->survivors, e);
}

void run_survivors_begin(struct watched *w)
{
    struct run *r = w->run;
    struct capture_outcome failed = {
        .kind = CAPTURE_PROFILE, .state = CAPTURE_FAILED, .why = ERR_NONE};
    r->captured = w;
    r->capture_started_us = clock_monotonic_us();
    if (begin(r, w, &failed.why) != 0)
        done(r, &failed);
}
