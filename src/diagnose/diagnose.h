/* Names the leak: from snapshot files alone, or from the record of a run with the files it names.
 * Reads files and the record, prints nothing. */
#ifndef HEAPTAP_DIAGNOSE_DIAGNOSE_H
#define HEAPTAP_DIAGNOSE_DIAGNOSE_H

#include "base/err.h"
#include "diagnose/diagnosis.h"

struct reader; /* store/reader.h */

/* What it is doing, for a progress bar: done is 0 to 1, or -1. Anything but 0 stops with
 * ERR_CANCELLED. */
typedef int (*diagnose_progress)(void *arg, const char *what, double done);

struct diagnose_options {
    diagnose_progress progress; /* may be NULL */
    void *arg;
    size_t suspects_max; /* 0: DIAGNOSE_SUSPECTS */
    int64_t target_id;   /* of a run with several targets; 0: the one that grows most */
};
#define DIAGNOSE_SUSPECTS 10

/* The files are snapshots (or timelines) of one process, oldest first. ERR_FORMAT, ERR_IO,
 * ERR_NOMEM, ERR_CANCELLED. */
int diagnose_files(const char *const *files, size_t count, const struct diagnose_options *options,
    struct diagnosis **ret, struct err *e) MUST_USE;

/* The run's metrics, floors, requests, sites, and those of its snapshot files that are still there.
 * run_id: whole. */
int diagnose_run(struct reader *record, const char *run_id, const struct diagnose_options *options,
    struct diagnosis **ret, struct err *e) MUST_USE;

#endif
