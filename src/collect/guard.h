/* May we capture now? A snapshot stalls its target and takes native memory that no V8 limit bounds,
 * so every capture asks here first. Pure: facts in, answer out; who asks does the reading. The
 * figures behind it stand in docs/guard.md. */
#ifndef HEAPTAP_COLLECT_GUARD_H
#define HEAPTAP_COLLECT_GUARD_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum guard_answer {
    GUARD_GO,
    GUARD_DEGRADE, /* go, but compressed: the disk has no room for the plain file */
    GUARD_REFUSE,
    GUARD_FORCED, /* would be refused, but --force was given */
};

/* What stands in the way; several may. */
enum guard_cause {
    GUARD_NO_CAUSE = 0,
    GUARD_MEMORY = 1,
    GUARD_PAUSE = 2,
    GUARD_DISK = 4,  /* --min-free */
    GUARD_QUOTA = 8, /* --max-disk */
    GUARD_HEAP = 16, /* V8's own limit */
};

/* What an earlier capture showed. */
struct guard_history {
    int64_t heap_used; /* bytes right after it, and so without garbage; 0: there was none */
    int64_t nodes;
    int64_t pause_us;
    int64_t memory;     /* native bytes that it took, used again or new; 0: unknown */
    int64_t file_bytes; /* uncompressed; 0: unknown */
    bool of_earlier_run;
};

/* A count of the heap's nodes. */
struct guard_count {
    int64_t nodes;     /* 0: there was none */
    int64_t heap_used; /* bytes then, without garbage */
    int64_t stall_us;  /* one walk of the heap, which tells how fast target and host are */
    int64_t age_us;
};

/* Unknown figures are -1. */
struct guard_facts {
    int64_t heap_used;      /* bytes now */
    int64_t heap_limit;     /* V8's for its old generation, bytes */
    int64_t host_available; /* bytes */
    int64_t group_room;     /* bytes below the control group's limit */
    int64_t disk_free;      /* bytes */
    int64_t quota_room;     /* bytes that --max-disk leaves */
    int64_t retained;  /* native bytes of captures before that the target still has; 0 if unknown */
    double load;       /* runnable processes a processor; 0 if unknown */
    bool worker_limit; /* heap_limit is what the worker was made with */
    bool fast_engine;  /* V8 12 and later build snapshots faster */
    struct guard_history history;
    struct guard_count count;
};

struct guard_limits {
    int64_t max_pause_us;
    int64_t min_free; /* bytes of disk that must stay */
    bool compress;
    bool force;
};

struct guard_forecast {
    const char *by; /* "history", "count" or "rule" */
    int64_t nodes;
    int64_t pause_us;
    int64_t memory;     /* native bytes that the target will need on top of what it has */
    int64_t disk_bytes; /* of the file, compressed if that is asked for */
};

#define GUARD_REASON_SIZE 512

struct guard_verdict {
    enum guard_answer answer;
    unsigned causes; /* enum guard_cause, or'ed */
    struct guard_forecast forecast;
    int64_t disk_wanted;            /* bytes of the file as it was asked for */
    char reason[GUARD_REASON_SIZE]; /* what stands in the way and would have to change; or "" */
};

void guard_decide(
    const struct guard_facts *facts, const struct guard_limits *limits, struct guard_verdict *ret);

/* Bytes that the wanted file would take compressed. */
int64_t guard_compressed(const struct guard_verdict *v);

/* What would make a better forecast, and is worth its price. */
enum guard_step {
    GUARD_DONE,    /* nothing: the verdict stands */
    GUARD_COLLECT, /* a garbage collection: what is used may be garbage */
    GUARD_COUNT,   /* a count of nodes, which ends the epoch of object ids */
};

/* What was done and what there is to lose. */
struct guard_progress {
    bool collected, counted; /* for this capture already */
    bool can_count;          /* the runtime tells */
    bool ids_matter;         /* there is a snapshot in this epoch */
    int64_t refusals;        /* of this target one after the other until now */
};

enum guard_step guard_next(const struct guard_facts *facts, const struct guard_limits *limits,
    const struct guard_verdict *verdict, const struct guard_progress *progress);

/* How long a count of the heap's nodes stalls the target, twice. */
int64_t guard_count_stall_us(const struct guard_facts *facts);

/* "go", "degrade", "refuse", "forced". */
const char *guard_answer_name(enum guard_answer answer);

/* How long to wait after a pause so that pauses stay within share of the time, microseconds. */
int64_t guard_rest_us(int64_t pause_us, double share);

/* When to try again after that many refusals in a row: at the next interval first, then ever
 * later, but within the hour (or at the next interval, if that is longer). */
int64_t guard_retry_us(int64_t interval_us, int64_t refusals);

#endif
