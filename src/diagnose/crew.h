/* A pool: worker threads of one process that run one file share the work, so what a request keeps
 * is the sum of what it keeps in each of them. */
#ifndef HEAPTAP_DIAGNOSE_CREW_H
#define HEAPTAP_DIAGNOSE_CREW_H

#include "diagnose/evidence.h"

/* Whether two targets are workers of one process that run one file. */
bool crew_alike(const struct evidence_target *a, const struct evidence_target *b);

/* Adds to the estimates of t's routes, as floors_judge made them of requests that enter elsewhere,
 * and to the growth and noise of their summary, what the workers like it keep; intervals widen by
 * the errors of each, and what stands out in the sum leaks. *ret_threads: how many there are, t
 * included. ERR_NOMEM. */
int crew_add(const struct evidence *r, const struct evidence_target *t, enum floors_memory memory,
    struct routes_estimate *estimates, struct routes_summary *summary, size_t *ret_threads,
    struct err *e) MUST_USE;

#endif
