/* The record of a command that watches targets: the journal in SQLite and, with PostgreSQL in use,
 * what ships it there. */
#ifndef HEAPTAP_COMMAND_LOGBOOK_H
#define HEAPTAP_COMMAND_LOGBOOK_H

#include "command/command.h"
#include "store/journal.h"
#include "store/ship.h"

#define LOGBOOK_FLUSH_US (10 * 1000000LL) /* the longest wait for SQLite to have it all */

struct logbook { /* zeros before it is opened */
    struct database *database;
    struct journal *journal;
    struct shipper *shipper; /* NULL without PostgreSQL */
};

/* Rows go into SQLite first, always. A run of the command's name begins in it. After a failure
 * logbook_free is due, too. */
int logbook_open(const struct invocation *in, struct logbook *r, struct err *e) MUST_USE;

struct logbook_end {
    const char *reason;
    int exit_code;
    int64_t drain_us; /* how long PostgreSQL may take for what is left; db ship sends the rest */
    /* Waits a moment for the user's signals; true: leave at once. */
    bool (*hurried)(void *arg, int wait_ms);
    void *arg;
};
int logbook_close(struct logbook *r, const struct logbook_end *end, struct err *e) MUST_USE;
void logbook_free(
    struct logbook *r); /* after logbook_close, or in place of it before a run began */

#endif
