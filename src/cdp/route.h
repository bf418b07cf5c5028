/* Where a message goes, by its first bytes: the bulk never meets a JSON parser. */
#ifndef HEAPTAP_CDP_ROUTE_H
#define HEAPTAP_CDP_ROUTE_H

#include "base/err.h"

#include <stddef.h>

enum route_kind {
    ROUTE_JSON,   /* anything: parse it */
    ROUTE_CHUNK,  /* a snapshot piece */
    ROUTE_WORKER, /* a message of a worker's session */
};

struct route {
    enum route_kind kind;
    /* ROUTE_CHUNK: the piece; ROUTE_WORKER: the worker's message. Still escaped, borrowed from the
     * message; that it holds no bare quote is left to unescape(). */
    const char *text;
    size_t length;
    const char *session_id; /* ROUTE_WORKER: plain text, without escapes; borrowed */
    size_t session_id_length;
};

struct route route_message(const char *message, size_t length);

#endif
