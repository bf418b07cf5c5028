/* The allocation timeline of a heap: its samples, and the trees of stacks that V8 has traced. Read
 * from the file's mapping when they are asked for; DevTools' rules for both are restated at R14 of
 * its own code's buildSamples and AllocationProfile. */
#include "base/array.h"
#include "heap/allocations_inside.h"
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX   4096u /* of a trace tree; V8 keeps at most 64 frames */
#define INFO_FIELDS 6     /* function_id, name, script_name, script_id, line, column */

/* ---- numbers, commas and brackets ---- */

struct scan {
    const struct heap *heap;
    const char *section;
    uint64_t at; /* offset in the file */
};

static int scan_bad(const struct scan *s, struct err *e)
{
    return source_bad(&s->heap->source, s->at, e, "\"%s\" is broken here", s->section);
}

static int scan_token(struct scan *s)
{
    const struct source *file = &s->heap->source;
    while (s->at < file->size) {
        uint8_t c = file->map[s->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return c;
        s->at++;
    }
    return -1;
}

static bool scan_take(struct scan *s, char want)
{
    bool there = scan_token(s) == want;
    s->at += there;
    return there;
}

static bool scan_number(struct scan *s, uint64_t *ret)
{
    const struct source *file = &s->heap->source;
    uint64_t value = 0;
    int c = scan_token(s);
    if (c < '0' || c > '9')
        return false;
    for (; s->at < file->size && file->map[s->at] >= '0' && file->map[s->at] <= '9'; s->at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(file->map[s->at] - '0'), &value))
            return false;
    *ret = value;
    return true;
}

/* A row of numbers, the first of an array or behind a comma. 1: there is one, 0: the array ends. */
static int scan_row(struct scan *s, bool first, uint64_t *row, size_t width, struct err *e)
{
    if (scan_take(s, ']'))
        return 0;
    for (size_t i = 0; i < width; i++)
        if ((!(first && i == 0) && !scan_take(s, ',')) || !scan_number(s, &row[i]))
            return scan_bad(s, e);
    return 1;
}

/* ---- samples ---- */

static int read_samples(struct allocations *a, const struct heap *h, struct err *e)
{
    struct scan s = {h, "samples", h->samples.at + 1};
    uint64_t row[2], last = 0;
    int more;
    while ((more = scan_row(&s, a->interval_count == 0, row, 2, e)) > 0) {
        if (row[1] < last || row[1] > UINT32_MAX) /* the search below needs them ascending */
            return scan_bad(&s, e);
        last = row[1];
        if (!array_more(&a->intervals, a->interval_count))
            return err_set(e, ERR_NOMEM, "no memory for the timeline");
        double end_ms = (double)row[0] / 1000;
        double start_ms = a->interval_count ? a->intervals[a->interval_count - 1].end_ms : 0;
        a->intervals[a->interval_count++] = (struct allocation_interval){
            .start_ms = start_ms, .end_ms = end_ms, .last_id = (uint32_t)row[1]};
    }
    return more;
}

/* The first interval whose last id is not below id; interval_count behind the last. */
static uint32_t interval_of(const struct allocations *a, uint32_t id)
{
    uint32_t low = 0, high = a->interval_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (a->intervals[middle].last_id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- functions and stacks ---- */

static int text_of(const struct heap *h, uint64_t number, struct buf *text, struct err *e)
{
    buf_clear(text);
    int rc = number < h->strings.count ? heap_add_string(h, (uint32_t)number, text) : 0;
    if (rc == 0) /* a NUL ends a C text: what is behind it is lost, and nothing else */
        rc = buf_add(text, "", 1);
    return rc ? err_set(e, rc, "no memory for the names of functions") : 0;
}

static int read_functions(struct allocations *a, const struct heap *h, struct err *e)
{
    struct scan s = {h, "trace_function_infos", h->trace_infos.at + 1};
    uint64_t row[INFO_FIELDS];
    struct buf name = buf_new(UINT32_MAX), url = buf_new(UINT32_MAX);
    uint32_t ignored;
    int more = 0, rc = 0;
    while (rc == 0 && (more = scan_row(&s, a->frame_count == 0, row, INFO_FIELDS, e)) > 0) {
        rc = text_of(h, row[1], &name, e);
        if (rc == 0)
            rc = text_of(h, row[2], &url, e);
        struct allocation_frame frame = {.function = name.data,
            .url = url.data,
            .line = row[4] <= UINT32_MAX ? (uint32_t)row[4] : 0,
            .column = row[5] <= UINT32_MAX ? (uint32_t)row[5] : 0};
        if (rc == 0)
            rc = allocations_add_frame(a, &frame, &ignored, e);
    }
    a->function_count = a->frame_count;
    buf_free(&name);
    buf_free(&url);
    return rc ? rc : more;
}

struct traced { /* a trace node by its id */
    uint64_t id;
    uint32_t node;
};

static int by_id(const void *x, const void *y)
{
    const struct traced *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

static int64_t amount(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* id, function_info_index, count, size, [children, flat]. */
static int read_tree(struct allocations *a, const struct heap *h, struct list32 *ids, struct err *e)
{
    struct scan s = {h, "trace_tree", h->trace_tree.at + 1};
    uint32_t stack[DEPTH_MAX], depth = 0, unknown = ALLOCATION_NONE, node;
    bool first = true;
    uint64_t row[4];
    const struct allocation_frame none = {"(unknown)", "", 0, 0};
    for (;;) {
        int more = scan_row(&s, first, row, 4, e);
        if (more < 0)
            return more;
        if (more == 0) {
            if (depth-- == 0)
                return 0;
            first = false;
            continue;
        }
        if (!scan_take(&s, ',') || !scan_take(&s, '[') || depth == DEPTH_MAX || row[0] > UINT32_MAX)
            return scan_bad(&s, e);
        if (row[1] >= a->function_count && unknown == ALLOCATION_NONE) {
            int rc = allocations_add_frame(a, &none, &unknown, e);
            if (rc)
                return rc;
        }
        struct allocation_node made = {.parent = depth ? stack[depth - 1] : ALLOCATION_NONE,
            .frame = row[1] < a->function_count ? (uint32_t)row[1] : unknown,
            .count = amount(row[2]),
            .bytes = amount(row[3])};
        int rc = allocations_add_node(a, &made, &node, e);
        if (rc == 0 && list32_add(ids, (uint32_t)row[0]) < 0)
            rc = err_set(e, ERR_NOMEM, "no memory for stacks");
        if (rc)
            return rc;
        stack[depth++] = node;
        first = true;
    }
}

/* ---- what lives ---- */

static void count_live(struct allocations *a, const struct heap *h, const struct traced *traced)
{
    uint32_t before = a->interval_count ? a->intervals[0].last_id : 0;
    for (uint32_t i = 0; i < h->nodes; i++) {
        uint32_t id = h->id[i], trace = h->trace ? h->trace[i] : 0;
        if (trace && a->node_count) {
            struct traced key = {trace, 0};
            const struct traced *found =
                bsearch(&key, traced, a->node_count, sizeof *traced, by_id);
            if (found) {
                a->nodes[found->node].live_count++;
                a->nodes[found->node].live_bytes += h->self[i];
            }
        }
        if (id % 2 == 0) /* native objects: V8 gives them ids of another kind */
            continue;
        uint32_t interval = interval_of(a, id);
        if (interval == a->interval_count)
            continue;
        a->intervals[interval].live_count++;
        a->intervals[interval].live_bytes += h->self[i];
        a->recorded += id > before;
        a->recorded_with_stack += id > before && trace;
    }
}

int allocations_from_heap(const struct heap *h, struct allocations **ret, struct err *e)
{
    struct list32 ids = {0};
    struct traced *traced = NULL;
    struct allocations *a = calloc(1, sizeof *a);
    int rc = a ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc)
        return rc;
    a->samples = ALLOCATION_UNKNOWN;
    if (h->samples.at)
        rc = read_samples(a, h, e);
    if (rc == 0 && h->trace_infos.at && h->layout.trace_info_fields == INFO_FIELDS)
        rc = read_functions(a, h, e);
    if (rc == 0 && h->trace_tree.at)
        rc = read_tree(a, h, &ids, e);
    if (rc == 0 && !(traced = calloc((size_t)a->node_count + 1, sizeof *traced)))
        rc = err_set(e, ERR_NOMEM, "no memory for stacks");
    if (rc == 0) {
        for (uint32_t i = 0; i < a->node_count; i++)
            traced[i] = (struct traced){ids.at[i], i};
        qsort(traced, a->node_count, sizeof *traced, by_id);
        count_live(a, h, traced);
    }
    free(traced);
    list32_free(&ids);
    if (rc)
        allocations_free(a);
    else
        *ret = a;
    return rc;
}
