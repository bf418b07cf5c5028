/* The function that something waits to call, and what a person calls that something. */
#ifndef HEAPTAP_DIAGNOSE_CALLBACK_H
#define HEAPTAP_DIAGNOSE_CALLBACK_H

#include "heap/heap.h"

struct callback {
    uint32_t closure;  /* with a place in a script; HEAP_NONE */
    const char *class; /* "Function", "Promise"; NULL: the unit's own class says enough. Static */
};

/* A unit is a closure, or a timer, listener, bound function, promise or waiting async function that
 * holds one. What the engine keeps for a promise (its resolvers, the continuations of await, their
 * scopes) is a promise to a person. */
struct callback callback_find(struct heap *h, uint32_t unit);

/* Whether the object has a property (or, of an array, an element) that settles a promise which is
 * not settled yet: an acknowledgement that is waited for. */
bool callback_is_awaited(struct heap *h, uint32_t object);

#endif
