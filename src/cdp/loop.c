/* The loop, over libwebsockets.
 *
 * Timers do not use lws' own: its poll() counts in whole milliseconds, rounded down, so that it
 * spins through the last one before each deadline. One timerfd for the earliest deadline costs
 * nothing while it waits. */
#include "cdp/loop.h"
#include "cdp/loop_lws.h"
#include "cdp/timers.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define SOCKETS_MAX                                                                                \
    4096 /* lws finds a socket by walking this table; 100 targets need about 110                   \
          */
#define NEVER_SECS                                                                                 \
    (365 * 24 * 3600)             /* lws' own time limits are off: every wait of ours has one      \
                                   */
#define PLAIN_HOST        "plain" /* names of lws' virtual hosts */
#define TLS_HOST          "tls"
#define KEEPALIVE_S       60 /* of silence, before TCP asks whether a host is still there */
#define KEEPALIVE_TRIES   6
#define KEEPALIVE_EVERY_S 10

struct loop {
    struct lws_context *context;
    bool stopping;
    size_t held; /* timers, wakes, watches and sockets in use */
    struct wake *wakes;
    struct loop_discard *discards, **discards_end;
    struct timers timers;
    size_t timer_count;
    int timer_fd;
    struct watch *timer_watch;
    int64_t armed_us;  /* what timer_fd is set to; 0 while it is not */
    int64_t firing_us; /* while timers fire: a timer started now fires in a later turn */
};

struct timer {
    struct timers_node node; /* first: a node is its timer */
    struct loop *loop;
    timer_fn fn;
    void *arg;
    bool freed;
    struct loop_discard discard;
};

struct wake {
    struct wake *next, **from;
    struct loop *loop;
    wake_fn fn;
    void *arg;
    atomic_bool sent;
    bool freed;
    struct loop_discard discard;
};

struct watch {
    struct loop_socket socket; /* first: a socket is its watch */
    struct loop *loop;
    struct lws *wsi; /* over a duplicate of fd, which lws closes; NULL after lws saw the end */
    int fd;
    watch_fn fn;
    void *arg;
    bool freed;
    struct loop_discard discard;
};

/* ---- lws ---- */

static void run_wakes(struct loop *l)
{
    for (struct wake *w = l->wakes; w; w = w->next)
        if (!w->freed && atomic_exchange(&w->sent, false))
            w->fn(w->arg);
}

static int on_lws(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) {
        run_wakes(lws_context_user(lws_get_context(wsi)));
        return 0;
    }
    struct loop_socket *s = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    return s ? s->callback(s, wsi, reason, in, length) : 0;
}

static const struct lws_protocols protocols[] = {
    {.name = LOOP_PROTOCOL, .callback = on_lws, .rx_buffer_size = LOOP_READ_SIZE}, {.name = NULL}};

static void on_lws_log(int level, const char *line)
{
    (void)level;
    log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

/* What both virtual hosts and their context are made from. */
static struct lws_context_creation_info creation_info(struct loop *l)
{
    return (struct lws_context_creation_info){
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .user = l,
        .pt_serv_buf_size = LOOP_READ_SIZE,
        .fd_limit_per_thread = SOCKETS_MAX, /* otherwise tables for every fd that ulimit allows */
        .timeout_secs = NEVER_SECS,
        .connect_timeout_secs = NEVER_SECS,
        .http_proxy_address = "", /* a proxy from the environment is not for inspectors */
        .ka_time = KEEPALIVE_S,
        .ka_probes = KEEPALIVE_TRIES,
        .ka_interval = KEEPALIVE_EVERY_S,
    };
}

static struct lws_context *new_context(struct loop *l)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    struct lws_context_creation_info info = creation_info(l);
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    struct lws_context *context = lws_create_context(&info);
    info.options = 0;
    info.vhost_name = PLAIN_HOST;
    if (context && !lws_create_vhost(context, &info)) {
        lws_context_destroy(context);
        context = NULL;
    }
    return context;
}

struct lws_vhost *loop_tls_host(struct loop *l)
{
    struct lws_vhost *host = lws_get_vhost_by_name(l->context, TLS_HOST);
    struct lws_context_creation_info info = creation_info(l);
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.vhost_name = TLS_HOST;
    return host ? host : lws_create_vhost(l->context, &info);
}

struct lws_context *loop_context(struct loop *l)
{
    return l->context;
}

void loop_client_info(
    struct loop *l, struct loop_socket *s, struct lws_client_connect_info *ret_info)
{
    static const lws_retry_bo_t no_pings; /* all zero: lws neither pings nor hangs up by itself */
    *ret_info = (struct lws_client_connect_info){
        .context = l->context,
        .vhost = lws_get_vhost_by_name(l->context, PLAIN_HOST),
        .local_protocol_name = LOOP_PROTOCOL,
        .opaque_user_data = s,
        .retry_and_idle_policy = &no_pings,
        .ietf_version_or_minus_one = -1,
    };
}

/* The address is a literal, so that lws makes the socket within the call. */
struct lws *loop_connect(const struct lws_client_connect_info *info, pid_t network, struct err *e)
{
    int back;
    if (network_enter(network, &back, e) != 0)
        return NULL;
    struct lws *wsi = lws_client_connect_via_info(info);
    network_leave(back);
    return wsi;
}

void loop_drop_socket(struct lws *wsi)
{
    if (!wsi)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

void loop_hold(struct loop *l)
{
    l->held++;
}

void loop_release(struct loop *l)
{
    assert(l->held > 0);
    l->held--;
}

/* ---- the loop ---- */

static void run_timers(void *arg, int fd);

int loop_new(struct loop **ret_loop, struct err *e)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "out of memory for the loop");
    int rc = 0;
    l->discards_end = &l->discards;
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->timer_fd < 0) {
        rc = err_set_errno(e, ERR_IO, errno, "the loop's timer");
        goto out;
    }
    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write */
    l->context = new_context(l);
    if (!l->context) {
        rc =
            err_set(e, ERR_INTERNAL, "libwebsockets did not start (out of memory or descriptors?)");
        goto out;
    }
    rc = watch_new(l, l->timer_fd, run_timers, l, &l->timer_watch, e);
    if (rc)
        goto out;
    *ret_loop = l;
    l = NULL;
out:
    loop_free(l);
    return rc;
}

static void empty_discards(struct loop *l)
{
    while (l->discards) {
        struct loop_discard *link = l->discards;
        l->discards = link->next;
        if (!l->discards)
            l->discards_end = &l->discards;
        link->free_fn(link->object);
    }
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    watch_free(l->timer_watch);
    empty_discards(l);
    assert(l->held == 0);
    if (l->context)
        lws_context_destroy(l->context);
    if (l->timer_fd >= 0)
        close(l->timer_fd);
    timers_free(&l->timers);
    free(l);
}

int loop_run(struct loop *l, struct err *e)
{
    l->stopping = false;
    empty_discards(l);
    while (!l->stopping) {
        if (lws_service(l->context, 0) < 0)
            return err_set(e, ERR_INTERNAL, "libwebsockets gave up serving its sockets");
        empty_discards(l);
    }
    return 0;
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

void loop_discard(struct loop *l, struct loop_discard *link, loop_free_fn free_fn, void *object)
{
    *link = (struct loop_discard){.free_fn = free_fn, .object = object};
    *l->discards_end = link;
    l->discards_end = &link->next;
}

/* ---- timers ---- */

static void arm(struct loop *l)
{
    const struct timers_node *first = timers_first(&l->timers);
    int64_t due_us = first ? first->due_us : 0;
    if (due_us == l->armed_us)
        return;
    l->armed_us = due_us;
    struct itimerspec when = {
        .it_value = {.tv_sec = due_us / 1000000, .tv_nsec = due_us % 1000000 * 1000}};
    int rc = timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    assert(rc == 0);
}

static void run_timers(void *arg, int fd)
{
    struct loop *l = arg;
    uint64_t fired;
    if (read(fd, &fired, sizeof fired) != (ssize_t)sizeof fired)
        return; /* set anew since poll saw it */
    l->armed_us = 0;
    l->firing_us = clock_monotonic_us();
    struct timers_node *node;
    while ((node = timers_first(&l->timers)) && node->due_us <= l->firing_us) {
        struct timer *t = (struct timer *)node;
        timers_remove(&l->timers, node);
        t->fn(t->arg);
    }
    l->firing_us = 0;
    arm(l);
}

int timer_new(struct loop *l, timer_fn fn, void *arg, struct timer **ret_timer, struct err *e)
{
    struct timer *t = calloc(1, sizeof *t);
    if (!t || timers_reserve(&l->timers, l->timer_count + 1)) {
        free(t);
        return err_set(e, ERR_NOMEM, "out of memory for a timer");
    }
    l->timer_count++;
    loop_hold(l);
    t->loop = l;
    t->fn = fn;
    t->arg = arg;
    *ret_timer = t;
    return 0;
}

void timer_start(struct timer *t, int64_t delay_us)
{
    struct loop *l = t->loop;
    assert(!t->freed);
    int64_t due_us = clock_monotonic_us() + (delay_us > 0 ? delay_us : 0);
    if (due_us <= l->firing_us)
        due_us = l->firing_us + 1;
    timers_remove(&l->timers, &t->node);
    timers_add(&l->timers, &t->node, due_us);
    if (!l->firing_us)
        arm(l);
}

void timer_stop(struct timer *t)
{
    timers_remove(&t->loop->timers, &t->node); /* timer_fd may fire for nothing: that is cheap */
}

bool timer_running(const struct timer *t)
{
    return t->node.place != 0;
}

static void delete_timer(void *object)
{
    struct timer *t = object;
    t->loop->timer_count--;
    loop_release(t->loop);
    free(t);
}

void timer_free(struct timer *t)
{
    if (!t)
        return;
    assert(!t->freed);
    timer_stop(t);
    t->freed = true;
    loop_discard(t->loop, &t->discard, delete_timer, t);
}

/* ---- wakes ---- */

int wake_new(struct loop *l, wake_fn fn, void *arg, struct wake **ret_wake, struct err *e)
{
    struct wake *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "out of memory for a wake");
    loop_hold(l);
    w->loop = l;
    w->fn = fn;
    w->arg = arg;
    w->next = l->wakes;
    w->from = &l->wakes;
    if (w->next)
        w->next->from = &w->next;
    l->wakes = w;
    *ret_wake = w;
    return 0;
}

void wake_send(struct wake *w)
{
    if (!atomic_exchange(&w->sent, true))
        lws_cancel_service(w->loop->context);
}

static void delete_wake(void *object)
{
    struct wake *w = object;
    *w->from = w->next;
    if (w->next)
        w->next->from = w->from;
    loop_release(w->loop);
    free(w);
}

void wake_free(struct wake *w)
{
    if (!w)
        return;
    assert(!w->freed);
    w->freed = true;
    loop_discard(w->loop, &w->discard, delete_wake, w);
}

/* ---- watches ---- */

static int on_watch(struct loop_socket *s, struct lws *wsi, enum lws_callback_reasons reason,
    void *in, size_t length)
{
    (void)wsi, (void)in, (void)length;
    struct watch *w = (struct watch *)s;
    switch ((int)reason) {
    case LWS_CALLBACK_RAW_CLOSE_FILE: /* lws met a hang-up with nothing to read */
        w->wsi = NULL;
        w->fn(w->arg, w->fd);
        break;
    case LWS_CALLBACK_RAW_RX_FILE: w->fn(w->arg, w->fd); break;
    default: break;
    }
    return 0;
}

int watch_new(
    struct loop *l, int fd, watch_fn fn, void *arg, struct watch **ret_watch, struct err *e)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "out of memory for a watch");
    w->socket.callback = on_watch;
    w->loop = l;
    w->fd = fd;
    w->fn = fn;
    w->arg = arg;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        free(w);
        return err_set_errno(e, ERR_IO, errno, "watching a descriptor");
    }
    const lws_adopt_desc_t adopt = {
        .vh = lws_get_vhost_by_name(l->context, PLAIN_HOST),
        .type = LWS_ADOPT_RAW_FILE_DESC,
        .fd = {.filefd = copy},
        .vh_prot_name = LOOP_PROTOCOL,
        .opaque = &w->socket,
    };
    w->wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
    if (!w->wsi) { /* lws leaves a file's descriptor open then */
        close(copy);
        free(w);
        return err_set(e, ERR_NOMEM, "no room to watch another descriptor");
    }
    loop_hold(l);
    *ret_watch = w;
    return 0;
}

static void delete_watch(void *object)
{
    struct watch *w = object;
    loop_release(w->loop);
    free(w);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    assert(!w->freed);
    w->freed = true;
    loop_drop_socket(w->wsi);
    loop_discard(w->loop, &w->discard, delete_watch, w);
}
