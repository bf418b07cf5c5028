/* Routes with what a request of each keeps, in the order and the words in which run and probe tell
 * them. */
#ifndef HEAPTAP_COMMAND_TOLD_ROUTES_H
#define HEAPTAP_COMMAND_TOLD_ROUTES_H

#include "diagnose/routes.h"
#include "show/json.h"

struct told_route {
    const char *method, *path; /* borrowed, as estimate is */
    double requests;
    double bytes; /* a request; NAN: none that would be told */
    const struct routes_estimate *estimate;
};

/* What leaks first, then by the bytes that all its requests keep, then by requests. */
void told_routes_sort(struct told_route *routes, size_t count);

/* "GET /page"; owned by the caller, NULL when memory is out. */
char *told_route_name(const char *method, const char *path);

/* "leaks"; "nothing shows" where the interval begins at 0, and only there; else "not sure". Of
 * routes that come together "leaks, or its like" and "cannot be told apart"; "unknown". */
const char *told_route_word(const struct routes_estimate *r);

/* Adds an array "routes". */
void told_routes_json(cJSON *to, const struct told_route *routes, size_t count, int *rc);

#endif
