/* What the record holds: one struct a table, as collectors fill it and the journal stores it.
 *
 * A row starts with store_row_clear, which makes every field "not known"; what is not known is NULL
 * in the database. Numbers that are not known are NAN or STORE_NO_INTEGER, texts are NULL, times
 * are 0. Sizes are bytes (memory_metrics stores them as MB), times are wall-clock milliseconds.
 * All texts are borrowed for the duration of a call and may hold any bytes: the journal makes them
 * valid UTF-8. run_id and seq are not here: the journal gives them. */
#ifndef HEAPTAP_STORE_STORE_H
#define HEAPTAP_STORE_STORE_H

#include "base/err.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_NO_INTEGER INT64_MIN

/* The tables of the record, in the order in which they are written and shipped. */
enum store_table {
    STORE_RUNS,
    STORE_TARGETS,
    STORE_HEAP_SNAPSHOTS,
    STORE_MEMORY_METRICS,
    STORE_HEAP_CLASSES,
    STORE_ALLOCATION_INTERVALS,
    STORE_ALLOCATION_SITES,
    STORE_GC_EVENTS,
    STORE_SUSPECTS,
    STORE_EVENTS,
    STORE_TABLES /* how many */
};

/* Makes every field of a row "not known". row points to the struct of that table. */
void store_row_clear(enum store_table table, void *row);
/* "memory_metrics" and so on: the name in SQL. */
const char *store_table_name(enum store_table table);

struct store_run {
    const char *label;
    const char *command_line; /* secrets cut by the caller, who knows what is one */
    const char *version;      /* of heaptap */
    const char *destination;  /* PostgreSQL that the run ships to, without password; NULL: none */
    int64_t started_at_ms;
    int64_t ended_at_ms;
    const char *state;       /* running | ended | interrupted */
    const char *exit_reason; /* "duration", "signal", "target gone", … */
    int64_t exit_code;
    const char *detail; /* JSON object or NULL: settings in force, hook's kept fraction, … */
    /* Filled in by the journal. */
    int64_t created_at_ms; /* of this state */
    const char *host;
    const char *owner_boot_id;
    int64_t owner_pid;
    int64_t owner_start; /* clock ticks after boot, as in /proc/PID/stat */
    int64_t lost_memory_metrics;
    int64_t lost_heap_classes;
    int64_t lost_allocation_intervals;
    int64_t lost_allocation_sites;
    int64_t lost_gc_events;
    int64_t lost_suspects;
    int64_t lost_events;
    int64_t rows_parked; /* refused by PostgreSQL, kept in SQLite */
};

struct store_target {
    int64_t target_id; /* given by journal_add_target */
    int64_t created_at_ms;
    const char *kind;    /* node | worker | page | deno | … */
    const char *address; /* host:port */
    const char *title;
    const char *url;
    const char *inspector_id; /* the UUID in its ws:// address */
    int64_t parent_target_id; /* of a worker */
    int64_t pid;
    const char *runtime; /* "node", "deno", "chrome" */
    const char *runtime_version;
    const char *v8_version;
    const char *arch;
    int64_t started_at_ms; /* of the process */
    int64_t heap_limit;    /* bytes */
    int64_t gone_at_ms;
    const char *state; /* attached | gone | detached */
    const char *reason;
};

struct store_snapshot {
    int64_t snapshot_id; /* given by journal_add_snapshot */
    int64_t target_id;
    int64_t created_at_ms;
    const char *kind; /* heapsnapshot | heaptimeline | heapprofile */
    const char *file; /* absolute path */
    int64_t bytes;    /* of the file on disk */
    const char *sha256;
    int64_t node_count;
    int64_t edge_count;
    int64_t string_count;
    double pause_ms;     /* measured stall of the target */
    double duration_ms;  /* from the command to the renamed file */
    int64_t heap_used;   /* bytes, before the capture */
    int64_t rss_before;  /* bytes */
    int64_t rss_peak;    /* bytes, of the target during the capture */
    const char *trigger; /* baseline | interval | final | manual | request | probe | … */
    int64_t request_id;
    int64_t epoch;
    const char *state;       /* running | complete | refused | failed | deleted */
    const char *reason;      /* what would have to change, what failed, why deleted */
    const char *guard;       /* go | degrade | refuse | forced */
    const char *forecast_by; /* history | count | rule */
    double forecast_pause_ms;
    int64_t forecast_memory; /* bytes of native memory that the capture was thought to need */
    int64_t forecast_nodes;
};

struct store_metrics {
    int64_t target_id;
    int64_t created_at_ms; /* the sample's time */
    const char *label;     /* interval, before-GET, after-POST, before-snapshot, after-gc, … */
    double heap_used;      /* bytes here, MB in the table; so are the next six */
    double heap_total;
    double external;
    double array_buffers;
    double rss;
    double heap_limit;
    const char *request_method; /* request rows only, as the next seven */
    const char *request_url;
    int64_t request_id;
    const char *route;
    int64_t in_flight;
    double duration_ms;
    int64_t status;
    int64_t gc_count;     /* since the target started or we attached */
    double gc_ms;         /* time in GC, as gc_count */
    double loop_delay_ms; /* mean event-loop delay since the sample before */
    double loop_delay_max_ms;
    double loop_utilization; /* 0 to 1 */
    const char *heap_spaces; /* JSON {"new_space":{"used":bytes,"size":bytes},…} */
};

struct store_class {
    int64_t snapshot_id;
    int64_t ordinal; /* of the snapshot among those of its target, from 0 */
    int64_t created_at_ms;
    const char *key;
    const char *class_name; /* column "class" */
    int64_t count;
    int64_t self_size;
    int64_t retained_size;
};

struct store_interval {
    int64_t target_id;
    int64_t snapshot_id; /* the timeline's row in heap_snapshots */
    int64_t created_at_ms;
    double start_ms; /* since the timeline began */
    int64_t live_count;
    int64_t live_bytes;
    int64_t last_object_id;
};

struct store_site {
    int64_t target_id;
    int64_t snapshot_id; /* of a timeline or survivors profile, else unknown */
    int64_t created_at_ms;
    const char *source; /* live-profile | timeline | survivors */
    int64_t reading;    /* counts the readings of a target from 0 */
    const char *function;
    const char *url;
    int64_t line; /* 1-based; column line_number */
    int64_t column;
    int64_t live_count;
    int64_t live_bytes;
    int64_t count; /* allocated in all, where the source knows it */
    int64_t bytes;
    const char *stack; /* JSON array, innermost frame first */
};

struct store_gc {
    int64_t target_id;
    int64_t created_at_ms;
    const char *kind; /* scavenge | mark-sweep-compact | forced | … */
    const char *reason;
    double duration_ms;
    int64_t heap_before; /* bytes */
    int64_t heap_after;
};

struct store_suspect {
    int64_t target_id;
    int64_t created_at_ms;
    int64_t rank;
    const char *verdict;
    const char *class_name; /* column "class" */
    const char *function;
    const char *holder;
    const char *culprit;
    const char *url; /* where it is allocated, else where the holder stands */
    int64_t line;
    int64_t column;
    int64_t count_growth;
    int64_t retained_growth; /* bytes */
    double share_of_growth;
    const char *method; /* of the route that makes it grow most */
    const char *route;
    double bytes_per_request;
    double confidence;
    const char *detail; /* the suspect's whole JSON object */
};

struct store_event {
    int64_t target_id;
    int64_t snapshot_id;
    int64_t created_at_ms;
    const char *kind;   /* refused | failed | restarted | epoch | loss | … */
    const char *text;   /* one line for a person */
    const char *detail; /* JSON */
};

#endif
