/* Routes in order, by name, and as JSON. */
#include "command/told_routes.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>

static double kept(const struct told_route *r)
{
    return isnan(r->bytes) ? -1 : r->bytes * r->requests;
}

static int compare(const void *a, const void *b)
{
    const struct told_route *x = a, *y = b;
    if (x->estimate->leaks != y->estimate->leaks)
        return x->estimate->leaks ? -1 : 1;
    if (kept(x) != kept(y))
        return kept(x) > kept(y) ? -1 : 1;
    return (x->requests < y->requests) - (x->requests > y->requests);
}

void told_routes_sort(struct told_route *routes, size_t count)
{
    if (count)
        qsort(routes, count, sizeof *routes, compare);
}

char *told_route_name(const char *method, const char *path)
{
    return text_format("%s%s%s", method, *method ? " " : "", path);
}

const char *told_route_word(const struct routes_estimate *r)
{
    if (isnan(r->bytes))
        return "unknown";
    if (r->leaks)
        return r->together >= 0 ? "leaks, or its like" : "leaks";
    if (llround(r->low) <= 0)
        return "nothing shows";
    return r->together >= 0 ? "cannot be told apart" : "not sure";
}

void told_routes_json(cJSON *to, const struct told_route *routes, size_t count, int *rc)
{
    cJSON *list = show_json_array(to, "routes", rc);
    for (size_t i = 0; i < count; i++) {
        const struct told_route *r = &routes[i];
        cJSON *o = show_json_object(list, NULL, rc);
        show_json_word(o, "method", r->method, rc);
        show_json_word(o, "route", r->path, rc);
        show_json_number(o, "requests", r->requests, rc);
        show_json_number(o, "bytes_per_request", r->bytes, rc);
        show_json_number(o, "low", r->estimate->low, rc);
        show_json_number(o, "high", r->estimate->high, rc);
        show_json_bool(o, "leaks", r->estimate->leaks, rc);
        if (r->estimate->together >= 0)
            show_json_integer(o, "together", r->estimate->together, rc);
        else
            show_json_null(o, "together", rc);
    }
}
