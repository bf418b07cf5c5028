/* The HTTP upgrade that begins a WebSocket (RFC 6455, 4), without extensions or subprotocols. */
#ifndef HEAPTAP_CDP_HANDSHAKE_H
#define HEAPTAP_CDP_HANDSHAKE_H

#include "base/buf.h"

#include <stddef.h>

#define HANDSHAKE_KEY_SIZE 25   /* 16 random bytes in base64, and a NUL */
#define HANDSHAKE_HEAD_MAX 8192 /* bytes of the response's head; Node's has 129 */

int handshake_make_key(char ret_key[HANDSHAKE_KEY_SIZE], struct err *e) MUST_USE;

/* Appends the request. host goes into the Host header: "127.0.0.1:9229". */
int handshake_write(
    struct buf *out, const char *host, const char *path, const char *key, struct err *e) MUST_USE;

/* Judges the response in bytes[0..length). While its head is incomplete *ret_used is 0; then it is
 * the head's length, and frames follow it. ERR_UNREACHABLE: the server refuses (a wrong path).
 * ERR_PROTOCOL: no HTTP, a key that does not match, or something agreed that was not offered. */
int handshake_read(
    const char *bytes, size_t length, const char *key, size_t *ret_used, struct err *e) MUST_USE;

#endif
