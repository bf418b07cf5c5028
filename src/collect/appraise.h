/* What the guard must know before a capture: a reading, the host, and where that is not enough a
 * garbage collection or a count of nodes. */
#ifndef HEAPTAP_COLLECT_APPRAISE_H
#define HEAPTAP_COLLECT_APPRAISE_H

#include "collect/guard.h"
#include "collect/target.h"

struct appraisal;

/* What one capture of a target leaves for the next; zeroed for a target's first. */
struct capture_memory {
    struct guard_history history;
    struct guard_count count;
    int64_t counted_at_us; /* monotonic, of count */
    int64_t refusals;      /* since the last capture */
    /* Resident bytes beside V8's heap and buffers: before the first capture and right after the
     * last. What they differ by is memory that captures left to the allocator. 0: unknown. */
    int64_t native_first, native_after;
    int unanswered;    /* snapshots that the target is still busy with, though nobody wants them */
    int64_t epoch;     /* of the last capture: object ids compare only within one; 0: none yet */
    int64_t canary_id; /* heap object id of the sampler's object then; 0: unknown */
};

/* Resident bytes beside V8's heap and buffers; 0 if the sample does not tell. */
int64_t appraise_native(const struct sample *s);

struct appraise_handlers {
    void (*sampled)(void *arg, const char *label, const struct sample *sample);
    void (*progress)(void *arg, const char *phase);
    /* Bytes that --max-disk leaves, -1 for no bound. */
    int64_t (*quota_room)(void *arg);
    /* Asks for room on the disk for a file of so many bytes; true when there is more than before.
     */
    bool (*make_room)(void *arg, int64_t bytes);
    /* Once; the appraisal is freed after it. verdict NULL: why there is none. */
    void (*done)(void *arg, const struct guard_verdict *verdict, const struct err *why);
};

struct appraise_options {
    struct target *target;
    struct capture_memory *memory; /* of the target, outlives the appraisal */
    const char *folder;            /* borrowed, outlives it */
    bool standing; /* the target stands still in a debugger: it answers no collection, no count */
    struct guard_limits limits;
};

int appraise_start(struct loop *l, const struct appraise_options *o,
    const struct appraise_handlers *h, void *arg, struct appraisal **ret, struct err *e) MUST_USE;

/* The owner passes on what the target sends meanwhile. */
void appraise_event(struct appraisal *a, const char *method, const cJSON *params);

/* What it has cost the target so far, and what stands fast of its result. */
struct appraise_costs {
    int64_t stall_us;   /* of collections and counts */
    int64_t retained;   /* native bytes of captures before that the target still had */
    bool disabled;      /* a count was ended with HeapProfiler.disable */
    double heap_before; /* bytes used at the first reading; NAN: unknown */
    bool ended_epoch;   /* the count wiped the object ids of an epoch that had a snapshot */
};
const struct appraise_costs *appraise_costs(const struct appraisal *a);

/* Drops it, done is not called. target_alive: what runs in the target may still be stopped. NULL is
 * fine. */
void appraise_cancel(struct appraisal *a, bool target_alive);

#endif
