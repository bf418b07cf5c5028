/* What the record of a run adds to suspects: routes that keep bytes, classes whose files are gone.
 */
#ifndef HEAPTAP_DIAGNOSE_MERGE_H
#define HEAPTAP_DIAGNOSE_MERGE_H

#include "diagnose/diagnosis.h"
#include "diagnose/evidence.h"

/* Routes that leak by the floors, to the suspects that their growth fits. all: the run that t is
 * of, for workers like it; NULL: t alone. first_ms, last_ms: of the snapshots that counted
 * instances; 0: none did. Says in notes what the routes could not tell. */
int merge_routes(struct diagnosis *d, const struct evidence *all, const struct evidence_target *t,
    int64_t first_ms, int64_t last_ms, struct err *e) MUST_USE;

/* Suspects for a diagnosis without any: classes that grew by the record, else one of unknown class
 * that routes and sites can say more of. growth: bytes of the memory that grows over the span. */
int merge_classes(
    struct diagnosis *d, const struct evidence_target *t, double growth, struct err *e) MUST_USE;

/* Whether a class is the program's own, not V8's or one that every program has. */
bool merge_is_own_class(const char *name);

#endif
