/* The intervals of a timeline, out of what the target reports while it records. */
#include "collect/recording.h"

#include "base/array.h"
#include "cdp/proto.h"

#include <stdlib.h>

#define INTERVALS_MAX (1u << 20) /* 20 a second are 14 hours */
#define BYTES_MAX     9e15       /* what a double holds to the byte */

static bool reserve(struct recording *r, size_t index)
{
    if (!array_grow(&r->intervals, &r->room, index + 1))
        return false;
    while (r->count <= index)
        r->intervals[r->count++] = (struct recording_interval){0, 0};
    return true;
}

/* Triplets: index of the interval, objects and bytes that live of it. */
void recording_update(struct recording *r, const cJSON *params)
{
    struct proto_heap_profiler_heap_stats_update update;
    struct err e = ERR_NONE;
    if (proto_heap_profiler_heap_stats_update_decode(params, &update, &e) != 0)
        return;
    for (const cJSON *at = update.stats_update->child; at && at->next && at->next->next;
         at = at->next->next->next) {
        double index = at->valuedouble, bytes = at->next->next->valuedouble;
        if (!(index >= 0 && index < INTERVALS_MAX) || !(bytes >= 0 && bytes < BYTES_MAX) ||
            !reserve(r, (size_t)index))
            continue;
        struct recording_interval *interval = &r->intervals[(size_t)index];
        interval->live = (int64_t)bytes;
        if (interval->live > interval->most)
            interval->most = interval->live;
    }
}

void recording_free(struct recording *r)
{
    free(r->intervals);
    *r = (struct recording){.intervals = NULL};
}
