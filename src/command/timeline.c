/* timeline: who allocates what stays, interval by interval. */
#include "command/conduct.h"
#include "command/sites.h"

#include <stdlib.h>
#include <string.h>

#define TIMELINE_DEFAULT_US (30 * 1000000LL)

static int run(const struct invocation *in, struct err *e)
{
    const struct settings *s = in->settings;
    char *path = NULL;
    int rc = conduct_agree_to_stacks(s, e);
    if (rc)
        return rc;
    struct run_options options = {.snapshots = true,
        .timeline = true,
        .analyze = true, /* for the record */
        .stacks = settings_flag(s, SET_STACKS),
        .recording_us = settings_given(s, SET_DURATION) ? settings_number(s, SET_DURATION)
                                                        : TIMELINE_DEFAULT_US,
        .ret_path = &path};
    rc = conduct_one(in, &options, "timeline", e);
    if (rc == 0 && path && !settings_flag(s, SET_QUIET))
        rc = sites_show(in, path, e);
    free(path);
    return rc;
}

static const enum setting_id accepted[] = {SET_DURATION, SET_STACKS, SET_YES, SET_OUTPUT, SET_DIR,
    SET_LABEL, SET_COMPRESS, SET_TOP, SET_DB, SET_NO_MIGRATE, SET_WAIT, SET_MAX_PAUSE, SET_MIN_FREE,
    SET_FORCE, SET_ALLOW_REMOTE, SET_TIMEOUT, SET_END};

const struct command command_timeline = {
    .name = "timeline",
    .arguments = "[TARGET]",
    .summary = "an allocation timeline: what was made when, and still lives",
    .examples = "  heaptap timeline --duration 30s\n"
                "  heaptap timeline pid:4711 --stacks --yes -o leak.heaptimeline\n"
                "  heaptap allocations leak.heaptimeline\n",
    .details =
        "Records for --duration (30s), or until Ctrl-C, which keeps it. Allocation is 4 to 8\n"
        "times slower meanwhile, and the end stalls the target as a snapshot does. With\n"
        "--stacks it is 36 to 50 times slower, and the heap is not compacted: in production, use\n"
        "heaptap survivors.\n",
    .settings = accepted,
    .words_max = 1,
    .run = run,
};
