/* Sessions from the inside: what connection.c and session.c know of each other. */
#ifndef HEAPTAP_CDP_SESSION_H
#define HEAPTAP_CDP_SESSION_H

#include "cdp/connection.h"

#define SESSION_ID_SIZE 64 /* NodeWorker's are small numbers; Target's 32 hexadecimal digits */

struct pending {
    int32_t id;
    int64_t deadline_us; /* monotonic; 0: none */
    cdp_reply_fn fn;     /* NULL: nobody asks */
    void *arg;
    /* The call carries one of a worker's session: only its failure matters, and fails that one. */
    struct cdp_session *relay; /* NULL when it does not, or when that session is gone */
    int32_t relay_id;
};

struct cdp_session {
    struct cdp_connection *connection;
    struct cdp_session *next; /* the workers' sessions of a connection */
    char id[SESSION_ID_SIZE]; /* "" for the main session */
    bool gone;                /* detached: no more calls */
    void *data;               /* the owner's */
    int32_t last_id;          /* ids are 1 to 2^31-1: the inspector's are int32 */
    struct pending *pending;  /* owned, in the order of their calls */
    size_t pending_count, pending_capacity;
    struct timer *timer; /* for the earliest deadline */
    struct loop_discard discard;
};

int session_new(struct cdp_connection *c, struct loop *l, const char *id, size_t id_length,
    struct cdp_session **ret_session, struct err *e) MUST_USE;
/* All calls must have been answered; the memory goes at the end of the turn. NULL is fine. */
void session_free(struct loop *l, struct cdp_session *s);

/* Answers every waiting call with why. */
void session_fail_all(struct cdp_session *s, const struct err *why);
/* Forgets the messages that main carries for worker, which is going. */
void session_drop_relays(struct cdp_session *main, const struct cdp_session *worker);

/* Gives a reply ({"id":…}) to the call that waits for it. */
void session_reply(struct cdp_session *s, const cJSON *message);

/* ---- what session.c needs of the connection ---- */
bool connection_is_open(const struct cdp_connection *c);
int connection_send(
    struct cdp_connection *c, const char *text, size_t length, struct err *e) MUST_USE;
void connection_count_stray(struct cdp_connection *c);

#endif
