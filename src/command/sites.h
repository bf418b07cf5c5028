/* Allocations for people and programs: by site, by interval, as collapsed stacks. */
#ifndef HEAPTAP_COMMAND_SITES_H
#define HEAPTAP_COMMAND_SITES_H

#include "command/command.h"
#include "heap/allocations.h"
#include "heap/heap.h"
#include "show/out.h"
#include "show/table.h"

#define SITES_ROWS 30 /* on a terminal; --top changes it */

/* The whole answer for one file: sites, and the intervals of a timeline. */
int sites_print(const struct invocation *in, const struct show_out *o, const char *path,
    const struct allocations *a, struct err *e) MUST_USE;

/* Opens the file that a recording made and prints that answer to standard output. */
int sites_show(const struct invocation *in, const char *path, struct err *e) MUST_USE;

/* What has grown by site between two files. */
int sites_print_diff(const struct invocation *in, const struct show_out *o,
    const struct allocations *old, const struct allocations *now, struct err *e) MUST_USE;

/* Reads FILE.heapprofile or FILE.heaptimeline, also packed. ret_heap may be NULL; it gets the heap
 * of a timeline, NULL of a profile: heap_close. */
int sites_open(const struct invocation *in, const char *path, struct allocations **ret,
    struct heap **ret_heap, struct err *e) MUST_USE;

/* ---- what the other views of allocations share ---- */

#define SITES_PLACE_COLUMNS                                                                        \
    {"FUNCTION", "function", SHOW_NAME, 0}, {"URL", "url", SHOW_NAME, 0},                          \
        {"LINE", "line", SHOW_COUNT, 0},                                                           \
    {                                                                                              \
        "COLUMN", "column", SHOW_COUNT, 0                                                          \
    }
void sites_add_place(struct show_table *t, const struct allocation_frame *f); /* those columns */
/* Appends "function (file.js:12)", for a line that has no room for the whole path. */
int sites_add_frame(struct buf *to, const struct allocation_frame *f) MUST_USE;
void sites_add_amount(struct show_table *t, int64_t value); /* none if ALLOCATION_UNKNOWN */
void sites_json_frame(cJSON *to, const struct allocation_frame *f, int *rc);
void sites_json_amounts(
    cJSON *to, int64_t live_count, int64_t live_bytes, int64_t count, int64_t bytes, int *rc);

#endif
