/* Strings, arrays and buffers that become longer. Each time the program or V8 makes a new one, and
 * the old one goes, so that ids show an exchange where there is growth. What is remembered is how
 * much each variable, property or collection holds in long ones. */
#ifndef HEAPTAP_DIAGNOSE_LONGER_H
#define HEAPTAP_DIAGNOSE_LONGER_H

#include "diagnose/births.h"

struct longer;

struct longer *longer_new(void); /* NULL: out of memory */
void longer_free(struct longer *l);

/* The next earlier snapshot, as births_add. ERR_NOMEM, ERR_FULL. */
int longer_add(struct longer *l, const struct heap *h, struct err *e) MUST_USE;

/* Whether a unit of the last snapshot is a long one whose place had one in each of the earlier
 * snapshots, and longer ones from each to the next; ret_steps[k]: bytes that came in step k,
 * from 1. */
bool longer_grew(const struct longer *l, const struct heap *last, uint32_t unit,
    uint64_t ret_steps[BIRTHS_MAX + 1]);

#endif
