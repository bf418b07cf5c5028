/* One TCP or TLS connection as bytes in and bytes out: what lies under a WebSocket. */
#ifndef HEAPTAP_CDP_SOCKET_H
#define HEAPTAP_CDP_SOCKET_H

#include "cdp/loop.h"

#include <stddef.h>
#include <sys/types.h>

struct socket;

struct socket_handlers {
    void (*connected)(void *arg);
    void (*received)(void *arg, const char *bytes, size_t length);
    /* The end, once; the socket is freed after it. why: ERR_UNREACHABLE before `connected`,
     * ERR_LOST after it, NULL after socket_finish. */
    void (*closed)(void *arg, const struct err *why);
};

#define SOCKET_QUEUE_MAX (64 << 20) /* bytes that may wait to be sent: a heap tool asks little */
#define SOCKET_FLUSH_US  1000000    /* for a peer to take the rest after socket_finish */

struct socket_place {
    const char *ip; /* a literal */
    uint16_t port;
    const char *tls_name; /* NULL, or the name that the certificate must have */
    pid_t network;        /* the process in whose network this is (network.h); 0: ours */
};
/* Its strings are not needed after the call. There is no time limit here: the owner has one. */
int socket_connect(struct loop *l, const struct socket_place *to, const struct socket_handlers *h,
    void *arg, struct socket **ret_socket, struct err *e) MUST_USE;

/* Queues bytes, after `connected`; ERR_FULL past SOCKET_QUEUE_MAX. */
int socket_send(struct socket *s, const void *bytes, size_t length, struct err *e) MUST_USE;
/* No more `received` soon: what was read already still comes. */
void socket_pause(struct socket *s, bool paused);
/* Its file descriptor, -1 over TLS or when it is not connected. Borrowed. */
int socket_plain_fd(const struct socket *s);
/* No more `connected` and `received`; sends what waits if the peer takes it in time, and closes. */
void socket_finish(struct socket *s);

#endif
