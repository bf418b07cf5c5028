/* Migrations of the SQLite file. */
#include "store/migrate.h"
#include "store/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the file's head, so that a database of another program is told from ours: "htap". */
#define APPLICATION_ID 0x68746170

int migrate_newest(const char *folder)
{
    int newest = 0;
    size_t length = strlen(folder);
    for (const struct sql_file *file = sql_files; file->name; file++) {
        if (strncmp(file->name, folder, length) == 0 && file->name[length] == '/') {
            int number = atoi(file->name + length + 1);
            newest = number > newest ? number : newest;
        }
    }
    return newest;
}

const char *migrate_text(const char *folder, int number, const char **ret_name)
{
    char prefix[64];
    int length = snprintf(prefix, sizeof prefix, "%s/%04d_", folder, number);
    for (const struct sql_file *file = sql_files; file->name; file++) {
        if (strncmp(file->name, prefix, (size_t)length) == 0) {
            if (ret_name)
                *ret_name = file->name;
            return file->text;
        }
    }
    return NULL;
}

int migrate_lite_version(struct lite *db, int *ret_version, struct err *e)
{
    int64_t application = 0, version = 0, tables = 0;
    struct lite_statement *s = NULL;
    bool row = false;
    /* In one statement: another process may be making the tables between two. */
    int rc = lite_prepare(db,
        "SELECT (SELECT application_id FROM pragma_application_id),"
        " (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_master)",
        &s, e);
    if (rc == 0)
        rc = lite_step(s, &row, e);
    if (rc == 0 && row) {
        application = lite_integer(s, 0);
        version = lite_integer(s, 1);
        tables = lite_integer(s, 2);
    }
    lite_finalize(s);
    if (rc != 0)
        return rc;
    if (application != APPLICATION_ID && (tables > 0 || version > 0))
        return err_set(e, ERR_DB,
            "%s is the database of another program; name a new file with --db sqlite:PATH",
            lite_path(db));
    if (version > migrate_newest("sqlite"))
        return err_set(e, ERR_DB,
            "database %s has version %lld, newer than this heaptap knows (%d): use a newer heaptap "
            "or another file (--db sqlite:PATH)",
            lite_path(db), (long long)version, migrate_newest("sqlite"));
    *ret_version = application == APPLICATION_ID ? (int)version : 0;
    return 0;
}

/* Runs the migration after `version`, unless another process just did. */
static int migrate_one(struct lite *db, int *version, int *ran, struct err *e)
{
    char mark[128];
    const char *name = NULL;
    int rc = lite_begin(db, e);
    if (rc == 0)
        rc = migrate_lite_version(db, version, e);
    if (rc == 0 && *version < migrate_newest("sqlite")) {
        const char *text = migrate_text("sqlite", *version + 1, &name);
        if (!text) {
            rc = err_set(e, ERR_INTERNAL, "no migration %d", *version + 1);
            goto out;
        }
        snprintf(mark, sizeof mark, "PRAGMA user_version=%d; PRAGMA application_id=%d",
            *version + 1, APPLICATION_ID);
        rc = lite_exec(db, text, e);
        if (rc == 0)
            rc = lite_exec(db, mark, e);
        if (rc != 0) {
            err_context(e, "migration %s", name);
            goto out;
        }
        (*version)++;
        (*ran)++;
    }
    if (rc == 0)
        rc = lite_commit(db, e);
out:
    lite_rollback(db);
    return rc;
}

int migrate_lite(struct lite *db, int *ret_ran, struct err *e)
{
    int version = 0, ran = 0;
    int rc = migrate_lite_version(db, &version, e);
    while (rc == 0 && version < migrate_newest("sqlite"))
        rc = migrate_one(db, &version, &ran, e);
    if (rc == 0)
        *ret_ran = ran;
    return rc;
}
