/* The tables in PostgreSQL. */
#include "store/pgschema.h"
#include "base/buf.h"
#include "base/text.h"
#include "store/migrate.h"
#include "store/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEMS_MAX ((size_t)700) /* what fits into an err's line with words around it */

int pgschema_begin(struct pg *pg, const char *schema, enum pgschema_use use, struct err *e)
{
    char *quoted = schema ? pg_quote_name(pg, schema) : NULL;
    char *sql = text_format("BEGIN%s%s%s; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'",
        use == PGSCHEMA_READ ? " READ ONLY" : "", quoted ? "; SET LOCAL search_path = " : "",
        quoted ? quoted : "");
    int rc = !sql || (schema && !quoted) ? err_set(e, ERR_NOMEM, "no memory for a statement")
                                         : pg_exec(pg, sql, e);
    free(sql);
    free(quoted);
    return rc;
}

/* Inside a transaction. Whoever may only insert cannot read heaptap_migrations; the catalogue can
 * be read by everybody, and if it has the table, somebody with more rights has migrated. */
static int look(struct pg *pg, struct pgschema_state *ret, struct err *e)
{
    struct pg_result *result = NULL;
    struct pgschema_state state = {.kind = PGSCHEMA_EMPTY};
    bool may_read = false;
    int rc = pg_query(pg, sql_find("store/look.postgres.sql"), 0, NULL, NULL, &result, e);
    if (rc == 0) {
        bool ours = strcmp(pg_value(result, 0, 0), "t") == 0;
        bool metrics = strcmp(pg_value(result, 0, 1), "t") == 0;
        may_read = strcmp(pg_value(result, 0, 2), "t") == 0;
        state.version = migrate_newest("postgres");
        if (ours)
            state.kind = PGSCHEMA_CURRENT;
        else if (metrics)
            state.kind = PGSCHEMA_FOREIGN;
        may_read = may_read && ours;
    }
    pg_result_free(result);
    result = NULL;
    if (rc == 0 && may_read)
        rc = pg_query(pg, "SELECT coalesce(max(version), 0) FROM heaptap_migrations", 0, NULL, NULL,
            &result, e);
    if (rc == 0 && result) {
        state.version = atoi(pg_value(result, 0, 0));
        if (state.version < migrate_newest("postgres"))
            state.kind = PGSCHEMA_OLD;
        else if (state.version > migrate_newest("postgres"))
            state.kind = PGSCHEMA_NEWER;
    }
    pg_result_free(result);
    if (rc == 0)
        *ret = state;
    return rc;
}

int pgschema_look(
    struct pg *pg, const char *schema, struct pgschema_state *ret_state, struct err *e)
{
    int rc = pgschema_begin(pg, schema, PGSCHEMA_READ, e);
    if (rc == 0)
        rc = look(pg, ret_state, e);
    pg_rollback(pg);
    return rc;
}

int pgschema_refuse(const struct pgschema_state *state, struct err *e)
{
    switch (state->kind) {
    case PGSCHEMA_FOREIGN:
        return err_set(e, ERR_DB,
            "PostgreSQL has a memory_metrics that heaptap did not make: \"heaptap db init "
            "--adopt\" "
            "adds nullable columns to it, \"--schema NAME\" uses another schema");
    case PGSCHEMA_NEWER:
        return err_set(e, ERR_DB,
            "the tables in PostgreSQL have version %d, newer than this heaptap knows (%d): use a "
            "newer heaptap or --schema NAME",
            state->version, migrate_newest("postgres"));
    case PGSCHEMA_EMPTY:
        return err_set(
            e, ERR_DB, "PostgreSQL has no tables of heaptap yet: \"heaptap db init\" makes them");
    case PGSCHEMA_OLD:
        return err_set(e, ERR_DB,
            "the tables in PostgreSQL have version %d of %d: \"heaptap db migrate\" brings them up",
            state->version, migrate_newest("postgres"));
    case PGSCHEMA_CURRENT: break;
    }
    return 0;
}

static int make_schema(struct pg *pg, const char *schema, struct err *e)
{
    struct pg_result *result = NULL;
    int rc =
        pg_query(pg, "SELECT 1 FROM pg_namespace WHERE nspname = $1", 1, NULL, &schema, &result, e);
    bool missing = rc == 0 && pg_rows(result) == 0;
    pg_result_free(result);
    if (!missing)
        return rc;
    char *quoted = pg_quote_name(pg, schema);
    char *sql = quoted ? text_format("CREATE SCHEMA %s", quoted) : NULL;
    rc = sql ? pg_exec(pg, sql, e) : err_set(e, ERR_NOMEM, "no memory for a statement");
    free(sql);
    free(quoted);
    return rc;
}

/* Adds our columns to a table of somebody else, if it can take our rows. */
static int adopt_table(struct pg *pg, struct err *e)
{
    struct pg_result *result = NULL;
    struct buf problems = buf_new(PROBLEMS_MAX);
    int rc = pg_query(pg, sql_find("store/adopt_check.postgres.sql"), 0, NULL, NULL, &result, e);
    for (int i = 0; rc == 0 && i < pg_rows(result); i++)
        if (buf_addf(&problems, "%s%s", i ? "; " : "", pg_value(result, i, 0)) != 0)
            break; /* the first ones tell enough */
    if (rc == 0 && problems.length)
        rc = err_set(e, ERR_DB, "memory_metrics cannot be adopted: %s", problems.data);
    if (rc == 0)
        rc = pg_exec(pg, sql_find("store/adopt.postgres.sql"), e);
    pg_result_free(result);
    buf_free(&problems);
    return rc;
}

static int run_migrations(struct pg *pg, int version, int *ran, struct err *e)
{
    int rc = 0;
    for (int number = version + 1; rc == 0 && number <= migrate_newest("postgres"); number++) {
        const char *name = NULL;
        char digits[16];
        const char *text = migrate_text("postgres", number, &name);
        if (!text)
            return err_set(e, ERR_INTERNAL, "no migration %d", number);
        rc = pg_exec(pg, text, e);
        snprintf(digits, sizeof digits, "%d", number);
        const char *values[] = {digits, name};
        if (rc == 0)
            rc = pg_query(pg,
                "INSERT INTO heaptap_migrations (version, name) VALUES (CAST($1 AS integer), $2)",
                2, NULL, values, NULL, e);
        if (rc != 0)
            return e ? err_context(e, "migration %s", name) : rc;
        (*ran)++;
    }
    return rc;
}

int pgschema_migrate(struct pg *pg, const char *schema, bool adopt, int *ret_ran, struct err *e)
{
    struct pgschema_state state = {.kind = PGSCHEMA_EMPTY};
    int ran = 0;
    int rc = pgschema_begin(pg, schema, PGSCHEMA_WRITE, e);
    /* Two starts at once: the second waits here and then finds everything done. */
    if (rc == 0)
        rc = pg_exec(pg, "SELECT pg_advisory_xact_lock(hashtext('heaptap migrations'))", e);
    if (rc == 0 && schema)
        rc = make_schema(pg, schema, e);
    if (rc == 0)
        rc = look(pg, &state, e);
    if (rc == 0 && state.kind == PGSCHEMA_FOREIGN && adopt)
        rc = adopt_table(pg, e);
    else if (rc == 0 && (state.kind == PGSCHEMA_FOREIGN || state.kind == PGSCHEMA_NEWER))
        rc = pgschema_refuse(&state, e);
    if (rc == 0 && state.kind != PGSCHEMA_CURRENT)
        rc = run_migrations(pg, state.kind == PGSCHEMA_OLD ? state.version : 0, &ran, e);
    if (rc == 0)
        rc = pg_exec(pg, "COMMIT", e);
    else
        pg_rollback(pg);
    if (rc == 0)
        *ret_ran = ran;
    return rc;
}
