/* A connection to an inspector and its sessions: the main target's and one for each worker.
 *
 *   cdp_connect ──> opened ──> events, replies … ──> closed
 *        └────────────(it failed)────────────────────^
 *
 * All callbacks run on the loop's thread and never inside a call of this module, so any of these
 * functions may be called from any callback. `closed` is the last one, comes exactly once for every
 * successful cdp_connect, and the connection is freed after it. */
#ifndef HEAPTAP_CDP_CONNECTION_H
#define HEAPTAP_CDP_CONNECTION_H

#include "cdp/loop.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <sys/types.h>

struct cdp_connection;
struct cdp_session;

#define CDP_MESSAGE_MAX (1ULL << 30) /* bytes of one message; V8's own strings end at 512 MB */

enum cdp_peer {
    CDP_PEER_NODE,  /* never sent a ping or pong: it drops the connection */
    CDP_PEER_OTHER, /* gets the pong that RFC 6455 asks for */
};

struct cdp_options {
    const char *ip; /* IP literal */
    uint16_t port;
    pid_t network;        /* the process in whose network that is (network.h); 0: ours */
    const char *tls_name; /* NULL: plain; else TLS with this name checked and in the Host header */
    const char *path;     /* "/UUID" */
    enum cdp_peer peer;
    int64_t deadline_us;  /* for connecting and the upgrade; 0 means CDP_CONNECT_DEADLINE_US */
    uint64_t message_max; /* 0 means CDP_MESSAGE_MAX */
};
#define CDP_CONNECT_DEADLINE_US (10 * 1000000LL)

struct cdp_handlers {
    /* The WebSocket stands; s is the main session. */
    void (*opened)(void *arg, struct cdp_session *s);
    /* Any event that has no handler of its own below. params is borrowed, NULL if absent. */
    void (*event)(void *arg, struct cdp_session *s, const char *method, const cJSON *params);
    /* A piece of a heap snapshot: the JSON text between the quotes, still escaped once (for workers
     * too), borrowed: give it to unescape(). NULL: pieces are dropped, and counted. */
    void (*chunk)(void *arg, struct cdp_session *s, const char *escaped, size_t length);
    /* A worker's session began (after NodeWorker.enable was called on the main session).
     * params: proto_node_worker_attached_to_worker_decode. */
    void (*attached)(void *arg, struct cdp_session *s, const cJSON *params);
    /* The worker is gone; its calls have been answered with ERR_LOST; s is freed after this. */
    void (*detached)(void *arg, struct cdp_session *s);
    /* The end, of all sessions too (without `detached`). why: ERR_UNREACHABLE (never connected),
     * ERR_LOST (the peer went), ERR_PROTOCOL (it sent what it must not), ERR_CANCELLED (cdp_close),
     * ERR_NOMEM. */
    void (*closed)(void *arg, const struct err *why);
};

/* The strings of o are not needed after the call; h must outlive the connection. Handlers may be
 * NULL. */
int cdp_connect(struct loop *l, const struct cdp_options *o, const struct cdp_handlers *h,
    void *arg, struct cdp_connection **ret_connection, struct err *e) MUST_USE;

/* Ends it: what was sent before is flushed if the peer takes it within a second, then a close
 * frame, then the socket is closed. Calls that wait are answered with ERR_CANCELLED and `closed`
 * follows, both in a later turn. No other callback comes from now on. A second call does nothing.
 */
void cdp_close(struct cdp_connection *c);

/* While paused nothing more is delivered and soon nothing more is read from the socket (a writer's
 * queue is full). Deadlines of calls run on. */
void cdp_pause(struct cdp_connection *c, bool paused);

/* The connection's file descriptor, for another process that keeps it open; -1 if that could not
 * read it (TLS), or there is none (any more). Borrowed. */
int cdp_plain_fd(const struct cdp_connection *c);

/* ---- sessions ---- */
struct cdp_connection *cdp_session_connection(const struct cdp_session *s);
bool cdp_session_is_main(const struct cdp_session *s);
struct cdp_session *cdp_main_session(struct cdp_connection *c);
/* The NodeWorker session id, "" for the main session. */
const char *cdp_session_id(const struct cdp_session *s);
/* A place for the owner's own data. */
void cdp_session_set_data(struct cdp_session *s, void *data);
void *cdp_session_data(const struct cdp_session *s);

/* Called exactly once for every successful cdp_call. With the result (an object, borrowed), or with
 * result NULL and why: ERR_TARGET (the target's own error; its code and message are in the text),
 * ERR_TIMEOUT, ERR_LOST, ERR_PROTOCOL, ERR_CANCELLED. */
typedef void (*cdp_reply_fn)(void *arg, const cJSON *result, const struct err *why);

#define CDP_PENDING_MAX 1024 /* calls that may wait in one session; a healthy one has under ten */

/* Sends method with params (taken, also on failure; NULL for none). deadline_us from now, 0 for
 * none: a target that takes a snapshot may be silent for minutes. fn may be NULL when nobody cares
 * for the reply. ERR_USAGE: params are not an object, or hold something that cannot be sent as
 * valid JSON in valid UTF-8. ERR_FULL: too many wait. ERR_LOST: the connection is not open. */
int cdp_call(struct cdp_session *s, const char *method, cJSON *params, int64_t deadline_us,
    cdp_reply_fn fn, void *arg, struct err *e) MUST_USE;

/* Appends a call of method as the one frame that it is on the wire, with a reply that nobody waits
 * for: to be sent by another process that holds the connection, should this one not be able to. */
struct buf;
int cdp_frame_call(
    const struct cdp_session *s, const char *method, struct buf *out, struct err *e) MUST_USE;

/* The id of the session's last call, as its reply will have it. */
int32_t cdp_last_call(const struct cdp_session *s);

/* ---- figures ---- */
struct cdp_counters {
    uint64_t bytes_in, bytes_out; /* on the wire, inside TLS */
    uint64_t messages_in, messages_out;
    uint64_t chunks;      /* snapshot pieces among messages_in, of workers too */
    uint64_t chunk_bytes; /* of them, escaped */
    uint64_t strays;      /* replies to calls that had passed their deadline or never were */
};
const struct cdp_counters *cdp_counters(const struct cdp_connection *c);

#endif
