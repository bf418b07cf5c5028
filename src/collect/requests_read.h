/* What the hook in the target (requests.js) sends, judged: batches of rows, and answers to beats.
 * All of it comes from the target, so all of it may be a lie; what is not possible is refused. */
#ifndef HEAPTAP_COLLECT_REQUESTS_READ_H
#define HEAPTAP_COLLECT_REQUESTS_READ_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

/* The hook's own bounds, held against it. */
#define REQUESTS_BATCH_ROWS  1024
#define REQUESTS_ROUTES_MAX  201 /* 200, and "(other)" */
#define REQUESTS_FLOORS_MAX  32
#define REQUESTS_TEXT_MAX    4096 /* bytes: 512 characters, with room for what a base path adds */
#define REQUESTS_METHOD_MAX  32   /* the longest that Node's parser knows has 13 */
#define REQUESTS_PAYLOAD_MAX (2 * 1024 * 1024) /* 160 K characters, texts escaped; beats less */
#define REQUESTS_EXPIRED     "no beat came"    /* why a hook is over that missed our beats */
#define REQUESTS_STATUS_GONE 499 /* of a request that the client gave up, as proxies log it */

/* A followed request; index 0 is when it began, 1 when it ended. Texts are borrowed. */
struct request_row {
    const char *method, *url, *route;
    bool aborted; /* the client went before the answer did */
    int64_t pair; /* the number of its pair of snapshots, 0: it has none */
    int64_t wall_ms[2];
    double duration_ms;
    int64_t status;
    int64_t in_flight[2]; /* itself included; at the end at least 2 if another one overlapped */
    double heap_used[2], heap_total[2], external[2], rss[2]; /* bytes */
};

typedef void (*request_row_fn)(void *arg, const struct request_row *row);

/* Reads a batch that came at wall_ms and hands out its rows; none of them if it is no batch.
 * ret_dropped: requests that the hook had no room for since the batch before. */
int requests_read_batch(const char *payload, int64_t wall_ms, request_row_fn fn, void *arg,
    size_t *ret_rows, int64_t *ret_dropped, struct err *e) MUST_USE;

/* What pairs.js tells of a request that has a snapshot before and after it. */
enum request_step {
    REQUEST_BEFORE, /* it waits at its start */
    REQUEST_AFTER,  /* it waits at its end, or has come to it */
    REQUEST_WENT,   /* it goes on, having been paused or not */
};
struct request_pair {
    int64_t number; /* of the hook's pairs, from 1 */
    enum request_step step;
    const char *method, *url; /* borrowed; of REQUEST_BEFORE, else "" */
};
typedef void (*request_pair_fn)(void *arg, const struct request_pair *pair);

/* Whether a payload is of a pair, not a batch; and reads it. */
bool requests_is_pair(const char *payload);
int requests_read_pair(const char *payload, request_pair_fn fn, void *arg, struct err *e) MUST_USE;

struct request_route {
    const char *method, *path; /* borrowed from the beat */
    int64_t count;             /* ended requests since the hook began */
};

/* The heap after a full collection of the target's own. */
struct request_floor {
    int64_t wall_ms;
    double heap_used, young, heap_total, external, rss; /* bytes; young: of it, allocated since */
    double engine;                                      /* of it, compiled code and the like */
    bool forced;                         /* it was asked for, right behind a collection */
    int64_t counts[REQUESTS_ROUTES_MAX]; /* of the beat's routes, at that moment */
};

struct request_beat {
    const char *stopped; /* why the hook is over, "" while it is not */
    int64_t over_ms;     /* since then */
    const char *failure; /* its first exception, "" for none */
    bool blind;          /* the app uses HTTP/2, and this runtime has no channels for it */
    int64_t begun, aborted, in_flight, dropped;
    int64_t held;    /* characters of rows that waited in the target at the most since then */
    int64_t passed;  /* followed requests without a pair of snapshots since the beat before */
    double share;    /* of the requests that get rows now */
    double overhead; /* of the last full second, 0 to 1 and beyond */
    size_t route_count, floor_count;
    bool floor_asked; /* the last floor is the one that requests_ask_floor wanted */
    struct request_route routes[REQUESTS_ROUTES_MAX];
    struct request_floor floors[REQUESTS_FLOORS_MAX];
    cJSON *tree; /* owned; what the texts are borrowed from */
};

/* Reads a beat's answer, which came at wall_ms; requests_beat_free ends it. */
int requests_read_beat(
    const char *text, int64_t wall_ms, struct request_beat **ret, struct err *e) MUST_USE;
void requests_beat_free(struct request_beat *beat); /* NULL is fine */

#endif
