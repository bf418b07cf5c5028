/* Tells what a run does while it does it: lines for people on standard error, or JSON Lines on
 * standard output, and the summary at its end. */
#ifndef HEAPTAP_COMMAND_NARRATE_H
#define HEAPTAP_COMMAND_NARRATE_H

#include "collect/run.h"
#include "command/recap.h"
#include "command/settings.h"
#include "show/json.h"
#include "show/out.h"

#include <cjson/cJSON.h>

struct narrator;

/* What --json makes of what happens. */
enum narrate_mode {
    NARRATE_LINES,   /* all of it, a line each */
    NARRATE_CAPTURE, /* the capture is the answer: one object */
    NARRATE_NOTHING, /* somebody else answers */
};
int narrator_new(const struct settings *s, enum narrate_mode mode, struct narrator **ret,
    struct err *e) MUST_USE;
void narrator_free(struct narrator *n); /* NULL is fine */

/* For run_start, with the narrator as arg. ended is passed on to the function given here. */
extern const struct run_handlers narrator_handlers;
void narrator_on_end(struct narrator *n,
    void (*ended)(void *arg, const char *reason, const struct err *why), void *arg);

/* Whether there is a terminal that shows the progress line. */
bool narrator_shows_progress(const struct narrator *n);
/* Takes the progress line away before something else is printed to the terminal. */
void narrator_clear(struct narrator *n);

/* Puts what came of a capture into an object: state, trigger, file, figures, reason. */
void narrate_capture_json(
    cJSON *line, const char *trigger, const char *path, const struct capture_outcome *o, int *rc);

/* The summary: what was collected, and what grew. */
int narrate_summary(
    struct narrator *n, const struct run *r, const struct recap_end *end, struct err *e) MUST_USE;

/* The line of type "diagnosis" of --json: the fields of `diagnose --json` behind it. */
int narrate_diagnosis(struct narrator *n, const cJSON *diagnosis, struct err *e) MUST_USE;

#endif
