/* What a capture has come to. */
#ifndef HEAPTAP_COLLECT_OUTCOME_H
#define HEAPTAP_COLLECT_OUTCOME_H

#include "collect/file.h"
#include "collect/guard.h"

enum capture_state { CAPTURE_COMPLETE, CAPTURE_REFUSED, CAPTURE_FAILED };
const char *capture_state_name(enum capture_state state); /* "complete", "refused", "failed" */

struct capture_outcome {
    enum capture_kind kind;
    enum capture_state state;
    struct err why; /* for all but CAPTURE_COMPLETE */
    int64_t asked_at_ms;
    int64_t request_id; /* 0: of no request */
    struct guard_verdict verdict;
    double heap_used;             /* bytes before it; NAN: unknown */
    double heap_after;            /* bytes right after it, and so without garbage; NAN: unknown */
    int64_t rss_before, rss_peak; /* bytes; -1: the target is not of this host */
    double pause_ms; /* the target's stall; as its event loop measured it where it can */
    double guard_ms; /* of stall by what the guard had to find out, counts and collections */
    double duration_ms;
    int64_t epoch;
    bool new_epoch; /* ids were reset since the snapshot before: it compares by class only */
    bool counted;   /* the guard had nodes counted, which resets the ids and ends our profiler */
    const struct capture_result *file; /* of a complete one; borrowed for the call */
};

/* One of which nothing is known yet, asked for now. */
struct capture_outcome capture_outcome_new(enum capture_kind kind);

#endif
