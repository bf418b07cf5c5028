/* The shipper: copies a run's rows from SQLite to PostgreSQL on its own thread, in order, in
 * batches, each row exactly once.
 *
 * A batch's bounds are fixed in SQLite before it is sent; one transaction COPYs its rows and
 * inserts (run_id, table_name, first_seq) into ship_log. If the outcome is not known (a kill, a
 * connection lost in COMMIT), the batch is sent again, and the primary key of ship_log tells
 * whether it had arrived. A row that the server refuses is found by halving its batch, parked and
 * counted in `runs`; everything else that fails is tried again for ever. */
#ifndef HEAPTAP_STORE_SHIP_H
#define HEAPTAP_STORE_SHIP_H

#include "store/database.h"
#include "store/store.h"

struct shipper;

struct shipper_options {
    int64_t outbox_bytes;  /* drop waiting rows, requests first, above this size; 0: no bound */
    int64_t local_keep_us; /* remove shipped rows that are older; 0: keep them */
};

/* Looks at PostgreSQL before a run: makes or brings up the tables unless no_migrate. ERR_DB for
 * what will not pass by itself (tables of somebody else, of a newer heaptap, missing ones with
 * no_migrate or without rights). A server that cannot be reached or refuses is no error: that is
 * logged, and rows wait in SQLite. */
int shipper_check(const struct database *database, bool no_migrate, struct err *e) MUST_USE;

/* Starts the thread for run_id, and for earlier runs that go to the same database and whose process
 * is gone. database is borrowed until shipper_stop
 * (for ever if that says that PostgreSQL does not answer). */
int shipper_start(const struct database *database, const struct shipper_options *options,
    const char *run_id, struct shipper **ret, struct err *e) MUST_USE;

struct shipper_counts {
    uint64_t shipped; /* rows, since the start */
    uint64_t parked;
    uint64_t dropped; /* for the outbox's bound */
    uint64_t batches;
    bool connected;
    bool idle; /* everything that was there at the last look has been shipped */
};
void shipper_counts(struct shipper *s, struct shipper_counts *ret_counts);

/* Asks the thread to ship what there is and then to end, without waiting; shipper_drained tells
 * whether it has. For callers that listen to something else meanwhile. */
void shipper_drain(struct shipper *s);
bool shipper_drained(struct shipper *s);

/* Ships what there is for at most drain_us (end the run and flush the journal before), ends the
 * thread and frees. ERR_DB when rows of this run still wait, with how many and why. */
int shipper_stop(struct shipper *s, int64_t drain_us, struct err *e);

/* For `db ship`: everything that waits and belongs to nobody else, within deadline_us (0: none). */
int shipper_ship_all(const struct database *database, int64_t deadline_us,
    struct shipper_counts *ret_counts, struct err *e) MUST_USE;

#endif
