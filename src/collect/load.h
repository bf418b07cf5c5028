/* The load of a probe: batches of HTTP requests over a few connections, by a thread of its own.
 * libcurl stands behind it and nowhere else. Connections are kept alive within a batch and closed
 * at its end, so that none of them is in the target's heap when it is measured. Nothing is
 * requested but what the requests say: no redirect is followed, no proxy asked, no cookie kept. */
#ifndef HEAPTAP_COLLECT_LOAD_H
#define HEAPTAP_COLLECT_LOAD_H

#include "cdp/loop.h"
#include "collect/load_request.h"

#define LOAD_CONCURRENCY_MAX 256
#define LOAD_BATCH_MAX       10000000 /* requests; their order takes 2 bytes each */

struct load;

struct load_options {
    const struct load_request *requests; /* borrowed for the load's life, as are the headers */
    size_t request_count;                /* 1 to LOAD_REQUESTS_MAX */
    const char *const *headers;          /* "Name: value" */
    size_t header_count;
    int concurrency;    /* requests at a time */
    int64_t timeout_us; /* of one request */
    bool insecure;      /* take any certificate */
};

/* What came of the requests of one kind in a batch. */
struct load_tally {
    int64_t sent;
    int64_t answers[6]; /* by the status's first digit */
    int64_t failed;     /* no answer */
    int last_status;    /* of the latest answer from 400 on; 0: none */
    char why[192];      /* the first failure in words of libcurl, "" for none */
};

struct load_result {
    const struct load_tally *tallies;  /* as many as requests; borrowed for the call */
    int64_t answered, failed, refused; /* refused: of the answered, with a status from 500 on */
    int64_t elapsed_us;
    bool cut; /* by load_cut */
};

typedef void (*load_fn)(void *arg, const struct load_result *result);

/* Starts the thread. ERR_NOMEM, ERR_USAGE (a header that is none). */
int load_new(struct loop *l, const struct load_options *o, load_fn fn, void *arg, struct load **ret,
    struct err *e) MUST_USE;

/* Sends a batch: counts of each kind, in an order that the seed decides. fn comes later, once. Only
 * one batch at a time. */
int load_send(struct load *load, const int64_t *counts, uint64_t seed, struct err *e) MUST_USE;

/* Requests of the batch that have ended so far. */
int64_t load_done(const struct load *load);

/* Begins no more requests and gives those that run up. */
void load_cut(struct load *load);

/* Drops what runs; fn is not called any more. NULL is fine. */
void load_free(struct load *load);

#endif
