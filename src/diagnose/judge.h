/* The verdict on one target from its readings alone: which memory grows, how fast, until when. */
#ifndef HEAPTAP_DIAGNOSE_JUDGE_H
#define HEAPTAP_DIAGNOSE_JUDGE_H

#include "diagnose/diagnosis.h"
#include "diagnose/evidence.h"
#include "diagnose/trend.h"

/* What a healthy process moves by on its own, beside trend.h's for the JS heap: buffers and sockets
 * outside the heap, and the allocator's and V8's own memory in RSS. */
#define JUDGE_EXTERNAL_BYTES 524288.0
#define JUDGE_EXTERNAL_SHARE 0.05
#define JUDGE_RSS_BYTES      (16 * 1048576.0)
#define JUDGE_RSS_SHARE      0.10

struct judgement {
    enum diagnosis_verdict verdict;
    enum diagnosis_memory memory;
    struct trend trend;  /* of the memory that decided */
    bool by_counts;      /* set by diagnose.c: counts of objects decided, not the trend */
    bool by_routes;      /* set by diagnose.c: what requests of routes keep in a probe decided */
    bool strong;         /* its points were read right after full collections */
    size_t floors;       /* such points there are of the heap */
    size_t readings;     /* points of any kind */
    double span_seconds; /* of all of them */
    double share_active; /* of the time: the rest was idle and counted as no time; 1: none was */
    double seconds_to_limit;
    struct diagnosis_point *series; /* what was judged, for a plot; owned */
    size_t series_count;
};

/* ERR_NOMEM. */
int judge_target(const struct evidence_target *t, struct judgement *ret, struct err *e) MUST_USE;
void judge_clear(struct judgement *j);

/* The verdict that a trend stands for. strong: its points are floors. */
enum diagnosis_verdict judge_trend(const struct trend *t, bool strong);

#endif
