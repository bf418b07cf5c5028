/* Which isolates of a process are worth a snapshot: each thread has a heap of its own, and only
 * those that grow have something to show. Pure. */
#ifndef HEAPTAP_COLLECT_GROWERS_H
#define HEAPTAP_COLLECT_GROWERS_H

#include <stdbool.h>
#include <stddef.h>

#define GROWERS_MAX 3 /* snapshots at a time: each stalls a thread and takes memory of all */

struct grower {
    double growth;       /* bytes of its floor, since whenever the same for all */
    bool live;           /* else it is not considered */
    bool imaged;         /* it has a snapshot already, which others are compared with */
    const char *program; /* threads of one program are alike: one of them is enough; NULL: its own;
                            borrowed */
};

/* The isolates to look into, at most GROWERS_MAX, into ret_indices: those of programs that have
 * grown by `least` bytes, all their threads together, and by no small part of what the fastest has;
 * those that were looked into before, unless others have grown far more. Where none is of either
 * kind, `otherwise`. */
size_t growers_choose(const struct grower *list, size_t count, double least, size_t otherwise,
    size_t ret_indices[GROWERS_MAX]);

#endif
