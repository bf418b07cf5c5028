/* Attaching: from the words of a user to live targets, and back again after a restart.
 *
 * An attachment follows one address (an endpoint, a URL, a process). While it is attached it has
 * one main target and, if asked for, one for each worker; or only the worker that the address
 * picks. */
#ifndef HEAPTAP_COLLECT_TARGET_H
#define HEAPTAP_COLLECT_TARGET_H

#include "cdp/address.h"
#include "cdp/connection.h"
#include "cdp/discover.h"
#include "collect/guardian.h"
#include "collect/sampler.h"

struct attachment;
struct target;

enum target_kind { TARGET_NODE, TARGET_WORKER, TARGET_DENO, TARGET_PAGE, TARGET_OTHER };
const char *target_kind_name(enum target_kind kind); /* "node", "worker", "deno", "page", "other" */

/* Who a target is. Texts come from outside. */
struct target_identity {
    enum target_kind kind;
    char address[ADDRESS_HOST_PORT_SIZE];
    char *title, *url, *inspector_id; /* never NULL */
    char *runtime_version;            /* "20.20.2" */
    char *v8_version;                 /* "" if unknown */
    char *arch;                       /* "" if unknown */
    int64_t pid;                      /* as the process knows itself; 0 if unknown */
    pid_t host_pid;                   /* the same process in this host's /proc; 0: not local */
    pid_t network;                    /* the process in whose network its address is; 0: ours */
    int64_t started_at_ms;            /* wall clock; 0 if unknown */
    bool waiting;                     /* for a debugger: --inspect-brk, --inspect-wait */
};

const struct target_identity *target_identity(const struct target *t);
struct cdp_session *target_session(const struct target *t);
struct sampler *target_sampler(const struct target *t); /* NULL for a passive attachment */
/* Why there are only the heap's own figures; NULL when all is well. */
const char *target_sampler_problem(const struct target *t);
struct attachment *target_attachment(const struct target *t);
bool target_is_main(const struct target *t);
/* The main target of the same attachment (itself for the main one). */
struct target *target_main(const struct target *t);
/* What picks a worker of its process, 2 for #2; 0 for all others. */
int target_worker_number(const struct target *t);
void target_set_data(struct target *t, void *data);
void *target_data(const struct target *t);

struct attachment_handlers {
    /* t is ready to be sampled and captured. */
    void (*attached)(void *arg, struct target *t);
    /* All workers that were there when the main target was attached are attached too, or cannot be.
     * May be NULL. */
    void (*settled)(void *arg);
    /* t is gone, and freed after this; all its calls have been answered. Workers come before their
     * main target. */
    void (*detached)(void *arg, struct target *t, const struct err *why);
    /* Something that a person would want to know; one line. */
    void (*said)(void *arg, const char *text);
    /* An event of the protocol that the attachment does not handle itself. */
    void (*event)(void *arg, struct target *t, const char *method, const cJSON *params);
    void (*chunk)(void *arg, struct target *t, const char *escaped, size_t length);
    /* Not attached (any more). next_try_us < 0: it will not try again; else when it does. */
    void (*down)(void *arg, const struct err *why, int64_t next_try_us);
    /* After attachment_close: everything is released. */
    void (*closed)(void *arg);
};

struct attachment_options {
    struct address address;
    bool follow;       /* try again after the target went, and until then */
    int64_t wait_us;   /* how long to try before the first success; 0: once */
    bool persists;     /* try on after that, too; the owner decides when it is enough */
    bool moves;        /* attachment_set_pid will tell of another process when this one ends */
    bool workers;      /* attach to workers, too */
    bool passive;      /* install nothing and let a waiting target wait: for a look only */
    bool allow_remote; /* an address that is not this host's */
    int64_t expiry_us; /* of what is installed in the target, should heaptap vanish */
    struct guardian *guardian; /* holds the connection, too; borrowed, NULL: none */
};

/* Begins to attach; h must outlive the attachment. */
int attachment_new(struct loop *l, const struct attachment_options *o,
    const struct attachment_handlers *h, void *arg, struct attachment **ret,
    struct err *e) MUST_USE;

/* Follows another process from now on (the old one is gone). */
void attachment_set_pid(struct attachment *a, pid_t pid);

/* Releases what was installed and leaves; closed follows, always, within a few seconds. */
void attachment_close(struct attachment *a);
/* After closed, or to drop it without a word. NULL is fine. */
void attachment_free(struct attachment *a);

#endif
