/* The controlled experiment on a running server: the same few requests in rounds of different
 * mixes, and after each round the heap without garbage. What differs between the rounds is known,
 * so what each request keeps can be told. A probe is a run (run.h) of steps; the record is a run's.
 */
#ifndef HEAPTAP_COLLECT_PROBE_H
#define HEAPTAP_COLLECT_PROBE_H

#include "collect/load.h"
#include "collect/run.h"

struct probe;

#define PROBE_ROUNDS_MAX   10000
#define PROBE_COMMAND_RUNS 8 /* rounds of a command, whose mix nobody knows */

struct probe_options {
    struct load_options
        load;              /* without requests: command is the load; headers and all are borrowed */
    char *const *command;  /* NULL: none */
    int64_t rounds, count; /* 0: as many as it takes; count: requests a round */
    int64_t settle_us;     /* after a round, before its floor */
    int64_t snapshots;     /* from the start to the end, evenly; 0: none */
    int64_t snapshot_interval_us; /* 0: snapshots says; else one after a round when it has passed */
};

struct probe_route {
    char *method, *path; /* owned by the probe; from outside */
};

/* Round 0 is the start: it has a floor, and no requests. */
struct probe_round {
    int64_t *counts; /* requests that ended in it by route; as many as route_count said then */
    size_t route_count;
    double floor_bytes; /* at its end */
    double
        next_bytes; /* what the next round starts from: after a snapshot the floor is read anew */
    int64_t elapsed_us; /* from the floor before to this one */
    int64_t wall_ms;    /* when the floor was read */
    int64_t next_ms;    /* when it was read anew; 0: it was not */
    bool snapshot;      /* one was taken at its end */
};

struct probe_facts {
    const struct probe_route *routes;
    size_t route_count;
    const struct probe_round *rounds;
    size_t round_count;    /* with round 0 */
    int64_t rounds_wanted; /* without it */
    int64_t count;         /* requests a round */
    int64_t warm_ups;      /* rounds */
    int64_t warm_up_requests;
    bool settled; /* the floor rose evenly at the end of the warm-up */
    bool hooked;  /* routes are the server's own, else what was asked for */
    bool partial; /* it was ended before its last round */
    int64_t sent, answered, failed, refused; /* of our own requests, warm-up included */
    size_t target;                           /* index in the run, of the one that serves */
};

/* Begins. run: its options; floors and snapshots are the probe's own doing. h and arg are told what
 * a run tells; progress also of rounds ("warming up", "probing"). */
int probe_start(struct loop *l, const struct run_options *run, const struct probe_options *o,
    const struct run_handlers *h, void *arg, struct probe **ret, struct err *e) MUST_USE;

struct run *probe_run(const struct probe *p); /* borrowed, until probe_free */
struct probe_facts probe_facts(const struct probe *p);

/* After its run ended or was aborted; frees the run, too. NULL is fine. */
void probe_free(struct probe *p);

#endif
