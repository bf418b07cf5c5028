/* Questions to the record, the same for SQLite and PostgreSQL: the files of sql/queries. */
#ifndef HEAPTAP_STORE_READER_H
#define HEAPTAP_STORE_READER_H

#include "base/uuid.h"
#include "store/database.h"
#include "store/store.h"

#include <stdatomic.h>

struct reader;
struct reader_rows;

/* A read-only connection. ERR_DB when the file or server is not there, or holds no record. */
int reader_open(const struct database *database, struct reader **ret, struct err *e) MUST_USE;
/* The SQLite file alone, even if it is the outbox of a PostgreSQL. */
int reader_open_file(const char *path, struct reader **ret, struct err *e) MUST_USE;
void reader_close(struct reader *r); /* NULL is fine */
bool reader_is_postgres(const struct reader *r);
int reader_version(const struct reader *r); /* of the tables */

/* The whole id of "latest" or of an id's beginning; ERR_DB if there is none or more than one. */
int reader_find_run(
    struct reader *r, const char *text, char ret_run_id[UUID_TEXT_SIZE], struct err *e) MUST_USE;

/* Parameters $1 to $4 of the files; what is not set does not narrow the answer. */
struct reader_filter {
    const char *run_id;
    const char *label; /* or route, class, source: the file says */
    int64_t since_ms;  /* 0: any age */
    int64_t limit;     /* 0: no limit */
};

/* Runs queries/NAME.sql, or queries/NAME.sqlite.sql and NAME.postgres.sql where they differ. */
int reader_ask(struct reader *r, const char *name, const struct reader_filter *filter,
    struct reader_rows **ret, struct err *e) MUST_USE;
/* Runs a statement of the user's, for at most `most` rows. It may take long, but ends with
 * ERR_CANCELLED soon after *stop became true. */
int reader_ask_sql(struct reader *r, const char *sql, int64_t most, const atomic_bool *stop,
    struct reader_rows **ret, struct err *e) MUST_USE;

struct reader_value {
    enum { READER_NULL, READER_INTEGER, READER_REAL, READER_TEXT } type;
    int64_t integer;
    double real;      /* set for integers, too */
    const char *text; /* NUL-terminated, until the next row; times are ISO 8601 UTC */
    size_t length;
};

int reader_columns(const struct reader_rows *rows);
const char *reader_column_name(const struct reader_rows *rows, int column);
/* Moves to the next row: *ret_row false behind the last. */
int reader_next(struct reader_rows *rows, bool *ret_row, struct err *e) MUST_USE;
struct reader_value reader_value(struct reader_rows *rows, int column);
void reader_rows_free(struct reader_rows *rows); /* before the next question; NULL is fine */

#endif
