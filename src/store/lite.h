/* SQLite behind one door: connections and statements with this program's errors. A connection and
 * its statements belong to one thread at a time. */
#ifndef HEAPTAP_STORE_LITE_H
#define HEAPTAP_STORE_LITE_H

#include "base/err.h"

#include <stdatomic.h>
#include <stddef.h>

struct lite;
struct lite_statement;

enum lite_mode { LITE_READ, LITE_WRITE, LITE_CREATE };

/* Opens path. LITE_CREATE makes the file (mode 0600) and turns WAL on. busy_ms: how long a
 * statement waits for another process's lock. ERR_DB names the path and what is wrong with it. */
int lite_open(const char *path, enum lite_mode mode, int busy_ms, struct lite **ret_db,
    struct err *e) MUST_USE;
void lite_close(struct lite *db); /* NULL is fine; statements must be finalized */
const char *lite_path(const struct lite *db);
void lite_set_busy(struct lite *db, int busy_ms);
/* A statement that runs when *stop becomes true ends with ERR_CANCELLED. */
void lite_set_stop(struct lite *db, const atomic_bool *stop);

/* Runs one or more statements without results or parameters. */
int lite_exec(struct lite *db, const char *sql, struct err *e) MUST_USE;
/* The first column of the first row of a query without parameters, fallback if there is no row. */
int lite_get_integer(
    struct lite *db, const char *sql, int64_t fallback, int64_t *ret_value, struct err *e) MUST_USE;

int lite_begin(struct lite *db, struct err *e) MUST_USE; /* BEGIN IMMEDIATE */
int lite_commit(struct lite *db, struct err *e) MUST_USE;
void lite_rollback(struct lite *db); /* nothing happens outside of a transaction */

/* Whether the last failure on db may pass by itself: the disk is full, another process holds the
 * lock, I/O fails. Everything else would fail again. */
bool lite_may_pass(const struct lite *db);
/* Whether the last failure was that one row breaks a constraint. */
bool lite_is_constraint(const struct lite *db);

int lite_prepare(struct lite *db, const char *sql, struct lite_statement **ret_statement,
    struct err *e) MUST_USE;
void lite_finalize(struct lite_statement *statement);
/* Parameters count from 1. Texts are borrowed until the next lite_reset. A bind that fails is
 * reported by the next lite_step. */
void lite_bind_integer(struct lite_statement *s, int parameter, int64_t value);
void lite_bind_real(struct lite_statement *s, int parameter, double value);
void lite_bind_text(struct lite_statement *s, int parameter, const char *text, size_t length);
void lite_bind_string(struct lite_statement *s, int parameter, const char *text); /* NULL: null */
void lite_bind_null(struct lite_statement *s, int parameter);
/* The number of a named parameter such as "$1", 0 if the statement has none of that name. */
int lite_parameter(struct lite_statement *s, const char *name);

/* Runs to the next row: *ret_row says whether there is one. */
int lite_step(struct lite_statement *s, bool *ret_row, struct err *e) MUST_USE;
/* Runs a statement that returns no rows, and resets it. */
int lite_run(struct lite_statement *s, struct err *e) MUST_USE;
void lite_reset(struct lite_statement *s);
int64_t lite_changes(struct lite *db); /* rows that the last statement changed */

enum lite_type { LITE_NULL, LITE_INTEGER, LITE_REAL, LITE_TEXT };

int lite_columns(struct lite_statement *s);
const char *lite_column_name(struct lite_statement *s, int column);
enum lite_type lite_type(struct lite_statement *s, int column);
int64_t lite_integer(struct lite_statement *s, int column);
double lite_real(struct lite_statement *s, int column);
/* Valid until the next step or reset; NULL for NULL. ret_length may be NULL. */
const char *lite_text(struct lite_statement *s, int column, size_t *ret_length);

#endif
