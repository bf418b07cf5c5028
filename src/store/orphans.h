/* Runs of processes that are no more. */
#ifndef HEAPTAP_STORE_ORPHANS_H
#define HEAPTAP_STORE_ORPHANS_H

#include "store/record.h"

/* Closes open runs whose owner is gone as "interrupted", and their captures in flight as failed;
 * says so in the log. */
int orphans_close(struct lite *db, struct record *record, struct err *e) MUST_USE;

/* Takes up an ended run: the last seq of every table and the last ids. ERR_DB if the run is not
 * there or its owner is alive. */
int orphans_resume(struct lite *db, const char *run_id, int64_t ret_last_seq[STORE_TABLES],
    int64_t *ret_target_id, int64_t *ret_snapshot_id, struct err *e) MUST_USE;

#endif
