/* Opening a snapshot for a command. */
#include "command/reading.h"

#include "base/clock.h"
#include "base/log.h"
#include "command/sink.h"
#include "show/progress.h"

#define QUIET_US 1000000 /* shorter work needs no progress line */

struct reading {
    const struct embedding *embedding;
    struct show_progress *progress;
    int64_t began_us;
    enum heap_phase phase;
    bool shown;
};

static int on_progress(void *arg, enum heap_phase phase, double done)
{
    static const char *const names[] = {"unpacking", "reading", "analysing"};
    struct reading *r = arg;
    int64_t now = clock_monotonic_us();
    if (r->embedding && r->embedding->cancelled(r->embedding->arg))
        return 1;
    if (now - r->began_us < QUIET_US)
        return 0;
    if (!r->shown || phase != r->phase)
        show_progress_begin(r->progress, names[phase], SHOW_UNIT_NONE, 1000, now);
    r->shown = true;
    r->phase = phase;
    if (done >= 0)
        show_progress_at(r->progress, (int64_t)(done * 1000), 0, now);
    return 0;
}

int reading_open_fresh(
    const struct invocation *in, const char *path, struct heap **ret, struct err *e)
{
    struct show_out errors;
    struct reading r = {.embedding = in->embedding, .began_us = clock_monotonic_us()};
    struct heap_options options = {.progress = on_progress,
        .arg = &r,
        .partial = settings_flag(in->settings, SET_PARTIAL),
        .traces = in->command == &command_allocations || in->command == &command_timeline};
    int rc = sink_open_errors(in->settings, &errors, e);
    if (rc)
        return rc;
    if (!settings_flag(in->settings, SET_QUIET))
        r.progress = show_progress_new(&errors);
    rc = heap_open(path, &options, ret, e);
    show_progress_free(r.progress);
    if (rc == 0 && heap_damage(*ret))
        log_warn("%s: %s; what follows is only what could be read", path, heap_damage(*ret));
    return rc;
}

int reading_open(const struct invocation *in, const char *path, struct heap **ret, struct err *e)
{
    const struct embedding *m = in->embedding;
    return m ? m->open(m->arg, in, path, ret, e) : reading_open_fresh(in, path, ret, e);
}

void reading_close(const struct invocation *in, struct heap *h)
{
    if (in->embedding && h)
        in->embedding->close(in->embedding->arg, h);
    else
        heap_close(h);
}
