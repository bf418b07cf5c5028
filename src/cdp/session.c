/* Sessions: calls that go out with a number, and wait in a table for the reply with that number.
 *
 * A worker's session is a session within the main one: its messages travel as texts in
 * NodeWorker.sendMessageToWorker, whose own reply matters only when it is an error. */
#include "cdp/session.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"

#include "cdp/frame.h"
#include "cdp/proto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int call(struct cdp_session *s, const char *method, cJSON *params, struct pending p,
    struct err *e) MUST_USE;

/* ---- the table of waiting calls ---- */

static struct pending take_pending(struct cdp_session *s, size_t index)
{
    struct pending p = s->pending[index];
    s->pending_count--;
    memmove(s->pending + index, s->pending + index + 1,
        (s->pending_count - index) * sizeof *s->pending);
    return p;
}

static size_t find_pending(const struct cdp_session *s, int32_t id)
{
    size_t i = 0;
    while (i < s->pending_count && s->pending[i].id != id)
        i++;
    return i;
}

static int add_pending(struct cdp_session *s, struct pending p, struct err *e)
{
    if (s->pending_count == CDP_PENDING_MAX)
        return err_set(e, ERR_FULL, "%d calls wait for the target already", CDP_PENDING_MAX);
    if (!array_grow(&s->pending, &s->pending_capacity, s->pending_count + 1))
        return err_set(e, ERR_NOMEM, "out of memory for a call");
    s->pending[s->pending_count++] = p;
    return 0;
}

static void set_timer(struct cdp_session *s)
{
    int64_t first_us = 0;
    for (size_t i = 0; i < s->pending_count; i++) {
        int64_t deadline_us = s->pending[i].deadline_us;
        if (deadline_us && (!first_us || deadline_us < first_us))
            first_us = deadline_us;
    }
    if (first_us)
        timer_start(s->timer, first_us - clock_monotonic_us());
    else
        timer_stop(s->timer);
}

/* Answers one call, which is out of the table already. */
static void answer(const struct pending *p, const cJSON *result, const struct err *why)
{
    if (p->relay && why) {
        size_t index = find_pending(p->relay, p->relay_id);
        if (index < p->relay->pending_count) {
            struct pending inner = take_pending(p->relay, index);
            set_timer(p->relay);
            answer(&inner, NULL, why); /* one level deep: a worker's calls carry nothing */
        }
    }
    if (p->fn)
        p->fn(p->arg, result, why);
}

static void on_timer(void *arg)
{
    struct cdp_session *s = arg;
    int64_t now_us = clock_monotonic_us();
    struct err why = ERR_NONE;
    err_set(&why, ERR_TIMEOUT, "the target has not answered in time");
    for (size_t i = 0; i < s->pending_count;) {
        if (!s->pending[i].deadline_us || s->pending[i].deadline_us > now_us) {
            i++;
            continue;
        }
        struct pending p = take_pending(s, i);
        answer(&p, NULL, &why);
        i = 0; /* the callback may have changed the table */
    }
    if (!s->gone)
        set_timer(s);
}

void session_fail_all(struct cdp_session *s, const struct err *why)
{
    s->gone = true;
    timer_stop(s->timer);
    while (s->pending_count) {
        struct pending p = take_pending(s, 0);
        answer(&p, NULL, why);
    }
}

void session_drop_relays(struct cdp_session *main, const struct cdp_session *worker)
{
    for (size_t i = 0; i < main->pending_count; i++)
        if (main->pending[i].relay == worker)
            main->pending[i].relay = NULL;
}

/* ---- replies ---- */

/* {"code":-32000,"message":"…","data":"…"} as one line. */
static void describe_error(const cJSON *error, struct err *ret_why)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(error, "data");
    err_set(ret_why, ERR_TARGET, "%s%s%s (%d)",
        cJSON_IsString(message) ? message->valuestring : "an error without a message",
        cJSON_IsString(data) ? ": " : "", cJSON_IsString(data) ? data->valuestring : "",
        cJSON_IsNumber(code) ? code->valueint : 0);
}

void session_reply(struct cdp_session *s, const cJSON *message)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(message, "id");
    size_t index = s->pending_count;
    if (cJSON_IsNumber(id) && id->valuedouble >= 1 && id->valuedouble <= INT32_MAX)
        index = find_pending(s, (int32_t)id->valuedouble);
    if (index == s->pending_count) {
        log_debug("a reply to a call that is not waiting");
        connection_count_stray(s->connection);
        return;
    }
    struct pending p = take_pending(s, index);
    if (p.deadline_us)
        set_timer(s);
    struct err why = ERR_NONE;
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(message, "error");
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(message, "result");
    if (error)
        describe_error(error, &why);
    else if (!cJSON_IsObject(result))
        err_set(&why, ERR_PROTOCOL, "a reply with neither result nor error");
    answer(&p, why.code ? NULL : result, why.code ? &why : NULL);
}

/* ---- calls ---- */

/* {"id":…,"method":…,"params":…} as text; params are taken, also on failure. */
static int print_call(int32_t id, const char *method, cJSON *params, char **ret_text,
    size_t *ret_length, struct err *e)
{
    int rc = 0;
    cJSON *message = cJSON_CreateObject();
    if (params && !cJSON_IsObject(params)) {
        rc = err_set(e, ERR_USAGE, "%s: parameters are a JSON object", method);
        goto out;
    }
    bool ok = message && cJSON_AddNumberToObject(message, "id", id) &&
              cJSON_AddStringToObject(message, "method", method);
    if (ok && params) {
        ok = cJSON_AddItemToObject(message, "params", params);
        if (ok)
            params = NULL;
    }
    if (!ok) {
        rc = err_set(e, ERR_NOMEM, "out of memory for a message");
        goto out;
    }
    rc = json_print(message, ret_text, ret_length, e);
out:
    cJSON_Delete(params);
    cJSON_Delete(message);
    return rc;
}

/* Sends a worker's message within a call of the main session. */
static int send_to_worker(struct cdp_session *s, int32_t id, const char *text, struct err *e)
{
    const struct proto_node_worker_send_message_to_worker p = {
        .message = text, .session_id = s->id};
    cJSON *params = NULL;
    int rc = proto_node_worker_send_message_to_worker_encode(&p, &params, e);
    return rc ? rc
              : call(cdp_main_session(s->connection), PROTO_NODE_WORKER_SEND_MESSAGE_TO_WORKER,
                    params, (struct pending){.relay = s, .relay_id = id}, e);
}

static int32_t next_id(struct cdp_session *s)
{
    do
        s->last_id = s->last_id == INT32_MAX ? 1 : s->last_id + 1;
    while (find_pending(s, s->last_id) < s->pending_count);
    return s->last_id;
}

static int call(
    struct cdp_session *s, const char *method, cJSON *params, struct pending p, struct err *e)
{
    char *text = NULL;
    size_t length = 0;
    p.id = next_id(s);
    int rc = print_call(p.id, method, params, &text, &length, e);
    if (!rc)
        rc = add_pending(s, p, e);
    if (rc)
        goto out;
    rc = s->id[0] ? send_to_worker(s, p.id, text, e)
                  : connection_send(s->connection, text, length, e);
    if (rc)
        (void)take_pending(s, find_pending(s, p.id));
    else if (p.deadline_us)
        set_timer(s);
out:
    cJSON_free(text);
    return rc;
}

/* Ids come to INT32_MAX after years of calls only. */
int cdp_frame_call(const struct cdp_session *s, const char *method, struct buf *out, struct err *e)
{
    char *text = NULL;
    size_t length = 0;
    int rc = print_call(INT32_MAX, method, NULL, &text, &length, e);
    if (rc == 0 && s->id[0]) {
        const struct proto_node_worker_send_message_to_worker p = {
            .message = text, .session_id = s->id};
        cJSON *params = NULL;
        rc = proto_node_worker_send_message_to_worker_encode(&p, &params, e);
        cJSON_free(text);
        text = NULL;
        if (rc == 0)
            rc = print_call(
                INT32_MAX, PROTO_NODE_WORKER_SEND_MESSAGE_TO_WORKER, params, &text, &length, e);
    }
    if (rc == 0)
        rc = frame_write_text(out, text, length, e);
    cJSON_free(text);
    return rc;
}

int32_t cdp_last_call(const struct cdp_session *s)
{
    return s->last_id;
}

int cdp_call(struct cdp_session *s, const char *method, cJSON *params, int64_t deadline_us,
    cdp_reply_fn fn, void *arg, struct err *e)
{
    if (s->gone || !connection_is_open(s->connection)) {
        cJSON_Delete(params);
        return err_set(e, ERR_LOST, "%s: the target is not connected", method);
    }
    const struct pending p = {.fn = fn,
        .arg = arg,
        .deadline_us = deadline_us > 0 ? clock_monotonic_us() + deadline_us : 0};
    return call(s, method, params, p, e);
}

/* ---- the session itself ---- */

int session_new(struct cdp_connection *c, struct loop *l, const char *id, size_t id_length,
    struct cdp_session **ret_session, struct err *e)
{
    if (id_length >= SESSION_ID_SIZE)
        return err_set(e, ERR_PROTOCOL, "a worker's session id of %zu bytes", id_length);
    struct cdp_session *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "out of memory for a session");
    s->connection = c;
    memcpy(s->id, id, id_length);
    int rc = timer_new(l, on_timer, s, &s->timer, e);
    if (rc) {
        free(s);
        return rc;
    }
    *ret_session = s;
    return 0;
}

static void delete_session(void *object)
{
    struct cdp_session *s = object;
    free(s->pending);
    free(s);
}

void session_free(struct loop *l, struct cdp_session *s)
{
    if (!s)
        return;
    assert(s->pending_count == 0);
    s->gone = true;
    timer_free(s->timer);
    loop_discard(l, &s->discard, delete_session, s);
}

struct cdp_connection *cdp_session_connection(const struct cdp_session *s)
{
    return s->connection;
}

bool cdp_session_is_main(const struct cdp_session *s)
{
    return s->id[0] == '\0';
}

const char *cdp_session_id(const struct cdp_session *s)
{
    return s->id;
}

void cdp_session_set_data(struct cdp_session *s, void *data)
{
    s->data = data;
}

void *cdp_session_data(const struct cdp_session *s)
{
    return s->data;
}
