/* A capture before anything is known of it. */
#include "collect/outcome.h"

#include "base/clock.h"

#include <math.h>

const char *capture_state_name(enum capture_state state)
{
    static const char *const names[] = {"complete", "refused", "failed"};
    return names[state];
}

struct capture_outcome capture_outcome_new(enum capture_kind kind)
{
    return (struct capture_outcome){.kind = kind,
        .state = CAPTURE_FAILED,
        .why = ERR_NONE,
        .asked_at_ms = clock_wall_ms(),
        .heap_used = NAN,
        .heap_after = NAN,
        .pause_ms = NAN,
        .rss_before = -1,
        .rss_peak = -1,
        .verdict = {.forecast = {.by = "rule", .nodes = -1}}};
}
