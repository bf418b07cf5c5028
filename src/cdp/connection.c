/* A connection to an inspector: its states, and where each message goes. */
#include "cdp/connection.h"

#include "base/buf.h"
#include "base/log.h"

#include "cdp/address.h"
#include "cdp/frame.h"
#include "cdp/handshake.h"
#include "cdp/loop_lws.h"
#include "cdp/proto.h"
#include "cdp/route.h"
#include "cdp/session.h"
#include "cdp/socket.h"
#include "cdp/unescape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 1024                  /* worker threads of one process; hundreds are unusual */
#define UNREAD_MAX  (16 * LOOP_READ_SIZE) /* read before a pause took hold: one or two reads */

/*   CONNECTING ──tcp, tls──> UPGRADING ──101──> OPEN ──> CLOSING ──socket is closed──> CLOSED
 *       └────────────────────────┴───────────────┴──socket is closed──────────────────────^
 *
 *   CONNECTING, UPGRADING   wait for the peer until the deadline of cdp_options
 *   OPEN                    waits for anything, for ever: a target in a snapshot is silent
 *   CLOSING                 waits for the socket to be flushed, at most SOCKET_FLUSH_US
 *   CLOSED                  `closed` is being told, then the memory goes */
enum state { CONNECTING, UPGRADING, OPEN, CLOSING, CLOSED, STATES };
static const char *const state_names[STATES] = {
    "connecting", "upgrading", "open", "closing", "closed"};
static const bool moves[STATES][STATES] = {
    [CONNECTING] = {[UPGRADING] = true, [CLOSING] = true, [CLOSED] = true},
    [UPGRADING] = {[OPEN] = true, [CLOSING] = true, [CLOSED] = true},
    [OPEN] = {[CLOSING] = true, [CLOSED] = true},
    [CLOSING] = {[CLOSED] = true},
};

struct cdp_connection {
    struct loop *loop;
    enum state state;
    const struct cdp_handlers *handlers;
    void *arg;
    char *path;
    char where[ADDRESS_HOST_PORT_SIZE];       /* for errors */
    char host_header[ADDRESS_HOST_PORT_SIZE]; /* an IP literal unless TLS wants a name */
    enum cdp_peer peer;
    char key[HANDSHAKE_KEY_SIZE];
    struct socket *socket;
    struct timer *deadline; /* while CONNECTING and UPGRADING */
    struct timer *resume;   /* delivers what came before a pause */
    struct buf head;        /* the answer to the upgrade, while it is incomplete */
    struct frame_reader *reader;
    bool paused;
    bool silent;       /* cdp_close was called: nothing but replies and `closed` */
    struct buf unread; /* bytes that came before a pause took hold */
    struct buf out;    /* a frame on its way to the socket */
    struct buf nested; /* a worker's message */
    struct cdp_session *main;
    struct cdp_session *workers;
    size_t worker_count;
    struct cdp_counters counters;
    struct err why; /* of the end */
    struct loop_discard discard;
};

static void set_state(struct cdp_connection *c, enum state state)
{
    assert(moves[c->state][state]);
    log_debug("%s: %s, then %s", c->where, state_names[c->state], state_names[state]);
    c->state = state;
}

/* ---- the end ---- */

/* Ends the connection for a reason of ours; the socket then tells when it is closed. */
static void finish(struct cdp_connection *c, const struct err *why, uint16_t close_code)
{
    if (c->state >= CLOSING)
        return;
    bool was_open = c->state == OPEN;
    c->why = *why;
    set_state(c, CLOSING);
    timer_stop(c->deadline);
    timer_stop(c->resume);
    if (was_open && frame_write_close(&c->out, close_code, NULL) == 0 &&
        socket_send(c->socket, c->out.data, c->out.length, NULL) == 0)
        c->counters.bytes_out += c->out.length;
    buf_clear(&c->out);
    socket_finish(c->socket);
}

static void delete_connection(void *object)
{
    struct cdp_connection *c = object;
    frame_reader_free(c->reader);
    buf_free(&c->head);
    buf_free(&c->unread);
    buf_free(&c->out);
    buf_free(&c->nested);
    free(c->path);
    free(c);
}

/* Frees everything but the socket, which frees itself. */
static void discard_connection(struct cdp_connection *c)
{
    struct loop *l = c->loop;
    timer_free(c->deadline);
    timer_free(c->resume);
    while (c->workers) {
        struct cdp_session *s = c->workers;
        c->workers = s->next;
        session_free(l, s);
    }
    session_free(l, c->main);
    loop_discard(l, &c->discard, delete_connection, c);
}

static void on_socket_closed(void *arg, const struct err *why)
{
    struct cdp_connection *c = arg;
    c->socket = NULL;
    if (c->state != CLOSING) {
        c->why = *why;
        err_context(&c->why, "%s", c->where);
    }
    set_state(c, CLOSED);
    for (struct cdp_session *s = c->workers; s; s = s->next)
        session_fail_all(s, &c->why);
    session_fail_all(c->main, &c->why);
    if (c->handlers->closed)
        c->handlers->closed(c->arg, &c->why);
    discard_connection(c);
}

static void on_deadline(void *arg)
{
    struct cdp_connection *c = arg;
    struct err why = ERR_NONE;
    err_set(&why, ERR_UNREACHABLE, "%s: %s", c->where,
        c->state == CONNECTING ? "no connection within the time given"
                               : "connected, but nothing answers");
    finish(c, &why, FRAME_CLOSE_NORMAL);
}

void cdp_close(struct cdp_connection *c)
{
    struct err why = ERR_NONE;
    err_set(&why, ERR_CANCELLED, "%s: the connection was closed by us", c->where);
    c->silent = true;
    finish(c, &why, FRAME_CLOSE_NORMAL);
}

/* ---- messages ---- */

static struct cdp_session *find_worker(struct cdp_connection *c, const char *id, size_t length)
{
    struct cdp_session *s = c->workers;
    while (s && (s->gone || strlen(s->id) != length || memcmp(s->id, id, length) != 0))
        s = s->next;
    return s;
}

static int on_attached(struct cdp_connection *c, const cJSON *params, struct err *e)
{
    struct proto_node_worker_attached_to_worker event;
    struct cdp_session *s = NULL;
    int rc = proto_node_worker_attached_to_worker_decode(params, &event, e);
    if (rc)
        return rc;
    size_t length = strlen(event.session_id);
    if (length == 0 || find_worker(c, event.session_id, length))
        return err_set(e, ERR_PROTOCOL, "a worker's session id that is empty or not new");
    if (c->worker_count == WORKERS_MAX)
        return err_set(e, ERR_PROTOCOL, "more than %d workers", WORKERS_MAX);
    rc = session_new(c, c->loop, event.session_id, length, &s, e);
    if (rc)
        return rc;
    s->next = c->workers;
    c->workers = s;
    c->worker_count++;
    if (c->handlers->attached)
        c->handlers->attached(c->arg, s, params);
    return 0;
}

static int on_detached(struct cdp_connection *c, const cJSON *params, struct err *e)
{
    struct proto_node_worker_detached_from_worker event;
    int rc = proto_node_worker_detached_from_worker_decode(params, &event, e);
    if (rc)
        return rc;
    struct cdp_session *s = find_worker(c, event.session_id, strlen(event.session_id));
    if (!s)
        return 0;
    struct err why = ERR_NONE;
    err_set(&why, ERR_LOST, "%s: the worker has ended", c->where);
    session_drop_relays(c->main, s);
    session_fail_all(s, &why);
    if (c->handlers->detached && !c->silent)
        c->handlers->detached(c->arg, s);
    struct cdp_session **from = &c->workers;
    while (*from != s)
        from = &(*from)->next;
    *from = s->next;
    c->worker_count--;
    session_free(c->loop, s);
    return 0;
}

static void deliver_chunk(
    struct cdp_connection *c, struct cdp_session *s, const char *escaped, size_t length)
{
    c->counters.chunks++;
    c->counters.chunk_bytes += length;
    if (c->handlers->chunk)
        c->handlers->chunk(c->arg, s, escaped, length);
}

/* A chunk in a message of unusual form was unescaped by cJSON: escape it again. */
static int reescape_chunk(
    struct cdp_connection *c, struct cdp_session *s, const cJSON *params, struct err *e)
{
    struct proto_heap_profiler_add_heap_snapshot_chunk event;
    int rc = proto_heap_profiler_add_heap_snapshot_chunk_decode(params, &event, e);
    if (rc)
        return rc;
    char *quoted = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(params, "chunk"));
    if (!quoted)
        return err_set(e, ERR_NOMEM, "out of memory for a snapshot chunk");
    deliver_chunk(c, s, quoted + 1, strlen(quoted) - 2);
    cJSON_free(quoted);
    return 0;
}

static int deliver(struct cdp_connection *c, struct cdp_session *s, const char *text, size_t length,
    struct err *e);

static int deliver_nested(struct cdp_connection *c, const cJSON *params, struct err *e)
{
    struct proto_node_worker_received_message_from_worker event;
    int rc = proto_node_worker_received_message_from_worker_decode(params, &event, e);
    if (rc)
        return rc;
    struct cdp_session *worker = find_worker(c, event.session_id, strlen(event.session_id));
    return worker ? deliver(c, worker, event.message, strlen(event.message), e) : 0;
}

static int on_event(struct cdp_connection *c, struct cdp_session *s, const char *method,
    const cJSON *params, struct err *e)
{
    bool main = s == c->main;
    if (main && strcmp(method, PROTO_NODE_WORKER_ATTACHED_TO_WORKER) == 0)
        return on_attached(c, params, e);
    if (main && strcmp(method, PROTO_NODE_WORKER_DETACHED_FROM_WORKER) == 0)
        return on_detached(c, params, e);
    if (main && strcmp(method, PROTO_NODE_WORKER_RECEIVED_MESSAGE_FROM_WORKER) == 0)
        return deliver_nested(c, params, e);
    if (strcmp(method, PROTO_HEAP_PROFILER_ADD_HEAP_SNAPSHOT_CHUNK) == 0)
        return reescape_chunk(c, s, params, e);
    if (c->handlers->event)
        c->handlers->event(c->arg, s, method, params);
    return 0;
}

static int deliver_json(
    struct cdp_connection *c, struct cdp_session *s, const char *text, size_t length, struct err *e)
{
    cJSON *message = NULL;
    int rc = json_parse(text, length, &message, e);
    if (rc)
        return rc;
    const cJSON *method = cJSON_GetObjectItemCaseSensitive(message, "method");
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(message, "params");
    if (!cJSON_IsObject(message))
        rc = err_set(e, ERR_PROTOCOL, "a message that is not a JSON object");
    else if (cJSON_IsString(method))
        rc = on_event(c, s, method->valuestring, cJSON_IsObject(params) ? params : NULL, e);
    else
        session_reply(s, message);
    cJSON_Delete(message);
    return rc;
}

static int deliver_to_worker(struct cdp_connection *c, const struct route *r, struct err *e)
{
    struct cdp_session *worker = find_worker(c, r->session_id, r->session_id_length);
    if (!worker)
        return 0; /* it has ended, and this was on its way */
    buf_clear(&c->nested);
    if (buf_reserve(&c->nested, r->length + UNESCAPE_MIN_ROOM))
        return err_set(
            e, ERR_NOMEM, "out of memory for a worker's message of %zu bytes", r->length);
    size_t used;
    int rc = unescape(r->text, r->length, c->nested.data, r->length + UNESCAPE_MIN_ROOM, &used,
        &c->nested.length, e);
    if (rc)
        return rc;
    assert(used == r->length); /* it never grows, and there was room */
    return deliver(c, worker, c->nested.data, c->nested.length, e);
}

static int deliver(
    struct cdp_connection *c, struct cdp_session *s, const char *text, size_t length, struct err *e)
{
    struct route r = route_message(text, length);
    if (r.kind == ROUTE_CHUNK) {
        deliver_chunk(c, s, r.text, r.length);
        return 0;
    }
    if (r.kind == ROUTE_WORKER && s == c->main)
        return deliver_to_worker(c, &r, e);
    return deliver_json(c, s, text, length, e);
}

static int on_frame(struct cdp_connection *c, enum frame_event event, const char *text,
    size_t length, struct err *e)
{
    switch (event) {
    case FRAME_TEXT: c->counters.messages_in++; return deliver(c, c->main, text, length, e);
    case FRAME_PING:
        if (c->peer == CDP_PEER_NODE)
            return 0; /* it would drop the connection at a pong */
        buf_clear(&c->out);
        if (frame_write_pong(&c->out, text, length, e) == 0)
            return socket_send(c->socket, c->out.data, c->out.length, e);
        return e->code;
    case FRAME_CLOSE:
        return err_set(e, ERR_LOST, "the target closed the connection (code %u)",
            frame_close_code(text, length));
    case FRAME_PONG:
    case FRAME_MORE: break;
    }
    return 0;
}

/* Delivers the messages in bytes, until a callback pauses or ends the connection. */
static void feed(struct cdp_connection *c, const char *bytes, size_t length)
{
    struct err e = ERR_NONE;
    enum frame_event event = FRAME_TEXT;
    while (c->state == OPEN && !c->paused && event != FRAME_MORE) {
        const char *text;
        size_t text_length, used = 0;
        int rc = frame_read(c->reader, bytes, length, &used, &event, &text, &text_length, &e);
        bytes += used;
        length -= used;
        if (!rc)
            rc = on_frame(c, event, text, text_length, &e);
        if (rc) {
            err_context(&e, "%s", c->where);
            finish(c, &e, rc == ERR_PROTOCOL ? FRAME_CLOSE_PROTOCOL : FRAME_CLOSE_NORMAL);
        }
    }
    if (c->state == OPEN && length && buf_add(&c->unread, bytes, length)) {
        err_set(&e, ERR_NOMEM, "%s: no room for what came during a pause", c->where);
        finish(c, &e, FRAME_CLOSE_NORMAL);
    }
}

static void on_resume(void *arg)
{
    struct cdp_connection *c = arg;
    struct buf unread = c->unread;
    c->unread = buf_new(UNREAD_MAX);
    feed(c, unread.data ? unread.data : "", unread.length);
    buf_free(&unread);
    if (c->state == OPEN && !c->paused)
        socket_pause(c->socket, false);
}

int cdp_plain_fd(const struct cdp_connection *c)
{
    return c->state == OPEN ? socket_plain_fd(c->socket) : -1;
}

void cdp_pause(struct cdp_connection *c, bool paused)
{
    if (c->state != OPEN || c->paused == paused)
        return;
    c->paused = paused;
    if (paused) {
        timer_stop(c->resume);
        socket_pause(c->socket, true);
    } else {
        timer_start(c->resume, 0);
    }
}

/* ---- the socket ---- */

static void on_connected(void *arg)
{
    struct cdp_connection *c = arg;
    struct err e = ERR_NONE;
    set_state(c, UPGRADING);
    int rc = handshake_write(&c->out, c->host_header, c->path, c->key, &e);
    if (!rc)
        rc = socket_send(c->socket, c->out.data, c->out.length, &e);
    if (rc)
        finish(c, &e, FRAME_CLOSE_NORMAL);
    c->counters.bytes_out += c->out.length;
    buf_clear(&c->out);
}

static void on_upgrade(struct cdp_connection *c, const char *bytes, size_t length)
{
    struct err e = ERR_NONE;
    size_t used = 0;
    int rc = buf_add(&c->head, bytes, length);
    if (rc)
        err_set(&e, rc, "no room for the answer to the upgrade");
    if (!rc)
        rc = handshake_read(c->head.data, c->head.length, c->key, &used, &e);
    if (rc) {
        err_context(&e, "%s", c->where);
        finish(c, &e, FRAME_CLOSE_NORMAL);
        return;
    }
    if (!used)
        return;
    set_state(c, OPEN);
    timer_stop(c->deadline);
    if (c->handlers->opened)
        c->handlers->opened(c->arg, c->main);
    feed(c, c->head.data + used, c->head.length - used);
    buf_free(&c->head);
}

static void on_received(void *arg, const char *bytes, size_t length)
{
    struct cdp_connection *c = arg;
    c->counters.bytes_in += length;
    if (c->state == UPGRADING) {
        on_upgrade(c, bytes, length);
    } else if (c->state == OPEN && (c->paused || c->unread.length)) {
        struct err e = ERR_NONE; /* behind what waits already */
        if (buf_add(&c->unread, bytes, length)) {
            err_set(&e, ERR_NOMEM, "%s: no room for what came during a pause", c->where);
            finish(c, &e, FRAME_CLOSE_NORMAL);
        }
    } else if (c->state == OPEN) {
        feed(c, bytes, length);
    }
}

int cdp_connect(struct loop *l, const struct cdp_options *o, const struct cdp_handlers *h,
    void *arg, struct cdp_connection **ret_connection, struct err *e)
{
    static const struct socket_handlers socket_handlers = {
        .connected = on_connected, .received = on_received, .closed = on_socket_closed};
    const struct socket_place place = {o->ip, o->port, o->tls_name, o->network};
    struct cdp_connection *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "out of memory for a connection");
    c->loop = l;
    c->handlers = h;
    c->arg = arg;
    c->peer = o->peer;
    c->why = ERR_NONE;
    c->head = buf_new(HANDSHAKE_HEAD_MAX + LOOP_READ_SIZE);
    c->unread = buf_new(UNREAD_MAX);
    c->out = buf_new(SOCKET_QUEUE_MAX);
    uint64_t message_max = o->message_max ? o->message_max : CDP_MESSAGE_MAX;
    c->nested = buf_new(message_max);
    address_host_port(o->tls_name ? o->tls_name : o->ip, o->port, c->where);
    address_host_header(o->tls_name ? o->tls_name : o->ip, o->port, c->host_header);
    c->path = strdup(o->path);
    int rc = c->path ? 0 : err_set(e, ERR_NOMEM, "out of memory for a connection");
    if (!rc)
        rc = handshake_make_key(c->key, e);
    if (!rc)
        rc = frame_reader_new(message_max, &c->reader, e);
    if (!rc)
        rc = session_new(c, l, "", 0, &c->main, e);
    if (!rc)
        rc = timer_new(l, on_deadline, c, &c->deadline, e);
    if (!rc)
        rc = timer_new(l, on_resume, c, &c->resume, e);
    if (!rc)
        rc = socket_connect(l, &place, &socket_handlers, c, &c->socket, e);
    if (rc) {
        discard_connection(c);
        return rc;
    }
    timer_start(c->deadline, o->deadline_us ? o->deadline_us : CDP_CONNECT_DEADLINE_US);
    *ret_connection = c;
    return 0;
}

/* ---- for sessions and owners ---- */

bool connection_is_open(const struct cdp_connection *c)
{
    return c->state == OPEN;
}

int connection_send(struct cdp_connection *c, const char *text, size_t length, struct err *e)
{
    buf_clear(&c->out);
    int rc = frame_write_text(&c->out, text, length, e);
    if (!rc)
        rc = socket_send(c->socket, c->out.data, c->out.length, e);
    if (!rc) {
        c->counters.bytes_out += c->out.length;
        c->counters.messages_out++;
    }
    buf_clear(&c->out);
    return rc;
}

void connection_count_stray(struct cdp_connection *c)
{
    c->counters.strays++;
}

struct cdp_session *cdp_main_session(struct cdp_connection *c)
{
    return c->main;
}

const struct cdp_counters *cdp_counters(const struct cdp_connection *c)
{
    return &c->counters;
}
