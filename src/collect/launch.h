/* Starts a program of the user's in a process of its own. */
#ifndef HEAPTAP_COLLECT_LAUNCH_H
#define HEAPTAP_COLLECT_LAUNCH_H

#include "base/err.h"

#include <sys/types.h>

struct launch {             /* all borrowed */
    char *const *command;   /* its words, NULL behind the last; found by PATH */
    const char *const *set; /* "NAME=value": added to our environment, or in place of what NAME
                               is there; NULL behind the last */
    void (*prepare)(void);  /* called in the new process: async-signal-safe calls only */
    const char *what;       /* "", or "the load ": what an error calls the command */
    int code;               /* of the error when the command cannot be executed */
};

/* The process has default signals and dies (SIGTERM) with the thread that calls this; whoever
 * calls reaps it. code: it was not to be executed; ERR_IO: no process was to be had; ERR_NOMEM. */
int launch(const struct launch *l, pid_t *ret_pid, struct err *e) MUST_USE;

#endif
