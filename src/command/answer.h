/* Answers of the database as tables: what the commands db and metrics print. */
#ifndef HEAPTAP_COMMAND_ANSWER_H
#define HEAPTAP_COMMAND_ANSWER_H

#include "command/command.h"
#include "show/table.h"
#include "store/reader.h"

/* The databases that the settings name. */
int answer_choose(const struct settings *settings, struct database **ret, struct err *e) MUST_USE;

/* Where a command prints, by --json, --csv, --color and -o (owned file in *ret_file or NULL). */
int answer_out(const struct settings *settings, struct show_out *ret_out, FILE **ret_file,
    struct err *e) MUST_USE;

/* Runs a question and fills a table whose column keys name the answer's columns; a key that the
 * answer lacks is an error of ours. *ret_table is the caller's. */
int answer_table(struct reader *reader, const char *query, const struct reader_filter *filter,
    const struct show_column *columns, size_t count, struct show_table **ret_table,
    struct err *e) MUST_USE;

/* The same with columns behind those of the question: more is called for each row, adds the cells
 * of columns answered and on, and may look at the row's values. */
typedef void (*answer_more_fn)(void *arg, struct reader_rows *rows, struct show_table *table);
int answer_table_more(struct reader *reader, const char *query, const struct reader_filter *filter,
    const struct show_column *columns, size_t count, size_t answered, answer_more_fn more,
    void *arg, struct show_table **ret_table, struct err *e) MUST_USE;

#endif
