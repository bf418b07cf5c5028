/* Long strings, arrays and buffers by place. */
#include "diagnose/longer.h"

#include "base/buf.h"
#include "diagnose/frontier.h"

#include <stdlib.h>
#include <string.h>

#define LONG_BYTES 16384 /* retained, for a string to be remembered */
#define NAME_BYTES 4096
#define EDGES_MAX  4096 /* of an object with named parts; more are a collection */
#define STEP_BYTES 8192 /* that it grows by in each step at the least */

struct held {
    uint64_t place; /* see place_of */
    uint64_t bytes;
};

struct earlier {
    struct held *list; /* sorted by place */
    size_t count;
};

struct longer {
    struct earlier list[BIRTHS_MAX];
    size_t count;
};

struct longer *longer_new(void)
{
    return calloc(1, sizeof(struct longer));
}

void longer_free(struct longer *l)
{
    for (size_t i = 0; l && i < l->count; i++)
        free(l->list[i].list);
    free(l);
}

static bool is_string(const struct heap_columns *c, uint32_t node)
{
    return c->kind[node] == HEAP_STRING || c->kind[node] == HEAP_CONS_STRING ||
           c->kind[node] == HEAP_SLICED_STRING;
}

/* What cannot grow where it is (a string, a typed array), or is often made anew (an array). */
static bool is_block(const struct heap *h, uint32_t node)
{
    static const char *const classes[] = {"Array", "Buffer", "ArrayBuffer", "Uint8Array",
        "Int32Array", "Uint32Array", "Float32Array", "Float64Array", "BigInt64Array"};
    const struct heap_columns *c = heap_columns(h);
    if (is_string(c, node))
        return true;
    if (c->kind[node] != HEAP_OBJECT)
        return false;
    const char *name = frontier_class_name(h, c->class_of[node]);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(name, classes[i]) == 0)
            return true;
    return false;
}

/* A long one that is not a part of another one. */
static bool is_long(const struct heap *h, uint32_t node)
{
    const struct heap_columns *c = heap_columns(h);
    return c->retained[node] >= LONG_BYTES && is_block(h, node) && !is_block(h, c->dominator[node]);
}

static uint32_t holder_of(const struct heap *h, uint32_t node)
{
    const struct heap_columns *c = heap_columns(h);
    do
        node = c->dominator[node];
    while (node != c->root && frontier_is_inside(h, node));
    return node;
}

/* FNV-1a. */
static uint32_t hash_of(const struct buf *text)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < text->length; i++)
        hash = (hash ^ (uint8_t)text->data[i]) * UINT32_C(16777619);
    return hash;
}

/* Of the variable or property that leads to the node; 0: what holds it is a collection. */
static uint32_t name_of(const struct heap *h, uint32_t node)
{
    const struct heap_columns *c = heap_columns(h);
    uint32_t from = c->dominator[node], hash = 0;
    struct buf name = buf_new(NAME_BYTES);
    if (c->first_edge[from + 1] - c->first_edge[from] > EDGES_MAX)
        return 0;
    for (uint32_t k = c->first_edge[from]; k < c->first_edge[from + 1] && !hash; k++) {
        enum heap_edge_kind kind = heap_edge_kind(c->edge[k]);
        if (heap_edge_to(c->edge[k]) == node && (kind == HEAP_CONTEXT || kind == HEAP_PROPERTY) &&
            heap_add_edge_name(h, k, &name) != ERR_NOMEM)
            hash = hash_of(&name);
    }
    buf_free(&name);
    return hash;
}

/* By id of the holder and name: two variables of one function do not stand in for each other. */
static uint64_t place_of(const struct heap *h, uint32_t node)
{
    return (uint64_t)heap_columns(h)->id[holder_of(h, node)] << 32 | name_of(h, node);
}

static int place_order(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

/* One entry a place. */
static void put_together(struct earlier *s)
{
    size_t kept = 0;
    qsort(s->list, s->count, sizeof *s->list, place_order);
    for (size_t i = 0; i < s->count; i++)
        if (kept && s->list[kept - 1].place == s->list[i].place)
            s->list[kept - 1].bytes += s->list[i].bytes;
        else
            s->list[kept++] = s->list[i];
    s->count = kept;
}

static int find_held(const struct heap *h, struct earlier *ret)
{
    const struct heap_columns *c = heap_columns(h);
    size_t count = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        count += is_long(h, i);
    *ret = (struct earlier){.list = calloc(count + 1, sizeof *ret->list)};
    if (!ret->list)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (is_long(h, i))
            ret->list[ret->count++] = (struct held){place_of(h, i), c->retained[i]};
    put_together(ret);
    return 0;
}

int longer_add(struct longer *l, const struct heap *h, struct err *e)
{
    if (l->count == BIRTHS_MAX)
        return err_set(e, ERR_FULL, "more than %d snapshots", BIRTHS_MAX);
    if (find_held(h, &l->list[l->count]) != 0)
        return err_set(e, ERR_NOMEM, "out of memory for the long strings and arrays of a snapshot");
    l->count++;
    return 0;
}

static uint64_t bytes_of(const struct earlier *s, uint64_t place)
{
    const struct held key = {.place = place};
    const struct held *found = bsearch(&key, s->list, s->count, sizeof key, place_order);
    return found ? found->bytes : 0;
}

bool longer_grew(const struct longer *l, const struct heap *last, uint32_t unit,
    uint64_t ret_steps[BIRTHS_MAX + 1])
{
    const struct heap_columns *c = heap_columns(last);
    if (!is_long(last, unit) || l->count == 0)
        return false;
    uint64_t place = place_of(last, unit), before = bytes_of(&l->list[0], place), now = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (is_long(last, i) && place_of(last, i) == place)
            now += c->retained[i];
    for (size_t k = 1; k <= l->count; k++) {
        uint64_t after = k < l->count ? bytes_of(&l->list[k], place) : now;
        if (before == 0 || after < before + STEP_BYTES)
            return false;
        ret_steps[k] = after - before;
        before = after;
    }
    return true;
}
