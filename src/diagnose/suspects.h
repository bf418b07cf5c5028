/* From the snapshots of one process to who holds what has grown: each leak is one suspect, however
 * many classes it drags along. docs/diagnose.md tells the rules in words. */
#ifndef HEAPTAP_DIAGNOSE_SUSPECTS_H
#define HEAPTAP_DIAGNOSE_SUSPECTS_H

#include "diagnose/diagnosis.h"
#include "heap/heap.h"

struct suspects;

/* For so many snapshots; NULL: out of memory. */
struct suspects *suspects_new(size_t snapshots);
void suspects_free(struct suspects *s); /* takes NULL */

/* The next of the earlier snapshots, oldest first; it may be closed afterwards. */
int suspects_add(struct suspects *s, const struct heap *h, struct err *e) MUST_USE;

/* Names what has grown by the last snapshot, at the most `most` of them: fills d's suspects,
 * ruled_out and notes. ERR_NOMEM. */
int suspects_name(struct suspects *s, struct heap *last, size_t most, struct diagnosis *d,
    struct err *e) MUST_USE;

#endif
