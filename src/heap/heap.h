/* The snapshot engine: reads a .heapsnapshot or .heaptimeline file into flat columns and answers
 * with the numbers of Chrome DevTools' Memory panel. A pure library: no output, no globals, no
 * threads left running, errors with a byte position.
 *
 *     struct heap *h = NULL;
 *     struct err e = ERR_NONE;
 *     if (heap_open("before.heapsnapshot", NULL, &h, &e) < 0)
 *         ...                                  // e.text, e.position
 *     const struct heap_class *classes;
 *     uint32_t count = heap_classes(h, &classes);
 *     ...
 *     heap_close(h);
 *
 * A node is named by its ordinal: its row in the file, from 0. The `@123` that people see is its id
 * (column `id`); heap_find_id turns one into the other. An edge is named by its row in the file.
 * Sizes are bytes. After heap_open several threads may query a heap at once: what is made on the
 * first question is behind a lock. What a function hands out is borrowed from the heap, until
 * heap_close, unless its comment says free. Functions that return int give 0 or a code of
 * base/err.h; those with a `struct err *` fail with ERR_NOMEM, and with what their comments name
 * beyond that.
 *
 * The rules are those of DevTools (front_end/entrypoints/heap_snapshot_worker/HeapSnapshot.ts):
 * tests/conformance holds the numbers against its code. Dominators are found as in Georgiadis,
 * Tarjan and Werneck, "Finding dominators in practice" (2006, semi-NCA).
 *
 * Timelines and sampling profiles: heap/allocations.h. Growth over many snapshots: heap/series.h.
 * Whether a file is whole, as it streams: heap/whole.h.
 *
 * Names from a file are hostile. They are handed out as UTF-8 in which a lone surrogate stands as
 * its three bytes (ED A0..BF xx) and an invalid byte as U+FFFD: make them visible with
 * text_add_visible before they reach a terminal. */
#ifndef HEAPTAP_HEAP_HEAP_H
#define HEAPTAP_HEAP_HEAP_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* What a node is. Types that this list does not know keep the name that the file gives them. */
enum heap_kind {
    HEAP_HIDDEN,
    HEAP_ARRAY,
    HEAP_STRING,
    HEAP_OBJECT,
    HEAP_CODE,
    HEAP_CLOSURE,
    HEAP_REGEXP,
    HEAP_NUMBER,
    HEAP_NATIVE,
    HEAP_SYNTHETIC,
    HEAP_CONS_STRING,
    HEAP_SLICED_STRING,
    HEAP_SYMBOL,
    HEAP_BIGINT,
    HEAP_SHAPE,
    HEAP_KINDS,            /* how many are known */
    HEAP_UNKNOWN_KIND = 32 /* + the file's own number, for the others */
};

enum heap_edge_kind {
    HEAP_CONTEXT,
    HEAP_ELEMENT, /* its name is a number */
    HEAP_PROPERTY,
    HEAP_INTERNAL,
    HEAP_HIDDEN_EDGE, /* its name is a number */
    HEAP_SHORTCUT,
    HEAP_WEAK,
    HEAP_OTHER_EDGE, /* a type that this list does not know */
};

#define HEAP_NONE UINT32_MAX /* no node, no class */

/* An entry of the column `edge`: target ordinal, looseness, kind. A loose edge does not count for
 * dominators, whoever its source is. */
#define HEAP_EDGE_LOOSE 8u
#define HEAP_EDGE_SHIFT 4
static inline uint32_t heap_edge_to(uint32_t edge)
{
    return edge >> HEAP_EDGE_SHIFT;
}
static inline enum heap_edge_kind heap_edge_kind(uint32_t edge)
{
    return (enum heap_edge_kind)(edge & 7);
}

#define HEAP_DISTANCE_NONE   (-5)      /* nothing leads to the node */
#define HEAP_DISTANCE_SYSTEM 100000000 /* at least: only reached from the roots themselves */

/* The columns, borrowed from the heap. The edges of node i are first_edge[i] .. first_edge[i+1]. */
struct heap_columns {
    uint32_t node_count, edge_count, root;
    const uint8_t *kind;         /* enum heap_kind */
    const uint8_t *detachedness; /* 0 unknown, 1 attached, 2 detached; NULL if the file has none */
    const uint32_t *name;        /* string number, see heap_add_string */
    const uint32_t *id;
    const uint32_t *self;       /* after ownership: a Map carries its table, and so on */
    const uint32_t *first_edge; /* node_count + 1 entries */
    const uint32_t *edge;       /* HEAP_EDGE_* above */
    const uint32_t *edge_name;  /* string number, or the number itself for two kinds */
    const uint32_t *dominator;  /* ordinal; the root's is the root */
    const uint64_t *retained;
    const int32_t *distance;  /* from the user roots; HEAP_DISTANCE_* */
    const uint32_t *class_of; /* number of a class in heap_classes */
};

struct heap_class {
    const char *key;  /* "scriptId,line,column,Name" or ",Name": the same in another snapshot */
    const char *name; /* UTF-8 as described above */
    size_t name_length;
    uint32_t number;  /* its place in heap_classes, what class_of holds */
    uint32_t count;   /* nodes with a size; the rest is about these only */
    int32_t distance; /* the least */
    uint64_t self_size;
    uint64_t retained_size; /* nothing counted twice */
};

/* In bytes; what is in none of the parts is "other". */
struct heap_statistics {
    uint64_t total, native_total, typed_arrays, v8_total, code, js_arrays, strings, system;
};

struct heap;

enum heap_phase {
    HEAP_PHASE_UNPACK, /* .zst, .gz, a pipe: into an unlinked temporary file */
    HEAP_PHASE_READ,
    HEAP_PHASE_ANALYSE,
};

/* done is 0 to 1 within the phase, or -1 if unknown. Anything but 0 stops with ERR_CANCELLED.
 * Called on the thread that called heap_open. */
typedef int (*heap_progress)(void *arg, enum heap_phase phase, double done);

struct heap_options {
    heap_progress progress; /* may be NULL */
    void *arg;
    int threads;              /* 0: as many as there are processors, at the most 2 */
    bool traces;              /* keep the column of allocation traces (timelines) */
    bool partial;             /* take what is there of a file that ends too early */
    const char *scratch;      /* folder for unpacked files; NULL: $TMPDIR or /tmp */
    uint64_t max_unpacked;    /* bytes; 0: HEAP_UNPACKED_MAX */
    const char *instructions; /* "avx512", "avx2" or "portable": at the most these; NULL: all */
    int64_t *phase_us;        /* HEAP_TIMES entries filled with measured times, or NULL */
};
#define HEAP_UNPACKED_MAX (UINT64_C(64) << 30) /* a bomb of zeros should not fill the disk */

enum heap_time {
    HEAP_TIME_NODES,
    HEAP_TIME_EDGES,
    HEAP_TIME_STRINGS,
    HEAP_TIME_MARK,
    HEAP_TIME_OWNERS,
    HEAP_TIME_DISTANCES,
    HEAP_TIME_DEPTH_FIRST,
    HEAP_TIME_PREDECESSORS,
    HEAP_TIME_DOMINATORS,
    HEAP_TIME_CLASSES,
    HEAP_TIME_RETAINED,
    HEAP_TIME_AGGREGATE,
    HEAP_TIMES
};
const char *heap_time_name(enum heap_time t);

/* Opens and analyses a file: path, "-" for stdin, also .zst and .gz (told by their first bytes).
 * options may be NULL. ERR_FORMAT (with e->position) for a bad file, ERR_IO, ERR_NOSPACE,
 * ERR_NOMEM, ERR_CANCELLED. The file must not be cut while the heap is open: names are read from
 * its mapping. */
int heap_open(const char *path, const struct heap_options *options, struct heap **ret_heap,
    struct err *e) MUST_USE;
/* The same for a descriptor, which stays the caller's; name is for messages. */
int heap_open_fd(int fd, const char *name, const struct heap_options *options,
    struct heap **ret_heap, struct err *e) MUST_USE;
void heap_close(struct heap *h); /* takes NULL */

const struct heap_columns *heap_columns(const struct heap *h);
const struct heap_statistics *heap_statistics(const struct heap *h);
uint64_t heap_total_size(const struct heap *h); /* with the native bytes the header names */
uint32_t heap_string_count(const struct heap *h);
uint32_t heap_max_object_id(const struct heap *h); /* the largest odd id */
/* One line on what was left out of a damaged file (options.partial); NULL if it was whole. */
const char *heap_damage(const struct heap *h);
/* Nodes that nothing but weak references, or nothing at all, holds. */
uint32_t heap_unreachable_count(const struct heap *h);

/* Classes with at least one node that has a size, by retained size descending, then name. Borrowed;
 * returns how many. heap_columns()->class_of counts in the same order; nodes without size may have
 * a class beyond that number. */
uint32_t heap_classes(const struct heap *h, const struct heap_class **ret_classes);

/* Appends string `number`, decoded from the file's JSON. ERR_FULL or ERR_NOMEM as buf_add. */
int heap_add_string(const struct heap *h, uint32_t number, struct buf *out) MUST_USE;
/* Appends a node's name as DevTools shows it: the leaves of a concatenated string, `{a, b}` for a
 * plain object, else its own. */
int heap_add_node_name(const struct heap *h, uint32_t node, struct buf *out) MUST_USE;
/* Appends an edge's name: text, or digits. */
int heap_add_edge_name(const struct heap *h, uint32_t edge, struct buf *out) MUST_USE;
const char *heap_kind_name(const struct heap *h, uint8_t kind); /* "object", "hidden", … */
const char *heap_edge_kind_name(enum heap_edge_kind kind);
uint32_t heap_edge_source(const struct heap *h, uint32_t edge); /* ordinal; a binary search */
uint32_t heap_find_id(const struct heap *h, uint32_t id);       /* ordinal, or HEAP_NONE */
/* Orders WTF-8 text as JavaScript does, by UTF-16 code units. */
int heap_text_compare(const char *a, size_t a_length, const char *b, size_t b_length);

/* Where a function or a constructor stands in its script; 0-based, as in the file (people are shown
 * line + 1 and column + 1). */
struct heap_location {
    uint32_t script_id, line, column;
};
/* False: the file tells none. */
bool heap_find_location(const struct heap *h, uint32_t node, struct heap_location *ret_location);

/* Appends the URL or path of a script, nothing if the file does not tell it: it does for scripts of
 * which a function lives. ERR_NOMEM, ERR_FULL. */
int heap_add_script_url(
    struct heap *h, uint32_t script_id, struct buf *out, struct err *e) MUST_USE;
/* Calls each with the URL or path of every such script, in the order of their numbers, until it
 * returns false; those of more than 4 KB are left out. ERR_NOMEM. */
int heap_each_script(
    struct heap *h, bool (*each)(void *arg, const char *url), void *arg, struct err *e) MUST_USE;

/* The class's name within a key. */
const char *heap_key_name(const char *key);

/* ---- who holds a node ---- */

/* One edge into a node. */
struct heap_retainer {
    uint32_t edge, node; /* node: its source */
};

/* What holds the node, in the order of DevTools' Retainers pane: nearest to the roots first, then
 * by name. Weak edges and the root's are left out. At the most `limit`; free(*ret_list).
 * *ret_total: how many there are without that bound. The first call of any function of this part
 * builds an index, 4 bytes an edge. */
int heap_retainers(struct heap *h, uint32_t node, size_t limit, struct heap_retainer **ret_list,
    size_t *ret_count, size_t *ret_total, struct err *e) MUST_USE;

/* All edges into a node, weak ones and the root's, too; borrowed. Builds the index as above. */
int heap_incoming(struct heap *h, uint32_t node, const uint32_t **ret_edges, uint32_t *ret_count,
    struct err *e) MUST_USE;

/* Steps that are kept of a way; longer ones, such as along a list, have a gap. */
#define HEAP_PATH_MAX 1000

/* The shortest way from the roots to the node, as the pane opens it: each node's first retainer.
 * Step 0 is the edge out of the node nearest to the roots; the last one leads to `node`. */
struct heap_path {
    struct heap_retainer *steps; /* owned */
    size_t count;
    size_t missing; /* steps that are left out behind the first HEAP_PATH_MAX / 2 */
    uint32_t node;
};
int heap_path(struct heap *h, uint32_t node, struct heap_path *ret, struct err *e) MUST_USE;
void heap_path_free(struct heap_path *path);
/* "(global) global / → sessions: Map → table: (array) → [3]: Session": appends the path's text,
 * with ids also what is on the way: "sessions: Map @51". What repeats is told once: "next: Node
 * ×1,997". */
int heap_add_path(
    const struct heap *h, const struct heap_path *path, bool ids, struct buf *out) MUST_USE;

/* Paths of many nodes that read the same once array indexes are left out. */
struct heap_path_group {
    char *text;       /* as heap_add_path with [] for every index, ×n; owned by the list */
    uint32_t count;   /* nodes */
    uint32_t example; /* one of them */
    uint64_t self_size;
};
/* Groups the shortest paths of the nodes, the largest group first. At the most HEAP_PATHS_MAX nodes
 * are followed, fewer where ways are very long, spread evenly; *ret_followed says how many.
 * heap_path_groups_free. */
#define HEAP_PATHS_MAX 20000
int heap_group_paths(struct heap *h, const uint32_t *nodes, size_t count,
    struct heap_path_group **ret_groups, size_t *ret_count, size_t *ret_followed,
    struct err *e) MUST_USE;
void heap_path_groups_free(struct heap_path_group *groups, size_t count);

/* ---- the dominator tree ---- */

/* What the node dominates directly, by retained size descending; free(*ret_nodes). */
int heap_dominated(const struct heap *h, uint32_t node, uint32_t **ret_nodes, size_t *ret_count,
    struct err *e) MUST_USE;

/* ---- parts of a snapshot ---- */

enum heap_filter {
    HEAP_FILTER_CONTEXTS,   /* only reachable through function contexts */
    HEAP_FILTER_DETACHED,   /* only through detached DOM nodes */
    HEAP_FILTER_HANDLERS,   /* only through DOM event handlers */
    HEAP_FILTER_CONSOLE,    /* only through the console */
    HEAP_FILTER_DUPLICATES, /* strings of which there are several */
};
/* The nodes that pass, as bits (node i: ret[i / 64] >> i % 64); free it. */
int heap_filter_nodes(
    struct heap *h, enum heap_filter filter, uint64_t **ret_bits, struct err *e) MUST_USE;
/* Nodes with min < id <= max: what was allocated between two snapshots, given their
 * heap_max_object_id. */
int heap_filter_ids(
    const struct heap *h, uint32_t min, uint32_t max, uint64_t **ret_bits, struct err *e) MUST_USE;

/* Native contexts: the realms of a page's frames or of node:vm. For each node the ordinal of the
 * native context it belongs to, or one of the two below; free(*ret_of). */
#define HEAP_REALM_NONE   UINT32_MAX       /* none reaches it */
#define HEAP_REALM_SHARED (UINT32_MAX - 1) /* several do */
int heap_realms(const struct heap *h, uint32_t **ret_of, struct err *e) MUST_USE;

struct heap_realm {
    uint32_t node;       /* the native context */
    uint64_t attributed; /* bytes of all that belongs to it alone */
};
struct heap_realms {
    struct heap_realm *list; /* in file order; free(list) */
    size_t count;
    uint64_t shared, none; /* bytes */
};
/* Sums over what heap_realms gave. */
int heap_realm_sizes(
    const struct heap *h, const uint32_t *of, struct heap_realms *ret, struct err *e) MUST_USE;

/* Classes over a part of the nodes (NULL: all), in the order of heap_classes. Names and keys are
 * borrowed from the heap. free(*ret_classes). */
int heap_classes_of(const struct heap *h, const uint64_t *bits, struct heap_class **ret_classes,
    uint32_t *ret_count, struct err *e) MUST_USE;
/* Nodes with a size of the class (number in heap_classes), in file order; free(*ret_nodes). */
int heap_instances(const struct heap *h, uint32_t class, uint32_t **ret_nodes, size_t *ret_count,
    struct err *e) MUST_USE;

struct heap_duplicate {
    uint32_t example; /* a node with the text */
    uint32_t count;
    uint64_t self_size, retained_size;
    uint64_t wasted; /* self_size without one copy: the average of the others */
};
/* Strings that stand in memory more than once, by retained size descending; free(*ret_list). */
int heap_duplicates(const struct heap *h, struct heap_duplicate **ret_list, size_t *ret_count,
    struct err *e) MUST_USE;

/* ---- two snapshots ---- */

struct heap_diff_class {
    char *key; /* owned by the list; name points into it */
    const char *name;
    uint32_t added_count, removed_count;
    uint64_t added_size, removed_size;
    int64_t count_delta, size_delta;
    uint32_t *added; /* nodes of the new snapshot, by id; owned by the list */
};
/* DevTools' Comparison view: by class key, objects compared by id. Largest size delta first. */
int heap_diff(const struct heap *base, const struct heap *now, struct heap_diff_class **ret_list,
    size_t *ret_count, struct err *e) MUST_USE;
void heap_diff_free(struct heap_diff_class *list, size_t count);

#endif
