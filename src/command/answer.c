/* Answers of the database as tables. */
#include "command/answer.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 32

int answer_choose(const struct settings *settings, struct database **ret, struct err *e)
{
    return database_choose(
        settings_text(settings, SET_DB), settings_text(settings, SET_SCHEMA), ret, e);
}

int answer_out(
    const struct settings *settings, struct show_out *ret_out, FILE **ret_file, struct err *e)
{
    enum show_color color;
    FILE *file = NULL;
    const char *path = settings_text(settings, SET_OUTPUT);
    enum show_format format = settings_flag(settings, SET_JSON)  ? SHOW_JSON
                              : settings_flag(settings, SET_CSV) ? SHOW_CSV
                                                                 : SHOW_TEXT;
    int rc = show_parse_color(settings_text(settings, SET_COLOR), &color, e);
    if (rc == 0 && path && !(file = fopen(path, "we")))
        rc = err_set_errno(e, ERR_IO, errno, "cannot write %s", path);
    if (rc == 0) {
        *ret_out = show_out_new(file ? file : stdout, format, color);
        *ret_file = file;
    }
    return rc;
}

static void add_cell(
    struct show_table *table, const struct show_column *column, const struct reader_value *value)
{
    if (value->type == READER_NULL)
        show_add_none(table);
    else if (column->type == SHOW_TIME)
        show_add_integer(table, clock_read_iso(value->text));
    else if (show_holds_text(column->type))
        show_add_text(table, value->text, value->length);
    else if (show_holds_double(column->type))
        show_add_number(table, value->real);
    else
        show_add_integer(table, value->integer);
}

/* Which column of the answer each column of the table shows. */
static int match_columns(const struct reader_rows *rows, const struct show_column *columns,
    size_t count, int *indices, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        indices[i] = -1;
        for (int j = 0; j < reader_columns(rows); j++)
            if (strcmp(reader_column_name(rows, j), columns[i].key) == 0)
                indices[i] = j;
        if (indices[i] < 0)
            return err_set(e, ERR_INTERNAL, "the answer has no column %s", columns[i].key);
    }
    return 0;
}

int answer_table(struct reader *reader, const struct answer_question *question,
    const struct reader_filter *filter, struct show_table **ret_table, struct err *e)
{
    size_t answered = question->count - question->added;
    struct reader_rows *rows = NULL;
    struct show_table *table = NULL;
    int indices[COLUMNS_MAX];
    bool row = false;
    int rc = question->count <= COLUMNS_MAX ? 0 : err_set(e, ERR_INTERNAL, "too many columns");
    if (rc == 0)
        rc = reader_ask(reader, question->query, filter, &rows, e);
    if (rc == 0)
        rc = match_columns(rows, question->columns, answered, indices, e);
    if (rc == 0 && !(table = show_table_new(question->columns, question->count)))
        rc = err_set(e, ERR_NOMEM, "no memory for a table");
    while (rc == 0 && (rc = reader_next(rows, &row, e)) == 0 && row) {
        for (size_t i = 0; i < answered; i++) {
            struct reader_value value = reader_value(rows, indices[i]);
            add_cell(table, &question->columns[i], &value);
        }
        if (question->more)
            question->more(question->arg, rows, table);
    }
    reader_rows_free(rows);
    if (rc == 0)
        *ret_table = table;
    else
        show_table_free(table);
    return rc;
}
