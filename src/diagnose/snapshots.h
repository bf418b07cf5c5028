/* What snapshot files add to a diagnosis: suspects, and a verdict from their own growth. */
#ifndef HEAPTAP_DIAGNOSE_SNAPSHOTS_H
#define HEAPTAP_DIAGNOSE_SNAPSHOTS_H

#include "diagnose/diagnose.h"

struct snapshots_file {
    const char *path;    /* borrowed */
    int64_t snapshot_id; /* of the record; 0: a bare file */
    int64_t wall_ms;     /* when it was taken; 0: unknown */
};

/* Reads files of one process, oldest first, and adds what they say to d, which may hold a verdict
 * of its metrics already. No files: nothing. ERR_FORMAT, ERR_IO, ERR_NOMEM, ERR_CANCELLED. */
int snapshots_read(struct diagnosis *d, const struct snapshots_file *files, size_t count,
    const struct diagnose_options *o, struct err *e) MUST_USE;

/* When a bare file was taken: by the name that heaptap gives, else its modification; 0: unknown. */
int64_t snapshots_time(const char *path);

#endif
