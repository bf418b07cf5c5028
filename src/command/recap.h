/* The end of a run in words or JSON: what was collected, and what grew. */
#ifndef HEAPTAP_COMMAND_RECAP_H
#define HEAPTAP_COMMAND_RECAP_H

#include "collect/run.h"
#include "show/out.h"

#define RECAP_NAME_SIZE 160
/* "server.js, pid 4711" or "resizer of pid 4711" for a worker; returns out. */
const char *recap_name(const struct run_target *t, char out[RECAP_NAME_SIZE]);

#define RECAP_RUNTIME_SIZE 160
/* "node 22.1.0", "worker, node 22.1.0"; returns out. */
const char *recap_runtime(const struct run_target *t, char out[RECAP_RUNTIME_SIZE]);

struct recap_end {
    const char *reason; /* as from run_handlers.ended */
    int64_t elapsed_us; /* since the run began */
    const char *run_id; /* "" without a record */
    const char *record; /* where it is, NULL: none */
    int64_t rows;       /* in the record */
    int64_t unwritten;  /* that wait for a disk that takes none */
    int64_t lost;       /* rows that found no place */
};

int recap(const struct show_out *out, const struct run *r, const struct recap_end *end,
    struct err *e) MUST_USE;

#endif
