/* May we capture now? A snapshot stalls its target and takes native memory that no V8 limit bounds,
 * so every capture asks here first. Pure: facts in, answer out; who asks does the reading. */
#ifndef HEAPTAP_COLLECT_GUARD_H
#define HEAPTAP_COLLECT_GUARD_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum guard_answer {
    GUARD_GO,
    GUARD_DEGRADE, /* go, but with less (compressed, fewer): the reason says what */
    GUARD_REFUSE,
    GUARD_FORCED, /* would be refused, but --force was given */
};

/* What the last capture of the same target showed. */
struct guard_history {
    int64_t heap_used; /* bytes, just before it; 0: there was none */
    int64_t nodes;
    int64_t pause_us;
    int64_t memory;     /* bytes that its RSS rose by; 0: unknown */
    int64_t file_bytes; /* uncompressed */
};

/* Unknown figures are -1. */
struct guard_facts {
    int64_t heap_used;      /* bytes now */
    int64_t heap_limit;     /* V8's, bytes */
    int64_t host_available; /* bytes */
    int64_t group_room;     /* bytes below the control group's limit */
    int64_t disk_free;      /* bytes */
    int64_t nodes;          /* counted before the capture */
    struct guard_history history;
};

struct guard_limits {
    int64_t max_pause_us;
    int64_t min_free; /* bytes of disk that must stay */
    bool force;
};

struct guard_forecast {
    const char *by; /* "history", "count" or "rule" */
    int64_t nodes;  /* -1: not known */
    int64_t pause_us;
    int64_t memory;     /* native bytes that the target will need */
    int64_t disk_bytes; /* of the file, uncompressed */
};

#define GUARD_REASON_SIZE 512

/* Writes the forecast, and for every answer but GUARD_GO what stands in the way and what would have
 * to change. */
enum guard_answer guard_decide(const struct guard_facts *facts, const struct guard_limits *limits,
    struct guard_forecast *ret_forecast, char reason[GUARD_REASON_SIZE]);

/* "go", "degrade", "refuse", "forced". */
const char *guard_answer_name(enum guard_answer answer);

/* How long to wait after a pause so that pauses stay within share of the time, microseconds. */
int64_t guard_rest_us(int64_t pause_us, double share);

#endif
