/* The progress line of a diagnosis. */
#include "command/waiting.h"

#include "base/clock.h"
#include "command/sink.h"

#include <stdio.h>
#include <string.h>

#define QUIET_US 1000000 /* shorter work needs no progress line */

int waiting_begin(struct waiting *w, const struct settings *s, struct err *e)
{
    struct show_out errors;
    *w = (struct waiting){.began_us = clock_monotonic_us()};
    int rc = sink_open_errors(s, &errors, e);
    if (rc == 0 && !settings_flag(s, SET_QUIET))
        w->progress = show_progress_new(&errors);
    return rc;
}

void waiting_end(struct waiting *w)
{
    show_progress_free(w->progress);
    w->progress = NULL;
}

int waiting_progress(void *arg, const char *what, double done)
{
    struct waiting *w = arg;
    int64_t now = clock_monotonic_us();
    if (now - w->began_us < QUIET_US)
        return 0;
    if (strcmp(w->what, what) != 0) {
        snprintf(w->what, sizeof w->what, "%s", what);
        show_progress_begin(w->progress, what, SHOW_UNIT_NONE, 1000, now);
    }
    if (done >= 0)
        show_progress_at(w->progress, (int64_t)(done * 1000), 0, now);
    return 0;
}
