/* The shipper's thread: connect, send batch after batch, wait out what fails. */
#include "store/ship.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "store/outbox.h"
#include "store/pg.h"
#include "store/pgschema.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_US     10000000
#define CHECK_US       5000000 /* what the start of a run may wait for a server */
#define LOOK_US        300000  /* between two looks for new rows when all has been shipped */
#define RETRY_FIRST_US 250000
#define RETRY_MOST_US  10000000
#define ORPHANS_US     60000000 /* between two looks for runs that others left */
/* Longer than the slices in which pg.c waits and than SQLite takes for a batch. */
#define STOP_US      2000000
#define SAY_AGAIN_US 500000
#define BOUND_US     5000000    /* between two looks at the outbox's size */
#define KEEP_US      3600000000 /* between two removals of old shipped rows */

struct shipper {
    const struct database *database; /* borrowed */
    struct shipper_options options;
    char run_id[UUID_TEXT_SIZE]; /* "" for `db ship` */
    struct outbox *outbox;       /* owned; the thread's */
    struct pg *pg;               /* owned; the thread's */
    bool hopeless;               /* the last connection failed for something that will not pass */
    int64_t retry_us;
    int64_t orphans_at_us, bound_at_us, keep_at_us; /* when to do these next */
    pthread_t thread;
    atomic_bool stop;     /* ends every wait for the server */
    atomic_bool draining; /* ship what there is, then end */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    pthread_cond_t done;
    struct shipper_counts counts;
    bool finished; /* the thread has ended */
    bool in_trouble;
    int64_t said_us; /* when a trouble was said last, and which */
    char said[ERR_TEXT_MAX];
    struct err trouble; /* what stands in the way now */
};

/* ---- words ---- */

/* Said when trouble begins, and when it becomes another one. */
static void note_trouble(struct shipper *s, const struct err *e)
{
    int64_t now = clock_monotonic_us();
    pthread_mutex_lock(&s->lock);
    bool first = !s->in_trouble;
    bool other = strcmp(s->said, e->text) != 0 && now - s->said_us > SAY_AGAIN_US;
    s->in_trouble = true;
    s->trouble = *e;
    if (first || other) {
        s->said_us = now;
        memcpy(s->said, e->text, sizeof s->said);
    }
    s->counts.connected = s->pg != NULL;
    pthread_mutex_unlock(&s->lock);
    if (first)
        log_warn("%s; rows wait in %s and are sent when it works again", e->text,
            database_path(s->database));
    else if (other)
        log_warn("%s", e->text);
}

static void note_progress(struct shipper *s, uint64_t shipped, uint64_t parked)
{
    pthread_mutex_lock(&s->lock);
    bool was = s->in_trouble;
    s->in_trouble = false;
    s->counts.shipped += shipped;
    s->counts.parked += parked;
    s->counts.batches++;
    s->counts.connected = true;
    pthread_mutex_unlock(&s->lock);
    s->retry_us = RETRY_FIRST_US;
    if (was)
        log_info("PostgreSQL takes rows again");
}

static void deadline_in(struct timespec *ret, int64_t us)
{
    clock_gettime(CLOCK_MONOTONIC, ret);
    int64_t ns = ret->tv_nsec + us % 1000000 * 1000;
    ret->tv_sec += us / 1000000 + ns / 1000000000;
    ret->tv_nsec = ns % 1000000000;
}

/* Waits at most us; woken by the end. */
static void pause_for(struct shipper *s, int64_t us)
{
    struct timespec until;
    deadline_in(&until, us);
    pthread_mutex_lock(&s->lock);
    if (!atomic_load(&s->stop))
        pthread_cond_timedwait(&s->wake, &s->lock, &until);
    pthread_mutex_unlock(&s->lock);
}

/* ---- one batch ---- */

struct sending {
    struct pg *pg;
};

static int send_piece(void *arg, const char *bytes, size_t length, struct err *e)
{
    struct sending *sending = arg;
    return pg_copy_data(sending->pg, bytes, length, e);
}

/* The note in ship_log; *ret_new false if this batch had arrived before. It comes first, so that a
 * rival that still holds this batch in an open transaction is waited for. */
static int log_batch(struct pg *pg, const struct outbox_batch *b, bool *ret_new, struct err *e)
{
    char first[32], last[32], rows[32];
    struct pg_result *result = NULL;
    static const enum pg_type types[] = {PG_UUID, PG_TEXT, PG_BIGINT, PG_BIGINT, PG_BIGINT};
    snprintf(first, sizeof first, "%lld", (long long)b->first_seq);
    snprintf(last, sizeof last, "%lld", (long long)b->last_seq);
    snprintf(rows, sizeof rows, "%lld", (long long)b->row_count);
    const char *values[] = {b->run_id, store_tables[b->table].rows_name, first, last, rows};
    int rc = pg_query(pg,
        "INSERT INTO ship_log (run_id, table_name, first_seq, last_seq, row_count) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        5, types, values, &result, e);
    if (rc == 0)
        *ret_new = pg_affected(result) == 1;
    pg_result_free(result);
    return rc;
}

static int send_rows(struct shipper *s, const struct outbox_batch *b, struct err *e)
{
    struct sending sending = {.pg = s->pg};
    int64_t rows = 0;
    int rc = pg_copy_begin(s->pg, outbox_copy_sql(s->outbox, b->table), e);
    if (rc == 0)
        rc = outbox_read(s->outbox, b, send_piece, &sending, e);
    if (rc == 0)
        rc = pg_copy_end(s->pg, &rows, e);
    if (rc == 0 && rows != b->row_count)
        rc = err_set(e, ERR_INTERNAL, "%lld rows of a batch of %lld arrived", (long long)rows,
            (long long)b->row_count);
    return rc;
}

/* One transaction. On failure it is rolled back, or the connection is closed. */
static int send_batch(struct shipper *s, const struct outbox_batch *b, struct err *e)
{
    bool is_new = false;
    int rc = pgschema_begin(s->pg, database_schema(s->database), PGSCHEMA_WRITE, e);
    if (rc == 0)
        rc = log_batch(s->pg, b, &is_new, e);
    if (rc == 0 && is_new)
        rc = send_rows(s, b, e);
    if (rc == 0)
        rc = pg_exec(s->pg, is_new ? "COMMIT" : "ROLLBACK", e);
    return rc;
}

/* Puts the connection right after a failure: rolled back, or closed when more than a row is wrong.
 */
static void recover(struct shipper *s, bool is_row)
{
    pg_rollback(s->pg);
    if (is_row && pg_trouble(s->pg) == PG_ROW)
        return;
    pg_close(s->pg); /* whatever stood behind it, a new connection sees it as it is now */
    s->pg = NULL;
}

/* The server refused this batch for what is in it: halve it, or park its one row. */
static int isolate(
    struct shipper *s, const struct outbox_batch *b, const char *reason, struct err *e)
{
    if (b->first_seq < b->last_seq)
        return outbox_split(s->outbox, b, e);
    int rc = outbox_park(s->outbox, b, reason, e);
    if (rc == 0) {
        note_progress(s, 0, 1);
        log_warn("PostgreSQL refuses row %lld of %s for ever; it stays in %s (%s)",
            (long long)b->first_seq, store_tables[b->table].name, database_path(s->database),
            reason);
    }
    return rc;
}

/* Ships the next batch of a run. *ret_found false when nothing waits. */
static int ship_next(struct shipper *s, const char *run_id, bool *ret_found, struct err *e)
{
    struct outbox_batch b;
    struct err failure = ERR_NONE;
    int rc = outbox_next(s->outbox, run_id, &b, ret_found, e);
    if (rc != 0 || !*ret_found)
        return rc;
    if (b.row_count == 0) /* all of them were dropped or pruned */
        return outbox_done(s->outbox, &b, e);
    int sent = send_batch(s, &b, &failure);
    if (sent == 0) {
        rc = outbox_done(s->outbox, &b, e);
        if (rc == 0)
            note_progress(s, (uint64_t)b.row_count, 0);
        return rc;
    }
    bool is_row = sent == ERR_DB && pg_trouble(s->pg) == PG_ROW;
    recover(s, is_row);
    if (is_row)
        return isolate(s, &b, failure.text, e);
    if (e)
        *e = failure;
    return sent;
}

/* ---- connecting ---- */

/* Connects, and makes or brings up the tables if it may. *ret_final: what failed will not pass by
 * itself. */
static int connect_to(const struct database *database, int64_t patience_us, bool no_migrate,
    const atomic_bool *stop, struct pg **ret, bool *ret_final, struct err *e)
{
    struct pgschema_state state;
    struct pg *pg = NULL;
    int ran = 0;
    *ret_final = false;
    int rc = pg_connect(database_options(database), patience_us, stop, &pg, e);
    if (rc == 0)
        rc = pgschema_look(pg, database_schema(database), &state, e);
    if (rc == 0 && state.kind != PGSCHEMA_CURRENT) {
        bool can = !no_migrate && (state.kind == PGSCHEMA_EMPTY || state.kind == PGSCHEMA_OLD);
        rc = can ? pgschema_migrate(pg, database_schema(database), false, &ran, e)
                 : pgschema_refuse(&state, e);
        *ret_final = rc != 0 && (!can || pg_trouble(pg) == PG_DENIED);
    }
    if (rc == 0) {
        if (ran > 0)
            log_info("made the tables in PostgreSQL (%s)", database_destination(database));
        *ret = pg;
    } else {
        pg_close(pg);
    }
    return rc;
}

int shipper_check(const struct database *database, bool no_migrate, struct err *e)
{
    struct pg *pg = NULL;
    struct err failure = ERR_NONE;
    bool final = false;
    int rc = connect_to(database, CHECK_US, no_migrate, NULL, &pg, &final, &failure);
    if (rc == 0)
        pg_close(pg);
    if (final)
        return err_set(e, ERR_DB, "%s", failure.text);
    if (rc != 0)
        log_warn("%s; rows wait in %s and are sent when it works", failure.text,
            database_path(database));
    return 0;
}

/* ---- the thread ---- */

/* Things to do now and then, beside shipping. */
static int keep_house(struct shipper *s, struct err *e)
{
    int64_t now = clock_monotonic_us(), dropped = 0;
    int rc = 0;
    if (s->options.outbox_bytes > 0 && now >= s->bound_at_us) {
        s->bound_at_us = now + BOUND_US;
        rc = outbox_bound(s->outbox, s->options.outbox_bytes, &dropped, e);
        if (rc == 0 && dropped > 0) {
            log_warn(
                "the outbox %s reached its bound: %lld waiting rows were dropped, request rows "
                "first (counted in runs)",
                database_path(s->database), (long long)dropped);
            pthread_mutex_lock(&s->lock);
            s->counts.dropped += (uint64_t)dropped;
            pthread_mutex_unlock(&s->lock);
        }
    }
    if (rc == 0 && s->options.local_keep_us > 0 && now >= s->keep_at_us) {
        s->keep_at_us = now + KEEP_US;
        rc = outbox_prune(s->outbox, clock_wall_ms() - s->options.local_keep_us / 1000, e);
    }
    return rc;
}

/* All that waits in one run. */
static int ship_run(struct shipper *s, const char *run_id, struct err *e)
{
    bool found = true;
    int rc = 0;
    while (rc == 0 && found && !atomic_load(&s->stop) && s->pg) {
        rc = ship_next(s, run_id, &found, e);
        if (rc == 0)
            rc = keep_house(s, e);
    }
    return rc;
}

static int ship_orphans(struct shipper *s, struct err *e)
{
    char run_id[UUID_TEXT_SIZE] = "";
    bool found = true;
    int rc = 0;
    while (rc == 0 && found && !atomic_load(&s->stop) && s->pg) {
        rc = outbox_next_orphan(s->outbox, run_id, run_id, &found, e);
        if (rc != 0 || !found)
            break;
        rc = ship_run(s, run_id, e);
        if (rc == 0)
            rc = outbox_release(s->outbox, run_id, e);
        if (rc == 0 && s->run_id[0]) /* our own rows come first */
            rc = ship_run(s, s->run_id, e);
    }
    return rc;
}

/* One round: connect if need be, ship what there is. *ret_idle: nothing is left. */
static int work(struct shipper *s, bool *ret_idle, struct err *e)
{
    int rc = 0;
    *ret_idle = false;
    if (!s->pg)
        rc = connect_to(s->database, CONNECT_US, false, &s->stop, &s->pg, &s->hopeless, e);
    if (rc == 0 && s->run_id[0])
        rc = ship_run(s, s->run_id, e);
    if (rc == 0 && (!s->run_id[0] || clock_monotonic_us() >= s->orphans_at_us)) {
        s->orphans_at_us = clock_monotonic_us() + ORPHANS_US;
        rc = ship_orphans(s, e);
    }
    *ret_idle = rc == 0 && s->pg && !atomic_load(&s->stop);
    return rc;
}

static void *shipper_main(void *arg)
{
    struct shipper *s = arg;
    while (!atomic_load(&s->stop)) {
        struct err e = ERR_NONE;
        struct err house = ERR_NONE;
        bool idle = false;
        bool was_draining = atomic_load(&s->draining);
        int rc = work(s, &idle, &e);
        if (rc != 0 && rc != ERR_CANCELLED)
            note_trouble(s, &e);
        if (keep_house(s, &house) != 0)
            log_debug("%s", house.text);
        pthread_mutex_lock(&s->lock);
        s->counts.idle = idle;
        s->counts.connected = s->pg != NULL;
        pthread_mutex_unlock(&s->lock);
        if (idle && was_draining)
            break;
        if (rc != 0 && !s->run_id[0] && s->hopeless)
            break; /* db ship: this will not pass */
        if (rc != 0) {
            pause_for(s, s->retry_us);
            s->retry_us = s->retry_us * 2 < RETRY_MOST_US ? s->retry_us * 2 : RETRY_MOST_US;
            if (atomic_load(&s->draining)) /* the end is near: every moment counts */
                s->retry_us = RETRY_FIRST_US;
        } else if (idle) {
            pause_for(s, LOOK_US);
        }
    }
    pg_close(s->pg);
    s->pg = NULL;
    pthread_mutex_lock(&s->lock);
    s->finished = true;
    pthread_cond_broadcast(&s->done);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- starting and stopping ---- */

static void shipper_free(struct shipper *s)
{
    outbox_close(s->outbox);
    pthread_cond_destroy(&s->done);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int init_locks(struct shipper *s, struct err *e)
{
    pthread_condattr_t attr;
    bool failed = pthread_condattr_init(&attr) != 0;
    failed = failed || pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0;
    failed = failed || pthread_mutex_init(&s->lock, NULL) != 0;
    failed = failed || pthread_cond_init(&s->wake, &attr) != 0;
    failed = failed || pthread_cond_init(&s->done, &attr) != 0;
    return failed ? err_set(e, ERR_NOMEM, "no memory for the shipper's locks") : 0;
}

int shipper_start(const struct database *database, const struct shipper_options *options,
    const char *run_id, struct shipper **ret, struct err *e)
{
    assert(database_is_postgres(database));
    struct shipper *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for the shipper");
    s->database = database;
    s->options = *options;
    s->retry_us = RETRY_FIRST_US;
    s->keep_at_us = clock_monotonic_us() + KEEP_US;
    snprintf(s->run_id, sizeof s->run_id, "%s", run_id ? run_id : "");
    int rc = init_locks(s, e);
    if (rc == 0)
        rc = outbox_open(database_path(database), database_destination(database), &s->outbox, e);
    if (rc == 0) {
        int failed = pthread_create(&s->thread, NULL, shipper_main, s);
        if (failed)
            rc = err_set_errno(e, ERR_NOMEM, failed, "cannot start the shipper's thread");
    }
    if (rc == 0)
        *ret = s;
    else
        shipper_free(s);
    return rc;
}

void shipper_counts(struct shipper *s, struct shipper_counts *ret)
{
    pthread_mutex_lock(&s->lock);
    *ret = s->counts;
    pthread_mutex_unlock(&s->lock);
}

/* Waits for the thread's end with the lock held; us 0: for ever. */
static void wait_finished(struct shipper *s, int64_t us)
{
    struct timespec until;
    int timed_out = 0;
    deadline_in(&until, us);
    while (!s->finished && !timed_out)
        timed_out = us > 0 ? pthread_cond_timedwait(&s->done, &s->lock, &until)
                           : pthread_cond_wait(&s->done, &s->lock);
}

/* Lets the thread drain until the deadline (0: none), then ends it. False if it hangs in a name
 * look-up of libpq, which nothing can end: then it is left behind with all that it uses. */
static bool end_thread(struct shipper *s, int64_t drain_us)
{
    shipper_drain(s);
    pthread_mutex_lock(&s->lock);
    wait_finished(s, drain_us);
    atomic_store(&s->stop, true);
    pthread_cond_broadcast(&s->wake);
    wait_finished(s, STOP_US);
    bool finished = s->finished;
    pthread_mutex_unlock(&s->lock);
    if (finished)
        pthread_join(s->thread, NULL);
    else
        pthread_detach(s->thread);
    return finished;
}

static int fail_hanging(const struct database *database, struct err *e)
{
    return err_set(e, ERR_DB,
        "PostgreSQL (%s) does not answer: what it does not have yet stays in %s, and \"heaptap db "
        "ship\" sends it",
        database_destination(database), database_path(database));
}

void shipper_drain(struct shipper *s)
{
    atomic_store(&s->draining, true);
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

bool shipper_drained(struct shipper *s)
{
    pthread_mutex_lock(&s->lock);
    bool finished = s->finished;
    pthread_mutex_unlock(&s->lock);
    return finished;
}

int shipper_stop(struct shipper *s, int64_t drain_us, struct err *e)
{
    int64_t waiting = 0;
    if (!s)
        return 0;
    if (!end_thread(s, drain_us > 0 ? drain_us : 1))
        return fail_hanging(s->database, e);
    int rc = outbox_waiting(s->outbox, s->run_id, &waiting, e);
    if (rc == 0 && waiting > 0)
        rc = err_set(e, ERR_DB,
            "%lld rows were not shipped to PostgreSQL and stay in %s: \"heaptap db ship\" sends "
            "them%s%s",
            (long long)waiting, database_path(s->database), s->in_trouble ? "; " : "",
            s->in_trouble ? s->trouble.text : "");
    shipper_free(s);
    return rc;
}

int shipper_ship_all(const struct database *database, int64_t deadline_us,
    struct shipper_counts *ret_counts, struct err *e)
{
    struct shipper *s = NULL;
    struct shipper_options options = {0};
    int64_t waiting = 0;
    int rc = shipper_start(database, &options, NULL, &s, e);
    if (rc != 0)
        return rc;
    if (!end_thread(s, deadline_us))
        return fail_hanging(database, e);
    *ret_counts = s->counts;
    rc = outbox_waiting(s->outbox, NULL, &waiting, e);
    if (rc == 0 && waiting > 0 && (s->in_trouble || deadline_us > 0) && !s->counts.idle)
        rc = err_set(e, ERR_DB, "%lld rows still wait in %s%s%s", (long long)waiting,
            database_path(database), s->in_trouble ? ": " : "",
            s->in_trouble ? s->trouble.text : "");
    shipper_free(s);
    return rc;
}
