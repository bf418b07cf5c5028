/* The progress line of a diagnosis: nothing for what is quick. */
#ifndef HEAPTAP_COMMAND_WAITING_H
#define HEAPTAP_COMMAND_WAITING_H

#include "command/settings.h"
#include "show/progress.h"

struct waiting {
    struct show_progress *progress; /* owned; NULL where nothing is to be shown */
    int64_t began_us;
    char what[128]; /* of the line that is shown, "" for none yet */
};

int waiting_begin(struct waiting *w, const struct settings *s, struct err *e) MUST_USE;
void waiting_end(struct waiting *w);
/* A diagnose_progress (diagnose/diagnose.h) whose arg is a struct waiting. */
int waiting_progress(void *arg, const char *what, double done);

#endif
