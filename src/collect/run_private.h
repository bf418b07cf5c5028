/* The parts of a run: run.c has its attachments and its life, run_target.c the record and readings
 * of one target, run_capture.c the queue of captures. */
#ifndef HEAPTAP_COLLECT_RUN_PRIVATE_H
#define HEAPTAP_COLLECT_RUN_PRIVATE_H

#include "collect/run.h"

#include "collect/analysis.h"
#include "collect/child.h"
#include "collect/guardian.h"
#include "collect/live_profile.h"
#include "collect/retention.h"
#include "collect/survivors.h"

enum stage { STARTING, RUNNING, ENDING, LEAVING, OVER };

struct link { /* one attachment of the run */
    struct run *run;
    struct attachment *attachment;
    char name[ADDRESS_TEXT_SIZE]; /* its address */
    bool was_attached;
    bool ended; /* it will not try again, or is closed */
    int64_t started_us;
    int64_t down_since_us; /* 0: attached */
    /* Of targets that go in captures; 0: none has. */
    const struct watched *captured;      /* had the latest capture, which ended at captured_us */
    int64_t captured_us;                 /* or was broken off then */
    int64_t sparing_us, spared_until_us; /* no capture by itself for that long, and until then */
    struct watched *same; /* its target is watched already, by way of another link; else NULL */
};

struct watched {             /* one target */
    struct run_target facts; /* first: run_target_at casts */
    struct run *run;
    struct link *link;
    struct target *target; /* NULL once it is gone */
    struct capture_memory memory;
    struct classes *classes; /* NULL until a snapshot was analysed */
    struct timer *metrics_timer, *snapshot_timer, *timeline_timer;
    bool timeline_due;
    int64_t timeline_number;   /* of those in the record */
    struct live_profile *live; /* NULL: off, or not attached */
    int64_t live_number;       /* of its next reading, while there is none */
    int64_t next_reading_us, last_capture_us;
    int64_t rested_at_us; /* before this the pause budget allows no scheduled capture */
    unsigned refused_for; /* causes of the last refusal; 0: the last capture was none */
    bool reading, due;
    const char *due_trigger;
    struct requests *follow;   /* NULL: its requests are not followed */
    bool follow_over;          /* the hook failed */
    struct floor_steps *floor; /* NULL: none was asked for yet */
    struct requests **spent;   /* followers that were stopped; they go with the session */
    size_t spent_count;
    struct timer *gc_timer;
    int64_t gc_asked_us;
    int64_t last_request_id;
    int64_t rows_at_beat;        /* of the rows, those that the latest beat's counts have */
    int64_t unfollowed_since_ms; /* wall clock; 0: the hook is in, or never was */
    size_t hook_route[REQUESTS_ROUTES_MAX]; /* the hook's routes as indices of facts.requests */
    size_t hook_routes;                     /* how many of them are known */
    int64_t *route_base; /* requests of each route before this hook; as many as routes */
    bool told_failure, told_blind, told_same, told_family;
    int idle_beats;      /* without a request so far */
    struct pairs *pairs; /* NULL: no snapshots of requests, or not yet */
};

struct run {
    struct loop *loop;
    enum stage stage;
    struct run_options options;
    char *folder, *label, *output;
    struct link *links;
    size_t link_count;
    struct watched **targets;
    size_t target_count;
    struct child *child;
    bool child_ended;
    struct guardian *guardian; /* NULL: it could not be started */
    struct capture_writer *writer;
    struct wake *writer_wake;
    struct analysis *analysis; /* NULL: off */
    struct retention *retention;
    struct past *past; /* of the record; NULL without one */
    struct capture *capture;
    struct survivors *survivors;
    struct watched *captured; /* whose capture runs */
    char *capture_path;
    const char *capture_trigger;
    enum capture_kind capture_kind;
    bool recording_said;
    int64_t capture_started_us, capture_id, sequence;
    int live_finishing; /* last readings of the live profile that are on their way */
    struct timer *end_timer, *give_up_timer;
    int64_t first_attach_ms;
    const char *reason;
    struct err why;
    const struct run_handlers *handlers;
    void *arg;
};

/* ---- run.c ---- */
void run_say(struct run *r, struct watched *w, bool warning, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* A line of the record; snapshot_id 0: of none. */
void run_record_event(
    struct run *r, struct watched *w, int64_t snapshot_id, const char *kind, const char *text);
/* Goes on to the next stage when nothing holds this one any more. */
void run_leave_if_done(struct run *r);

/* Attaches to an address as one more link, which has room. */
int run_link_start(
    struct run *r, struct link *link, const struct address *address, struct err *e) MUST_USE;

/* ---- run_target.c ---- */
/* The record of a target that was attached: an old one if it is the same process again. NULL when
 * memory is out. */
struct watched *run_target_find(struct link *link, const struct target *t);
/* The live target of another link that t is, too: several addresses lead to one. NULL: none. */
struct watched *run_target_same(const struct link *link, const struct target *t);
void run_target_free(struct watched *w);
void run_target_record(struct run *r, struct watched *w, const struct target *t);
void run_target_record_gone(struct run *r, struct watched *w, const struct err *why);
void run_target_record_sample(struct watched *w, const char *label, const struct sample *s);

/* ---- run_requests.c ---- */
void run_requests_attach(struct watched *w);
/* Takes the hook out, ahead of leaving. */
void run_requests_leave(struct watched *w);
void run_requests_gone(struct watched *w);
/* Stops the follower and puts it aside, so that another one may be attached. */
int run_requests_set_aside(struct watched *w, struct err *e) MUST_USE;
void run_requests_collect(void *watched); /* a timer's function: a collection is due */
void run_requests_free(struct watched *w);
bool run_requests_followed(const struct watched *w);
/* A floor that was asked for: kept, recorded and returned; NULL when memory is out. Without a hook
 * f has no counts. */
const struct run_floor *run_requests_note_floor(
    struct watched *w, const struct request_floor *f, enum run_record record);

/* ---- run_floor.c ---- */
void run_floor_beat(struct watched *w, const struct request_beat *beat);
void run_floor_gone(struct watched *w, const struct err *why);
void run_floor_free(struct watched *w);

/* ---- run_family.c: whether its children serve ---- */
void run_family_beat(struct watched *w, bool has_requests);

/* ---- run_pairs.c: snapshots before and after requests ---- */
void run_pairs_follow(struct watched *w); /* the hook is in place */
void run_pairs_step(struct watched *w, const struct request_pair *step);
/* An event of the session; true: it was the debugger's. */
bool run_pairs_event(struct watched *w, const char *method);
/* Followed requests that had no pair since the last beat. */
void run_pairs_passed(struct watched *w, int64_t passed);
int64_t run_pairs_request_id(const struct watched *w, int64_t number); /* 0: not known */
/* A snapshot that a request waits for has its turn; fills what is special in o, and the label. */
bool run_pairs_due(const struct watched *w);
void run_pairs_begin_capture(struct watched *w, struct capture_options *o, const char **ret_label);
void run_pairs_captured(struct watched *w, const struct capture_outcome *o);
/* Lets everything go on, ahead of leaving. */
void run_pairs_leave(struct watched *w);
void run_pairs_gone(struct watched *w);
void run_pairs_free(struct watched *w);

/* ---- run_capture.c ---- */
/* Of a target that was attached: when its captures are due. */
void run_capture_begin(struct watched *w);
/* A target is gone, perhaps because of a capture. */
void run_capture_gone(struct watched *w, bool is_main);
/* What link leads to was watched by way of from, and is spared as long. */
void run_capture_inherit(struct link *link, const struct link *from);
void run_capture_timeline_due(void *watched); /* the same for a timeline */
void run_capture_due(void *watched);          /* a timer's function: the snapshot's time has come */
/* As soon as the pause budget allows, but not before at_us. */
void run_capture_schedule(struct watched *w, int64_t at_us);
/* Starts the next capture that is due, if none runs. */
void run_capture_next(struct run *r);
/* Marks those targets that get a last snapshot. */
void run_capture_last(struct run *r);

/* Ends the row of the capture that is on: heaptap does not wait for it. */
void run_capture_left(struct run *r);

/* What a capture of the run tells on its way (as in struct capture_handlers), and has come to. */
void run_capture_sampled(void *run, const char *label, const struct sample *sample);
void run_capture_progressed(
    void *run, const char *phase, int64_t done, int64_t total, int64_t bytes);
void run_capture_ended(void *run, const struct capture_outcome *o);

/* ---- run_keep.c ---- */
int run_keep_start(struct run *r, const struct run_options *o, struct err *e) MUST_USE;
void run_keep_free(struct run *r);
/* A complete file: older ones may go for it. */
void run_keep_add(struct watched *w, const struct capture_outcome *o);
/* Gives the guard what earlier runs know of a target's program. */
void run_keep_teach(struct watched *w);

/* ---- run_analysis.c ---- */
struct run_asked { /* for the analysis of one capture; freed by run_analysis_answered */
    struct watched *watched;
    int64_t snapshot_id;
};
/* Has a capture analysed by `heaptap COMMAND`; until the answer its file is not to be deleted. fn
 * gets a struct run_asked. */
void run_analysis_ask(struct watched *w, int64_t snapshot_id, const struct capture_result *captured,
    const char *command, analysis_fn fn);
/* What fn calls last. */
void run_analysis_answered(struct run_asked *asked);
void run_analysis_add(
    struct watched *w, int64_t snapshot_id, const struct capture_result *captured);

/* ---- run_timeline.c ---- */
void run_timeline_add(
    struct watched *w, int64_t snapshot_id, const struct capture_result *captured);

/* ---- run_survivors.c ---- */
void run_survivors_begin(struct watched *w);

/* ---- run_live.c ---- */
void run_live_begin(struct watched *w); /* of a target that was attached */
void run_live_gone(struct watched *w);
void run_live_captured(struct watched *w, const struct capture_outcome *o);
/* Asks for last readings; live_finishing counts them. */
void run_live_last(struct run *r);

#endif
