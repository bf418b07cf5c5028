/* Native contexts (R15): which of them each node belongs to. An object has its map, the map its own
 * map, and that one names the native context; what has no such way belongs to whatever reaches it.
 */
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

static bool is_native_context(const struct heap *h, uint32_t node)
{
    uint32_t string = h->name[node];
    if (string >= h->strings.count) { /* "Detached " and that string; or cut off with the file */
        if (string - h->strings.count >= h->renamed.count)
            return false;
        string = h->renamed.at[string - h->strings.count];
    }
    return string_begins(h, string, "system / NativeContext", true) ||
           string_begins(h, string, "system / NativeContext / ", false) ||
           string_begins(h, string, "Detached system / NativeContext", true) ||
           string_begins(h, string, "Detached system / NativeContext / ", false);
}

/* The native context that the node's map leads to, or HEAP_REALM_NONE. */
static uint32_t fixed_realm(const struct heap *h, const uint64_t *contexts, uint32_t node)
{
    uint32_t map = heap_first_internal(h, node, KNOWN_MAP);
    uint32_t meta = map == HEAP_NONE ? HEAP_NONE : heap_first_internal(h, map, KNOWN_MAP);
    if (meta == HEAP_NONE)
        return HEAP_REALM_NONE;
    for (uint32_t k = h->first_edge[meta]; k < h->first_edge[meta + 1]; k++) {
        uint32_t to = heap_edge_to(h->edge[k]);
        if (heap_edge_kind(h->edge[k]) == HEAP_INTERNAL &&
            h->edge_name[k] == h->known[KNOWN_CONTEXT_EDGE] && bit_get(contexts, to))
            return to;
    }
    return HEAP_REALM_NONE;
}

/* Gives `node`'s realm to what it reaches and has none; two realms make it shared. A node's realm
 * changes twice at the most. */
static int spread(
    const struct heap *h, uint32_t *of, const uint64_t *fixed, uint32_t node, struct list32 *todo)
{
    for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1]; k++) {
        enum heap_edge_kind kind = heap_edge_kind(h->edge[k]);
        uint32_t to = heap_edge_to(h->edge[k]);
        if (kind == HEAP_SHORTCUT || kind == HEAP_WEAK || to == node || bit_get(fixed, to) ||
            of[to] == of[node] || of[to] == HEAP_REALM_SHARED)
            continue;
        of[to] = of[to] == HEAP_REALM_NONE ? of[node] : HEAP_REALM_SHARED;
        if (list32_add(todo, to) < 0)
            return ERR_NOMEM;
    }
    return 0;
}

int heap_realms(const struct heap *h, uint32_t **ret_of, struct err *e)
{
    uint64_t *contexts = calloc(BITS_WORDS(h->nodes), 8), *fixed = calloc(BITS_WORDS(h->nodes), 8);
    uint32_t *of = malloc(((size_t)h->nodes + 1) * sizeof *of);
    struct list32 todo = {0};
    int r = contexts && fixed && of ? 0 : ERR_NOMEM;
    for (uint32_t i = 0; i < h->nodes && r == 0; i++)
        if (is_native_context(h, i))
            bit_set(contexts, i);
    for (uint32_t i = 0; i < h->nodes && r == 0; i++) {
        of[i] = bit_get(contexts, i) ? i : fixed_realm(h, contexts, i);
        if (of[i] == HEAP_REALM_NONE)
            continue;
        bit_set(fixed, i);
        r = list32_add(&todo, i);
    }
    while (r == 0 && todo.count) {
        uint32_t node = todo.at[--todo.count];
        r = spread(h, of, fixed, node, &todo);
    }
    free(contexts);
    free(fixed);
    list32_free(&todo);
    if (r < 0) {
        free(of);
        return err_set(e, ERR_NOMEM, "out of memory for the native contexts");
    }
    *ret_of = of;
    return 0;
}

int heap_realm_sizes(
    const struct heap *h, const uint32_t *of, struct heap_realms *ret, struct err *e)
{
    struct heap_realms all = {0};
    uint64_t *size = calloc((size_t)h->nodes + 1, sizeof *size);
    struct list32 nodes = {0};
    int r = size ? 0 : ERR_NOMEM;
    for (uint32_t i = 0; i < h->nodes && r == 0; i++) {
        if (of[i] == HEAP_REALM_SHARED)
            all.shared += h->self[i];
        else if (of[i] == HEAP_REALM_NONE)
            all.none += h->self[i];
        else
            size[of[i]] += h->self[i];
        if (of[i] == i) /* native contexts alone are their own */
            r = list32_add(&nodes, i);
    }
    if (r == 0 && !(all.list = calloc(nodes.count + 1, sizeof *all.list)))
        r = ERR_NOMEM;
    for (size_t i = 0; i < nodes.count && r == 0; i++)
        all.list[all.count++] = (struct heap_realm){nodes.at[i], size[nodes.at[i]]};
    list32_free(&nodes);
    free(size);
    if (r < 0)
        return err_set(e, ERR_NOMEM, "out of memory for the native contexts");
    *ret = all;
    return 0;
}
