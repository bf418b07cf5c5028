/* The requests of one target of a run: rows into the record, counts by route, floors of the heap.
 */
#include "base/array.h"
#include "collect/run_private.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "cdp/proto.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX (2 * REQUESTS_ROUTES_MAX) /* a hook that came back may have met others */
/* Floors that are kept in memory: when they are met every other one goes, which keeps the whole
 * span. 600 floors of 400 routes take 2 MB. */
#define FLOORS_MAX     600
#define FLOOR_SPACE_MS 1000 /* a busy server may collect several times a second */
#define LABEL_SIZE     (REQUESTS_METHOD_MAX + 16)
#define GC_DEADLINE_US (120 * 1000000LL) /* about 1 ms a MB */
#define OTHERS_MAX     200
/* ROUTES_MAX routes of REQUESTS_TEXT_MAX bytes, and others */
#define EVENT_TEXT_MAX (6 * 1024 * 1024)

/* ---- rows ---- */

static void fill_row(const struct watched *w, const struct request_row *q, int64_t id, int side,
    const char *label, struct store_metrics *row)
{
    store_row_clear(STORE_MEMORY_METRICS, row);
    row->target_id = w->facts.id;
    row->created_at_ms = q->wall_ms[side];
    row->label = label;
    row->heap_used = q->heap_used[side];
    row->heap_total = q->heap_total[side];
    row->external = q->external[side];
    row->rss = q->rss[side];
    row->request_method = q->method;
    row->request_url = q->url;
    row->request_id = id;
    row->route = q->route;
    row->in_flight = q->in_flight[side];
    if (side == 1) {
        row->duration_ms = q->duration_ms;
        row->status = q->status;
    }
}

static void on_row(void *arg, const struct request_row *q)
{
    struct watched *w = arg;
    struct run *r = w->run;
    struct store_metrics before, after;
    char before_label[LABEL_SIZE], after_label[LABEL_SIZE];
    int64_t id = run_pairs_request_id(w, q->pair);
    if (!id)
        id = ++w->last_request_id;
    w->facts.requests.rows++;
    snprintf(before_label, sizeof before_label, "before-%s", q->method);
    snprintf(after_label, sizeof after_label, "after-%s", q->method);
    fill_row(w, q, id, 0, before_label, &before);
    fill_row(w, q, id, 1, after_label, &after);
    if (r->options.journal)
        journal_request(r->options.journal, &before, &after);
    r->handlers->request(r->arg, &w->facts, id, q);
}

static void on_lost(void *arg, int64_t requests)
{
    struct watched *w = arg;
    struct store_event row;
    char text[128];
    if (w->facts.requests.lost == 0)
        run_say(w->run, w, true,
            "requests come faster than they can be taken: some have no rows (they are counted)");
    w->facts.requests.lost += requests;
    if (!w->run->options.journal)
        return;
    snprintf(text, sizeof text, "%lld requests have no rows: they came faster than they were taken",
        (long long)requests);
    store_row_clear(STORE_EVENTS, &row);
    row.target_id = w->facts.id;
    row.kind = "loss";
    row.text = text;
    journal_event(w->run->options.journal, &row);
}

/* ---- counts by route ---- */

static bool find_route(
    const struct run_requests *q, const struct request_route *route, size_t *ret_index)
{
    for (size_t i = 0; i < q->route_count; i++)
        if (strcmp(q->routes[i].path, route->path) == 0 &&
            strcmp(q->routes[i].method, route->method) == 0) {
            *ret_index = i;
            return true;
        }
    return false;
}

static bool add_route(struct watched *w, const struct request_route *route, size_t *ret_index)
{
    struct run_requests *q = &w->facts.requests;
    if (!q->routes) {
        q->routes = calloc(ROUTES_MAX, sizeof *q->routes);
        w->route_base = calloc(ROUTES_MAX, sizeof *w->route_base);
    }
    if (!q->routes || !w->route_base || q->route_count == ROUTES_MAX)
        return false;
    struct run_route *added = &q->routes[q->route_count];
    added->method = strdup(route->method);
    added->path = strdup(route->path);
    if (!added->method || !added->path) {
        free(added->method);
        free(added->path);
        return false;
    }
    *ret_index = q->route_count++;
    return true;
}

/* The hook only ever adds routes behind those that it has. The first one is "(other)". */
static void learn_routes(struct watched *w, const struct request_beat *beat)
{
    while (w->hook_routes < beat->route_count) {
        const struct request_route *route = &beat->routes[w->hook_routes];
        size_t index = 0;
        if (!find_route(&w->facts.requests, route, &index) && !add_route(w, route, &index)) {
            if (!w->facts.requests.route_count)
                return;
            index = 0;
        }
        w->hook_route[w->hook_routes++] = index;
    }
}

static void take_counts(struct watched *w, const struct request_beat *beat)
{
    struct run_requests *q = &w->facts.requests;
    for (size_t i = 0; i < q->route_count; i++)
        q->routes[i].requests = w->route_base[i];
    for (size_t i = 0; i < w->hook_routes && i < beat->route_count; i++)
        q->routes[w->hook_route[i]].requests += beat->routes[i].count;
}

/* ---- floors ---- */

static void free_floor(struct run_floor *floor)
{
    free(floor->counts);
}

static void halve_floors(struct run_requests *q)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->floor_count; i++) {
        if (i % 2 == 0)
            q->floors[kept++] = q->floors[i];
        else
            free_floor(&q->floors[i]);
    }
    q->floor_count = kept;
}

static struct run_floor *keep_floor(struct watched *w, const struct request_floor *f)
{
    struct run_requests *q = &w->facts.requests;
    if (!q->floors)
        q->floors = calloc(FLOORS_MAX, sizeof *q->floors);
    if (!q->floors)
        return NULL;
    if (q->floor_count == FLOORS_MAX)
        halve_floors(q);
    struct run_floor *floor = &q->floors[q->floor_count];
    *floor = (struct run_floor){.wall_ms = f->wall_ms,
        .bytes = f->heap_used - f->young - f->engine,
        .forced = f->forced,
        .route_count = q->route_count,
        .counts = calloc(q->route_count ? q->route_count : 1, sizeof *floor->counts)};
    if (!floor->counts)
        return NULL;
    for (size_t i = 0; i < q->route_count; i++)
        floor->counts[i] = w->route_base[i];
    for (size_t i = 0; i < w->hook_routes; i++)
        floor->counts[w->hook_route[i]] += f->counts[i];
    q->floor_count++;
    return floor;
}

static int add_route_json(
    struct buf *b, const char *method, const char *path, int64_t count, bool first)
{
    cJSON *item = cJSON_CreateArray();
    cJSON_AddItemToArray(item, cJSON_CreateString(method));
    cJSON_AddItemToArray(item, cJSON_CreateString(path));
    char *text = cJSON_PrintUnformatted(item);
    int rc = ERR_NOMEM;
    if (text) {
        text[strlen(text) - 1] = '\0'; /* its closing bracket */
        rc = buf_addf(b, "%s%s,%lld]", first ? "" : ",", text, (long long)count);
    }
    free(text);
    cJSON_Delete(item);
    return rc;
}

/* Requests that have entered the process elsewhere, at the other threads, summed by route: they may
 * be handed on. */
struct others {
    struct run_route list[OTHERS_MAX]; /* texts borrowed */
    size_t count;
};

static void add_other(struct others *o, const struct run_route *route)
{
    size_t at = 0;
    while (at < o->count && (strcmp(o->list[at].path, route->path) != 0 ||
                                strcmp(o->list[at].method, route->method) != 0))
        at++;
    if (at == OTHERS_MAX)
        at = OTHERS_MAX - 1;
    if (at == o->count)
        o->list[o->count++] = (struct run_route){route->method, route->path, 0};
    o->list[at].requests += route->requests;
}

static void find_others(const struct watched *w, struct others *o)
{
    const struct run *r = w->run;
    o->count = 0;
    for (size_t i = 0; i < r->target_count; i++) {
        const struct watched *other = r->targets[i];
        const struct run_requests *q = &other->facts.requests;
        if (other == w || other->link != w->link ||
            other->facts.identity.pid != w->facts.identity.pid)
            continue;
        for (size_t k = 0; k < q->route_count; k++)
            if (q->routes[k].requests)
                add_other(o, &q->routes[k]);
    }
}

static int add_others_json(struct buf *b, const struct watched *w)
{
    struct others *o = malloc(sizeof *o);
    if (!o)
        return ERR_NOMEM;
    find_others(w, o);
    int rc = o->count ? buf_add_text(b, "],\"others\":[") : 0;
    for (size_t i = 0; i < o->count && rc == 0; i++)
        rc = add_route_json(b, o->list[i].method, o->list[i].path, o->list[i].requests, i == 0);
    free(o);
    return rc;
}

/* In the record a floor is a reading (label after-gc) and an event whose detail holds the counts.
 */
static void record_floor(struct watched *w, const struct request_floor *f,
    const struct run_floor *floor, enum run_record record)
{
    struct run *r = w->run;
    struct store_metrics row;
    struct store_event event;
    struct buf detail = buf_new(EVENT_TEXT_MAX);
    char text[128], size[TEXT_SHORT];
    store_row_clear(STORE_MEMORY_METRICS, &row);
    row.target_id = w->facts.id;
    row.created_at_ms = f->wall_ms;
    row.label = "after-gc";
    row.heap_used = f->heap_used;
    row.heap_total = f->heap_total;
    row.external = f->external;
    row.rss = f->rss;
    /* The live profile's collections have readings of their own, and so have a probe's floors. */
    bool is_row = !w->live || (f->forced && !r->options.stepped);
    if (is_row)
        r->handlers->metrics(r->arg, &w->facts, &row);
    if (!r->options.journal)
        return;
    if (is_row)
        journal_metrics(r->options.journal, &row);
    int rc = buf_addf(&detail,
        "{\"heap_used\":%.0f,\"young\":%.0f,\"engine\":%.0f,\"floor\":%.0f,\"forced\":%s,",
        f->heap_used, f->young, f->engine, floor->bytes, f->forced ? "true" : "false");
    if (rc == 0 && isfinite(f->external))
        rc = buf_addf(&detail, "\"external\":%.0f,", f->external);
    if (rc == 0 && isfinite(f->rss) && isfinite(f->heap_total))
        rc = buf_addf(&detail, "\"rss\":%.0f,\"heap_total\":%.0f,", f->rss, f->heap_total);
    if (rc == 0 && r->options.stepped)
        rc = buf_addf(&detail, "\"probe\":\"%s\",", record == RUN_BASE ? "base" : "round");
    if (rc == 0)
        rc = buf_add_text(&detail, "\"routes\":[");
    for (size_t i = 0, written = 0; i < floor->route_count && rc == 0; i++)
        if (floor->counts[i])
            rc = add_route_json(&detail, w->facts.requests.routes[i].method,
                w->facts.requests.routes[i].path, floor->counts[i], written++ == 0);
    if (rc == 0)
        rc = add_others_json(&detail, w);
    if (rc == 0)
        rc = buf_add_text(&detail, "]}");
    store_row_clear(STORE_EVENTS, &event);
    snprintf(text, sizeof text, "%s after a full collection", text_size(size, floor->bytes));
    event.target_id = w->facts.id;
    event.created_at_ms = f->wall_ms;
    event.kind = "floor";
    event.text = text;
    event.detail = rc == 0 ? detail.data : NULL;
    journal_event(r->options.journal, &event);
    buf_free(&detail);
}

const struct run_floor *run_requests_note_floor(
    struct watched *w, const struct request_floor *f, enum run_record record)
{
    const struct run_floor *floor = keep_floor(w, f);
    if (floor && record != RUN_UNRECORDED)
        record_floor(w, f, floor, record);
    return floor;
}

/* The collection that was asked for is one of the target's, too: the hook may have noted it twice.
 */
static bool is_another(const struct request_floor *f, int64_t other_ms)
{
    return f->forced || llabs(f->wall_ms - other_ms) >= FLOOR_SPACE_MS;
}

static void take_floors(struct watched *w, const struct request_beat *beat)
{
    const struct run_requests *q = &w->facts.requests;
    for (size_t i = 0; i < beat->floor_count; i++) {
        const struct request_floor *f = &beat->floors[i];
        const struct request_floor *last = &beat->floors[beat->floor_count - 1];
        if ((q->floor_count && !is_another(f, q->floors[q->floor_count - 1].wall_ms)) ||
            (last->forced && !is_another(f, last->wall_ms)))
            continue;
        run_requests_note_floor(w, f, RUN_ROUND);
    }
}

/* ---- the hook's callbacks ---- */

/* The hook is in again, after it had ended without us or the connection was lost. */
static void tell_gap(struct watched *w)
{
    char text[256], from[CLOCK_ISO_SIZE], to[CLOCK_ISO_SIZE], took[TEXT_SHORT];
    int64_t now_ms = clock_wall_ms();
    int64_t gap_ms = now_ms - w->unfollowed_since_ms;
    if (!w->unfollowed_since_ms || gap_ms < 0)
        return;
    w->facts.requests.unfollowed_ms += gap_ms;
    snprintf(text, sizeof text, "its requests were not followed for %s, from %s to %s",
        text_duration(took, gap_ms * 1000), clock_iso(from, w->unfollowed_since_ms),
        clock_iso(to, now_ms));
    w->unfollowed_since_ms = 0;
    run_say(w->run, w, true, "%s", text);
    run_record_event(w->run, w, 0, "unfollowed", text);
}

static void on_following(void *arg)
{
    struct watched *w = arg;
    struct run_requests *q = &w->facts.requests;
    tell_gap(w);
    w->hook_routes = 0;
    q->followed = q->was_followed = true;
    for (size_t i = 0; i < q->route_count; i++)
        w->route_base[i] = q->routes[i].requests;
    run_pairs_follow(w);
}

static void on_beat(void *arg, const struct request_beat *beat)
{
    struct watched *w = arg;
    struct run_requests *q = &w->facts.requests;
    learn_routes(w, beat);
    take_counts(w, beat);
    w->rows_at_beat = q->rows;
    if (strcmp(beat->stopped, REQUESTS_EXPIRED) == 0)
        w->unfollowed_since_ms = clock_wall_ms() - beat->over_ms;
    if (!w->run->options.stepped)
        take_floors(w, beat);
    run_pairs_passed(w, beat->passed);
    q->aborted = beat->aborted;
    q->in_flight = beat->in_flight;
    if (beat->share < q->share && q->share == w->run->options.follow.sample)
        run_say(w->run, w, false,
            "rows for %.2g %% of the requests from now on: at all of them following cost %.1f %% "
            "of its time (--requests-overhead); all are counted",
            beat->share * 100, beat->overhead * 100);
    q->share = beat->share;
    q->overhead = beat->overhead;
    if (beat->overhead > q->overhead_max)
        q->overhead_max = beat->overhead;
    if (beat->held > q->held_max)
        q->held_max = beat->held;
    if (*beat->failure && !w->told_failure) {
        w->told_failure = true;
        run_say(w->run, w, true, "following requests met an exception, some are missed: %s",
            beat->failure);
    }
    if (beat->blind && !w->told_blind) {
        w->told_blind = true;
        run_say(w->run, w, true,
            "Node %s cannot tell of HTTP/2 requests (22 and later can); HTTP/1 is followed",
            w->facts.identity.runtime_version);
    }
    run_family_beat(w, beat->begun > 0);
    run_floor_beat(w, beat);
}

static void on_pair(void *arg, const struct request_pair *pair)
{
    run_pairs_step(arg, pair);
}

static bool any_was_followed(const struct run *r)
{
    for (size_t i = 0; i < r->target_count; i++)
        if (r->targets[i]->facts.requests.was_followed)
            return true;
    return false;
}

/* An expression that is none is the user's mistake, unless another target has taken it. */
static void on_failed(void *arg, const struct err *why)
{
    struct watched *w = arg;
    w->follow_over = true;
    w->facts.requests.followed = false;
    w->facts.requests.broken_off = w->facts.requests.was_followed;
    if (why->code == ERR_USAGE && !w->run->options.by_hand && !any_was_followed(w->run)) {
        run_fail(w->run, "usage", why);
        return;
    }
    run_say(w->run, w, true, "%s", why->text);
    run_floor_beat(w, NULL);
}

static const struct requests_handlers requests_handlers = {
    .following = on_following,
    .row = on_row,
    .beat = on_beat,
    .lost = on_lost,
    .pair = on_pair,
    .failed = on_failed,
};

/* ---- forced collections ---- */

static void schedule_collection(struct watched *w, int64_t rest_us)
{
    int64_t interval = w->run->options.gc_floor_us;
    if (interval > 0 && w->target)
        timer_start(w->gc_timer, rest_us > interval ? rest_us : interval);
}

static void got_floor(void *arg, const struct sample *sample, const struct err *why)
{
    if (!why)
        run_target_record_sample(arg, "after-gc", sample);
}

/* What has entered at the other threads by now goes into the floor as well. */
static void ask_others(struct watched *w)
{
    const struct run *r = w->run;
    for (size_t i = 0; i < r->target_count; i++) {
        struct watched *other = r->targets[i];
        if (other != w && other->link == w->link && other->target && run_requests_followed(other))
            requests_ask_beat(other->follow);
    }
}

static void collected(void *arg, const cJSON *result, const struct err *why)
{
    struct watched *w = arg;
    struct run *r = w->run;
    struct err e = ERR_NONE;
    int64_t pause_us = clock_monotonic_us() - w->gc_asked_us;
    (void)result;
    if (why && (why->code == ERR_LOST || why->code == ERR_CANCELLED))
        return;
    if (why)
        run_say(r, w, true, "no collection: %s", why->text);
    else if (run_requests_followed(w)) {
        ask_others(w);
        requests_ask_floor(w->follow, w->gc_asked_us);
    } else if (w->target)
        (void)!sampler_read(target_sampler(w->target), GC_DEADLINE_US, got_floor, w, &e);
    schedule_collection(w, guard_rest_us(pause_us, r->options.max_pause_share));
}

void run_requests_collect(void *arg)
{
    struct watched *w = arg;
    struct run *r = w->run;
    struct err e = ERR_NONE;
    if (!w->target || r->stage > RUNNING)
        return;
    w->gc_asked_us = clock_monotonic_us();
    if (r->captured == w && r->capture && capture_disturbs(r->capture)) /* it collects, too */
        schedule_collection(w, 0);
    else if (cdp_call(target_session(w->target), PROTO_HEAP_PROFILER_COLLECT_GARBAGE, NULL,
                 GC_DEADLINE_US, collected, w, &e) != 0)
        run_say(r, w, true, "no collection: %s", e.text);
}

/* ---- for run.c ---- */

void run_requests_attach(struct watched *w)
{
    struct run *r = w->run;
    struct err e = ERR_NONE;
    enum target_kind kind = w->facts.identity.kind;
    bool scripted = kind == TARGET_NODE || kind == TARGET_WORKER || kind == TARGET_DENO;
    if (scripted)
        schedule_collection(w, 0);
    if (!r->options.requests)
        return;
    const char *problem = target_sampler_problem(w->target);
    if (!scripted || problem) {
        run_say(r, w, true, "its requests cannot be followed: %s",
            scripted ? problem : "no diagnostics channels here");
        return;
    }
    w->facts.requests.share = r->options.follow.sample;
    w->follow_over = false;
    if (requests_start(r->loop, target_session(w->target), &r->options.follow, &requests_handlers,
            w, &w->follow, &e) != 0)
        run_say(r, w, true, "its requests cannot be followed: %s", e.text);
}

void run_requests_leave(struct watched *w)
{
    if (!w->follow || !w->target)
        return;
    run_pairs_leave(w);
    requests_stop(w->follow);
}

int run_requests_set_aside(struct watched *w, struct err *e)
{
    if (!w->follow)
        return 0;
    if (!array_more(&w->spent, w->spent_count))
        return err_set(e, ERR_NOMEM, "out of memory");
    run_requests_leave(w);
    w->spent[w->spent_count++] = w->follow;
    w->follow = NULL;
    return 0;
}

static void free_spent(struct watched *w)
{
    for (size_t i = 0; i < w->spent_count; i++)
        requests_free(w->spent[i]);
    free(w->spent);
    w->spent = NULL;
    w->spent_count = 0;
}

void run_requests_gone(struct watched *w)
{
    if (run_requests_followed(w) && w->run->stage <= RUNNING)
        w->unfollowed_since_ms = clock_wall_ms();
    w->facts.requests.uncounted += w->facts.requests.rows - w->rows_at_beat;
    w->rows_at_beat = w->facts.requests.rows;
    free_spent(w);
    timer_stop(w->gc_timer);
    run_pairs_gone(w);
    requests_free(w->follow);
    w->follow = NULL;
    w->facts.requests.followed = false;
}

bool run_requests_followed(const struct watched *w)
{
    return w->follow && !w->follow_over;
}

void run_count_requests(
    struct run *r, size_t index, const char *method, const char *path, int64_t count)
{
    struct watched *w = r->targets[index];
    const struct request_route route = {.method = method, .path = path};
    size_t at = 0;
    if (!find_route(&w->facts.requests, &route, &at) && !add_route(w, &route, &at))
        return;
    w->route_base[at] += count;
    w->facts.requests.routes[at].requests += count;
}

void run_requests_free(struct watched *w)
{
    struct run_requests *q = &w->facts.requests;
    run_pairs_free(w);
    free_spent(w);
    requests_free(w->follow);
    for (size_t i = 0; i < q->route_count; i++) {
        free(q->routes[i].method);
        free(q->routes[i].path);
    }
    for (size_t i = 0; i < q->floor_count; i++)
        free_floor(&q->floors[i]);
    free(q->routes);
    free(q->floors);
    free(w->route_base);
}
