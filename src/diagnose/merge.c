/* Routes, sites and classes of the record, joined to suspects. */
#include "diagnose/merge.h"

#include "base/array.h"
#include "base/text.h"
#include "diagnose/crew.h"
#include "diagnose/lines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES_MAX   5
#define CLASS_SHARE   0.1 /* of the growth */
#define GUESS_WIDTH   2.5 /* times its bytes, that the upper bound is at most */
#define GUESS_SHARE   0.6 /* of the growth, for a route that is not sure */
#define COUNTED_LEAST 100 /* objects, and requests: fewer agree by chance */
#define COUNTED_MOST  8   /* objects a request */
#define COUNTED_SLACK 2   /* requests that were on their way, and */
#define COUNTED_SHARE 0.004

static char *copy(const char *text)
{
    return diagnosis_text(text, strlen(text));
}

static int add_suspect(struct diagnosis *d, const struct diagnosis_suspect *suspect, struct err *e)
{
    if (!array_more(&d->suspects, d->suspect_count))
        return err_set(e, ERR_NOMEM, "out of memory");
    d->suspects[d->suspect_count++] = *suspect;
    return 0;
}

/* ---- routes ---- */

struct leak { /* a route that keeps bytes */
    const struct floors_route *route;
    const struct routes_estimate *estimate;
    size_t index;
    double requests; /* between the snapshots, else between the floors used */
    double here;     /* of what a request keeps, what stays in this thread: 0 to 1 */
};

static int by_bytes(const void *a, const void *b)
{
    const struct leak *x = a, *y = b;
    double p = x->estimate->bytes * x->estimate->requests;
    double q = y->estimate->bytes * y->estimate->requests;
    return p > q ? -1 : p < q;
}

/* A route's requests by a time, between floors in proportion. */
static double count_at(const struct floors *f, size_t route, int64_t wall_ms)
{
    for (size_t i = 0; i < f->count; i++) {
        double now = f->counts[i * f->route_count + route];
        if (f->wall_ms[i] < wall_ms)
            continue;
        if (i == 0 || f->wall_ms[i] == f->wall_ms[i - 1])
            return now;
        double before = f->counts[(i - 1) * f->route_count + route];
        double share =
            (double)(wall_ms - f->wall_ms[i - 1]) / (double)(f->wall_ms[i] - f->wall_ms[i - 1]);
        return before + share * (now - before);
    }
    return f->count ? f->counts[(f->count - 1) * f->route_count + route] : 0;
}

/* Those that leak, most bytes first; where the routes come only together, all that may. */
static size_t find_leaks(const struct evidence_target *t, const struct routes_estimate *estimates,
    const struct routes_summary *summary, struct leak *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < t->floors.route_count; i++) {
        const struct routes_estimate *r = &estimates[i];
        bool together = summary->verdict == ROUTES_TOGETHER && r->together >= 0;
        if (isfinite(r->bytes) && r->bytes > 0 && (r->leaks || together))
            ret[count++] = (struct leak){&t->floors.routes[i], r, i, r->requests, 1};
    }
    qsort(ret, count, sizeof *ret, by_bytes);
    return count;
}

/* Where none is sure, the one that would explain most of the growth is still the best guess; its
 * interval says how good. */
static size_t guess_leak(const struct evidence_target *t, const struct routes_estimate *estimates,
    const struct routes_summary *summary, struct leak *ret)
{
    size_t best = t->floors.route_count;
    double most = GUESS_SHARE * summary->growth;
    for (size_t i = 0; i < t->floors.route_count; i++) {
        const struct routes_estimate *r = &estimates[i];
        double bytes = isfinite(r->bytes) && r->together < 0 ? r->bytes * r->requests : 0;
        if (bytes > 0 && bytes >= most && r->high <= GUESS_WIDTH * r->bytes) {
            most = bytes;
            best = i;
        }
    }
    if (best == t->floors.route_count || !(summary->growth > 0))
        return 0;
    ret[0] =
        (struct leak){&t->floors.routes[best], &estimates[best], best, estimates[best].requests, 1};
    return 1;
}

/* Whether the suspect has grown by one, two, … a request of a route, exactly. */
static bool goes_with(double growth, double requests)
{
    double each = round(growth / requests);
    return each >= 1 && each <= COUNTED_MOST &&
           fabs(growth - each * requests) <= fmax(COUNTED_SLACK, COUNTED_SHARE * requests);
}

/* Counts have no noise: where floors do not tell, the only route with just as many requests between
 * the snapshots as the suspect has grown by is the one, unless the floors speak against its bytes.
 */
static size_t count_leak(const struct diagnosis *d, const struct evidence_target *t, bool elsewhere,
    struct routes_estimate *estimates, int64_t first_ms, int64_t last_ms, struct leak *ret)
{
    const struct diagnosis_suspect *s = d->suspects;
    double growth = s ? (double)(s->last - s->first) : 0, requests = 0;
    size_t matches = 0, at = 0;
    if (d->memory == MEMORY_RSS_ONLY || d->suspect_count == 0 || !s->class_name ||
        growth < COUNTED_LEAST || last_ms <= first_ms)
        return 0;
    for (size_t i = 0; i < t->floors.route_count; i++) {
        double count = count_at(&t->floors, i, last_ms) - count_at(&t->floors, i, first_ms);
        if (t->floors.routes[i].elsewhere != elsewhere || count < COUNTED_LEAST ||
            !goes_with(growth, count))
            continue;
        matches++;
        at = i;
        requests = count;
    }
    struct routes_estimate *r = &estimates[at];
    double bytes = matches ? (double)s->retained_growth / requests : 0;
    if (matches != 1 || !(bytes <= GUESS_WIDTH * r->high))
        return 0;
    r->bytes = bytes;
    r->low = fmin(r->low, bytes);
    r->high = fmax(r->high, bytes);
    ret[0] = (struct leak){&t->floors.routes[at], r, at, requests, 1};
    return 1;
}

static int add_route(
    struct diagnosis_suspect *s, const struct leak *leak, double share, struct err *e)
{
    if (!array_more(&s->routes, s->route_count))
        return err_set(e, ERR_NOMEM, "out of memory");
    struct diagnosis_route *r = &s->routes[s->route_count];
    double instances = s->class_name && leak->requests > 0
                           ? share * (double)(s->last - s->first) / leak->requests / leak->here
                           : NAN;
    *r = (struct diagnosis_route){.method = copy(leak->route->method),
        .route = copy(leak->route->path),
        .bytes = leak->estimate->bytes,
        .low = leak->estimate->low,
        .high = leak->estimate->high,
        .instances = instances > 0 ? instances : NAN,
        .elsewhere = leak->route->elsewhere};
    if (!r->method || !r->route) {
        free(r->method);
        free(r->route);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    s->route_count++;
    return 0;
}

/* Bytes of the route's growth that nothing yet explains, less the suspect's: the smaller the
 * better. Both as shares of their wholes, for floors and snapshots span different times. */
static size_t nearest_suspect(const struct diagnosis *d, double share, const double *taken)
{
    size_t best = 0;
    double least = INFINITY;
    for (size_t i = 0; i < d->suspect_count; i++) {
        double distance = fabs(d->suspects[i].share - taken[i] - share);
        if (distance < least - 0.02) { /* on a tie the higher rank */
            least = distance;
            best = i;
        }
    }
    return best;
}

static int assign_leaks(struct diagnosis *d, const struct leak *leaks, size_t count, struct err *e)
{
    double total = 0, *taken = calloc(d->suspect_count + 1, sizeof *taken);
    size_t *owner = calloc(count + 1, sizeof *owner);
    double *owned = calloc(d->suspect_count + 1, sizeof *owned);
    int rc = taken && owner && owned ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        total += leaks[i].estimate->bytes * leaks[i].estimate->requests;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        double bytes = leaks[i].estimate->bytes * leaks[i].estimate->requests;
        owner[i] = d->suspect_count > 1 && count > 1 ? nearest_suspect(d, bytes / total, taken) : 0;
        taken[owner[i]] += bytes / total;
        owned[owner[i]] += bytes;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        double bytes = leaks[i].estimate->bytes * leaks[i].estimate->requests;
        rc = add_route(&d->suspects[owner[i]], &leaks[i], bytes / owned[owner[i]], e);
    }
    free(taken);
    free(owner);
    free(owned);
    return rc;
}

static int note_routes(struct diagnosis *d, const struct routes_summary *summary, bool together,
    bool probed, struct err *e)
{
    switch (summary->verdict) {
    case ROUTES_TOO_FEW:
        return diagnosis_note(d, e,
            "routes: %zu floor%s of the heap say nothing yet about what a request keeps, %zu do; "
            "%s",
            summary->floors_used, summary->floors_used == 1 ? "" : "s", summary->floors_needed,
            probed ? "each round gives one (--rounds)" : "--gc-floor 5s gives them sooner");
    case ROUTES_TOGETHER:
        if (!together)
            return diagnosis_note(d, e,
                "routes: what they keep does not stand out yet from what the heap moves by on its "
                "own; "
                "more requests and floors tell");
        return diagnosis_note(d, e,
            "routes: their requests came in one proportion all the time, so what each keeps cannot "
            "be told apart; `heaptap probe` varies the mix");
    case ROUTES_UNEXPLAINED:
        return diagnosis_note(d, e,
            "routes: the heap grows, and no route's requests account for it: a timer, a queue or "
            "another connection may");
    case ROUTES_NO_GROWTH:
    case ROUTES_NAMED: break;
    }
    return 0;
}

static bool any_together(const struct routes_estimate *estimates, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (estimates[i].together >= 0)
            return true;
    return false;
}

/* The routes that are named, most bytes first, and how sure they are. */
struct named {
    struct leak *leaks;
    size_t count;
    bool counted, guessed;
};

/* shared: several threads have the objects of a route's requests, and one alone counts none. */
static void find_named(const struct diagnosis *d, const struct evidence_target *t, bool elsewhere,
    bool shared, struct routes_estimate *estimates, const struct routes_summary *summary,
    int64_t first_ms, int64_t last_ms, struct named *n)
{
    n->count = find_leaks(t, estimates, summary, n->leaks);
    bool open = n->count == 0 && summary->verdict != ROUTES_TOO_FEW;
    if (open && !shared)
        n->count = count_leak(d, t, elsewhere, estimates, first_ms, last_ms, n->leaks);
    n->counted = open && n->count;
    if (open && !n->counted) {
        n->count = guess_leak(t, estimates, summary, n->leaks);
        n->guessed = n->count > 0;
    }
    for (size_t i = 0; i < n->count && last_ms > first_ms; i++)
        n->leaks[i].requests = count_at(&t->floors, n->leaks[i].index, last_ms) -
                               count_at(&t->floors, n->leaks[i].index, first_ms);
}

/* What is handed to a pool is kept by all of it: of each route the part that stays here. */
static int add_crew(const struct evidence *all, const struct evidence_target *t,
    enum floors_memory memory, struct routes_estimate *estimates, struct routes_summary *summary,
    double *here, size_t *ret_threads, struct err *e)
{
    for (size_t i = 0; i < t->floors.route_count; i++)
        here[i] = estimates[i].bytes;
    int rc = crew_add(all, t, memory, estimates, summary, ret_threads, e);
    for (size_t i = 0; i < t->floors.route_count && rc == 0; i++) {
        double share = here[i] / estimates[i].bytes, least = 0.5 / (double)*ret_threads;
        here[i] = share >= least ? share : 1 / (double)*ret_threads; /* what is lost in noise */
    }
    return rc;
}

static int note_named(struct diagnosis *d, const struct named *n, size_t threads, struct err *e)
{
    int rc = 0;
    if (n->counted)
        rc = diagnosis_note(d, e,
            "routes: the floors do not tell, the objects do: %s grew by as many as the route that "
            "is named had requests",
            d->suspects[0].class_name);
    else if (n->guessed)
        rc = diagnosis_note(d, e,
            "routes: no route is sure yet, the one that is named explains most of the growth; more "
            "floors (--gc-floor) narrow its interval");
    if (rc || n->count == 0 || !n->leaks[0].route->elsewhere)
        return rc;
    if (threads > 1)
        return diagnosis_note(d, e,
            "routes: their requests enter at another thread and are handed to %zu workers that are "
            "alike: what a request keeps is the sum over them, this one has %.0f %% of it",
            threads, 100 * n->leaks[0].here);
    return diagnosis_note(
        d, e, "routes: their requests enter at another thread than the one that keeps them");
}

/* No snapshot shows native memory: what there is to say of it is the route. */
static int add_native(struct diagnosis *d, const struct floors *f, const struct named *n,
    const struct routes_summary *summary, struct err *e)
{
    double judged = 0, all = 0; /* bytes between the floors used, between all of them */
    for (size_t i = 0; i < n->count; i++) {
        const struct routes_estimate *r = n->leaks[i].estimate;
        size_t last = (f->count - 1) * f->route_count + n->leaks[i].index;
        judged += r->bytes * r->requests;
        all += r->bytes * (f->counts[last] - f->counts[n->leaks[i].index]);
    }
    struct diagnosis_suspect s = {.retained_growth = (int64_t)all,
        .share = summary->growth > 0 ? fmin(judged / summary->growth, 1) : NAN,
        .confidence = n->guessed ? 0.3 : 0.6};
    return add_suspect(d, &s, e);
}

static int note_native(struct diagnosis *d, const struct routes_summary *summary, struct err *e)
{
    char noise[TEXT_SHORT];
    return diagnosis_note(d, e,
        "routes: which of them keeps native memory cannot be told: resident memory moves by %s "
        "from floor to floor by itself",
        text_size(noise, summary->noise));
}

int merge_routes(struct diagnosis *d, const struct evidence *all, const struct evidence_target *t,
    int64_t first_ms, int64_t last_ms, struct err *e)
{
    size_t routes = t->floors.route_count, threads = 1;
    bool native = d->memory == MEMORY_RSS_ONLY;
    struct floors_beside beside = {.elsewhere = false};
    enum floors_memory memory = native                         ? FLOORS_NATIVE
                                : d->memory == MEMORY_EXTERNAL ? FLOORS_EXTERNAL
                                                               : FLOORS_HEAP;
    if (t->floors.count == 0 || routes == 0 || !diagnosis_grows(d->verdict) ||
        (d->suspect_count == 0 && !native))
        return 0;
    struct routes_estimate *estimates = calloc(routes, sizeof *estimates);
    struct named n = {.leaks = calloc(routes, sizeof *n.leaks)};
    struct routes_summary summary;
    double *here = calloc(routes, sizeof *here);
    int rc = estimates && n.leaks && here
                 ? floors_judge(&t->floors, memory, estimates, &summary, &beside, e)
                 : err_set(e, ERR_NOMEM, "out of memory");
    bool elsewhere = beside.elsewhere;
    if (rc == 0 && elsewhere)
        rc = add_crew(all, t, memory, estimates, &summary, here, &threads, e);
    if (rc == 0)
        find_named(d, t, elsewhere, threads > 1, estimates, &summary, first_ms, last_ms, &n);
    for (size_t i = 0; i < n.count && rc == 0 && elsewhere && !n.counted; i++)
        n.leaks[i].here = here[n.leaks[i].index];
    if (rc == 0 && n.count && d->suspect_count == 0)
        rc = add_native(d, &t->floors, &n, &summary, e);
    if (rc == 0)
        rc = assign_leaks(d, n.leaks, n.count, e);
    if (rc == 0)
        rc = note_named(d, &n, threads, e);
    bool unsure = n.count == 0 || (!n.counted && !n.guessed && n.leaks[0].estimate->together >= 0);
    bool together = rc == 0 && any_together(estimates, routes);
    if (rc == 0 && native && n.count == 0 && !together && summary.verdict != ROUTES_TOO_FEW)
        rc = note_native(d, &summary, e);
    else if (rc == 0 && unsure)
        rc = note_routes(d, &summary, together, t->floors.probed, e);
    free(estimates);
    free(n.leaks);
    free(here);
    return rc;
}

/* ---- classes ---- */

/* V8's own, which grow with whatever is the matter, and the primitive ones, which say nothing. */
bool merge_is_own_class(const char *name)
{
    static const char *const common[] = {
        "Object", "Array", "Map", "Set", "Function", "system", "string", "number", "symbol"};
    if (*name == '(' || *name == '\0' || strncmp(name, "system /", 8) == 0)
        return false;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (strcmp(name, common[i]) == 0)
            return false;
    return true;
}

static int add_classes(
    struct diagnosis *d, const struct evidence_target *t, double growth, bool own, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < t->class_count && d->suspect_count < CLASSES_MAX && rc == 0; i++) {
        const struct evidence_class *c = &t->classes[i];
        double share = growth > 0 ? fmin((double)c->retained_growth / growth, 1) : NAN;
        bool grew = c->last_count > c->first_count && share >= CLASS_SHARE;
        if (!grew || merge_is_own_class(c->name) != own || *c->name == '(')
            continue;
        struct diagnosis_suspect s = {.class_name = copy(c->name),
            .first = c->first_count,
            .last = c->last_count,
            .self_growth = c->self_growth,
            .retained_growth = c->retained_growth,
            .share = share,
            .confidence = 0.5 * share};
        if (!s.class_name)
            return err_set(e, ERR_NOMEM, "out of memory");
        rc = add_suspect(d, &s, e);
        if (rc)
            free(s.class_name);
    }
    return rc;
}

static double grown_bytes(const struct evidence_target *t)
{
    double sum = 0;
    for (size_t i = 0; i < t->site_count; i++)
        if (t->sites[i].readings == 1 || (isfinite(t->sites[i].low) && t->sites[i].low > 0))
            sum += lines_growth(&t->sites[i]);
    return sum;
}

int merge_classes(
    struct diagnosis *d, const struct evidence_target *t, double growth, struct err *e)
{
    bool grows = diagnosis_grows(d->verdict);
    if (d->suspect_count || !grows || d->memory == MEMORY_RSS_ONLY)
        return 0;
    int rc = add_classes(d, t, growth, true, e);
    if (rc == 0 && d->suspect_count == 0)
        rc = add_classes(d, t, growth, false, e);
    if (rc || d->suspect_count)
        return rc;
    struct diagnosis_suspect unknown = {.retained_growth = growth > 0 ? (int64_t)growth : 0,
        .share = growth > 0 ? fmin(grown_bytes(t) / growth, 1) : NAN,
        .confidence = 0.3};
    bool anything = t->floors.count > 0 || grown_bytes(t) >= LINES_BYTES;
    return anything ? add_suspect(d, &unknown, e) : 0;
}
