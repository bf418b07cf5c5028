/* What else holds on to what has grown: when one holder lets go, and another has the same objects,
 * they stay. */
#ifndef HEAPTAP_DIAGNOSE_COHOLDERS_H
#define HEAPTAP_DIAGNOSE_COHOLDERS_H

#include "diagnose/frontier.h"

#define COHOLDERS_MAX 3

/* Groups as holder_describe takes them, of objects that hold at least half of the units of a group
 * (its number in the frontier), other than its holder; most units first; how many, at most
 * COHOLDERS_MAX, in *ret_count. ERR_NOMEM. */
int coholders_find(struct heap *h, struct frontier *f, uint32_t number, const uint32_t *lifted,
    struct frontier_group ret[COHOLDERS_MAX], size_t *ret_count, struct err *e) MUST_USE;

#endif
