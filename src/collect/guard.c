/* The guard's arithmetic. Figures are those measured on Node 18 to 26 with heaps of 50 to 1000 MB.
 */
#include "collect/guard.h"

#include "base/text.h"

#include <stdio.h>

/* Worst seen: small objects, 36 bytes of heap a node on average. */
#define RULE_BYTES_A_NODE 36
/* Native bytes a byte of used heap: 11.4 seen at 1 GB on Node 20. */
#define RULE_MEMORY_FACTOR 11.5
/* 3.1 us a node seen up to 3 million nodes; more nodes than fit the caches take up to 5. */
#define RULE_NS_A_NODE       5000
#define RULE_BYTES_A_COUNTED 425 /* native bytes a node */
#define RULE_FILE_A_NODE     80  /* bytes of the file a node */
#define RULE_FILE_FACTOR     2.2 /* bytes of the file a byte of used heap */
#define HISTORY_MARGIN       1.2

const char *guard_answer_name(enum guard_answer answer)
{
    static const char *const names[] = {"go", "degrade", "refuse", "forced"};
    return names[answer];
}

int64_t guard_rest_us(int64_t pause_us, double share)
{
    return share <= 0 ? INT64_MAX / 4 : (int64_t)((double)pause_us * (1 / share - 1));
}

static int64_t scaled(int64_t value, double factor)
{
    return (int64_t)((double)value * factor);
}

static void forecast_by_history(const struct guard_facts *f, struct guard_forecast *out)
{
    const struct guard_history *h = &f->history;
    double growth = h->heap_used > 0 ? (double)f->heap_used / (double)h->heap_used : 1;
    double factor = (growth < 1 ? 1 : growth) * HISTORY_MARGIN;
    out->by = "history";
    out->nodes = scaled(h->nodes, growth);
    out->pause_us = scaled(h->pause_us, factor);
    out->memory = h->memory > 0 ? scaled(h->memory, factor) : out->nodes * RULE_BYTES_A_COUNTED;
    out->disk_bytes = scaled(h->file_bytes, factor);
}

static void forecast_by_count(const struct guard_facts *f, struct guard_forecast *out)
{
    out->by = "count";
    out->nodes = f->nodes;
    out->pause_us = f->nodes * RULE_NS_A_NODE / 1000;
    out->memory = f->nodes * RULE_BYTES_A_COUNTED;
    out->disk_bytes = f->nodes * RULE_FILE_A_NODE;
}

static void forecast_by_rule(const struct guard_facts *f, struct guard_forecast *out)
{
    int64_t used = f->heap_used > 0 ? f->heap_used : 0;
    out->by = "rule";
    out->nodes = -1;
    out->pause_us = used / RULE_BYTES_A_NODE * RULE_NS_A_NODE / 1000;
    out->memory = scaled(used, RULE_MEMORY_FACTOR);
    out->disk_bytes = scaled(used, RULE_FILE_FACTOR);
}

static bool check_memory(
    const struct guard_facts *f, const struct guard_forecast *c, char reason[GUARD_REASON_SIZE])
{
    char need[TEXT_SHORT], room[TEXT_SHORT];
    bool group =
        f->group_room >= 0 && (f->host_available < 0 || f->group_room <= f->host_available);
    int64_t available = group ? f->group_room : f->host_available;
    if (available < 0 || c->memory <= available)
        return true;
    snprintf(reason, GUARD_REASON_SIZE,
        "a snapshot needs about %s of native memory and %s has %s left: give it more memory, "
        "capture while the heap is smaller, or use --force",
        text_size(need, (double)c->memory), group ? "its control group" : "the host",
        text_size(room, (double)available));
    return false;
}

static bool check_pause(
    const struct guard_limits *l, const struct guard_forecast *c, char reason[GUARD_REASON_SIZE])
{
    char pause[TEXT_SHORT], most[TEXT_SHORT];
    if (c->pause_us <= l->max_pause_us)
        return true;
    snprintf(reason, GUARD_REASON_SIZE,
        "a snapshot would stall it for about %s (by %s) and --max-pause is %s: raise that, or use "
        "--force",
        text_duration(pause, c->pause_us), c->by, text_duration(most, l->max_pause_us));
    return false;
}

static bool check_disk(const struct guard_facts *f, const struct guard_limits *l,
    const struct guard_forecast *c, char reason[GUARD_REASON_SIZE])
{
    char need[TEXT_SHORT], room[TEXT_SHORT], keep[TEXT_SHORT];
    if (f->disk_free < 0 || c->disk_bytes + l->min_free <= f->disk_free)
        return true;
    snprintf(reason, GUARD_REASON_SIZE,
        "a snapshot takes about %s of disk, %s are free and --min-free keeps %s: free some, use "
        "--compress, or another --dir",
        text_size(need, (double)c->disk_bytes), text_size(room, (double)f->disk_free),
        text_size(keep, (double)l->min_free));
    return false;
}

enum guard_answer guard_decide(const struct guard_facts *facts, const struct guard_limits *limits,
    struct guard_forecast *ret_forecast, char reason[GUARD_REASON_SIZE])
{
    reason[0] = '\0';
    if (facts->history.heap_used > 0)
        forecast_by_history(facts, ret_forecast);
    else if (facts->nodes >= 0)
        forecast_by_count(facts, ret_forecast);
    else
        forecast_by_rule(facts, ret_forecast);
    bool fits = check_memory(facts, ret_forecast, reason) &&
                check_pause(limits, ret_forecast, reason) &&
                check_disk(facts, limits, ret_forecast, reason);
    return fits ? GUARD_GO : limits->force ? GUARD_FORCED : GUARD_REFUSE;
}
