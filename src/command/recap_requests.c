/* What the requests of each route keep: floors and counts of a run, judged and told. */
#include "command/recap_requests.h"

#include "base/log.h"
#include "base/text.h"
#include "command/told_routes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 10 /* routes in a text; JSON and the database have them all */

struct judged {
    const struct run_requests *requests; /* borrowed */
    struct routes_estimate *estimates;   /* owned; as many as routes */
    struct routes_summary summary;
};

/* The same figures as one matrix: routes that came later had no requests before. */
static int judge(const struct run_requests *q, struct judged *ret, struct err *e)
{
    size_t floors = q->floor_count, routes = q->route_count;
    struct judged j = {.requests = q, .estimates = calloc(routes + 1, sizeof *j.estimates)};
    double *bytes = calloc(floors + 1, sizeof *bytes);
    double *counts = calloc(floors * routes + 1, sizeof *counts);
    bool *forced = calloc(floors + 1, sizeof *forced);
    struct routes_input in = {floors, routes, bytes, counts, forced};
    int rc = j.estimates && bytes && counts && forced ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < floors; i++) {
        bytes[i] = q->floors[i].bytes;
        forced[i] = q->floors[i].forced;
        for (size_t k = 0; k < q->floors[i].route_count; k++)
            counts[i * routes + k] = (double)q->floors[i].counts[k];
    }
    if (rc == 0)
        rc = routes_estimate(&in, j.estimates, &j.summary, e);
    free(bytes);
    free(counts);
    free(forced);
    if (rc)
        free(j.estimates);
    else
        *ret = j;
    return rc;
}

static int64_t requests_of(const struct run_requests *q)
{
    int64_t sum = 0;
    for (size_t i = 0; i < q->route_count; i++)
        sum += q->routes[i].requests;
    return sum;
}

/* Those that had requests, in order. Owned by the caller; NULL when memory is out. */
static struct told_route *told(const struct judged *j, size_t *ret_count)
{
    const struct run_requests *q = j->requests;
    struct told_route *routes = calloc(q->route_count + 1, sizeof *routes);
    size_t count = 0;
    for (size_t i = 0; routes && i < q->route_count; i++)
        if (q->routes[i].requests)
            routes[count++] = (struct told_route){q->routes[i].method, q->routes[i].path,
                (double)q->routes[i].requests, j->estimates[i].bytes, &j->estimates[i]};
    if (routes)
        told_routes_sort(routes, count);
    *ret_count = count;
    return routes;
}

/* ---- JSON ---- */

void recap_requests_json(cJSON *target, const struct run_requests *q, int *rc)
{
    struct judged j;
    struct err e = ERR_NONE;
    if (q->route_count == 0 && q->rows == 0)
        return;
    if (judge(q, &j, &e) != 0) {
        log_warn("%s", e.text);
        return;
    }
    cJSON *o = show_json_object(target, "requests", rc);
    show_json_integer(o, "requests", requests_of(q), rc);
    show_json_integer(o, "recorded", q->rows, rc);
    show_json_integer(o, "uncounted", q->uncounted, rc);
    show_json_number(o, "unfollowed_seconds", (double)q->unfollowed_ms / 1000, rc);
    show_json_integer(o, "aborted", q->aborted, rc);
    show_json_integer(o, "lost", q->lost, rc);
    show_json_integer(o, "snapshot_pairs", q->pairs, rc);
    show_json_integer(o, "passed", q->passed, rc);
    show_json_number(o, "share", q->share, rc);
    show_json_number(o, "overhead_max", q->overhead_max, rc);
    show_json_integer(o, "held_max_bytes", q->held_max, rc);
    show_json_integer(o, "floors", (int64_t)q->floor_count, rc);
    show_json_integer(o, "floors_used", (int64_t)j.summary.floors_used, rc);
    show_json_word(o, "verdict", routes_verdict_name(j.summary.verdict), rc);
    show_json_number(o, "growth_bytes", j.summary.growth, rc);
    show_json_number(o, "growth_low", j.summary.growth_low, rc);
    show_json_number(o, "growth_high", j.summary.growth_high, rc);
    size_t count = 0;
    struct told_route *routes = told(&j, &count);
    told_routes_json(o, routes, count, rc);
    free(routes);
    free(j.estimates);
}

/* ---- text ---- */

static void print_route(const struct show_out *out, const struct told_route *route)
{
    const struct routes_estimate *r = route->estimate;
    struct err e = ERR_NONE;
    char count[TEXT_SHORT], bytes[TEXT_SHORT], low[TEXT_SHORT], high[TEXT_SHORT];
    char *name = told_route_name(route->method, route->path);
    fprintf(out->file, "      ");
    if (name)
        (void)!show_text(out, name, strlen(name), &e);
    fprintf(out->file, ": %s request%s", text_count(count, (int64_t)route->requests),
        route->requests == 1 ? "" : "s");
    if (!isnan(r->bytes))
        fprintf(out->file, ", each keeps %s (%s to %s)%s%s", text_size(bytes, r->bytes),
            text_size(low, r->low), text_size(high, r->high),
            r->leaks && r->together < 0 ? ", leaks" : "",
            r->together >= 0 ? ", on average with the others of its kind" : "");
    fprintf(out->file, "\n");
    free(name);
}

static void print_verdict(
    const struct show_out *out, const struct routes_summary *s, const char *forced_by)
{
    char growth[TEXT_SHORT], warm[64] = "";
    text_size(growth, s->growth);
    if (s->warm_up)
        snprintf(warm, sizeof warm, " (without the first %zu, of the warm-up)", s->warm_up);
    fprintf(out->file, "    ");
    switch (s->verdict) {
    case ROUTES_TOO_FEW:
        fprintf(out->file,
            "which route leaks: %zu reading%s after a full collection, %zu are needed (%s forces "
            "one)\n",
            s->floors_used, s->floors_used == 1 ? "" : "s", s->floors_needed, forced_by);
        break;
    case ROUTES_NO_GROWTH:
        fprintf(out->file, "what is left after full collections does not grow with requests\n");
        break;
    case ROUTES_NAMED:
        fprintf(out->file,
            "%s over %zu full collections%s are kept by requests, with 99 %% "
            "intervals:\n",
            growth, s->floors_used, warm);
        break;
    case ROUTES_TOGETHER:
        fprintf(out->file,
            "%s over %zu full collections%s are kept by requests, but the routes cannot be told "
            "apart: their mix hardly changed (send some alone, or wait for other traffic)\n",
            growth, s->floors_used, warm);
        break;
    case ROUTES_UNEXPLAINED:
        fprintf(out->file, "%s over %zu full collections%s are kept, and no route explains it\n",
            growth, s->floors_used, warm);
        break;
    }
}

void recap_requests_text(
    const struct show_out *out, const struct run_requests *q, bool elsewhere, const char *forced_by)
{
    struct judged j;
    struct err e = ERR_NONE;
    char total[TEXT_SHORT], recorded[TEXT_SHORT], aborted[TEXT_SHORT], lost[TEXT_SHORT];
    char pairs[TEXT_SHORT], passed[TEXT_SHORT], held[TEXT_SHORT];
    char more[TEXT_SHORT], gap[TEXT_SHORT];
    if (requests_of(q) == 0) {
        if (q->rows)
            fprintf(out->file,
                "    %s requests recorded, not counted by route: it was gone before it told\n",
                text_count(recorded, q->rows));
        else if (q->broken_off)
            fprintf(out->file, "    no request was counted: following them had to be given up\n");
        else if (q->was_followed)
            fprintf(out->file,
                elsewhere
                    ? "    no request was seen: those of the process enter at another thread\n"
                    : "    no request was seen: it had none, or another process serves (a "
                      "proxy, a cluster's worker)\n");
        return;
    }
    fprintf(out->file, "    %s request%s, %s recorded, %s given up by clients",
        text_count(total, requests_of(q)), requests_of(q) == 1 ? "" : "s",
        text_count(recorded, q->rows), text_count(aborted, q->aborted));
    if (q->lost)
        fprintf(out->file, ", %s lost their rows", text_count(lost, q->lost));
    if (q->uncounted)
        fprintf(out->file, ", %s more recorded before it was gone", text_count(more, q->uncounted));
    if (q->unfollowed_ms)
        fprintf(out->file, ", none seen for %s", text_duration(gap, q->unfollowed_ms * 1000));
    if (q->broken_off)
        fprintf(out->file, ", then it had to be given up");
    if (q->pairs || q->passed)
        fprintf(out->file, ", %s with a pair of snapshots, %s passed without",
            text_count(pairs, q->pairs), text_count(passed, q->passed));
    fprintf(out->file,
        "\n    following them took at most %.1f %% of a thread and held at most %s of rows\n",
        q->overhead_max * 100, text_size(held, (double)q->held_max));
    if (judge(q, &j, &e) != 0)
        return;
    print_verdict(out, &j.summary, forced_by);
    size_t count = 0;
    struct told_route *routes = told(&j, &count);
    for (size_t i = 0; routes && i < count && i < LINES_MAX; i++)
        print_route(out, &routes[i]);
    if (routes && count > LINES_MAX)
        fprintf(out->file, "      … and %zu more\n", count - LINES_MAX);
    free(routes);
    free(j.estimates);
}
