/* The guardian: a small child process that holds the connections to targets as well, should heaptap
 * itself be killed. A target whose client vanishes while it sends something can die of that (Node
 * 22 does, now and then; docs/run.md), and while it sends a snapshot it sends a lot. With the
 * guardian it sends the rest to somebody who throws it away, and is left when it is silent. The
 * guardian also holds the capture lease meanwhile, because a target that builds a snapshot is busy.
 * And it speaks for a heaptap that is stopped (SIGSTOP) while a target pauses for it.
 *
 * All functions take NULL for a guardian that could not be started. */
#ifndef HEAPTAP_COLLECT_GUARDIAN_H
#define HEAPTAP_COLLECT_GUARDIAN_H

#include "cdp/connection.h"

struct guardian;

/* Forks it: it waits, and costs nothing, until it is asked, or heaptap is stopped or gone. */
int guardian_start(struct guardian **ret, struct err *e) MUST_USE;

/* It holds an open connection from now on, until guardian_release with what this returns. -1: it
 * does not. A connection over TLS has its state in this process and is left out. */
int guardian_hold(struct guardian *g, const struct cdp_connection *c);
void guardian_release(struct guardian *g, int held);

/* The session's last call has begun a stream that must not be cut off. lease: of the capture, held
 * until the stream has ended. One at a time. */
void guardian_stream(struct guardian *g, const struct cdp_session *s, int lease);
void guardian_stream_ended(struct guardian *g);

/* Should this process be stopped: frame is sent on the session's connection, once, until owner (any
 * pointer, one frame each) takes it back, or the connection is released. */
void guardian_speak(struct guardian *g, const void *owner, const struct cdp_session *s,
    const char *frame, size_t length);
void guardian_speak_no_more(struct guardian *g, const void *owner);

/* Ends it, unless a stream is on: then it stays behind until that has ended. */
void guardian_free(struct guardian *g);

/* What is read of a connection that nobody wants any more. For tests. */
#define GUARDIAN_MARK_SIZE 32
struct guardian_scan {
    char reply[GUARDIAN_MARK_SIZE]; /* how the answer that ends the stream begins; "": no stream */
    char tail[64];                  /* of the bytes before: a mark may lie across */
    size_t tail_length;
};
enum guardian_seen {
    GUARDIAN_SEEN_NOTHING,
    GUARDIAN_SEEN_REPLY,   /* the stream has ended */
    GUARDIAN_SEEN_LEAVING, /* the process waits for its clients to go, so that it can exit */
};
void guardian_scan_begin(struct guardian_scan *scan, int32_t call_id, bool worker);
enum guardian_seen guardian_scan_bytes(
    struct guardian_scan *scan, const char *bytes, size_t length);

#endif
