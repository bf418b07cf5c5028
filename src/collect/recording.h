/* What an allocation timeline has seen while it records: of each interval of some 50 ms, how much
 * of what was allocated in it lives. */
#ifndef HEAPTAP_COLLECT_RECORDING_H
#define HEAPTAP_COLLECT_RECORDING_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

struct recording_interval {
    int64_t live, most; /* bytes that live now, and the most that ever did */
};

struct recording {
    struct recording_interval *intervals; /* by V8's fragment index; 0: all that was there before */
    size_t count, room;
    int64_t passed_us, total_us;
};

/* Takes the parameters of HeapProfiler.heapStatsUpdate, which come from outside: what in them is
 * no interval, or finds no memory, is left out. */
void recording_update(struct recording *r, const cJSON *params);

void recording_free(struct recording *r); /* what is in it */

#endif
