/* The tables of the record, column by column. */
#include "store/table.h"

#include <assert.h>
#include <string.h>

#define COLUMNS(array) array, sizeof(array) / sizeof *(array)
#define RUN(name, kind, field)                                                                     \
    {                                                                                              \
        name, kind, offsetof(struct store_run, field)                                              \
    }
#define TARGET(name, kind, field)                                                                  \
    {                                                                                              \
        name, kind, offsetof(struct store_target, field)                                           \
    }
#define SNAPSHOT(name, kind, field)                                                                \
    {                                                                                              \
        name, kind, offsetof(struct store_snapshot, field)                                         \
    }
#define METRICS(name, kind, field)                                                                 \
    {                                                                                              \
        name, kind, offsetof(struct store_metrics, field)                                          \
    }
#define CLASS(name, kind, field)                                                                   \
    {                                                                                              \
        name, kind, offsetof(struct store_class, field)                                            \
    }
#define INTERVAL(name, kind, field)                                                                \
    {                                                                                              \
        name, kind, offsetof(struct store_interval, field)                                         \
    }
#define SITE(name, kind, field)                                                                    \
    {                                                                                              \
        name, kind, offsetof(struct store_site, field)                                             \
    }
#define GC(name, kind, field)                                                                      \
    {                                                                                              \
        name, kind, offsetof(struct store_gc, field)                                               \
    }
#define SUSPECT(name, kind, field)                                                                 \
    {                                                                                              \
        name, kind, offsetof(struct store_suspect, field)                                          \
    }
#define EVENT(name, kind, field)                                                                   \
    {                                                                                              \
        name, kind, offsetof(struct store_event, field)                                            \
    }

static const struct store_column run_columns[] = {
    RUN("created_at", STORE_TIME, created_at_ms),
    RUN("label", STORE_TEXT, label),
    RUN("command_line", STORE_TEXT, command_line),
    RUN("version", STORE_TEXT, version),
    RUN("destination", STORE_TEXT, destination),
    RUN("started_at", STORE_TIME, started_at_ms),
    RUN("ended_at", STORE_TIME, ended_at_ms),
    RUN("state", STORE_TEXT, state),
    RUN("exit_reason", STORE_TEXT, exit_reason),
    RUN("exit_code", STORE_INTEGER, exit_code),
    RUN("detail", STORE_TEXT, detail),
    RUN("host", STORE_TEXT, host),
    RUN("owner_boot_id", STORE_TEXT, owner_boot_id),
    RUN("owner_pid", STORE_INTEGER, owner_pid),
    RUN("owner_start", STORE_INTEGER, owner_start),
    RUN("lost_memory_metrics", STORE_COUNTER, lost_memory_metrics),
    RUN("lost_heap_classes", STORE_COUNTER, lost_heap_classes),
    RUN("lost_allocation_intervals", STORE_COUNTER, lost_allocation_intervals),
    RUN("lost_allocation_sites", STORE_COUNTER, lost_allocation_sites),
    RUN("lost_gc_events", STORE_COUNTER, lost_gc_events),
    RUN("lost_suspects", STORE_COUNTER, lost_suspects),
    RUN("lost_events", STORE_COUNTER, lost_events),
    RUN("rows_parked", STORE_COUNTER, rows_parked),
};

static const struct store_column target_columns[] = {
    TARGET("target_id", STORE_INTEGER, target_id),
    TARGET("created_at", STORE_TIME, created_at_ms),
    TARGET("kind", STORE_TEXT, kind),
    TARGET("address", STORE_TEXT, address),
    TARGET("title", STORE_TEXT, title),
    TARGET("url", STORE_TEXT, url),
    TARGET("inspector_id", STORE_TEXT, inspector_id),
    TARGET("parent_target_id", STORE_INTEGER, parent_target_id),
    TARGET("pid", STORE_INTEGER, pid),
    TARGET("runtime", STORE_TEXT, runtime),
    TARGET("runtime_version", STORE_TEXT, runtime_version),
    TARGET("v8_version", STORE_TEXT, v8_version),
    TARGET("arch", STORE_TEXT, arch),
    TARGET("started_at", STORE_TIME, started_at_ms),
    TARGET("heap_limit", STORE_INTEGER, heap_limit),
    TARGET("gone_at", STORE_TIME, gone_at_ms),
    TARGET("state", STORE_TEXT, state),
    TARGET("reason", STORE_TEXT, reason),
};

static const struct store_column snapshot_columns[] = {
    SNAPSHOT("snapshot_id", STORE_INTEGER, snapshot_id),
    SNAPSHOT("target_id", STORE_INTEGER, target_id),
    SNAPSHOT("created_at", STORE_TIME, created_at_ms),
    SNAPSHOT("kind", STORE_TEXT, kind),
    SNAPSHOT("file", STORE_TEXT, file),
    SNAPSHOT("bytes", STORE_INTEGER, bytes),
    SNAPSHOT("sha256", STORE_TEXT, sha256),
    SNAPSHOT("node_count", STORE_INTEGER, node_count),
    SNAPSHOT("edge_count", STORE_INTEGER, edge_count),
    SNAPSHOT("string_count", STORE_INTEGER, string_count),
    SNAPSHOT("pause_ms", STORE_REAL, pause_ms),
    SNAPSHOT("duration_ms", STORE_REAL, duration_ms),
    SNAPSHOT("heap_used", STORE_INTEGER, heap_used),
    SNAPSHOT("rss_before", STORE_INTEGER, rss_before),
    SNAPSHOT("rss_peak", STORE_INTEGER, rss_peak),
    SNAPSHOT("trigger", STORE_TEXT, trigger),
    SNAPSHOT("request_id", STORE_INTEGER, request_id),
    SNAPSHOT("epoch", STORE_INTEGER, epoch),
    SNAPSHOT("state", STORE_TEXT, state),
    SNAPSHOT("reason", STORE_TEXT, reason),
    SNAPSHOT("guard", STORE_TEXT, guard),
    SNAPSHOT("forecast_by", STORE_TEXT, forecast_by),
    SNAPSHOT("forecast_pause_ms", STORE_REAL, forecast_pause_ms),
    SNAPSHOT("forecast_memory", STORE_INTEGER, forecast_memory),
    SNAPSHOT("forecast_nodes", STORE_INTEGER, forecast_nodes),
};

static const struct store_column metrics_columns[] = {
    METRICS("target_id", STORE_INTEGER, target_id),
    METRICS("created_at", STORE_TIME, created_at_ms),
    METRICS("label", STORE_TEXT, label),
    METRICS("heap_used", STORE_MB, heap_used),
    METRICS("heap_total", STORE_MB, heap_total),
    METRICS("external", STORE_MB, external),
    METRICS("array_buffers", STORE_MB, array_buffers),
    METRICS("rss", STORE_MB, rss),
    METRICS("heap_limit", STORE_MB, heap_limit),
    METRICS("request_method", STORE_TEXT, request_method),
    METRICS("request_url", STORE_TEXT, request_url),
    METRICS("request_id", STORE_INTEGER, request_id),
    METRICS("route", STORE_TEXT, route),
    METRICS("in_flight", STORE_INTEGER, in_flight),
    METRICS("duration_ms", STORE_REAL, duration_ms),
    METRICS("status", STORE_INTEGER, status),
    METRICS("gc_count", STORE_INTEGER, gc_count),
    METRICS("gc_ms", STORE_REAL, gc_ms),
    METRICS("loop_delay_ms", STORE_REAL, loop_delay_ms),
    METRICS("loop_delay_max_ms", STORE_REAL, loop_delay_max_ms),
    METRICS("loop_utilization", STORE_REAL, loop_utilization),
    METRICS("heap_spaces", STORE_TEXT, heap_spaces),
};

static const struct store_column class_columns[] = {
    CLASS("snapshot_id", STORE_INTEGER, snapshot_id),
    CLASS("ordinal", STORE_INTEGER, ordinal),
    CLASS("created_at", STORE_TIME, created_at_ms),
    CLASS("key", STORE_TEXT, key),
    CLASS("class", STORE_TEXT, class_name),
    CLASS("count", STORE_INTEGER, count),
    CLASS("self_size", STORE_INTEGER, self_size),
    CLASS("retained_size", STORE_INTEGER, retained_size),
};

static const struct store_column interval_columns[] = {
    INTERVAL("target_id", STORE_INTEGER, target_id),
    INTERVAL("snapshot_id", STORE_INTEGER, snapshot_id),
    INTERVAL("created_at", STORE_TIME, created_at_ms),
    INTERVAL("start_ms", STORE_REAL, start_ms),
    INTERVAL("live_count", STORE_INTEGER, live_count),
    INTERVAL("live_bytes", STORE_INTEGER, live_bytes),
    INTERVAL("last_object_id", STORE_INTEGER, last_object_id),
};

static const struct store_column site_columns[] = {
    SITE("target_id", STORE_INTEGER, target_id),
    SITE("snapshot_id", STORE_INTEGER, snapshot_id),
    SITE("created_at", STORE_TIME, created_at_ms),
    SITE("source", STORE_TEXT, source),
    SITE("reading", STORE_INTEGER, reading),
    SITE("function", STORE_TEXT, function),
    SITE("url", STORE_TEXT, url),
    SITE("line_number", STORE_INTEGER, line),
    SITE("column_number", STORE_INTEGER, column),
    SITE("live_count", STORE_INTEGER, live_count),
    SITE("live_bytes", STORE_INTEGER, live_bytes),
    SITE("count", STORE_INTEGER, count),
    SITE("bytes", STORE_INTEGER, bytes),
    SITE("stack", STORE_TEXT, stack),
};

static const struct store_column gc_columns[] = {
    GC("target_id", STORE_INTEGER, target_id),
    GC("created_at", STORE_TIME, created_at_ms),
    GC("kind", STORE_TEXT, kind),
    GC("reason", STORE_TEXT, reason),
    GC("duration_ms", STORE_REAL, duration_ms),
    GC("heap_before", STORE_INTEGER, heap_before),
    GC("heap_after", STORE_INTEGER, heap_after),
};

static const struct store_column suspect_columns[] = {
    SUSPECT("target_id", STORE_INTEGER, target_id),
    SUSPECT("created_at", STORE_TIME, created_at_ms),
    SUSPECT("rank", STORE_INTEGER, rank),
    SUSPECT("verdict", STORE_TEXT, verdict),
    SUSPECT("class", STORE_TEXT, class_name),
    SUSPECT("function", STORE_TEXT, function),
    SUSPECT("holder", STORE_TEXT, holder),
    SUSPECT("culprit", STORE_TEXT, culprit),
    SUSPECT("url", STORE_TEXT, url),
    SUSPECT("line_number", STORE_INTEGER, line),
    SUSPECT("column_number", STORE_INTEGER, column),
    SUSPECT("count_growth", STORE_INTEGER, count_growth),
    SUSPECT("retained_growth", STORE_INTEGER, retained_growth),
    SUSPECT("share_of_growth", STORE_REAL, share_of_growth),
    SUSPECT("method", STORE_TEXT, method),
    SUSPECT("route", STORE_TEXT, route),
    SUSPECT("bytes_per_request", STORE_REAL, bytes_per_request),
    SUSPECT("confidence", STORE_REAL, confidence),
    SUSPECT("detail", STORE_TEXT, detail),
};

static const struct store_column event_columns[] = {
    EVENT("target_id", STORE_INTEGER, target_id),
    EVENT("snapshot_id", STORE_INTEGER, snapshot_id),
    EVENT("created_at", STORE_TIME, created_at_ms),
    EVENT("kind", STORE_TEXT, kind),
    EVENT("text", STORE_TEXT, text),
    EVENT("detail", STORE_TEXT, detail),
};

#define LOST(field) offsetof(struct store_run, lost_##field)

const struct store_table_info store_tables[STORE_TABLES] = {
    [STORE_RUNS] = {"runs", "run_states", NULL, true, COLUMNS(run_columns),
        sizeof(struct store_run), 0},
    [STORE_TARGETS] = {"targets", "target_states", "target_id", true, COLUMNS(target_columns),
        sizeof(struct store_target), 0},
    [STORE_HEAP_SNAPSHOTS] = {"heap_snapshots", "heap_snapshot_states", "snapshot_id", true,
        COLUMNS(snapshot_columns), sizeof(struct store_snapshot), 0},
    [STORE_MEMORY_METRICS] = {"memory_metrics", "memory_metrics", NULL, false,
        COLUMNS(metrics_columns), sizeof(struct store_metrics), LOST(memory_metrics)},
    [STORE_HEAP_CLASSES] = {"heap_classes", "heap_classes", NULL, false, COLUMNS(class_columns),
        sizeof(struct store_class), LOST(heap_classes)},
    [STORE_ALLOCATION_INTERVALS] = {"allocation_intervals", "allocation_intervals", NULL, false,
        COLUMNS(interval_columns), sizeof(struct store_interval), LOST(allocation_intervals)},
    [STORE_ALLOCATION_SITES] = {"allocation_sites", "allocation_sites", NULL, false,
        COLUMNS(site_columns), sizeof(struct store_site), LOST(allocation_sites)},
    [STORE_GC_EVENTS] = {"gc_events", "gc_events", NULL, false, COLUMNS(gc_columns),
        sizeof(struct store_gc), LOST(gc_events)},
    [STORE_SUSPECTS] = {"suspects", "suspects", NULL, false, COLUMNS(suspect_columns),
        sizeof(struct store_suspect), LOST(suspects)},
    [STORE_EVENTS] = {"events", "events", NULL, false, COLUMNS(event_columns),
        sizeof(struct store_event), LOST(events)},
};

_Static_assert(sizeof snapshot_columns / sizeof *snapshot_columns < STORE_COLUMNS_MAX,
    "raise STORE_COLUMNS_MAX");
_Static_assert(
    sizeof run_columns / sizeof *run_columns < STORE_COLUMNS_MAX, "raise STORE_COLUMNS_MAX");

const char *store_table_name(enum store_table table)
{
    return store_tables[table].name;
}

void store_row_clear(enum store_table table, void *row)
{
    const struct store_table_info *info = &store_tables[table];
    memset(row, 0, info->row_size);
    for (size_t i = 0; i < info->column_count; i++) {
        char *field = (char *)row + info->columns[i].offset;
        switch (info->columns[i].kind) {
        case STORE_INTEGER:
        case STORE_COUNTER: *(int64_t *)(void *)field = STORE_NO_INTEGER; break;
        case STORE_REAL:
        case STORE_MB: *(double *)(void *)field = NAN; break;
        case STORE_TEXT: *(const char **)(void *)field = NULL; break;
        case STORE_TIME: *(int64_t *)(void *)field = 0; break;
        }
    }
}
