/* The live profile: V8's sampling heap profiler kept on in a target, and read now and then. It
 * holds live objects only, so what a leak allocates shows as a site whose bytes grow, without a
 * snapshot.
 *
 * The profiler is the process's only one. One that runs already is somebody else's: it is left
 * alone (unless `steal`), and asked after a few times in the next minute. One that is ours can be
 * ended by any other client; then it is started again, which breaks the series, up to
 * LIVE_PROFILE_LOSSES times.
 *
 * The session ends the profiler when it ends, however it ends, and without a collection: leaving
 * needs no call. */
#ifndef HEAPTAP_COLLECT_LIVE_PROFILE_H
#define HEAPTAP_COLLECT_LIVE_PROFILE_H

#include "collect/sampler.h"
#include "heap/allocations.h"

struct live_profile;

#define LIVE_PROFILE_LOSSES 3    /* then somebody else wants it more than we do */
#define LIVE_PROFILE_SHARE  0.01 /* of the time, for the collections that readings force */

struct live_profile_options {
    struct cdp_session *session; /* borrowed, as is the sampler */
    struct sampler *sampler;
    int64_t sample_every; /* bytes */
    int64_t interval_us;  /* between readings, unless their cost asks for more */
    bool steal;           /* take over one that runs */
};

struct live_reading {
    int64_t number;  /* of this series of the target, from the first one on without a gap */
    int64_t wall_ms; /* also of sample */
    /* Right after the collection that reading forces, so it is the heap's floor; NULL: none. */
    const struct sample *sample;
    int64_t cost_us; /* the target's stall */
    const struct allocations *stacks;
    const struct allocation_sites *then,
        *now; /* then: of the reading before, empty for the first */
};

struct live_profile_handlers {
    /* False: the target has something better to do; asked again a second later. */
    bool (*may_read)(void *arg);
    void (*read)(void *arg, const struct live_reading *reading);
    /* Somebody else samples the heap, and that is waited for; once, one line. */
    void (*waits)(void *arg, const char *why);
    /* The series begins anew with the next reading; or ended for good. One line each. */
    void (*broken)(void *arg, const char *why);
    void (*ended)(void *arg, const char *why);
};

/* Begins; h outlives it. first_number: of its first reading, for a target that had readings. */
int live_profile_new(struct loop *l, const struct live_profile_options *o,
    const struct live_profile_handlers *h, void *arg, int64_t first_number,
    struct live_profile **ret, struct err *e) MUST_USE;

/* Our own session has used HeapProfiler.disable, which ends the profiler: it begins anew, and that
 * counts as no loss. */
void live_profile_was_disabled(struct live_profile *p);

/* A last reading, now, if the latest is older than half an interval; fn comes once, perhaps within
 * this call, at the latest when its deadline passes. */
void live_profile_finish(struct live_profile *p, void (*fn)(void *arg), void *arg);

/* The same, however young the latest is. */
void live_profile_read(struct live_profile *p, void (*fn)(void *arg), void *arg);

/* The number that a next reading would have. */
int64_t live_profile_number(const struct live_profile *p);

/* Only when the session is gone, so that all calls were answered. NULL is fine. */
void live_profile_free(struct live_profile *p);

#endif
