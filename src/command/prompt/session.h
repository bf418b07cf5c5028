/* A session of the prompt: one run by hand with its targets, what the user has set, and the ways in
 * which commands wait.
 *
 * Commands are plain functions on the main thread. Where one must wait (for an answer of the
 * target, for a capture, for the user) it calls session_wait or what is built on it, which serves
 * the loop meanwhile: events and the target's death are heard and shown, and Ctrl-C ends the wait
 * with ERR_CANCELLED. */
#ifndef HEAPTAP_COMMAND_PROMPT_SESSION_H
#define HEAPTAP_COMMAND_PROMPT_SESSION_H

#include "cdp/http.h"
#include "collect/run.h"
#include "command/command.h"
#include "command/logbook.h"
#include "command/prompt/editor.h"
#include "command/prompt/vocabulary.h"
#include "show/out.h"
#include "show/progress.h"

#include <stdatomic.h>

#define SESSION_OBJECT_GROUP  "heaptap-prompt" /* of what a command holds in the target */
#define SESSION_READINGS      120              /* of each target that are kept for sparklines */
#define SESSION_SNAPSHOTS_MAX 10000

struct kept {           /* a snapshot of this session; its number is its place, from 1 */
    char *path, *label; /* label NULL: none */
    size_t target;      /* of the run */
    int64_t wall_ms, epoch, bytes, nodes, edges;
    double heap_after, pause_ms;
};

#define SESSION_OPEN_HEAPS 2 /* snapshots that stay open: a diff needs two */

struct open_heap {
    char *path; /* owned; NULL: a free place */
    struct heap *heap;
    int users;
    uint64_t used; /* by the session's heap_clock */
};

struct told { /* readings of one target */
    double heap[SESSION_READINGS];
    size_t count; /* ever */
};

struct variable { /* by set */
    enum setting_id id;
    char *value;
};

/* What the capture that is waited for has come to. */
struct taken {
    bool done;
    struct capture_outcome outcome; /* its file is NULL here */
    struct capture_result file;     /* path borrowed from path below */
    char *path;
    char *trigger;
};

struct session {
    const struct invocation *in; /* of attach */
    struct loop *loop;
    struct run *run;
    struct logbook logbook;
    char *folder;
    bool run_over; /* the run ended; why tells it */
    struct err why;
    bool attached;     /* there was a first target */
    size_t current;    /* target of the run in use; SIZE_MAX: none yet */
    struct told *told; /* by target */
    size_t told_count;
    struct kept *snapshots;
    size_t snapshot_count;
    struct open_heap heaps[SESSION_OPEN_HEAPS];
    uint64_t heap_clock;
    struct taken taken;
    bool recording; /* a timeline, started by hand */
    struct vocabulary *vocabulary;
    struct protocol *protocol; /* of the target in use; NULL: not here yet */
    struct http *fetch;        /* on its way */
    bool fetched;
    struct err fetch_why; /* why there is none */
    /* the user */
    struct editor *editor; /* NULL while a script is given as text */
    bool terminal;         /* a person edits lines */
    bool json;             /* of every command */
    struct show_out out;   /* standard output */
    struct show_progress *progress;
    char phase[64]; /* that the progress line shows */
    struct variable *variables;
    size_t variable_count;
    char *events;            /* which events are shown: "" all, a domain or a method; NULL: none */
    bool busy;               /* a command runs */
    atomic_bool interrupted; /* Ctrl-C during it */
    int signal;              /* SIGTERM or SIGHUP came; SIGINT in a script */
    bool lost;               /* the last command met a target that is gone */
    bool quit;               /* the user wants to leave */
    bool line_ready;
    int depth; /* of source within source */
    int signal_fd;
    struct watch *signal_watch;
    struct timer *pause_timer, *timeout;
    bool timed_out;
};

/* Attaches; returns when there is a first target. On failure, too, session_close is due. */
int session_open(const struct invocation *in, const struct address *address, bool terminal,
    struct session *s, struct err *e) MUST_USE;
/* Leaves the targets, with everything released, and ends the record. */
int session_close(struct session *s, int exit_code, struct err *e) MUST_USE;

/* ---- waiting ---- */

/* Serves the loop until *done. ERR_CANCELLED: Ctrl-C or a signal; else why the run is over. */
int session_wait(struct session *s, const bool *done, struct err *e) MUST_USE;
/* Callbacks that change what somebody waits for call this. */
void session_stir(struct session *s);
int session_pause(struct session *s, int64_t us, struct err *e) MUST_USE;
/* Runs fn in a thread and serves the loop meanwhile; fn hears of Ctrl-C by session_interrupted. */
int session_apart(
    struct session *s, int (*fn)(void *arg, struct err *e), void *arg, struct err *e) MUST_USE;
bool session_interrupted(void *session); /* from any thread */

/* ---- the target in use ---- */

int session_target(struct session *s, struct target **ret, struct err *e) MUST_USE;
/* What is known of it; NULL: there is none. */
const struct run_target *session_facts(const struct session *s);
/* Asks the target in use. params are taken; *ret_result is the caller's (cJSON_Delete).
 * deadline_us 0: the setting --deadline. */
int session_call(struct session *s, const char *method, cJSON *params, int64_t deadline_us,
    cJSON **ret_result, struct err *e) MUST_USE;
/* One reading of its memory; heap_spaces is NULL. */
int session_read(struct session *s, struct sample *ret, struct err *e) MUST_USE;
/* Lets go of what commands have held in the target, not waiting for its answer. */
void session_release(struct session *s);
/* A capture of the target in use, waited for; what came of it is in s->taken. */
int session_capture(struct session *s, const struct run_capture_wish *wish, struct err *e) MUST_USE;
/* Waits for the capture that is on. */
int session_await_capture(struct session *s, struct err *e) MUST_USE;

/* ---- telling ---- */

/* A line to standard error, or above the line being typed; made safe for the terminal. */
void session_tell(struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* The prompt's text by what is in use now. */
void session_prompt(struct session *s, char out[128]);

#endif
