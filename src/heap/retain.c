/* Who holds a node: retainers in the pane's order (R12), the shortest way from the roots, and the
 * ways of many nodes put together. */
#include "heap/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX (1u << 20)
#define TEXT_BYTES_MAX (8u << 20) /* of one path's text */

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

static int64_t shown_distance(const struct heap *h, uint32_t node)
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
                .at = {edge, source}, .distance = shown_distance(h, source), .slot = k - from};
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

/* The pane's first retainer. Most nodes have one nearest retainer, which needs no names. */
static int first_retainer(struct heap *h, uint32_t node, struct heap_retainer *ret, bool *ret_any)
{
    int64_t best = INT64_MAX;
    uint32_t ties = 0;
    for (uint32_t k = h->in_first[node]; k < h->in_first[node + 1]; k++) {
        uint32_t edge = h->in_edge[k], source = heap_edge_source(h, edge);
        if (!is_retainer(h, edge, source))
            continue;
        int64_t distance = shown_distance(h, source);
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

int heap_path(struct heap *h, uint32_t node, struct heap_retainer **ret_steps, size_t *ret_count,
    bool *ret_cut, struct err *e)
{
    int r = heap_build_retainers(h, e);
    if (r < 0)
        return r;
    struct heap_retainer *steps = calloc(HEAP_PATH_MAX, sizeof *steps);
    size_t count = 0;
    bool any = true;
    *ret_cut = false;
    r = steps ? 0 : ERR_NOMEM;
    while (r == 0 && h->distance[node] > 1) {
        struct heap_retainer step = {0};
        if ((r = first_retainer(h, node, &step, &any)) < 0 || !any)
            break;
        /* Ever nearer to the roots, or it would be a circle. */
        if (shown_distance(h, step.node) >= shown_distance(h, node))
            break;
        if (count == HEAP_PATH_MAX) {
            *ret_cut = true;
            break;
        }
        steps[count++] = step;
        node = step.node;
    }
    if (r < 0) {
        free(steps);
        return err_set(e, r, "out of memory for a path");
    }
    for (size_t i = 0; i < count / 2; i++) {
        struct heap_retainer swap = steps[i];
        steps[i] = steps[count - 1 - i];
        steps[count - 1 - i] = swap;
    }
    *ret_steps = steps;
    *ret_count = count;
    return 0;
}

static const char *class_name(const struct heap *h, uint32_t node)
{
    return h->classing.classes[h->classing.of[node]].name;
}

/* An edge as a person would write it: .name, [3], and in words what is none of JavaScript's. */
static int add_step(const struct heap *h, uint32_t edge, bool merge, struct buf *out)
{
    enum heap_edge_kind kind = heap_edge_kind(h->edge[edge]);
    if (kind == HEAP_ELEMENT || kind == HEAP_HIDDEN_EDGE)
        return merge ? buf_add_text(out, "[]") : buf_addf(out, "[%u]", h->edge_name[edge]);
    int r = 0;
    size_t begin = out->length;
    if (kind == HEAP_CONTEXT)
        r = buf_add_text(out, "variable ");
    if (r == 0)
        r = heap_add_string(h, h->edge_name[edge], out);
    if (r < 0 || !merge)
        return r;
    /* Names that carry ids or numbers, such as WeakMap pairs, are merged, too. */
    size_t to = begin;
    for (size_t i = begin; i < out->length; i++) {
        bool digit = out->data[i] >= '0' && out->data[i] <= '9';
        if (digit && to > begin && out->data[to - 1] == '#')
            continue;
        out->data[to++] = digit ? '#' : out->data[i];
    }
    out->length = to;
    out->data[to] = '\0';
    return 0;
}

enum path_style { PATH_PLAIN, PATH_MERGED, PATH_WITH_IDS };

static int add_path(const struct heap *h, const struct heap_retainer *steps, size_t count, bool cut,
    uint32_t node, enum path_style style, struct buf *out)
{
    bool merge = style == PATH_MERGED;
    int r = cut ? buf_add_text(out, "… → ") : 0;
    uint32_t start = count ? steps[0].node : node;
    if (r == 0)
        r = h->distance[start] == 1 && h->kind[start] != HEAP_SYNTHETIC
                ? buf_addf(out, "(global) %s", class_name(h, start))
                : buf_addf(out, "%s", class_name(h, start));
    for (size_t i = 0; i < count && r == 0; i++) {
        uint32_t to = i + 1 < count ? steps[i + 1].node : node;
        if ((r = buf_add_text(out, " → ")) == 0 &&
            (r = add_step(h, steps[i].edge, merge, out)) == 0)
            r = buf_addf(out, ": %s", class_name(h, to));
        if (r == 0 && style == PATH_WITH_IDS && to != node)
            r = buf_addf(out, " @%u", h->id[to]);
    }
    return r;
}

int heap_add_path(const struct heap *h, const struct heap_retainer *steps, size_t count, bool cut,
    uint32_t node, struct buf *out)
{
    return add_path(h, steps, count, cut, node, PATH_PLAIN, out);
}

int heap_add_path_with_ids(const struct heap *h, const struct heap_retainer *steps, size_t count,
    bool cut, uint32_t node, struct buf *out)
{
    return add_path(h, steps, count, cut, node, PATH_WITH_IDS, out);
}

static int group_order(const void *a, const void *b)
{
    const struct heap_path_group *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->text, y->text);
}

int heap_group_paths(struct heap *h, const uint32_t *nodes, size_t count,
    struct heap_path_group **ret_groups, size_t *ret_count, size_t *ret_followed, struct err *e)
{
    struct names texts = {0};
    struct heap_path_group *groups = NULL;
    size_t capacity = 0, followed = 0, step = count / HEAP_PATHS_MAX + 1;
    struct buf text = buf_new(TEXT_BYTES_MAX);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i += step, followed++) {
        struct heap_retainer *steps = NULL;
        size_t length;
        bool cut;
        uint32_t number;
        if ((r = heap_path(h, nodes[i], &steps, &length, &cut, e)) < 0)
            break;
        buf_clear(&text);
        r = add_path(h, steps, length, cut, nodes[i], PATH_MERGED, &text);
        free(steps);
        if (r == 0)
            r = names_add(&texts, text.data, text.length, &number);
        if (r == 0 && number == capacity) {
            size_t larger = 2 * capacity + 64;
            struct heap_path_group *g = reallocarray(groups, larger, sizeof *g);
            if (!g) {
                r = ERR_NOMEM;
                break;
            }
            groups = g;
            memset(groups + capacity, 0, (larger - capacity) * sizeof *groups);
            capacity = larger;
        }
        if (r < 0) {
            r = err_set(e, r, "out of memory for paths");
            break;
        }
        if (groups[number].count++ == 0)
            groups[number].example = nodes[i];
        groups[number].self_size += h->self[nodes[i]];
    }
    buf_free(&text);
    if (r < 0) {
        names_free(&texts);
        free(groups);
        return r;
    }
    *ret_count = texts.count;
    for (uint32_t i = 0; i < texts.count; i++) {
        groups[i].text = texts.text[i];
        texts.text[i] = NULL; /* taken */
    }
    if (groups)
        qsort(groups, texts.count, sizeof *groups, group_order);
    names_free(&texts);
    *ret_groups = groups;
    *ret_followed = followed;
    return 0;
}

void heap_path_groups_free(struct heap_path_group *groups, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(groups[i].text);
    free(groups);
}
