/* snapshot, snapshots, timeline, survivors: files of the target in use, with the guard before each.
 */
#include "command/prompt/table.h"

#include "base/clock.h"
#include "base/text.h"
#include "command/conduct.h"
#include "command/narrate.h"
#include "command/prompt/embed.h"
#include "command/prompt/session.h"
#include "command/recap.h"
#include "show/json.h"
#include "show/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RECORDING_DEFAULT_US (30 * 1000000LL)
#define TIMELINE_MAX_US      (10 * 60 * 1000000LL) /* one that is forgotten ends itself */

static struct run_capture_wish wish_of(const struct prompt_call *c, enum capture_kind kind)
{
    const struct settings *s = c->in.settings;
    return (struct run_capture_wish){
        .kind = kind, .output = settings_text(s, SET_OUTPUT), .limits = conduct_limits(s)};
}

/* What JSON and people get of a capture. */
static int put_outcome(const struct session *s, const struct show_out *o, size_t number,
    const char *label, struct err *e)
{
    const struct capture_outcome *outcome = &s->taken.outcome;
    char size[TEXT_SHORT], nodes[TEXT_SHORT], pause[TEXT_SHORT];
    int rc = 0;
    if (o->format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.snapshot/1", &rc);
        if (number)
            show_json_integer(root, "number", (int64_t)number, &rc);
        show_json_word(root, "label", label, &rc);
        narrate_capture_json(root, s->taken.trigger, s->taken.path, outcome, &rc);
        return show_json(o, root, rc, e);
    }
    if (number)
        fprintf(o->file, "%s%zu%s: ", show_on(o, SHOW_BOLD), number, show_off(o));
    rc = show_text(o, s->taken.path, strlen(s->taken.path), e);
    fprintf(o->file, "\n   %s", text_size(size, (double)outcome->file->bytes));
    if (outcome->file->nodes)
        fprintf(o->file, ", %s nodes", text_count(nodes, outcome->file->nodes));
    if (!isnan(outcome->heap_after))
        fprintf(o->file, ", heap %s", text_size(size, outcome->heap_after));
    if (!isnan(outcome->pause_ms))
        fprintf(o->file, ", the target stood still for %s",
            text_duration(pause, (int64_t)(outcome->pause_ms * 1000)));
    fputc('\n', o->file);
    if (outcome->new_epoch)
        fprintf(o->file, "   object ids were reset since the one before: they compare by class\n");
    if (outcome->verdict.reason[0]) {
        fprintf(o->file, "   %s",
            outcome->verdict.answer == GUARD_FORCED ? "taken by --force, although " : "");
        rc = show_text(o, outcome->verdict.reason, strlen(outcome->verdict.reason), e);
        fputc('\n', o->file);
    }
    return rc;
}

static int run_snapshot(struct session *s, struct prompt_call *c, struct err *e)
{
    const char *label = c->in.word_count ? c->in.words[0] : NULL;
    struct run_capture_wish wish = wish_of(c, CAPTURE_SNAPSHOT);
    wish.label = label ? label : "snapshot";
    int rc = session_capture(s, &wish, e);
    if (rc)
        return rc;
    if (label && s->snapshot_count > 0)
        s->snapshots[s->snapshot_count - 1].label = strdup(label);
    return put_outcome(s, &c->out, s->snapshot_count, label, e);
}

static const enum setting_id snapshot_settings[] = {
    SET_OUTPUT, SET_COMPRESS, SET_MAX_PAUSE, SET_MIN_FREE, SET_FORCE, SET_END};

const struct prompt_command prompt_snapshot = {
    .name = "snapshot",
    .aliases = "snap",
    .usage = "[LABEL]",
    .heading = "Snapshots",
    .summary = "takes a heap snapshot; the target stands still for it",
    .help =
        "Before it is taken the guard forecasts the stall and the memory it needs, and refuses\n"
        "what --max-pause, the host or the container does not allow (docs/guard.md). Ctrl-C ends\n"
        "the wait; the target cannot be stopped and finishes it all the same.\n",
    .json = "heaptap.snapshot/1",
    .settings = snapshot_settings,
    .words_max = 1,
    .run = run_snapshot,
};

/* ---- snapshots ---- */

enum { SNAPSHOT_TIME = 4, SNAPSHOT_COLUMNS = 9 };

static const struct show_column columns[SNAPSHOT_COLUMNS] = {{"FILE", "file", SHOW_NAME, 0},
    {"N", "number", SHOW_COUNT, 0}, {"LABEL", "label", SHOW_WORD, 0},
    {"TARGET", "target", SHOW_COUNT, 0}, [SNAPSHOT_TIME] = {"TIME", "time", SHOW_TIME, 0},
    {"SIZE", "bytes", SHOW_SIZE, 0}, {"NODES", "nodes", SHOW_COUNT, 0},
    {"HEAP", "heap_after", SHOW_SIZE, 0}, {"EPOCH", "epoch", SHOW_COUNT, 0}};

/* People get the time of day: a session is not of yesterday, and a whole date is wide. */
static void add_time(struct show_table *t, bool of_day, int64_t wall_ms)
{
    char iso[CLOCK_ISO_SIZE];
    clock_iso(iso, wall_ms);
    if (of_day)
        show_add_text(t, iso + strcspn(iso, "T") + 1, strlen("hh:mm:ss"));
    else
        show_add_integer(t, wall_ms);
}

static void add_snapshot(struct show_table *t, const struct kept *k, size_t number, bool of_day)
{
    show_add_word(t, k->path);
    show_add_integer(t, (int64_t)number);
    show_add_word(t, k->label);
    show_add_integer(t, (int64_t)k->target + 1);
    add_time(t, of_day, k->wall_ms);
    show_add_integer(t, k->bytes);
    show_add_integer(t, k->nodes);
    if (isnan(k->heap_after))
        show_add_none(t);
    else
        show_add_integer(t, (int64_t)k->heap_after);
    show_add_integer(t, k->epoch);
}

static int run_snapshots(struct session *s, struct prompt_call *c, struct err *e)
{
    struct show_column own[SNAPSHOT_COLUMNS];
    bool text = c->out.format == SHOW_TEXT;
    memcpy(own, columns, sizeof own);
    if (text)
        own[SNAPSHOT_TIME].type = SHOW_WORD;
    struct show_table *t = show_table_new(own, SNAPSHOT_COLUMNS);
    cJSON *rows = NULL;
    for (size_t i = 0; t && i < s->snapshot_count; i++)
        add_snapshot(t, &s->snapshots[i], i + 1, text);
    int rc = c->out.format == SHOW_JSON ? show_table_json(t, &rows, e) : show_table(&c->out, t, e);
    if (rc == 0 && rows) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.snapshots/1", &rc);
        show_json_add(root, "snapshots", rows, &rc);
        rc = show_json(&c->out, root, rc, e);
    }
    show_table_free(t);
    return rc;
}

static const enum setting_id with_csv[] = {SET_CSV, SET_END};

const struct prompt_command prompt_snapshots = {
    .name = "snapshots",
    .usage = "",
    .summary = "the snapshots of this session, by number",
    .help =
        "Where EPOCH is another one, object ids were reset between: such two compare by class.\n",
    .json = "heaptap.snapshots/1",
    .settings = with_csv,
    .run = run_snapshots,
};

/* ---- timeline ---- */

static int start_timeline(struct session *s, struct prompt_call *c, struct err *e)
{
    struct target *t = NULL;
    struct run_capture_wish wish = wish_of(c, CAPTURE_TIMELINE);
    int rc = session_target(s, &t, e);
    if (rc == 0 && s->recording)
        rc = err_set(e, ERR_USAGE, "a timeline is being recorded already; timeline stop ends it");
    if (rc == 0 && settings_flag(c->in.settings, SET_STACKS) &&
        !settings_flag(c->in.settings, SET_YES))
        rc = err_set(e, ERR_USAGE,
            "--stacks makes the target allocate 36 to 50 times slower while it records: add --yes "
            "to agree, or use survivors, which costs a fifth at most");
    if (rc)
        return rc;
    wish.label = "timeline";
    wish.stacks = settings_flag(c->in.settings, SET_STACKS);
    wish.recording_us = settings_given(c->in.settings, SET_DURATION)
                            ? settings_number(c->in.settings, SET_DURATION)
                            : TIMELINE_MAX_US;
    s->taken.done = false;
    rc = run_capture(s->run, s->current, &wish, e);
    if (rc)
        return rc;
    if (s->taken.done && s->taken.outcome.state != CAPTURE_COMPLETE) {
        *e = s->taken.outcome.why;
        return e->code;
    }
    s->recording = true;
    if (c->out.format != SHOW_JSON) {
        char limit[TEXT_SHORT];
        fprintf(c->out.file, "recording, for %s at most; timeline stop ends it\n",
            text_duration(limit, wish.recording_us));
        return 0;
    }
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.recording/1", &rc);
    show_json_bool(root, "recording", true, &rc);
    return show_json(&c->out, root, rc, e);
}

static int stop_timeline(struct session *s, struct prompt_call *c, struct err *e)
{
    if (!s->recording)
        return err_set(e, ERR_USAGE, "no timeline is being recorded; timeline start begins one");
    s->taken.done = false;
    run_end_recording(s->run);
    int rc = session_await_capture(s, e);
    if (rc)
        return rc;
    if (c->out.format != SHOW_JSON)
        rc = put_outcome(s, &c->out, 0, NULL, e);
    return rc ? rc : embed_sites(s, c, s->taken.path, e);
}

static int run_timeline(struct session *s, struct prompt_call *c, struct err *e)
{
    if (strcmp(c->in.words[0], "start") == 0)
        return start_timeline(s, c, e);
    if (strcmp(c->in.words[0], "stop") == 0)
        return stop_timeline(s, c, e);
    return err_set(e, ERR_USAGE, "\"%s\" is neither start nor stop", c->in.words[0]);
}

static const enum setting_id timeline_settings[] = {SET_DURATION, SET_STACKS, SET_YES, SET_OUTPUT,
    SET_TOP, SET_COMPRESS, SET_MAX_PAUSE, SET_MIN_FREE, SET_FORCE, SET_PARTIAL, SET_END};

const struct prompt_command prompt_timeline = {
    .name = "timeline",
    .usage = "start|stop",
    .heading = "Allocations and requests",
    .summary = "records what is allocated when, and what of it stays",
    .help =
        "Other commands go on meanwhile. Allocation is 4 to 8 times slower while it records, and\n"
        "its end stalls the target as a snapshot does. --stacks tells who allocates, at 36 to 50\n"
        "times: it needs --yes. A timeline that nobody stops ends after 10 minutes.\n",
    .json = "heaptap.allocations/1",
    .choices = "start stop",
    .shell = &command_timeline,
    .settings = timeline_settings,
    .words_min = 1,
    .words_max = 1,
    .run = run_timeline,
};

/* ---- survivors ---- */

static int run_survivors(struct session *s, struct prompt_call *c, struct err *e)
{
    const struct settings *settings = c->in.settings;
    struct run_capture_wish wish = wish_of(c, CAPTURE_PROFILE);
    struct target *t = NULL;
    char while_text[TEXT_SHORT];
    wish.label = "survivors";
    wish.sample_every = settings_number(settings, SET_SAMPLE_EVERY);
    wish.recording_us = settings_given(settings, SET_DURATION)
                            ? settings_number(settings, SET_DURATION)
                            : RECORDING_DEFAULT_US;
    int rc = session_target(s, &t, e);
    if (rc == 0 && wish.sample_every < 1)
        rc = err_set(e, ERR_USAGE, "--sample-every must be at least a byte");
    if (rc)
        return rc;
    s->taken.done = false;
    rc = run_capture(s->run, s->current, &wish, e);
    if (rc)
        return rc;
    if (s->terminal)
        session_tell(s, "sampling for %s; Ctrl-C ends it early and keeps what survived",
            text_duration(while_text, wish.recording_us));
    rc = session_await_capture(s, e);
    if (rc == ERR_CANCELLED &&
        s->terminal) { /* the first Ctrl-C ends the while, the next the wait */
        atomic_store(&s->interrupted, false);
        run_end_recording(s->run);
        rc = session_await_capture(s, e);
    }
    return rc ? rc : embed_sites(s, c, s->taken.path, e);
}

static const enum setting_id survivors_settings[] = {SET_DURATION, SET_SAMPLE_EVERY, SET_OUTPUT,
    SET_COMPRESS, SET_TOP, SET_CSV, SET_PARTIAL, SET_END};

const struct prompt_command prompt_survivors = {
    .name = "survivors",
    .usage = "",
    .summary = "which lines allocated what survives a while of traffic",
    .help =
        "  survivors --duration 10s\n"
        "Samples allocations for 30 s or as long as --duration says, has garbage collected, and\n"
        "prints what still lives by the line that allocated it. Use the server meanwhile.\n",
    .json = "heaptap.allocations/1",
    .shell = &command_survivors,
    .settings = survivors_settings,
    .run = run_survivors,
};
