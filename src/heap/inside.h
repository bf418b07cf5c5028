/* What the parts of the snapshot engine share with each other, and nobody else sees. */
#ifndef HEAPTAP_HEAP_INSIDE_H
#define HEAPTAP_HEAP_INSIDE_H

#include "heap/heap.h"

#include <pthread.h>
#include <stdatomic.h>

#define NODES_MAX   (UINT32_C(1) << 28)    /* what 32 bits hold beside kind and looseness */
#define EDGES_MAX   (UINT32_MAX - 1)       /* an edge number is 32 bits, and HEAP_NONE is not one */
#define STRINGS_MAX (UINT32_C(0xfffffff0)) /* likewise; renamed names come behind the file's */
#define FIELDS_MAX  32                     /* of a row; V8 has 3 to 7 */
#define TYPES_MAX   200                    /* node or edge types; V8 has 15 and 7 */
#define HEADER_MAX  (4u << 20)             /* bytes of the "snapshot" object; V8's takes 2 KB */

/* ---- memory: columns that the phases hand on to each other, so that what one has touched the next
 * need not touch anew ---- */
struct pool;
struct pool *pool_new(void);    /* NULL when memory is out */
void pool_free(struct pool *p); /* with every column in it; takes NULL */
void pool_trim(struct pool *p); /* gives back what is idle, and from now on what becomes idle */
void *column_new(struct pool *p, size_t count, size_t width);   /* of zeros; NULL: no memory */
void *column_dirty(struct pool *p, size_t count, size_t width); /* of anything */
void column_free(struct pool *p, void *column);                 /* takes NULL */
/* Before column_free: gives back what is behind the first `bytes`, which nobody has touched; the
 * next column would take it in place of memory that is there already. May end the column. */
void column_cut(struct pool *p, void *column, size_t bytes);

/* ---- bits: one a node ---- */
static inline bool bit_get(const uint64_t *bits, uint32_t i)
{
    return bits[i >> 6] >> (i & 63) & 1;
}
static inline void bit_set(uint64_t *bits, uint32_t i)
{
    bits[i >> 6] |= UINT64_C(1) << (i & 63);
}
static inline void bit_clear(uint64_t *bits, uint32_t i)
{
    bits[i >> 6] &= ~(UINT64_C(1) << (i & 63));
}
#define BITS_WORDS(count) (((size_t)(count) >> 6) + 1)

/* ---- a growing list of 32-bit numbers ---- */
struct list32 {
    uint32_t *at;
    size_t count, capacity;
};
int list32_add(struct list32 *l, uint32_t value) MUST_USE; /* 0 or ERR_NOMEM */
void list32_free(struct list32 *l);

/* ---- texts seen once: text -> number from 0 in order of appearance ---- */
struct names {
    char **text; /* owned, NUL behind each */
    uint32_t *length;
    uint64_t *hash;
    uint32_t count;
    uint32_t *slot; /* number + 1, open addressing */
    uint32_t slots;
};
int names_add(struct names *n, const char *text, size_t length, uint32_t *ret_number) MUST_USE;
uint32_t names_find(const struct names *n, const char *text, size_t length); /* or HEAP_NONE */
void names_free(struct names *n);
uint64_t hash_bytes(const void *bytes, size_t length);

/* ---- the file ---- */
struct source {
    int fd;
    bool owned;         /* close fd in the end */
    uint64_t size;      /* bytes */
    const uint8_t *map; /* all of it; only names are read through it */
    const char *name;   /* borrowed, for messages while opening */
};
int source_open(struct source *s, int fd, bool owned, const char *name,
    const struct heap_options *o, struct err *e) MUST_USE;
void source_close(struct source *s);
/* Reads exactly length bytes at offset. */
int source_read(
    const struct source *s, void *to, size_t length, uint64_t offset, struct err *e) MUST_USE;
/* ERR_FORMAT with its position, "NAME: byte N: …". */
int source_bad(const struct source *s, uint64_t position, struct err *e, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* ---- which of snapshot.meta's fields is where ---- */
struct layout {
    uint32_t node_count, edge_count, root_index, trace_function_count;
    uint64_t extra_native_bytes;
    uint8_t node_fields, edge_fields, location_fields, sample_fields, trace_info_fields;
    int8_t type, name, id, self, edges, detachedness,
        trace; /* positions in a node row; -1 missing */
    int8_t edge_type, edge_name, edge_to;
    int8_t location_object, location_script, location_line, location_column;
    uint8_t kind_of[256];      /* file's node type -> enum heap_kind */
    uint8_t edge_kind_of[256]; /* file's edge type -> enum heap_edge_kind */
    uint32_t node_types, edge_types;
    bool edges_as_written; /* the identity: edge_kind_of changes nothing */
    bool other_is_invisible;
    char *unknown[256]; /* names of node types beyond HEAP_KINDS; owned */
};
int layout_read(struct layout *l, const struct source *s, const char *json, size_t length,
    uint64_t position, struct err *e) MUST_USE;
void layout_free(struct layout *l);

/* ---- strings: where each begins in the file ---- */
struct strings {
    uint64_t base, end; /* offsets of the array's first byte and its closing bracket */
    uint32_t count;
    uint32_t *start32; /* offset from base of the first byte of the text; count + 1 entries */
    uint64_t *start64; /* in place of start32 when the array has 4 GiB or more */
};

/* A location row; sorted by node. */
struct place {
    uint32_t node, script_id, line, column;
};

/* A script's name, by its number. */
struct script {
    uint32_t script_id, name; /* name: string number */
};

/* Interface definitions (plain objects grouped by shape). */
struct shapes {
    uint32_t count;
    char **name;        /* "{a, b}" in UTF-8; owned */
    uint32_t *first;    /* count + 1: into property */
    uint32_t *property; /* numbers in names */
    uint32_t *instances;
    struct names names; /* of the properties */
};
void shapes_free(struct shapes *s);

struct numbers;

/* What reading needs while it lasts. */
struct scan_state {
    const struct numbers *numbers;
    uint32_t most_name[2]; /* the largest string number seen in edges, a thread each */
    size_t place_capacity;
    struct list32 weak_names; /* strings that may name entries of WeakMaps */
};

/* Texts that the rules ask for. */
enum known {
    KNOWN_OBJECT,
    KNOWN_ARRAY,
    KNOWN_ELEMENTS,
    KNOWN_FIRST,
    KNOWN_SECOND,
    KNOWN_PROTO,
    KNOWN_NATIVE_CONTEXT,
    KNOWN_MAP_DESCRIPTORS,
    KNOWN_SLOPPY_MAP,
    KNOWN_EXTERNAL_STRING,
    KNOWN_ARRAY_BUFFER,
    KNOWN_DOCUMENT_TREES,
    KNOWN_TRUNCATED,
    KNOWN_LENGTH,
    KNOWN_HASH,
    KNOWN_VALUE,
    KNOWN_CONSOLE,
    KNOWN_CONTEXT,
    KNOWN_SHARED,
    KNOWN_SCRIPT,
    KNOWN_OLD_SCRIPT,
    KNOWN_MAP,
    KNOWN_CONTEXT_EDGE,
    KNOWN_EMPTY,
    KNOWN_COUNT
};
extern const char *const known_text[KNOWN_COUNT];

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

struct classing {
    uint32_t *of; /* by node; column */
    struct heap_class *classes;
    uint32_t *instances;  /* nodes with size in class order; made on demand */
    uint32_t count, live; /* classes, and those with a sized node (they come first) */
};

struct heap {
    struct pool *pool; /* of all columns */
    struct source source;
    struct layout layout;
    struct strings strings;
    struct scan_state scan;
    uint32_t known[KNOWN_COUNT]; /* string numbers; HEAP_NONE if no string has the text */
    struct heap_columns columns; /* const views of the arrays below */
    uint32_t nodes, edges, root;
    uint8_t *kind, *detachedness;
    uint32_t *name, *id, *self, *first_edge, *edge, *edge_name, *trace;
    uint32_t *dominator;
    uint64_t *retained;
    int32_t *distance;
    bool has_user_root;
    struct place *places;
    uint32_t place_count;
    struct {
        uint64_t at;
        uint32_t count;
    } samples, trace_infos, trace_tree; /* where the timeline's arrays begin; 0 if there are none */
    /* R3: the internal edges that stand for WeakMap entries, by edge number */
    struct weak_pair {
        uint32_t edge, part, table;
    } * weak_pairs;
    uint32_t weak_pair_count;
    uint64_t *weak_pair_source; /* bits: has such an edge; NULL if there are none */
    /* R1: names of detached nodes: string number >= strings.count */
    struct list32 renamed;         /* the string behind "Detached " */
    uint64_t *page_owned;          /* bits */
    struct dominating *dominating; /* between the steps of heap_dominate; owned */
    /* Depth-first numbers from 1: the node, and the number of its dominator. Kept until the sizes
     * are summed. */
    uint32_t *order, *order_dominator;
    uint32_t order_last;
    /* The dominator tree with parents before children: node, and where its subtree ends. */
    uint32_t *tree_node, *tree_end;
    uint64_t *elements, *elements_once; /* bits: the statistics' element stores; nobody else's */
    uint32_t unreachable, max_object_id;
    uint64_t total_size;
    struct heap_statistics statistics;
    struct shapes shapes;
    struct classing classing;
    char *damage;
    int threads;
    int64_t phase_us[HEAP_TIMES];
    struct heap_options options;
    pthread_mutex_t lazy;         /* guards what is made on the first question */
    uint32_t *in_first, *in_edge; /* retainers: made on the first question */
    struct script *scripts;       /* by number; made on the first question */
    size_t script_count;
    bool scripts_known;
};

/* ---- phases, in this order ---- */
int heap_read(struct heap *h, struct err *e) MUST_USE;   /* columns from the file */
int heap_detach(struct heap *h, struct err *e) MUST_USE; /* R1 */
int heap_mark(struct heap *h, struct err *e) MUST_USE;   /* R2 (user roots), R3, R4 */
int heap_own(struct heap *h, struct err *e) MUST_USE;    /* R5, and statistics' elements */
int heap_measure_distances(struct heap *h, struct err *e) MUST_USE; /* R6 */
/* R7 but the sizes, in three steps: the walk and the end take one thread each, what lies between
 * them takes all. */
int heap_dominate_walk(struct heap *h, struct err *e) MUST_USE;
int heap_dominate_group(struct heap *h, struct err *e) MUST_USE;
int heap_dominate_end(struct heap *h, struct err *e) MUST_USE;
void heap_dominate_free(struct heap *h);                    /* if it has not come to its end */
int heap_classify(struct heap *h, struct err *e) MUST_USE;  /* R8 */
int heap_aggregate(struct heap *h, struct err *e) MUST_USE; /* R7's sizes, R9, R10 */

int places_sort(struct heap *h) MUST_USE; /* before heap_find_location; 0 or ERR_NOMEM */
/* R8 with the given definitions, or with its own, which it makes. */
int classify_with(const struct heap *h, const struct shapes *given, struct shapes *made,
    struct classing *out, struct err *e) MUST_USE;
void classing_free(const struct heap *h, struct classing *c);
/* R9 over the nodes in `only` (bits; NULL: all); then the order of the classes, the empty last. */
int classes_sum(const struct heap *h, struct classing *c, const uint64_t *only) MUST_USE;
void classes_order(struct classing *c); /* without changing c->of */
int heap_walk_distances(const struct heap *h, const uint64_t *closed, int32_t *distance,
    struct err *e) MUST_USE; /* R6 without entering the nodes in closed (may be NULL) */

/* ---- strings.c ---- */
int strings_read(struct heap *h, const struct numbers *numbers, uint64_t from, uint64_t *ret_end,
    struct err *e) MUST_USE;
/* Raw bytes between the quotes. */
const uint8_t *string_raw(const struct heap *h, uint32_t number, size_t *ret_length);
/* Whether the string, as it stands in the file, begins with the text or, if whole, is it. */
bool string_begins(const struct heap *h, uint32_t number, const char *text, bool whole);
int string_decode(const uint8_t *raw, size_t length, struct buf *out) MUST_USE;
size_t utf16_length(const char *text, size_t length);

/* "12 / part of key (…) -> value (…) pair in WeakMap (table @7)" (R3): where the pair's identity
 * begins, and the table's id. */
bool weak_pair_parse(const char *text, size_t length, size_t *ret_part, uint32_t *ret_table);

/* ---- work on two threads ---- */
typedef int (*work)(void *arg, int thread, struct err *e);
/* Runs fn once on each of `threads` threads (the caller's is thread 0); the first failure wins. */
int parallel_run(int threads, work fn, void *arg, struct err *e) MUST_USE;

void heap_sort_ids(const struct heap *h, uint32_t *ordinals, size_t count); /* nodes by id */
int heap_build_retainers(struct heap *h, struct err *e) MUST_USE; /* in_first, in_edge; once */
/* The first of the pane, after heap_build_retainers; *ret_any: there is one. ERR_NOMEM. */
int heap_first_retainer(
    struct heap *h, uint32_t node, struct heap_retainer *ret, bool *ret_any) MUST_USE;
int64_t heap_shown_distance(const struct heap *h, uint32_t node); /* as the pane sorts by it */

static inline bool edge_has_text(enum heap_edge_kind kind)
{
    return kind != HEAP_ELEMENT && kind != HEAP_HIDDEN_EDGE;
}
static inline bool heap_is_plain(const struct heap *h, uint32_t node)
{
    return h->kind[node] == HEAP_OBJECT && h->name[node] == h->known[KNOWN_OBJECT];
}
/* Target of the node's first internal edge of that name, or HEAP_NONE. */
uint32_t heap_first_internal(const struct heap *h, uint32_t node, enum known name);
bool heap_is_page_seed(const struct heap *h, uint32_t edge); /* of an edge of the root (R2) */
bool heap_is_user_root(const struct heap *h, uint32_t node); /* of a child of the root */

#endif
