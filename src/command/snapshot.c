/* snapshot: one, now. */
#include "command/conduct.h"

#include <stdlib.h>

static int run(const struct invocation *in, struct err *e)
{
    const struct settings *s = in->settings;
    const char *output = settings_text(s, SET_OUTPUT);
    struct address *addresses = NULL;
    size_t count = 0;
    char *folder = conduct_folder(s);
    int rc = folder ? conduct_addresses(in, &addresses, &count, e)
                    : err_set(e, ERR_NOMEM, "out of memory");
    if (rc)
        goto out;
    struct run_options options = {.addresses = addresses,
        .address_count = count,
        .snapshots = true,
        .manual = true,
        .wait_us = settings_number(s, SET_WAIT),
        .give_up_us = settings_number(s, SET_GIVE_UP),
        .folder = folder,
        .label = settings_text(s, SET_LABEL) ? settings_text(s, SET_LABEL) : "snapshot",
        .output = output,
        .limits = conduct_limits(s),
        .max_disk = settings_number(s, SET_MAX_DISK),
        .max_pause_share = 1,
        .allow_remote = settings_flag(s, SET_ALLOW_REMOTE)};
    rc = conduct(in, &options, NULL, false, e);
out:
    free(folder);
    free(addresses);
    return rc;
}

static const enum setting_id accepted[] = {SET_OUTPUT, SET_DIR, SET_LABEL, SET_COMPRESS, SET_DB,
    SET_SCHEMA, SET_DRAIN, SET_LOCAL_KEEP, SET_OUTBOX_SIZE, SET_NO_MIGRATE, SET_WAIT, SET_MAX_PAUSE,
    SET_MAX_DISK, SET_MIN_FREE, SET_FORCE, SET_ALLOW_REMOTE, SET_TIMEOUT, SET_END};

const struct command command_snapshot = {
    .name = "snapshot",
    .arguments = "[TARGET]",
    .summary = "one heap snapshot, streamed to disk",
    .examples = "  heaptap snapshot 9229\n"
                "  heaptap snapshot pid:4711 -o before.heapsnapshot\n"
                "  heaptap snapshot --compress --dir /var/tmp\n",
    .settings = accepted,
    .words_max = 1,
    .run = run,
};
