/* What an endpoint is and which targets it offers: /json/version and /json/list, checked. */
#ifndef HEAPTAP_CDP_DISCOVER_H
#define HEAPTAP_CDP_DISCOVER_H

#include "cdp/address.h"
#include "cdp/loop.h"
#include "cdp/resolve.h"

#include <stddef.h>

enum runtime_kind {
    RUNTIME_UNKNOWN, /* it speaks the protocol, but names no runtime that we know */
    RUNTIME_NODE,
    RUNTIME_DENO,
    RUNTIME_CHROMIUM,
};
const char *runtime_name(enum runtime_kind kind); /* "node", "deno", "chromium", "unknown" */

#define DISCOVER_VERSION_SIZE 64  /* "HeadlessChrome/156.0.8078.79" is 28 */
#define DISCOVER_ENTRIES_MAX  512 /* tabs of a browser; a Node process has one entry */

struct discover_entry { /* all texts are from the target: escape them to print */
    char *id;
    char *type; /* "node", "page", … */
    char *title;
    char *url;
    char *path; /* of its WebSocket URL: "/UUID"; NULL while another client holds a Chromium page */
};

struct discovery {
    enum runtime_kind runtime;
    int major;                           /* 20 of v20.20.2; 0 if unknown */
    char version[DISCOVER_VERSION_SIZE]; /* "20.20.2", without the leading v; "" if unknown */
    char browser[DISCOVER_VERSION_SIZE]; /* the whole text: "node.js/v20.20.2" */
    char host[ADDRESS_HOST_SIZE];        /* as the user wrote it */
    char ip[RESOLVE_IP_SIZE];            /* the literal that answered */
    uint16_t port;
    bool tls;
    pid_t network; /* as in the address */
    size_t count;
    struct discover_entry *entries; /* owned; in the endpoint's order */
};
void discovery_free(struct discovery *d); /* NULL is fine */

struct discover;
/* Called once: with a discovery that is now the callee's, or with d NULL and why: ERR_UNREACHABLE
 * (no such host, nothing listens there, no answer in time, it is no inspector) or ERR_NOMEM. The
 * discover is freed after it. */
typedef void (*discover_fn)(void *arg, struct discovery *d /* taken */, const struct err *why);

/* a is an endpoint or a URL. A URL whose server shows no list (a proxy that passes only the
 * WebSocket) gives one entry made from the URL. deadline_us is for all of it, from now. */
int discover_start(struct loop *l, const struct address *a, int64_t deadline_us, discover_fn fn,
    void *arg, struct discover **ret_discover, struct err *e) MUST_USE;
/* fn is not called any more. NULL is fine; not to be called after fn was. */
void discover_cancel(struct discover *d);

/* The entry that a means: by number (from 1), by title (exact, else the only one that contains it,
 * without regard to case), by the path of a URL, else the only one, else the only page or node
 * target. ERR_USAGE lists what there is to pick from; ERR_UNREACHABLE: the URL's target is gone. */
int discovery_pick(
    const struct discovery *d, const struct address *a, size_t *ret_index, struct err *e) MUST_USE;

/* Workers are listed by their process, not by its endpoint: these put them behind what the endpoint
 * lists, in the order of their titles, which hold the number of the thread. id: the worker's,
 * unique on one connection. ERR_PROTOCOL past DISCOVER_ENTRIES_MAX. */
int discovery_add_worker(struct discovery *d, const char *id, const char *title, const char *url,
    struct err *e) MUST_USE;
void discovery_remove_worker(struct discovery *d, const char *id);
/* What picks the worker, 2 for #2; 0 if it is not there. */
int discovery_worker_number(const struct discovery *d, const char *id);

/* Does a ask for what only a worker can be, since nothing that the endpoint lists is picked by it?
 */
bool discovery_asks_for_worker(const struct discovery *d, const struct address *a);

/* The parts of discover_start that judge what came, for tests. Both refuse with ERR_PROTOCOL.
 * entries are added to d. */
int discover_read_version(
    const char *text, size_t length, struct discovery *d, struct err *e) MUST_USE;
int discover_read_list(
    const char *text, size_t length, struct discovery *d, struct err *e) MUST_USE;

#endif
