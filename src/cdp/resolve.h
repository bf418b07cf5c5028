/* Host names to IP literals, on a thread of their own: a slow name server never stops the loop. */
#ifndef HEAPTAP_CDP_RESOLVE_H
#define HEAPTAP_CDP_RESOLVE_H

#include "cdp/loop.h"

#include <stddef.h>

#define RESOLVE_MAX     8  /* addresses that are worth trying for one name */
#define RESOLVE_IP_SIZE 64 /* INET6_ADDRSTRLEN (46) and a scope such as %eth0 (IFNAMSIZ 16) */

struct resolved {
    size_t count; /* at least 1 */
    char ip[RESOLVE_MAX][RESOLVE_IP_SIZE];
};

struct resolve;
/* Called once: with addresses in the order to try them, or with r NULL and why. Both are borrowed
 * for the call. The resolve is freed after it. */
typedef void (*resolve_fn)(void *arg, const struct resolved *r, const struct err *why);

/* IP literals pass through without a thread (but still not within this call). */
int resolve_start(struct loop *l, const char *host, int64_t deadline_us, resolve_fn fn, void *arg,
    struct resolve **ret_resolve, struct err *e) MUST_USE;
/* fn is not called any more. NULL is fine; not to be called after fn was. */
void resolve_cancel(struct resolve *r);

#endif
