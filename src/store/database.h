/* Which databases are in use: the SQLite file, and perhaps a PostgreSQL that it is shipped to. */
#ifndef HEAPTAP_STORE_DATABASE_H
#define HEAPTAP_STORE_DATABASE_H

#include "base/err.h"

struct database;

/* text is what --db or HEAPTAP_DB says: sqlite:PATH, postgres://… or any libpq connection string.
 * For NULL the environment decides: ENABLE_MEMORY_DB_LOGGING=true means PostgreSQL, by DATABASE_URL
 * or libpq's own PG* variables; otherwise it is the default SQLite file alone. schema may be NULL.
 * Parameters that ORMs put into a URL are understood or dropped, which is logged in one line.
 * ERR_USAGE for what is no database name. */
int database_choose(
    const char *text, const char *schema, struct database **ret, struct err *e) MUST_USE;
void database_free(struct database *d); /* NULL is fine */

/* The SQLite file: with PostgreSQL in use, its outbox. */
const char *database_path(const struct database *d);
bool database_is_postgres(const struct database *d);
/* The PostgreSQL without its password, for people and for `runs`; NULL without one. */
const char *database_destination(const struct database *d);

struct pg_options;
const struct pg_options *database_options(const struct database *d);
const char *database_schema(const struct database *d); /* NULL: that of the connection */

#endif
