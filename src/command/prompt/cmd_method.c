/* Domain.method {JSON}: any method of the protocol; and events. */
#include "command/prompt/table.h"

#include "cdp/json.h"
#include "cdp/proto.h"
#include "command/prompt/catalogue.h"
#include "command/prompt/session.h"
#include "show/json.h"

#include <stdlib.h>
#include <string.h>

static int parse_object(const char *text, cJSON **ret, struct err *e)
{
    cJSON *tree = NULL;
    *ret = NULL;
    if (!*text)
        return 0;
    int rc = json_parse(text, strlen(text), &tree, e);
    if (rc) {
        err_context(e, "the parameters are no JSON, so they are not sent");
        return e->code = ERR_USAGE;
    }
    if (!cJSON_IsObject(tree)) {
        cJSON_Delete(tree);
        return err_set(e, ERR_USAGE, "parameters are an object, such as {\"depth\": 1}");
    }
    *ret = tree;
    return 0;
}

/* What would harm the target, or lose what it answers. */
static int refuse(const char *method, const cJSON *params, struct err *e)
{
    const char *inner = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(params, "message"));
    cJSON *tree = NULL;
    if (strcmp(method, PROTO_HEAP_PROFILER_TAKE_HEAP_SNAPSHOT) == 0 ||
        strcmp(method, PROTO_HEAP_PROFILER_STOP_TRACKING_HEAP_OBJECTS) == 0)
        return err_set(e, ERR_REFUSED,
            "the target would stand still for a snapshot that nobody keeps: snapshot takes one, "
            "after asking the guard, and timeline records");
    if (strcmp(method, PROTO_RUNTIME_TERMINATE_EXECUTION) == 0)
        return err_set(e, ERR_REFUSED,
            "Node dies of it where a timer's callback is what runs: terminate --yes does it");
    if (inner && (strcmp(method, PROTO_NODE_WORKER_SEND_MESSAGE_TO_WORKER) == 0 ||
                     strcmp(method, "Target.sendMessageToTarget") == 0)) {
        if (json_parse(inner, strlen(inner), &tree, e) != 0) {
            err_context(e, "the message is no JSON, so it is not sent");
            return e->code = ERR_USAGE;
        }
        cJSON_Delete(tree);
    }
    return 0;
}

static int run_method(struct session *s, struct prompt_call *c, struct err *e)
{
    const char *method = c->in.words[0];
    cJSON *params = NULL, *answer = NULL;
    int rc = parse_object(c->rest, &params, e);
    if (rc == 0)
        rc = refuse(method, params, e);
    if (rc) {
        cJSON_Delete(params);
        return rc;
    }
    rc = session_call(s, method, params, settings_number(c->in.settings, SET_DEADLINE), &answer, e);
    if (rc == ERR_TARGET && s->protocol && !protocol_find(s->protocol, method) &&
        protocol_nearest(s->protocol, method)) {
        size_t length = strlen(e->text);
        snprintf(e->text + length, sizeof e->text - length, "; did you mean %s?",
            protocol_nearest(s->protocol, method));
    }
    if (rc)
        return rc;
    struct show_out out = c->out;
    out.tty = (out.tty || out.format != SHOW_JSON) && answer->child; /* indented for people */
    return show_json(&out, answer, 0, e);
}

static const enum setting_id method_settings[] = {SET_DEADLINE, SET_END};

const struct prompt_command prompt_method = {
    .name = "Domain.method",
    .usage = "{JSON}",
    .summary = "any method of the target's protocol, its parameters checked",
    .help = "  Runtime.getHeapUsage\n"
            "  HeapProfiler.startSampling {\"samplingInterval\": 65536}\n"
            "help HeapProfiler lists what there is. What was enabled ends with the session.\n",
    .json = "the method's own result",
    .kind = SCRIPT_RAW,
    .settings = method_settings,
    .run = run_method,
};

/* ---- events ---- */

static int run_events(struct session *s, struct prompt_call *c, struct err *e)
{
    const char *word = c->in.word_count > 0 ? c->in.words[0] : "";
    const char *only = c->in.word_count > 1 ? c->in.words[1] : "";
    bool on = strcmp(word, "on") == 0;
    if (!on && strcmp(word, "off") != 0)
        return err_set(e, ERR_USAGE, "\"%s\" is neither on nor off", word);
    char *copy = on ? strdup(only) : NULL;
    if (on && !copy)
        return err_set(e, ERR_NOMEM, "out of memory");
    free(s->events);
    s->events = copy;
    return 0;
}

const struct prompt_command prompt_events = {
    .name = "events",
    .usage = "on|off [DOMAIN|EVENT]",
    .heading = "The target's own protocol",
    .summary = "shows events of the protocol as they come",
    .help = "  events on\n"
            "  events on HeapProfiler\n"
            "Only events of domains that were enabled come, such as by Runtime.enable.\n",
    .completes = COMPLETE_EVENTS,
    .choices = "on off",
    .words_min = 1,
    .words_max = 2,
    .run = run_events,
};
