/* timeline: who allocates what stays, interval by interval. */
#include "command/conduct.h"
#include "command/sites.h"

#include <stdlib.h>
#include <string.h>

#define TIMELINE_DEFAULT_US (30 * 1000000LL)

static int run(const struct invocation *in, struct err *e)
{
    const struct settings *s = in->settings;
    struct address *addresses = NULL;
    size_t count = 0;
    char *path = NULL, *folder = conduct_folder(s);
    int rc = folder ? conduct_agree_to_stacks(s, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = conduct_addresses(in, &addresses, &count, e);
    if (rc)
        goto out;
    struct run_options options = {.addresses = addresses,
        .address_count = count,
        .snapshots = true,
        .manual = true,
        .timeline = true,
        .analyze = true, /* for the record */
        .stacks = settings_flag(s, SET_STACKS),
        .recording_us = settings_given(s, SET_DURATION) ? settings_number(s, SET_DURATION)
                                                        : TIMELINE_DEFAULT_US,
        .ret_path = &path,
        .wait_us = settings_number(s, SET_WAIT),
        .give_up_us = settings_number(s, SET_GIVE_UP),
        .folder = folder,
        .label = settings_text(s, SET_LABEL) ? settings_text(s, SET_LABEL) : "timeline",
        .output = settings_text(s, SET_OUTPUT),
        .limits = conduct_limits(s),
        .max_pause_share = 1,
        .allow_remote = settings_flag(s, SET_ALLOW_REMOTE)};
    rc = conduct(in, &options, NULL, false, e);
    if (rc == 0 && path && !settings_flag(s, SET_QUIET))
        rc = sites_show(in, path, e);
out:
    free(path);
    free(folder);
    free(addresses);
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
        "--stacks it is 36 to 50 times slower: in production, use heaptap survivors.\n",
    .settings = accepted,
    .words_max = 1,
    .run = run,
};
