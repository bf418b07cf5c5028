/* Shallow sizes (R5): backing stores, feedback cells and other parts that only one object has count
 * as that object's own. */
#include "heap/inside.h"

#include <string.h>

#define OWNER_NONE     (UINT32_MAX - 1) /* not known yet */
#define OWNER_MULTIPLE UINT32_MAX

struct owning {
    struct heap *heap;
    uint64_t *ownable; /* bits */
    uint32_t *owner;   /* of ownable nodes */
    struct list32 work;
};

static bool is_ownable(const struct heap *h, uint32_t node)
{
    uint8_t kind = h->kind[node];
    return kind == HEAP_HIDDEN || kind == HEAP_ARRAY ||
           (kind == HEAP_NATIVE && h->name[node] == h->known[KNOWN_EXTERNAL_STRING]);
}

/* The targets of the first `elements` edge of arrays, for the statistics: whether anybody else
 * leads to them is found out on the way. */
static void mark_elements(struct heap *h, uint64_t *elements)
{
    if (h->known[KNOWN_ARRAY] == HEAP_NONE || h->known[KNOWN_ELEMENTS] == HEAP_NONE)
        return;
    for (uint32_t i = 0; i < h->nodes; i++) {
        if (h->name[i] != h->known[KNOWN_ARRAY])
            continue;
        uint32_t target = heap_first_internal(h, i, KNOWN_ELEMENTS);
        if (target != HEAP_NONE)
            bit_set(elements, target);
    }
}

uint32_t heap_first_internal(const struct heap *h, uint32_t node, enum known name)
{
    for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1]; k++)
        if (heap_edge_kind(h->edge[k]) == HEAP_INTERNAL && h->edge_name[k] == h->known[name])
            return heap_edge_to(h->edge[k]);
    return HEAP_NONE;
}

/* `owner` reaches the ownable `node`. */
static int own_merge(struct owning *o, uint32_t node, uint32_t owner)
{
    uint32_t old = o->owner[node];
    if (old == owner || old == OWNER_MULTIPLE)
        return 0;
    o->owner[node] = old == OWNER_NONE ? owner : OWNER_MULTIPLE;
    return list32_add(&o->work, node);
}

static int own_from(struct owning *o, uint32_t node, uint32_t owner)
{
    struct heap *h = o->heap;
    for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1]; k++) {
        uint32_t to = heap_edge_to(h->edge[k]);
        if (!bit_get(o->ownable, to) || heap_edge_kind(h->edge[k]) == HEAP_WEAK)
            continue;
        int r = own_merge(o, to, owner);
        if (r < 0)
            return r;
    }
    return 0;
}

/* One pass over all edges: who owns itself says so to its ownable targets, and the targets of
 * `elements` edges are counted. */
static int own_first_pass(struct owning *o, bool owners)
{
    struct heap *h = o->heap;
    uint64_t *once = h->elements_once;
    for (uint32_t i = 0; i < h->nodes; i++) {
        bool self_owned = owners && !bit_get(o->ownable, i);
        for (uint32_t k = h->first_edge[i]; k < h->first_edge[i + 1]; k++) {
            uint32_t to = heap_edge_to(h->edge[k]);
            bool element = bit_get(h->elements, to),
                 ownable = self_owned && bit_get(o->ownable, to);
            if (!(element | ownable))
                continue;
            if (element) {
                if (bit_get(once, to))
                    bit_clear(h->elements, to); /* a second edge: out */
                bit_set(once, to);
            }
            if (ownable && heap_edge_kind(h->edge[k]) != HEAP_WEAK && own_merge(o, to, i) < 0)
                return ERR_NOMEM;
        }
    }
    return 0;
}

static void own_move_sizes(struct owning *o)
{
    struct heap *h = o->heap;
    /* An owner is never ownable, so no size moves twice. */
    for (uint32_t i = 0; i < h->nodes; i++) {
        if (!bit_get(o->ownable, i) || o->owner[i] >= OWNER_NONE)
            continue;
        uint32_t owner = o->owner[i];
        if (h->kind[owner] == HEAP_SYNTHETIC || owner == h->root)
            continue;
        h->self[owner] += h->self[i];
        h->self[i] = 0;
    }
}

int heap_own(struct heap *h, struct err *e)
{
    struct owning o = {.heap = h};
    size_t words = BITS_WORDS(h->nodes);
    int r = ERR_NOMEM;
    h->elements = column_new(h->pool, words, 8);
    h->elements_once = column_new(h->pool, words, 8);
    o.ownable = column_new(h->pool, words, 8);
    o.owner = h->has_user_root ? column_dirty(h->pool, h->nodes, 4) : NULL;
    if (!h->elements || !h->elements_once || !o.ownable || (h->has_user_root && !o.owner))
        goto out;
    mark_elements(h, h->elements);
    if (h->has_user_root) {
        memset(o.owner, 0xff, (size_t)h->nodes * 4);
        for (uint32_t i = 0; i < h->nodes; i++)
            if (is_ownable(h, i)) {
                bit_set(o.ownable, i);
                o.owner[i] = OWNER_NONE;
            }
    }
    r = own_first_pass(&o, h->has_user_root);
    while (r == 0 && o.work.count) {
        uint32_t node = o.work.at[--o.work.count];
        r = own_from(&o, node, o.owner[node]);
    }
    if (r == 0 && h->has_user_root)
        own_move_sizes(&o);
out:
    column_free(h->pool, o.ownable);
    column_free(h->pool, o.owner);
    column_free(h->pool, h->elements_once);
    h->elements_once = NULL;
    list32_free(&o.work);
    return r < 0 ? err_set(e, r, "%s: out of memory", h->source.name) : 0;
}
