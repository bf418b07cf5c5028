/* The part of a run's summary that tells what the requests of each route keep. */
#ifndef HEAPTAP_COMMAND_RECAP_REQUESTS_H
#define HEAPTAP_COMMAND_RECAP_REQUESTS_H

#include "collect/run.h"
#include "show/json.h"

/* Adds an object "requests" to a target's. Nothing if its requests were not followed. */
void recap_requests_json(cJSON *target, const struct run_requests *q, int *rc);

/* Prints lines. The same. elsewhere: another thread of the process had requests. forced_by: what
 * the user can do for a full collection. */
void recap_requests_text(const struct show_out *out, const struct run_requests *q, bool elsewhere,
    const char *forced_by);

#endif
