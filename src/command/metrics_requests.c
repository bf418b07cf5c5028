/* Floors of the record, judged: what a request of each route keeps. */
#include "command/metrics_requests.h"

#include "base/array.h"
#include "command/told_routes.h"
#include "diagnose/floors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept_route {
    char *method, *path; /* owned */
    struct routes_estimate estimate;
    double requests; /* that entered there by the latest floor */
    bool shown;
};

struct kept_routes {
    struct kept_route *routes; /* owned, of all targets */
    size_t count;
    size_t floors;
    char note[256];
};

/* Judges the floors of one target and keeps its routes. */
static int judge_target(void *arg, struct floors *floors, struct err *e)
{
    struct kept_routes *kept = arg;
    const double *counts = &floors->counts[(floors->count - 1) * floors->route_count];
    struct routes_estimate estimates[FLOORS_ROUTES_MAX];
    struct routes_summary summary;
    int rc = floors_judge(floors, FLOORS_HEAP, estimates, &summary, NULL, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < floors->route_count; i++) {
        struct floors_route *route = &floors->routes[i];
        if (!array_more(&kept->routes, kept->count))
            return err_set(e, ERR_NOMEM, "out of memory");
        kept->routes[kept->count++] = (struct kept_route){.method = route->method,
            .path = route->path,
            .estimate = estimates[i],
            .requests = route->elsewhere ? 0 : counts[i]};
        route->method = route->path = NULL; /* they are kept's now */
    }
    kept->floors += summary.floors_used;
    return 0;
}

int kept_routes_read(struct reader *reader, const struct reader_filter *filter,
    struct kept_routes **ret, struct err *e)
{
    struct kept_routes *kept = calloc(1, sizeof *kept);
    int rc = kept ? floors_read(reader, filter, judge_target, kept, e)
                  : err_set(e, ERR_NOMEM, "out of memory");
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

/* Marks all targets' figures of the route as shown; returns its requests. */
static double mark_shown(struct kept_routes *kept, const char *method, const char *route)
{
    double requests = 0;
    for (size_t i = 0; i < kept->count; i++) {
        struct kept_route *r = &kept->routes[i];
        if (strcmp(r->path, route) != 0 || strcmp(r->method, method) != 0)
            continue;
        r->shown = true;
        requests += r->requests;
    }
    return requests;
}

void kept_routes_cells(struct kept_routes *kept, const char *method, const char *route,
    int64_t recorded, struct show_table *table)
{
    const struct routes_estimate *r = find_most(kept, method, route);
    int64_t counted = llround(mark_shown(kept, method, route));
    show_add_integer(table, counted > recorded ? counted : recorded);
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
    show_add_word(table, told_route_word(r));
}

void kept_routes_rest(
    struct kept_routes *kept, const char *route, size_t columns, struct show_table *table)
{
    for (size_t i = 0; i < kept->count; i++) {
        const struct kept_route *r = &kept->routes[i];
        if (r->shown || r->requests <= 0 || (route && strcmp(route, r->path) != 0))
            continue;
        show_add_word(table, r->method);
        show_add_word(table, r->path);
        show_add_integer(table, 0);
        for (size_t cell = 3; cell < columns - KEPT_ROUTES_CELLS; cell++)
            show_add_none(table);
        kept_routes_cells(kept, r->method, r->path, 0, table);
    }
}

const char *kept_routes_note(const struct kept_routes *kept)
{
    return kept->note;
}
