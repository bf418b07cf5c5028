/* Questions to the record over either database. */
#include "store/reader.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/lite.h"
#include "store/migrate.h"
#include "store/pg.h"
#include "store/pgschema.h"
#include "store/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS        5000
#define CONNECT_US     10000000
#define PATIENCE_US    (INT64_C(86400) * 1000000) /* with a question of the user's */
#define PARAMETERS     4
#define PG_TIME_LENGTH 64 /* "2026-01-31 23:59:59.123456+00" */

struct reader {
    struct lite *lite; /* one of the two is set; owned */
    struct pg *pg;
    const char *schema; /* borrowed from the database */
    int version;
};

struct reader_rows {
    struct lite_statement *statement; /* one of the two; owned */
    struct pg_result *result;
    int row;
    char (*times)[PG_TIME_LENGTH]; /* of PostgreSQL's current row, one a column; owned */
    char *values[PARAMETERS];      /* what SQLite's statement has bound; owned */
};

/* ---- opening ---- */

static int open_lite(struct reader *r, const char *path, struct err *e)
{
    int version = 0;
    if (access(path, F_OK) != 0)
        return err_set(
            e, ERR_DB, "no database at %s (heaptap run makes one; --db names another)", path);
    int rc = lite_open(path, LITE_READ, BUSY_MS, &r->lite, e);
    if (rc == 0)
        rc = migrate_lite_version(r->lite, &version, e);
    if (rc == 0 && version < migrate_newest("sqlite"))
        rc = err_set(e, ERR_DB, "database %s has version %d of %d: run \"heaptap db migrate\"",
            path, version, migrate_newest("sqlite"));
    r->version = version;
    return rc;
}

static int open_postgres(struct reader *r, const struct database *database, struct err *e)
{
    struct pgschema_state state;
    int rc = pg_connect(database_options(database), CONNECT_US, NULL, &r->pg, e);
    r->schema = database_schema(database);
    if (rc == 0)
        rc = pgschema_look(r->pg, r->schema, &state, e);
    if (rc == 0 && state.kind != PGSCHEMA_CURRENT)
        rc = pgschema_refuse(&state, e);
    r->version = rc == 0 ? state.version : 0;
    return rc;
}

/* database NULL: the file at path. */
static int open_either(
    const struct database *database, const char *path, struct reader **ret, struct err *e)
{
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for a connection");
    int rc = database ? open_postgres(r, database, e) : open_lite(r, path, e);
    if (rc == 0)
        *ret = r;
    else
        reader_close(r);
    return rc;
}

int reader_open(const struct database *database, struct reader **ret, struct err *e)
{
    return open_either(
        database_is_postgres(database) ? database : NULL, database_path(database), ret, e);
}

int reader_open_file(const char *path, struct reader **ret, struct err *e)
{
    return open_either(NULL, path, ret, e);
}

void reader_close(struct reader *r)
{
    if (!r)
        return;
    lite_close(r->lite);
    pg_close(r->pg); /* its transaction only read */
    free(r);
}

bool reader_is_postgres(const struct reader *r)
{
    return r->pg != NULL;
}

int reader_version(const struct reader *r)
{
    return r->version;
}

/* ---- asking ---- */

static int prepare_rows(struct reader_rows *rows, struct err *e)
{
    rows->row = -1;
    rows->times = calloc((size_t)pg_columns(rows->result) + 1, sizeof *rows->times);
    return rows->times ? 0 : err_set(e, ERR_NOMEM, "no memory for an answer");
}

/* Every question gets all parameters; types are given because "$1 IS NULL" tells none. */
static int ask_postgres(struct reader *r, const char *sql, int count, const char *const *values,
    struct reader_rows *rows, struct err *e)
{
    static const enum pg_type types[PARAMETERS] = {PG_UUID, PG_TEXT, PG_TIMESTAMPTZ, PG_BIGINT};
    int rc = pgschema_begin(r->pg, r->schema, PGSCHEMA_READ, e);
    if (rc == 0)
        rc = pg_query(
            r->pg, sql, count, count == PARAMETERS ? types : NULL, values, &rows->result, e);
    pg_rollback(r->pg);
    return rc ? rc : prepare_rows(rows, e);
}

static int ask_lite(struct reader *r, const char *sql, int count, const char *const *values,
    struct reader_rows *rows, struct err *e)
{
    int rc = lite_prepare(r->lite, sql, &rows->statement, e);
    for (int i = 0; i < count && rc == 0; i++) {
        char name[8];
        snprintf(name, sizeof name, "$%d", i + 1);
        int parameter = lite_parameter(rows->statement, name);
        if (parameter == 0)
            continue;
        if (i == PARAMETERS - 1) /* the limit is a number; the rest are texts */
            lite_bind_integer(rows->statement, parameter, strtoll(values[i], NULL, 10));
        else if (values[i] && !(rows->values[i] = strdup(values[i])))
            rc = err_set(e, ERR_NOMEM, "no memory for a question");
        else
            lite_bind_string(rows->statement, parameter, rows->values[i]);
    }
    return rc;
}

static int ask(struct reader *r, const char *sql, int count, const char *const *values,
    struct reader_rows **ret, struct err *e)
{
    struct reader_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return err_set(e, ERR_NOMEM, "no memory for an answer");
    int rc = r->pg ? ask_postgres(r, sql, count, values, rows, e)
                   : ask_lite(r, sql, count, values, rows, e);
    if (rc == 0)
        *ret = rows;
    else
        reader_rows_free(rows);
    return rc;
}

/* What a cursor can be declared for: only of these can a part be had. */
static bool gives_rows(const char *sql)
{
    static const char *const words[] = {"select", "with", "values", "table", "("};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncasecmp(sql, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* The server looks whether anybody still waits for the answer: who gives up closes the connection.
 * Before version 14 it could not. */
#define WATCH_CLIENT                                                                               \
    "SELECT set_config('client_connection_check_interval', '1000', true)"                          \
    " WHERE current_setting('client_connection_check_interval', true) IS NOT NULL"

static int ask_postgres_for_part(
    struct reader *r, const char *sql, int64_t most, struct reader_rows *rows, struct err *e)
{
    bool part = gives_rows(sql);
    char *declare = part ? text_format("DECLARE asked NO SCROLL CURSOR FOR %s", sql) : NULL;
    char fetch[64];
    snprintf(fetch, sizeof fetch, "FETCH %lld FROM asked", (long long)most);
    int rc = part && !declare ? err_set(e, ERR_NOMEM, "no memory for a question")
                              : pgschema_begin(r->pg, r->schema, PGSCHEMA_READ, e);
    if (rc == 0)
        rc = pg_query(r->pg, WATCH_CLIENT, 0, NULL, NULL, NULL, e);
    if (rc == 0 && part)
        rc = pg_query(r->pg, declare, 0, NULL, NULL, NULL, e);
    if (rc == 0)
        rc = pg_query(r->pg, part ? fetch : sql, 0, NULL, NULL, &rows->result, e);
    pg_rollback(r->pg);
    free(declare);
    char *place = rc ? strstr(e->text, " LINE 1: DECLARE asked") : NULL;
    if (place) /* it points into our words */
        *place = '\0';
    return rc ? rc : prepare_rows(rows, e);
}

int reader_ask_sql(struct reader *r, const char *sql, int64_t most, const atomic_bool *stop,
    struct reader_rows **ret, struct err *e)
{
    struct reader_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return err_set(e, ERR_NOMEM, "no memory for an answer");
    if (r->pg) {
        pg_set_stop(r->pg, stop);
        pg_set_patience(r->pg, PATIENCE_US);
    } else {
        lite_set_stop(r->lite, stop);
    }
    int rc =
        r->pg ? ask_postgres_for_part(r, sql, most, rows, e) : ask_lite(r, sql, 0, NULL, rows, e);
    if (rc == 0)
        *ret = rows;
    else
        reader_rows_free(rows);
    return rc;
}

int reader_ask(struct reader *r, const char *name, const struct reader_filter *filter,
    struct reader_rows **ret, struct err *e)
{
    char path[128], since[CLOCK_ISO_SIZE], limit[32];
    snprintf(path, sizeof path, "queries/%s.sql", name);
    const char *sql = sql_find(path);
    if (!sql) {
        snprintf(path, sizeof path, "queries/%s.%s.sql", name, r->pg ? "postgres" : "sqlite");
        sql = sql_find(path);
    }
    if (!sql)
        return err_set(e, ERR_INTERNAL, "no query %s", name);
    snprintf(
        limit, sizeof limit, "%lld", (long long)(filter->limit > 0 ? filter->limit : INT64_MAX));
    const char *values[PARAMETERS] = {filter->run_id, filter->label,
        filter->since_ms ? clock_iso(since, filter->since_ms) : NULL, limit};
    int rc = ask(r, sql, PARAMETERS, values, ret, e);
    return rc != 0 && e ? err_context(e, "%s", path) : rc;
}

int reader_find_run(
    struct reader *r, const char *text, char ret_run_id[UUID_TEXT_SIZE], struct err *e)
{
    struct reader_rows *rows = NULL;
    bool row = false;
    int found = 0;
    if (!*text || strlen(text) >= UUID_TEXT_SIZE ||
        (strcmp(text, "latest") != 0 && text[strspn(text, "0123456789abcdef-")]))
        return err_set(e, ERR_DB, "there is no run \"%s\"", text);
    int rc = ask(r, sql_find("store/find_run.sql"), 1, &text, &rows, e);
    while (rc == 0 && (rc = reader_next(rows, &row, e)) == 0 && row) {
        if (found++ == 0)
            snprintf(ret_run_id, UUID_TEXT_SIZE, "%s", reader_value(rows, 0).text);
    }
    reader_rows_free(rows);
    if (rc == 0 && found == 0)
        rc = err_set(e, ERR_DB,
            strcmp(text, "latest") == 0 ? "there is no run in the database yet"
                                        : "there is no run whose id begins with \"%s\"",
            text);
    if (rc == 0 && found > 1 && strcmp(text, "latest") != 0)
        rc = err_set(e, ERR_DB, "more than one run's id begins with \"%s\"", text);
    return rc;
}

/* ---- answers ---- */

int reader_columns(const struct reader_rows *rows)
{
    return rows->result ? pg_columns(rows->result) : lite_columns(rows->statement);
}

const char *reader_column_name(const struct reader_rows *rows, int column)
{
    return rows->result ? pg_column_name(rows->result, column)
                        : lite_column_name(rows->statement, column);
}

int reader_next(struct reader_rows *rows, bool *ret_row, struct err *e)
{
    if (!rows->result)
        return lite_step(rows->statement, ret_row, e);
    *ret_row = rows->row + 1 < pg_rows(rows->result);
    rows->row += *ret_row;
    return 0;
}

/* "2026-01-31 23:59:59.123456+00" to "2026-01-31T23:59:59.123Z"; the question ran in UTC. */
static const char *iso_of(const char *text, char out[PG_TIME_LENGTH])
{
    int year, month, day, hour, minute, second, used = 0;
    if (sscanf(text, "%d-%d-%d %d:%d:%d%n", &year, &month, &day, &hour, &minute, &second, &used) !=
            6 ||
        used == 0)
        return text; /* infinity, BC */
    char milliseconds[4] = "000";
    if (text[used] == '.')
        for (int i = 0; i < 3 && text[used + 1 + i] >= '0' && text[used + 1 + i] <= '9'; i++)
            milliseconds[i] = text[used + 1 + i];
    snprintf(out, PG_TIME_LENGTH, "%04d-%02d-%02dT%02d:%02d:%02d.%sZ", year, month, day, hour,
        minute, second, milliseconds);
    return out;
}

enum pg_number {
    NUMBER_INT8 = 20,
    NUMBER_INT2 = 21,
    NUMBER_INT4 = 23,
    NUMBER_FLOAT4 = 700,
    NUMBER_FLOAT8 = 701,
    NUMBER_NUMERIC = 1700,
    NUMBER_TIMESTAMP = 1114,
    NUMBER_TIMESTAMPTZ = 1184
};

static struct reader_value pg_cell(struct reader_rows *rows, int column)
{
    struct reader_value value = {.type = READER_NULL};
    const char *text = pg_value(rows->result, rows->row, column);
    if (!text)
        return value;
    value.type = READER_TEXT;
    value.text = text;
    switch (pg_column_type(rows->result, column)) {
    case NUMBER_INT2:
    case NUMBER_INT4:
    case NUMBER_INT8:
        value.type = READER_INTEGER;
        value.integer = strtoll(text, NULL, 10);
        value.real = (double)value.integer;
        break;
    case NUMBER_NUMERIC: /* what sum() makes of bigint: whole unless it has a point */
        value.type = strchr(text, '.') ? READER_REAL : READER_INTEGER;
        value.integer = strtoll(text, NULL, 10);
        value.real = strtod(text, NULL);
        break;
    case NUMBER_FLOAT4:
    case NUMBER_FLOAT8:
        value.type = READER_REAL;
        value.real = strtod(text, NULL);
        break;
    case NUMBER_TIMESTAMP:
    case NUMBER_TIMESTAMPTZ: value.text = iso_of(text, rows->times[column]); break;
    default: break;
    }
    value.length = strlen(value.text);
    return value;
}

struct reader_value reader_value(struct reader_rows *rows, int column)
{
    if (rows->result)
        return pg_cell(rows, column);
    struct reader_value value = {.type = READER_NULL};
    switch (lite_type(rows->statement, column)) {
    case LITE_NULL: return value;
    case LITE_INTEGER:
        value.type = READER_INTEGER;
        value.integer = lite_integer(rows->statement, column);
        value.real = (double)value.integer;
        break;
    case LITE_REAL:
        value.type = READER_REAL;
        value.real = lite_real(rows->statement, column);
        break;
    case LITE_TEXT: value.type = READER_TEXT; break;
    }
    value.text = lite_text(rows->statement, column, &value.length);
    return value;
}

void reader_rows_free(struct reader_rows *rows)
{
    if (!rows)
        return;
    lite_finalize(rows->statement);
    pg_result_free(rows->result);
    for (int i = 0; i < PARAMETERS; i++)
        free(rows->values[i]);
    free(rows->times);
    free(rows);
}
