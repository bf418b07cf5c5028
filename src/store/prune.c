/* Letting old rows go, in small bites: other processes write to the same file. */
#include "store/prune.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/lite.h"
#include "store/pg.h"
#include "store/pgschema.h"
#include "store/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BITE_ROWS  10000 /* a few ten milliseconds of SQLite's write lock */
#define BUSY_MS    10000
#define CONNECT_US 10000000

/* Old: created before $1, in a run that has ended before it or in a table of rows. */
#define OLD_RUN "run_id IN (SELECT run_id FROM runs WHERE ended_at < $1)"
/* Not on its way to PostgreSQL: no destination, or behind the cursor and in no open batch. */
#define SHIPPED                                                                                    \
    "(run_id IN (SELECT run_id FROM runs WHERE destination IS NULL AND %2$d = 0) OR "              \
    "(seq < coalesce((SELECT next_seq FROM ship_cursors c WHERE c.run_id = t.run_id AND "          \
    "c.table_name = '%1$s'), 0) AND NOT EXISTS (SELECT 1 FROM ship_batches b WHERE "               \
    "b.run_id = t.run_id AND b.table_name = '%1$s' AND t.seq BETWEEN b.first_seq AND "             \
    "b.last_seq)))"

static int delete_bites(
    struct lite *db, const char *sql, const char *cutoff, int64_t *rows, struct err *e)
{
    struct lite_statement *s = NULL;
    int64_t deleted = BITE_ROWS;
    int rc = lite_prepare(db, sql, &s, e);
    while (rc == 0 && deleted == BITE_ROWS) {
        lite_bind_string(s, 1, cutoff);
        rc = lite_run(s, e);
        deleted = rc == 0 ? lite_changes(db) : 0;
        *rows += deleted;
    }
    lite_finalize(s);
    return rc;
}

static int prune_table(struct lite *db, const struct store_table_info *info, const char *cutoff,
    bool only_shipped, struct prune_counts *counts, struct err *e)
{
    /* States of a run that goes on are few, and each may be the latest of its object. */
    const char *old = info->is_states ? OLD_RUN : "(created_at < $1)";
    char sql[2048], condition[1024];
    snprintf(condition, sizeof condition, SHIPPED, info->rows_name, only_shipped);
    snprintf(sql, sizeof sql,
        "DELETE FROM %s WHERE rowid IN (SELECT t.rowid FROM %s t WHERE %s AND %s LIMIT %d)",
        info->rows_name, info->rows_name, old, condition, BITE_ROWS);
    int rc = delete_bites(db, sql, cutoff, &counts->rows, e);
    if (rc != 0)
        return rc;
    struct lite_statement *s = NULL;
    bool row = false;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s t WHERE %s", info->rows_name, old);
    rc = lite_prepare(db, sql, &s, e);
    if (rc == 0) {
        lite_bind_string(s, 1, cutoff);
        rc = lite_step(s, &row, e);
    }
    if (rc == 0 && row)
        counts->kept += lite_integer(s, 0);
    lite_finalize(s);
    return rc;
}

int prune_lite(struct lite *db, int64_t cutoff_ms, bool only_shipped,
    struct prune_counts *ret_counts, struct err *e)
{
    char cutoff[CLOCK_ISO_SIZE];
    struct prune_counts counts = {0};
    int64_t before = 0, after = 0;
    clock_iso(cutoff, cutoff_ms);
    int rc = lite_get_integer(db, "SELECT count(*) FROM runs", 0, &before, e);
    /* Runs go last: the other tables' conditions look at them. */
    for (int table = STORE_TABLES - 1; table >= 0 && rc == 0; table--)
        rc = prune_table(db, &store_tables[table], cutoff, only_shipped, &counts, e);
    if (rc == 0)
        rc = lite_exec(db,
            "DELETE FROM ship_cursors WHERE run_id NOT IN (SELECT run_id FROM run_states);"
            "DELETE FROM ship_parked WHERE run_id NOT IN (SELECT run_id FROM run_states);"
            "DELETE FROM ship_claims WHERE run_id NOT IN (SELECT run_id FROM run_states);"
            "PRAGMA incremental_vacuum",
            e);
    if (rc == 0)
        rc = lite_get_integer(db, "SELECT count(*) FROM runs", 0, &after, e);
    counts.runs = before - after;
    if (rc == 0)
        *ret_counts = counts;
    return rc;
}

static int prune_postgres(
    const struct database *database, const char *cutoff, struct prune_counts *counts, struct err *e)
{
    struct pg *pg = NULL;
    struct pg_result *result = NULL;
    static const enum pg_type types[] = {PG_TIMESTAMPTZ};
    int rc = pg_connect(database_options(database), CONNECT_US, NULL, &pg, e);
    if (rc == 0)
        rc = pgschema_begin(pg, database_schema(database), PGSCHEMA_WRITE, e);
    for (int table = STORE_TABLES - 1; table >= 0 && rc == 0; table--) {
        const struct store_table_info *info = &store_tables[table];
        char sql[512];
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE %s", info->rows_name,
            info->is_states ? OLD_RUN : "run_id IS NOT NULL AND created_at < $1");
        rc = pg_query(pg, sql, 1, types, &cutoff, &result, e);
        if (rc == 0)
            counts->rows += pg_affected(result);
        pg_result_free(result);
        result = NULL;
    }
    if (rc == 0)
        rc = pg_exec(pg, "COMMIT", e);
    pg_close(pg);
    return rc;
}

/* Captures whose runs are to go; their files stay, and nothing else names them afterwards. */
#define NOTE_FILES                                                                                 \
    "CREATE TEMP TABLE noted_files AS SELECT run_id, file FROM heap_snapshots "                    \
    "WHERE state = 'complete' AND file IS NOT NULL"
#define LEFT_FILES                                                                                 \
    "SELECT file FROM noted_files WHERE run_id NOT IN (SELECT run_id FROM run_states) "            \
    "ORDER BY file"

static int count_left_files(struct lite *db, struct prune_counts *counts, struct err *e)
{
    struct lite_statement *s = NULL;
    bool row = false;
    int rc = lite_prepare(db, LEFT_FILES, &s, e);
    while (rc == 0 && (rc = lite_step(s, &row, e)) == 0 && row) {
        const char *file = lite_text(s, 0, NULL);
        if (!file || access(file, F_OK) != 0)
            continue;
        if (counts->files++ == 0)
            snprintf(counts->first_file, sizeof counts->first_file, "%s", file);
    }
    lite_finalize(s);
    return rc;
}

int prune_older(const struct database *database, int64_t cutoff_ms, struct prune_counts *ret_counts,
    struct err *e)
{
    char cutoff[CLOCK_ISO_SIZE];
    struct prune_counts counts = {0};
    struct lite *db = NULL;
    int rc = lite_open(database_path(database), LITE_WRITE, BUSY_MS, &db, e);
    if (rc == 0)
        rc = lite_exec(db, NOTE_FILES, e);
    if (rc == 0)
        rc = prune_lite(db, cutoff_ms, false, &counts, e);
    if (rc == 0)
        rc = count_left_files(db, &counts, e);
    lite_close(db);
    if (rc == 0 && database_is_postgres(database))
        rc = prune_postgres(database, clock_iso(cutoff, cutoff_ms), &counts, e);
    if (rc == 0)
        *ret_counts = counts;
    return rc;
}
