/* What the record holds of a run that a diagnosis needs, target by target, in memory. */
#ifndef HEAPTAP_DIAGNOSE_EVIDENCE_H
#define HEAPTAP_DIAGNOSE_EVIDENCE_H

#include "diagnose/diagnosis.h"
#include "diagnose/floors.h"

struct evidence_reading {
    int64_t wall_ms;
    bool after_gc;                          /* a full collection came right before it */
    double heap, heap_total, external, rss; /* bytes; NAN: unknown */
    double gc_count, utilization;           /* NAN: unknown; utilization 0 to 1 */
    bool before_snapshot;
    double snapshots_left; /* bytes of rss, beside heap and external, that snapshots have left so
                              far */
    double of_threads;     /* bytes of rss that the process's worker threads account for then */
};

/* Requests in progress in one second, on average. */
struct evidence_load {
    int64_t wall_ms;
    double in_flight;
};

struct evidence_snapshot {
    int64_t id, wall_ms, epoch;
    bool complete; /* the file was whole when it was written, and nobody has deleted it since */
    bool timeline;
    bool probed;          /* by a probe, which reads the floor on both sides of it */
    char *file;           /* owned, "" if unknown */
    char *state, *reason; /* owned; reason "" if there is none */
};

/* Growth of a line that allocates, as metrics_sites.sql gives it. */
struct evidence_site {
    char *function, *url, *source; /* owned; url "" if unknown */
    uint32_t line, column;         /* 0: unknown */
    struct diagnosis_place *own; /* the program's own line behind it; NULL: none, unknown. Owned */
    bool in_provider;            /* a component of React called Provider is in its stack */
    double first, last;          /* live bytes */
    double per_hour, low, high;  /* NAN: too few readings */
    int64_t readings;
};

/* Growth of a class from the first to the last analysed snapshot. */
struct evidence_class {
    char *name, *key; /* owned */
    int64_t first_count, last_count, self_growth, retained_growth;
    /* Its share of count growth in the later half of at least three snapshots: 0.5 is steady, 0 has
     * stopped; NAN: unknown, or it has shrunk between two of them. */
    double late_share;
};

struct evidence_target {
    int64_t id, parent_id, pid;   /* 0: none, unknown */
    char *kind, *title, *version; /* owned; "node", its title, "node v22.1.0" */
    char *url;                    /* owned; of its script, "" if unknown */
    bool gone, attached;          /* it ended before the run; it is watched now */
    bool shares_rss; /* a worker whose main thread is there, too: resident memory is judged there */
    double heap_limit, memory_limit;   /* bytes; NAN: none known. V8's, the control group's */
    struct evidence_reading *readings; /* oldest first */
    size_t reading_count;
    struct evidence_load *load;
    size_t load_count;
    struct floors floors;                /* owned copy; count 0: requests were not followed */
    struct evidence_snapshot *snapshots; /* oldest first */
    size_t snapshot_count;
    struct evidence_site *sites; /* by growth */
    size_t site_count;
    struct evidence_class *classes; /* by retained growth */
    size_t class_count;
    int64_t analysed; /* snapshots whose classes are in the record */
};

struct evidence {
    char run_id[UUID_TEXT_SIZE];
    bool open;                 /* no end is recorded */
    bool watching;             /* and targets are attached: it goes on, or its process was killed */
    int64_t first_ms, last_ms; /* of all readings; 0: none */
    struct evidence_target *targets;
    size_t target_count;
};

#define EVIDENCE_READINGS_MAX                                                                      \
    200000 /* 16 MB: three weeks of one target at the default interval                             \
            */
#define EVIDENCE_TARGETS_MAX 10000
#define EVIDENCE_FILES_MAX   20000
#define EVIDENCE_SITES_MAX   400  /* of a run; the fastest growing ones */
#define EVIDENCE_STACKS_MAX  4000 /* at some KB each */
#define EVIDENCE_CLASSES_MAX 400
#define EVIDENCE_COUNTS_MAX  200000

/* ERR_DB, ERR_NOMEM. A run that has nothing yet is an empty record. */
int evidence_read(
    struct reader *reader, const char *run_id, struct evidence **ret, struct err *e) MUST_USE;
void evidence_free(struct evidence *r); /* takes NULL */

#endif
