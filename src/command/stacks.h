/* Allocations by stack: collapsed, as a tree from either end, or the functions alone. */
#ifndef HEAPTAP_COMMAND_STACKS_H
#define HEAPTAP_COMMAND_STACKS_H

#include "command/command.h"
#include "heap/allocations.h"
#include "show/out.h"

enum stacks_view { STACKS_TOP_DOWN, STACKS_BOTTOM_UP, STACKS_FLAT };

/* "outer;inner 1234" a stack, live bytes: what flame graph tools and speedscope read. */
int stacks_print_collapsed(
    const struct show_out *o, const struct allocations *a, struct err *e) MUST_USE;

/* As --share, --depth and --top cut it. */
int stacks_print(const struct invocation *in, const struct show_out *o, const char *path,
    const struct allocations *a, enum stacks_view view, struct err *e) MUST_USE;

#endif
