/* A connection that says nothing for 400 seconds lives: to an idle target, and to one whose thread
 * stands still as it does in a snapshot. usage: silent SECONDS NODE… (two targets of each NODE) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cdp/connection.h"
#include "cdp/discover.h"
#include "cdp/proto.h"
#include "target.h"

#define TARGETS_MAX 16

struct talk {
    struct target target;
    struct address address;
    struct discover *discover;
    struct cdp_connection *connection;
    struct timer *timer;
    const char *node;
    bool stalled, answered, ended;
    int64_t start_us;
    uint64_t bytes_before;
};

static struct loop *loop;
static struct talk talks[TARGETS_MAX];
static int talk_count, open_count, bad;
static int seconds;

static void end(struct talk *t)
{
    if (t->ended)
        return;
    t->ended = true;
    bad += !t->answered;
    if (--open_count == 0)
        loop_stop(loop);
}

static void on_reply(void *arg, const cJSON *result, const struct err *why)
{
    struct talk *t = arg;
    double silent = (double)(clock_monotonic_us() - t->start_us) / 1e6;
    const struct cdp_counters *now = cdp_counters(t->connection);
    t->answered = result && silent >= seconds;
    printf("%s: %s: %s after %.1f s of silence (%llu messages in all)%s%s\n", t->node,
        t->stalled ? "stalled" : "idle", t->answered ? "alive" : "FAILED", silent,
        (unsigned long long)now->messages_in, why ? ": " : "", why ? why->text : "");
    fflush(stdout);
    cdp_close(t->connection);
}

static void ask(struct talk *t, const char *expression)
{
    struct err e = ERR_NONE;
    cJSON *params = NULL;
    const struct proto_runtime_evaluate p = {.expression = expression};
    int rc = proto_runtime_evaluate_encode(&p, &params, &e);
    if (!rc)
        rc = cdp_call(
            cdp_main_session(t->connection), PROTO_RUNTIME_EVALUATE, params, 0, on_reply, t, &e);
    if (rc) {
        printf("%s: %s\n", t->node, e.text);
        cdp_close(t->connection);
    }
}

static void on_timer(void *arg)
{
    ask(arg, "1");
}

static void on_opened(void *arg, struct cdp_session *s)
{
    (void)s;
    struct talk *t = arg;
    char expression[128];
    t->start_us = clock_monotonic_us();
    if (t->stalled) {
        snprintf(expression, sizeof expression,
            "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, %d000)", seconds + 1);
        ask(t, expression);
    } else {
        timer_start(t->timer, (seconds + 1) * 1000000LL);
    }
}

static void on_closed(void *arg, const struct err *why)
{
    struct talk *t = arg;
    if (why->code != ERR_CANCELLED)
        printf("%s: %s: closed: %s\n", t->node, t->stalled ? "stalled" : "idle", why->text);
    end(t);
}

static void on_discovered(void *arg, struct discovery *d, const struct err *why)
{
    static const struct cdp_handlers handlers = {.opened = on_opened, .closed = on_closed};
    struct talk *t = arg;
    struct err e = ERR_NONE;
    if (!d) {
        printf("%s: %s\n", t->node, why->text);
        end(t);
        return;
    }
    const struct cdp_options o = {.ip = d->ip, .port = d->port, .path = d->entries[0].path};
    if (cdp_connect(loop, &o, &handlers, t, &t->connection, &e)) {
        printf("%s: %s\n", t->node, e.text);
        end(t);
    }
    discovery_free(d);
}

int main(int argc, char **argv)
{
    struct err e = ERR_NONE;
    seconds = argc > 1 ? atoi(argv[1]) : 0;
    if (argc < 3 || seconds < 1 || 2 * (argc - 2) > TARGETS_MAX) {
        fprintf(stderr, "usage: silent SECONDS NODE...\n");
        return 2;
    }
    if (loop_new(&loop, &e))
        return 1;
    for (talk_count = 0; talk_count < 2 * (argc - 2); talk_count++) {
        struct talk *t = &talks[talk_count];
        t->node = argv[2 + talk_count / 2];
        t->stalled = talk_count % 2;
        t->target = target_start(t->node, "setInterval(() => {}, 1e6)", NULL);
        open_count++;
        char port[16];
        snprintf(port, sizeof port, "%u", t->target.port);
        if (address_parse(port, &t->address, &e) || timer_new(loop, on_timer, t, &t->timer, &e) ||
            discover_start(loop, &t->address, 10000000, on_discovered, t, &t->discover, &e)) {
            fprintf(stderr, "%s\n", e.text);
            return 1;
        }
    }
    int rc = loop_run(loop, &e);
    for (int i = 0; i < talk_count; i++) {
        timer_free(talks[i].timer);
        target_stop(&talks[i].target);
    }
    loop_free(loop);
    return rc || bad;
}
