/* Following the requests of one target: a hook in it (requests.js), kept alive by beats, that
 * counts every request by route and sends rows of those that are followed. */
#ifndef HEAPTAP_COLLECT_REQUESTS_H
#define HEAPTAP_COLLECT_REQUESTS_H

#include "cdp/connection.h"
#include "collect/requests_read.h"

struct requests;

struct requests_options {
    double sample; /* share of the requests that get rows, 0 to 1 */
    const char
        *match; /* rows only where this JavaScript expression matches "GET /path"; NULL: all */
    bool keep_query;
    bool keep_code;  /* V8 drops no bytecode meanwhile, so that floors differ by the app's doing */
    bool pairs;      /* requests may have snapshots before and after them: requests_pair_… */
    double overhead; /* rows are thinned to keep the hook's cost under this share of one thread */
};

struct requests_handlers {
    /* It is in place. */
    void (*following)(void *arg);
    void (*row)(void *arg, const struct request_row *row);
    /* About once a second, and once more when the hook was taken out. */
    void (*beat)(void *arg, const struct request_beat *beat);
    /* Requests that have no rows because nobody read them in time, or because they were no rows. */
    void (*lost)(void *arg, int64_t requests);
    /* A request that has snapshots has taken a step; NULL if pairs is not set. */
    void (*pair)(void *arg, const struct request_pair *pair);
    /* It could not be put in, or is over although nobody stopped it. ERR_USAGE: match is no
     * expression there. */
    void (*failed)(void *arg, const struct err *why);
};

/* Puts the hook in; o is copied, h must outlive it. Nothing is called within this call. */
int requests_start(struct loop *l, struct cdp_session *session, const struct requests_options *o,
    const struct requests_handlers *h, void *arg, struct requests **ret, struct err *e) MUST_USE;

/* An event of the session; true: it was a batch of ours. */
bool requests_event(struct requests *r, const char *method, const cJSON *params);

/* Has the next request that is followed wait for a snapshot: the whole process pauses in a debugger
 * that is enabled, or only that request is held. fn (may be NULL) gets the hook's answer. */
int requests_pair_arm(
    struct requests *r, bool pause, cdp_reply_fn fn, void *arg, struct err *e) MUST_USE;
/* Lets a held request go on; gives a pair up (no snapshot after it), releasing what is held. */
int requests_pair_release(struct requests *r, int64_t number, struct err *e) MUST_USE;
int requests_pair_abandon(struct requests *r, int64_t number, struct err *e) MUST_USE;
/* The same, and no later request has one until the next requests_pair_arm. */
int requests_pair_disarm(struct requests *r, int64_t number, struct err *e) MUST_USE;

/* Asks for a beat ahead of its time; with a floor as its last one, after a collection: the hook's
 * own if it has noted one since since_us (of the monotonic clock), else the heap as it is then. */
void requests_ask_beat(struct requests *r);
void requests_ask_floor(struct requests *r, int64_t since_us);

/* Takes the hook out. Its last rows and counts come before the answers to calls made after this. */
void requests_stop(struct requests *r);

/* Only when the session is gone. NULL is fine. */
void requests_free(struct requests *r);

#endif
