/* Readings of one target's memory, at a price that allows one a second on a busy server. Where the
 * runtime is Node or Deno a small function in the target does the reading (sampler.js); elsewhere
 * the protocol's own figures of the JavaScript heap have to do. */
#ifndef HEAPTAP_COLLECT_SAMPLER_H
#define HEAPTAP_COLLECT_SAMPLER_H

#include "cdp/connection.h"

#include <sys/types.h>

struct sampler;

/* One reading; sizes in bytes, NAN where the runtime does not tell. */
struct sample {
    int64_t wall_ms; /* when it was taken: a stalled target takes it late */
    double heap_used, heap_total, external, array_buffers, rss;
    double heap_limit; /* V8's; of a worker thread with a lower one of its own that */
    double gc_count, gc_major, gc_ms;        /* since we attached */
    double loop_delay_ms, loop_delay_max_ms; /* since the reading before; a stall so far */
    double loop_utilization;                 /* 0 to 1, since the reading before */
    const char *heap_spaces;                 /* JSON object, NULL if unknown; borrowed */
};

/* Makes the sampler of a session and installs what it needs in the target. ready comes once, never
 * inside this call; why (NULL: all is well) tells why only the heap's own figures can be had.
 * host_pid: the process in this host's /proc, whose resident memory is then read there; 0: not
 * known. expiry_us: should heaptap vanish, what it installed ends itself after that. */
typedef void (*sampler_ready_fn)(void *arg, const struct err *why);
int sampler_new(struct cdp_session *session, bool scripted, pid_t host_pid, int64_t expiry_us,
    sampler_ready_fn ready, void *arg, struct sampler **ret, struct err *e) MUST_USE;

/* Asks for a reading; fn is called once, with the sample or with why. */
typedef void (*sample_fn)(void *arg, const struct sample *sample, const struct err *why);
int sampler_read(
    struct sampler *s, int64_t deadline_us, sample_fn fn, void *arg, struct err *e) MUST_USE;

/* The object in the target that readings come from: it lives as long as the session does, so its
 * heap object id tells whether ids were reset. NULL before ready. */
const char *sampler_object(const struct sampler *s);

/* What the old generation of a worker thread's heap may hold, bytes; NAN: of other targets, where
 * heap_limit counts a young generation, too. Known when ready. */
double sampler_old_limit(const struct sampler *s);

/* Has V8 leave objects where they are in its full collections (still), or compact them again as it
 * does by itself. An object that it moves after a recording has counted it loses its stack
 * (HeapProfiler::ObjectMoveEvent), so a recording of stacks is whole only while they stay. Undone
 * also by sampler_stop, and when heaptap vanishes. Where the runtime cannot, it stays as it was. */
void sampler_stay_still(struct sampler *s, bool still);

/* Removes what was installed. fn (may be NULL) is called when the target has done so, or cannot. */
void sampler_stop(struct sampler *s, void (*fn)(void *arg), void *arg);

/* Only when the session is gone: all calls have been answered then. NULL is fine. */
void sampler_free(struct sampler *s);

/* Judges what the target sent for a reading; spaces: the names of the heap's spaces, a JSON array,
 * NULL if unknown. ret_spaces gets the text of heap_spaces (owned by the caller). For tests. */
int sampler_parse(const char *text, const cJSON *spaces, struct sample *ret, char **ret_spaces,
    struct err *e) MUST_USE;

#endif
