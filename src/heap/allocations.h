/* What was allocated where: the stacks of a sampling profile or of an allocation timeline, with
 * what of it still lives, and folded by site. Pure: no output, no recursion.
 *
 * A site is the innermost frame that has a URL; a function without a name takes that of its nearest
 * named caller: "stashInvoice/<anonymous>". Lines and columns are those where the function begins,
 * from 1; 0 is unknown. */
#ifndef HEAPTAP_HEAP_ALLOCATIONS_H
#define HEAPTAP_HEAP_ALLOCATIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

struct allocations;
struct heap;

#define ALLOCATION_NONE    UINT32_MAX /* no node */
#define ALLOCATION_UNKNOWN (-1)       /* a count or size that the source does not tell */

struct allocation_frame {
    const char *function, *url; /* "" without; bytes from outside, without NUL */
    uint32_t line, column;
};

struct allocation_node {
    uint32_t parent; /* the caller; a smaller number than the node's own, or ALLOCATION_NONE */
    uint32_t frame;
    /* Of this stack alone, callers not included; bytes. Or ALLOCATION_UNKNOWN. */
    int64_t live_count, live_bytes, count, bytes;
};

/* Reads a sampling profile, as HeapProfiler.getSamplingProfile returns it and as .heapprofile files
 * hold it: {"head":{"callFrame":…,"selfSize":…,"children":[…]},"samples":[…]}. It tells bytes only.
 * ERR_FORMAT. */
int allocations_from_profile(
    const cJSON *profile, struct allocations **ret, struct err *e) MUST_USE;

/* Reads the timeline of a heap that was opened with heap_options.traces: its intervals, and its
 * stacks if they were recorded. A heap without a timeline has neither. ERR_FORMAT for a broken one.
 */
int allocations_from_heap(const struct heap *h, struct allocations **ret, struct err *e) MUST_USE;

struct allocation_interval {
    double start_ms, end_ms; /* since the recording began; the first holds all that was before */
    uint32_t last_id;        /* object id: those above the interval before's are of this one */
    int64_t live_count, live_bytes;
};
/* Borrowed; 0 for a profile. */
uint32_t allocations_intervals(
    const struct allocations *a, const struct allocation_interval **ret_intervals);
/* Of a timeline: the objects that were made while it recorded and live, and how many of them have a
 * stack. */
int64_t allocations_recorded(const struct allocations *a, int64_t *ret_with_stack);

/* What one function, as V8 knows it, has allocated itself: DevTools' list of an allocation profile.
 */
struct allocation_function {
    const struct allocation_frame *frame; /* borrowed from a */
    int64_t live_count, live_bytes, count, bytes;
};
/* Most bytes in all first; those that allocated nothing are left out. The caller frees the array.
 */
int allocations_functions(const struct allocations *a, struct allocation_function **ret,
    uint32_t *ret_count, struct err *e) MUST_USE;

/* ---- trees of stacks ---- */

enum allocation_way {
    ALLOCATION_CALLERS_FIRST, /* "top-down": below each function what it calls */
    ALLOCATION_CALLEES_FIRST, /* "bottom-up": each function that allocates, below it its callers */
};

struct allocation_cut {
    double share;   /* of all live bytes; a branch with less is left out, with all below it */
    uint32_t depth; /* of the last branches; the first have 0 */
};

struct allocation_branch {
    const struct allocation_frame *frame; /* borrowed from the allocations */
    uint32_t parent;                      /* a smaller number than its own, or ALLOCATION_NONE */
    uint32_t depth;
    /* Callers first: of all stacks that go through here. Callees first: of what the function at the
     * top allocated when it was called this way. ALLOCATION_UNKNOWN as in the nodes. */
    int64_t live_count, live_bytes, count, bytes;
    int64_t own_live_bytes; /* of the stacks that end here */
};

struct allocation_tree {
    struct allocation_branch *list; /* owned: free(list); the order of a tree, largest live first */
    uint32_t count;
    int64_t live_bytes; /* of all stacks */
    bool was_cut;
};

/* The branches at depth 0 of ALLOCATION_CALLEES_FIRST are the functions, each with what it has
 * allocated itself. ERR_NOMEM also for a tree of more than four million branches. */
int allocations_tree(const struct allocations *a, enum allocation_way way,
    const struct allocation_cut *cut, struct allocation_tree *ret, struct err *e) MUST_USE;

void allocations_free(struct allocations *a); /* NULL is fine */

bool allocations_is_profile(const struct allocations *a); /* else a timeline */
uint32_t allocations_count(const struct allocations *a);  /* nodes, the root first */
const struct allocation_node *allocations_node(const struct allocations *a, uint32_t node);
const struct allocation_frame *allocations_frame(const struct allocations *a, uint32_t node);
/* Of a profile: how many objects were sampled and live; ALLOCATION_UNKNOWN for a timeline. */
int64_t allocations_samples(const struct allocations *a);

struct allocation_site {
    struct allocation_frame frame; /* function: with the caller's name as said above; owned */
    struct allocation_frame own; /* of the heaviest stack, see allocations_is_own; url "" if none */
    int64_t live_count, live_bytes, count, bytes;
    uint32_t heaviest; /* the node with the most live bytes, in what was folded */
};

/* Whether a script of that URL is the program's own, and neither of a package in node_modules nor
 * of the runtime. The innermost own frame of a stack is the line that has asked for what a package
 * or the runtime allocates; there is none behind frames of the module loader: what a module needs
 * to exist is asked for by nobody. */
bool allocations_is_own(const char *url);
bool allocations_is_loader(const char *url);
/* By function, URL, line and column. */
int allocations_compare_frames(const struct allocation_frame *a, const struct allocation_frame *b);

struct allocation_sites {
    struct allocation_site *items;
    size_t count;
    void *texts; /* owned */
};

/* Folds stacks by site, in the order of function, URL, line and column. The sites outlive a. */
int allocations_fold(
    const struct allocations *a, struct allocation_sites *ret, struct err *e) MUST_USE;
void allocation_sites_free(struct allocation_sites *s); /* safe on zeros */

/* The order that allocations_fold makes. */
int allocation_site_compare(const struct allocation_site *a, const struct allocation_site *b);
/* Most live bytes first, then most bytes in all, then the order of allocations_fold; a sorting of
 * its own: sites in this order are no input for allocation_sites_walk. */
void allocation_sites_rank(struct allocation_sites *s);

/* Walks two foldings side by side and tells each site that is in either of them; then or now is
 * NULL where it is in one only. */
void allocation_sites_walk(const struct allocation_sites *then, const struct allocation_sites *now,
    void (*tell)(void *arg, const struct allocation_site *then, const struct allocation_site *now),
    void *arg);

/* The stack of a node as a JSON array of {"function","url","line","column"}, innermost first; texts
 * are made valid UTF-8. Owned by the caller; NULL when memory is out. */
cJSON *allocations_stack(const struct allocations *a, uint32_t node);

#endif
