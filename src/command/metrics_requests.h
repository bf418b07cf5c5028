/* The part of `metrics requests` that comes from floors: what a request of each route keeps. */
#ifndef HEAPTAP_COMMAND_METRICS_REQUESTS_H
#define HEAPTAP_COMMAND_METRICS_REQUESTS_H

#include "show/table.h"
#include "store/reader.h"

struct kept_routes;

/* Reads the floors that the filter leaves and judges them, target by target. */
int kept_routes_read(struct reader *reader, const struct reader_filter *filter,
    struct kept_routes **ret, struct err *e) MUST_USE;
void kept_routes_free(struct kept_routes *kept); /* NULL is fine */

/* Adds the cells bytes_per_request, low, high (SHOW_SIZE) and leaks (SHOW_WORD) of a route: that of
 * the target where it kept most. Nothing known: none, and "unknown". */
void kept_routes_cells(const struct kept_routes *kept, const char *method, const char *route,
    struct show_table *table);

/* One line on the evidence, "" without any. Owned by kept. */
const char *kept_routes_note(const struct kept_routes *kept);

#endif
