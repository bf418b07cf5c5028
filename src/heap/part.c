/* Parts of a snapshot: named filters (R9), duplicate strings (R15), instances of a class, and what
 * a node dominates. */
#include "base/array.h"
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX (64u << 20)

static uint64_t *bits_new(const struct heap *h)
{
    return calloc(BITS_WORDS(h->nodes), 8);
}

static int no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory for a part of the snapshot");
}

/* ---- which nodes a filter must not enter ---- */

/* By string, looked at once: 0 unknown, 1 no, 2 yes. */
static int close_contexts(const struct heap *h, uint64_t *closed)
{
    uint8_t *state = calloc((size_t)h->strings.count + 1, 1);
    if (!state)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < h->nodes; i++) {
        uint32_t name = h->name[i];
        if (name >= h->strings.count)
            continue;
        if (state[name] == 0)
            state[name] = string_begins(h, name, "system / Context", true) ||
                                  string_begins(h, name, "system / Context / ", false)
                              ? 2
                              : 1;
        if (state[name] == 2)
            bit_set(closed, i);
    }
    free(state);
    return 0;
}

/* Target of the first edge of whatever kind with that name. */
static uint32_t edge_target(const struct heap *h, uint32_t node, const char *name, uint32_t index)
{
    for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1]; k++) {
        bool text = edge_has_text(heap_edge_kind(h->edge[k]));
        if (text ? string_begins(h, h->edge_name[k], name, true) : h->edge_name[k] == index)
            return heap_edge_to(h->edge[k]);
    }
    return HEAP_NONE;
}

static void close_handlers(const struct heap *h, uint64_t *closed)
{
    for (uint32_t i = 0; i < h->nodes; i++) {
        if (h->kind[i] != HEAP_NATIVE && h->kind[i] != HEAP_OBJECT)
            continue;
        if (!string_begins(h, h->name[i], "V8EventListener", true))
            continue;
        uint32_t callback = edge_target(h, i, "1", 1);
        if (callback == HEAP_NONE)
            continue;
        uint32_t handler = callback;
        if (edge_target(h, callback, "code", HEAP_NONE) == HEAP_NONE)
            for (uint32_t k = h->first_edge[callback]; k < h->first_edge[callback + 1]; k++)
                if (edge_target(h, heap_edge_to(h->edge[k]), "code", HEAP_NONE) != HEAP_NONE) {
                    handler = heap_edge_to(h->edge[k]);
                    break;
                }
        bit_set(closed, handler);
    }
}

static bool is_console_edge(const struct heap *h, uint32_t edge)
{
    static const char tail[] = " / DevTools console";
    size_t length;
    if (!edge_has_text(heap_edge_kind(h->edge[edge])))
        return false;
    const uint8_t *raw = string_raw(h, h->edge_name[edge], &length);
    return length >= sizeof tail - 1 &&
           memcmp(raw + length - (sizeof tail - 1), tail, sizeof tail - 1) == 0;
}

/* Sets the bits of what is not reached from the root without entering closed nodes, but is reached
 * otherwise. */
static int keep_unreached(
    const struct heap *h, const uint64_t *closed, bool console, uint64_t *bits)
{
    uint64_t *reached = bits_new(h);
    struct list32 todo = {0};
    int r = reached ? list32_add(&todo, h->root) : ERR_NOMEM;
    if (r == 0)
        bit_set(reached, h->root);
    while (r == 0 && todo.count) {
        uint32_t node = todo.at[--todo.count];
        for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1] && r == 0; k++) {
            uint32_t to = heap_edge_to(h->edge[k]);
            if (heap_edge_kind(h->edge[k]) == HEAP_WEAK || bit_get(reached, to) ||
                bit_get(closed, to) ||
                (console && h->kind[node] == HEAP_SYNTHETIC && is_console_edge(h, k)))
                continue;
            bit_set(reached, to);
            r = list32_add(&todo, to);
        }
    }
    for (uint32_t i = 0; i < h->nodes && r == 0; i++)
        if (!bit_get(reached, i) && h->distance[i] != HEAP_DISTANCE_NONE)
            bit_set(bits, i);
    list32_free(&todo);
    free(reached);
    return r;
}

/* ---- duplicate strings ---- */

/* A cons string of which one half is empty: V8's own way of flattening. */
static int is_flat_cons(const struct heap *h, uint32_t node, struct buf *scratch, bool *ret_flat)
{
    *ret_flat = false;
    if (h->kind[node] != HEAP_CONS_STRING)
        return 0;
    for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1]; k++) {
        if (heap_edge_kind(h->edge[k]) != HEAP_INTERNAL ||
            (h->edge_name[k] != h->known[KNOWN_FIRST] && h->edge_name[k] != h->known[KNOWN_SECOND]))
            continue;
        buf_clear(scratch);
        int r = heap_add_node_name(h, heap_edge_to(h->edge[k]), scratch);
        if (r < 0)
            return r;
        if (scratch->length == 0) {
            *ret_flat = true;
            return 0;
        }
    }
    return 0;
}

/* What V8 says of a value that it describes by a node (exposed lengths and hashes): appends type
 * and value, or nothing. */
static int add_described(
    const struct heap *h, uint32_t node, enum known name, struct buf *out, bool *ret_true)
{
    uint32_t at = heap_first_internal(h, node, name);
    *ret_true = false;
    if (at == HEAP_NONE || h->kind[at] != HEAP_NUMBER)
        return 0;
    uint32_t value = heap_first_internal(h, at, KNOWN_VALUE);
    if (value == HEAP_NONE)
        return 0;
    *ret_true = string_begins(h, h->name[at], "bool", true) &&
                string_begins(h, h->name[value], "true", true);
    int r = heap_add_string(h, h->name[value], out);
    return r < 0 ? r : buf_add(out, "|", 1);
}

/* What two strings must have in common to count as the same. */
static int duplicate_key(const struct heap *h, uint32_t node, struct buf *key, struct buf *scratch)
{
    bool truncated, ignored;
    buf_clear(key);
    buf_clear(scratch);
    int r = add_described(h, node, KNOWN_TRUNCATED, scratch, &truncated);
    if (r == 0 && truncated) {
        r = buf_add(key, "T", 1);
        if (r == 0)
            r = add_described(h, node, KNOWN_LENGTH, key, &ignored);
        if (r == 0)
            r = add_described(h, node, KNOWN_HASH, key, &ignored);
    } else if (r == 0) {
        r = buf_add(key, "U", 1);
    }
    return r < 0 ? r : heap_add_node_name(h, node, key);
}

static int duplicate_order(const void *a, const void *b)
{
    const struct heap_duplicate *x = a, *y = b;
    if (x->retained_size != y->retained_size)
        return x->retained_size > y->retained_size ? -1 : 1;
    return (x->example > y->example) - (x->example < y->example);
}

/* The groups of strings with the same text, also those of one; of each node its group, or none. */
static int group_strings(const struct heap *h, struct heap_duplicate **ret, size_t *ret_count,
    struct list32 *nodes, struct list32 *group_of)
{
    struct names keys = {0};
    struct heap_duplicate *groups = NULL;
    size_t known = 0;
    struct buf key = buf_new(NAME_BYTES_MAX), scratch = buf_new(NAME_BYTES_MAX);
    int r = 0;
    for (uint32_t i = 0; i < h->nodes && r == 0; i++) {
        bool flat;
        uint32_t number;
        if ((h->kind[i] != HEAP_STRING && h->kind[i] != HEAP_CONS_STRING) || h->self[i] == 0)
            continue;
        if ((r = is_flat_cons(h, i, &scratch, &flat)) < 0 || flat)
            continue;
        if ((r = duplicate_key(h, i, &key, &scratch)) < 0 ||
            (r = names_add(&keys, key.data, key.length, &number)) < 0)
            break;
        if (number == known) {
            if (!array_more(&groups, known)) {
                r = ERR_NOMEM;
                break;
            }
            groups[known++] = (struct heap_duplicate){.example = i};
        }
        groups[number].count++;
        groups[number].self_size += h->self[i];
        groups[number].retained_size += h->retained[i];
        if (nodes && ((r = list32_add(nodes, i)) < 0 || (r = list32_add(group_of, number)) < 0))
            break;
    }
    *ret_count = keys.count;
    names_free(&keys);
    buf_free(&key);
    buf_free(&scratch);
    if (r < 0) {
        free(groups);
        return r;
    }
    *ret = groups;
    return 0;
}

int heap_duplicates(
    const struct heap *h, struct heap_duplicate **ret_list, size_t *ret_count, struct err *e)
{
    struct heap_duplicate *list = NULL;
    size_t count = 0, kept = 0;
    if (group_strings(h, &list, &count, NULL, NULL) < 0)
        return no_memory(e);
    for (size_t i = 0; i < count; i++)
        if (list[i].count > 1) {
            list[i].wasted = list[i].self_size - list[i].self_size / list[i].count;
            list[kept++] = list[i];
        }
    if (kept)
        qsort(list, kept, sizeof *list, duplicate_order);
    *ret_list = list;
    *ret_count = kept;
    return 0;
}

static int keep_duplicates(const struct heap *h, uint64_t *bits)
{
    struct heap_duplicate *list = NULL;
    struct list32 nodes = {0}, group_of = {0};
    size_t count;
    int r = group_strings(h, &list, &count, &nodes, &group_of);
    for (size_t i = 0; i < nodes.count && r == 0; i++)
        if (list[group_of.at[i]].count > 1)
            bit_set(bits, nodes.at[i]);
    free(list);
    list32_free(&nodes);
    list32_free(&group_of);
    return r;
}

int heap_filter_nodes(struct heap *h, enum heap_filter filter, uint64_t **ret_bits, struct err *e)
{
    uint64_t *bits = bits_new(h), *closed = bits_new(h);
    int r = bits && closed ? 0 : ERR_NOMEM;
    if (r == 0) {
        switch (filter) {
        case HEAP_FILTER_CONTEXTS: r = close_contexts(h, closed); break;
        case HEAP_FILTER_DETACHED:
            for (uint32_t i = 0; h->detachedness && i < h->nodes; i++)
                if (h->detachedness[i] == 2)
                    bit_set(closed, i);
            break;
        case HEAP_FILTER_HANDLERS: close_handlers(h, closed); break;
        case HEAP_FILTER_CONSOLE: break;
        case HEAP_FILTER_DUPLICATES: r = keep_duplicates(h, bits); break;
        }
    }
    if (r == 0 && filter != HEAP_FILTER_DUPLICATES)
        r = keep_unreached(h, closed, filter == HEAP_FILTER_CONSOLE, bits);
    free(closed);
    if (r < 0) {
        free(bits);
        return no_memory(e);
    }
    *ret_bits = bits;
    return 0;
}

int heap_filter_ids(
    const struct heap *h, uint32_t min, uint32_t max, uint64_t **ret_bits, struct err *e)
{
    uint64_t *bits = bits_new(h);
    if (!bits)
        return no_memory(e);
    for (uint32_t i = 0; i < h->nodes; i++)
        if (h->id[i] > min && h->id[i] <= max)
            bit_set(bits, i);
    *ret_bits = bits;
    return 0;
}

int heap_classes_of(const struct heap *h, const uint64_t *bits, struct heap_class **ret_classes,
    uint32_t *ret_count, struct err *e)
{
    struct classing part = {.of = h->classing.of, .count = h->classing.count};
    part.classes = calloc((size_t)part.count + 1, sizeof *part.classes);
    if (!part.classes)
        return no_memory(e);
    memcpy(part.classes, h->classing.classes, part.count * sizeof *part.classes);
    if (classes_sum(h, &part, bits) < 0) {
        free(part.classes);
        return no_memory(e);
    }
    classes_order(&part);
    *ret_classes = part.classes;
    *ret_count = part.live;
    return 0;
}

int heap_instances(
    const struct heap *h, uint32_t class, uint32_t **ret_nodes, size_t *ret_count, struct err *e)
{
    uint32_t want = class < h->classing.count ? h->classing.classes[class].count : 0;
    uint32_t *nodes = calloc((size_t)want + 1, sizeof *nodes), count = 0;
    if (!nodes)
        return no_memory(e);
    for (uint32_t i = 0; i < h->nodes && count < want; i++)
        if (h->classing.of[i] == class && h->self[i])
            nodes[count++] = i;
    *ret_nodes = nodes;
    *ret_count = count;
    return 0;
}

/* ---- the dominator tree ---- */

static int retained_order(const void *a, const void *b, void *arg)
{
    const struct heap *h = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (h->retained[x] != h->retained[y])
        return h->retained[x] > h->retained[y] ? -1 : 1;
    return (x > y) - (x < y);
}

int heap_dominated(
    const struct heap *h, uint32_t node, uint32_t **ret_nodes, size_t *ret_count, struct err *e)
{
    struct list32 list = {0};
    uint32_t at = 0;
    int r = 0;
    while (at < h->nodes && h->tree_node[at] != node)
        at++;
    uint32_t end = at < h->nodes ? h->tree_end[at] : 0;
    for (uint32_t child = at + 1; child < end && r == 0; child = h->tree_end[child])
        r = list32_add(&list, h->tree_node[child]);
    if (r < 0) {
        list32_free(&list);
        return no_memory(e);
    }
    if (list.count)
        qsort_r(list.at, list.count, sizeof *list.at, retained_order, (void *)(uintptr_t)h);
    *ret_nodes = list.at;
    *ret_count = list.count;
    return 0;
}
