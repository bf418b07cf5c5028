/* The command behind `run --`: started with inspectors on free loopback ports, watched, ended.
 * Such a command often starts several Node processes (npm, a bundler, the server): the one to watch
 * is the one that serves. */
#ifndef HEAPTAP_COLLECT_CHILD_H
#define HEAPTAP_COLLECT_CHILD_H

#include "cdp/loop.h"

#include <sys/types.h>

struct child;

struct child_handlers {
    /* A process to watch was found; called again when that one ended and another serves. how says
     * why it was picked, in words. */
    void (*serving)(void *arg, pid_t pid, const char *how);
    /* match picks none of the processes that are there after a while; once for each search. */
    void (*unmatched)(void *arg);
    /* The command itself ended. status is as from waitpid. */
    void (*ended)(void *arg, int status);
};

/* Starts command (NULL-terminated words) in a session of its own, with our streams; apart: what it
 * writes to standard output goes to standard error. match: a POSIX extended regular expression for
 * the command line of the process to watch, NULL to take the one that listens. ERR_USAGE: bad
 * expression; ERR_UNREACHABLE: the command cannot be started. h must outlive the child. */
int child_start(struct loop *l, char *const *command, bool apart, const char *match,
    const struct child_handlers *h, void *arg, struct child **ret, struct err *e) MUST_USE;

/* The watched process is gone: look for the next. */
void child_look_again(struct child *c);

/* Asks the whole group to end (SIGTERM, after grace_us SIGKILL); ended follows. */
void child_stop(struct child *c, int64_t grace_us);

/* Kills what is left of the group without waiting. NULL is fine. */
void child_free(struct child *c);

#endif
