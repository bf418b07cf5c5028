/* What a person calls the object that holds on: the variable, property, event, private field or
 * collection, with the way to it from the roots and where it stands in the source. */
#ifndef HEAPTAP_DIAGNOSE_HOLDER_H
#define HEAPTAP_DIAGNOSE_HOLDER_H

#include "diagnose/diagnosis.h"
#include "diagnose/frontier.h"

/* What a holder is by its structure. */
enum holder_kind {
    HOLDER_OTHER,
    HOLDER_LISTENERS, /* of an emitter or event target */
    HOLDER_TIMERS,
    HOLDER_PROMISE, /* reactions that wait for it */
    HOLDER_MAP,     /* Map, or an object used as one */
    HOLDER_SET,
    HOLDER_ARRAY,
    HOLDER_VARIABLE, /* of a function */
};

struct holder {
    enum holder_kind kind;
};

/* Fills s->holder for a group (all but what the growth is: the text is begun, not finished). */
int holder_describe(struct heap *h, const uint8_t *born, const uint32_t *lifted,
    const struct frontier_group *g, struct diagnosis_suspect *s, struct holder *ret,
    struct err *e) MUST_USE;

#endif
