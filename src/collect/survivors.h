/* What a while of traffic leaves behind: V8's sampling profiler is on for that while, then a full
 * collection, and what of the samples still lives goes to a .heapprofile file. */
#ifndef HEAPTAP_COLLECT_SURVIVORS_H
#define HEAPTAP_COLLECT_SURVIVORS_H

#include "collect/capture.h"
#include "heap/allocations.h"

struct survivors;

struct survivors_options {
    struct target *target;
    struct capture_writer *writer;
    const char *path; /* the file's final name, without .zst; copied */
    bool compress;
    int64_t sample_every; /* bytes; a profiler that runs already keeps its own */
    int64_t duration_us;
};

/* Begins. Where a profiler runs already, it is left running, and what it had sampled before is not
 * in the file. h and arg outlive it; done comes once, after which it is freed. */
int survivors_start(struct loop *l, const struct survivors_options *o,
    const struct capture_handlers *h, void *arg, struct survivors **ret, struct err *e) MUST_USE;

/* Ends the while early; what has survived so far is kept. */
void survivors_finish(struct survivors *s);
/* The target is gone: fails it (done is called from here), unless all of it has come. */
void survivors_target_gone(struct survivors *s, const struct err *why);
/* Drops it: no file stays, done is not called. NULL is fine. */
void survivors_cancel(struct survivors *s);

/* What the file holds, from done on; borrowed. NULL before. */
const struct allocations *survivors_stacks(const struct survivors *s);

/* Takes the samples up to an ordinal out of a sampling profile, in place: what a profiler that was
 * running before has sampled until then. ERR_FORMAT if the profile tells no samples. For tests. */
int survivors_subtract(cJSON *profile, double last_ordinal, struct err *e) MUST_USE;
/* The largest ordinal of a profile's samples, 0 without any. */
double survivors_last_ordinal(const cJSON *profile);

#endif
