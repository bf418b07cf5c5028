/* PostgreSQL behind one door: libpq without ever blocking longer than it is told to. A connection
 * belongs to one thread at a time. No session state is used and no statement is prepared by name,
 * so that a pooler may sit in between. */
#ifndef HEAPTAP_STORE_PG_H
#define HEAPTAP_STORE_PG_H

#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>

/* ---- how to reach a server ---- */

#define PG_OPTIONS_MAX 64 /* libpq 15 knows 44 */

/* Parameters of a connection as libpq names them; owned texts. */
struct pg_options {
    char *keyword[PG_OPTIONS_MAX + 1]; /* NULL-terminated */
    char *value[PG_OPTIONS_MAX + 1];
    size_t count;
};

void pg_options_free(struct pg_options *o);
/* Replaces or adds one. */
int pg_options_set(
    struct pg_options *o, const char *keyword, const char *value, struct err *e) MUST_USE;
/* NULL if it is not there. */
const char *pg_options_get(const struct pg_options *o, const char *keyword);
/* A URI or keyword=value text without unknown parameters; only what it says goes into ret.
 * ERR_USAGE in libpq's words. */
int pg_options_parse(const char *text, struct pg_options *ret, struct err *e) MUST_USE;
/* What libpq would use for keyword if nobody says it (PG* variables, service file, built in), NULL
 * if nothing: an owned text. */
char *pg_options_default(const char *keyword);
/* Whether libpq has a parameter of that name. */
bool pg_knows_option(const char *keyword);

/* ---- a connection ---- */

struct pg;
struct pg_result;

/* Connects within deadline_us. stop (may be NULL) ends any wait early when it becomes true.
 * ERR_DB with the server's words, ERR_TIMEOUT, ERR_CANCELLED. */
int pg_connect(const struct pg_options *options, int64_t deadline_us, const atomic_bool *stop,
    struct pg **ret_pg, struct err *e) MUST_USE;
void pg_close(struct pg *pg); /* NULL is fine */
/* How long one call below may go without a sign of life from the server. */
void pg_set_patience(struct pg *pg, int64_t us);
/* Another stop than that of pg_connect, from now on. */
void pg_set_stop(struct pg *pg, const atomic_bool *stop);

/* What went wrong in the last call. */
enum pg_trouble {
    PG_NONE,
    PG_LOST,    /* the connection is gone or the server is silent: connect again */
    PG_LATER,   /* the server cannot just now: starting, out of connections or disk, read-only */
    PG_DENIED,  /* password, role, database or rights */
    PG_MISSING, /* a table or column is not there */
    PG_ROW,     /* a row that the server will never take */
    PG_OTHER,
};
enum pg_trouble pg_trouble(const struct pg *pg);
const char *pg_sqlstate(const struct pg *pg); /* five characters, "" without a server's answer */

/* Ends a transaction whose outcome does not matter; what pg_trouble says stays. A connection that
 * is gone has no transaction. */
void pg_rollback(struct pg *pg);
/* One or more statements, results dropped. */
int pg_exec(struct pg *pg, const char *sql, struct err *e) MUST_USE;
enum pg_type { PG_TEXT = 25, PG_BIGINT = 20, PG_UUID = 2950, PG_TIMESTAMPTZ = 1184 };
/* One statement with parameters as text, NULL for null. types NULL: the server infers them.
 * ret_result NULL: not wanted. */
int pg_query(struct pg *pg, const char *sql, int count, const enum pg_type *types,
    const char *const *values, struct pg_result **ret_result, struct err *e) MUST_USE;

void pg_result_free(struct pg_result *r);
int pg_rows(const struct pg_result *r);
int pg_columns(const struct pg_result *r);
int64_t pg_affected(const struct pg_result *r); /* rows inserted, deleted, … */
const char *pg_column_name(const struct pg_result *r, int column);
unsigned pg_column_type(const struct pg_result *r, int column);       /* the server's type number */
const char *pg_value(const struct pg_result *r, int row, int column); /* NULL for null */

/* COPY … FROM STDIN: begin, data as often as needed, end. */
int pg_copy_begin(struct pg *pg, const char *sql, struct err *e) MUST_USE;
int pg_copy_data(struct pg *pg, const char *bytes, size_t length, struct err *e) MUST_USE;
int pg_copy_end(struct pg *pg, int64_t *ret_rows, struct err *e) MUST_USE;

/* A quoted identifier; owned, NULL when memory is out. */
char *pg_quote_name(struct pg *pg, const char *name);

#endif
