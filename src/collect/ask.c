/* Questions to a session, typed. */
#include "collect/ask.h"

#include "cdp/proto.h"

#include <stdlib.h>
#include <string.h>

static int evaluate(struct cdp_session *s, const struct proto_runtime_evaluate *p,
    int64_t deadline_us, cdp_reply_fn fn, void *arg, struct err *e)
{
    cJSON *params;
    int rc = proto_runtime_evaluate_encode(p, &params, e);
    return rc ? rc : cdp_call(s, PROTO_RUNTIME_EVALUATE, params, deadline_us, fn, arg, e);
}

int ask_evaluate(struct cdp_session *s, const char *expression, bool api, int64_t deadline_us,
    cdp_reply_fn fn, void *arg, struct err *e)
{
    struct proto_runtime_evaluate p = {.expression = expression,
        .object_group = ASK_OBJECT_GROUP,
        .include_command_line_api = api,
        .silent = true};
    return evaluate(s, &p, deadline_us, fn, arg, e);
}

int ask_settled(struct cdp_session *s, const char *expression, int64_t deadline_us, cdp_reply_fn fn,
    void *arg, struct err *e)
{
    struct proto_runtime_evaluate p = {
        .expression = expression, .silent = true, .return_by_value = true, .await_promise = true};
    return evaluate(s, &p, deadline_us, fn, arg, e);
}

int ask_call_on(struct cdp_session *s, const char *object, const char *function,
    int64_t deadline_us, cdp_reply_fn fn, void *arg, struct err *e)
{
    struct proto_runtime_call_function_on p = {
        .function_declaration = function, .object_id = object, .silent = true};
    cJSON *params;
    int rc = proto_runtime_call_function_on_encode(&p, &params, e);
    return rc ? rc : cdp_call(s, PROTO_RUNTIME_CALL_FUNCTION_ON, params, deadline_us, fn, arg, e);
}

/* Runtime.evaluate and Runtime.callFunctionOn answer in the same shape. */
/* Of what was thrown the first line: the others are of our script. */
static int decode(const cJSON *result, struct proto_runtime_evaluate_result *ret, struct err *e)
{
    int rc = proto_runtime_evaluate_result_decode(result, ret, e);
    if (rc == 0 && ret->has_exception_details) {
        const char *thrown =
            ret->result.description ? ret->result.description : ret->exception_details.text;
        rc = err_set(e, ERR_TARGET, "the target threw: %.*s", (int)strcspn(thrown, "\n"), thrown);
    }
    return rc;
}

static int wrong_answer(
    const struct proto_runtime_remote_object *got, const char *wanted, struct err *e)
{
    const char *type = got->type;
    return err_set(e, ERR_TARGET, "the target answered with %s %s, not with %s",
        *type && strchr("aeiou", *type) ? "an" : "a", type, wanted);
}

int ask_text(const cJSON *result, const char **ret_text, struct err *e)
{
    struct proto_runtime_evaluate_result r;
    int rc = decode(result, &r, e);
    if (rc)
        return rc;
    const char *text = cJSON_GetStringValue(r.result.value);
    if (!text)
        return wrong_answer(&r.result, "text", e);
    *ret_text = text;
    return 0;
}

int ask_object(const cJSON *result, const char **ret_object, struct err *e)
{
    struct proto_runtime_evaluate_result r;
    int rc = decode(result, &r, e);
    if (rc)
        return rc;
    if (!r.result.object_id)
        return wrong_answer(&r.result, "an object", e);
    *ret_object = r.result.object_id;
    return 0;
}

int ask_heap_id(struct cdp_session *s, const char *object, int64_t deadline_us, cdp_reply_fn fn,
    void *arg, struct err *e)
{
    struct proto_heap_profiler_get_heap_object_id p = {.object_id = object};
    cJSON *params;
    int rc = proto_heap_profiler_get_heap_object_id_encode(&p, &params, e);
    return rc ? rc
              : cdp_call(
                    s, PROTO_HEAP_PROFILER_GET_HEAP_OBJECT_ID, params, deadline_us, fn, arg, e);
}

int ask_heap_id_answer(const cJSON *result, int64_t *ret_id, struct err *e)
{
    struct proto_heap_profiler_get_heap_object_id_result r;
    int rc = proto_heap_profiler_get_heap_object_id_result_decode(result, &r, e);
    if (rc == 0)
        *ret_id = strtoll(r.heap_snapshot_object_id, NULL, 10);
    return rc;
}
