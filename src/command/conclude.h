/* The end of a run or a probe: its diagnosis, made by a process of its own (heaptap itself, niced,
 * the first to go when memory is short), so that the one that collected stays small and a broken
 * file cannot hurt it. */
#ifndef HEAPTAP_COMMAND_CONCLUDE_H
#define HEAPTAP_COMMAND_CONCLUDE_H

#include "command/settings.h"
#include "store/journal.h"

#include <cjson/cJSON.h>

struct conclude_options {
    const struct settings *settings;
    struct journal *journal; /* flushed; its run is what is diagnosed */
    int signal_fd;           /* a signalfd: what comes on it ends the diagnosis; -1: none */
    bool print;              /* in words to standard output, which is flushed before */
};

/* Runs `diagnose` on the journal's run. ret_json: what `diagnose --json` says, owned by the caller.
 * *ret_signal: what ended it early, 0 for none. ERR_CANCELLED after a signal, ERR_TIMEOUT after
 * CONCLUDE_SECONDS_MAX; else as the diagnosis' own failure, which it has told on standard error. */
int conclude_run(
    const struct conclude_options *o, cJSON **ret_json, int *ret_signal, struct err *e) MUST_USE;
#define CONCLUDE_SECONDS_MAX 600

/* Writes suspects and what the verdict rests on into the record, whose files then stay longest. */
void conclude_record(struct journal *journal, const cJSON *diagnosis);

/* Whether the verdict is a leak. */
bool conclude_is_leak(const cJSON *diagnosis);

#endif
