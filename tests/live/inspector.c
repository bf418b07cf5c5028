/* The connection against a real Node: a snapshot arrives whole whatever the pace, from workers too;
 * big messages pass; a process that ends is let go; many connections share one loop.
 * usage: NODE=path/to/node live_inspector */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cdp/connection.h"
#include "cdp/discover.h"
#include "cdp/proto.h"
#include "cdp/unescape.h"
#include "target.h"

#define SNAPSHOT_MAX (256 << 20)
#define DEADLINE_US  60000000 /* of a test: the machine may be busy */

static const char *node;
static struct target target;
static struct loop *loop;
static struct timer *deadline;
static struct cdp_connection *connection;
static struct cdp_handlers handlers;
static struct discovery *found;
static struct buf snapshot;
static char text[4096];
static int closed_code;

static void on_deadline(void *arg)
{
    (void)arg;
    fail_msg("nothing within %d s", DEADLINE_US / 1000000);
}

static void on_found(void *arg, struct discovery *d, const struct err *why)
{
    (void)arg;
    if (!d)
        fail_msg("%s", why->text);
    found = d;
    loop_stop(loop);
}

static void on_closed(void *arg, const struct err *why)
{
    (void)arg;
    closed_code = why->code;
    loop_stop(loop);
}

static void add_chunk(void *arg, struct cdp_session *s, const char *escaped, size_t length)
{
    (void)arg, (void)s;
    struct err e = ERR_NONE;
    size_t used = 0, made = 0;
    assert_int_equal(buf_reserve(&snapshot, length + UNESCAPE_MIN_ROOM), 0);
    assert_int_equal(unescape(escaped, length, snapshot.data + snapshot.length,
                         length + UNESCAPE_MIN_ROOM, &used, &made, &e),
        0);
    assert_int_equal(used, length);
    snapshot.length += made;
}

/* Until it is in its event loop, Node 20 now and then loses the wake-up of what it is asked. */
#define IDLE "setTimeout(() => console.log('ready'), 50); setInterval(() => {}, 1000);"

/* Connects to a fresh target that runs script, once that has printed "ready", and hands its main
 * session to `opened`. */
static void talk(const char *script)
{
    struct err e = ERR_NONE;
    struct address a;
    struct discover *discover = NULL;
    char port[16];
    target = target_start(node, script, NULL);
    target_await(&target, "ready");
    snprintf(port, sizeof port, "%u", target.port);
    assert_int_equal(address_parse(port, &a, &e), 0);
    assert_int_equal(loop_new(&loop, &e), 0);
    assert_int_equal(timer_new(loop, on_deadline, NULL, &deadline, &e), 0);
    timer_start(deadline, DEADLINE_US);
    assert_int_equal(discover_start(loop, &a, 10000000, on_found, NULL, &discover, &e), 0);
    assert_int_equal(loop_run(loop, &e), 0);
    assert_int_equal(found->runtime, RUNTIME_NODE);
    assert_true(found->major >= 18);
    size_t index = 9;
    assert_int_equal(discovery_pick(found, &a, &index, &e), 0);
    assert_int_equal(index, 0);
    handlers.closed = on_closed;
    const struct cdp_options o = {
        .ip = found->ip, .port = found->port, .path = found->entries[0].path};
    snapshot = buf_new(SNAPSHOT_MAX);
    closed_code = 0;
    assert_int_equal(cdp_connect(loop, &o, &handlers, NULL, &connection, &e), 0);
    assert_int_equal(loop_run(loop, &e), 0);
    timer_free(deadline);
    discovery_free(found);
    loop_free(loop);
    handlers = (struct cdp_handlers){0};
}

static void finish(void)
{
    target_stop(&target);
    buf_free(&snapshot);
}

static void call(struct cdp_session *s, const char *method, cJSON *params, cdp_reply_fn fn)
{
    struct err e = ERR_NONE;
    if (cdp_call(s, method, params, 0, fn, NULL, &e))
        fail_msg("%s", e.text);
}

static cJSON *evaluation(const char *expression)
{
    struct err e = ERR_NONE;
    cJSON *params = NULL;
    const struct proto_runtime_evaluate p = {
        .expression = expression, .include_command_line_api = true};
    assert_int_equal(proto_runtime_evaluate_encode(&p, &params, &e), 0);
    return params;
}

static void on_reply_close(void *arg, const cJSON *result, const struct err *why)
{
    (void)arg;
    if (!result)
        fail_msg("%s", why->text);
    cdp_close(connection);
}

static void take_snapshot(void *arg, struct cdp_session *s)
{
    (void)arg;
    call(s, PROTO_HEAP_PROFILER_TAKE_HEAP_SNAPSHOT, NULL, on_reply_close);
}

static void assert_whole(void)
{
    static const char start[] = "{\"snapshot\":{\"meta\":";
    assert_true(snapshot.length > 1000000);
    assert_memory_equal(snapshot.data, start, sizeof start - 1);
    snapshot.data[snapshot.length] = '\0';
    cJSON *tree = cJSON_ParseWithOpts(snapshot.data, NULL, true);
    assert_non_null(tree);
    const cJSON *head = cJSON_GetObjectItem(tree, "snapshot");
    const cJSON *meta = cJSON_GetObjectItem(head, "meta");
    int fields = cJSON_GetArraySize(cJSON_GetObjectItem(meta, "node_fields"));
    int nodes = cJSON_GetObjectItem(head, "node_count")->valueint;
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "nodes")), nodes * fields);
    cJSON_Delete(tree);
}

#define KEEP "globalThis.kept = 'caf\\u00e9 \\u20ac \"quoted\" \\\\ \\n';"

static void a_snapshot_arrives_whole(void **state)
{
    (void)state;
    handlers.opened = take_snapshot;
    handlers.chunk = add_chunk;
    talk(KEEP IDLE);
    assert_int_equal(closed_code, ERR_CANCELLED);
    assert_whole();
    assert_non_null(memmem(snapshot.data, snapshot.length, "\\\"quoted\\\"", 10));
    finish();
}

/* ---- at the pace of a slow writer ---- */

static struct timer *slow;
static bool paused;

static void on_slow(void *arg)
{
    (void)arg;
    paused = false;
    cdp_pause(connection, false);
}

static void add_slowly(void *arg, struct cdp_session *s, const char *escaped, size_t length)
{
    struct err e = ERR_NONE;
    assert_false(paused);
    add_chunk(arg, s, escaped, length);
    if (!slow)
        assert_int_equal(timer_new(loop, on_slow, NULL, &slow, &e), 0);
    paused = true;
    cdp_pause(connection, true);
    timer_start(slow, 2000);
}

static void on_slow_reply(void *arg, const cJSON *result, const struct err *why)
{
    timer_free(slow);
    on_reply_close(arg, result, why);
}

static void take_snapshot_slowly(void *arg, struct cdp_session *s)
{
    (void)arg;
    call(s, PROTO_HEAP_PROFILER_TAKE_HEAP_SNAPSHOT, NULL, on_slow_reply);
}

static void a_slow_writer_loses_nothing(void **state)
{
    (void)state;
    handlers.opened = take_snapshot_slowly;
    handlers.chunk = add_slowly;
    talk(KEEP IDLE);
    assert_whole();
    finish();
}

/* ---- workers ---- */

static void enable_workers(void *arg, struct cdp_session *s)
{
    (void)arg;
    struct err e = ERR_NONE;
    cJSON *params = NULL;
    const struct proto_node_worker_enable p = {.wait_for_debugger_on_start = false};
    assert_int_equal(proto_node_worker_enable_encode(&p, &params, &e), 0);
    call(s, PROTO_NODE_WORKER_ENABLE, params, NULL);
}

static void snapshot_of_worker(void *arg, struct cdp_session *s, const cJSON *params)
{
    (void)params;
    assert_false(cdp_session_is_main(s));
    take_snapshot(arg, s);
}

static void a_workers_snapshot_arrives_whole(void **state)
{
    (void)state;
    handlers.opened = enable_workers;
    handlers.attached = snapshot_of_worker;
    handlers.chunk = add_chunk;
    talk("new (require('worker_threads').Worker)('console.log(\"ready\");"
         "setInterval(() => {}, 1000)', { eval: true })");
    assert_whole();
    finish();
}

/* ---- big messages ---- */

#define BIG (64 << 20)

static void on_big(void *arg, const cJSON *result, const struct err *why)
{
    struct proto_runtime_evaluate_result r;
    struct err e = ERR_NONE;
    if (!result)
        fail_msg("%s", why->text);
    assert_int_equal(proto_runtime_evaluate_result_decode(result, &r, &e), 0);
    assert_true(cJSON_IsString(r.result.value));
    assert_int_equal(strlen(r.result.value->valuestring), BIG);
    on_reply_close(arg, result, why);
}

static void ask_big(void *arg, struct cdp_session *s)
{
    (void)arg;
    call(s, PROTO_RUNTIME_EVALUATE, evaluation("'x'.repeat(64 << 20)"), on_big);
}

static void a_message_of_64_megabytes_passes(void **state)
{
    (void)state;
    handlers.opened = ask_big;
    talk(IDLE);
    finish();
}

/* ---- the end of a process ---- */

static void on_waiting(void *arg, struct cdp_session *s, const char *method, const cJSON *params)
{
    (void)arg, (void)s, (void)params;
    if (strcmp(method, PROTO_NODE_RUNTIME_WAITING_FOR_DISCONNECT) == 0) {
        strcpy(text, method);
        cdp_close(connection);
    }
}

static void ask_for_notice(void *arg, struct cdp_session *s)
{
    (void)arg;
    struct err e = ERR_NONE;
    cJSON *params = NULL;
    const struct proto_node_runtime_notify_when_waiting_for_disconnect p = {.enabled = true};
    assert_int_equal(
        proto_node_runtime_notify_when_waiting_for_disconnect_encode(&p, &params, &e), 0);
    call(s, PROTO_NODE_RUNTIME_NOTIFY_WHEN_WAITING_FOR_DISCONNECT, params, NULL);
    call(s, PROTO_RUNTIME_EVALUATE, evaluation("setTimeout(() => process.exit(7), 100); 1"), NULL);
}

static void a_process_that_ends_is_let_go(void **state)
{
    (void)state;
    text[0] = '\0';
    handlers.opened = ask_for_notice;
    handlers.event = on_waiting;
    talk(IDLE);
    assert_string_equal(text, PROTO_NODE_RUNTIME_WAITING_FOR_DISCONNECT);
    assert_int_equal(closed_code, ERR_CANCELLED);
    int status = 0;
    int64_t end_us = clock_monotonic_us() + 10000000;
    pid_t ended = 0;
    while (!ended && clock_monotonic_us() < end_us)
        ended = waitpid(target.pid, &status, WNOHANG);
    assert_int_equal(ended, target.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    target.pid = 0;
    finish();
}

/* ---- many ---- */

#define MANY 120

static int many_open, many_answered, many_closed;
static struct cdp_connection *many[MANY];

static void on_many_reply(void *arg, const cJSON *result, const struct err *why)
{
    struct cdp_connection **one = arg;
    if (!result)
        fail_msg("%s", why->text);
    many_answered++;
    cdp_close(*one);
}

static void on_many_opened(void *arg, struct cdp_session *s)
{
    struct err e = ERR_NONE;
    (void)arg, (void)s;
    if (++many_open < MANY)
        return;
    for (int i = 0; i < MANY; i++) /* all stand at the same time */
        assert_int_equal(cdp_call(cdp_main_session(many[i]), PROTO_RUNTIME_GET_HEAP_USAGE, NULL,
                             20000000, on_many_reply, &many[i], &e),
            0);
}

static void on_many_closed(void *arg, const struct err *why)
{
    (void)arg;
    assert_int_equal(why->code, ERR_CANCELLED);
    if (++many_closed == MANY)
        cdp_close(connection);
}

static void open_many(void *arg, struct cdp_session *s)
{
    static const struct cdp_handlers many_handlers = {
        .opened = on_many_opened, .closed = on_many_closed};
    (void)arg, (void)s;
    struct err e = ERR_NONE;
    const struct cdp_options o = {
        .ip = found->ip, .port = found->port, .path = found->entries[0].path};
    for (int i = 0; i < MANY; i++)
        assert_int_equal(cdp_connect(loop, &o, &many_handlers, NULL, &many[i], &e), 0);
}

static void many_connections_share_a_loop(void **state)
{
    (void)state;
    many_open = many_answered = many_closed = 0;
    handlers.opened = open_many;
    talk(IDLE);
    assert_int_equal(many_answered, MANY);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_arrives_whole),
        cmocka_unit_test(a_slow_writer_loses_nothing),
        cmocka_unit_test(a_workers_snapshot_arrives_whole),
        cmocka_unit_test(a_message_of_64_megabytes_passes),
        cmocka_unit_test(a_process_that_ends_is_let_go),
        cmocka_unit_test(many_connections_share_a_loop),
    };
    node = getenv("NODE");
    if (!node) {
        print_error("NODE is not set: it says which Node to try\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
