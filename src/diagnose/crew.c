/* What a pool of workers keeps of a request. */
#include "diagnose/crew.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool crew_alike(const struct evidence_target *a, const struct evidence_target *b)
{
    return a->parent_id && a->parent_id == b->parent_id && text_is_file_url(a->url) && b->url &&
           strcmp(a->url, b->url) == 0;
}

static const struct routes_estimate *find_route(const struct floors *f,
    const struct routes_estimate *estimates, const struct floors_route *route)
{
    for (size_t i = 0; i < f->route_count; i++)
        if (f->routes[i].elsewhere && strcmp(f->routes[i].path, route->path) == 0 &&
            strcmp(f->routes[i].method, route->method) == 0 && isfinite(estimates[i].bytes))
            return &estimates[i];
    return NULL;
}

/* The sum of two, whose errors have nothing to do with one another. */
static void add(struct routes_estimate *to, const struct routes_estimate *from)
{
    double below = hypot(to->bytes - to->low, from->bytes - from->low);
    double above = hypot(to->high - to->bytes, from->high - from->bytes);
    to->bytes += from->bytes;
    to->low = fmax(to->bytes - below, 0);
    to->high = to->bytes + above;
}

static int add_worker(const struct evidence_target *t, const struct evidence_target *other,
    enum floors_memory memory, struct routes_estimate *estimates, struct routes_summary *summary,
    struct err *e)
{
    struct routes_summary of_all;
    struct floors_beside beside = {.elsewhere = false};
    struct routes_estimate *of_other = calloc(other->floors.route_count + 1, sizeof *of_other);
    int rc = of_other ? floors_judge(&other->floors, memory, of_other, &of_all, &beside, e)
                      : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < t->floors.route_count && rc == 0 && beside.elsewhere; i++) {
        const struct routes_estimate *same =
            t->floors.routes[i].elsewhere && isfinite(estimates[i].bytes)
                ? find_route(&other->floors, of_other, &t->floors.routes[i])
                : NULL;
        if (same)
            add(&estimates[i], same);
    }
    if (rc == 0 && beside.elsewhere) {
        summary->growth += of_all.growth;
        summary->noise = hypot(summary->noise, of_all.noise);
    }
    free(of_other);
    return rc;
}

int crew_add(const struct evidence *r, const struct evidence_target *t, enum floors_memory memory,
    struct routes_estimate *estimates, struct routes_summary *summary, size_t *ret_threads,
    struct err *e)
{
    int rc = 0;
    *ret_threads = 1;
    for (size_t i = 0; r && i < r->target_count && rc == 0; i++) {
        const struct evidence_target *other = &r->targets[i];
        if (other == t || !crew_alike(t, other) || other->floors.count == 0)
            continue;
        rc = add_worker(t, other, memory, estimates, summary, e);
        (*ret_threads)++;
    }
    for (size_t i = 0; i < t->floors.route_count && rc == 0 && *ret_threads > 1; i++)
        if (isfinite(estimates[i].bytes))
            estimates[i].leaks |= routes_stand_out(&estimates[i], summary->noise);
    return rc;
}
