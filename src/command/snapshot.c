/* snapshot: one, now. */
#include "command/conduct.h"

static int run(const struct invocation *in, struct err *e)
{
    struct run_options options = {
        .snapshots = true, .max_disk = settings_number(in->settings, SET_MAX_DISK)};
    return conduct_one(in, &options, "snapshot", e);
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
