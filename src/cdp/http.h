/* One HTTP GET, small enough to hold in memory: what discovery needs. */
#ifndef HEAPTAP_CDP_HTTP_H
#define HEAPTAP_CDP_HTTP_H

#include "cdp/loop.h"

#include <stddef.h>
#include <sys/types.h>

struct http_request {
    const char *ip; /* IP literal; it is the Host header too, for inspectors refuse names */
    uint16_t port;
    pid_t network; /* the process in whose network that is (network.h); 0: ours */
    const char
        *tls_name; /* NULL: plain HTTP; else TLS with this name checked and in the Host header */
    const char *path;
    size_t max_bytes;    /* of the body */
    int64_t deadline_us; /* for all of it, from now */
};

struct http_reply {
    int status;
    const char *body; /* NUL-terminated */
    size_t length;
};

struct http;
/* Called once, with a reply of whatever status, or with r NULL and why: ERR_UNREACHABLE (no
 * connection, or no answer in time), ERR_PROTOCOL (no HTTP, or too long). Both are borrowed for the
 * call. The request is freed after it. */
typedef void (*http_fn)(void *arg, const struct http_reply *r, const struct err *why);

/* The strings of q are not needed after this call. */
int http_get(struct loop *l, const struct http_request *q, http_fn fn, void *arg,
    struct http **ret_http, struct err *e) MUST_USE;
/* fn is not called any more. NULL is fine; not to be called after fn was. */
void http_cancel(struct http *h);

#endif
