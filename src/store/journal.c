/* The journal: a bounded queue between the loop and SQLite, and the thread that empties it.
 *
 * The queue is two buffers. Posting fills one under the lock; the thread swaps them under the lock
 * and writes the other without it, so a post waits for a swap of pointers at the most. A batch that
 * could not be written stays in the thread's buffer and is tried again. */
#include "store/journal.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/migrate.h"
#include "store/orphans.h"
#include "store/owner.h"
#include "store/packet.h"
#include "store/place.h"
#include "store/record.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE_BYTES                                                                                \
    ((size_t)32 << 20) /* a row takes about 300 bytes: 20 s at 5,000 rows a second */
/* Request rows and rows of captures may fill this much of the queue; the rest is for the samples,
 * and the last part for states and events, without which the record would not tell what happened.
 */
#define SHARE_BULK   0.80
#define SHARE_SAMPLE 0.95

/* A batch is written this long after its first row came: with the write itself (tens of
 * milliseconds) within the promised 500 ms. */
#define BATCH_WAIT_US    250000
#define BATCH_WAKE_BYTES ((size_t)1 << 20) /* or as soon as this much waits */
#define RETRY_WAIT_US    200000
#define SAY_AFTER_US     1000000
#define BUSY_WAIT_MS     250 /* of SQLite's own; after it the thread looks whether it must end */
#define OPEN_BUSY_MS     5000
#define BEGIN_WAIT_US    10000000

/* 8 MB hold the inner pages of the indexes that rows go into, and a checkpoint, which syncs, comes
 * every 16 MB of rows in place of every 4. */
#define TUNING "PRAGMA cache_size=-8192; PRAGMA wal_autocheckpoint=4000"

struct journal {
    struct lite *db;       /* owned; the thread's while it runs */
    struct record *record; /* owned, likewise */
    char *path;            /* owned */
    struct owner owner;
    char run_id[UUID_TEXT_SIZE];
    pthread_t thread;
    bool thread_runs;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;  /* to the thread: rows, a flush or the end */
    pthread_cond_t done;  /* from the thread: a batch was written or failed */
    struct buf queue;
    int64_t first_post_us; /* of the oldest row in queue */
    bool flush_wanted;
    bool stop;              /* write what there is, then end */
    bool abandon;           /* end even if it cannot be written */
    uint64_t posts;         /* rows accepted so far */
    uint64_t posts_written; /* of these on disk */
    int64_t last_seq[STORE_TABLES];
    uint64_t posted[STORE_TABLES];
    uint64_t lost[STORE_TABLES];      /* all */
    uint64_t lost_tail[STORE_TABLES]; /* of these after the last row that was accepted */
    int64_t last_target_id;
    int64_t last_snapshot_id;
    uint64_t batches;
    bool failing;
    int64_t failing_since_us;
    bool said;          /* the user knows */
    struct err failure; /* of the last attempt to write */
};

/* What the thread takes from the queue at once. */
struct batch {
    struct buf rows;
    uint64_t posts;                 /* value of journal.posts behind its last row */
    uint64_t lost[STORE_TABLES];    /* losses before its last row, in all */
    uint64_t written[STORE_TABLES]; /* losses that `runs` tells of already */
};

static void add_microseconds(struct timespec *ts, int64_t us)
{
    int64_t ns = ts->tv_nsec + us % 1000000 * 1000;
    ts->tv_sec += us / 1000000 + ns / 1000000000;
    ts->tv_nsec = ns % 1000000000;
}

/* Waits at most us microseconds on cond. */
static void wait_on(struct journal *j, pthread_cond_t *cond, int64_t us)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    add_microseconds(&until, us > 0 ? us : 0);
    pthread_cond_timedwait(cond, &j->lock, &until);
}

/* ---- writing (the thread) ---- */

/* What `runs` must learn about losses, in the transaction of the rows around them. */
static int write_losses(struct journal *j, struct batch *b, struct err *e)
{
    bool any = false;
    struct store_run run;
    store_row_clear(STORE_RUNS, &run);
    for (int table = 0; table < STORE_TABLES; table++) {
        int64_t more = (int64_t)(b->lost[table] - b->written[table]);
        size_t offset = store_tables[table].lost_offset;
        if (more > 0 && offset) {
            *(int64_t *)(void *)((char *)&run + offset) = more;
            any = true;
        }
    }
    if (!any)
        return 0;
    run.created_at_ms = clock_wall_ms();
    return record_write_state(j->record, STORE_RUNS, j->run_id, &run, e);
}

/* One transaction. A row that breaks a constraint is our own fault; it is dropped as a loss,
 * because the rows around it must not wait for it for ever. */
static int write_batch(struct journal *j, struct batch *b, struct err *e)
{
    struct packet p;
    size_t offset = 0;
    uint64_t refused[STORE_TABLES] = {0};
    uint64_t lost_before[STORE_TABLES];
    memcpy(lost_before, b->lost, sizeof lost_before);
    int rc = lite_begin(j->db, e);
    while (rc == 0 && packet_next(&b->rows, &offset, &p)) {
        rc = record_write(j->record, &p, e);
        if (rc != 0 && lite_is_constraint(j->db)) {
            log_error("the journal dropped a row: %s", e->text);
            refused[p.table]++;
            b->lost[p.table]++;
            rc = 0;
        }
    }
    if (rc == 0)
        rc = write_losses(j, b, e);
    if (rc == 0)
        rc = lite_commit(j->db, e);
    lite_rollback(j->db);
    if (rc != 0)
        memcpy(b->lost, lost_before, sizeof lost_before);
    else
        memcpy(b->written, b->lost, sizeof b->written);
    pthread_mutex_lock(&j->lock);
    for (int table = 0; table < STORE_TABLES && rc == 0; table++)
        j->lost[table] += refused[table];
    pthread_mutex_unlock(&j->lock);
    return rc;
}

/* Says once that writing fails, if that is more than another process's turn, and that it works
 * again. */
static void note_outcome(struct journal *j, int rc, const struct err *failure)
{
    int64_t now = clock_monotonic_us();
    if (rc != 0 && !j->failing)
        j->failing_since_us = now;
    if (rc != 0 && !j->said && now - j->failing_since_us >= SAY_AFTER_US) {
        log_warn("%s; rows are kept in memory and tried again", failure->text);
        j->said = true;
    }
    if (rc == 0 && j->said) {
        log_info("database %s: writing works again", j->path);
        j->said = false;
    }
    j->failing = rc != 0;
    if (rc != 0)
        j->failure = *failure;
    else
        j->batches++;
}

/* Writes until it works or the end is near. Returns with the lock held. */
static void write_until_done(struct journal *j, struct batch *b)
{
    for (;;) {
        struct err failure = ERR_NONE;
        int rc = write_batch(j, b, &failure);
        pthread_mutex_lock(&j->lock);
        note_outcome(j, rc, &failure);
        if (rc == 0) {
            j->posts_written = b->posts;
            buf_clear(&b->rows);
        }
        pthread_cond_broadcast(&j->done);
        if (rc == 0 || j->abandon)
            return;
        wait_on(j, &j->wake, RETRY_WAIT_US);
        if (j->abandon)
            return;
        pthread_mutex_unlock(&j->lock);
    }
}

static bool batch_is_due(const struct journal *j)
{
    if (j->queue.length == 0)
        return false;
    return j->stop || j->flush_wanted || j->queue.length >= BATCH_WAKE_BYTES ||
           clock_monotonic_us() - j->first_post_us >= BATCH_WAIT_US;
}

static void take_batch(struct journal *j, struct batch *b)
{
    struct buf empty = b->rows;
    b->rows = j->queue;
    j->queue = empty;
    j->flush_wanted = false;
    b->posts = j->posts;
    for (int table = 0; table < STORE_TABLES; table++)
        b->lost[table] = j->lost[table] - j->lost_tail[table];
}

static void *journal_main(void *arg)
{
    struct journal *j = arg;
    struct batch batch = {.rows = buf_new(j->queue.max)};
    pthread_mutex_lock(&j->lock);
    while (!j->abandon && !(j->stop && j->queue.length == 0)) {
        if (batch_is_due(j)) {
            take_batch(j, &batch);
            pthread_mutex_unlock(&j->lock);
            write_until_done(j, &batch);
        } else if (j->queue.length > 0) {
            wait_on(j, &j->wake, j->first_post_us + BATCH_WAIT_US - clock_monotonic_us());
        } else {
            j->flush_wanted = false;
            pthread_cond_wait(&j->wake, &j->lock);
        }
    }
    pthread_mutex_unlock(&j->lock);
    buf_free(&batch.rows);
    return NULL;
}

/* ---- posting ---- */

static size_t queue_limit(const struct journal *j, enum store_table table, bool is_request)
{
    double share = 1;
    if (is_request || table == STORE_HEAP_CLASSES || table == STORE_ALLOCATION_SITES ||
        table == STORE_ALLOCATION_INTERVALS)
        share = SHARE_BULK;
    else if (table == STORE_MEMORY_METRICS || table == STORE_GC_EVENTS)
        share = SHARE_SAMPLE;
    return (size_t)(share * (double)j->queue.max);
}

/* Adds one row under the lock; the rows lost before it take their places in seq. */
static int add_row(struct journal *j, enum store_table table, const void *row)
{
    int64_t seq = 0;
    if (!store_tables[table].is_states)
        seq = j->last_seq[table] + (int64_t)j->lost_tail[table] + 1;
    int rc = packet_add(&j->queue, table, j->run_id, seq, row);
    if (rc == 0 && seq > 0)
        j->last_seq[table] = seq;
    return rc;
}

static void note_posted(struct journal *j, enum store_table table, uint64_t rows, bool was_empty)
{
    j->lost_tail[table] = 0;
    j->posted[table] += rows;
    j->posts += rows;
    if (was_empty)
        j->first_post_us = clock_monotonic_us();
    if (was_empty || j->queue.length >= BATCH_WAKE_BYTES)
        pthread_cond_signal(&j->wake);
}

/* Rows go in together or not at all; what does not fit is counted. */
static void post(struct journal *j, enum store_table table, const void *const *rows, size_t count,
    bool is_request)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += packet_size(table, rows[i]);
    pthread_mutex_lock(&j->lock);
    size_t before = j->queue.length;
    int64_t seq_before = j->last_seq[table];
    uint64_t tail_before = j->lost_tail[table];
    int rc = before + size > queue_limit(j, table, is_request) || j->stop ? ERR_FULL : 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = add_row(j, table, rows[i]);
        j->lost_tail[table] = 0;
    }
    if (rc == 0) {
        note_posted(j, table, count, before == 0);
    } else {
        j->queue.length = before;
        j->last_seq[table] = seq_before;
        j->lost_tail[table] = tail_before + count;
        j->lost[table] += count;
    }
    bool first_loss = rc != 0 && j->lost[table] == count;
    pthread_mutex_unlock(&j->lock);
    if (first_loss)
        log_warn("the queue to the database is full: rows of %s are lost (and counted in runs)",
            store_tables[table].name);
}

static void post_one(struct journal *j, enum store_table table, const void *row)
{
    post(j, table, &row, 1, false);
}

/* ---- opening and closing ---- */

static int init_locks(struct journal *j, struct err *e)
{
    pthread_condattr_t attr;
    bool failed = pthread_condattr_init(&attr) != 0;
    failed = failed || pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0;
    failed = failed || pthread_mutex_init(&j->lock, NULL) != 0;
    failed = failed || pthread_cond_init(&j->wake, &attr) != 0;
    failed = failed || pthread_cond_init(&j->done, &attr) != 0;
    return failed ? err_set(e, ERR_NOMEM, "no memory for the journal's locks") : 0;
}

static int check_or_migrate(struct lite *db, bool no_migrate, struct err *e)
{
    int version = 0, ran = 0;
    int rc = migrate_lite_version(db, &version, e);
    if (rc != 0 || version == migrate_newest("sqlite"))
        return rc;
    if (no_migrate)
        return err_set(e, ERR_DB,
            "database %s has version %d of %d and --no-migrate was given: run \"heaptap db "
            "migrate\"",
            lite_path(db), version, migrate_newest("sqlite"));
    return migrate_lite(db, &ran, e);
}

static int start_thread(struct journal *j, struct err *e)
{
    int failed = pthread_create(&j->thread, NULL, journal_main, j);
    if (failed)
        return err_set_errno(e, ERR_NOMEM, failed, "cannot start the journal's thread");
    j->thread_runs = true;
    return 0;
}

static void journal_free(struct journal *j)
{
    record_free(j->record);
    lite_close(j->db);
    buf_free(&j->queue);
    free(j->path);
    pthread_cond_destroy(&j->done);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

int journal_open(const struct journal_options *options, struct journal **ret_journal, struct err *e)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "no memory for the journal");
    j->queue = buf_new(options->queue_bytes ? options->queue_bytes : QUEUE_BYTES);
    owner_self(&j->owner);
    int rc = init_locks(j, e);
    if (rc == 0)
        rc = place_find(options->path, &j->path, e);
    if (rc == 0)
        rc = place_make_folders(j->path, e);
    if (rc == 0)
        rc = lite_open(j->path, LITE_CREATE, OPEN_BUSY_MS, &j->db, e);
    if (rc == 0)
        rc = lite_exec(j->db, TUNING, e);
    if (rc == 0)
        rc = check_or_migrate(j->db, options->no_migrate, e);
    if (rc == 0)
        rc = record_new(j->db, &j->record, e);
    if (rc == 0)
        rc = orphans_close(j->db, j->record, e);
    if (rc == 0) {
        lite_set_busy(j->db, BUSY_WAIT_MS);
        rc = start_thread(j, e);
    }
    if (rc == 0)
        *ret_journal = j;
    else
        journal_free(j);
    return rc;
}

int journal_begin_run(struct journal *j, const struct store_run *run, struct err *e)
{
    struct store_run row = *run;
    assert(!j->run_id[0]);
    int rc = uuid_new(j->run_id, e);
    if (rc != 0)
        return rc;
    row.created_at_ms = clock_wall_ms();
    if (row.started_at_ms == 0)
        row.started_at_ms = row.created_at_ms;
    if (!row.state)
        row.state = "running";
    row.host = j->owner.host;
    row.owner_boot_id = j->owner.boot_id;
    row.owner_pid = j->owner.pid;
    row.owner_start = j->owner.start;
    post_one(j, STORE_RUNS, &row);
    return journal_flush(j, BEGIN_WAIT_US, e);
}

int journal_resume_run(struct journal *j, const char *run_id, struct err *e)
{
    assert(!j->run_id[0]);
    pthread_mutex_lock(&j->lock); /* the thread has nothing to write yet: no run, no rows */
    int rc =
        orphans_resume(j->db, run_id, j->last_seq, &j->last_target_id, &j->last_snapshot_id, e);
    if (rc == 0)
        memcpy(j->run_id, run_id, UUID_TEXT_SIZE);
    pthread_mutex_unlock(&j->lock);
    return rc;
}

void journal_end_run(struct journal *j, const struct store_run *end)
{
    struct store_run row = *end;
    row.created_at_ms = clock_wall_ms();
    if (row.ended_at_ms == 0)
        row.ended_at_ms = row.created_at_ms;
    if (!row.state)
        row.state = "ended";
    row.started_at_ms = 0;
    post_one(j, STORE_RUNS, &row);
}

const char *journal_run_id(const struct journal *j)
{
    return j->run_id;
}

const char *journal_path(const struct journal *j)
{
    return j->path;
}

int journal_flush(struct journal *j, int64_t deadline_us, struct err *e)
{
    int rc = 0;
    int64_t until = clock_monotonic_us() + deadline_us;
    pthread_mutex_lock(&j->lock);
    uint64_t wanted = j->posts;
    while (j->posts_written < wanted && rc == 0) {
        int64_t left = until - clock_monotonic_us();
        if (left <= 0) {
            rc = j->failing ? err_set(e, ERR_TIMEOUT, "%s", j->failure.text)
                            : err_set(e, ERR_TIMEOUT, "database %s is slow", j->path);
            break;
        }
        j->flush_wanted = true;
        pthread_cond_signal(&j->wake);
        wait_on(j, &j->done, left);
    }
    pthread_mutex_unlock(&j->lock);
    return rc;
}

void journal_counts(struct journal *j, struct journal_counts *ret)
{
    pthread_mutex_lock(&j->lock);
    memcpy(ret->posted, j->posted, sizeof ret->posted);
    memcpy(ret->lost, j->lost, sizeof ret->lost);
    ret->written = j->posts_written;
    ret->batches = j->batches;
    ret->queued_bytes = j->queue.length;
    ret->failing = j->failing;
    pthread_mutex_unlock(&j->lock);
}

/* Losses behind a table's last row cannot show as a gap in seq, so they are told in words. */
static void post_tail_losses(struct journal *j)
{
    uint64_t tail[STORE_TABLES];
    pthread_mutex_lock(&j->lock);
    memcpy(tail, j->lost_tail, sizeof tail);
    pthread_mutex_unlock(&j->lock);
    for (int table = 0; table < STORE_TABLES; table++) {
        char text[128];
        struct store_event event;
        if (tail[table] == 0 || table == STORE_EVENTS || !j->run_id[0])
            continue;
        store_row_clear(STORE_EVENTS, &event);
        snprintf(text, sizeof text, "%llu rows of %s were lost at the end of the record",
            (unsigned long long)tail[table], store_tables[table].name);
        event.kind = "loss";
        event.text = text;
        journal_event(j, &event);
    }
}

int journal_close(struct journal *j, int64_t deadline_us, struct err *e)
{
    if (!j)
        return 0;
    int rc = 0;
    if (j->thread_runs) {
        struct err failure = ERR_NONE;
        rc = journal_flush(j, deadline_us, &failure);
        if (rc == 0)
            post_tail_losses(j);
        pthread_mutex_lock(&j->lock);
        j->stop = true;
        j->abandon = rc != 0;
        pthread_cond_signal(&j->wake);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->thread, NULL);
        if (rc != 0)
            rc = err_set(e, ERR_DB, "%llu rows did not reach the database: %s",
                (unsigned long long)(j->posts - j->posts_written), failure.text);
    }
    journal_free(j);
    return rc;
}

/* ---- the rows ---- */

#define POST_AT_NOW(type, table)                                                                   \
    type stamped = *row;                                                                           \
    if (stamped.created_at_ms == 0)                                                                \
        stamped.created_at_ms = clock_wall_ms();                                                   \
    post_one(j, table, &stamped)

int64_t journal_add_target(struct journal *j, const struct store_target *row)
{
    struct store_target target = *row;
    pthread_mutex_lock(&j->lock);
    target.target_id = ++j->last_target_id;
    pthread_mutex_unlock(&j->lock);
    if (target.created_at_ms == 0)
        target.created_at_ms = clock_wall_ms();
    post_one(j, STORE_TARGETS, &target);
    return target.target_id;
}

int64_t journal_add_snapshot(struct journal *j, const struct store_snapshot *row)
{
    struct store_snapshot snapshot = *row;
    pthread_mutex_lock(&j->lock);
    snapshot.snapshot_id = ++j->last_snapshot_id;
    pthread_mutex_unlock(&j->lock);
    if (snapshot.created_at_ms == 0)
        snapshot.created_at_ms = clock_wall_ms();
    post_one(j, STORE_HEAP_SNAPSHOTS, &snapshot);
    return snapshot.snapshot_id;
}

void journal_update_target(struct journal *j, const struct store_target *row)
{
    post_one(j, STORE_TARGETS, row);
}

void journal_update_snapshot(struct journal *j, const struct store_snapshot *row)
{
    post_one(j, STORE_HEAP_SNAPSHOTS, row);
}

void journal_snapshot_state(struct journal *j, const char *run_id, int64_t snapshot_id,
    const char *state, const char *reason)
{
    struct store_snapshot row;
    char id[UUID_TEXT_SIZE] = "";
    store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
    row.snapshot_id = snapshot_id;
    row.state = state;
    row.reason = reason;
    snprintf(id, sizeof id, "%s", run_id ? run_id : j->run_id);
    pthread_mutex_lock(&j->lock);
    bool was_empty = j->queue.length == 0;
    if (!j->stop && packet_add(&j->queue, STORE_HEAP_SNAPSHOTS, id, 0, &row) == 0)
        note_posted(j, STORE_HEAP_SNAPSHOTS, 1, was_empty);
    else
        j->lost[STORE_HEAP_SNAPSHOTS]++;
    pthread_mutex_unlock(&j->lock);
}

void journal_metrics(struct journal *j, const struct store_metrics *row)
{
    POST_AT_NOW(struct store_metrics, STORE_MEMORY_METRICS);
}

void journal_request(
    struct journal *j, const struct store_metrics *before, const struct store_metrics *after)
{
    const void *rows[] = {before, after};
    assert(before->created_at_ms && after->created_at_ms);
    post(j, STORE_MEMORY_METRICS, rows, 2, true);
}

void journal_class(struct journal *j, const struct store_class *row)
{
    POST_AT_NOW(struct store_class, STORE_HEAP_CLASSES);
}

void journal_interval(struct journal *j, const struct store_interval *row)
{
    POST_AT_NOW(struct store_interval, STORE_ALLOCATION_INTERVALS);
}

void journal_site(struct journal *j, const struct store_site *row)
{
    POST_AT_NOW(struct store_site, STORE_ALLOCATION_SITES);
}

void journal_gc(struct journal *j, const struct store_gc *row)
{
    POST_AT_NOW(struct store_gc, STORE_GC_EVENTS);
}

void journal_suspect(struct journal *j, const struct store_suspect *row)
{
    POST_AT_NOW(struct store_suspect, STORE_SUSPECTS);
}

void journal_event(struct journal *j, const struct store_event *row)
{
    POST_AT_NOW(struct store_event, STORE_EVENTS);
}
