/* Floors out of the record's events, target by target. */
#include "diagnose/floors.h"

#include "base/clock.h"
#include "cdp/json.h"
#include "diagnose/probed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct series { /* the floors of one target, newest first as they are read */
    char run_id[UUID_TEXT_SIZE];
    int64_t target_id;
    struct floors_route *routes;
    size_t route_count, floor_count;
    int64_t *wall_ms;
    double *bytes, *external, *native; /* FLOORS_MAX */
    double *counts;                    /* FLOORS_MAX × FLOORS_ROUTES_MAX */
    bool *forced, *base;               /* FLOORS_MAX */
    bool probed;
};

/* ---- one floor ---- */

static size_t route_index(struct series *s, const char *method, const char *path, bool elsewhere)
{
    for (size_t i = 0; i < s->route_count; i++)
        if (s->routes[i].elsewhere == elsewhere && strcmp(s->routes[i].path, path) == 0 &&
            strcmp(s->routes[i].method, method) == 0)
            return i;
    if (s->route_count == FLOORS_ROUTES_MAX)
        return FLOORS_ROUTES_MAX;
    struct floors_route *added = &s->routes[s->route_count];
    *added = (struct floors_route){strdup(method), strdup(path), elsewhere};
    if (!added->method || !added->path) {
        free(added->method);
        free(added->path);
        return FLOORS_ROUTES_MAX;
    }
    return s->route_count++;
}

#define SIZE_LIMIT 9007199254740992.0 /* 2^53 */

static bool is_size(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= SIZE_LIMIT;
}

static void add_counts(struct series *s, size_t row, const cJSON *routes, bool elsewhere)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, routes)
    {
        const char *method = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));
        const char *path = cJSON_GetStringValue(cJSON_GetArrayItem(item, 1));
        const cJSON *count = cJSON_GetArrayItem(item, 2);
        size_t i = method && path && is_size(count) ? route_index(s, method, path, elsewhere)
                                                    : FLOORS_ROUTES_MAX;
        if (i < FLOORS_ROUTES_MAX)
            s->counts[row * FLOORS_ROUTES_MAX + i] = count->valuedouble;
    }
}

/* NAN where one of the three is not known. */
static double native_of(const cJSON *tree, double external)
{
    const cJSON *rss = cJSON_GetObjectItemCaseSensitive(tree, "rss");
    const cJSON *total = cJSON_GetObjectItemCaseSensitive(tree, "heap_total");
    return is_size(rss) && is_size(total) ? rss->valuedouble - total->valuedouble - external : NAN;
}

/* What is no floor is left out: the record may come from another hand. */
static void add_floor(struct series *s, const char *detail, size_t length, int64_t wall_ms)
{
    cJSON *tree = NULL;
    struct err ignored = ERR_NONE;
    if (s->floor_count == FLOORS_MAX || json_parse(detail, length, &tree, &ignored) != 0)
        return;
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(tree, "floor");
    const cJSON *external = cJSON_GetObjectItemCaseSensitive(tree, "external");
    const cJSON *routes = cJSON_GetObjectItemCaseSensitive(tree, "routes");
    if (is_size(bytes) && cJSON_IsArray(routes)) {
        size_t row = s->floor_count++;
        s->bytes[row] = bytes->valuedouble;
        s->wall_ms[row] = wall_ms;
        s->forced[row] = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "forced"));
        const char *probe = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "probe"));
        s->base[row] = probe && strcmp(probe, "base") == 0;
        s->probed = s->probed || probe;
        s->external[row] = is_size(external) ? external->valuedouble : NAN;
        s->native[row] = native_of(tree, s->external[row]);
        add_counts(s, row, routes, false);
        add_counts(s, row, cJSON_GetObjectItemCaseSensitive(tree, "others"), true);
    }
    cJSON_Delete(tree);
}

/* ---- one target ---- */

static int new_series(struct series *s, struct err *e)
{
    *s = (struct series){.routes = calloc(FLOORS_ROUTES_MAX, sizeof *s->routes),
        .wall_ms = calloc(FLOORS_MAX, sizeof *s->wall_ms),
        .bytes = calloc(FLOORS_MAX, sizeof *s->bytes),
        .external = calloc(FLOORS_MAX, sizeof *s->external),
        .native = calloc(FLOORS_MAX, sizeof *s->native),
        .counts = calloc((size_t)FLOORS_MAX * FLOORS_ROUTES_MAX, sizeof *s->counts),
        .forced = calloc(FLOORS_MAX, sizeof *s->forced),
        .base = calloc(FLOORS_MAX, sizeof *s->base)};
    return s->routes && s->wall_ms && s->bytes && s->external && s->native && s->counts &&
                   s->forced && s->base
               ? 0
               : err_set(e, ERR_NOMEM, "out of memory");
}

static void clear_series(struct series *s)
{
    for (size_t i = 0; i < s->route_count; i++) {
        free(s->routes[i].method);
        free(s->routes[i].path);
    }
    memset(s->counts, 0, s->floor_count * FLOORS_ROUTES_MAX * sizeof *s->counts);
    s->route_count = s->floor_count = 0;
    s->probed = false;
}

static void free_series(struct series *s)
{
    if (s->counts)
        clear_series(s);
    free(s->routes);
    free(s->wall_ms);
    free(s->bytes);
    free(s->external);
    free(s->native);
    free(s->counts);
    free(s->forced);
    free(s->base);
}

/* Hands the series over oldest first, without gaps between the routes, and empties it for the next
 * target. */
static int finish_series(struct series *s, floors_fn each, void *arg, struct err *e)
{
    size_t count = s->floor_count, routes = s->route_count;
    struct floors f = {.target_id = s->target_id,
        .count = count,
        .route_count = routes,
        .routes = s->routes,
        .probed = s->probed};
    if (count == 0)
        return 0;
    memcpy(f.run_id, s->run_id, sizeof f.run_id);
    f.wall_ms = calloc(count, sizeof *f.wall_ms);
    f.bytes = calloc(count, sizeof *f.bytes);
    f.external = calloc(count, sizeof *f.external);
    f.native = calloc(count, sizeof *f.native);
    f.counts = calloc(count * routes + 1, sizeof *f.counts);
    f.forced = calloc(count, sizeof *f.forced);
    f.base = calloc(count, sizeof *f.base);
    int rc = f.wall_ms && f.bytes && f.external && f.native && f.counts && f.forced && f.base
                 ? 0
                 : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        size_t row = count - 1 - i;
        f.wall_ms[i] = s->wall_ms[row];
        f.bytes[i] = s->bytes[row];
        f.external[i] = s->external[row];
        f.native[i] = s->native[row];
        f.forced[i] = s->forced[row];
        f.base[i] = s->base[row];
        memcpy(
            &f.counts[i * routes], &s->counts[row * FLOORS_ROUTES_MAX], routes * sizeof *f.counts);
    }
    if (rc == 0)
        rc = each(arg, &f, e);
    free(f.wall_ms);
    free(f.bytes);
    free(f.external);
    free(f.native);
    free(f.counts);
    free(f.forced);
    free(f.base);
    clear_series(s);
    return rc;
}

static int read_rows(
    struct reader_rows *rows, struct series *s, floors_fn each, void *arg, struct err *e)
{
    bool row = false;
    int rc = 0;
    while (rc == 0 && (rc = reader_next(rows, &row, e)) == 0 && row) {
        struct reader_value run = reader_value(rows, 0);
        if (run.type != READER_TEXT || run.length >= UUID_TEXT_SIZE)
            continue;
        int64_t target_id = reader_value(rows, 1).integer;
        bool same = strcmp(s->run_id, run.text) == 0 && s->target_id == target_id;
        char run_id[UUID_TEXT_SIZE];
        memcpy(run_id, run.text, run.length + 1);
        if (!same)
            rc = finish_series(s, each, arg, e);
        memcpy(s->run_id, run_id, sizeof run_id);
        s->target_id = target_id;
        struct reader_value at = reader_value(rows, 3);
        int64_t wall_ms = at.type == READER_TEXT ? clock_read_iso(at.text) : 0;
        struct reader_value detail = reader_value(rows, 2);
        if (rc == 0 && detail.type == READER_TEXT)
            add_floor(s, detail.text, detail.length, wall_ms);
    }
    return rc ? rc : finish_series(s, each, arg, e);
}

int floors_read(struct reader *reader, const struct reader_filter *filter, floors_fn each,
    void *arg, struct err *e)
{
    struct reader_filter all = *filter;
    struct reader_rows *rows = NULL;
    struct series series = {0};
    int rc = new_series(&series, e);
    all.limit = FLOORS_MAX;
    if (rc == 0)
        rc = reader_ask(reader, "metrics_floors", &all, &rows, e);
    if (rc == 0)
        rc = read_rows(rows, &series, each, arg, e);
    reader_rows_free(rows);
    free_series(&series);
    return rc;
}

/* ---- what snapshots leave behind ---- */

/* Whether requests have ended between a floor and the next one. */
static bool served(const struct floors *f, size_t at)
{
    return memcmp(&f->counts[at * f->route_count], &f->counts[(at + 1) * f->route_count],
               f->route_count * sizeof *f->counts) != 0;
}

static bool has_between(const int64_t *times, size_t count, int64_t from, int64_t to)
{
    for (size_t i = 0; i < count; i++)
        if (times[i] > from && times[i] <= to)
            return true;
    return false;
}

/* Adds by how much each series rose from a floor to the next one to all floors up to there. What
 * fell meanwhile is no doing of a snapshot's. */
static void raise_to_next(struct floors *f, size_t at)
{
    double heap = fmax(f->bytes[at + 1] - f->bytes[at], 0);
    double external = fmax(f->external[at + 1] - f->external[at], 0); /* 0 for NAN, too */
    double native = f->native ? fmax(f->native[at + 1] - f->native[at], 0) : 0;
    for (size_t i = 0; i <= at; i++) {
        f->bytes[i] += heap;
        f->external[i] += external;
        if (f->native)
            f->native[i] += native;
    }
}

void floors_level(struct floors *f, const int64_t *taken_ms, size_t count)
{
    for (size_t i = 0; i + 1 < f->count; i++) {
        bool busy = (i > 0 && served(f, i - 1)) || (i + 2 < f->count && served(f, i + 1));
        if (busy && !served(f, i) && has_between(taken_ms, count, f->wall_ms[i], f->wall_ms[i + 1]))
            raise_to_next(f, i);
    }
}

int floors_shake(struct floors *f, const int64_t *taken_ms, size_t count, struct err *e)
{
    bool *shaken = calloc(f->count + 1, sizeof *shaken), before = false;
    if (!shaken)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 1; i < f->count; i++) {
        bool taken = has_between(taken_ms, count, f->wall_ms[i - 1], f->wall_ms[i]);
        shaken[i] = taken || before;
        before = taken;
    }
    free(f->shaken);
    f->shaken = shaken;
    return 0;
}

/* ---- routes ---- */

/* What is judged, floor by floor: counts of the routes, then of a probe the time. */
struct kept {
    double *bytes, *counts;
    bool *forced;
    size_t count, columns, last; /* last: the floor that was looked at before; none: count is 0 */
};

/* Of the kind that is wanted the counts, of the other none. */
static double count_of(const struct floors *f, size_t row, size_t column, bool elsewhere)
{
    if (column == f->route_count)
        return (double)f->wall_ms[row] / PROBED_TICK_MS;
    bool wanted = f->routes[column].elsewhere == elsewhere;
    return wanted ? f->counts[row * f->route_count + column] : 0;
}

static void keep_floor(
    struct kept *k, const struct floors *f, const double *values, size_t row, bool elsewhere)
{
    double *counts = &k->counts[k->count * k->columns];
    bool first = k->count == 0;
    k->bytes[k->count] = values[row] + (first ? 0 : k->bytes[k->count - 1] - values[k->last]);
    k->forced[k->count] = f->forced && f->forced[row];
    for (size_t j = 0; j < k->columns; j++)
        counts[j] = count_of(f, row, j, elsewhere) +
                    (first ? 0 : counts[j - k->columns] - count_of(f, k->last, j, elsewhere));
    k->count++;
}

/* Floors where the memory is not known are left out. */
static void keep_floors(
    const struct floors *f, enum floors_memory memory, bool elsewhere, bool probed, struct kept *k)
{
    const double *values = memory == FLOORS_HEAP       ? f->bytes
                           : memory == FLOORS_EXTERNAL ? f->external
                                                       : f->native;
    const bool *skip = memory == FLOORS_NATIVE ? f->shaken : probed ? f->base : NULL;
    for (size_t i = 0; values && i < f->count; i++)
        if (!isnan(values[i])) {
            /* What has grown and was asked for since then is as if it had not been. */
            bool skipped = skip && skip[i] && k->count > 0;
            if (!skipped)
                keep_floor(k, f, values, i, elsewhere);
            k->last = i;
        }
}

static int judge_kind(const struct floors *f, enum floors_memory memory, bool elsewhere,
    struct routes_estimate *ret_estimates, struct routes_summary *ret,
    struct floors_beside *ret_beside, struct err *e)
{
    /* A pool's worker has too small a part of each route for a column more. */
    bool probed = f->probed && memory == FLOORS_HEAP && !elsewhere;
    size_t columns = f->route_count + probed;
    struct kept k = {.bytes = calloc(f->count + 1, sizeof *k.bytes),
        .counts = calloc(f->count * columns + 1, sizeof *k.counts),
        .forced = calloc(f->count + 1, sizeof *k.forced),
        .columns = columns};
    struct routes_estimate *estimates = calloc(columns + 1, sizeof *estimates);
    int rc =
        k.bytes && k.counts && k.forced && estimates ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    struct routes_input in = {
        0, columns, k.bytes, k.counts, f->forced && !probed ? k.forced : NULL};
    *ret_beside = (struct floors_beside){
        .elsewhere = elsewhere, .time = {.bytes = NAN, .low = NAN, .high = NAN, .together = -1}};
    if (rc == 0) {
        keep_floors(f, memory, elsewhere, probed, &k);
        in.floor_count = k.count;
        rc = probed ? probed_estimate(&in, estimates, ret, &ret_beside->left_out, e)
                    : routes_estimate(&in, estimates, ret, e);
    }
    if (rc == 0 && f->route_count)
        memcpy(ret_estimates, estimates, f->route_count * sizeof *estimates);
    if (rc == 0 && probed)
        ret_beside->time = estimates[f->route_count];
    free(k.bytes);
    free(k.counts);
    free(k.forced);
    free(estimates);
    return rc;
}

static bool had_requests(const struct floors *f, bool elsewhere)
{
    for (size_t j = 0; j < f->route_count && f->count; j++)
        if (f->routes[j].elsewhere == elsewhere &&
            f->counts[(f->count - 1) * f->route_count + j] > 0)
            return true;
    return false;
}

int floors_judge(const struct floors *floors, enum floors_memory memory,
    struct routes_estimate *ret_estimates, struct routes_summary *ret,
    struct floors_beside *ret_beside, struct err *e)
{
    bool here = had_requests(floors, false), elsewhere = had_requests(floors, true);
    struct floors_beside beside, of_others;
    int rc = judge_kind(floors, memory, elsewhere && !here, ret_estimates, ret, &beside, e);
    if (ret_beside && rc == 0)
        *ret_beside = beside;
    if (rc || !elsewhere || !here || ret->verdict != ROUTES_UNEXPLAINED)
        return rc;
    struct routes_summary other;
    struct routes_estimate *estimates = calloc(floors->route_count, sizeof *estimates);
    rc = estimates ? judge_kind(floors, memory, true, estimates, &other, &of_others, e)
                   : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0 && (other.verdict == ROUTES_NAMED || other.verdict == ROUTES_TOGETHER)) {
        memcpy(ret_estimates, estimates, floors->route_count * sizeof *estimates);
        *ret = other;
        if (ret_beside)
            *ret_beside = of_others;
    }
    free(estimates);
    return rc;
}
