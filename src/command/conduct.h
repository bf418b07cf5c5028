/* What run and snapshot share: the record, the loop, signals, the narrator around one run. */
#ifndef HEAPTAP_COMMAND_CONDUCT_H
#define HEAPTAP_COMMAND_CONDUCT_H

#include "collect/run.h"
#include "command/command.h"
#include "command/recap.h"

#include <cjson/cJSON.h>

/* Carries out options (its journal is filled in here). Returns an exit code or an err_code with e
 * filled in. first_line: told at the start, NULL for none; summary: print one at the end. */
int conduct(const struct invocation *in, struct run_options *options, const char *first_line,
    bool summary, struct err *e);

/* Somebody who does more with a run than let it go on: how it starts, and the answer at its end. */
struct conduct_job {
    void *arg;
    int (*start)(void *arg, struct loop *l, const struct run_options *o,
        const struct run_handlers *h, void *handlers_arg, struct run **ret, struct err *e);
    /* Prints it. diagnosis: what `diagnose --json` says of the run; NULL: there is none, or it is
     * printed in words behind the answer. Returns an exit code or an err_code. */
    int (*answer)(void *arg, const struct recap_end *end, const cJSON *diagnosis, struct err *e);
    void (*free_run)(void *arg); /* in place of run_free; also when start failed */
};

/* conduct for a job. */
int conduct_job(const struct invocation *in, struct run_options *options, const char *first_line,
    const struct conduct_job *job, struct err *e);

/* Reads the words of the command as addresses; none means the default one. The caller frees the
 * array. */
int conduct_addresses(
    const struct invocation *in, struct address **ret, size_t *ret_count, struct err *e) MUST_USE;

/* The guard's limits by the settings. */
struct guard_limits conduct_limits(const struct settings *s);

/* One capture, now: adds to options what snapshot, timeline and survivors have in common
 * (addresses, the file's place, label, limits) and conducts it. label: its name if --label gives
 * none. */
int conduct_one(
    const struct invocation *in, struct run_options *options, const char *label, struct err *e);

/* Warns of what killed runs have left in the folder. */
void conduct_report_leftovers(const char *folder);

/* Stacks make every allocation 36 to 50 times slower: with --stacks, that needs --yes or a
 * terminal's consent. */
int conduct_agree_to_stacks(const struct settings *s, struct err *e) MUST_USE;

#endif
