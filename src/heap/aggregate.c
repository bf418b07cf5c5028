/* Sums: retained sizes (R7), classes (R9) and statistics (R10). */
#include "base/clock.h"
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

/* Bits of the nodes that have a depth-first number; NULL, and no error, if all have one. */
static int mark_numbered(struct heap *h, uint64_t **ret)
{
    *ret = NULL;
    if (h->order_last == h->nodes)
        return 0;
    *ret = column_new(h->pool, BITS_WORDS(h->nodes), 8);
    if (!*ret)
        return ERR_NOMEM;
    for (uint32_t w = 1; w <= h->order_last; w++)
        bit_set(*ret, h->order[w]);
    return 0;
}

/* Retained sizes, bottom up over depth-first numbers; then by node. */
static int sum_retained(struct heap *h)
{
    uint32_t last = h->order_last;
    const uint32_t *node = h->order, *dominator = h->order_dominator;
    uint64_t *seen = NULL, *sum = column_dirty(h->pool, (size_t)last + 1, 8);
    h->retained = column_dirty(h->pool, h->nodes, 8);
    int r = sum && h->retained ? mark_numbered(h, &seen) : ERR_NOMEM;
    if (r < 0)
        goto out;
    for (uint32_t w = 1; w <= last; w++)
        sum[w] = h->self[node[w]];
    for (uint32_t w = last; w > 1; w--)
        sum[dominator[w]] += sum[w];
    for (uint32_t i = 0; seen && i < h->nodes; i++)
        if (!bit_get(seen, i)) { /* cycles that nothing essential enters hang on the root alone */
            h->retained[i] = h->self[i];
            sum[1] += h->self[i];
        }
    for (uint32_t w = 1; w <= last; w++)
        h->retained[node[w]] = sum[w];
    column_free(h->pool, sum); /* the next column takes its place */
    sum = NULL;
    h->dominator = column_dirty(h->pool, h->nodes, 4);
    if (!h->dominator) {
        r = ERR_NOMEM;
        goto out;
    }
    for (uint32_t i = 0; seen && i < h->nodes; i++)
        if (!bit_get(seen, i))
            h->dominator[i] = h->root;
    h->dominator[h->root] = h->root;
    for (uint32_t w = 2; w <= last; w++)
        h->dominator[node[w]] = node[dominator[w]];
out:
    column_free(h->pool, sum);
    column_free(h->pool, seen);
    return r;
}

/* Lays the dominator tree out so that every subtree is one range. */
static int lay_out_tree(struct heap *h)
{
    uint32_t last = h->order_last, n = h->nodes;
    const uint32_t *dominator = h->order_dominator;
    /* The size of w's subtree; from when w has its place, the place of its next child. */
    uint32_t *next = column_new(h->pool, (size_t)last + 1, 4);
    h->tree_node = column_dirty(h->pool, n, 4);
    h->tree_end = column_dirty(h->pool, n, 4);
    uint64_t *seen = NULL;
    int r = next && h->tree_node && h->tree_end ? mark_numbered(h, &seen) : ERR_NOMEM;
    if (r < 0)
        goto out;
    for (uint32_t w = last; w > 1; w--)
        next[dominator[w]] += ++next[w];
    h->tree_node[0] = h->root;
    h->tree_end[0] = n;
    next[1] = 1;
    for (uint32_t w = 2; w <= last; w++) {
        uint32_t at = next[dominator[w]], end = at + next[w];
        next[dominator[w]] = end;
        next[w] = at + 1;
        h->tree_node[at] = h->order[w];
        h->tree_end[at] = end;
    }
    for (uint32_t i = 0, at = last; seen && i < n; i++)
        if (!bit_get(seen, i)) {
            h->tree_node[at] = i;
            h->tree_end[at] = at + 1;
            at++;
        }
out:
    column_free(h->pool, seen);
    column_free(h->pool, next);
    return r;
}

/* ---- classes ---- */

static int class_order(const void *a, const void *b)
{
    const struct heap_class *x = a, *y = b;
    if ((x->count == 0) != (y->count == 0))
        return x->count == 0 ? 1 : -1;
    if (x->retained_size != y->retained_size)
        return x->retained_size > y->retained_size ? -1 : 1;
    int order = heap_text_compare(x->name, x->name_length, y->name, y->name_length);
    if (order == 0)
        order = strcmp(x->key, y->key);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

void classes_order(struct classing *c)
{
    qsort(c->classes, c->count, sizeof *c->classes, class_order);
    c->live = 0;
    while (c->live < c->count && c->classes[c->live].count)
        c->live++;
}

/* Brings the classes into order and numbers them anew. */
static int classes_sort(const struct heap *h, struct classing *c)
{
    uint32_t *place = calloc((size_t)c->count + 1, sizeof *place);
    if (!place)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->count; i++)
        c->classes[i].number = i;
    classes_order(c);
    for (uint32_t i = 0; i < c->count; i++) {
        place[c->classes[i].number] = i;
        c->classes[i].number = i;
    }
    for (uint32_t i = 0; i < h->nodes; i++)
        c->of[i] = place[c->of[i]];
    free(place);
    return 0;
}

/* An instance's retained size counts unless an instance of the same class holds it. In the tree's
 * order that is: unless the range of the last one that counted still lasts. */
int classes_sum(const struct heap *h, struct classing *c, const uint64_t *only)
{
    uint32_t *covered = calloc((size_t)c->count + 1, sizeof *covered);
    if (!covered)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->count; i++) {
        struct heap_class *k = &c->classes[i];
        k->count = 0;
        k->self_size = k->retained_size = 0;
        k->distance = INT32_MAX;
    }
    for (uint32_t at = 0; at < h->nodes; at++) {
        if (at + 16 < h->nodes) {
            uint32_t ahead = h->tree_node[at + 16];
            __builtin_prefetch(&h->self[ahead]);
            __builtin_prefetch(&c->of[ahead]);
            __builtin_prefetch(&h->retained[ahead]);
            __builtin_prefetch(&h->distance[ahead]);
        }
        uint32_t node = h->tree_node[at], self = h->self[node];
        if (self == 0 || (only && !bit_get(only, node)))
            continue;
        uint32_t class = c->of[node];
        struct heap_class *k = &c->classes[class];
        k->count++;
        k->self_size += self;
        if (h->distance[node] < k->distance)
            k->distance = h->distance[node];
        if (covered[class] <= at) {
            k->retained_size += h->retained[node];
            covered[class] = h->tree_end[at];
        }
    }
    free(covered);
    return 0;
}

/* ---- statistics ---- */

static void statistics_fill(struct heap *h)
{
    struct heap_statistics s = {.native_total = h->layout.extra_native_bytes};
    for (uint32_t i = 0; i < h->nodes; i++) {
        uint32_t self = h->self[i];
        switch ((enum heap_kind)h->kind[i]) {
        case HEAP_HIDDEN: s.system += self; break;
        case HEAP_NATIVE:
            s.native_total += self;
            if (h->name[i] == h->known[KNOWN_ARRAY_BUFFER])
                s.typed_arrays += self;
            break;
        case HEAP_CODE: s.code += self; break;
        case HEAP_STRING:
        case HEAP_CONS_STRING:
        case HEAP_SLICED_STRING: s.strings += self; break;
        default:
            if (h->name[i] == h->known[KNOWN_ARRAY]) {
                uint32_t store = heap_first_internal(h, i, KNOWN_ELEMENTS);
                s.js_arrays += self;
                if (store != HEAP_NONE && bit_get(h->elements, store))
                    s.js_arrays += h->self[store];
            }
        }
        if (h->id[i] % 2 == 1 && h->id[i] > h->max_object_id)
            h->max_object_id = h->id[i];
    }
    s.total = h->total_size;
    s.v8_total = s.total - s.native_total;
    h->statistics = s;
}

static int aggregate_part(void *arg, int thread, struct err *e)
{
    struct heap *h = arg;
    int r = 0;
    if (thread == 0) {
        if (h->threads < 2)
            r = lay_out_tree(h);
        if (r == 0)
            r = sum_retained(h);
    } else {
        r = lay_out_tree(h);
    }
    return r < 0 ? err_set(e, r, "%s: out of memory", h->source.name) : 0;
}

static int aggregate_end(void *arg, int thread, struct err *e)
{
    struct heap *h = arg;
    int r = 0;
    if (thread == 0)
        r = classes_sum(h, &h->classing, NULL);
    if (thread == 0 && r == 0)
        r = classes_sort(h, &h->classing);
    if (thread == 1 || h->threads < 2)
        statistics_fill(h);
    return r < 0 ? err_set(e, r, "%s: out of memory for its classes", h->source.name) : 0;
}

int heap_aggregate(struct heap *h, struct err *e)
{
    int64_t begun = clock_monotonic_us();
    int r = parallel_run(h->threads, aggregate_part, h, e);
    if (r < 0)
        return r;
    column_free(h->pool, h->order);
    column_free(h->pool, h->order_dominator);
    h->order = h->order_dominator = NULL;
    h->total_size = h->retained[h->root] + h->layout.extra_native_bytes;
    int64_t middle = clock_monotonic_us();
    h->phase_us[HEAP_TIME_RETAINED] = middle - begun;
    r = parallel_run(h->threads, aggregate_end, h, e);
    h->phase_us[HEAP_TIME_AGGREGATE] = clock_monotonic_us() - middle;
    column_free(h->pool, h->elements);
    h->elements = NULL;
    return r;
}
