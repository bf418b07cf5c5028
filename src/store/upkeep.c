/* Making and updating tables by hand. */
#include "store/upkeep.h"
#include "store/lite.h"
#include "store/migrate.h"
#include "store/pg.h"
#include "store/pgschema.h"
#include "store/place.h"

#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS    10000
#define CONNECT_US 10000000

static int bring_up_lite(const char *path, bool must_exist, struct upkeep *u, struct err *e)
{
    struct lite *db = NULL;
    struct stat st;
    if (must_exist && access(path, F_OK) != 0)
        return err_set(e, ERR_DB, "no database at %s: \"heaptap db init\" makes one", path);
    bool is_new = access(path, F_OK) != 0;
    int rc = place_make_folders(path, e);
    if (rc == 0)
        rc = lite_open(path, LITE_CREATE, BUSY_MS, &db, e);
    if (rc == 0)
        rc = migrate_lite(db, &u->lite_ran, e);
    lite_close(db);
    if (rc != 0 && is_new && stat(path, &st) == 0 && st.st_size == 0)
        unlink(path); /* nothing of it could be written */
    u->lite_version = migrate_newest("sqlite");
    return rc;
}

static int bring_up_postgres(
    const struct database *database, bool must_exist, bool adopt, struct upkeep *u, struct err *e)
{
    struct pg *pg = NULL;
    struct pgschema_state state;
    int rc = pg_connect(database_options(database), CONNECT_US, NULL, &pg, e);
    if (rc == 0)
        rc = pgschema_look(pg, database_schema(database), &state, e);
    if (rc == 0 && must_exist && state.kind == PGSCHEMA_EMPTY)
        rc = pgschema_refuse(&state, e);
    if (rc == 0)
        rc = pgschema_migrate(pg, database_schema(database), adopt, &u->postgres_ran, e);
    pg_close(pg);
    u->postgres_version = migrate_newest("postgres");
    return rc;
}

int upkeep_run(const struct database *database, bool must_exist, bool adopt,
    struct upkeep *ret_upkeep, struct err *e)
{
    struct upkeep u = {0};
    int rc = bring_up_lite(database_path(database), must_exist, &u, e);
    if (rc == 0 && database_is_postgres(database))
        rc = bring_up_postgres(database, must_exist, adopt, &u, e);
    if (rc == 0)
        *ret_upkeep = u;
    return rc;
}
