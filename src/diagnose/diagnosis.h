/* The answer: what is concluded about one process, from what evidence, and how sure it is. Filled
 * by diagnose.h from files or from the record of a run; written as the JSON of "heaptap.diagnose/1"
 * by diagnosis_json.h, in words by the commands.
 *
 * All texts are owned by the diagnosis, come from outside (file names and class names of the
 * target) and are valid UTF-8; they may hold control characters, which whoever shows them escapes.
 * A number that is not known is NAN. Lines and columns count from 1, 0 is unknown. */
#ifndef HEAPTAP_DIAGNOSE_DIAGNOSIS_H
#define HEAPTAP_DIAGNOSE_DIAGNOSIS_H

#include "base/err.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the evidence says. LEAK: three or more points after a full collection, growth in the last
 * half of them too, lower bound above the noise. GROWTH: it grows, but two points, or metrics only.
 * NO_LEAK: enough points, and the upper bound is under the noise, or the growth levelled off.
 * INCONCLUSIVE: anything less. */
enum diagnosis_verdict {
    DIAGNOSIS_INCONCLUSIVE,
    DIAGNOSIS_NO_LEAK,
    DIAGNOSIS_GROWTH,
    DIAGNOSIS_LEAK,
};

enum diagnosis_memory { MEMORY_NONE, MEMORY_JS_HEAP, MEMORY_EXTERNAL, MEMORY_RSS_ONLY };

/* What the evidence could show at best: one snapshot is size, two are growth, three or more points
 * after a full collection are retention. */
enum diagnosis_support { SUPPORT_NOTHING, SUPPORT_SIZE, SUPPORT_GROWTH, SUPPORT_RETENTION };

struct diagnosis_place {
    char *function; /* "" without a name */
    char *url;
    uint32_t line, column;
};

/* One step of the way from the roots to what is retained. */
struct diagnosis_step {
    char *edge;       /* its name: a variable, a property, an index */
    const char *type; /* "context", "property", …; static */
    char *class_name; /* of what the edge leads to */
    uint32_t id;      /* its heap object id */
};

struct diagnosis_route {
    char *method, *route;
    double bytes, low, high; /* kept a request */
    double instances;        /* of the suspect, a request */
    bool elsewhere;          /* its requests enter at another thread of the process */
};

struct diagnosis_site {
    struct diagnosis_place place;
    int64_t live_bytes;
};

/* Another holder of the same objects. */
struct diagnosis_coholder {
    char *class_name, *name, *text;
    uint32_t id;
    struct diagnosis_place *place; /* NULL: unknown */
};

struct diagnosis_suspect {
    char *class_name;                 /* NULL: not known (no snapshots); "Function" for a closure */
    struct diagnosis_place *function; /* of the closure or callback; NULL: none */
    struct {
        char *class_name;            /* of the object that holds on; NULL: not known */
        char *name;                  /* variable, property, Map key pattern, event, … */
        char *text;                  /* one phrase for a person, with the variable */
        uint32_t id;                 /* its heap object id */
        struct diagnosis_step *path; /* from the roots to the holder, which is the last step */
        size_t path_count;
        struct diagnosis_place *place;   /* where it is declared or constructed; NULL: unknown */
        struct diagnosis_coholder *also; /* what else holds most of them; most first */
        size_t also_count;
    } holder;
    int64_t first, last;            /* instances at the first and the last snapshot */
    int64_t self_growth;            /* bytes */
    int64_t retained_growth;        /* bytes */
    double share;                   /* of the growth of the whole heap, 0 to 1 */
    struct diagnosis_route *routes; /* by bytes retained */
    size_t route_count;
    struct diagnosis_site *sites; /* allocating lines, most live bytes first */
    size_t site_count;
    const char *culprit; /* "context-provider", … (culprits.h); NULL: none of those known. Static */
    char *advice;        /* one sentence */
    double confidence;   /* 0 to 1 */
    bool stands;         /* of a single snapshot: large, not grown; share is of the whole heap */
};

/* A snapshot that the answer rests on. */
struct diagnosis_file {
    int64_t snapshot_id; /* of the record; 0: a bare file */
    char *path;
};

/* A reading of the memory that is judged, for plots. */
struct diagnosis_point {
    int64_t wall_ms;
    double bytes;
};

#define DIAGNOSIS_NOTES_MAX 64
#define DIAGNOSIS_NOTE_SIZE 1024 /* bytes of one note */

struct diagnosis {
    enum diagnosis_verdict verdict;
    enum diagnosis_memory memory;
    char run_id[40];   /* "": of bare files */
    int64_t target_id; /* 0: of bare files */
    size_t snapshots, floors;
    double span_seconds;
    struct diagnosis_file *files;
    size_t file_count;
    struct diagnosis_point *series; /* of the memory that grows, else of the heap; oldest first */
    size_t series_count;
    enum diagnosis_support supports;
    double bytes_per_hour, low, high; /* of the memory that grows */
    double seconds_to_limit;          /* V8's or the control group's, the nearer; NAN: none */
    struct diagnosis_suspect *suspects;
    size_t suspect_count;
    bool unserved;  /* a probe's requests have not reached the target: it says nothing */
    double passing; /* 0 to 1: of what is new in the last snapshot, what only comes and goes */
    const char **ruled_out; /* culprits that were looked for and not found; static texts */
    size_t ruled_out_count;
    char **notes; /* sentences */
    size_t note_count;
};

/* GROWTH or LEAK: there is something to name. */
bool diagnosis_grows(enum diagnosis_verdict verdict);

/* As in the JSON: "no-leak", "js-heap", "retention", … */
const char *diagnosis_verdict_name(enum diagnosis_verdict verdict);
const char *diagnosis_memory_name(enum diagnosis_memory memory);
const char *diagnosis_support_name(enum diagnosis_support supports);

struct diagnosis *diagnosis_new(void);                /* nothing known; NULL: out of memory */
void diagnosis_free(struct diagnosis *d);             /* takes NULL; frees d itself, too */
void diagnosis_place_free(struct diagnosis_place *p); /* with its texts; takes NULL */
/* Frees what the suspect owns, not itself. */
void diagnosis_suspect_clear(struct diagnosis_suspect *s);

/* Adds a sentence that is not there yet; beyond DIAGNOSIS_NOTES_MAX nothing. ERR_NOMEM. */
int diagnosis_note(struct diagnosis *d, struct err *e, const char *format, ...)
    PRINTF_LIKE(3, 4) MUST_USE;

/* A copy of text from outside as a diagnosis keeps it; NULL: out of memory. */
char *diagnosis_text(const char *text, size_t length);

#endif
