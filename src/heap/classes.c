/* Classes (R8): what a node counts as in the Summary view, and the key that another snapshot's
 * classes are compared by. */
#include "base/array.h"
#include "heap/shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A class is one of: a label made from a type or a cut name (by text), a name of the file (by
 * string number), or either with the place of its constructor. */
struct class_key {
    uint32_t place; /* 0, or 1 with the numbers below */
    uint32_t script_id, line, column;
    uint64_t base; /* string number, or label + LABEL */
};
#define LABEL (UINT64_C(1) << 32)

struct classer {
    const struct heap *heap;
    struct classing *out;
    struct class_key *keys; /* by class */
    uint32_t *text;         /* by class: number of its name in labels */
    uint32_t slots;
    uint32_t *slot;
    struct names labels;
    uint32_t *by_string; /* class + 1 of nodes with that name */
    uint32_t by_kind[256], *by_definition;
    const struct shapes *definitions;
    struct buf scratch;
};

static uint64_t key_hash(const struct class_key *k)
{
    return hash_bytes(k, sizeof *k);
}

static int classer_grow(struct classer *c)
{
    uint32_t slots = c->slots ? 2 * c->slots : 256;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (!slot)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->out->count; i++) {
        uint32_t at = (uint32_t)key_hash(&c->keys[i]) & (slots - 1);
        while (slot[at])
            at = (at + 1) & (slots - 1);
        slot[at] = i + 1;
    }
    free(c->slot);
    c->slot = slot;
    c->slots = slots;
    return 0;
}

/* The class with that key and name (a number in labels), made if it is new. */
static int class_add(
    struct classer *c, const struct class_key *key, uint32_t text, uint32_t *ret_class)
{
    if ((uint64_t)c->out->count * 2 >= c->slots && classer_grow(c) < 0)
        return ERR_NOMEM;
    uint32_t at = (uint32_t)key_hash(key) & (c->slots - 1);
    for (; c->slot[at]; at = (at + 1) & (c->slots - 1))
        if (memcmp(&c->keys[c->slot[at] - 1], key, sizeof *key) == 0) {
            *ret_class = c->slot[at] - 1;
            return 0;
        }
    if (!array_more(&c->keys, c->out->count) || !array_more(&c->text, c->out->count))
        return ERR_NOMEM;
    c->keys[c->out->count] = *key;
    c->text[c->out->count] = text;
    c->slot[at] = c->out->count + 1;
    *ret_class = c->out->count++;
    return 0;
}

static int class_of_label(struct classer *c, const char *text, size_t length, uint32_t *ret_class)
{
    uint32_t label;
    int r = names_add(&c->labels, text, length, &label);
    const struct class_key key = {.base = LABEL + label};
    return r < 0 ? r : class_add(c, &key, label, ret_class);
}

static int class_of_kind(struct classer *c, uint8_t kind, uint32_t *ret_class)
{
    if (c->by_kind[kind]) {
        *ret_class = c->by_kind[kind] - 1;
        return 0;
    }
    const char *label = kind == HEAP_HIDDEN    ? "(system)"
                        : kind == HEAP_CODE    ? "(compiled code)"
                        : kind == HEAP_CLOSURE ? "Function"
                        : kind == HEAP_REGEXP  ? "RegExp"
                                               : NULL;
    int r = 0;
    buf_clear(&c->scratch);
    if (label)
        r = buf_add_text(&c->scratch, label);
    else
        r = buf_addf(&c->scratch, "(%s)", heap_kind_name(c->heap, kind));
    if (r == 0)
        r = class_of_label(c, c->scratch.data, c->scratch.length, ret_class);
    if (r == 0)
        c->by_kind[kind] = *ret_class + 1;
    return r;
}

/* Of an object or native node by its name. Markup is cut to its tag. */
static int class_of_name(struct classer *c, uint32_t string, uint32_t *ret_class)
{
    static const char detached[] = "Detached <";
    const struct heap *h = c->heap;
    size_t known = (size_t)h->strings.count + h->renamed.count;
    if (string < known && c->by_string[string]) {
        *ret_class = c->by_string[string] - 1;
        return 0;
    }
    buf_clear(&c->scratch);
    int r = heap_add_string(h, string, &c->scratch);
    if (r < 0)
        return r;
    const char *text = c->scratch.data ? c->scratch.data : "";
    size_t length = c->scratch.length, from = SIZE_MAX;
    if (length && text[0] == '<')
        from = 0;
    else if (length >= sizeof detached - 1 && memcmp(text, detached, sizeof detached - 1) == 0)
        from = sizeof detached - 1;
    if (from != SIZE_MAX) {
        const char *space = memchr(text + from, ' ', length - from);
        if (space) {
            c->scratch.length = (size_t)(space - text);
            if ((r = buf_add(&c->scratch, ">", 1)) < 0)
                return r;
        }
        r = class_of_label(c, c->scratch.data, c->scratch.length, ret_class);
    } else {
        uint32_t label;
        r = names_add(&c->labels, text, length, &label);
        const struct class_key key = {.base = string};
        if (r == 0)
            r = class_add(c, &key, label, ret_class);
    }
    if (r == 0 && string < known)
        c->by_string[string] = *ret_class + 1;
    return r;
}

static int class_of_definition(struct classer *c, uint32_t definition, uint32_t *ret_class)
{
    if (c->by_definition[definition]) {
        *ret_class = c->by_definition[definition] - 1;
        return 0;
    }
    const char *name = c->definitions->name[definition];
    int r = class_of_label(c, name, strlen(name), ret_class);
    if (r == 0)
        c->by_definition[definition] = *ret_class + 1;
    return r;
}

/* The same class at the place of its constructor. */
static int class_at_place(struct classer *c, const struct place *p, uint32_t *class)
{
    uint32_t text = c->text[*class];
    const struct class_key key = {1, p->script_id, p->line, p->column, LABEL + text};
    return class_add(c, &key, text, class);
}

/* Keys as people and other snapshots see them. */
static int classer_finish(struct classer *c)
{
    struct classing *out = c->out;
    out->classes = calloc((size_t)out->count + 1, sizeof *out->classes);
    if (!out->classes)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < out->count; i++) {
        const struct class_key *k = &c->keys[i];
        const char *text = c->labels.text[c->text[i]];
        size_t length = c->labels.length[c->text[i]];
        char place[64] = "";
        int n = k->place
                    ? snprintf(place, sizeof place, "%u,%u,%u", k->script_id, k->line, k->column)
                    : 0;
        char *key = malloc((size_t)n + length + 2);
        if (!key)
            return ERR_NOMEM;
        memcpy(key, place, (size_t)n);
        key[n] = ',';
        memcpy(key + n + 1, text, length + 1);
        out->classes[i].key = key;
        out->classes[i].name = key + n + 1;
        out->classes[i].name_length = length;
    }
    return 0;
}

/* First round: everything but plain objects, which only get the number of their shape. */
static int classify_shapes(
    const struct heap *h, struct shape_table *table, uint32_t *of, uint64_t *ret_plain)
{
    uint64_t plain = 0;
    if (h->known[KNOWN_OBJECT] != HEAP_NONE)
        for (uint32_t i = 0; i < h->nodes; i++) {
            if (!heap_is_plain(h, i))
                continue;
            plain++;
            int r = shape_table_add(table, h, i, &of[i]);
            if (r < 0)
                return r;
        }
    *ret_plain = plain;
    return 0;
}

static int classify_nodes(struct classer *c, const uint32_t *definition_of_shape)
{
    const struct heap *h = c->heap;
    uint32_t *of = c->out->of, at = 0;
    for (uint32_t i = 0; i < h->nodes; i++) {
        uint8_t kind = h->kind[i];
        uint32_t class = 0, definition = HEAP_NONE;
        int r;
        if (heap_is_plain(h, i))
            definition = definition_of_shape[of[i]];
        if (definition != HEAP_NONE)
            r = class_of_definition(c, definition, &class);
        else if (kind == HEAP_OBJECT || kind == HEAP_NATIVE)
            r = class_of_name(c, h->name[i], &class);
        else
            r = class_of_kind(c, kind, &class);
        if (r == 0 && kind == HEAP_OBJECT) {
            while (at < h->place_count && h->places[at].node < i)
                at++;
            if (at < h->place_count && h->places[at].node == i)
                r = class_at_place(c, &h->places[at], &class);
        }
        if (r < 0)
            return r;
        of[i] = class;
    }
    return 0;
}

int classify_with(const struct heap *h, const struct shapes *given, struct shapes *made,
    struct classing *out, struct err *e)
{
    struct shape_table table = {0};
    size_t strings = (size_t)h->strings.count + h->renamed.count;
    struct classer c = {.heap = h, .out = out};
    uint32_t *definition_of_shape = NULL;
    uint64_t plain = 0;
    int r = ERR_NOMEM;
    c.scratch = buf_new(SIZE_MAX / 2);
    out->of = column_dirty(h->pool, h->nodes, 4);
    table.property_of = column_new(h->pool, h->strings.count, 4);
    c.by_string = column_new(h->pool, strings, 4);
    if (!out->of || !table.property_of || !c.by_string ||
        (r = classify_shapes(h, &table, out->of, &plain)) < 0)
        goto out;
    if (!given && (r = shapes_define(&table, h, plain, made)) < 0)
        goto out;
    c.definitions = given ? given : made;
    r = ERR_NOMEM;
    definition_of_shape = calloc((size_t)table.count + 1, sizeof *definition_of_shape);
    c.by_definition = calloc((size_t)c.definitions->count + 1, sizeof *c.by_definition);
    if (!definition_of_shape || !c.by_definition ||
        (r = shapes_match(&table, h, c.definitions, definition_of_shape)) < 0 ||
        (r = classify_nodes(&c, definition_of_shape)) < 0)
        goto out;
    r = classer_finish(&c);
out:
    column_free(h->pool, table.property_of);
    column_free(h->pool, c.by_string);
    names_free(&table.names);
    shape_table_free(&table);
    free(definition_of_shape);
    free(c.by_definition);
    free(c.keys);
    free(c.text);
    free(c.slot);
    names_free(&c.labels);
    buf_free(&c.scratch);
    return r < 0 ? err_set(e, r, "%s: out of memory for its classes", h->source.name) : 0;
}

void classing_free(const struct heap *h, struct classing *c)
{
    for (uint32_t i = 0; c->classes && i < c->count; i++)
        free((char *)(uintptr_t)c->classes[i].key);
    free(c->classes);
    column_free(h->pool, c->of);
    *c = (struct classing){0};
}

/* One pass of a radix sort over eleven bits of the node, which keeps the order of equals. */
static void places_pass(const struct place *from, struct place *to, uint32_t count, unsigned shift)
{
    enum { DIGITS = 1 << 11 };
    uint32_t at[DIGITS + 1] = {0};
    for (uint32_t i = 0; i < count; i++)
        at[(from[i].node >> shift & (DIGITS - 1)) + 1]++;
    for (uint32_t d = 0; d < DIGITS; d++)
        at[d + 1] += at[d];
    for (uint32_t i = 0; i < count; i++)
        to[at[from[i].node >> shift & (DIGITS - 1)]++] = from[i];
}

/* By node; of several for one node the last in the file counts, as in DevTools. */
int places_sort(struct heap *h)
{
    struct place *spare = calloc((size_t)h->place_count + 1, sizeof *spare);
    uint32_t kept = 0;
    if (!spare)
        return ERR_NOMEM;
    for (unsigned shift = 0; shift < 33; shift += 11) {
        places_pass(h->places, spare, h->place_count, shift);
        struct place *swap = h->places;
        h->places = spare;
        spare = swap;
    }
    free(spare);
    for (uint32_t i = 0; i < h->place_count; i++)
        if (i + 1 == h->place_count || h->places[i].node != h->places[i + 1].node)
            h->places[kept++] = h->places[i];
    h->place_count = kept;
    return 0;
}

int heap_classify(struct heap *h, struct err *e)
{
    if (h->places && places_sort(h) < 0)
        return err_set(e, ERR_NOMEM, "%s: out of memory for its locations", h->source.name);
    return classify_with(h, NULL, &h->shapes, &h->classing, e);
}
