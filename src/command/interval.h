/* The objects of some intervals of a timeline that still live: their classes, and who holds them.
 */
#ifndef HEAPTAP_COMMAND_INTERVAL_H
#define HEAPTAP_COMMAND_INTERVAL_H

#include "command/command.h"
#include "heap/allocations.h"
#include "heap/heap.h"
#include "show/out.h"

/* As --interval, --class and --top ask. h: the heap of a timeline; NULL, of a profile, is refused.
 */
int interval_print(const struct invocation *in, const struct show_out *o, const char *path,
    const struct allocations *a, struct heap *h, struct err *e) MUST_USE;

#endif
