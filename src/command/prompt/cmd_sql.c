/* sql: a question to the record, which this session is part of: to PostgreSQL where that is in use,
 * else to SQLite. */
#include "base/array.h"
#include "command/prompt/table.h"

#include "command/prompt/session.h"
#include "show/json.h"
#include "show/table.h"
#include "store/reader.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX    100000 /* of an answer; more is for a client of the database */
#define COLUMNS_MAX 64

struct cell {
    int type; /* as of struct reader_value */
    int64_t integer;
    double real;
    char *text;
};

struct answer {
    struct session *session;
    const char *query;
    int columns;
    char *names[COLUMNS_MAX];
    struct cell *cells;
    size_t rows, room; /* room: cells */
    bool cut;
};

static void free_answer(struct answer *a)
{
    for (size_t i = 0; i < a->rows * (size_t)a->columns; i++)
        free(a->cells[i].text);
    for (int i = 0; i < a->columns; i++)
        free(a->names[i]);
    free(a->cells);
}

static int add_row(struct answer *a, struct reader_rows *rows, struct err *e)
{
    if (!array_grow(&a->cells, &a->room, (a->rows + 1) * (size_t)a->columns))
        return err_set(e, ERR_NOMEM, "out of memory");
    struct cell *row = &a->cells[a->rows++ * (size_t)a->columns];
    for (int i = 0; i < a->columns; i++) {
        struct reader_value v = reader_value(rows, i);
        row[i] = (struct cell){v.type, v.integer, v.real, NULL};
        if (v.type == READER_TEXT)
            row[i].text = strdup(v.text);
    }
    return 0;
}

static int read_answer(struct answer *a, struct reader *reader, struct err *e)
{
    struct reader_rows *rows = NULL;
    bool row = false;
    int rc = reader_ask_sql(reader, a->query, ROWS_MAX + 1, &a->session->interrupted, &rows, e);
    int columns = rc == 0 ? reader_columns(rows) : 0;
    if (columns > COLUMNS_MAX)
        rc = err_set(e, ERR_USAGE, "an answer has at most %d columns here", COLUMNS_MAX);
    for (int i = 0; rc == 0 && i < columns; i++) {
        a->names[i] = strdup(reader_column_name(rows, i));
        a->columns = i + 1;
        if (!a->names[i])
            rc = err_set(e, ERR_NOMEM, "out of memory");
    }
    while (rc == 0 && columns > 0 && (rc = reader_next(rows, &row, e)) == 0 && row) {
        if (a->rows == ROWS_MAX) {
            a->cut = true;
            break;
        }
        rc = add_row(a, rows, e);
    }
    reader_rows_free(rows);
    return rc;
}

static int ask(void *arg, struct err *e)
{
    struct answer *a = arg;
    struct reader *reader = NULL;
    const struct database *database = a->session->logbook.database;
    int rc = reader_open(database, &reader, e);
    if (rc && database_is_postgres(database))
        err_context(e, "this session's rows wait in %s", database_path(database));
    if (rc == 0)
        rc = read_answer(a, reader, e);
    reader_close(reader);
    if (rc == ERR_CANCELLED)
        err_set(
            e, rc, a->session->timed_out ? "the time of --timeout has passed" : "ended by Ctrl-C");
    return rc;
}

/* By all values of a column: text where one is text, else numbers. */
static enum show_type type_of(const struct answer *a, int column, int *ret_decimals)
{
    bool first = column == 0, real = false;
    for (size_t i = 0; i < a->rows; i++) {
        const struct cell *cell = &a->cells[i * (size_t)a->columns + (size_t)column];
        if (cell->type == READER_TEXT)
            return first ? SHOW_NAME : SHOW_WORD;
        real = real || cell->type == READER_REAL;
    }
    *ret_decimals = real ? 3 : 0;
    return SHOW_NUMBER;
}

static struct show_table *make_table(const struct answer *a, struct show_column *columns)
{
    for (int i = 0; i < a->columns; i++) {
        columns[i] = (struct show_column){.title = a->names[i], .key = a->names[i]};
        columns[i].type = type_of(a, i, &columns[i].how);
    }
    struct show_table *t = show_table_new(columns, (size_t)a->columns);
    for (size_t i = 0; i < a->rows * (size_t)a->columns; i++) {
        const struct cell *cell = &a->cells[i];
        bool number = columns[i % (size_t)a->columns].type == SHOW_NUMBER;
        char text[32];
        if (cell->type == READER_NULL) {
            show_add_none(t);
        } else if (number) {
            show_add_number(t, cell->real);
        } else if (cell->text) {
            show_add_word(t, cell->text);
        } else {
            snprintf(text, sizeof text, "%.15g", cell->real);
            show_add_word(t, text);
        }
    }
    return t;
}

static int put_answer(const struct show_out *o, const struct answer *a, struct err *e)
{
    struct show_column columns[COLUMNS_MAX];
    struct show_table *t = a->columns ? make_table(a, columns) : NULL; /* COMMIT and its like */
    cJSON *rows = NULL;
    int rc = 0;
    if (!t && o->format == SHOW_JSON)
        rows = cJSON_CreateArray();
    else if (t)
        rc = o->format == SHOW_JSON ? show_table_json(t, &rows, e) : show_table(o, t, e);
    if (rc == 0 && rows) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.sql/1", &rc);
        show_json_add(root, "rows", rows, &rc);
        show_json_bool(root, "cut", a->cut, &rc);
        rc = show_json(o, root, rc, e);
    } else if (rc == 0 && a->cut && o->format == SHOW_TEXT) {
        fprintf(o->file, "… cut at %zu rows\n", a->rows);
    }
    show_table_free(t);
    return rc;
}

static int run(struct session *s, struct prompt_call *c, struct err *e)
{
    struct answer a = {.session = s, .query = c->rest};
    int rc = *c->rest ? journal_flush(s->logbook.journal, LOGBOOK_FLUSH_US, e)
                      : err_set(e, ERR_USAGE, "expected a question; see help sql");
    if (rc == 0)
        rc = session_apart(s, ask, &a, e);
    if (rc == 0)
        rc = put_answer(&c->out, &a, e);
    free_answer(&a);
    return rc;
}

static const enum setting_id with_csv[] = {SET_CSV, SET_END};

const struct prompt_command prompt_sql = {
    .name = "sql",
    .usage = "QUERY",
    .heading = "This session",
    .summary = "a question to the record, this session's readings included",
    .help =
        "  sql SELECT label, heap_used FROM memory_metrics ORDER BY seq DESC LIMIT 5\n"
        "  sql SELECT file, state, pause_ms FROM heap_snapshots\n"
        "It only reads, at most 100,000 rows. With PostgreSQL in use (--db, DATABASE_URL) that is\n"
        "asked, which has a row about a second after it was measured; else SQLite. "
        "docs/database.md\n"
        "describes the tables.\n",
    .json = "heaptap.sql/1",
    .kind = SCRIPT_EXPRESSION,
    .settings = with_csv,
    .run = run,
};
