/* The usual culprits of a server's memory, recognised in what has grown: by structure (fields that
 * only such objects have, the kind of holder), by class and by package. Names alone may be minified
 * or subclassed, fields and packages are not. */
#ifndef HEAPTAP_DIAGNOSE_CULPRITS_H
#define HEAPTAP_DIAGNOSE_CULPRITS_H

#include "diagnose/holder.h"

/* The culprit that the group is, and a sentence of advice, both static; NULL: none of those known.
 * group: its number in the frontier. */
int culprits_recognise(struct heap *h, const struct frontier *f, uint32_t group,
    const struct frontier_group *g, const struct holder *holder, const struct diagnosis_suspect *s,
    const char **ret_name, const char **ret_advice, struct err *e) MUST_USE;

/* A provider component has made the suspect's objects: it is that, unless something surer is known.
 */
int culprits_made_by_provider(struct diagnosis_suspect *s, struct err *e) MUST_USE;

/* Fills d's ruled_out with those that no suspect is. */
int culprits_rule_out(struct diagnosis *d, struct err *e) MUST_USE;

/* All names, NULL-terminated. */
extern const char *const culprits_names[];

#endif
