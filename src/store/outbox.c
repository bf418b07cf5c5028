/* The SQLite file as an outbox: cursors, open batches, parked rows and claims. */
#include "store/outbox.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/lite.h"
#include "store/orphans.h"
#include "store/owner.h"
#include "store/prune.h"
#include "store/record.h"
#include "store/sql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS                                                                                 \
    10000 /* a few hundred milliseconds of a server; what a lost connection repeats */
#define BUSY_MS   10000
#define SQL_MAX   ((size_t)8192)
#define DROP_ROWS 10000 /* even: the two rows of a request stand side by side */

struct outbox {
    struct lite *db;       /* owned */
    struct record *record; /* owned */
    char *destination;     /* owned */
    struct owner self;
    struct lite_statement *bounds[STORE_TABLES]; /* of the rows behind a seq */
    struct lite_statement *rows[STORE_TABLES];   /* between two seqs */
    struct lite_statement *count[STORE_TABLES];
    struct lite_statement *open; /* the first open batch of a run */
    struct lite_statement *cursor;
    char *copy[STORE_TABLES];
};

/* ---- statements ---- */

/* What is shipped of a column: losses include what PostgreSQL refused, because it is lost there. */
static int add_column(struct buf *sql, const struct store_column *column, bool for_copy)
{
    if (for_copy || column->kind != STORE_COUNTER || strncmp(column->name, "lost_", 5) != 0)
        return buf_addf(sql, ", %s", column->name);
    return buf_addf(sql,
        ", coalesce(%s, 0) + (SELECT count(*) FROM ship_parked p WHERE p.run_id = t.run_id AND "
        "p.table_name = '%s')",
        column->name, column->name + 5);
}

static int add_columns(struct buf *sql, const struct store_table_info *info, bool for_copy)
{
    int rc = buf_add_text(sql, "run_id, seq");
    for (size_t i = 0; i < info->column_count && rc == 0; i++)
        rc = add_column(sql, &info->columns[i], for_copy);
    return rc;
}

static int prepare_table(struct outbox *o, enum store_table table, struct err *e)
{
    const struct store_table_info *info = &store_tables[table];
    struct buf sql = buf_new(SQL_MAX), copy = buf_new(SQL_MAX);
    int rc = buf_add_text(&sql, "SELECT ");
    if (rc == 0)
        rc = add_columns(&sql, info, false);
    if (rc == 0)
        rc = buf_addf(&sql, " FROM %s t WHERE run_id = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq",
            info->rows_name);
    if (rc == 0)
        rc = buf_addf(&copy, "COPY %s (", info->rows_name);
    if (rc == 0)
        rc = add_columns(&copy, info, true);
    if (rc == 0)
        rc = buf_add_text(&copy, ") FROM STDIN");
    o->copy[table] = rc == 0 ? buf_take(&copy) : NULL;
    rc = o->copy[table] ? lite_prepare(o->db, sql.data, &o->rows[table], e)
                        : err_set(e, ERR_NOMEM, "no memory for a statement");
    buf_clear(&sql);
    if (rc == 0 &&
        buf_addf(&sql,
            "SELECT min(seq), max(seq), count(*) FROM (SELECT seq FROM %s WHERE run_id = ?1 AND "
            "seq >= ?2 ORDER BY seq LIMIT %d)",
            info->rows_name, BATCH_ROWS) == 0)
        rc = lite_prepare(o->db, sql.data, &o->bounds[table], e);
    buf_clear(&sql);
    if (rc == 0 &&
        buf_addf(&sql, "SELECT count(*) FROM %s WHERE run_id = ?1 AND seq BETWEEN ?2 AND ?3",
            info->rows_name) == 0)
        rc = lite_prepare(o->db, sql.data, &o->count[table], e);
    buf_free(&sql);
    buf_free(&copy);
    return rc;
}

int outbox_open(const char *path, const char *destination, struct outbox **ret, struct err *e)
{
    struct outbox *o = calloc(1, sizeof *o);
    if (!o || !(o->destination = strdup(destination))) {
        free(o);
        return err_set(e, ERR_NOMEM, "no memory for the outbox");
    }
    owner_self(&o->self);
    int rc = lite_open(path, LITE_WRITE, BUSY_MS, &o->db, e);
    if (rc == 0)
        rc = lite_exec(o->db, "PRAGMA synchronous=NORMAL", e);
    if (rc == 0)
        rc = record_new(o->db, &o->record, e);
    if (rc == 0)
        rc = orphans_close(o->db, o->record, e);
    if (rc == 0)
        rc = lite_prepare(o->db,
            "SELECT table_name, first_seq, last_seq FROM ship_batches WHERE run_id = ?1 "
            "ORDER BY table_name, first_seq LIMIT 1",
            &o->open, e);
    if (rc == 0)
        rc = lite_prepare(o->db,
            "SELECT next_seq FROM ship_cursors WHERE run_id = ?1 AND table_name = ?2", &o->cursor,
            e);
    for (int table = 0; table < STORE_TABLES && rc == 0; table++)
        rc = prepare_table(o, (enum store_table)table, e);
    if (rc == 0)
        *ret = o;
    else
        outbox_close(o);
    return rc;
}

/* Runs a statement with up to five parameters: texts for 's', integers for 'i'. */
static int run(struct outbox *o, struct err *e, const char *sql, const char *kinds, ...)
{
    struct lite_statement *s = NULL;
    va_list args;
    int rc = lite_prepare(o->db, sql, &s, e);
    va_start(args, kinds);
    for (int i = 0; rc == 0 && kinds[i]; i++) {
        if (kinds[i] == 's')
            lite_bind_string(s, i + 1, va_arg(args, const char *));
        else
            lite_bind_integer(s, i + 1, va_arg(args, int64_t));
    }
    va_end(args);
    if (rc == 0)
        rc = lite_run(s, e);
    lite_finalize(s);
    return rc;
}

void outbox_close(struct outbox *o)
{
    struct err unwanted;
    if (!o)
        return;
    /* What cannot be given back is taken when this process is seen to be gone. */
    if (o->record && run(o, &unwanted,
                         "DELETE FROM ship_claims WHERE owner_boot_id = ?1 AND owner_pid = ?2 AND "
                         "owner_start = ?3",
                         "sii", o->self.boot_id, o->self.pid, o->self.start) != 0)
        log_debug("%s", unwanted.text);
    for (int table = 0; table < STORE_TABLES; table++) {
        lite_finalize(o->bounds[table]);
        lite_finalize(o->rows[table]);
        lite_finalize(o->count[table]);
        free(o->copy[table]);
    }
    lite_finalize(o->open);
    lite_finalize(o->cursor);
    record_free(o->record);
    lite_close(o->db);
    free(o->destination);
    free(o);
}

const char *outbox_copy_sql(struct outbox *o, enum store_table table)
{
    return o->copy[table];
}

/* ---- batches ---- */

static enum store_table table_of(const char *rows_name)
{
    for (int table = 0; table < STORE_TABLES; table++)
        if (strcmp(store_tables[table].rows_name, rows_name) == 0)
            return (enum store_table)table;
    return STORE_TABLES;
}

/* A batch that was opened earlier and is not known to have arrived. */
static int find_open(struct outbox *o, struct outbox_batch *b, bool *found, struct err *e)
{
    lite_bind_string(o->open, 1, b->run_id);
    int rc = lite_step(o->open, found, e);
    if (rc == 0 && *found) {
        b->table = table_of(lite_text(o->open, 0, NULL));
        b->first_seq = lite_integer(o->open, 1);
        b->last_seq = lite_integer(o->open, 2);
        if (b->table == STORE_TABLES)
            rc = err_set(
                e, ERR_DB, "database %s: an open batch of an unknown table", lite_path(o->db));
    }
    lite_reset(o->open);
    return rc;
}

static int read_cursor(struct outbox *o, const struct outbox_batch *b, int64_t *ret, struct err *e)
{
    bool row = false;
    lite_bind_string(o->cursor, 1, b->run_id);
    lite_bind_string(o->cursor, 2, store_tables[b->table].rows_name);
    int rc = lite_step(o->cursor, &row, e);
    if (rc == 0)
        *ret = row ? lite_integer(o->cursor, 0) : 1;
    lite_reset(o->cursor);
    return rc;
}

/* Bounds of what waits behind the cursor of b->table. */
static int find_bounds(struct outbox *o, struct outbox_batch *b, bool *found, struct err *e)
{
    struct lite_statement *s = o->bounds[b->table];
    int64_t cursor = 1;
    bool row = false;
    int rc = read_cursor(o, b, &cursor, e);
    if (rc != 0)
        return rc;
    lite_bind_string(s, 1, b->run_id);
    lite_bind_integer(s, 2, cursor);
    rc = lite_step(s, &row, e);
    if (rc == 0) {
        b->first_seq = lite_integer(s, 0);
        b->last_seq = lite_integer(s, 1);
        *found = lite_integer(s, 2) > 0;
    }
    lite_reset(s);
    return rc;
}

static int fix_bounds(struct outbox *o, const struct outbox_batch *b, struct err *e)
{
    const char *name = store_tables[b->table].rows_name;
    int rc = run(o, e, "INSERT INTO ship_batches VALUES (?1, ?2, ?3, ?4)", "ssii", b->run_id, name,
        b->first_seq, b->last_seq);
    if (rc == 0)
        rc = run(o, e, "INSERT OR REPLACE INTO ship_cursors VALUES (?1, ?2, ?3)", "ssi", b->run_id,
            name, b->last_seq + 1);
    return rc;
}

static int count_rows(struct outbox *o, struct outbox_batch *b, struct err *e)
{
    struct lite_statement *s = o->count[b->table];
    bool row = false;
    lite_bind_string(s, 1, b->run_id);
    lite_bind_integer(s, 2, b->first_seq);
    lite_bind_integer(s, 3, b->last_seq);
    int rc = lite_step(s, &row, e);
    b->row_count = rc == 0 ? lite_integer(s, 0) : 0;
    lite_reset(s);
    return rc;
}

int outbox_next(struct outbox *o, const char *run_id, struct outbox_batch *ret_batch,
    bool *ret_found, struct err *e)
{
    struct outbox_batch b = {.row_count = 0};
    bool found = false;
    snprintf(b.run_id, sizeof b.run_id, "%s", run_id);
    int rc = find_open(o, &b, &found, e);
    bool was_open = found;
    for (int table = 0; table < STORE_TABLES && rc == 0 && !found; table++) {
        b.table = (enum store_table)table;
        rc = find_bounds(o, &b, &found, e);
    }
    if (rc == 0 && found && !was_open) {
        rc = lite_begin(o->db, e);
        if (rc == 0)
            rc = fix_bounds(o, &b, e);
        if (rc == 0)
            rc = lite_commit(o->db, e);
        lite_rollback(o->db);
    }
    if (rc == 0 && found)
        rc = count_rows(o, &b, e);
    if (rc == 0) {
        *ret_batch = b;
        *ret_found = found;
    }
    return rc;
}

int outbox_done(struct outbox *o, const struct outbox_batch *b, struct err *e)
{
    return run(o, e,
        "DELETE FROM ship_batches WHERE run_id = ?1 AND table_name = ?2 AND first_seq = ?3", "ssi",
        b->run_id, store_tables[b->table].rows_name, b->first_seq);
}

int outbox_split(struct outbox *o, const struct outbox_batch *b, struct err *e)
{
    const char *name = store_tables[b->table].rows_name;
    int64_t middle = b->first_seq + (b->last_seq - b->first_seq) / 2;
    assert(b->last_seq > b->first_seq);
    int rc = lite_begin(o->db, e);
    if (rc == 0)
        rc = run(o, e,
            "UPDATE ship_batches SET last_seq = ?4 WHERE run_id = ?1 AND table_name = ?2 AND "
            "first_seq = ?3",
            "ssii", b->run_id, name, b->first_seq, middle);
    if (rc == 0)
        rc = run(o, e, "INSERT INTO ship_batches VALUES (?1, ?2, ?3, ?4)", "ssii", b->run_id, name,
            middle + 1, b->last_seq);
    if (rc == 0)
        rc = lite_commit(o->db, e);
    lite_rollback(o->db);
    return rc;
}

int outbox_park(struct outbox *o, const struct outbox_batch *b, const char *reason, struct err *e)
{
    char now[CLOCK_ISO_SIZE];
    struct store_run state;
    store_row_clear(STORE_RUNS, &state);
    state.created_at_ms = clock_wall_ms();
    state.rows_parked = 1;
    clock_iso(now, state.created_at_ms);
    int rc = lite_begin(o->db, e);
    if (rc == 0)
        rc = run(o, e, "INSERT OR IGNORE INTO ship_parked VALUES (?1, ?2, ?3, ?4, ?5)", "ssiss",
            b->run_id, store_tables[b->table].rows_name, b->first_seq, now, reason);
    if (rc == 0)
        rc = outbox_done(o, b, e);
    if (rc == 0)
        rc = record_write_state(o->record, STORE_RUNS, b->run_id, &state, e);
    if (rc == 0)
        rc = lite_commit(o->db, e);
    lite_rollback(o->db);
    return rc;
}

/* ---- rows as COPY's text ---- */

#define PIECE_BYTES ((size_t)64 << 10)
#define ROW_MAX     ((size_t)128 << 20) /* a few texts of 16 MB, every byte of them escaped */

static int add_escaped(struct buf *out, const char *text, size_t length)
{
    int rc = 0;
    while (length > 0 && rc == 0) {
        size_t plain = 0;
        while (plain < length && text[plain] != '\\' && text[plain] != '\t' &&
               text[plain] != '\n' && text[plain] != '\r')
            plain++;
        rc = buf_add(out, text, plain);
        if (rc == 0 && plain < length) {
            char c = text[plain];
            const char escape[] = {'\\', c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : c};
            rc = buf_add(out, escape, 2);
            plain++;
        }
        text += plain;
        length -= plain;
    }
    return rc;
}

/* printf would take a tenth of the shipper's time for integers alone. */
static int add_integer(struct buf *out, int64_t value)
{
    char digits[24];
    char *at = digits + sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        *--at = '-';
    return buf_add(out, at, (size_t)(digits + sizeof digits - at));
}

/* Seventeen digits give back the same double; whole numbers are common and need fewer. */
static int add_real(struct buf *out, double value)
{
    if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value)
        return add_integer(out, (int64_t)value);
    return buf_addf(out, "%.17g", value);
}

static int add_cell(struct buf *out, struct lite_statement *s, int column)
{
    size_t length;
    const char *text;
    int rc = column ? buf_add(out, "\t", 1) : 0;
    if (rc != 0)
        return rc;
    switch (lite_type(s, column)) {
    case LITE_NULL: return buf_add(out, "\\N", 2);
    case LITE_INTEGER: return add_integer(out, lite_integer(s, column));
    case LITE_REAL: return add_real(out, lite_real(s, column));
    case LITE_TEXT: break;
    }
    text = lite_text(s, column, &length);
    return text ? add_escaped(out, text, length) : ERR_NOMEM;
}

int outbox_read(struct outbox *o, const struct outbox_batch *b,
    int (*send)(void *arg, const char *bytes, size_t length, struct err *e), void *arg,
    struct err *e)
{
    struct lite_statement *s = o->rows[b->table];
    struct buf piece = buf_new(ROW_MAX);
    bool row = false;
    int columns = lite_columns(s);
    lite_bind_string(s, 1, b->run_id);
    lite_bind_integer(s, 2, b->first_seq);
    lite_bind_integer(s, 3, b->last_seq);
    int rc = 0;
    while (rc == 0 && (rc = lite_step(s, &row, e)) == 0 && row) {
        int added = 0;
        for (int i = 0; i < columns && added == 0; i++)
            added = add_cell(&piece, s, i);
        if (added == 0)
            added = buf_add(&piece, "\n", 1);
        if (added != 0)
            rc = err_set(e, added, "a row of %s is too large to ship", store_tables[b->table].name);
        else if (piece.length >= PIECE_BYTES) {
            rc = send(arg, piece.data, piece.length, e);
            buf_clear(&piece);
        }
    }
    if (rc == 0 && piece.length)
        rc = send(arg, piece.data, piece.length, e);
    lite_reset(s);
    buf_free(&piece);
    return rc;
}

/* ---- runs of others ---- */

static bool is_alive(struct lite_statement *s, int boot, int host, int pid, int start)
{
    struct owner owner = {.pid = lite_integer(s, pid), .start = lite_integer(s, start)};
    const char *boot_text = lite_text(s, boot, NULL), *host_text = lite_text(s, host, NULL);
    snprintf(owner.boot_id, sizeof owner.boot_id, "%s", boot_text ? boot_text : "");
    snprintf(owner.host, sizeof owner.host, "%s", host_text ? host_text : "");
    return owner_life(&owner) == OWNER_ALIVE;
}

static bool is_own(const struct outbox *o, struct lite_statement *s, int boot, int pid, int start)
{
    const char *boot_text = lite_text(s, boot, NULL);
    return boot_text && strcmp(boot_text, o->self.boot_id) == 0 &&
           lite_integer(s, pid) == o->self.pid && lite_integer(s, start) == o->self.start;
}

/* Columns of store/orphans.sql: the run's owner, then its claim's (NULL without one). */
enum {
    RUN_ID,
    ENDED,
    OWN_BOOT,
    OWN_HOST,
    OWN_PID,
    OWN_START,
    CLAIM_BOOT,
    CLAIM_HOST,
    CLAIM_PID,
    CLAIM_START
};

static int claim(struct outbox *o, const char *run_id, struct err *e)
{
    return run(o, e,
        "INSERT OR REPLACE INTO ship_claims (run_id, owner_boot_id, host, owner_pid, owner_start) "
        "VALUES (?1, ?2, ?3, ?4, ?5)",
        "sssii", run_id, o->self.boot_id, o->self.host, o->self.pid, o->self.start);
}

int outbox_next_orphan(struct outbox *o, const char *after, char ret_run_id[UUID_TEXT_SIZE],
    bool *ret_found, struct err *e)
{
    struct lite_statement *s = NULL;
    bool row = false, found = false;
    char run_id[UUID_TEXT_SIZE] = "";
    int rc = lite_begin(o->db, e); /* two processes may look at the same moment */
    if (rc == 0)
        rc = lite_prepare(o->db, sql_find("store/orphans.sql"), &s, e);
    if (rc == 0) {
        lite_bind_string(s, 1, o->destination);
        lite_bind_string(s, 2, after);
    }
    while (rc == 0 && !found && (rc = lite_step(s, &row, e)) == 0 && row) {
        bool owned = !is_own(o, s, OWN_BOOT, OWN_PID, OWN_START) &&
                     is_alive(s, OWN_BOOT, OWN_HOST, OWN_PID, OWN_START);
        bool claimed = lite_type(s, CLAIM_BOOT) != LITE_NULL &&
                       !is_own(o, s, CLAIM_BOOT, CLAIM_PID, CLAIM_START) &&
                       is_alive(s, CLAIM_BOOT, CLAIM_HOST, CLAIM_PID, CLAIM_START);
        found = !owned && !claimed && lite_type(s, ENDED) != LITE_NULL;
        if (found)
            snprintf(run_id, sizeof run_id, "%s", lite_text(s, RUN_ID, NULL));
    }
    lite_finalize(s);
    if (rc == 0 && found)
        rc = claim(o, run_id, e);
    if (rc == 0)
        rc = lite_commit(o->db, e);
    lite_rollback(o->db);
    if (rc == 0) {
        memcpy(ret_run_id, run_id, sizeof run_id);
        *ret_found = found;
    }
    return rc;
}

int outbox_release(struct outbox *o, const char *run_id, struct err *e)
{
    return run(o, e, "DELETE FROM ship_claims WHERE run_id = ?1", "s", run_id);
}

/* ---- how much there is ---- */

static int waiting_in(struct outbox *o, const struct store_table_info *info, const char *run_id,
    int64_t *rows, struct err *e)
{
    struct lite_statement *s = NULL;
    char sql[1024];
    bool row = false;
    snprintf(sql, sizeof sql,
        "SELECT count(*) FROM %1$s t JOIN runs r ON r.run_id = t.run_id "
        "WHERE r.destination = ?1 AND (?2 IS NULL OR t.run_id = ?2) AND ("
        "t.seq >= coalesce((SELECT next_seq FROM ship_cursors c WHERE c.run_id = t.run_id "
        "AND c.table_name = '%1$s'), 0) OR EXISTS (SELECT 1 FROM ship_batches b "
        "WHERE b.run_id = t.run_id AND b.table_name = '%1$s' "
        "AND t.seq BETWEEN b.first_seq AND b.last_seq))",
        info->rows_name);
    int rc = lite_prepare(o->db, sql, &s, e);
    if (rc == 0) {
        lite_bind_string(s, 1, o->destination);
        lite_bind_string(s, 2, run_id);
        rc = lite_step(s, &row, e);
    }
    if (rc == 0)
        *rows += lite_integer(s, 0);
    lite_finalize(s);
    return rc;
}

int outbox_waiting(struct outbox *o, const char *run_id, int64_t *ret_rows, struct err *e)
{
    int64_t rows = 0;
    int rc = 0;
    for (int table = 0; table < STORE_TABLES && rc == 0; table++)
        rc = waiting_in(o, &store_tables[table], run_id, &rows, e);
    if (rc == 0)
        *ret_rows = rows;
    return rc;
}

static int used_bytes(struct lite *db, int64_t *ret, struct err *e)
{
    int64_t pages = 0, free_pages = 0, page = 0;
    int rc = lite_get_integer(db, "PRAGMA page_count", 0, &pages, e);
    if (rc == 0)
        rc = lite_get_integer(db, "PRAGMA freelist_count", 0, &free_pages, e);
    if (rc == 0)
        rc = lite_get_integer(db, "PRAGMA page_size", 0, &page, e);
    if (rc == 0)
        *ret = (pages - free_pages) * page;
    return rc;
}

/* What may be dropped, in this order. The second row of a request whose first has been taken into a
 * batch stays. */
static const struct {
    enum store_table table;
    const char *condition;
} droppable[] = {
    {STORE_MEMORY_METRICS, "t.request_url IS NOT NULL AND NOT (t.label LIKE 'after-%' AND t.seq = "
                           "coalesce(c.next_seq, 1))"},
    {STORE_HEAP_CLASSES, "1"},
    {STORE_ALLOCATION_SITES, "1"},
    {STORE_ALLOCATION_INTERVALS, "1"},
    {STORE_MEMORY_METRICS, "1"},
};

/* Drops up to DROP_ROWS of one run's waiting rows: the run of the oldest. */
static int drop_some(struct outbox *o, size_t which, int64_t *dropped, struct err *e)
{
    const struct store_table_info *info = &store_tables[droppable[which].table];
    struct lite_statement *s = NULL;
    char sql[2048], run_id[UUID_TEXT_SIZE] = "";
    bool row = false;
    struct store_run state;
    snprintf(sql, sizeof sql,
        "SELECT t.run_id FROM %1$s t JOIN runs r ON r.run_id = t.run_id LEFT JOIN ship_cursors c "
        "ON c.run_id = t.run_id AND c.table_name = '%1$s' WHERE r.destination IS NOT NULL AND "
        "t.seq >= coalesce(c.next_seq, 1) AND %2$s ORDER BY t.rowid LIMIT 1",
        info->rows_name, droppable[which].condition);
    int rc = lite_prepare(o->db, sql, &s, e);
    if (rc == 0)
        rc = lite_step(s, &row, e);
    if (rc == 0 && row)
        snprintf(run_id, sizeof run_id, "%s", lite_text(s, 0, NULL));
    lite_finalize(s);
    if (rc != 0 || !row)
        return rc;
    /* The last row of a table stays, or its losses would not show as a gap. */
    snprintf(sql, sizeof sql,
        "DELETE FROM %1$s WHERE rowid IN (SELECT t.rowid FROM %1$s t LEFT JOIN ship_cursors c ON "
        "c.run_id = t.run_id AND c.table_name = '%1$s' WHERE t.run_id = ?1 AND t.seq >= "
        "coalesce(c.next_seq, 1) AND %2$s AND t.seq < (SELECT max(seq) FROM %1$s WHERE run_id = "
        "?1) "
        "ORDER BY t.seq LIMIT %3$d)",
        info->rows_name, droppable[which].condition, DROP_ROWS);
    rc = run(o, e, sql, "s", run_id);
    int64_t rows = rc == 0 ? lite_changes(o->db) : 0;
    if (rc == 0 && rows > 0) {
        store_row_clear(STORE_RUNS, &state);
        state.created_at_ms = clock_wall_ms();
        *(int64_t *)(void *)((char *)&state + info->lost_offset) = rows;
        rc = record_write_state(o->record, STORE_RUNS, run_id, &state, e);
    }
    *dropped = rows;
    return rc;
}

int outbox_bound(struct outbox *o, int64_t max_bytes, int64_t *ret_dropped, struct err *e)
{
    int64_t bytes = 0, dropped = 0;
    size_t which = 0;
    int rc = used_bytes(o->db, &bytes, e);
    while (rc == 0 && bytes > max_bytes && which < sizeof droppable / sizeof *droppable) {
        int64_t rows = 0;
        rc = lite_begin(o->db, e);
        if (rc == 0)
            rc = drop_some(o, which, &rows, e);
        if (rc == 0)
            rc = lite_commit(o->db, e);
        lite_rollback(o->db);
        dropped += rows;
        if (rows == 0)
            which++;
        if (rc == 0)
            rc = used_bytes(o->db, &bytes, e);
    }
    if (rc == 0 && dropped > 0)
        rc = lite_exec(o->db, "PRAGMA incremental_vacuum", e);
    if (rc == 0)
        *ret_dropped = dropped;
    return rc;
}

int outbox_prune(struct outbox *o, int64_t cutoff_ms, struct err *e)
{
    struct prune_counts counts;
    return prune_lite(o->db, cutoff_ms, true, &counts, e);
}
