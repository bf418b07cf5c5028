/* What it costs to receive a heap snapshot and drop it: with heaptap's connection, with heaptap's
 * connection and unescaping, and with libwebsockets' own WebSocket client. Each way runs in a
 * process of its own and takes its own snapshot. usage: wire PORT [WAY…]; wire.mjs starts a target
 * for it. */
#include "base/clock.h"
#include "cdp/connection.h"
#include "cdp/discover.h"
#include "cdp/proto.h"
#include "cdp/unescape.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISCOVER_US 5000000

static struct loop *loop;
static struct cdp_connection *connection;
static struct discovery *target;
static uint64_t bytes_in, bytes_out;
static int64_t first_us, last_us; /* of chunks */
static bool decode, failed;
static char decoded[64 * 1024];

static void stop_with(const char *what, const struct err *why)
{
    fprintf(stderr, "wire: %s: %s\n", what, why->text);
    failed = true;
    loop_stop(loop);
}

static void count(size_t length)
{
    last_us = clock_monotonic_us();
    if (!first_us)
        first_us = last_us;
    bytes_in += length;
}

/* ---- heaptap's connection ---- */

static void on_chunk(void *arg, struct cdp_session *s, const char *escaped, size_t length)
{
    (void)arg, (void)s;
    count(length);
    while (decode && length) {
        struct err e = ERR_NONE;
        size_t used, made;
        if (unescape(escaped, length, decoded, sizeof decoded, &used, &made, &e)) {
            stop_with("chunk", &e);
            return;
        }
        escaped += used;
        length -= used;
        bytes_out += made;
    }
}

static void on_snapshot(void *arg, const cJSON *result, const struct err *why)
{
    (void)arg;
    if (!result)
        stop_with("snapshot", why);
    cdp_close(connection);
}

static void on_opened(void *arg, struct cdp_session *s)
{
    (void)arg;
    struct err e = ERR_NONE;
    if (cdp_call(s, PROTO_HEAP_PROFILER_TAKE_HEAP_SNAPSHOT, NULL, 0, on_snapshot, NULL, &e))
        stop_with("call", &e);
}

static void on_closed(void *arg, const struct err *why)
{
    (void)arg;
    if (why->code != ERR_CANCELLED)
        stop_with("connection", why);
    loop_stop(loop);
}

static int receive_ours(struct err *e)
{
    static const struct cdp_handlers handlers = {
        .opened = on_opened, .chunk = on_chunk, .closed = on_closed};
    const struct cdp_options options = {
        .ip = target->ip, .port = target->port, .path = target->entries[0].path};
    int rc = cdp_connect(loop, &options, &handlers, NULL, &connection, e);
    return rc ? rc : loop_run(loop, e);
}

/* ---- libwebsockets' own client ---- */

static bool lws_done;

static int on_lws(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    static const char ask[] = "{\"id\":1,\"method\":\"HeapProfiler.takeHeapSnapshot\"}";
    unsigned char frame[LWS_PRE + sizeof ask];
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED: lws_callback_on_writable(wsi); break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        memcpy(frame + LWS_PRE, ask, sizeof ask - 1);
        return lws_write(wsi, frame + LWS_PRE, sizeof ask - 1, LWS_WRITE_TEXT) < 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        count(length);
        if (lws_is_first_fragment(wsi) && length >= 7 && memcmp(in, "{\"id\":1", 7) == 0) {
            lws_done = true;
            return -1;
        }
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
        failed = !lws_done;
        lws_done = true;
        break;
    default: break;
    }
    return 0;
}

static int receive_lws(struct err *e)
{
    static const struct lws_protocols protocols[] = {
        {.name = "wire", .callback = on_lws, .rx_buffer_size = 256 * 1024}, {.name = NULL}};
    static const lws_retry_bo_t no_pings;
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .pt_serv_buf_size = 256 * 1024,
        .fd_limit_per_thread = 64};
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context *context = lws_create_context(&info);
    if (!context)
        return err_set(e, ERR_INTERNAL, "libwebsockets did not start");
    char host[ADDRESS_HOST_PORT_SIZE];
    address_host_port(target->ip, target->port, host);
    const struct lws_client_connect_info connect = {.context = context,
        .address = target->ip,
        .port = target->port,
        .path = target->entries[0].path,
        .host = host,
        .origin = host,
        .local_protocol_name = "wire",
        .ietf_version_or_minus_one = -1,
        .retry_and_idle_policy = &no_pings};
    if (!lws_client_connect_via_info(&connect))
        return err_set(e, ERR_UNREACHABLE, "libwebsockets does not connect");
    while (!lws_done && lws_service(context, 0) >= 0)
        continue;
    lws_context_destroy(context);
    return 0;
}

/* ---- one way ---- */

static void on_discovered(void *arg, struct discovery *d, const struct err *why)
{
    (void)arg;
    target = d;
    if (!d)
        stop_with("discovery", why);
    loop_stop(loop);
}

static int run_way(const char *way, const char *port)
{
    struct err e = ERR_NONE;
    struct address address;
    struct discover *discover;
    int rc = address_parse(port, &address, &e);
    if (!rc)
        rc = loop_new(&loop, &e);
    if (!rc)
        rc = discover_start(loop, &address, DISCOVER_US, on_discovered, NULL, &discover, &e);
    if (!rc)
        rc = loop_run(loop, &e);
    int64_t start_us = clock_monotonic_us();
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    decode = strcmp(way, "unescape") == 0;
    if (!rc && !failed)
        rc = strcmp(way, "lws") == 0 ? receive_lws(&e) : receive_ours(&e);
    getrusage(RUSAGE_SELF, &after);
    if (rc || failed || !bytes_in) {
        fprintf(stderr, "wire: %s: %s\n", way, e.text);
        return 1;
    }
    double user = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
                  (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1e6;
    double system = (double)(after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
                    (double)(after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    double mb = (double)bytes_in / 1048576;
    printf("%-9s %7.1f MB  cpu %5.2f s (user %4.2f, system %4.2f: %4.2f ms/MB)  wall %6.2f s, of "
           "which "
           "chunks %5.2f s  peak RSS %3ld MB\n",
        way, mb, user + system, user, system, (user + system) * 1000 / mb,
        (double)(clock_monotonic_us() - start_us) / 1e6, (double)(last_us - first_us) / 1e6,
        after.ru_maxrss / 1024);
    discovery_free(target);
    loop_free(loop);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"ours", "unescape", "lws", NULL};
    if (argc < 2) {
        fprintf(stderr, "usage: wire PORT [ours|unescape|lws]...\n");
        return 2;
    }
    int bad = 0;
    for (const char *const *way = argc > 2 ? (const char *const *)argv + 2 : all; *way; way++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            bad = run_way(*way, argv[1]);
            fflush(stdout);
            _exit(bad);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            bad = 1;
    }
    return bad;
}
