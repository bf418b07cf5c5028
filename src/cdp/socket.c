/* One TCP or TLS connection, over lws' raw client role. */
#include "cdp/socket.h"
#include "cdp/loop_lws.h"
#include "cdp/tls.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#define WRITE_SLICE (64 * 1024)          /* at a time: lws copies what the kernel does not take */
#define PLAIN_MAX   (2 * LOOP_READ_SIZE) /* of one read: its bytes, and the rest of a record */

struct socket {
    struct loop_socket lws_side; /* first: it is its socket */
    struct loop *loop;
    struct lws *wsi; /* NULL before it starts and after its end */
    const struct socket_handlers *handlers;
    void *arg;
    char *ip;
    struct tls *tls; /* NULL: plain */
    uint16_t port;
    pid_t network;
    bool connected; /* by TCP */
    bool told;      /* `connected` was: TLS is ready too */
    bool finishing, ended;
    struct timer *timer; /* starts it, ends it when flushing takes too long, reports the end */
    struct buf plain;    /* what TLS made of one read */
    struct buf queue;    /* bytes to send … */
    size_t sent;         /* … of which these are sent */
    struct err why;
    struct loop_discard discard;
};

static void delete_socket(void *object)
{
    struct socket *s = object;
    loop_release(s->loop);
    buf_free(&s->plain);
    buf_free(&s->queue);
    tls_free(s->tls);
    free(s->ip);
    free(s);
}

/* The end: reported in a later turn, for lws may be in the middle of anything. */
static void end(struct socket *s)
{
    if (s->ended)
        return;
    s->ended = true;
    loop_drop_socket(s->wsi);
    s->wsi = NULL;
    timer_start(s->timer, 0);
}

static const char unreachable[] = "nothing listens there, or it cannot be reached";

static void start(struct socket *s)
{
    struct lws_client_connect_info info;
    loop_client_info(s->loop, &s->lws_side, &info);
    info.method = "RAW";
    info.address = info.host = s->ip;
    info.port = s->port;
    info.pwsi = &s->wsi;
    if (!loop_connect(&info, s->network, &s->why)) {
        s->wsi = NULL;
        if (!s->why.code)
            err_set(&s->why, ERR_UNREACHABLE, "%s", unreachable);
        end(s);
    }
}

static void on_timer(void *arg)
{
    struct socket *s = arg;
    if (!s->ended && !s->wsi && !s->finishing) {
        start(s);
    } else if (!s->ended) {
        end(s); /* flushing took too long */
    } else {
        s->handlers->closed(s->arg, s->finishing ? NULL : &s->why);
        timer_free(s->timer);
        loop_discard(s->loop, &s->discard, delete_socket, s);
    }
}

/* Sends a slice of the queue; false when the socket is broken. */
static bool write_slice(struct socket *s)
{
    size_t left = s->queue.length - s->sent;
    if (left > 0) {
        size_t slice = left < WRITE_SLICE ? left : WRITE_SLICE;
        unsigned char *bytes = (unsigned char *)s->queue.data + s->sent;
        if (lws_write(s->wsi, bytes, slice, LWS_WRITE_RAW) < 0)
            return false;
        s->sent += slice;
        left -= slice;
    }
    if (left > 0 || lws_partial_buffered(s->wsi)) {
        lws_callback_on_writable(s->wsi);
        return true;
    }
    buf_clear(&s->queue);
    s->sent = 0;
    if (s->finishing)
        end(s);
    return true;
}

/* lws closes the socket itself, after the callback that this is called from. */
static void broken(struct socket *s, struct lws *wsi, int code, const char *text, size_t length)
{
    lws_set_opaque_user_data(wsi, NULL);
    s->wsi = NULL;
    if (!s->why.code)
        err_set(&s->why, code, "%.*s", (int)length, text);
    end(s);
}

static int receive_tls(struct socket *s, const char *bytes, size_t length)
{
    buf_clear(&s->plain);
    int rc = tls_receive(s->tls, bytes, length, &s->plain, &s->queue, &s->why);
    if (s->queue.length > s->sent)
        lws_callback_on_writable(s->wsi);
    if (rc)
        return rc;
    if (!s->told && tls_ready(s->tls)) {
        s->told = true;
        s->handlers->connected(s->arg);
    }
    if (s->plain.length && !s->finishing)
        s->handlers->received(s->arg, s->plain.data, s->plain.length);
    return 0;
}

/* TCP is connected (no bytes), or bytes came. */
static int receive(struct socket *s, const char *bytes, size_t length)
{
    if (s->tls)
        return receive_tls(s, bytes, length);
    if (length) {
        s->handlers->received(s->arg, bytes, length);
    } else {
        s->told = true;
        s->handlers->connected(s->arg);
    }
    return 0;
}

static int on_lws(struct loop_socket *side, struct lws *wsi, enum lws_callback_reasons reason,
    void *in, size_t length)
{
    static const char gone[] = "the connection was closed by the target";
    struct socket *s = (struct socket *)side;
    switch ((int)reason) {
    case LWS_CALLBACK_RAW_CONNECTED:
        s->wsi = wsi;
        s->connected = true;
        length = 0;
        /* fall through */
    case LWS_CALLBACK_RAW_RX:
        if (!s->finishing && receive(s, in, length)) {
            broken(s, wsi, s->why.code, s->why.text, strlen(s->why.text));
            return -1;
        }
        break;
    case LWS_CALLBACK_RAW_WRITEABLE:
        if (s->connected && !write_slice(s)) {
            broken(s, wsi, ERR_LOST, gone, sizeof gone - 1);
            return -1;
        }
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        /* lws' own words for it are "Unable to connect", whatever errno was */
        broken(s, wsi, ERR_UNREACHABLE, unreachable, sizeof unreachable - 1);
        break;
    case LWS_CALLBACK_RAW_CLOSE:
        broken(s, wsi, s->told ? ERR_LOST : ERR_UNREACHABLE, gone, sizeof gone - 1);
        break;
    default: break;
    }
    return 0;
}

int socket_connect(struct loop *l, const struct socket_place *to, const struct socket_handlers *h,
    void *arg, struct socket **ret_socket, struct err *e)
{
    struct socket *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "out of memory for a connection");
    s->lws_side.callback = on_lws;
    s->loop = l;
    s->handlers = h;
    s->arg = arg;
    s->port = to->port;
    s->network = to->network;
    s->plain = buf_new(PLAIN_MAX);
    s->queue = buf_new(SOCKET_QUEUE_MAX);
    s->why = ERR_NONE;
    s->ip = strdup(to->ip);
    loop_hold(l);
    int rc = s->ip ? 0 : err_set(e, ERR_NOMEM, "out of memory for a connection");
    if (!rc && to->tls_name)
        rc = tls_new(to->tls_name, &s->tls, e);
    if (!rc)
        rc = timer_new(l, on_timer, s, &s->timer, e);
    if (rc) {
        delete_socket(s);
        return rc;
    }
    timer_start(s->timer, 0);
    *ret_socket = s;
    return 0;
}

int socket_send(struct socket *s, const void *bytes, size_t length, struct err *e)
{
    if (s->finishing || s->ended)
        return err_set(e, ERR_LOST, "the connection is closed");
    if (s->sent > s->queue.length / 2) { /* move the rest forward before the queue grows */
        memmove(s->queue.data, s->queue.data + s->sent, s->queue.length - s->sent);
        s->queue.length -= s->sent;
        s->sent = 0;
    }
    int rc;
    if (s->tls) {
        rc = tls_send(s->tls, bytes, length, &s->queue, e);
    } else {
        rc = buf_add(&s->queue, bytes, length);
        if (rc)
            err_set(e, rc, "%zu bytes wait to be sent and the target takes none",
                s->queue.length - s->sent);
    }
    if (rc)
        return rc;
    if (s->connected)
        lws_callback_on_writable(s->wsi);
    return 0;
}

void socket_pause(struct socket *s, bool paused)
{
    if (s->wsi && s->connected)
        lws_rx_flow_control(s->wsi, !paused);
}

int socket_plain_fd(const struct socket *s)
{
    return s->wsi && s->connected && !s->tls ? lws_get_socket_fd(s->wsi) : -1;
}

void socket_finish(struct socket *s)
{
    if (s->finishing)
        return;
    s->finishing = true;
    if (s->ended)
        return;
    if (s->tls && s->told)
        tls_finish(s->tls, &s->queue);
    if (!s->wsi || !s->connected || s->queue.length == s->sent) {
        end(s);
        return;
    }
    lws_rx_flow_control(s->wsi, 0);
    lws_callback_on_writable(s->wsi);
    timer_start(s->timer, SOCKET_FLUSH_US);
}
