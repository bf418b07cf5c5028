/* run: the main job. */
#include "command/conduct.h"

#include "base/log.h"
#include "base/text.h"
#include "collect/folder.h"
#include "command/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE_SIZE 1024

/* Snapshots of requests imply it. */
static bool follows(const struct settings *s)
{
    return settings_flag(s, SET_REQUESTS) || settings_flag(s, SET_REQUEST_SNAPSHOTS);
}

/* What is on, and how to turn each off. */
static void say_what_is_on(const struct settings *s, char out[FIRST_LINE_SIZE])
{
    char readings[TEXT_SHORT], snapshots[TEXT_SHORT], live[TEXT_SHORT];
    text_duration(readings, settings_number(s, SET_METRICS_INTERVAL));
    text_duration(snapshots, settings_number(s, SET_SNAPSHOT_INTERVAL));
    int used = snprintf(out, FIRST_LINE_SIZE, "readings every %s (--metrics-interval); ", readings);
    if (settings_flag(s, SET_SNAPSHOTS))
        used += snprintf(out + used, FIRST_LINE_SIZE - (size_t)used,
            "snapshots every %s to %.200s (--no-snapshots turns them off)", snapshots,
            settings_text(s, SET_DIR));
    else
        used += snprintf(out + used, FIRST_LINE_SIZE - (size_t)used, "snapshots off (--snapshots)");
    used += snprintf(out + used, FIRST_LINE_SIZE - (size_t)used,
        settings_flag(s, SET_REQUEST_SNAPSHOTS)
            ? "; requests followed, with snapshots before and after them "
              "(--no-request-snapshots turns them off)"
        : follows(s) ? "; requests followed (--no-requests turns it off)"
                     : "; requests not followed (--requests)");
    if (strcmp(settings_text(s, SET_LIVE_PROFILE), "off") == 0)
        snprintf(out + used, FIRST_LINE_SIZE - (size_t)used,
            "; live profile off (--live-profile 512KB)");
    else
        snprintf(out + used, FIRST_LINE_SIZE - (size_t)used,
            "; live profile read every %s (--live-profile off turns it off)",
            text_duration(live, settings_number(s, SET_LIVE_PROFILE_INTERVAL)));
}

static int read_analyze(const struct settings *s, bool *ret, struct err *e)
{
    const char *text = settings_text(s, SET_ANALYZE);
    if (strcmp(text, "auto") != 0 && strcmp(text, "off") != 0)
        return err_set(e, ERR_USAGE, "--analyze \"%s\": expected auto or off", text);
    *ret = strcmp(text, "auto") == 0;
    return 0;
}

/* 0: after the target's own collections only. */
static int read_gc_floor(const struct settings *s, int64_t *ret_us, struct err *e)
{
    const char *text = settings_text(s, SET_GC_FLOOR);
    int64_t us = 0;
    int rc = strcmp(text, "auto") == 0 ? 0 : text_parse_duration(text, &us, e);
    if (rc == 0 && us <= 0 && strcmp(text, "auto") != 0)
        rc = err_set(e, ERR_USAGE, "\"%s\": expected auto or a duration above 0", text);
    if (rc)
        return err_context(e, "gc-floor (%s)", settings_source(s, SET_GC_FLOOR));
    *ret_us = us;
    return 0;
}

/* What settings say as they stand; the rest was read and checked before. */
static void fill_options(const struct settings *s, struct run_options *o)
{
    o->command_apart = settings_flag(s, SET_JSON);
    o->match = settings_text(s, SET_MATCH);
    o->metrics_interval_us = settings_number(s, SET_METRICS_INTERVAL);
    o->snapshots = settings_flag(s, SET_SNAPSHOTS);
    o->snapshot_interval_us = settings_number(s, SET_SNAPSHOT_INTERVAL);
    o->max_snapshots = settings_number(s, SET_MAX_SNAPSHOTS);
    o->duration_us = settings_number(s, SET_DURATION);
    o->wait_us = settings_number(s, SET_WAIT);
    o->give_up_us = settings_number(s, SET_GIVE_UP);
    o->folder = settings_text(s, SET_DIR);
    o->label = settings_text(s, SET_LABEL);
    if (settings_given(s, SET_TIMELINE_INTERVAL))
        o->timeline_interval_us = settings_number(s, SET_TIMELINE_INTERVAL);
    o->recording_us = settings_number(s, SET_TIMELINE_DURATION);
    o->stacks = settings_flag(s, SET_STACKS);
    o->live_interval_us = settings_number(s, SET_LIVE_PROFILE_INTERVAL);
    o->limits = conduct_limits(s);
    o->keep = settings_number(s, SET_KEEP);
    o->max_disk = settings_number(s, SET_MAX_DISK);
    o->max_pause_share = settings_share(s, SET_MAX_PAUSE_SHARE);
    o->allow_remote = settings_flag(s, SET_ALLOW_REMOTE);
    o->requests = follows(s);
    o->hold = settings_flag(s, SET_HOLD);
    o->follow.sample = settings_share(s, SET_REQUESTS_SAMPLE);
    o->follow.match = settings_text(s, SET_REQUESTS_MATCH);
    o->follow.keep_query = settings_flag(s, SET_KEEP_QUERY);
    o->follow.pairs = settings_flag(s, SET_REQUEST_SNAPSHOTS);
    o->follow.overhead = settings_share(s, SET_REQUESTS_OVERHEAD);
}

static int run(const struct invocation *in, struct err *e)
{
    const struct settings *s = in->settings;
    struct run_options options = {.command = in->after};
    struct address *addresses = NULL;
    char first_line[FIRST_LINE_SIZE];
    if (in->after && in->word_count)
        return err_set(e, ERR_USAGE, "either targets or a command behind \"--\", not both");
    int rc = read_gc_floor(s, &options.gc_floor_us, e);
    if (rc == 0 && !in->after)
        rc = conduct_addresses(in, &addresses, &options.address_count, e);
    if (rc == 0)
        rc = read_analyze(s, &options.analyze, e);
    if (rc == 0)
        rc = live_read_settings(s, &options.live_sample_every, &options.live_steal, e);
    if (rc == 0)
        rc = conduct_agree_to_stacks(s, e);
    if (rc == 0) {
        options.addresses = addresses;
        fill_options(s, &options);
        if (!follows(s) && settings_given(s, SET_REQUESTS_MATCH))
            log_warn("requests-match (%s) does nothing without --requests",
                settings_source(s, SET_REQUESTS_MATCH));
        say_what_is_on(s, first_line);
        rc = conduct(in, &options, first_line, true, e);
    }
    free(addresses);
    return rc;
}

static const enum setting_id accepted[] = {SET_DURATION, SET_METRICS_INTERVAL, SET_SNAPSHOTS,
    SET_SNAPSHOT_INTERVAL, SET_MAX_SNAPSHOTS, SET_REQUESTS, SET_REQUESTS_SAMPLE, SET_REQUESTS_MATCH,
    SET_REQUESTS_OVERHEAD, SET_KEEP_QUERY, SET_REQUEST_SNAPSHOTS, SET_HOLD, SET_GC_FLOOR, SET_DIR,
    SET_LABEL, SET_COMPRESS, SET_ANALYZE, SET_DB, SET_SCHEMA, SET_DRAIN, SET_LOCAL_KEEP,
    SET_OUTBOX_SIZE, SET_NO_MIGRATE, SET_WAIT, SET_GIVE_UP, SET_MATCH, SET_MAX_PAUSE,
    SET_MAX_PAUSE_SHARE, SET_KEEP, SET_MAX_DISK, SET_MIN_FREE, SET_FORCE, SET_ALLOW_REMOTE,
    SET_TIMEOUT, SET_TIMELINE_INTERVAL, SET_TIMELINE_DURATION, SET_STACKS, SET_YES,
    SET_LIVE_PROFILE, SET_LIVE_PROFILE_INTERVAL, SET_DIAGNOSIS, SET_EXIT_CODE, SET_END};

const struct command command_run = {
    .name = "run",
    .arguments = "TARGET... | -- COMMAND...",
    .summary = "watch servers: readings and snapshots on a schedule, kept and recorded",
    .examples = "  heaptap run                                 node --inspect on 127.0.0.1:9229\n"
                "  heaptap run 9229 9230 --duration 10m        two servers, for ten minutes\n"
                "  heaptap run pid:4711 --snapshot-interval 5m opens the inspector of a process\n"
                "  heaptap run -- npm run dev                  starts it, watches what serves\n"
                "  heaptap run --requests --gc-floor 30s       which route keeps how many bytes\n"
                "  heaptap run --request-snapshots --requests-match '^GET /cart' before, after\n"
                "  HEAP_SNAPSHOT_INTERVAL=30000 heaptap run --dir /var/tmp\n",
    .details = "TARGET is a port, host:port, [::1]:port, ws://host:port/ID or pid:N; #2 or #TITLE\n"
               "behind it picks one of several, or one worker, as `heaptap targets` lists them.\n"
               "Ctrl-C ends it with a summary and a diagnosis.\n",
    .settings = accepted,
    .words_max = -1,
    .takes_command = true,
    .run = run,
};
