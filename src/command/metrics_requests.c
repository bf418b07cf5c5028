/* Floors of the record, judged: what a request of each route keeps. */
#include "command/metrics_requests.h"

#include "cdp/json.h"
#include "diagnose/routes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOORS_MAX 2000 /* of one answer; the newest ones of a target decide */
#define ROUTES_MAX 512  /* of one target; a run knows at most 402 */

struct kept_route {
    char *method, *path; /* owned */
    struct routes_estimate estimate;
};

struct kept_routes {
    struct kept_route *routes; /* owned, of all targets */
    size_t count;
    size_t floors, targets;
    char note[256];
};

struct series { /* the floors of one target, newest first as they are read */
    char run_id[UUID_TEXT_SIZE];
    int64_t target_id;
    struct kept_route *routes;
    size_t route_count, floor_count;
    double *bytes, *counts; /* FLOORS_MAX, FLOORS_MAX × ROUTES_MAX */
};

/* ---- one floor ---- */

static size_t route_index(struct series *s, const char *method, const char *path)
{
    for (size_t i = 0; i < s->route_count; i++)
        if (strcmp(s->routes[i].path, path) == 0 && strcmp(s->routes[i].method, method) == 0)
            return i;
    if (s->route_count == ROUTES_MAX)
        return ROUTES_MAX;
    struct kept_route *added = &s->routes[s->route_count];
    *added = (struct kept_route){.method = strdup(method), .path = strdup(path)};
    if (!added->method || !added->path) {
        free(added->method);
        free(added->path);
        return ROUTES_MAX;
    }
    return s->route_count++;
}

#define SIZE_LIMIT 9007199254740992.0 /* 2^53 */

static bool is_size(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= SIZE_LIMIT;
}

/* What is no floor is left out: the record may come from another hand. */
static void add_floor(struct series *s, const char *detail, size_t length)
{
    cJSON *tree = NULL;
    struct err ignored = ERR_NONE;
    const cJSON *item;
    if (s->floor_count == FLOORS_MAX || json_parse(detail, length, &tree, &ignored) != 0)
        return;
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(tree, "floor");
    const cJSON *routes = cJSON_GetObjectItemCaseSensitive(tree, "routes");
    if (is_size(bytes) && cJSON_IsArray(routes)) {
        size_t row = s->floor_count++;
        s->bytes[row] = bytes->valuedouble;
        cJSON_ArrayForEach(item, routes)
        {
            const char *method = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));
            const char *path = cJSON_GetStringValue(cJSON_GetArrayItem(item, 1));
            const cJSON *count = cJSON_GetArrayItem(item, 2);
            size_t i = method && path && is_size(count) ? route_index(s, method, path) : ROUTES_MAX;
            if (i < ROUTES_MAX)
                s->counts[row * ROUTES_MAX + i] = count->valuedouble;
        }
    }
    cJSON_Delete(tree);
}

/* ---- one target ---- */

static int new_series(struct series *s, struct err *e)
{
    *s = (struct series){.routes = calloc(ROUTES_MAX, sizeof *s->routes),
        .bytes = calloc(FLOORS_MAX, sizeof *s->bytes),
        .counts = calloc((size_t)FLOORS_MAX * ROUTES_MAX, sizeof *s->counts)};
    return s->routes && s->bytes && s->counts ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static void clear_series(struct series *s)
{
    for (size_t i = 0; i < s->route_count; i++) {
        free(s->routes[i].method);
        free(s->routes[i].path);
    }
    memset(s->counts, 0, s->floor_count * ROUTES_MAX * sizeof *s->counts);
    s->route_count = s->floor_count = 0;
}

static void free_series(struct series *s)
{
    if (s->counts)
        clear_series(s);
    free(s->routes);
    free(s->bytes);
    free(s->counts);
}

/* Oldest first, without gaps between the routes. */
static int judge_series(const struct series *s, struct routes_estimate *estimates,
    struct routes_summary *summary, struct err *e)
{
    size_t floors = s->floor_count, routes = s->route_count;
    double *bytes = calloc(floors + 1, sizeof *bytes);
    double *counts = calloc(floors * routes + 1, sizeof *counts);
    int rc = bytes && counts ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < floors; i++) {
        bytes[i] = s->bytes[floors - 1 - i];
        memcpy(&counts[i * routes], &s->counts[(floors - 1 - i) * ROUTES_MAX],
            routes * sizeof *counts);
    }
    struct routes_input in = {floors, routes, bytes, counts};
    if (rc == 0)
        rc = routes_estimate(&in, estimates, summary, e);
    free(bytes);
    free(counts);
    return rc;
}

/* Judges the series, moves its routes to kept and empties it for the next target. */
static int finish_series(struct kept_routes *kept, struct series *s, struct err *e)
{
    struct routes_estimate estimates[ROUTES_MAX];
    struct routes_summary summary;
    if (s->floor_count == 0)
        return 0;
    int rc = judge_series(s, estimates, &summary, e);
    if (rc)
        return rc;
    struct kept_route *grown =
        realloc(kept->routes, (kept->count + s->route_count + 1) * sizeof *grown);
    if (!grown)
        return err_set(e, ERR_NOMEM, "out of memory");
    kept->routes = grown;
    for (size_t i = 0; i < s->route_count; i++) {
        grown[kept->count] = s->routes[i];
        grown[kept->count++].estimate = estimates[i];
    }
    kept->floors += s->floor_count;
    kept->targets++;
    s->route_count = 0; /* they are kept's now */
    clear_series(s);
    return 0;
}

/* ---- all of them ---- */

static int read_rows(
    struct reader_rows *rows, struct kept_routes *kept, struct series *s, struct err *e)
{
    bool row = false;
    int rc = 0;
    while (rc == 0 && (rc = reader_next(rows, &row, e)) == 0 && row) {
        struct reader_value run = reader_value(rows, 0), target = reader_value(rows, 1);
        if (run.type != READER_TEXT || run.length >= UUID_TEXT_SIZE)
            continue;
        if (strcmp(s->run_id, run.text) != 0 || s->target_id != target.integer)
            rc = finish_series(kept, s, e);
        memcpy(s->run_id, run.text, run.length + 1);
        s->target_id = target.integer;
        struct reader_value detail = reader_value(rows, 2);
        if (rc == 0 && detail.type == READER_TEXT)
            add_floor(s, detail.text, detail.length);
    }
    return rc ? rc : finish_series(kept, s, e);
}

int kept_routes_read(struct reader *reader, const struct reader_filter *filter,
    struct kept_routes **ret, struct err *e)
{
    struct reader_filter all = *filter;
    struct reader_rows *rows = NULL;
    struct series series = {0};
    struct kept_routes *kept = calloc(1, sizeof *kept);
    int rc = kept ? new_series(&series, e) : err_set(e, ERR_NOMEM, "out of memory");
    all.limit = FLOORS_MAX;
    if (rc == 0)
        rc = reader_ask(reader, "metrics_floors", &all, &rows, e);
    if (rc == 0)
        rc = read_rows(rows, kept, &series, e);
    reader_rows_free(rows);
    free_series(&series);
    if (rc) {
        kept_routes_free(kept);
        return rc;
    }
    if (kept->floors)
        snprintf(kept->note, sizeof kept->note,
            "Kept: by the heap's floor after %zu full collections, regressed on requests by route, "
            "99 %% interval.\n",
            kept->floors);
    *ret = kept;
    return 0;
}

void kept_routes_free(struct kept_routes *kept)
{
    if (!kept)
        return;
    for (size_t i = 0; i < kept->count; i++) {
        free(kept->routes[i].method);
        free(kept->routes[i].path);
    }
    free(kept->routes);
    free(kept);
}

static const struct routes_estimate *find_most(
    const struct kept_routes *kept, const char *method, const char *route)
{
    const struct routes_estimate *most = NULL;
    for (size_t i = 0; i < kept->count; i++) {
        const struct kept_route *r = &kept->routes[i];
        if (isnan(r->estimate.bytes) || strcmp(r->path, route) != 0 ||
            strcmp(r->method, method) != 0)
            continue;
        if (!most || r->estimate.bytes * r->estimate.requests > most->bytes * most->requests)
            most = &r->estimate;
    }
    return most;
}

void kept_routes_cells(
    const struct kept_routes *kept, const char *method, const char *route, struct show_table *table)
{
    const struct routes_estimate *r = find_most(kept, method, route);
    if (!r) {
        show_add_none(table);
        show_add_none(table);
        show_add_none(table);
        show_add_word(table, "unknown");
        return;
    }
    show_add_integer(table, llround(r->bytes));
    show_add_integer(table, llround(r->low));
    show_add_integer(table, llround(r->high));
    show_add_word(table, r->together >= 0 ? "cannot be told apart" : r->leaks ? "leaks" : "no");
}

const char *kept_routes_note(const struct kept_routes *kept)
{
    return kept->note;
}
