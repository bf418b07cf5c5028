/* A recorded stack, and the line of the program that stands behind what a package or the runtime
 * allocates. */
#ifndef HEAPTAP_DIAGNOSE_STACK_H
#define HEAPTAP_DIAGNOSE_STACK_H

#include "diagnose/diagnosis.h"

/* The innermost frame of the program's own (allocations_is_own) in a JSON array of frames,
 * innermost first, as the column `stack` holds it; a function without a name takes that of its
 * nearest named caller. *ret is owned by the caller, NULL where there is none or the text is no
 * such array. ERR_NOMEM. */
int stack_own_place(
    const char *json, size_t length, struct diagnosis_place **ret, struct err *e) MUST_USE;

/* Whether a function in such a stack, other than a package's or the runtime's, has a name that ends
 * so
 * ("Provider"). */
bool stack_has_function(const char *json, size_t length, const char *ending);

#endif
