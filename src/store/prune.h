/* Letting old rows go. */
#ifndef HEAPTAP_STORE_PRUNE_H
#define HEAPTAP_STORE_PRUNE_H

#include "store/database.h"

struct prune_counts {
    int64_t runs;  /* removed altogether */
    int64_t rows;  /* of all tables */
    int64_t kept;  /* rows that are old enough but have not been shipped yet */
    int64_t files; /* of captures of removed runs, which are still there */
    char first_file[4096];
};

/* Removes the runs that ended before cutoff_ms, with all that belongs to them, and older rows of
 * those that go on. What waits to be shipped stays. With PostgreSQL in use its rows go, too; that
 * takes the right to DELETE there. */
int prune_older(const struct database *database, int64_t cutoff_ms, struct prune_counts *ret_counts,
    struct err *e) MUST_USE;

struct lite;
/* The same in an open SQLite file alone; only_shipped: runs that are not shipped anywhere stay. */
int prune_lite(struct lite *db, int64_t cutoff_ms, bool only_shipped,
    struct prune_counts *ret_counts, struct err *e) MUST_USE;

#endif
