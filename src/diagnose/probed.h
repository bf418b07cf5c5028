/* The floors of a probe, judged: no request was in flight, the mix of each round is known, and the
 * rounds are few. Beside the routes, what grows with the time alone has a column of its own; a
 * round that nothing explains is left out; intervals allow for what a floor may be off by. Pure
 * functions over numbers. */
#ifndef HEAPTAP_DIAGNOSE_PROBED_H
#define HEAPTAP_DIAGNOSE_PROBED_H

#include "diagnose/routes.h"

#define PROBED_TICK_MS 100 /* the unit of the time */

/* As routes_estimate, of floors whose last column is the time in ticks, without `forced`; the last
 * estimate is of it. A route leaks only where the heap grows steadily with the requests of those
 * that leak, by more than what a healthy one moves by (trend.h). ret_left_out: rounds. */
int probed_estimate(const struct routes_input *in, struct routes_estimate *ret_estimates,
    struct routes_summary *ret, size_t *ret_left_out, struct err *e) MUST_USE;

#endif
