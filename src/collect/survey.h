/* A survey: which inspector targets there are, without leaving a trace in them. */
#ifndef HEAPTAP_COLLECT_SURVEY_H
#define HEAPTAP_COLLECT_SURVEY_H

#include "collect/target.h"

struct survey;

enum survey_state {
    SURVEY_READY,
    SURVEY_WAITING,      /* for a debugger (--inspect-brk, --inspect-wait) */
    SURVEY_NO_ANSWER,    /* it accepts a connection and is silent, or refuses it */
    SURVEY_NO_INSPECTOR, /* a Node process with none open */
};
const char *survey_state_name(enum survey_state state);

/* One target; texts come from outside and are owned by the survey. */
struct survey_row {
    enum survey_state state;
    enum target_kind kind;
    char address[ADDRESS_TEXT_SIZE]; /* as to be given to other commands; "" without an inspector */
    char *title, *url, *version, *v8;
    int64_t pid;                  /* 0 if unknown */
    int worker_number;            /* 0: it is no worker */
    double heap_used, heap_total; /* bytes, NAN if unknown */
    double rss;                   /* bytes, NAN if not of this host */
    char *reason;                 /* why it is not ready, NULL if it is */
};

/* Asks addresses, or, with count 0, every Node process of this host that may be looked at. done is
 * called once, never within this call; why: the first address that could not be reached. Rows are
 * in the order of addresses or pids. */
typedef void (*survey_done_fn)(
    void *arg, const struct survey_row *rows, size_t count, const struct err *why);
int survey_start(struct loop *l, const struct address *addresses, size_t count, bool allow_remote,
    survey_done_fn done, void *arg, struct survey **ret, struct err *e) MUST_USE;
void survey_free(struct survey *s); /* after done; NULL is fine */

#endif
