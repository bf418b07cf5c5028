/* The tables in PostgreSQL: what stands there, and bringing it up. */
#ifndef HEAPTAP_STORE_PGSCHEMA_H
#define HEAPTAP_STORE_PGSCHEMA_H

#include "store/pg.h"

/* Begins a transaction in which unqualified names mean `schema` (NULL: the connection's
 * search_path) and times are read and written in UTC. All of it ends with the transaction. */
enum pgschema_use { PGSCHEMA_READ, PGSCHEMA_WRITE };
int pgschema_begin(
    struct pg *pg, const char *schema, enum pgschema_use use, struct err *e) MUST_USE;

struct pgschema_state {
    enum {
        PGSCHEMA_EMPTY,   /* no table of ours */
        PGSCHEMA_CURRENT, /* as this program wants it */
        PGSCHEMA_OLD,     /* a migration is missing */
        PGSCHEMA_NEWER,   /* a newer heaptap was here */
        PGSCHEMA_FOREIGN, /* a memory_metrics that heaptap did not make */
    } kind;
    int version;
};

int pgschema_look(
    struct pg *pg, const char *schema, struct pgschema_state *ret_state, struct err *e) MUST_USE;
/* The one line for a state that cannot be worked with; ERR_DB. */
int pgschema_refuse(const struct pgschema_state *state, struct err *e);
/* Makes or brings up the tables, one transaction under an advisory lock. A foreign memory_metrics
 * is ERR_DB unless adopt: then it gets our columns, nullable, if its own can hold what we write. */
int pgschema_migrate(
    struct pg *pg, const char *schema, bool adopt, int *ret_ran, struct err *e) MUST_USE;

#endif
