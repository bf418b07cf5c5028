/* A run: several targets followed at once, readings and snapshots on a schedule, all of it into the
 * journal and told to whoever started the run. It prints nothing. */
#ifndef HEAPTAP_COLLECT_RUN_H
#define HEAPTAP_COLLECT_RUN_H

#include "collect/capture.h"
#include "collect/classes.h"
#include "collect/requests.h"
#include "collect/target.h"
#include "store/journal.h"

struct run;

struct run_options {
    const struct address *addresses; /* copied */
    size_t address_count;
    char *const *command;        /* NULL: none; else started and watched in place of addresses */
    bool command_apart;          /* standard output is not for what command writes */
    const char *match;           /* for command, NULL: the process that listens */
    struct journal *journal;     /* borrowed; a run has begun in it; NULL: no record */
    int64_t metrics_interval_us; /* 0: no readings but those around snapshots */
    bool snapshots;
    int64_t snapshot_interval_us;
    int64_t max_snapshots; /* of each target, and as many of its requests; 0: no bound */
    bool manual;           /* one snapshot by hand, then the end; schedule and share do not count */
    bool stepped; /* floors and snapshots when run_take_… asks; a lost target is not sought */
    bool by_hand; /* captures when run_capture asks; only run_finish ends a run that was attached */
    int64_t duration_us; /* from the first attach; 0: until run_finish */
    int64_t wait_us, give_up_us;
    const char *folder, *label; /* label NULL: "run" */
    const char *output;         /* the path of the only snapshot, NULL: named by the run */
    bool analyze;               /* fill heap_classes from each snapshot */
    int64_t live_sample_every;  /* bytes; 0: no live profile */
    int64_t live_interval_us;
    bool live_steal;
    bool timeline;                /* the manual capture is a timeline, not a snapshot */
    bool stacks;                  /* of timelines: record them */
    int64_t timeline_interval_us; /* 0: no timelines on a schedule */
    bool survivors;               /* a sampling profile in place of a snapshot; manual only */
    int64_t sample_every;         /* bytes, of survivors */
    int64_t recording_us;         /* how long survivors or a timeline last */
    bool progress;   /* of captures: somebody sees how far the target is with building them */
    char **ret_path; /* the manual capture's file, owned by the caller; NULL: nobody asks */
    struct guard_limits limits;
    int64_t keep;     /* snapshots of each target; 0: all */
    int64_t max_disk; /* bytes of captures in folder; 0: no bound */
    double max_pause_share;
    bool allow_remote;
    bool requests;                  /* follow them */
    struct requests_options follow; /* pairs: with snapshots before and after them */
    bool hold;           /* for those, hold the request in place of pausing the process */
    int64_t gc_floor_us; /* force a collection that often; 0: read after the target's own */
};

/* Requests of one kind, all of them, whether they had rows or not. Texts come from outside. */
struct run_route {
    char *method, *path;
    int64_t requests; /* ended since we attached */
};

/* The heap right after a full collection, and how many requests of each route had ended by then. */
struct run_floor {
    int64_t wall_ms;
    double bytes;       /* without the young generation and the engine's own */
    bool forced;        /* we asked for the collection */
    size_t route_count; /* of counts; routes that came later had none */
    int64_t *counts;
};

struct run_requests {
    struct run_route *routes; /* in the order in which they were seen */
    size_t route_count;
    struct run_floor *floors; /* oldest first */
    size_t floor_count;
    int64_t rows, aborted, lost; /* requests: with rows, given up by clients, without their rows */
    int64_t snapshots, pairs;    /* before and after requests, and where both are there */
    int64_t passed;              /* requests that were to have a pair, and had none */
    double share, overhead;      /* latest: of requests that get rows, of one thread's time */
    double overhead_max;
    int64_t held_max;  /* characters of rows that waited in the target to be taken, at the most */
    int64_t in_flight; /* at the latest beat */
    int64_t uncounted; /* of rows: their target was gone before it had counted them by route */
    int64_t unfollowed_ms; /* between two hooks */
    bool followed;         /* the hook is in */
    bool was_followed;     /* it has been */
    bool broken_off;       /* following it failed, which was said */
};

/* What is known of one target; texts come from outside. It outlives the target itself. */
struct run_target {
    int64_t id;    /* in the record, from 1; 0 without a journal */
    bool attached; /* at the end: it was there until we left */
    struct target_identity identity;
    int64_t readings;                   /* rows written */
    int64_t snapshots, refused, failed; /* refused: by the guard */
    int64_t turned_away;   /* not begun, because another capture on this host had not ended */
    int64_t live_readings; /* of the live profile */
    /* Figures for the summary; NAN until known. Bytes. */
    double first_heap, last_heap;   /* heap used at the first and the latest reading */
    double first_rss, last_rss;     /* the first after a first snapshot, which raises it */
    double first_floor, last_floor; /* heap used right after the first and the latest full GC */
    int64_t first_ms, last_ms;      /* wall clock of those readings */
    int64_t first_floor_ms, last_floor_ms;
    double pause_ms;              /* all stalls together */
    char *first_file, *last_file; /* snapshots, NULL until there is one */
    struct run_requests requests;
};

struct run_handlers {
    /* A line for a person: attached, lost, picked, warned. warning: it matters. t may be NULL. */
    void (*said)(void *arg, const struct run_target *t, bool warning, const char *text);
    void (*attached)(void *arg, const struct run_target *t);
    void (*detached)(void *arg, const struct run_target *t, const struct err *why);
    void (*metrics)(void *arg, const struct run_target *t, const struct store_metrics *row);
    void (*request)(
        void *arg, const struct run_target *t, int64_t id, const struct request_row *row);
    void (*progress)(void *arg, const struct run_target *t, const char *phase, int64_t done,
        int64_t total, int64_t bytes, int64_t elapsed_us);
    /* What the target sends and the run itself has no use for; may be NULL. */
    void (*event)(void *arg, const struct run_target *t, const char *method, const cJSON *params);
    /* Of a timeline while it records; may be NULL. */
    void (*recorded)(void *arg, const struct run_target *t, const struct recording *recording);
    /* path: where it is or would have been. again: refused for the same causes as the time before.
     */
    void (*snapshot)(void *arg, const struct run_target *t, const char *trigger, const char *path,
        const struct capture_outcome *outcome, bool again);
    /* Everything is released. why: ERR_NONE's code 0 when it ended as asked. */
    void (*ended)(void *arg, const char *reason, const struct err *why);
};

int run_start(struct loop *l, const struct run_options *o, const struct run_handlers *h, void *arg,
    struct run **ret, struct err *e) MUST_USE;

/* Ends it normally: the running snapshot is completed, a last one taken if it is due. */
void run_finish(struct run *r, const char *reason);

/* The same because somebody wants to leave: a snapshot that the target has not begun is given up
 * after a short patience. */
void run_interrupt(struct run *r);

/* This process is about to be stopped (SIGTSTP): nothing in a target waits for it any more as soon
 * as the loop has run for a moment. run_continue when it runs again, also without run_halt
 * (SIGSTOP). */
void run_halt(struct run *r);
void run_continue(struct run *r);

/* ---- for a run of steps ---- */

enum run_record {
    RUN_UNRECORDED,
    RUN_ROUND, /* what has grown since the floor before is of a round */
    RUN_BASE,  /* a round begins there: what has grown since the floor before is nobody's */
};

/* Waits until no request is in flight (not for ever) and settle_us more, collects garbage, reads
 * the heap. record: what it goes into the record as, with a reading of the live profile. fn comes
 * once, later: with the floor, borrowed for the call, or why there is none. One at a time for each
 * target. ERR_LOST: the target at index is gone. */
typedef void (*run_floor_fn)(void *arg, const struct run_floor *floor, const struct err *why);
int run_take_floor(struct run *r, size_t index, int64_t settle_us, enum run_record record,
    run_floor_fn fn, void *arg, struct err *e) MUST_USE;

/* A snapshot of the target as soon as none runs; what came of it comes as any other's. false: the
 * target is gone. */
bool run_take_snapshot(struct run *r, size_t index, const char *trigger) MUST_USE;

/* Requests that somebody else has counted, for a target that has no hook. */
void run_count_requests(
    struct run *r, size_t index, const char *method, const char *path, int64_t count);

/* run_finish, because of why. */
void run_fail(struct run *r, const char *reason, const struct err *why);
/* ---- for a run by hand ---- */

/* Follows another address, too; ret_link names it below. ERR_FULL past RUN_LINKS_MAX. */
#define RUN_LINKS_MAX 64
int run_add(struct run *r, const struct address *address, size_t *ret_link, struct err *e) MUST_USE;
/* It will not be tried any more. */
bool run_link_ended(const struct run *r, size_t link);
/* The target at *ret_index is what the link leads to, and is watched by way of another link. */
bool run_link_same(const struct run *r, size_t link, size_t *ret_index);
/* The target at index while it is attached, else NULL. */
struct target *run_target_live(const struct run *r, size_t index);
/* Which address the target at index belongs to. */
size_t run_target_link(const struct run *r, size_t index);

struct run_capture_wish {
    enum capture_kind kind;
    const char *label;  /* copied */
    const char *output; /* the file's path, NULL: named by the run; copied */
    int64_t recording_us;
    int64_t sample_every; /* bytes, of a profile */
    bool stacks;
    struct guard_limits limits;
};
/* Begins a capture of the target at index; what came of it comes as any other's, with the trigger
 * "manual". ERR_LOST: it is gone; ERR_REFUSED: another capture of this run is on. */
int run_capture(
    struct run *r, size_t index, const struct run_capture_wish *wish, struct err *e) MUST_USE;
/* The target whose capture is on, SIZE_MAX: none is. */
size_t run_capturing(const struct run *r);
/* Ends a recording early and keeps it. */
void run_end_recording(struct run *r);
/* Waits no longer for the capture that is on: no file stays; the target may go on with it. */
void run_drop_capture(struct run *r);
/* Follows the requests of the target at index, or leaves them alone again. */
int run_follow(struct run *r, size_t index, bool on, struct err *e) MUST_USE;

/* Drops what is running; nothing half-written stays. ended is not called. */
void run_abort(struct run *r);

/* After ended or run_abort. NULL is fine. */
void run_free(struct run *r);

/* Targets seen so far, in the order of their ids. */
size_t run_target_count(const struct run *r);
const struct run_target *run_target_at(const struct run *r, size_t index);

/* An address that never was attached to, NULL when there is none past that many. */
const char *run_absent(const struct run *r, size_t index);

/* The classes of the target at index whose retained size grew most from its first analysed
 * snapshot to its latest; none before the second. Borrowed until the run goes on. */
size_t run_grown_classes(const struct run *r, size_t index, struct class_change *ret, size_t max);

#endif
