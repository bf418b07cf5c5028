/* What a run does with a finished timeline: its intervals and sites into the record. */
#include "collect/run_private.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

#define SITES_MAX     1000   /* rows a timeline: what is beyond them is too small to look at */
#define INTERVALS_MAX 100000 /* 20 a second are more than an hour */

static int64_t integer(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    bool exact = cJSON_IsNumber(item) && fabs(item->valuedouble) < 9e15;
    return exact ? (int64_t)item->valuedouble : STORE_NO_INTEGER;
}

static const char *text(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void record_intervals(const struct run_asked *asked, const cJSON *intervals)
{
    const cJSON *interval;
    int count = 0;
    cJSON_ArrayForEach(interval, intervals)
    {
        const cJSON *start = cJSON_GetObjectItemCaseSensitive(interval, "start_ms");
        struct store_interval row;
        if (count++ == INTERVALS_MAX)
            return;
        store_row_clear(STORE_ALLOCATION_INTERVALS, &row);
        row.target_id = asked->watched->facts.id;
        row.snapshot_id = asked->snapshot_id;
        row.start_ms = cJSON_IsNumber(start) ? start->valuedouble : NAN;
        row.live_count = integer(interval, "live_count");
        row.live_bytes = integer(interval, "live_bytes");
        row.last_object_id = integer(interval, "last_object_id");
        journal_interval(asked->watched->run->options.journal, &row);
    }
}

static void record_sites(const struct run_asked *asked, const cJSON *sites)
{
    struct watched *w = asked->watched;
    const cJSON *site;
    int64_t now_ms = clock_wall_ms(); /* one time for all: it tells timelines apart */
    int count = 0;
    cJSON_ArrayForEach(site, sites)
    {
        struct store_site row;
        if (count++ == SITES_MAX)
            return;
        store_row_clear(STORE_ALLOCATION_SITES, &row);
        row.target_id = w->facts.id;
        row.snapshot_id = asked->snapshot_id;
        row.created_at_ms = now_ms;
        row.source = "timeline";
        row.reading = w->timeline_number;
        row.function = text(site, "function");
        row.url = text(site, "url");
        row.line = integer(site, "line");
        row.column = integer(site, "column");
        row.live_count = integer(site, "live_count");
        row.live_bytes = integer(site, "live_bytes");
        row.count = integer(site, "count");
        row.bytes = integer(site, "bytes");
        char *stack = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(site, "stack"));
        row.stack = stack;
        journal_site(w->run->options.journal, &row);
        cJSON_free(stack);
    }
}

static void analysed(void *arg, const cJSON *answer, const struct err *why)
{
    struct run_asked *asked = arg;
    struct watched *w = asked->watched;
    if (why) {
        run_say(w->run, w, true, "%s", why->text);
    } else if (w->run->options.journal) {
        record_intervals(asked, cJSON_GetObjectItemCaseSensitive(answer, "intervals"));
        record_sites(asked, cJSON_GetObjectItemCaseSensitive(answer, "sites"));
        w->timeline_number++;
    }
    run_analysis_answered(asked);
}

void run_timeline_add(struct watched *w, int64_t snapshot_id, const struct capture_result *captured)
{
    if (w->run->analysis && w->run->options.journal)
        run_analysis_ask(w, snapshot_id, captured, "allocations", analysed);
}
