/* One HTTP GET, over lws' HTTP client. */
#include "cdp/http.h"
#include "cdp/loop_lws.h"

#include "base/buf.h"

#include "cdp/address.h"

#include <stdlib.h>
#include <string.h>

#define READ_SLICE 4096 /* bytes of the body that lws hands out at a time */

struct http {
    struct loop_socket lws_side; /* first: it is its request */
    struct loop *loop;
    struct lws *wsi;     /* NULL before it starts and after its end */
    struct timer *timer; /* starts it, then is its deadline, then reports the end */
    char *ip, *tls_name, *path;
    uint16_t port;
    pid_t network;
    char where[ADDRESS_HOST_PORT_SIZE];       /* for errors */
    char host_header[ADDRESS_HOST_PORT_SIZE]; /* of plain HTTP */
    int64_t deadline_us;
    bool started, ended;
    int status;
    struct buf body;
    struct err why;
    http_fn fn;
    void *arg;
    struct loop_discard discard;
};

static void delete_http(void *object)
{
    struct http *h = object;
    loop_release(h->loop);
    buf_free(&h->body);
    free(h->ip);
    free(h->tls_name);
    free(h->path);
    free(h);
}

static void discard(struct http *h)
{
    if (h->wsi)
        loop_drop_socket(h->wsi);
    h->wsi = NULL;
    h->ended = true;
    timer_free(h->timer);
    loop_discard(h->loop, &h->discard, delete_http, h);
}

/* Over, with why or (code 0) with a reply; reported in a later turn. */
static void end(struct http *h)
{
    if (h->ended)
        return;
    h->ended = true;
    loop_drop_socket(h->wsi);
    h->wsi = NULL;
    timer_start(h->timer, 0);
}

static void start(struct http *h)
{
    struct lws_client_connect_info info;
    loop_client_info(h->loop, &h->lws_side, &info);
    h->started = true;
    info.method = "GET";
    info.address = h->ip;
    info.host = info.origin = h->tls_name ? h->tls_name : h->host_header;
    info.port = h->port;
    info.path = h->path;
    info.alpn = "http/1.1";
    info.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (h->tls_name ? LCCSCF_USE_SSL : 0);
    info.pwsi = &h->wsi;
    timer_start(h->timer, h->deadline_us);
    if (h->tls_name && !(info.vhost = loop_tls_host(h->loop)))
        err_set(&h->why, ERR_NOMEM, "TLS does not start");
    if (h->why.code || !loop_connect(&info, h->network, &h->why)) {
        h->wsi = NULL;
        if (!h->why.code)
            err_set(&h->why, ERR_UNREACHABLE, "nothing listens on %s", h->where);
        end(h);
    }
}

static void on_timer(void *arg)
{
    struct http *h = arg;
    if (!h->started) {
        start(h);
        return;
    }
    if (!h->ended) {
        err_set(&h->why, ERR_UNREACHABLE, "%s does not answer within the time given", h->where);
        end(h);
        return;
    }
    const struct http_reply reply = {
        .status = h->status, .body = h->body.data ? h->body.data : "", .length = h->body.length};
    h->fn(h->arg, h->why.code ? NULL : &reply, h->why.code ? &h->why : NULL);
    discard(h);
}

/* lws closes the socket itself, after the callback that this is called from. */
static void over(struct http *h, struct lws *wsi)
{
    lws_set_opaque_user_data(wsi, NULL);
    h->wsi = NULL;
    end(h);
}

static int on_body(struct http *h, const char *bytes, size_t length)
{
    int rc = buf_add(&h->body, bytes, length);
    if (rc == ERR_FULL)
        err_set(
            &h->why, ERR_PROTOCOL, "%s answers with more than %zu bytes", h->where, h->body.max);
    else if (rc)
        err_set(&h->why, rc, "out of memory for what %s answers", h->where);
    return rc;
}

/* said: libwebsockets' own words, not always ended by a NUL. */
static void not_connected(struct http *h, const char *said, size_t length)
{
    static const char refused[] = "Unable to connect";
    size_t words = said ? strnlen(said, length) : 0;
    if (words == 0 || strncmp(said, refused, sizeof refused - 1) == 0)
        err_set(&h->why, ERR_UNREACHABLE, "nothing listens on %s", h->where);
    else if (h->tls_name)
        err_set(&h->why, ERR_UNREACHABLE,
            "TLS with %s fails: it speaks none, or shows no trusted certificate for \"%s\" (%.*s)",
            h->where, h->tls_name, (int)words, said);
    else
        err_set(&h->why, ERR_UNREACHABLE,
            "%s is not an inspector: it does not answer in HTTP (%.*s)", h->where, (int)words,
            said);
}

static int on_lws(struct loop_socket *side, struct lws *wsi, enum lws_callback_reasons reason,
    void *in, size_t length)
{
    struct http *h = (struct http *)side;
    char slice[LWS_PRE + READ_SLICE], *at = slice + LWS_PRE;
    int room = READ_SLICE;
    switch ((int)reason) {
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        h->status = (int)lws_http_client_http_response(wsi);
        break;
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
        return lws_http_client_read(wsi, &at, &room) < 0 ? -1 : 0;
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
        if (on_body(h, in, length)) {
            over(h, wsi);
            return -1;
        }
        break;
    case LWS_CALLBACK_COMPLETED_CLIENT_HTTP: over(h, wsi); return -1; /* one request a connection */
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
        if (!h->status && reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR)
            not_connected(h, in, length);
        else
            err_set(
                &h->why, ERR_PROTOCOL, "%s closes the connection before its answer ends", h->where);
        over(h, wsi);
        break;
    default: break;
    }
    return 0;
}

int http_get(struct loop *l, const struct http_request *q, http_fn fn, void *arg,
    struct http **ret_http, struct err *e)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(e, ERR_NOMEM, "out of memory for a request");
    loop_hold(l);
    h->lws_side.callback = on_lws;
    h->loop = l;
    h->fn = fn;
    h->arg = arg;
    h->port = q->port;
    h->network = q->network;
    h->deadline_us = q->deadline_us;
    h->body = buf_new(q->max_bytes);
    h->why = ERR_NONE;
    h->ip = strdup(q->ip);
    h->path = strdup(q->path);
    h->tls_name = q->tls_name ? strdup(q->tls_name) : NULL;
    address_host_port(q->ip, q->port, h->where);
    address_host_header(q->ip, q->port, h->host_header);
    int rc = 0;
    if (!h->ip || !h->path || (q->tls_name && !h->tls_name))
        rc = err_set(e, ERR_NOMEM, "out of memory for a request");
    if (!rc)
        rc = timer_new(l, on_timer, h, &h->timer, e);
    if (rc) {
        delete_http(h);
        return rc;
    }
    timer_start(h->timer, 0);
    *ret_http = h;
    return 0;
}

void http_cancel(struct http *h)
{
    if (h)
        discard(h);
}
