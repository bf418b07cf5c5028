/* One target of a run: its record, its place in the journal, its readings. */
#include "base/array.h"
#include "collect/run_private.h"

#include "base/clock.h"
#include "base/text.h"
#include "collect/host.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READING_DEADLINE_US (60 * 1000000LL)
#define TARGETS_MAX         100000 /* restarts of a crash loop over a week; 400 bytes each */

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

void run_target_record_sample(struct watched *w, const char *label, const struct sample *s)
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
        run_target_record_sample(w, "interval", sample);
    else if (why->code != ERR_LOST && why->code != ERR_CANCELLED)
        run_say(w->run, w, true, "no reading: %s", why->text);
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
    struct run *r = w->run;
    bool stalled = r->captured == w && r->capture && capture_disturbs(r->capture);
    if (w->reading || stalled) /* a capture has readings of its own */
        return;
    if (sampler_read(target_sampler(w->target), READING_DEADLINE_US, got_reading, w, &e) == 0)
        w->reading = true;
    else
        run_say(w->run, w, true, "no reading: %s", e.text);
}

/* ---- who it is ---- */

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

void run_target_free(struct watched *w)
{
    if (!w)
        return;
    run_floor_free(w);
    timer_free(w->metrics_timer);
    timer_free(w->snapshot_timer);
    timer_free(w->timeline_timer);
    live_profile_free(w->live);
    timer_free(w->gc_timer);
    run_requests_free(w);
    free(w->facts.identity.title);
    free(w->facts.identity.url);
    free(w->facts.identity.inspector_id);
    free(w->facts.identity.runtime_version);
    free(w->facts.identity.v8_version);
    free(w->facts.identity.arch);
    free(w->facts.first_file);
    free(w->facts.last_file);
    classes_free(w->classes);
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

/* A worker's id is unique in its process only. */
struct watched *run_target_same(const struct link *link, const struct target *t)
{
    const struct target_identity *id = target_identity(t);
    struct run *r = link->run;
    for (size_t i = 0; i < r->target_count; i++) {
        struct watched *w = r->targets[i];
        const struct target_identity *other = &w->facts.identity;
        if (w->link != link && w->target && *id->inspector_id && other->kind == id->kind &&
            other->pid == id->pid && other->started_at_ms == id->started_at_ms &&
            strcmp(other->inspector_id, id->inspector_id) == 0)
            return w;
    }
    return NULL;
}

static struct watched *new_watched(struct link *link, const struct target *t)
{
    struct run *r = link->run;
    struct err e = ERR_NONE;
    if (r->target_count == TARGETS_MAX || !array_more(&r->targets, r->target_count))
        return NULL;
    struct watched *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (struct watched){.run = r, .link = link};
    w->facts.first_heap = w->facts.last_heap = w->facts.first_rss = w->facts.last_rss = NAN;
    w->facts.first_floor = w->facts.last_floor = NAN;
    if (copy_identity(&w->facts.identity, target_identity(t)) != 0 ||
        timer_new(r->loop, take_reading, w, &w->metrics_timer, &e) != 0 ||
        timer_new(r->loop, run_capture_timeline_due, w, &w->timeline_timer, &e) != 0 ||
        timer_new(r->loop, run_capture_due, w, &w->snapshot_timer, &e) != 0 ||
        timer_new(r->loop, run_requests_collect, w, &w->gc_timer, &e) != 0) {
        run_target_free(w);
        return NULL;
    }
    r->targets[r->target_count++] = w;
    return w;
}

/* The control group's limit, which a diagnosis counts the time to. */
static void record_limit(struct run *r, const struct watched *w)
{
    pid_t pid = w->facts.identity.host_pid;
    struct host_limit group;
    struct store_event row;
    char detail[64], text[64], size[TEXT_SHORT];
    if (!pid || host_cgroup("", pid, &group) != 0 || group.limit < 0)
        return;
    store_row_clear(STORE_EVENTS, &row);
    snprintf(detail, sizeof detail, "{\"limit\":%lld}", (long long)group.limit);
    snprintf(
        text, sizeof text, "the control group allows %s", text_size(size, (double)group.limit));
    row.target_id = w->facts.id;
    row.kind = "memory-limit";
    row.text = text;
    row.detail = detail;
    journal_event(r->options.journal, &row);
}

void run_target_record(struct run *r, struct watched *w, const struct target *t)
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
        record_limit(r, w);
    }
}

void run_target_record_gone(struct run *r, struct watched *w, const struct err *why)
{
    struct store_target row;
    bool left = r->stage >= LEAVING;
    if (!r->options.journal)
        return;
    store_row_clear(STORE_TARGETS, &row);
    row.target_id = w->facts.id;
    row.gone_at_ms = clock_wall_ms();
    row.state = left ? "detached" : "gone";
    row.reason = left ? NULL : why->text;
    journal_update_target(r->options.journal, &row);
}

struct watched *run_target_find(struct link *link, const struct target *t)
{
    struct watched *w = find_again(link, t);
    if (w)
        w->memory.canary_id = 0; /* a new session: its ids start afresh */
    else
        w = new_watched(link, t);
    return w;
}
