/* Names as DevTools shows them (R13), and finding nodes by id. */
#include "heap/shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONS_NAME_MAX  1024 /* UTF-16 units after which no further leaf is added */
#define PLAIN_NAME_MAX 100  /* UTF-16 units of "{a, b, …, y, z}" */
#define NAME_MAX_BYTES (UINT64_C(1) << 31)

/* The two halves of a concatenated string; the last of each name before both are found counts. */
static void cons_parts(const struct heap *h, uint32_t node, uint32_t *first, uint32_t *second)
{
    *first = *second = HEAP_NONE;
    for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1]; k++) {
        if (*first != HEAP_NONE && *second != HEAP_NONE)
            return;
        if (heap_edge_kind(h->edge[k]) != HEAP_INTERNAL)
            continue;
        if (h->edge_name[k] == h->known[KNOWN_FIRST])
            *first = heap_edge_to(h->edge[k]);
        else if (h->edge_name[k] == h->known[KNOWN_SECOND])
            *second = heap_edge_to(h->edge[k]);
    }
}

/* A cycle, which only a damaged file can have, ends when as many steps were made as there are nodes
 * in a string of the greatest length. */
static int add_cons_name(const struct heap *h, uint32_t node, struct buf *out)
{
    struct list32 todo = {0};
    size_t units = 0, begin = out->length, steps = 0;
    int r = list32_add(&todo, node);
    while (r == 0 && todo.count && units < CONS_NAME_MAX && steps++ < 64 * CONS_NAME_MAX) {
        uint32_t at = todo.at[--todo.count], first, second;
        if (h->kind[at] != HEAP_CONS_STRING) {
            r = heap_add_string(h, h->name[at], out);
            units = out->length > begin ? utf16_length(out->data + begin, out->length - begin) : 0;
            continue;
        }
        cons_parts(h, at, &first, &second);
        /* A half that is missing is taken for the root's ordinal 0 by DevTools, whose name is
         * empty. */
        if (second != HEAP_NONE)
            r = list32_add(&todo, second);
        if (r == 0 && first != HEAP_NONE)
            r = list32_add(&todo, first);
    }
    list32_free(&todo);
    return r;
}

/* One property's name of the list, formatted, behind what scratch holds. */
static int plain_part(const struct heap *h, uint32_t edge, struct buf *raw, struct buf *formatted)
{
    buf_clear(raw);
    buf_clear(formatted);
    int r = heap_add_string(h, h->edge_name[edge], raw);
    return r < 0 ? r : shape_format_name(formatted, raw->data ? raw->data : "", raw->length);
}

/* Properties from the front and the back in turn while they fit. */
static int add_plain_name(const struct heap *h, uint32_t node, struct buf *out)
{
    struct list32 edges = {0}, tail = {0};
    struct buf raw = buf_new(NAME_MAX_BYTES), part = buf_new(NAME_MAX_BYTES);
    size_t start = 1, end = 1, low = 0;
    bool back = false, cut = false;
    int r = 0;
    for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1] && r == 0; k++)
        if (heap_edge_kind(h->edge[k]) == HEAP_PROPERTY && h->edge_name[k] != h->known[KNOWN_PROTO])
            r = list32_add(&edges, k);
    size_t high = edges.count;
    if (r == 0)
        r = buf_add(out, "{", 1);
    while (r == 0 && low < high) {
        uint32_t edge = back ? edges.at[high - 1] : edges.at[low];
        if ((r = plain_part(h, edge, &raw, &part)) < 0)
            break;
        size_t units = part.length ? utf16_length(part.data, part.length) : 0;
        if (start > 1 && start + end + units > PLAIN_NAME_MAX) {
            cut = true;
            break;
        }
        if (back) {
            high--;
            end += units + (end > 1 ? 2 : 0);
            r = list32_add(&tail, edge);
        } else {
            low++;
            if (start > 1)
                r = buf_add(out, ", ", 2);
            if (r == 0)
                r = buf_add(out, part.data ? part.data : "", part.length);
            start += units + (start > 1 ? 2 : 0);
        }
        back = !back;
    }
    if (r == 0 && cut)
        r = buf_add_text(out, ", …");
    for (size_t i = tail.count; i > 0 && r == 0; i--) {
        if ((r = buf_add(out, ", ", 2)) == 0 &&
            (r = plain_part(h, tail.at[i - 1], &raw, &part)) == 0)
            r = buf_add(out, part.data ? part.data : "", part.length);
    }
    if (r == 0)
        r = buf_add(out, "}", 1);
    list32_free(&edges);
    list32_free(&tail);
    buf_free(&raw);
    buf_free(&part);
    return r;
}

int heap_add_node_name(const struct heap *h, uint32_t node, struct buf *out)
{
    if (h->kind[node] == HEAP_CONS_STRING)
        return add_cons_name(h, node, out);
    if (heap_is_plain(h, node))
        return add_plain_name(h, node, out);
    return heap_add_string(h, h->name[node], out);
}

int heap_add_edge_name(const struct heap *h, uint32_t edge, struct buf *out)
{
    enum heap_edge_kind kind = heap_edge_kind(h->edge[edge]);
    if (!edge_has_text(kind))
        return buf_addf(out, "%u", h->edge_name[edge]);
    return heap_add_string(h, h->edge_name[edge], out);
}

/* ---- ids ---- */

static int id_order(const void *a, const void *b, void *arg)
{
    const struct heap *h = arg;
    uint32_t x = h->id[*(const uint32_t *)a], y = h->id[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

void heap_sort_ids(const struct heap *h, uint32_t *ordinals, size_t count)
{
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = h->id[ordinals[i - 1]] <= h->id[ordinals[i]];
    if (!sorted)
        qsort_r(ordinals, count, sizeof *ordinals, id_order, (void *)(uintptr_t)h);
}

uint32_t heap_find_id(const struct heap *h, uint32_t id)
{
    for (uint32_t i = 0; i < h->nodes; i++) /* tens of milliseconds for the largest files */
        if (h->id[i] == id)
            return i;
    return HEAP_NONE;
}
