/* Making and updating tables by hand, in both databases: the commands db init and db migrate. */
#ifndef HEAPTAP_STORE_UPKEEP_H
#define HEAPTAP_STORE_UPKEEP_H

#include "store/database.h"

struct upkeep {
    int lite_version;     /* afterwards */
    int lite_ran;         /* migrations that ran */
    int postgres_version; /* 0 without PostgreSQL */
    int postgres_ran;
};

/* Brings both databases up. must_exist: an empty one is ERR_DB (migrate) instead of being made
 * (init). adopt: as pgschema_migrate. */
int upkeep_run(const struct database *database, bool must_exist, bool adopt,
    struct upkeep *ret_upkeep, struct err *e) MUST_USE;

#endif
