/* Live objects of the target. */
#include "command/prompt/live.h"

#include "cdp/proto.h"

#include <stdlib.h>
#include <string.h>

#define QUERY_DEADLINE_US (120 * 1000000LL) /* it collects garbage: about 1 ms a MB */

extern const char prompt_live_source[]; /* live.js */

const char *live_text(const cJSON *remote, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(remote, key));
}

const char *live_object(const cJSON *remote)
{
    return live_text(remote, "objectId");
}

/* "ReferenceError: x is not defined": what threw, without its stack. */
static int exception(const cJSON *details, struct err *e)
{
    const cJSON *thrown = cJSON_GetObjectItemCaseSensitive(details, "exception");
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(thrown, "description"));
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(thrown, "value");
    if (!text)
        text = cJSON_GetStringValue(value);
    if (!text)
        text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(details, "text"));
    if (!text)
        text = "something";
    return err_set(e, ERR_TARGET, "it threw %.*s", (int)strcspn(text, "\n"), text);
}

int live_take(cJSON *answer, cJSON **ret_remote, struct err *e)
{
    const cJSON *details = cJSON_GetObjectItemCaseSensitive(answer, "exceptionDetails");
    if (details)
        return exception(details, e);
    cJSON *remote = cJSON_DetachItemFromObjectCaseSensitive(answer, "result");
    if (!cJSON_IsObject(remote)) {
        cJSON_Delete(remote);
        return err_set(e, ERR_PROTOCOL, "the target's answer holds no result");
    }
    *ret_remote = remote;
    return 0;
}

/* The object of a remote, as a text of its own; the remote is taken. */
static int take_object(cJSON *remote, char **ret, struct err *e)
{
    const char *id = live_object(remote);
    char *copy = id ? strdup(id) : NULL;
    cJSON_Delete(remote);
    if (!copy)
        return err_set(e, ERR_TARGET, "the target answered with no object");
    *ret = copy;
    return 0;
}

int live_begin(struct session *s, char **ret_helper, struct err *e)
{
    struct proto_runtime_evaluate p = {.expression = prompt_live_source,
        .object_group = SESSION_OBJECT_GROUP,
        .include_command_line_api = true,
        .silent = true};
    cJSON *params, *answer = NULL, *remote;
    int rc = proto_runtime_evaluate_encode(&p, &params, e);
    if (rc == 0)
        rc = session_call(s, PROTO_RUNTIME_EVALUATE, params, 0, &answer, e);
    if (rc == 0)
        rc = live_take(answer, &remote, e);
    cJSON_Delete(answer);
    return rc ? rc : take_object(remote, ret_helper, e);
}

static void add(cJSON *arguments, const char *key, cJSON *value)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToObject(item, key, value);
    cJSON_AddItemToArray(arguments, item);
}

void live_add_object(cJSON *arguments, const char *object)
{
    add(arguments, "objectId", cJSON_CreateString(object));
}

void live_add_number(cJSON *arguments, double value)
{
    add(arguments, "value", cJSON_CreateNumber(value));
}

void live_add_text(cJSON *arguments, const char *text)
{
    add(arguments, "value", cJSON_CreateString(text));
}

int live_call(struct session *s, const char *helper, const char *function, cJSON *arguments,
    bool by_value, cJSON **ret_result, struct err *e)
{
    char declaration[128];
    cJSON *params, *answer = NULL;
    snprintf(declaration, sizeof declaration, "function (...a) { return this.%s(...a) }", function);
    struct proto_runtime_call_function_on p = {.function_declaration = declaration,
        .object_id = helper,
        .arguments = arguments,
        .object_group = SESSION_OBJECT_GROUP,
        .silent = true,
        .return_by_value = by_value};
    int rc = arguments ? proto_runtime_call_function_on_encode(&p, &params, e)
                       : err_set(e, ERR_NOMEM, "out of memory");
    cJSON_Delete(arguments);
    if (rc == 0)
        rc = session_call(s, PROTO_RUNTIME_CALL_FUNCTION_ON, params, QUERY_DEADLINE_US, &answer, e);
    if (rc == 0)
        rc = live_take(answer, ret_result, e);
    cJSON_Delete(answer);
    return rc;
}

int live_query(struct session *s, const char *prototype, char **ret_array, struct err *e)
{
    struct proto_runtime_query_objects p = {
        .prototype_object_id = prototype, .object_group = SESSION_OBJECT_GROUP};
    cJSON *params, *answer = NULL;
    int rc = proto_runtime_query_objects_encode(&p, &params, e);
    if (rc == 0)
        rc = session_call(s, PROTO_RUNTIME_QUERY_OBJECTS, params, QUERY_DEADLINE_US, &answer, e);
    if (rc == 0)
        rc = take_object(cJSON_DetachItemFromObjectCaseSensitive(answer, "objects"), ret_array, e);
    cJSON_Delete(answer);
    return rc;
}

int live_heap_id(struct session *s, const char *object, int64_t *ret, struct err *e)
{
    struct proto_heap_profiler_get_heap_object_id p = {.object_id = object};
    cJSON *params, *answer = NULL;
    int rc = proto_heap_profiler_get_heap_object_id_encode(&p, &params, e);
    if (rc == 0)
        rc = session_call(s, PROTO_HEAP_PROFILER_GET_HEAP_OBJECT_ID, params, 0, &answer, e);
    const char *text =
        rc == 0
            ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "heapSnapshotObjectId"))
            : NULL;
    if (rc == 0)
        *ret = text ? strtoll(text, NULL, 10) : 0;
    cJSON_Delete(answer);
    return rc;
}

/* ---- an object's properties ---- */

int live_properties(struct session *s, const char *object, cJSON **ret_answer, struct err *e)
{
    struct proto_runtime_get_properties p = {.object_id = object, .own_properties = true};
    cJSON *params;
    int rc = proto_runtime_get_properties_encode(&p, &params, e);
    return rc ? rc : session_call(s, PROTO_RUNTIME_GET_PROPERTIES, params, 0, ret_answer, e);
}

static const cJSON *first_of(const cJSON *answer, const char *list)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(answer, list);
    return found ? found->child : NULL;
}

const cJSON *live_next_property(const cJSON *answer, const cJSON *item)
{
    const cJSON *own = first_of(answer, "result");
    const cJSON *internal = first_of(answer, "internalProperties");
    if (!item)
        return own ? own : internal;
    bool last_own = own && item == own->prev; /* the first one's prev is the last */
    return item->next ? item->next : last_own ? internal : NULL;
}

const cJSON *live_property(const cJSON *answer, const char *name)
{
    const cJSON *item = NULL;
    while ((item = live_next_property(answer, item))) {
        const char *own = live_text(item, "name");
        if (own && strcmp(own, name) == 0)
            return item;
    }
    return NULL;
}

const cJSON *live_value(const cJSON *answer, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(live_property(answer, name), "value");
}

int64_t live_integer(const cJSON *answer, const char *name)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(live_value(answer, name), "value");
    return cJSON_IsNumber(number) ? (int64_t)number->valuedouble : 0;
}

const char *live_next_object(const cJSON *answer, const cJSON **item)
{
    while ((*item = *item ? (*item)->next : first_of(answer, "result"))) {
        const char *object = live_object(cJSON_GetObjectItemCaseSensitive(*item, "value"));
        if (object && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(*item, "enumerable")))
            return object;
    }
    return NULL;
}
