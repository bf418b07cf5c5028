/* Migrations: the only DDL there is. Numbered files under sql/, forward only, each in its own
 * transaction together with the note that it ran. */
#ifndef HEAPTAP_STORE_MIGRATE_H
#define HEAPTAP_STORE_MIGRATE_H

#include "store/lite.h"

/* The number of the newest migration in this program; folder is "sqlite" or "postgres". */
int migrate_newest(const char *folder);
/* The text and name of migration `number`, NULL if there is none. ret_name may be NULL. */
const char *migrate_text(const char *folder, int number, const char **ret_name);

/* What stands in a SQLite file: *ret_version 0 is an empty one. ERR_DB when it belongs to another
 * program or is newer than this one. */
int migrate_lite_version(struct lite *db, int *ret_version, struct err *e) MUST_USE;
/* Brings db up to the newest version; *ret_ran says how many migrations that took. */
int migrate_lite(struct lite *db, int *ret_ran, struct err *e) MUST_USE;

#endif
