/* TLS as bytes in and bytes out, over libssl: it knows no socket.
 *
 * (libwebsockets 4.1 begins TLS on a raw connection before the socket is connected, so it cannot.)
 */
#ifndef HEAPTAP_CDP_TLS_H
#define HEAPTAP_CDP_TLS_H

#include "base/buf.h"

#include <stddef.h>

struct tls;

/* A client that trusts the system's authorities and wants a certificate for name (a host name or an
 * IP literal). */
int tls_new(const char *name, struct tls **ret_tls, struct err *e) MUST_USE;
void tls_free(struct tls *t); /* NULL is fine */

/* Takes what came from the peer (nothing, to begin with) and appends to plain what it means, and to
 * wire what the peer must get. ERR_UNREACHABLE: the peer is not who it should be, or speaks no TLS.
 * ERR_LOST: TLS broke later. */
int tls_receive(struct tls *t, const void *bytes, size_t length, struct buf *plain,
    struct buf *wire, struct err *e) MUST_USE;
bool tls_ready(const struct tls *t); /* the handshake is done */

/* Appends to wire what carries bytes; only when ready. */
int tls_send(
    struct tls *t, const void *bytes, size_t length, struct buf *wire, struct err *e) MUST_USE;
/* Appends to wire the notice that no more comes; failures are of no interest any more. */
void tls_finish(struct tls *t, struct buf *wire);

#endif
