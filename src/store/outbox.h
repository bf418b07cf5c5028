/* The SQLite file as the outbox of a PostgreSQL: which rows have been sent, which are on their way,
 * which wait. Every change is one small transaction, so that a kill at any moment leaves a state to
 * go on from:
 *
 *      rows behind the cursor --(outbox_next fixes bounds)--> open batch --(outbox_done)--> shipped
 *                                                              |    ^
 *                                              (outbox_split)  +----+ two halves
 *                                              (outbox_park)   one row, counted in runs
 *
 * An open batch is sent again, with the same bounds, until the server has it. */
#ifndef HEAPTAP_STORE_OUTBOX_H
#define HEAPTAP_STORE_OUTBOX_H

#include "base/buf.h"
#include "base/uuid.h"
#include "store/table.h"

struct outbox;

/* Opens path a second time beside the journal. destination: as in runs. */
int outbox_open(
    const char *path, const char *destination, struct outbox **ret, struct err *e) MUST_USE;
void outbox_close(struct outbox *o); /* gives claims back; NULL is fine */

struct outbox_batch {
    char run_id[UUID_TEXT_SIZE];
    enum store_table table;
    int64_t first_seq;
    int64_t last_seq;
    int64_t row_count; /* of these there; losses leave gaps */
};

/* The next batch of a run: one that is open already, else one with new bounds. *ret_found false
 * when nothing waits. */
int outbox_next(struct outbox *o, const char *run_id, struct outbox_batch *ret_batch,
    bool *ret_found, struct err *e) MUST_USE;
/* Writes the batch's rows as COPY's text format, in pieces through send. */
int outbox_read(struct outbox *o, const struct outbox_batch *batch,
    int (*send)(void *arg, const char *bytes, size_t length, struct err *e), void *arg,
    struct err *e) MUST_USE;
/* "COPY memory_metrics (run_id, seq, …) FROM STDIN"; borrowed. */
const char *outbox_copy_sql(struct outbox *o, enum store_table table);

int outbox_done(struct outbox *o, const struct outbox_batch *batch, struct err *e) MUST_USE;
int outbox_split(struct outbox *o, const struct outbox_batch *batch, struct err *e) MUST_USE;
/* For a batch of one row: the server will never take it. */
int outbox_park(
    struct outbox *o, const struct outbox_batch *batch, const char *reason, struct err *e) MUST_USE;

/* The next run, after `after` ("" for the first), that goes to this destination, whose owner is
 * gone and that no living process ships; it is claimed. *ret_found false behind the last. */
int outbox_next_orphan(struct outbox *o, const char *after, char ret_run_id[UUID_TEXT_SIZE],
    bool *ret_found, struct err *e) MUST_USE;
int outbox_release(struct outbox *o, const char *run_id, struct err *e) MUST_USE;

/* Rows of this destination that have not arrived; run_id NULL: of all runs. */
int outbox_waiting(struct outbox *o, const char *run_id, int64_t *ret_rows, struct err *e) MUST_USE;

/* Drops waiting rows, the oldest request rows first, until the file is smaller than max_bytes;
 * *ret_dropped are counted as losses in runs. */
int outbox_bound(struct outbox *o, int64_t max_bytes, int64_t *ret_dropped, struct err *e) MUST_USE;
/* Removes what was shipped and is older than cutoff_ms. */
int outbox_prune(struct outbox *o, int64_t cutoff_ms, struct err *e) MUST_USE;

#endif
