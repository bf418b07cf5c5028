/* survivors: what a while of traffic leaves behind, by stack. */
#include "command/conduct.h"
#include "command/sites.h"

#include <stdlib.h>

#define SURVIVORS_DEFAULT_US (30 * 1000000LL)

static int run(const struct invocation *in, struct err *e)
{
    const struct settings *s = in->settings;
    char *path = NULL;
    struct run_options options = {.survivors = true,
        .sample_every = settings_number(s, SET_SAMPLE_EVERY),
        .recording_us = settings_given(s, SET_DURATION) ? settings_number(s, SET_DURATION)
                                                        : SURVIVORS_DEFAULT_US,
        .ret_path = &path};
    if (options.sample_every < 1)
        return err_set(e, ERR_USAGE, "--sample-every must be at least a byte");
    int rc = conduct_one(in, &options, "survivors", e);
    if (rc == 0 && path)
        rc = sites_show(in, path, e);
    free(path);
    return rc;
}

static const enum setting_id accepted[] = {SET_DURATION, SET_SAMPLE_EVERY, SET_OUTPUT, SET_DIR,
    SET_LABEL, SET_COMPRESS, SET_TOP, SET_CSV, SET_DB, SET_NO_MIGRATE, SET_WAIT, SET_ALLOW_REMOTE,
    SET_TIMEOUT, SET_END};

const struct command command_survivors = {
    .name = "survivors",
    .arguments = "[TARGET]",
    .summary = "what survives a while of traffic, by allocating line",
    .examples = "  heaptap survivors --duration 30s\n"
                "  heaptap survivors pid:4711 --sample-every 8KB -o after.heapprofile\n",
    .details = "Samples allocations for --duration (30s), or until Ctrl-C, has garbage collected,\n"
               "writes what still lives as a .heapprofile (DevTools opens it) and prints it.\n",
    .settings = accepted,
    .words_max = 1,
    .run = run,
};
