/* config show: every setting in force and where it came from, without secrets. */
#include "command/command.h"

#include "base/text.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN "***"
#define VALUE_MAX                                                                                  \
    (16 * 1024 * 1024) /* a word of a command has 128 KB; escaped, and several times */

/* A connection string or URL without its password; NULL when memory is out. Behind the first word
 * "password" (password=, sslpassword=) nothing is shown at all. */
static char *without_password(const char *text)
{
    const char *authority = strstr(text, "://");
    const char *at = authority ? strrchr(authority, '@') : NULL;
    const char *colon = authority ? strchr(authority + 3, ':') : NULL;
    bool in_authority = at && colon && colon < at;
    const char *rest = in_authority ? at : text;
    const char *word = strcasestr(rest, "password");
    return text_format("%.*s%s%.*s%s", in_authority ? (int)(colon - text) : 0, text,
        in_authority ? ":" HIDDEN : "", word ? (int)(word - rest) : (int)strlen(rest), rest,
        word ? HIDDEN : "");
}

/* "POST http://host/path?*** ***": what is sent, without its query and body. The method may be
 * missing. */
static char *without_query_and_body(const char *request)
{
    size_t word = strcspn(request, " ");
    size_t url = memchr(request, '/', word) ? 0 : word + strspn(request + word, " ");
    size_t path = url + strcspn(request + url, " ?");
    size_t end = path + strcspn(request + path, " ");
    size_t body = end + strspn(request + end, " ");
    char *shown = text_format("%.*s%s%s", (int)path, request, end > path ? "?" HIDDEN : "",
        request[body] ? " " HIDDEN : "");
    char *safe = shown ? without_password(shown) : NULL;
    free(shown);
    return safe;
}

/* A value as it may be seen by anyone who looks on; owned by the caller. */
static char *without_secrets(enum setting_id id, const char *text)
{
    switch (id) {
    case SET_HEADER: return text_format("%.*s: " HIDDEN, (int)strcspn(text, ": "), text);
    case SET_BODY: return strdup(HIDDEN);
    case SET_REQUEST: return without_query_and_body(text);
    default: return without_password(text);
    }
}

/* Of a setting that may be given several times all values, with commas between them. */
static int add_value(struct buf *out, const struct settings *s, enum setting_id id)
{
    size_t count = 0;
    const char *const *texts = settings_texts(s, id, &count);
    const char *only = settings_text(s, id);
    int rc = 0;
    if (count == 0) {
        texts = &only;
        count = 1;
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        char *value = without_secrets(id, texts[i]);
        rc = i ? buf_add_text(out, ", ") : 0;
        if (rc == 0)
            rc = value ? text_add_visible(out, value, strlen(value)) : ERR_NOMEM;
        free(value);
    }
    return rc;
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
        struct buf visible = buf_new(VALUE_MAX);
        if (text && add_value(&visible, in->settings, id) != 0) {
            rc = err_set(e, ERR_NOMEM, "out of memory");
            buf_free(&visible);
            break;
        }
        const char *value = visible.data ? visible.data : "";
        if (as_json) {
            cJSON *entry = cJSON_CreateObject();
            cJSON_AddStringToObject(entry, "name", setting_get(id)->name);
            cJSON_AddItemToObject(
                entry, "value", text ? cJSON_CreateString(value) : cJSON_CreateNull());
            cJSON_AddStringToObject(entry, "source", settings_source(in->settings, id));
            cJSON_AddStringToObject(entry, "variable", setting_variable(id, variable));
            cJSON_AddItemToArray(list, entry);
        } else {
            printf("%-22s %-20s %s\n", setting_get(id)->name, text ? value : "-",
                settings_source(in->settings, id));
        }
        buf_free(&visible);
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
