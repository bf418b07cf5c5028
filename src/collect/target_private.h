/* Between target.c, which gets to know one session, and attachment.c, which has the connection. */
#ifndef HEAPTAP_COLLECT_TARGET_PRIVATE_H
#define HEAPTAP_COLLECT_TARGET_PRIVATE_H

#include "collect/target.h"

struct target {
    struct attachment *attachment; /* borrowed */
    struct cdp_session *session;   /* borrowed */
    struct target *next;           /* in the attachment's list */
    struct target_identity identity;
    char ip[RESOLVE_IP_SIZE]; /* of a main target's inspector on this host, else "" */
    uint16_t port;
    struct sampler *sampler;
    char *sampler_problem;
    struct timer *timer; /* looks again while the target waits for a debugger */
    int64_t started_us;  /* when we began to get to know it */
    bool passive, announced;
    bool unsampled; /* known for the sake of its workers only */
    bool judged;    /* known was called */
    bool waits;     /* for a debugger, as last seen; the identity keeps that it ever did */
    bool turns;     /* its event loop does, or nobody need ask */
    bool between_looks;
    int still_looks; /* in a row at an event loop that does not turn */
    int64_t expiry_us;
    void (*known)(struct target *t, const struct err *why);
    void *data;
};

/* Gets to know a session: who it is, whether it waits for a debugger, a sampler. known is called
 * once, never within this call, with NULL or why it cannot be used. d: what discovery said of the
 * main target, NULL for a worker; entry: which of its entries. */
struct target_start {
    struct loop *loop;
    struct attachment *attachment;
    struct cdp_session *session;
    const struct discovery *discovery;
    const struct discover_entry *entry; /* NULL for a worker */
    const char *worker_title, *worker_url, *worker_id;
    const struct target_identity *parent; /* a worker's main target */
    bool passive, unsampled;
    bool held; /* begins with target_begin */
    int64_t expiry_us;
    void (*known)(struct target *t, const struct err *why);
};
int target_new(const struct target_start *start, struct target **ret, struct err *e) MUST_USE;
void target_begin(struct target *t);

/* Only when its session is gone. */
void target_free(struct target *t);

#endif
