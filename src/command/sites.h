/* Allocations for people and programs: by site, by interval, as collapsed stacks. */
#ifndef HEAPTAP_COMMAND_SITES_H
#define HEAPTAP_COMMAND_SITES_H

#include "command/command.h"
#include "heap/allocations.h"
#include "show/out.h"

#define SITES_ROWS 30 /* on a terminal; --top changes it */

/* The whole answer for one file: sites, and the intervals of a timeline. */
int sites_print(const struct invocation *in, const struct show_out *o, const char *path,
    const struct allocations *a, struct err *e) MUST_USE;

/* Opens the file that a recording made and prints that answer to standard output. */
int sites_show(const struct invocation *in, const char *path, struct err *e) MUST_USE;

/* What has grown by site between two files. */
int sites_print_diff(const struct invocation *in, const struct show_out *o,
    const struct allocations *old, const struct allocations *now, struct err *e) MUST_USE;

/* "outer;inner 1234" a stack, live bytes: what flame graph tools and speedscope read. */
int sites_print_collapsed(
    const struct show_out *o, const struct allocations *a, struct err *e) MUST_USE;

/* From the root down: each function under its callers, with all that is allocated below it. */
int sites_print_tree(const struct invocation *in, const struct show_out *o,
    const struct allocations *a, struct err *e) MUST_USE;

/* Reads FILE.heapprofile or FILE.heaptimeline, also packed. */
int sites_open(const struct invocation *in, const char *path, struct allocations **ret,
    struct err *e) MUST_USE;

#endif
