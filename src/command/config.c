/* config show: every setting in force and where it came from, without secrets. */
#include "command/command.h"

#include "base/text.h"
#include "command/secrets.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 64 /* of an option, and a command in brackets */

static bool takes(const struct command *c, enum setting_id id)
{
    for (const enum setting_id *s = c->settings; s && *s != SET_END; s++)
        if (*s == id)
            return true;
    return false;
}

/* The command whose setting it is, where another command has one of the same name; else NULL. */
static const char *owner(enum setting_id id)
{
    int same = 0;
    for (int i = SET_END + 1; i < SET_COUNT; i++)
        same += strcmp(setting_get((enum setting_id)i)->name, setting_get(id)->name) == 0;
    for (const struct command *const *c = command_table; same > 1 && *c; c++)
        if (*c != &command_config && takes(*c, id))
            return (*c)->name;
    return NULL;
}

/* For a person: what the value means, and of which command it is. */
static void print_setting(const struct settings *s, enum setting_id id, const char *value)
{
    char name[NAME_SIZE], ms[TEXT_SHORT];
    const char *command = owner(id);
    int64_t us = settings_number(s, id);
    snprintf(name, sizeof name, "%s%s%s%s", setting_get(id)->name, command ? " (" : "",
        command ? command : "", command ? ")" : "");
    if (setting_get(id)->type == SETTING_MS && text_is_digits(value)) {
        snprintf(ms, sizeof ms, us % 1000000 ? "%" PRId64 "ms" : "%" PRId64 "s",
            us % 1000000 ? us / 1000 : us / 1000000);
        value = ms;
    }
    printf("%-22s %-20s %s\n", name, value, settings_source(s, id));
}

static int show(const struct invocation *in, struct err *e)
{
    bool as_json = settings_flag(in->settings, SET_JSON);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "schema", "heaptap.config/1");
    cJSON *list = cJSON_AddArrayToObject(root, "settings");
    int rc = 0;
    for (int i = SET_END + 1; i < SET_COUNT; i++) {
        enum setting_id id = (enum setting_id)i;
        const char *text = settings_text(in->settings, id);
        char variable[SETTING_VARIABLE_SIZE];
        char *value = secrets_hidden(in->settings, id);
        if (text && !value) {
            rc = err_set(e, ERR_NOMEM, "out of memory");
            break;
        }
        if (as_json) {
            cJSON *entry = cJSON_CreateObject();
            cJSON_AddStringToObject(entry, "name", setting_get(id)->name);
            cJSON_AddItemToObject(
                entry, "value", text ? cJSON_CreateString(value) : cJSON_CreateNull());
            cJSON_AddStringToObject(entry, "source", settings_source(in->settings, id));
            cJSON_AddStringToObject(entry, "variable", setting_variable(id, variable));
            cJSON_AddItemToArray(list, entry);
        } else {
            print_setting(in->settings, id, text ? value : "-");
        }
        free(value);
    }
    char *json = rc == 0 && as_json ? cJSON_PrintUnformatted(root) : NULL;
    if (json)
        puts(json);
    free(json);
    cJSON_Delete(root);
    return rc;
}

static int run(const struct invocation *in, struct err *e)
{
    if (strcmp(in->words[0], "show") != 0)
        return err_set(
            e, ERR_USAGE, "\"%s\" is not a thing to do; it is config show", in->words[0]);
    return show(in, e);
}

/* All of them: any command's option may stand here to see what it would do. (--snapshots is here
 * what it is to run, not to probe.) */
static const enum setting_id accepted[] = {SET_CSV, SET_OUTPUT, SET_TIMEOUT, SET_WAIT, SET_GIVE_UP,
    SET_MATCH, SET_ALLOW_REMOTE, SET_DURATION, SET_METRICS_INTERVAL, SET_SNAPSHOTS,
    SET_SNAPSHOT_INTERVAL, SET_MAX_SNAPSHOTS, SET_LABEL, SET_LIVE_PROFILE, SET_TIMELINE_INTERVAL,
    SET_TIMELINE_DURATION, SET_STACKS, SET_YES, SET_SAMPLE_EVERY, SET_COLLAPSED, SET_TREE, SET_VIEW,
    SET_INTERVAL, SET_DIFF, SET_LIVE_PROFILE_INTERVAL, SET_REQUESTS, SET_REQUESTS_SAMPLE,
    SET_REQUESTS_MATCH, SET_REQUESTS_OVERHEAD, SET_KEEP_QUERY, SET_REQUEST_SNAPSHOTS, SET_HOLD,
    SET_GC_FLOOR, SET_DIR, SET_COMPRESS, SET_ANALYZE, SET_KEEP, SET_MAX_DISK, SET_MIN_FREE,
    SET_MAX_PAUSE, SET_MAX_PAUSE_SHARE, SET_FORCE, SET_DB, SET_SCHEMA, SET_ADOPT, SET_NO_MIGRATE,
    SET_DRAIN, SET_LOCAL_KEEP, SET_OUTBOX_SIZE, SET_RUN, SET_SINCE, SET_OLDER, SET_TOP, SET_PARTIAL,
    SET_CLASS, SET_NAME, SET_KIND, SET_MIN_SIZE, SET_ONLY, SET_AFTER, SET_BEFORE, SET_OBJECTS,
    SET_DEPTH, SET_SHARE, SET_LONGEST, SET_EXIT_CODE, SET_JSON_FILE, SET_TARGET, SET_DIAGNOSIS,
    SET_MARKDOWN, SET_REQUEST, SET_BASE, SET_HEADER, SET_BODY, SET_REQUEST_COUNT, SET_ROUNDS,
    SET_CONCURRENCY, SET_REQUEST_TIMEOUT, SET_INSECURE, SET_SETTLE, SET_MAX_BYTES_PER_REQUEST,
    SET_COMMANDS, SET_SCRIPT, SET_STRICT, SET_DEADLINE, SET_WATCH, SET_EVERY, SET_TIMES, SET_END};

const struct command command_config = {
    .name = "config",
    .arguments = "show",
    .summary = "what is in force and where it comes from",
    .examples = "  heaptap config show\n"
                "  HEAP_SNAPSHOT_INTERVAL=30000 heaptap config show --dir /var/tmp\n",
    .details = "The order is: option, environment, configuration file, default.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
