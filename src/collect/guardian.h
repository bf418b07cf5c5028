/* The guardian: a small child process that keeps a target's connection alive while a snapshot
 * streams, should heaptap itself be killed. A target whose client vanishes in the middle of a
 * snapshot has its session torn down under it; with the guardian it sends the rest to somebody who
 * throws it away, and is left in peace after that. It also holds the capture lease meanwhile,
 * because the target is still busy.
 *
 * All functions take NULL for a guardian that could not be started. */
#ifndef HEAPTAP_COLLECT_GUARDIAN_H
#define HEAPTAP_COLLECT_GUARDIAN_H

#include "cdp/connection.h"

struct guardian;

/* Forks it: it waits, and costs nothing, until it is asked or heaptap is gone. */
int guardian_start(struct guardian **ret, struct err *e) MUST_USE;

/* The session's last call has begun a stream that must not be cut off. lease: of the capture, held
 * until the stream has ended. A connection over TLS has its state in this process and is left out.
 */
void guardian_watch(struct guardian *g, const struct cdp_session *s, int lease);
/* The stream has ended. */
void guardian_forget(struct guardian *g);

/* Ends it, unless a stream is on: then it stays behind until that has ended. */
void guardian_free(struct guardian *g);

/* What is read of a stream that nobody wants, until its end is seen. For tests. */
#define GUARDIAN_MARK_SIZE 32
struct guardian_scan {
    char reply[GUARDIAN_MARK_SIZE]; /* how the answer to the call begins */
    char tail[64];                  /* of the bytes before: a mark may lie across */
    size_t tail_length;
};
void guardian_scan_begin(struct guardian_scan *scan, int32_t call_id, bool worker);
/* True once the answer was seen, or that the process waits for its clients to leave. */
bool guardian_scan_bytes(struct guardian_scan *scan, const char *bytes, size_t length);

#endif
