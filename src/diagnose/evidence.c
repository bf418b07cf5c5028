/* The record of a run, read for a diagnosis. */
#include "diagnose/evidence.h"

#include "base/array.h"
#include "base/clock.h"
#include "cdp/json.h"
#include "diagnose/stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MB 1048576.0

/* ---- values ---- */

static double number(struct reader_rows *rows, int column)
{
    struct reader_value v = reader_value(rows, column);
    return v.type == READER_INTEGER || v.type == READER_REAL ? v.real : NAN;
}

static double bytes_of_mb(struct reader_rows *rows, int column)
{
    return number(rows, column) * MB;
}

static int64_t integer(struct reader_rows *rows, int column)
{
    struct reader_value v = reader_value(rows, column);
    return v.type == READER_INTEGER ? v.integer : v.type == READER_REAL ? (int64_t)v.real : 0;
}

static int64_t wall_ms(struct reader_rows *rows, int column)
{
    struct reader_value v = reader_value(rows, column);
    return v.type == READER_TEXT ? clock_read_iso(v.text) : 0;
}

static bool is_text(struct reader_rows *rows, int column, const char *text)
{
    struct reader_value v = reader_value(rows, column);
    return v.type == READER_TEXT && strcmp(v.text, text) == 0;
}

/* "" for NULL. */
static char *text(struct reader_rows *rows, int column)
{
    struct reader_value v = reader_value(rows, column);
    return v.type == READER_TEXT ? diagnosis_text(v.text, v.length) : strdup("");
}

static uint32_t line(struct reader_rows *rows, int column)
{
    int64_t value = integer(rows, column);
    return value > 0 && value < UINT32_MAX ? (uint32_t)value : 0;
}

/* ---- lists ---- */

/* 0 or ERR_NOMEM. */
#define ADD(list, count, item, e)                                                                  \
    (array_more(&(list), (count)) ? ((list)[(count)++] = (item), 0)                                \
                                  : err_set((e), ERR_NOMEM, "out of memory"))

static struct evidence_target *find_target(struct evidence *r, int64_t id)
{
    for (size_t i = 0; i < r->target_count; i++)
        if (r->targets[i].id == id)
            return &r->targets[i];
    return NULL;
}

/* ---- one question each: called for every row ---- */

typedef int (*row_fn)(struct evidence *r, struct reader_rows *rows, struct err *e);

static int add_run(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    (void)e;
    r->open = is_text(rows, 0, "running");
    return 0;
}

static int add_target(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    char version[128];
    struct reader_value runtime = reader_value(rows, 5), runtime_version = reader_value(rows, 6);
    snprintf(version, sizeof version, "%.60s %.60s",
        runtime.type == READER_TEXT ? runtime.text : "",
        runtime_version.type == READER_TEXT ? runtime_version.text : "");
    struct evidence_target t = {.id = integer(rows, 0),
        .kind = text(rows, 1),
        .title = text(rows, 2),
        .pid = integer(rows, 3),
        .parent_id = integer(rows, 4),
        .version = diagnosis_text(version, strlen(version)),
        .heap_limit = number(rows, 8),
        .memory_limit = NAN,
        .gone = is_text(rows, 9, "gone"),
        .attached = is_text(rows, 9, "attached"),
        .url = text(rows, 10)};
    if (!t.kind || !t.title || !t.version || !t.url ||
        ADD(r->targets, r->target_count, t, e) != 0) {
        free(t.kind);
        free(t.title);
        free(t.version);
        free(t.url);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    r->watching |= r->open && t.attached;
    return 0;
}

static double beside_heap(const struct evidence_reading *r)
{
    return r->rss - r->heap_total - r->external;
}

/* The target does nothing else while a snapshot is taken: what its memory outside of the heap is
 * more by from the reading before to the one after was the snapshot's, and V8 and malloc keep most
 * of it. */
static double left_by_snapshots(
    const struct evidence_target *t, const struct evidence_reading *next)
{
    if (t->reading_count == 0)
        return 0;
    const struct evidence_reading *last = &t->readings[t->reading_count - 1];
    double left = beside_heap(next) - beside_heap(last);
    return last->snapshots_left + (last->before_snapshot ? fmax(left, 0) : 0); /* 0 for NAN, too */
}

static int add_reading(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    struct evidence_target *t = find_target(r, integer(rows, 0));
    struct evidence_reading reading = {.wall_ms = wall_ms(rows, 1),
        .after_gc = is_text(rows, 2, "after-gc") || is_text(rows, 2, "after-snapshot"),
        .heap = bytes_of_mb(rows, 3),
        .heap_total = bytes_of_mb(rows, 4),
        .external = bytes_of_mb(rows, 5),
        .rss = bytes_of_mb(rows, 6),
        .gc_count = number(rows, 7),
        .utilization = number(rows, 8),
        .before_snapshot = is_text(rows, 2, "before-snapshot")};
    if (!t || reading.wall_ms == 0)
        return 0;
    reading.snapshots_left = left_by_snapshots(t, &reading);
    double limit = bytes_of_mb(rows, 9);
    if (isfinite(limit) && limit > 0)
        t->heap_limit = limit;
    if (r->first_ms == 0 || reading.wall_ms < r->first_ms)
        r->first_ms = reading.wall_ms;
    if (reading.wall_ms > r->last_ms)
        r->last_ms = reading.wall_ms;
    return ADD(t->readings, t->reading_count, reading, e);
}

static int add_load(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    struct evidence_target *t = find_target(r, integer(rows, 0));
    struct evidence_load load = {wall_ms(rows, 1), number(rows, 2)};
    return t && isfinite(load.in_flight) ? ADD(t->load, t->load_count, load, e) : 0;
}

static int add_snapshot(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    struct evidence_target *t = find_target(r, integer(rows, 1));
    bool snapshot = is_text(rows, 3, "heapsnapshot"), timeline = is_text(rows, 3, "heaptimeline");
    if (!t || (!snapshot && !timeline))
        return 0;
    struct evidence_snapshot s = {.id = integer(rows, 0),
        .wall_ms = wall_ms(rows, 2),
        .timeline = timeline,
        .probed = is_text(rows, 8, "probe"),
        .file = text(rows, 4),
        .epoch = integer(rows, 5),
        .complete = is_text(rows, 6, "complete"),
        .state = text(rows, 6),
        .reason = text(rows, 7)};
    if (!s.file || !s.state || !s.reason || ADD(t->snapshots, t->snapshot_count, s, e) != 0) {
        free(s.file);
        free(s.state);
        free(s.reason);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    return 0;
}

static int add_site(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    struct evidence_target *t = find_target(r, integer(rows, 4));
    if (!t)
        return 0;
    struct evidence_site s = {.function = text(rows, 0),
        .url = text(rows, 1),
        .line = line(rows, 2),
        .column = line(rows, 3),
        .source = text(rows, 5),
        .first = number(rows, 6),
        .last = number(rows, 7),
        .per_hour = number(rows, 9),
        .low = number(rows, 10),
        .high = number(rows, 11),
        .readings = integer(rows, 12)};
    if (!s.function || !s.url || !s.source || ADD(t->sites, t->site_count, s, e) != 0) {
        free(s.function);
        free(s.url);
        free(s.source);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    return 0;
}

static bool is_same_site(const struct evidence_site *s, struct reader_rows *rows)
{
    struct reader_value url = reader_value(rows, 3);
    return s->line == line(rows, 4) && s->column == line(rows, 5) && is_text(rows, 1, s->source) &&
           is_text(rows, 2, s->function) &&
           strcmp(s->url, url.type == READER_TEXT ? url.text : "") == 0;
}

static int add_stack(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    struct evidence_target *t = find_target(r, integer(rows, 0));
    struct reader_value stack = reader_value(rows, 6);
    for (size_t i = 0; t && stack.type == READER_TEXT && i < t->site_count; i++)
        if (!t->sites[i].own && is_same_site(&t->sites[i], rows)) {
            t->sites[i].in_provider = stack_has_function(stack.text, stack.length, "Provider");
            return stack_own_place(stack.text, stack.length, &t->sites[i].own, e);
        }
    return 0;
}

static int add_analysed(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    struct evidence_target *t = find_target(r, integer(rows, 0));
    (void)e;
    if (t)
        t->analysed = integer(rows, 1);
    return 0;
}

static int add_class(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    struct evidence_target *t = find_target(r, integer(rows, 0));
    if (!t)
        return 0;
    struct evidence_class c = {.name = text(rows, 1),
        .key = text(rows, 2),
        .first_count = integer(rows, 3),
        .last_count = integer(rows, 4),
        .retained_growth = integer(rows, 8),
        .self_growth = integer(rows, 9),
        .late_share = NAN};
    if (!c.name || !c.key || ADD(t->classes, t->class_count, c, e) != 0) {
        free(c.name);
        free(c.key);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    return 0;
}

static struct evidence_class *find_class(struct evidence_target *t, const char *key)
{
    for (size_t i = 0; i < t->class_count; i++)
        if (strcmp(t->classes[i].key, key) == 0)
            return &t->classes[i];
    return NULL;
}

/* The rows of one class, which come together. */
struct counts {
    struct evidence_class *class; /* NULL: none yet */
    int64_t snapshots;            /* of its target */
    int64_t ordinal, count;       /* of the row before */
    int64_t middle;               /* count in the middle of the series */
    bool shrunk;
};

static void finish_counts(struct counts *c)
{
    struct evidence_class *class = c->class;
    if (class && c->snapshots >= 3 && !c->shrunk && class->last_count > class->first_count) {
        if (c->ordinal < c->snapshots / 2)
            c->middle = c->count;
        class->late_share = (double)(class->last_count - c->middle) /
                            (double)(class->last_count - class->first_count);
    }
    *c = (struct counts){0};
}

static void add_count(struct counts *c, int64_t ordinal, int64_t count)
{
    int64_t middle = c->snapshots / 2;
    if (c->ordinal < middle && ordinal > middle)
        c->middle = c->count;
    if (ordinal == middle)
        c->middle = count;
    c->shrunk |= count < c->count;
    c->ordinal = ordinal;
    c->count = count;
}

static int read_counts(
    struct evidence *r, struct reader *reader, const struct reader_filter *filter, struct err *e)
{
    struct reader_rows *rows = NULL;
    struct counts counts = {0};
    bool row = false;
    int rc = reader_ask(reader, "diagnose_classes", filter, &rows, e);
    while (rc == 0 && (rc = reader_next(rows, &row, e)) == 0 && row) {
        struct evidence_target *t = find_target(r, integer(rows, 0));
        struct reader_value key = reader_value(rows, 1);
        struct evidence_class *class =
            t && key.type == READER_TEXT ? find_class(t, key.text) : NULL;
        if (class != counts.class) {
            finish_counts(&counts);
            counts.class = class;
            counts.snapshots = t ? t->analysed : 0;
        }
        if (class)
            add_count(&counts, integer(rows, 2), integer(rows, 3));
    }
    finish_counts(&counts);
    reader_rows_free(rows);
    return rc;
}

/* {"limit":bytes}; the latest stands. */
static int add_limit(struct evidence *r, struct reader_rows *rows, struct err *e)
{
    struct evidence_target *t = find_target(r, integer(rows, 0));
    struct reader_value detail = reader_value(rows, 1);
    struct err ignored = ERR_NONE;
    cJSON *tree = NULL;
    (void)e;
    if (!t || detail.type != READER_TEXT ||
        json_parse(detail.text, detail.length, &tree, &ignored) != 0)
        return 0;
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(tree, "limit");
    if (cJSON_IsNumber(limit) && limit->valuedouble > 0)
        t->memory_limit = limit->valuedouble;
    cJSON_Delete(tree);
    return 0;
}

/* Takes over what floors_read would free. */
static int keep_floors(void *arg, struct floors *floors, struct err *e)
{
    struct evidence *r = arg;
    struct evidence_target *t = find_target(r, floors->target_id);
    if (!t || t->floors.count)
        return 0;
    size_t routes = floors->route_count;
    struct floors copy = *floors;
    copy.routes = calloc(routes + 1, sizeof *copy.routes);
    if (!copy.routes)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < routes; i++) {
        copy.routes[i] = floors->routes[i];
        floors->routes[i] = (struct floors_route){NULL, NULL, false};
    }
    t->floors = copy;
    floors->wall_ms = NULL;
    floors->bytes = NULL;
    floors->external = NULL;
    floors->native = NULL;
    floors->counts = NULL;
    floors->forced = NULL;
    floors->base = NULL;
    return 0;
}

static int level_floors(struct evidence_target *t, struct err *e)
{
    size_t count = 0;
    int64_t *taken = calloc(t->snapshot_count + 1, sizeof *taken);
    if (!taken)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < t->snapshot_count; i++)
        taken[count++] = t->snapshots[i].wall_ms;
    floors_level(&t->floors, taken, count);
    int rc = t->floors.count ? floors_shake(&t->floors, taken, count, e) : 0;
    free(taken);
    return rc;
}

/* ---- resident memory of several threads ---- */

/* What a thread accounts for in its process's resident memory. */
static double of_thread(const struct evidence_reading *r)
{
    double bytes = r->heap_total + r->external + r->snapshots_left;
    return isfinite(bytes) ? bytes : 0;
}

/* The reading that is nearest in time, sought from `at` on: for times that come in order. */
static size_t nearest(const struct evidence_target *t, size_t at, int64_t wall_ms)
{
    const struct evidence_reading *r = t->readings;
    while (at + 1 < t->reading_count &&
           llabs(r[at + 1].wall_ms - wall_ms) <= llabs(r[at].wall_ms - wall_ms))
        at++;
    return at;
}

/* To each reading of the main thread the one of the worker that is nearest in time; none after it
 * ended. */
static void add_thread(struct evidence_target *main_thread, const struct evidence_target *worker)
{
    size_t at = 0, count = worker->reading_count;
    int64_t last_ms = count ? worker->readings[count - 1].wall_ms : 0;
    for (size_t i = 0; i < main_thread->reading_count && count; i++) {
        struct evidence_reading *r = &main_thread->readings[i];
        at = nearest(worker, at, r->wall_ms);
        if (!worker->gone || r->wall_ms <= last_ms)
            r->of_threads += of_thread(&worker->readings[at]);
    }
}

/* Takes out of the floors' native memory what other threads and snapshots explain, as the reading
 * that is nearest in time has it. */
static void clean_native(struct evidence_target *t)
{
    struct floors *f = &t->floors;
    for (size_t i = 0, at = 0; i < f->count && t->reading_count; i++) {
        at = nearest(t, at, f->wall_ms[i]);
        f->native[i] -= t->readings[at].of_threads + t->readings[at].snapshots_left;
        if (t->shares_rss)
            f->native[i] = NAN;
    }
}

/* Resident memory is the process's: what grows in a worker is not the main thread's. */
static void share_rss(struct evidence *r)
{
    for (size_t i = 0; i < r->target_count; i++) {
        struct evidence_target *worker = &r->targets[i];
        struct evidence_target *main_thread =
            worker->parent_id ? find_target(r, worker->parent_id) : NULL;
        if (!main_thread || main_thread == worker)
            continue;
        worker->shares_rss = true;
        add_thread(main_thread, worker);
    }
}

/* ---- the whole ---- */

static const struct {
    const char *query;
    row_fn add;
    int64_t limit;
} questions[] = {
    {"diagnose_run", add_run, 1},
    {"diagnose_targets", add_target, EVIDENCE_TARGETS_MAX},
    {"diagnose_readings", add_reading, EVIDENCE_READINGS_MAX},
    {"diagnose_load", add_load, EVIDENCE_READINGS_MAX},
    {"diagnose_snapshots", add_snapshot, EVIDENCE_FILES_MAX},
    {"diagnose_limits", add_limit, EVIDENCE_TARGETS_MAX},
    {"diagnose_analysed", add_analysed, EVIDENCE_TARGETS_MAX},
    {"metrics_classes", add_class, EVIDENCE_CLASSES_MAX},
    {"metrics_sites", add_site, EVIDENCE_SITES_MAX},
    {"diagnose_stacks", add_stack, EVIDENCE_STACKS_MAX},
};

int evidence_read(struct reader *reader, const char *run_id, struct evidence **ret, struct err *e)
{
    struct reader_filter filter = {.run_id = run_id};
    struct evidence *r = calloc(1, sizeof *r);
    int rc = r ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        snprintf(r->run_id, sizeof r->run_id, "%s", run_id);
    for (size_t i = 0; i < sizeof questions / sizeof *questions && rc == 0; i++) {
        struct reader_rows *rows = NULL;
        bool row = false;
        filter.limit = questions[i].limit;
        rc = reader_ask(reader, questions[i].query, &filter, &rows, e);
        while (rc == 0 && (rc = reader_next(rows, &row, e)) == 0 && row)
            rc = questions[i].add(r, rows, e);
        reader_rows_free(rows);
    }
    filter.limit = EVIDENCE_COUNTS_MAX;
    if (rc == 0)
        rc = read_counts(r, reader, &filter, e);
    if (rc == 0)
        rc = floors_read(reader, &filter, keep_floors, r, e);
    if (rc == 0)
        share_rss(r);
    for (size_t i = 0; rc == 0 && i < r->target_count; i++) {
        clean_native(&r->targets[i]);
        rc = level_floors(&r->targets[i], e);
    }
    if (rc == 0)
        *ret = r;
    else
        evidence_free(r);
    return rc;
}

static void free_target(struct evidence_target *t)
{
    for (size_t i = 0; i < t->snapshot_count; i++) {
        free(t->snapshots[i].file);
        free(t->snapshots[i].state);
        free(t->snapshots[i].reason);
    }
    for (size_t i = 0; i < t->site_count; i++) {
        free(t->sites[i].function);
        free(t->sites[i].url);
        free(t->sites[i].source);
        diagnosis_place_free(t->sites[i].own);
    }
    for (size_t i = 0; i < t->class_count; i++) {
        free(t->classes[i].name);
        free(t->classes[i].key);
    }
    for (size_t i = 0; i < t->floors.route_count; i++) {
        free(t->floors.routes[i].method);
        free(t->floors.routes[i].path);
    }
    free(t->floors.routes);
    free(t->floors.wall_ms);
    free(t->floors.bytes);
    free(t->floors.external);
    free(t->floors.native);
    free(t->floors.shaken);
    free(t->floors.counts);
    free(t->floors.forced);
    free(t->floors.base);
    free(t->kind);
    free(t->title);
    free(t->version);
    free(t->url);
    free(t->readings);
    free(t->load);
    free(t->snapshots);
    free(t->sites);
    free(t->classes);
}

void evidence_free(struct evidence *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->target_count; i++)
        free_target(&r->targets[i]);
    free(r->targets);
    free(r);
}
