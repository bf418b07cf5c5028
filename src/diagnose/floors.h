/* The floors of the record: what was left of a heap after a full collection, and how many requests
 * of each route had ended by then. */
#ifndef HEAPTAP_DIAGNOSE_FLOORS_H
#define HEAPTAP_DIAGNOSE_FLOORS_H

#include "diagnose/routes.h"
#include "store/reader.h"

#define FLOORS_MAX        2000 /* of one answer; the newest ones of a target decide */
#define FLOORS_ROUTES_MAX 640  /* of one target; a run knows at most 402, and 200 of others */

struct floors_route {
    char *method, *path; /* owned; whoever wants to keep them sets them NULL */
    bool elsewhere;      /* its requests entered the process at other threads than the target */
};

/* Of one target, oldest first. Text comes from the target. */
struct floors {
    char run_id[UUID_TEXT_SIZE];
    int64_t target_id;
    size_t count, route_count;
    int64_t *wall_ms;
    double *bytes;    /* of the heap, without its young generation */
    double *external; /* bytes beside it; NAN: not known */
    double *native;   /* of resident memory, what neither accounts for; NAN: not known */
    bool *shaken;     /* since the floor before, a snapshot took native memory or left some that is
                         used again: growth says nothing; NULL: none was taken */
    bool *forced;     /* heaptap asked for the collection */
    bool probed;      /* of a probe: no request was in flight, and all rounds are known */
    bool *base;       /* a probe's round begins there: growth since the floor before is nobody's;
                         NULL: none does */
    double *counts;   /* count × route_count */
    struct floors_route *routes;
};

/* Called once for each target; 0 goes on. The floors are freed when it returns. */
typedef int (*floors_fn)(void *arg, struct floors *floors, struct err *e);

/* Reads what the filter leaves (metrics_floors.sql). */
int floors_read(struct reader *reader, const struct reader_filter *filter, floors_fn each,
    void *arg, struct err *e) MUST_USE;

enum floors_memory { FLOORS_HEAP, FLOORS_EXTERNAL, FLOORS_NATIVE };

/* Takes out of a series what snapshots leave behind in V8: between two floors with a snapshot
 * between and no request, where there are requests beside, the earlier ones are raised to the
 * later. taken_ms: when snapshots were taken. */
void floors_level(struct floors *f, const int64_t *taken_ms, size_t count);

/* Fills shaken. ERR_NOMEM. */
int floors_shake(struct floors *f, const int64_t *taken_ms, size_t count, struct err *e) MUST_USE;

/* What there is beside the routes. */
struct floors_beside {
    bool elsewhere;              /* routes are of requests that enter at another thread */
    size_t left_out;             /* a probe's rounds that nothing explains */
    struct routes_estimate time; /* of a probe's heap, by PROBED_TICK_MS; else nothing known */
};

/* The one estimate of what a request keeps, for all who tell it: routes_estimate on all floors, of
 * a probe's heap probed_estimate, unless by requests of others; ret_estimates: as many as routes.
 * Floors where that memory is not known are left out. By the requests of the target's own server,
 * or, where it had none or they do not account for what grows and others do, by those that entered
 * elsewhere and may have been handed on to it. Routes of the other kind are unknown. ret_beside may
 * be NULL. */
int floors_judge(const struct floors *floors, enum floors_memory memory,
    struct routes_estimate *ret_estimates, struct routes_summary *ret,
    struct floors_beside *ret_beside, struct err *e) MUST_USE;

#endif
