/* config show: every setting in force and where it came from, without secrets. */
#include "command/command.h"

#include "base/text.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A connection string without its password; owned by the caller, NULL when memory is out. Behind
 * the first word "password" (password=, sslpassword=) nothing is shown at all. */
static char *without_secrets(const char *text)
{
    const char *authority = strstr(text, "://");
    const char *at = authority ? strrchr(authority, '@') : NULL;
    const char *colon = authority ? strchr(authority + 3, ':') : NULL;
    bool in_authority = at && colon && colon < at;
    const char *rest = in_authority ? at : text;
    const char *word = strcasestr(rest, "password");
    return text_format("%.*s%s%.*s%s", in_authority ? (int)(colon - text) : 0, text,
        in_authority ? ":***" : "", word ? (int)(word - rest) : (int)strlen(rest), rest,
        word ? "***" : "");
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
        char *value = text ? without_secrets(text) : NULL;
        struct buf visible = buf_new(1 << 16);
        if (text && (!value || text_add_visible(&visible, value, strlen(value)) != 0)) {
            rc = err_set(e, ERR_NOMEM, "out of memory");
        } else if (as_json) {
            cJSON *entry = cJSON_CreateObject();
            cJSON_AddStringToObject(entry, "name", setting_get(id)->name);
            cJSON_AddItemToObject(
                entry, "value", text ? cJSON_CreateString(visible.data) : cJSON_CreateNull());
            cJSON_AddStringToObject(entry, "source", settings_source(in->settings, id));
            cJSON_AddStringToObject(entry, "variable", setting_variable(id, variable));
            cJSON_AddItemToArray(list, entry);
        } else {
            printf("%-20s %-20s %s\n", setting_get(id)->name, text ? visible.data : "-",
                settings_source(in->settings, id));
        }
        buf_free(&visible);
        free(value);
        if (rc)
            break;
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

/* All of them: any command's option may stand here to see what it would do. */
static const enum setting_id accepted[] = {SET_CSV, SET_OUTPUT, SET_TIMEOUT, SET_WAIT, SET_GIVE_UP,
    SET_MATCH, SET_ALLOW_REMOTE, SET_DURATION, SET_METRICS_INTERVAL, SET_SNAPSHOTS,
    SET_SNAPSHOT_INTERVAL, SET_MAX_SNAPSHOTS, SET_LABEL, SET_DIR, SET_COMPRESS, SET_ANALYZE,
    SET_MIN_FREE, SET_MAX_PAUSE, SET_MAX_PAUSE_SHARE, SET_FORCE, SET_DB, SET_SCHEMA, SET_ADOPT,
    SET_NO_MIGRATE, SET_DRAIN, SET_LOCAL_KEEP, SET_OUTBOX_SIZE, SET_RUN, SET_SINCE, SET_OLDER,
    SET_TOP, SET_TIMELINE_INTERVAL, SET_TIMELINE_DURATION, SET_LIVE_PROFILE, SET_SAMPLE_EVERY,
    SET_LIVE_PROFILE_INTERVAL, SET_DIAGNOSIS, SET_END};

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
