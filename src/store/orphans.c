/* Runs of processes that are no more: a killed heaptap leaves its run open, and the next one closes
 * it. */
#include "store/orphans.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/owner.h"
#include "store/sql.h"

#include <stdio.h>
#include <string.h>

/* A run in another container, whose process cannot be looked up, counts as gone when it has written
 * nothing for this long: sixty times the default interval between samples. */
#define UNSEEN_SILENCE_MS (10 * 60 * 1000)

/* Columns of store/open_runs.sql. */
enum { RUN_ID, RUN_LABEL, RUN_HOST, RUN_BOOT, RUN_PID, RUN_START, RUN_LAST, RUN_LAST_MS, RUN_ROWS };

static void copy_text(char *to, size_t size, struct lite_statement *s, int column)
{
    const char *text = lite_text(s, column, NULL);
    snprintf(to, size, "%s", text ? text : "");
}

static bool owner_is_gone(struct lite_statement *s)
{
    struct owner owner = {.pid = lite_integer(s, RUN_PID), .start = lite_integer(s, RUN_START)};
    copy_text(owner.boot_id, sizeof owner.boot_id, s, RUN_BOOT);
    copy_text(owner.host, sizeof owner.host, s, RUN_HOST);
    switch (owner_life(&owner)) {
    case OWNER_ALIVE: return false;
    case OWNER_GONE: return true;
    case OWNER_UNSEEN: break;
    }
    return clock_wall_ms() - lite_integer(s, RUN_LAST_MS) > UNSEEN_SILENCE_MS;
}

static int fail_capture(struct record *record, const char *run_id, int64_t snapshot_id,
    const char *reason, struct err *e)
{
    struct store_snapshot failed;
    store_row_clear(STORE_HEAP_SNAPSHOTS, &failed);
    failed.snapshot_id = snapshot_id;
    failed.state = "failed";
    failed.reason = reason;
    return record_write_state(record, STORE_HEAP_SNAPSHOTS, run_id, &failed, e);
}

/* Captures that were in flight come to nothing: their files are .part files. */
static int fail_captures(struct lite *db, struct record *record, const char *run_id, struct err *e)
{
    struct lite_statement *s = NULL;
    bool row = false;
    int rc = lite_prepare(db, sql_find("store/running_captures.sql"), &s, e);
    if (rc == 0)
        lite_bind_string(s, 1, run_id);
    while (rc == 0 && (rc = lite_step(s, &row, e)) == 0 && row)
        rc = fail_capture(
            record, run_id, lite_integer(s, 0), "heaptap was killed during the capture", e);
    lite_finalize(s);
    return rc;
}

/* What a run has left when it ended: its heaptap did not wait, or could not write any more. */
static int fail_left_captures(struct lite *db, struct record *record, struct err *e)
{
    struct lite_statement *s = NULL;
    char run_id[UUID_TEXT_SIZE];
    bool row = false;
    int rc = lite_prepare(db, sql_find("store/left_captures.sql"), &s, e);
    while (rc == 0 && (rc = lite_step(s, &row, e)) == 0 && row) {
        copy_text(run_id, sizeof run_id, s, 0);
        rc = fail_capture(record, run_id, lite_integer(s, 1), "its run ended before it did", e);
    }
    lite_finalize(s);
    return rc;
}

static int close_run(
    struct lite *db, struct record *record, struct lite_statement *s, struct err *e)
{
    struct store_run end;
    char run_id[UUID_TEXT_SIZE], label[128], last[CLOCK_ISO_SIZE];
    copy_text(run_id, sizeof run_id, s, RUN_ID);
    copy_text(label, sizeof label, s, RUN_LABEL);
    copy_text(last, sizeof last, s, RUN_LAST);
    store_row_clear(STORE_RUNS, &end);
    end.created_at_ms = clock_wall_ms();
    end.ended_at_ms = lite_integer(s, RUN_LAST_MS);
    end.state = "interrupted";
    end.exit_reason = "its heaptap ended without closing the run";
    int rc = fail_captures(db, record, run_id, e);
    if (rc == 0)
        rc = record_write_state(record, STORE_RUNS, run_id, &end, e);
    if (rc == 0)
        log_warn(
            "run %s%s%s was interrupted: its heaptap (pid %lld) ended without closing it; %lld "
            "metrics rows are kept, up to %s",
            run_id, label[0] ? " " : "", label, (long long)lite_integer(s, RUN_PID),
            (long long)lite_integer(s, RUN_ROWS), last);
    return rc;
}

int orphans_close(struct lite *db, struct record *record, struct err *e)
{
    struct lite_statement *s = NULL;
    bool row = false;
    int rc = lite_begin(db, e);
    if (rc == 0)
        rc = lite_prepare(db, sql_find("store/open_runs.sql"), &s, e);
    while (rc == 0 && (rc = lite_step(s, &row, e)) == 0 && row)
        if (owner_is_gone(s))
            rc = close_run(db, record, s, e);
    lite_finalize(s);
    if (rc == 0)
        rc = fail_left_captures(db, record, e);
    if (rc == 0)
        rc = lite_commit(db, e);
    lite_rollback(db);
    return rc;
}

/* One integer of a query with one text parameter. */
static int get_of_run(
    struct lite *db, const char *sql, const char *run_id, int64_t *ret_value, struct err *e)
{
    struct lite_statement *s = NULL;
    bool row = false;
    int rc = lite_prepare(db, sql, &s, e);
    if (rc == 0) {
        lite_bind_string(s, 1, run_id);
        rc = lite_step(s, &row, e);
    }
    if (rc == 0)
        *ret_value = row ? lite_integer(s, 0) : 0;
    lite_finalize(s);
    return rc;
}

static int check_ended(struct lite *db, const char *run_id, struct err *e)
{
    struct lite_statement *s = NULL;
    bool row = false;
    int rc = lite_prepare(db, "SELECT ended_at FROM runs WHERE run_id = ?1", &s, e);
    if (rc == 0) {
        lite_bind_string(s, 1, run_id);
        rc = lite_step(s, &row, e);
    }
    if (rc == 0 && !row)
        rc = err_set(e, ERR_DB, "there is no run %s in %s", run_id, lite_path(db));
    else if (rc == 0 && lite_type(s, 0) == LITE_NULL)
        rc = err_set(e, ERR_DB, "run %s is still going on", run_id);
    lite_finalize(s);
    return rc;
}

int orphans_resume(struct lite *db, const char *run_id, int64_t ret_last_seq[STORE_TABLES],
    int64_t *ret_target_id, int64_t *ret_snapshot_id, struct err *e)
{
    int rc = check_ended(db, run_id, e);
    for (int table = 0; table < STORE_TABLES && rc == 0; table++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT coalesce(max(seq), 0) FROM %s WHERE run_id = ?1",
            store_tables[table].rows_name);
        rc = get_of_run(db, sql, run_id, &ret_last_seq[table], e);
    }
    if (rc == 0)
        rc = get_of_run(db, "SELECT max(target_id) FROM target_states WHERE run_id = ?1", run_id,
            ret_target_id, e);
    if (rc == 0)
        rc = get_of_run(db, "SELECT max(snapshot_id) FROM heap_snapshot_states WHERE run_id = ?1",
            run_id, ret_snapshot_id, e);
    return rc;
}
