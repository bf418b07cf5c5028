/* Deadlines in order: a binary heap over nodes that their owners embed. */
#ifndef HEAPTAP_CDP_TIMERS_H
#define HEAPTAP_CDP_TIMERS_H

#include "base/err.h"

#include <stddef.h>

struct timers_node {
    int64_t due_us; /* monotonic */
    size_t place;   /* 1-based in the heap; 0 while it is not in it */
};

struct timers {
    struct timers_node **heap; /* owned array of borrowed nodes; [0] is the earliest */
    size_t count, capacity;
};

/* Makes room so that `count` nodes can be in the heap: timers_add cannot fail then. */
int timers_reserve(struct timers *t, size_t count) MUST_USE;
void timers_add(struct timers *t, struct timers_node *node, int64_t due_us); /* not in the heap */
void timers_remove(struct timers *t, struct timers_node *node); /* nothing if it is not in it */
struct timers_node *timers_first(const struct timers *t);       /* NULL when empty */
void timers_free(struct timers *t);

#endif
