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

/* Adds the cells requests (SHOW_COUNT), bytes_per_request, low, high (SHOW_SIZE) and leaks
 * (SHOW_WORD) of a route: what it had by the latest floor, recorded at the least, and what the
 * target keeps where it kept most. Nothing known: none, and "unknown". */
#define KEPT_ROUTES_CELLS 5
void kept_routes_cells(struct kept_routes *kept, const char *method, const char *route,
    int64_t recorded, struct show_table *table);

/* Adds a row of so many columns for each route (or only for `route`) that has had no cells yet: its
 * requests were counted, as a probe does, and none was recorded. Method, route and number come
 * first and 0 recorded, the cells above last, none between. */
void kept_routes_rest(
    struct kept_routes *kept, const char *route, size_t columns, struct show_table *table);

/* One line on the evidence, "" without any. Owned by kept. */
const char *kept_routes_note(const struct kept_routes *kept);

#endif
