/* Who holds a node: retainers in the pane's order (R12). */
#include "heap/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX (1u << 20)

int heap_build_retainers(struct heap *h, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&h->lazy);
    if (h->in_edge)
        goto out;
    h->in_first = column_new(h->pool, (size_t)h->nodes + 1, 4);
    uint32_t *in_edge = column_dirty(h->pool, h->edges, 4);
    if (!h->in_first || !in_edge) {
        column_free(h->pool, h->in_first);
        column_free(h->pool, in_edge);
        h->in_first = NULL;
        r = err_set(e, ERR_NOMEM, "out of memory for the index of retainers");
        goto out;
    }
    for (uint32_t k = 0; k < h->edges; k++)
        h->in_first[heap_edge_to(h->edge[k])]++;
    uint32_t sum = 0;
    for (uint32_t i = 0; i <= h->nodes; i++) {
        sum += h->in_first[i];
        h->in_first[i] = sum;
    }
    for (uint32_t k = 0; k < h->edges; k++) /* from behind: later edges first, as in the pane */
        in_edge[--h->in_first[heap_edge_to(h->edge[k])]] = k;
    h->in_edge = in_edge;
out:
    pthread_mutex_unlock(&h->lazy);
    return r;
}

int heap_incoming(
    struct heap *h, uint32_t node, const uint32_t **ret_edges, uint32_t *ret_count, struct err *e)
{
    int r = heap_build_retainers(h, e);
    if (r == 0) {
        *ret_edges = h->in_edge + h->in_first[node];
        *ret_count = h->in_first[node + 1] - h->in_first[node];
    }
    return r;
}

#define UNREACHED_DISTANCE 200000000 /* where the pane sorts what nothing leads to */

int64_t heap_shown_distance(const struct heap *h, uint32_t node)
{
    int32_t d = h->distance[node];
    return d == HEAP_DISTANCE_NONE ? UNREACHED_DISTANCE : d;
}

static bool is_retainer(const struct heap *h, uint32_t edge, uint32_t source)
{
    enum heap_edge_kind kind = heap_edge_kind(h->edge[edge]);
    return source != h->root && kind != HEAP_WEAK &&
           !(kind == HEAP_OTHER_EDGE && h->layout.other_is_invisible);
}

struct held {
    struct heap_retainer at;
    int64_t distance;
    uint32_t slot;
    char *name; /* owned; filled when needed */
    size_t length;
};

static int distance_order(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

static int name_order(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    int order = heap_text_compare(x->name, x->length, y->name, y->length);
    return order ? order : (x->slot > y->slot) - (x->slot < y->slot);
}

static int held_name(const struct heap *h, struct held *x)
{
    struct buf text = buf_new(NAME_BYTES_MAX);
    int r = heap_add_node_name(h, x->at.node, &text);
    if (r == ERR_FULL)
        r = 0; /* names of a megabyte are compared by their beginning */
    x->length = text.length;
    x->name = r == 0 ? buf_take(&text) : NULL;
    buf_free(&text);
    return x->name ? 0 : ERR_NOMEM;
}

/* All retainers, nearest first; within a distance by name, as far as `wanted` reaches. */
static int held_sorted(
    struct heap *h, uint32_t node, size_t wanted, struct held **ret, size_t *ret_count)
{
    uint32_t from = h->in_first[node], to = h->in_first[node + 1];
    struct held *list = calloc((size_t)(to - from) + 1, sizeof *list);
    size_t count = 0;
    int r = 0;
    if (!list)
        return ERR_NOMEM;
    for (uint32_t k = from; k < to; k++) {
        uint32_t edge = h->in_edge[k], source = heap_edge_source(h, edge);
        if (is_retainer(h, edge, source))
            list[count++] = (struct held){
                .at = {edge, source}, .distance = heap_shown_distance(h, source), .slot = k - from};
    }
    qsort(list, count, sizeof *list, distance_order);
    for (size_t i = 0; i < count && i < wanted && r == 0;) {
        size_t end = i + 1;
        while (end < count && list[end].distance == list[i].distance)
            end++;
        if (end > i + 1) {
            for (size_t k = i; k < end && r == 0; k++)
                r = held_name(h, &list[k]);
            if (r == 0)
                qsort(list + i, end - i, sizeof *list, name_order);
        }
        i = end;
    }
    for (size_t i = 0; i < count; i++)
        free(list[i].name);
    if (r < 0) {
        free(list);
        return r;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

int heap_retainers(struct heap *h, uint32_t node, size_t limit, struct heap_retainer **ret_list,
    size_t *ret_count, size_t *ret_total, struct err *e)
{
    struct held *all = NULL;
    size_t total;
    int r = heap_build_retainers(h, e);
    if (r < 0)
        return r;
    if (held_sorted(h, node, limit, &all, &total) < 0)
        return err_set(e, ERR_NOMEM, "out of memory for the retainers");
    size_t count = total < limit ? total : limit;
    struct heap_retainer *list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i] = all[i].at;
    free(all);
    if (!list)
        return err_set(e, ERR_NOMEM, "out of memory for the retainers");
    *ret_list = list;
    *ret_count = count;
    *ret_total = total;
    return 0;
}

/* Most nodes have one nearest retainer, which needs no names. */
int heap_first_retainer(struct heap *h, uint32_t node, struct heap_retainer *ret, bool *ret_any)
{
    int64_t best = INT64_MAX;
    uint32_t ties = 0;
    for (uint32_t k = h->in_first[node]; k < h->in_first[node + 1]; k++) {
        uint32_t edge = h->in_edge[k], source = heap_edge_source(h, edge);
        if (!is_retainer(h, edge, source))
            continue;
        int64_t distance = heap_shown_distance(h, source);
        if (distance > best)
            continue;
        ties = distance < best ? 0 : ties + (source != ret->node);
        if (distance < best)
            *ret = (struct heap_retainer){edge, source};
        best = distance;
    }
    *ret_any = best != INT64_MAX;
    if (ties == 0 || h->in_first[node + 1] - h->in_first[node] > 4096)
        return 0; /* thousands of equals: any of them is as good */
    struct held *all = NULL;
    size_t count;
    int r = held_sorted(h, node, 1, &all, &count);
    if (r == 0 && count)
        *ret = all[0].at;
    free(all);
    return r;
}
