/* Distances from the user roots (R6): breadth first, edges in file order. */
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 12 /* queue entries whose memory is asked for before their turn */

struct walking {
    struct heap *heap;
    uint64_t *reached; /* bits; a cache holds them, unlike the distances */
    uint64_t *special; /* bits: nodes whose edges are filtered */
    uint64_t *pending; /* bits by pair identity (R6 c) */
    uint64_t pending_count;
    uint32_t *queue;
    uint32_t count;
    const uint64_t *closed; /* nodes that may not be entered, or NULL */
};

static int pair_order(const void *a, const void *b)
{
    const struct weak_pair *x = a, *y = b;
    return (x->edge > y->edge) - (x->edge < y->edge);
}

static const struct weak_pair *pair_of(const struct heap *h, uint32_t edge)
{
    const struct weak_pair key = {.edge = edge};
    return bsearch(&key, h->weak_pairs, h->weak_pair_count, sizeof key, pair_order);
}

/* parseInt of an edge's name; false for NaN. */
static bool edge_index(const struct heap *h, uint32_t edge, double *ret_index)
{
    if (!edge_has_text(heap_edge_kind(h->edge[edge]))) {
        *ret_index = h->edge_name[edge];
        return true;
    }
    struct buf text = buf_new(4096);
    bool found = false;
    if (heap_add_string(h, h->edge_name[edge], &text) >= 0 && text.data) {
        const char *p = text.data;
        while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
            p++;
        const char *digits = p + (*p == '-' || *p == '+');
        if (*digits >= '0' && *digits <= '9') {
            double v = 0;
            for (const char *d = digits; *d >= '0' && *d <= '9'; d++)
                v = v * 10 + (*d - '0');
            *ret_index = *p == '-' ? -v : v;
            found = true;
        }
    }
    buf_free(&text);
    return found;
}

/* The filter for edges out of special nodes; true if the edge may be walked. */
static bool walk_filter(struct walking *w, uint32_t node, uint32_t edge)
{
    const struct heap *h = w->heap;
    enum heap_edge_kind kind = heap_edge_kind(h->edge[edge]);
    if (h->kind[node] == HEAP_HIDDEN && h->name[node] == h->known[KNOWN_NATIVE_CONTEXT] &&
        edge_has_text(kind) && h->edge_name[edge] == h->known[KNOWN_SLOPPY_MAP])
        return false;
    if (h->kind[node] == HEAP_ARRAY && h->name[node] == h->known[KNOWN_MAP_DESCRIPTORS]) {
        double index;
        if (!edge_index(h, edge, &index))
            return true;
        return index < 2 || (int64_t)index % 3 != 1;
    }
    if (kind != HEAP_INTERNAL || !h->weak_pair_source || !bit_get(h->weak_pair_source, node))
        return true;
    const struct weak_pair *pair = pair_of(h, edge);
    if (!pair)
        return true;
    if (bit_get(w->pending, pair->part)) {
        bit_clear(w->pending, pair->part);
        return true;
    }
    bit_set(w->pending, pair->part);
    return false;
}

static void walk(struct walking *w, int32_t *distance)
{
    const struct heap *h = w->heap;
    const uint32_t *first = h->first_edge, *edges = h->edge;
    for (uint32_t at = 0; at < w->count; at++) {
        if (at + 2 * AHEAD < w->count)
            __builtin_prefetch(&first[w->queue[at + 2 * AHEAD]]);
        if (at + AHEAD < w->count)
            __builtin_prefetch(&edges[first[w->queue[at + AHEAD]]]);
        uint32_t node = w->queue[at];
        int32_t next = distance[node] + 1;
        bool special = bit_get(w->special, node);
        for (uint32_t k = first[node]; k < first[node + 1]; k++) {
            uint32_t to = heap_edge_to(edges[k]);
            if (bit_get(w->reached, to) || heap_edge_kind(edges[k]) == HEAP_WEAK)
                continue;
            if (special && !walk_filter(w, node, k))
                continue;
            if (w->closed && bit_get(w->closed, to))
                continue;
            bit_set(w->reached, to);
            distance[to] = next;
            w->queue[w->count++] = to;
        }
    }
}

static void find_special(struct walking *w)
{
    const struct heap *h = w->heap;
    if (h->weak_pair_source)
        memcpy(w->special, h->weak_pair_source, BITS_WORDS(h->nodes) * 8);
    for (uint32_t i = 0; i < h->nodes; i++)
        if ((h->kind[i] == HEAP_HIDDEN && h->name[i] == h->known[KNOWN_NATIVE_CONTEXT]) ||
            (h->kind[i] == HEAP_ARRAY && h->name[i] == h->known[KNOWN_MAP_DESCRIPTORS]))
            bit_set(w->special, i);
}

int heap_walk_distances(
    const struct heap *h, const uint64_t *closed, int32_t *distance, struct err *e)
{
    struct walking w = {.heap = (struct heap *)(uintptr_t)h, .closed = closed};
    size_t words = BITS_WORDS(h->nodes);
    uint32_t parts = 0, root_edges = h->first_edge[h->root + 1] - h->first_edge[h->root];
    int r = ERR_NOMEM;
    for (uint32_t i = 0; i < h->weak_pair_count; i++)
        parts = h->weak_pairs[i].part >= parts ? h->weak_pairs[i].part + 1 : parts;
    w.reached = column_new(h->pool, words, 8);
    w.special = column_new(h->pool, words, 8);
    w.pending = column_new(h->pool, BITS_WORDS(parts), 8);
    w.queue = column_dirty(h->pool, (size_t)h->nodes + root_edges, 4);
    if (!w.reached || !w.special || !w.pending || !w.queue)
        goto out;
    r = 0;
    find_special(&w);
    for (uint32_t i = 0; i < h->nodes; i++)
        distance[i] = HEAP_DISTANCE_NONE;
    /* A user root that several edges name is gone through as often, as in DevTools: what the filter
     * dropped of a WeakMap's pair the first time it lets pass the second time. */
    for (uint32_t k = h->first_edge[h->root]; k < h->first_edge[h->root + 1]; k++) {
        uint32_t to = heap_edge_to(h->edge[k]);
        if (!heap_is_user_root(h, to) || (closed && bit_get(closed, to)))
            continue;
        bit_set(w.reached, to);
        distance[to] = 1;
        w.queue[w.count++] = to;
    }
    bool had = w.count > 0;
    walk(&w, distance);
    distance[h->root] = had ? HEAP_DISTANCE_SYSTEM : 0;
    bit_set(w.reached, h->root);
    w.queue[0] = h->root;
    w.count = 1;
    walk(&w, distance);
out:
    column_free(h->pool, w.reached);
    column_free(h->pool, w.special);
    column_free(h->pool, w.pending);
    column_free(h->pool, w.queue);
    return r < 0 ? err_set(e, r, "%s: out of memory", h->source.name) : 0;
}

int heap_measure_distances(struct heap *h, struct err *e)
{
    h->distance = column_dirty(h->pool, h->nodes, 4);
    if (!h->distance)
        return err_set(e, ERR_NOMEM, "%s: out of memory", h->source.name);
    return heap_walk_distances(h, NULL, h->distance, e);
}
