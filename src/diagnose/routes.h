/* Which route leaks: the heap's floors (what is left after a full collection) regressed on how many
 * requests of each route had ended by then. After minus before of a single request is mostly
 * garbage; what stays shows in the floors. Pure functions over numbers.
 *
 * Model: the growth from floor to floor is a sum over routes of bytes a request times requests,
 * none of them negative, plus the noise that regress.h tells of. A beginning that grows faster than
 * the rest (warm-up) is left out. */
#ifndef HEAPTAP_DIAGNOSE_ROUTES_H
#define HEAPTAP_DIAGNOSE_ROUTES_H

#include "diagnose/regress.h"

#include <stddef.h>

#define ROUTES_COLUMNS_MAX                                                                         \
    REGRESS_COLUMNS_MAX /* routes that are told apart at a time; the rest are one */

/* Floor i: bytes[i], and counts[i * route_count + j] requests of route j so far. Oldest first.
 * forced[i]: the collection was asked for, and so whole. One of V8's own leaves what died while it
 * was marking; where there are enough of the forced ones, only they count. NULL: all are alike. */
struct routes_input {
    size_t floor_count, route_count;
    const double *bytes;
    const double *counts;
    const bool *forced;
};

struct routes_estimate {
    double requests;         /* between the first and the last floor that were used */
    double bytes, low, high; /* kept a request, with a 99 % interval; NAN: it had no requests */
    bool leaks;              /* the interval excludes nothing, and it is more than noise */
    /* Routes with the same number came in a constant proportion: bytes is a mean over all of them,
     * and they cannot be told apart. -1: it is on its own. */
    int together;
};

enum routes_verdict {
    ROUTES_TOO_FEW, /* floors */
    ROUTES_NO_GROWTH,
    ROUTES_NAMED,      /* the routes that leak explain most of the growth */
    ROUTES_TOGETHER,   /* the floors grow with the requests, but not which of them can be told */
    ROUTES_UNEXPLAINED /* the floors grow, and no route accounts for it */
};

struct routes_summary {
    enum routes_verdict verdict;
    size_t floors_used, floors_needed;      /* needed: at the least */
    size_t warm_up;                         /* floors at the beginning that were left out */
    double growth, growth_low, growth_high; /* bytes over the floors used that routes account for */
    double noise;                           /* bytes: standard deviation from floor to floor */
};

const char *routes_verdict_name(enum routes_verdict verdict);

/* Whether an estimate that is put together from others, whose noise is that, stands out as one that
 * leaks does. */
bool routes_stand_out(const struct routes_estimate *r, double noise);

/* ret_estimates: as many as routes. */
int routes_estimate(const struct routes_input *in, struct routes_estimate *ret_estimates,
    struct routes_summary *ret, struct err *e) MUST_USE;

/* Adds bytes a request to both sides of the interval, for an error that the floors do not show; a
 * route that the wider one does not carry leaks no more. */
void routes_widen(struct routes_estimate *r, double margin);

#endif
