/* One heap snapshot or allocation timeline, from the question whether it may be taken to the file
 * under its name. */
#ifndef HEAPTAP_COLLECT_CAPTURE_H
#define HEAPTAP_COLLECT_CAPTURE_H

#include "collect/appraise.h"
#include "collect/file.h"
#include "collect/outcome.h"
#include "collect/recording.h"

struct capture;

/* The phase in which another capture on this host has to end first. */
#define CAPTURE_WAITING "waiting for another capture"

struct capture_handlers {
    /* A reading next to the capture: label is before-snapshot or after-snapshot. */
    void (*sampled)(void *arg, const char *label, const struct sample *sample);
    /* done and total count what the target walks (total 0: not told); bytes have been received.
     * phase: CAPTURE_WAITING, "collecting garbage", "counting objects", "building" (see progress),
     * "receiving", "storing". */
    void (*progress)(void *arg, const char *phase, int64_t done, int64_t total, int64_t bytes);
    /* A line for a person: what a long wait is for. */
    void (*said)(void *arg, const char *text);
    /* A timeline's heap as it changes, about 20 times a second; may be NULL. */
    void (*recorded)(void *arg, const struct recording *recording);
    /* Bytes that --max-disk leaves (-1: no bound), and the wish for room for so many. */
    int64_t (*quota_room)(void *arg);
    bool (*make_room)(void *arg, int64_t bytes);
    /* Once, at the end; the capture is freed after it. */
    void (*done)(void *arg, const struct capture_outcome *outcome);
};

struct capture_options {
    struct target *target;
    struct capture_writer *writer;
    struct capture_memory *memory; /* of the target, outlives the capture */
    struct guardian *guardian;     /* should this process be killed; NULL: none */
    const char *path;              /* the file's final name, without .zst */
    const char *folder;            /* where it is, for the free space */
    enum capture_kind kind;        /* a snapshot or a timeline */
    int64_t recording_us;          /* of a timeline: how long it records */
    bool stacks;                   /* of a timeline: who allocated what, at a high price */
    int64_t patience_us;           /* for its turn on this host; 0: without end */
    bool progress;                 /* tell "building": it costs Node 20 a sixth of the time */
    bool standing;                 /* the target stands still in a debugger */
    int64_t request_id;            /* of the request that it is taken for; 0: none */
    struct guard_limits limits;
};

/* Begins; strings are copied. h and arg outlive it. */
int capture_start(struct loop *l, const struct capture_options *o, const struct capture_handlers *h,
    void *arg, struct capture **ret, struct err *e) MUST_USE;

/* The owner passes on what the target sends while its capture runs. */
void capture_chunk(struct capture *c, const char *escaped, size_t length);
void capture_event(struct capture *c, const char *method, const cJSON *params);

/* Ends a recording early; what it has is kept. */
void capture_end_recording(struct capture *c);

/* The target is gone: fails the capture (done is called from here). */
void capture_target_gone(struct capture *c, const struct err *why);

/* Whether it has had its turn on this host, and asked its target for anything. */
bool capture_has_begun(const struct capture *c);

/* Whether the target is being disturbed: until then it can be read as always. */
bool capture_disturbs(const struct capture *c);

/* Whether it would come to its end with the target standing still in a debugger. */
bool capture_ends_standing(const struct capture *c);

/* Nobody can wait any longer: a capture that has not had its turn on this host yet is not begun
 * (done is called from here); one that has goes on. */
void capture_hurry(struct capture *c);

/* Somebody wants to leave: as capture_hurry, and one that the target has not begun after a short
 * patience is given up (done is called then). One that it builds or sends goes on to its end. */
void capture_interrupt(struct capture *c);

/* Drops it: no file stays, done is not called. The target may go on sending. NULL is fine. */
void capture_cancel(struct capture *c);

#endif
