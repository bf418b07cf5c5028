/* Plain objects grouped by shape (R8): which property lists are frequent enough for a name of their
 * own, and which of them each object has. */
#include "heap/shapes.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

#define SHAPE_TEXT_MAX 120 /* UTF-16 units of a name such as "{a, b}", as in DevTools */

/* An exact list of property names, in the order of an object's edges. */
struct shape {
    uint64_t hash;
    uint32_t node; /* the first that has it */
    uint32_t count;
};

static int shapes_grow(struct shape_table *t)
{
    uint32_t slots = t->slots ? 2 * t->slots : 1024;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (!slot)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t at = (uint32_t)t->shape[i].hash & (slots - 1);
        while (slot[at])
            at = (at + 1) & (slots - 1);
        slot[at] = i + 1;
    }
    free(t->slot);
    t->slot = slot;
    t->slots = slots;
    return 0;
}

static inline uint32_t next_property(const struct heap *h, uint32_t k, uint32_t end)
{
    while (k < end && heap_edge_kind(h->edge[k]) != HEAP_PROPERTY)
        k++;
    return k;
}

static uint64_t shape_hash(const struct heap *h, uint32_t node)
{
    uint64_t hash = 1;
    uint32_t end = h->first_edge[node + 1];
    for (uint32_t k = next_property(h, h->first_edge[node], end); k < end;
         k = next_property(h, k + 1, end))
        hash = (hash ^ h->edge_name[k]) * UINT64_C(0x9e3779b97f4a7c15) ^ hash >> 29;
    return hash ^ hash >> 32;
}

static bool shape_same(const struct heap *h, uint32_t a, uint32_t b)
{
    uint32_t a_end = h->first_edge[a + 1], b_end = h->first_edge[b + 1];
    uint32_t i = next_property(h, h->first_edge[a], a_end);
    uint32_t k = next_property(h, h->first_edge[b], b_end);
    while (i < a_end && k < b_end && h->edge_name[i] == h->edge_name[k]) {
        i = next_property(h, i + 1, a_end);
        k = next_property(h, k + 1, b_end);
    }
    return i == a_end && k == b_end;
}

int shape_table_add(struct shape_table *t, const struct heap *h, uint32_t node, uint32_t *ret_shape)
{
    if ((uint64_t)t->count * 2 >= t->slots && shapes_grow(t) < 0)
        return ERR_NOMEM;
    uint64_t hash = shape_hash(h, node);
    uint32_t at = (uint32_t)hash & (t->slots - 1);
    for (; t->slot[at]; at = (at + 1) & (t->slots - 1)) {
        struct shape *s = &t->shape[t->slot[at] - 1];
        if (s->hash == hash && shape_same(h, s->node, node)) {
            s->count++;
            *ret_shape = t->slot[at] - 1;
            return 0;
        }
    }
    if (!array_more(&t->shape, t->count))
        return ERR_NOMEM;
    t->shape[t->count] = (struct shape){hash, node, 1};
    *ret_shape = t->count;
    t->slot[at] = ++t->count;
    return 0;
}

void shape_table_free(struct shape_table *t)
{
    free(t->shape);
    free(t->slot);
    *t = (struct shape_table){0};
}

/* ---- names of properties ---- */

/* JSON.stringify of WTF-8 text. */
static int add_quoted(struct buf *out, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    int r = buf_add(out, "\"", 1);
    for (size_t i = 0; i < length && r == 0; i++) {
        uint8_t c = (uint8_t)text[i];
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *at = c ? strchr(from, c) : NULL;
        if (at) {
            char two[2] = {'\\', to[at - from]};
            r = buf_add(out, two, 2);
        } else if (c < ' ') {
            char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            r = buf_add(out, u, 6);
        } else if (c == 0xed && i + 2 < length && (uint8_t)text[i + 1] >= 0xa0) {
            uint32_t v = 0xd000u | ((uint32_t)text[i + 1] & 0x3f) << 6 | (text[i + 2] & 0x3f);
            char u[6] = {'\\', 'u', hex[v >> 12], hex[v >> 8 & 15], hex[v >> 4 & 15], hex[v & 15]};
            r = buf_add(out, u, 6);
            i += 2;
        } else {
            r = buf_add(out, &text[i], 1);
        }
    }
    return r < 0 ? r : buf_add(out, "\"", 1);
}

int shape_format_name(struct buf *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (strchr(",'\"{}", text[i]) && text[i])
            return add_quoted(out, text, length);
    return buf_add(out, text, length);
}

/* The number of a property's name in t->names; strings that read the same get the same. */
static int property_number(struct shape_table *t, const struct heap *h, uint32_t string,
    struct buf *scratch, uint32_t *ret_number)
{
    if (string < h->strings.count && t->property_of[string]) {
        *ret_number = t->property_of[string] - 1;
        return 0;
    }
    buf_clear(scratch);
    int r = heap_add_string(h, string, scratch);
    if (r == 0)
        r = names_add(&t->names, scratch->data ? scratch->data : "", scratch->length, ret_number);
    if (r == 0 && string < h->strings.count)
        t->property_of[string] = *ret_number + 1;
    return r;
}

/* ---- definitions ---- */

struct candidate {
    uint32_t first, properties; /* into the list of all candidates' properties */
    uint32_t count, order;
    char *name;
};

struct defining {
    const struct heap *heap;
    struct shape_table *table;
    struct list32 properties;
    struct candidate *candidates;
    uint32_t count;
    struct names texts; /* of candidates: number = place in candidates */
    struct buf scratch, text;
};

static int define_text(struct defining *d, uint32_t node, uint32_t *ret_properties)
{
    const struct heap *h = d->heap;
    uint32_t end = h->first_edge[node + 1], count = 0;
    size_t units = 1;
    int r = 0;
    buf_clear(&d->text);
    if ((r = buf_add(&d->text, "{", 1)) < 0)
        return r;
    for (uint32_t k = next_property(h, h->first_edge[node], end); k < end;
         k = next_property(h, k + 1, end)) {
        uint32_t number;
        if (h->edge_name[k] == h->known[KNOWN_PROTO])
            continue;
        if ((r = property_number(d->table, h, h->edge_name[k], &d->scratch, &number)) < 0)
            return r;
        buf_clear(&d->scratch);
        const struct names *names = &d->table->names;
        if ((r = shape_format_name(&d->scratch, names->text[number], names->length[number])) < 0)
            return r;
        size_t more = utf16_length(d->scratch.data, d->scratch.length);
        if (units > 1 && units + more > SHAPE_TEXT_MAX)
            break;
        if (units > 1) {
            if ((r = buf_add(&d->text, ", ", 2)) < 0)
                return r;
            units += 2;
        }
        if ((r = buf_add(&d->text, d->scratch.data, d->scratch.length)) < 0 ||
            (r = list32_add(&d->properties, number)) < 0)
            return r;
        units += more;
        count++;
    }
    *ret_properties = count;
    return buf_add(&d->text, "}", 1);
}

static int define_candidate(struct defining *d, const struct shape *shape)
{
    uint32_t first = (uint32_t)d->properties.count, properties, number;
    int r = define_text(d, shape->node, &properties);
    if (r < 0)
        return r;
    if (properties == 0)
        return 0;
    if ((r = names_add(&d->texts, d->text.data, d->text.length, &number)) < 0)
        return r;
    if (number < d->count) {
        d->candidates[number].count += shape->count;
        d->properties.count = first;
        return 0;
    }
    if (!array_more(&d->candidates, d->count))
        return ERR_NOMEM;
    d->candidates[d->count] = (struct candidate){first, properties, shape->count, d->count, NULL};
    d->count++;
    return 0;
}

static int candidate_order(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int define_keep(struct defining *d, uint64_t plain, struct shapes *out)
{
    uint32_t kept = 0, properties = 0;
    qsort(d->candidates, d->count, sizeof *d->candidates, candidate_order);
    /* At least two, and at least one in a thousand (a real division). */
    while (kept < d->count && d->candidates[kept].count >= 2 &&
           (uint64_t)d->candidates[kept].count * 1000 >= plain)
        properties += d->candidates[kept++].properties;
    out->name = calloc(kept + 1, sizeof *out->name);
    out->first = calloc(kept + 1, sizeof *out->first);
    out->property = calloc(properties + 1, sizeof *out->property);
    out->instances = calloc(kept + 1, sizeof *out->instances);
    if (!out->name || !out->first || !out->property || !out->instances)
        return ERR_NOMEM;
    properties = 0;
    for (uint32_t i = 0; i < kept; i++) {
        const struct candidate *c = &d->candidates[i];
        if (!(out->name[i] = strdup(d->texts.text[c->order])))
            return ERR_NOMEM;
        out->count = i + 1;
        out->instances[i] = c->count;
        out->first[i] = properties;
        for (uint32_t k = 0; k < c->properties; k++) {
            uint32_t number = d->properties.at[c->first + k], copy;
            const struct names *names = &d->table->names;
            if (names_add(&out->names, names->text[number], names->length[number], &copy) < 0)
                return ERR_NOMEM;
            out->property[properties++] = copy;
        }
        out->first[i + 1] = properties;
    }
    return 0;
}

int shapes_define(struct shape_table *t, const struct heap *h, uint64_t plain, struct shapes *out)
{
    struct defining d = {.heap = h, .table = t};
    d.scratch = buf_new(SIZE_MAX / 2);
    d.text = buf_new(SIZE_MAX / 2);
    int r = 0;
    for (uint32_t i = 0; i < t->count && r == 0; i++)
        r = define_candidate(&d, &t->shape[i]);
    if (r == 0 && d.count)
        r = define_keep(&d, plain, out);
    free(d.candidates);
    list32_free(&d.properties);
    names_free(&d.texts);
    buf_free(&d.scratch);
    buf_free(&d.text);
    return r;
}

void shapes_free(struct shapes *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        free(s->name[i]);
    free(s->name);
    free(s->first);
    free(s->property);
    free(s->instances);
    names_free(&s->names);
    *s = (struct shapes){0};
}

/* ---- matching ----
 * An object has a definition if the definition's properties, counted, are among its own. Of several
 * the one with most properties wins, then the first. */

struct matching {
    uint32_t
        *property; /* of the definitions, as numbers in the table's names, sorted within each */
    bool *possible;
    uint32_t *by_property; /* first definition that is looked up by this property, + 1 */
    uint32_t *next;        /* next one for the same property, + 1 */
    uint32_t *has;         /* by property: how often the shape at hand has it */
    struct list32 own;
};

static int order32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void match_index(struct matching *m, const struct shapes *defs, const struct names *names)
{
    for (uint32_t i = 0; i < defs->count; i++) {
        m->possible[i] = true;
        uint32_t first = defs->first[i], count = defs->first[i + 1] - first;
        for (uint32_t k = first; k < first + count; k++) {
            uint32_t p = defs->property[k];
            uint32_t number = names_find(names, defs->names.text[p], defs->names.length[p]);
            m->property[k] = number;
            if (number == HEAP_NONE)
                m->possible[i] = false;
            else
                m->has[number]++; /* here: in how many definitions */
        }
        qsort(&m->property[first], count, sizeof *m->property, order32);
    }
    for (uint32_t i = 0; i < defs->count; i++) {
        if (!m->possible[i])
            continue;
        uint32_t rarest = m->property[defs->first[i]];
        for (uint32_t k = defs->first[i]; k < defs->first[i + 1]; k++)
            if (m->has[m->property[k]] < m->has[rarest])
                rarest = m->property[k];
        m->next[i] = m->by_property[rarest];
        m->by_property[rarest] = i + 1;
    }
    memset(m->has, 0, ((size_t)names->count + 1) * sizeof *m->has);
}

static bool match_fits(const struct matching *m, const struct shapes *defs, uint32_t definition)
{
    uint32_t end = defs->first[definition + 1];
    for (uint32_t k = defs->first[definition]; k < end;) {
        uint32_t same = k;
        while (same < end && m->property[same] == m->property[k])
            same++;
        if (m->has[m->property[k]] < same - k)
            return false;
        k = same;
    }
    return true;
}

static int match_shape(struct matching *m, struct shape_table *t, const struct heap *h,
    const struct shapes *defs, uint32_t node, struct buf *scratch, uint32_t *ret_definition)
{
    uint32_t end = h->first_edge[node + 1], best = HEAP_NONE, most = 0, number;
    int r;
    m->own.count = 0;
    for (uint32_t k = next_property(h, h->first_edge[node], end); k < end;
         k = next_property(h, k + 1, end)) {
        /* Every name is known by now, so that `has` is large enough. */
        if ((r = property_number(t, h, h->edge_name[k], scratch, &number)) < 0 ||
            (r = list32_add(&m->own, number)) < 0)
            return r;
        m->has[number]++;
    }
    for (size_t k = 0; k < m->own.count; k++) {
        for (uint32_t i = m->by_property[m->own.at[k]]; i; i = m->next[i - 1]) {
            uint32_t properties = defs->first[i] - defs->first[i - 1];
            if (best != HEAP_NONE && (properties < most || (properties == most && i - 1 >= best)))
                continue;
            if (match_fits(m, defs, i - 1)) {
                best = i - 1;
                most = properties;
            }
        }
    }
    for (size_t k = 0; k < m->own.count; k++)
        m->has[m->own.at[k]] = 0;
    *ret_definition = best;
    return 0;
}

/* Makes every property of every shape known. */
static int match_names(struct shape_table *t, const struct heap *h, struct buf *scratch)
{
    for (uint32_t s = 0; s < t->count; s++) {
        uint32_t node = t->shape[s].node, end = h->first_edge[node + 1], number;
        for (uint32_t k = next_property(h, h->first_edge[node], end); k < end;
             k = next_property(h, k + 1, end)) {
            int r = property_number(t, h, h->edge_name[k], scratch, &number);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int shapes_match(struct shape_table *t, const struct heap *h, const struct shapes *defs,
    uint32_t *definition_of_shape)
{
    struct matching m = {0};
    struct buf scratch = buf_new(SIZE_MAX / 2);
    int r = match_names(t, h, &scratch);
    if (r < 0)
        goto out;
    uint32_t properties = defs->count ? defs->first[defs->count] : 0;
    m.property = calloc(properties + 1, sizeof *m.property);
    m.possible = calloc(defs->count + 1, sizeof *m.possible);
    m.next = calloc(defs->count + 1, sizeof *m.next);
    m.by_property = calloc((size_t)t->names.count + 1, sizeof *m.by_property);
    m.has = calloc((size_t)t->names.count + 1, sizeof *m.has);
    r = ERR_NOMEM;
    if (!m.property || !m.possible || !m.next || !m.by_property || !m.has)
        goto out;
    match_index(&m, defs, &t->names);
    r = 0;
    for (uint32_t s = 0; s < t->count && r == 0; s++)
        r = match_shape(&m, t, h, defs, t->shape[s].node, &scratch, &definition_of_shape[s]);
out:
    free(m.property);
    free(m.possible);
    free(m.next);
    free(m.by_property);
    free(m.has);
    list32_free(&m.own);
    buf_free(&scratch);
    return r;
}
