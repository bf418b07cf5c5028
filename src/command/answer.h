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

/* A question, and the table that shows its answer. */
struct answer_question {
    const char *query;                 /* a file of sql/queries, without its ending */
    const struct show_column *columns; /* their keys name the answer's columns */
    size_t count;
    size_t added; /* the last columns, which are not the answer's: more adds their cells */
    /* Called for each row, of which it may read the values; NULL where added is 0. */
    void (*more)(void *arg, struct reader_rows *rows, struct show_table *table);
    void *arg;
};

/* Asks and fills a table (owned by the caller); a key that the answer lacks is an error of ours. */
int answer_table(struct reader *reader, const struct answer_question *question,
    const struct reader_filter *filter, struct show_table **ret_table, struct err *e) MUST_USE;

#endif
