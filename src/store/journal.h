/* The journal: everything that a run learns, into SQLite, off the loop.
 *
 * One thread owns the writes. Posting copies the row into a bounded queue and never waits for the
 * disk; the queue is written in one transaction at the latest 500 ms after the first row of a batch
 * was posted, so that a kill -9 loses no more than that. When the disk is full or another process
 * holds the database, the batch is kept and tried again, which is said once; rows that find no
 * place in the queue meanwhile are counted in `runs`.
 *
 * Every table of the record only grows: a target, a snapshot or the run itself changes its state by
 * a new row with the next seq, and the views runs, targets and heap_snapshots show the latest. seq
 * counts the rows of a table within a run from 1 without a gap, losses included, so a record is
 * complete when max(seq) = count(*) + the table's lost_… in runs.
 *
 * All functions may be called from any thread. */
#ifndef HEAPTAP_STORE_JOURNAL_H
#define HEAPTAP_STORE_JOURNAL_H

#include "store/store.h"

struct journal;

struct journal_options {
    const char *path;   /* NULL: $XDG_STATE_HOME/heaptap/heaptap.db; folders are made, mode 0700 */
    bool no_migrate;    /* an empty or older database is ERR_DB instead of being brought up */
    size_t queue_bytes; /* 0: the default, 32 MB */
};

/* Opens or makes the database (file mode 0600), migrates it and starts the thread. Runs that their
 * dead owners left open are closed as "interrupted", which is logged. ERR_DB with one line when the
 * file is no database, is newer than this program, or cannot be written. */
int journal_open(
    const struct journal_options *options, struct journal **ret_journal, struct err *e) MUST_USE;

/* Begins the run: its id is given, its row is on disk when this returns. One run a journal. */
int journal_begin_run(struct journal *j, const struct store_run *run, struct err *e) MUST_USE;
/* Takes up an ended run, so that a diagnosis can be added to it. ERR_DB if there is no such run or
 * its owner is alive. */
int journal_resume_run(struct journal *j, const char *run_id, struct err *e) MUST_USE;
/* Records how the run ended (fields set in end replace those of the begin) and when. The row
 * is on disk after journal_flush or journal_close. */
void journal_end_run(struct journal *j, const struct store_run *end);
/* "" before a run began. */
const char *journal_run_id(const struct journal *j);
const char *journal_path(const struct journal *j);

/* A new target or snapshot of this run: returns its id, counted from 1. The id in the row is
 * ignored. */
int64_t journal_add_target(struct journal *j, const struct store_target *row);
int64_t journal_add_snapshot(struct journal *j, const struct store_snapshot *row);
/* A change: fields that are known replace what the row with that id said, the others stay. */
void journal_update_target(struct journal *j, const struct store_target *row);
void journal_update_snapshot(struct journal *j, const struct store_snapshot *row);
/* The same for a snapshot of another run, such as a file that was deleted to make room.
 * run_id NULL: this run. */
void journal_snapshot_state(struct journal *j, const char *run_id, int64_t snapshot_id,
    const char *state, const char *reason);

/* Rows. created_at_ms 0 means now. */
void journal_metrics(struct journal *j, const struct store_metrics *row);
/* Both rows of one request, or neither when the queue is full: they never part. */
void journal_request(
    struct journal *j, const struct store_metrics *before, const struct store_metrics *after);
void journal_class(struct journal *j, const struct store_class *row);
void journal_interval(struct journal *j, const struct store_interval *row);
void journal_site(struct journal *j, const struct store_site *row);
void journal_gc(struct journal *j, const struct store_gc *row);
void journal_suspect(struct journal *j, const struct store_suspect *row);
void journal_event(struct journal *j, const struct store_event *row);

/* Waits until everything posted before the call is on disk. ERR_TIMEOUT after deadline_us (how long
 * to wait, not a point in time), with what stands in the way. */
int journal_flush(struct journal *j, int64_t deadline_us, struct err *e) MUST_USE;

struct journal_counts {
    uint64_t posted[STORE_TABLES];
    uint64_t lost[STORE_TABLES];
    uint64_t written;    /* rows on disk, all tables */
    uint64_t batches;    /* transactions */
    size_t queued_bytes; /* waiting now */
    bool failing;        /* the last attempt to write failed; the next may succeed */
};
void journal_counts(struct journal *j, struct journal_counts *ret_counts);

/* Flushes for at most deadline_us, ends the thread, closes the database and frees. Returns 0 or
 * ERR_DB when rows did not reach the disk, with how many. NULL is fine. */
int journal_close(struct journal *j, int64_t deadline_us, struct err *e);

#endif
