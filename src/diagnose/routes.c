/* Which route leaks: generalised least squares of the floors' growth on requests by route. */
#include "diagnose/routes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FLOORS_MIN      6        /* fewer say nothing about their noise */
#define FORCED_MIN      12       /* of floors, so that the others are not needed */
#define TOGETHER_SPREAD 0.15     /* of the log odds between two routes from interval to interval */
#define NOTABLE_BYTES   16.0     /* a request; below is nothing that a heap holds */
#define NOTABLE_GROWTH  262144.0 /* over all floors: V8's own tables and code move that much */
#define NOTABLE_SIGMA   3.0      /* of the growth from floor to floor */
#define NOTABLE_SHARE   0.1      /* of the growth, for a route that may be behind it */
#define NAMED_ERRORS    1.25 /* half intervals: there are many routes, and each has its chance */
#define NAMED_SHARE     0.7  /* of the growth, that named routes explain */
#define WARM_UP_MOST    0.5  /* of the floors */
#define WARM_UP_RATIO   2.0  /* of the growth's variance with the first floors to that without */

const char *routes_verdict_name(enum routes_verdict verdict)
{
    static const char *const names[] = {"too-few", "no-growth", "named", "together", "unexplained"};
    return names[verdict];
}

/* ---- routes into columns ---- */

struct columns {
    size_t count;
    int *of;                          /* the column of each route, -1: no requests; owned */
    size_t sizes[ROUTES_COLUMNS_MAX]; /* routes in each */
};

static double between(const struct routes_input *in, size_t from, size_t to, size_t route)
{
    return in->counts[to * in->route_count + route] - in->counts[from * in->route_count + route];
}

/* Whether two routes keep their proportion through all intervals, but for chance. */
static bool come_together(const struct routes_input *in, size_t first, size_t a, size_t b)
{
    size_t last = in->floor_count - 1;
    double total_a = between(in, first, last, a), total_b = between(in, first, last, b);
    double share = total_a / (total_a + total_b), sum = 0;
    for (size_t i = first; i < last; i++) {
        double x = between(in, i, i + 1, a), y = between(in, i, i + 1, b);
        if (x + y > 0)
            sum += (x + y) * (x / (x + y) - share) * (x / (x + y) - share);
    }
    return sqrt(sum / (total_a + total_b)) / (share * (1 - share)) < TOGETHER_SPREAD;
}

/* The route with most requests that has no column yet; route_count: none. */
static size_t busiest(const struct routes_input *in, size_t first, const int *of)
{
    size_t best = in->route_count, last = in->floor_count - 1;
    double most = 0;
    for (size_t j = 0; j < in->route_count; j++)
        if (of[j] < 0 && between(in, first, last, j) > most) {
            most = between(in, first, last, j);
            best = j;
        }
    return best;
}

/* Routes that come together share a column; of more than there are columns for, the rarest share
 * the last one. */
static int make_columns(
    const struct routes_input *in, size_t first, size_t max, struct columns *ret, struct err *e)
{
    struct columns c = {.of = malloc((in->route_count ? in->route_count : 1) * sizeof *c.of)};
    size_t leaders[ROUTES_COLUMNS_MAX];
    size_t route;
    if (!c.of)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t j = 0; j < in->route_count; j++)
        c.of[j] = -1;
    while ((route = busiest(in, first, c.of)) < in->route_count) {
        size_t column = 0;
        while (column < c.count && !come_together(in, first, route, leaders[column]))
            column++;
        if (column == max)
            column = max - 1;
        if (column == c.count)
            leaders[c.count++] = route;
        c.of[route] = (int)column;
        c.sizes[column]++;
    }
    *ret = c;
    return 0;
}

static int fill_rows(const struct routes_input *in, size_t first, const struct columns *c,
    struct regress *ret, struct err *e)
{
    int rc = regress_new(in->floor_count - 1 - first, c->count, ret, e);
    for (size_t i = 0; rc == 0 && i < ret->rows; i++) {
        ret->growth[i] = in->bytes[first + i + 1] - in->bytes[first + i];
        for (size_t j = 0; j < in->route_count; j++)
            if (c->of[j] >= 0)
                ret->amounts[i * ret->columns + (size_t)c->of[j]] +=
                    between(in, first + i, first + i + 1, j);
    }
    return rc;
}

/* ---- judging ---- */

static struct routes_estimate nothing_known(void)
{
    return (struct routes_estimate){.bytes = NAN, .low = NAN, .high = NAN, .together = -1};
}

static void judge_growth(
    const struct regress *f, const double *totals, struct routes_summary *summary)
{
    for (size_t a = 0; a < f->columns; a++)
        summary->growth += f->coefficients[a] * totals[a];
    double error = regress_error(f, totals, REGRESS_Z_99);
    summary->growth_low = summary->growth - error;
    summary->growth_high = summary->growth + error;
}

/* The estimates that know of no negative ones. */
struct positive {
    double bytes[ROUTES_COLUMNS_MAX], errors[ROUTES_COLUMNS_MAX];
};

static void judge_route(const struct regress *f, const struct positive *p, const double *totals,
    size_t a, bool together, double noise, struct routes_estimate *r)
{
    double only[ROUTES_COLUMNS_MAX] = {0};
    only[a] = 1;
    double error = regress_error(f, only, REGRESS_Z_99);
    /* One that is large only because another route's is less than nothing does not count. */
    double least = fmin(f->coefficients[a] - error, p->bytes[a] - p->errors[a]);
    r->low = fmax(least, 0);
    r->high = fmax(f->coefficients[a] + error, 0);
    r->bytes = fmin(fmax(p->bytes[a], r->low), r->high);
    r->together = together ? (int)a : -1;
    r->leaks = r->low >= NOTABLE_BYTES && f->coefficients[a] > NAMED_ERRORS * error &&
               p->bytes[a] > NAMED_ERRORS * p->errors[a] &&
               r->bytes * totals[a] >= NOTABLE_GROWTH / 2 &&
               r->low * totals[a] > NOTABLE_SIGMA * noise;
}

void routes_widen(struct routes_estimate *r, double margin)
{
    r->low = fmax(r->low - margin, 0);
    r->high += margin;
    double middle = (r->low + r->high) / 2, error = (r->high - r->low) / 2;
    r->leaks = r->leaks && r->low >= NOTABLE_BYTES && middle > NAMED_ERRORS * error;
}

bool routes_stand_out(const struct routes_estimate *r, double noise)
{
    return r->low >= NOTABLE_BYTES && r->bytes > NAMED_ERRORS * (r->bytes - r->low) &&
           r->bytes * r->requests >= NOTABLE_GROWTH / 2 &&
           r->low * r->requests > NOTABLE_SIGMA * noise;
}

static enum routes_verdict judge(const struct routes_summary *s, double named, double behind)
{
    bool grows = s->growth_low > 0 && s->growth >= NOTABLE_GROWTH;
    if (named > 0 && named >= NAMED_SHARE * s->growth)
        return ROUTES_NAMED;
    if (grows && behind > NOTABLE_SHARE * s->growth)
        return ROUTES_TOGETHER;
    if (named > 0)
        return ROUTES_NAMED;
    return grows ? ROUTES_UNEXPLAINED : ROUTES_NO_GROWTH;
}

static void judge_all(const struct routes_input *in, size_t first, const struct columns *c,
    const struct regress *f, struct routes_estimate *ret, struct routes_summary *summary)
{
    struct positive positive;
    double totals[ROUTES_COLUMNS_MAX] = {0};
    double named = 0, behind = 0; /* bytes over all floors: explained, perhaps explained */
    size_t last = in->floor_count - 1;
    regress_drop_negative(f, REGRESS_Z_99, positive.bytes, positive.errors);
    for (size_t j = 0; j < in->route_count; j++)
        if (c->of[j] >= 0)
            totals[c->of[j]] += between(in, first, last, j);
    judge_growth(f, totals, summary);
    for (size_t j = 0; j < in->route_count; j++) {
        struct routes_estimate *r = &ret[j];
        *r = nothing_known();
        if (c->of[j] < 0)
            continue;
        size_t a = (size_t)c->of[j];
        r->requests = between(in, first, last, j);
        judge_route(f, &positive, totals, a, c->sizes[a] > 1, summary->noise, r);
        if (r->leaks && r->together < 0)
            named += r->bytes * r->requests;
        else
            behind += (r->together < 0 ? r->high : r->bytes) * r->requests;
    }
    summary->verdict = judge(summary, named, behind);
}

/* One attempt from floor first on. */
static int estimate_from(const struct routes_input *in, size_t first,
    struct routes_estimate *estimates, struct routes_summary *summary, double *ret_unexplained,
    struct err *e)
{
    struct columns c = {0};
    struct regress f = {0};
    size_t floors = in->floor_count - first;
    size_t max = floors / 3 < ROUTES_COLUMNS_MAX ? floors / 3 : ROUTES_COLUMNS_MAX;
    *ret_unexplained = 0;
    for (size_t j = 0; j < in->route_count; j++)
        estimates[j] = nothing_known();
    *summary = (struct routes_summary){.verdict = ROUTES_NO_GROWTH,
        .floors_used = floors,
        .floors_needed = FLOORS_MIN,
        .warm_up = first};
    int rc = make_columns(in, first, max, &c, e);
    if (rc || c.count == 0)
        goto out;
    rc = fill_rows(in, first, &c, &f, e);
    if (rc == 0)
        rc = regress_fit(&f, ret_unexplained, e);
    if (rc)
        goto out;
    summary->noise = sqrt(*ret_unexplained);
    judge_all(in, first, &c, &f, estimates, summary);
out:
    regress_free(&f);
    free(c.of);
    return rc;
}

#define STARTS 6 /* candidates: 0 to WARM_UP_MOST of the floors left out */

/* The first floor after the warm-up: as early as the growth from there on is not much more even
 * without the floors that follow. */
static int find_start(
    const struct routes_input *in, struct routes_estimate *scratch, size_t *ret, struct err *e)
{
    double variance[STARTS], least = INFINITY;
    size_t first[STARTS], count = 0;
    struct routes_summary ignored;
    for (size_t i = 0; i < STARTS; i++) {
        size_t at = (size_t)(WARM_UP_MOST * (double)(in->floor_count * i) / (STARTS - 1));
        if (in->floor_count < at + FLOORS_MIN || (count && at == first[count - 1]))
            continue;
        int rc = estimate_from(in, at, scratch, &ignored, &variance[count], e);
        if (rc)
            return rc;
        first[count] = at;
        least = fmin(least, variance[count++]);
    }
    for (size_t i = 0; i < count; i++)
        if (variance[i] <= WARM_UP_RATIO * least) {
            *ret = first[i];
            break;
        }
    return 0;
}

static int estimate_all(const struct routes_input *in, struct routes_estimate *ret_estimates,
    struct routes_summary *ret, struct err *e)
{
    struct routes_summary summary = {
        .verdict = ROUTES_TOO_FEW, .floors_used = in->floor_count, .floors_needed = FLOORS_MIN};
    size_t first = 0;
    double ignored;
    int rc = 0;
    for (size_t j = 0; j < in->route_count; j++)
        ret_estimates[j] = nothing_known();
    if (in->floor_count >= FLOORS_MIN) {
        rc = find_start(in, ret_estimates, &first, e);
        if (rc == 0)
            rc = estimate_from(in, first, ret_estimates, &summary, &ignored, e);
    }
    if (rc == 0)
        *ret = summary;
    return rc;
}

/* Only the forced floors, into arrays of the same size. */
static struct routes_input only_forced(const struct routes_input *in, double *bytes, double *counts)
{
    size_t kept = 0;
    for (size_t i = 0; i < in->floor_count; i++) {
        if (!in->forced[i])
            continue;
        bytes[kept] = in->bytes[i];
        memcpy(&counts[kept++ * in->route_count], &in->counts[i * in->route_count],
            in->route_count * sizeof *counts);
    }
    return (struct routes_input){
        .floor_count = kept, .route_count = in->route_count, .bytes = bytes, .counts = counts};
}

int routes_estimate(const struct routes_input *in, struct routes_estimate *ret_estimates,
    struct routes_summary *ret, struct err *e)
{
    size_t forced = 0;
    for (size_t i = 0; in->forced && i < in->floor_count; i++)
        forced += in->forced[i];
    if (forced < FORCED_MIN || forced == in->floor_count)
        return estimate_all(in, ret_estimates, ret, e);
    double *bytes = calloc(in->floor_count, sizeof *bytes);
    double *counts = calloc(in->floor_count * in->route_count + 1, sizeof *counts);
    int rc = bytes && counts ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        struct routes_input left = only_forced(in, bytes, counts);
        rc = estimate_all(&left, ret_estimates, ret, e);
    }
    free(bytes);
    free(counts);
    return rc;
}
