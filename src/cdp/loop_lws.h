/* The side of the loop that libwebsockets sees: shared by the files of this room that open sockets
 * (loop.c, socket.c, http.c) and by nobody else. */
#ifndef HEAPTAP_CDP_LOOP_LWS_H
#define HEAPTAP_CDP_LOOP_LWS_H

#include "cdp/loop.h"
#include "cdp/network.h"

#include <libwebsockets.h>
#include <stddef.h>

/* The one lws protocol of the program, which every socket is bound to. */
#define LOOP_PROTOCOL "heaptap"

/* What a socket's opaque user data points to; NULL there makes the socket silent. Embed it. */
struct loop_socket {
    /* As an lws callback: a return other than 0 closes the socket. */
    int (*callback)(struct loop_socket *s, struct lws *wsi, enum lws_callback_reasons reason,
        void *in, size_t length);
};

struct lws_context *loop_context(struct loop *l);

/* Objects made on the loop that are still in use; loop_free insists that none is left. */
void loop_hold(struct loop *l);
void loop_release(struct loop *l);

/* What connections over TLS belong to, NULL where it cannot be made. It knows the certificates of
 * the system, whose reading takes longer than all else that a start does, so it is made when it is
 * needed. */
struct lws_vhost *loop_tls_host(struct loop *l);

/* Fills what every client connection has in common: context, protocol, no pings, no idle limit; no
 * TLS. */
void loop_client_info(
    struct loop *l, struct loop_socket *s, struct lws_client_connect_info *ret_info);

/* Connects from the network of that process (0: ours). NULL: it cannot, and e says why where lws
 * has not told the socket's callback. */
struct lws *loop_connect(const struct lws_client_connect_info *info, pid_t network, struct err *e);

/* Makes the socket silent at once; lws closes it in the next turn. */
void loop_drop_socket(struct lws *wsi);

/* Bytes that lws reads from a socket at once: few calls for a snapshot of gigabytes. */
#define LOOP_READ_SIZE (256 * 1024)

#endif
