/* What names and types say about nodes and edges before any walk: detached DOM nodes, user roots,
 * the edges of WeakMap entries, and the edges that never count for dominators. */
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

/* ---- DOM state (R1) ---- */

enum { ATTACHED = 1, DETACHED = 2 };

struct detaching {
    struct heap *heap;
    uint64_t *seen;
    struct list32 attached, detached; /* to be gone through */
    uint32_t *renamed_as;             /* by string: number of its "Detached " form, 0 none */
};

static int detach_rename(struct detaching *d, uint32_t node)
{
    struct heap *h = d->heap;
    uint32_t name = h->name[node];
    if (name >= h->strings.count)
        return 0; /* a damaged file: the name is lost */
    if (d->renamed_as[name] == 0) {
        int r = list32_add(&h->renamed, name);
        if (r < 0)
            return r;
        d->renamed_as[name] = h->strings.count + (uint32_t)h->renamed.count - 1;
    }
    h->name[node] = d->renamed_as[name];
    return 0;
}

static int detach_visit(struct detaching *d, uint32_t node, uint8_t state)
{
    struct heap *h = d->heap;
    if (bit_get(d->seen, node))
        return 0;
    bit_set(d->seen, node);
    if (h->kind[node] != HEAP_NATIVE)
        return 0;
    h->detachedness[node] = state;
    if (state == ATTACHED)
        return list32_add(&d->attached, node);
    if (state != DETACHED)
        return 0;
    int r = detach_rename(d, node);
    return r < 0 ? r : list32_add(&d->detached, node);
}

static int detach_spread(struct detaching *d, struct list32 *from, uint8_t state)
{
    struct heap *h = d->heap;
    while (from->count) {
        uint32_t node = from->at[--from->count];
        for (uint32_t i = h->first_edge[node]; i < h->first_edge[node + 1]; i++) {
            enum heap_edge_kind kind = heap_edge_kind(h->edge[i]);
            if (kind == HEAP_HIDDEN_EDGE || kind == HEAP_WEAK ||
                (kind == HEAP_OTHER_EDGE && h->layout.other_is_invisible))
                continue;
            int r = detach_visit(d, heap_edge_to(h->edge[i]), state);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* Files without the column say it in the name. */
static int detach_by_name(struct heap *h, struct err *e)
{
    static const char prefix[] = "Detached ";
    bool any = false;
    for (uint32_t i = 0; i < h->nodes && !any; i++)
        any = h->kind[i] == HEAP_NATIVE;
    if (!any)
        return 0;
    h->detachedness = column_new(h->pool, h->nodes, 1);
    if (!h->detachedness)
        return err_set(e, ERR_NOMEM, "%s: out of memory", h->source.name);
    for (uint32_t i = 0; i < h->nodes; i++) {
        if (h->kind[i] != HEAP_NATIVE)
            continue;
        size_t length;
        const uint8_t *raw = string_raw(h, h->name[i], &length);
        if (length >= sizeof prefix - 1 && memcmp(raw, prefix, sizeof prefix - 1) == 0)
            h->detachedness[i] = DETACHED;
    }
    return 0;
}

int heap_detach(struct heap *h, struct err *e)
{
    if (!h->detachedness)
        return detach_by_name(h, e);
    bool any = false;
    for (uint32_t i = 0; i < h->nodes && !any; i++)
        any = (h->detachedness[i] & 3) != 0;
    if (!any)
        return 0;
    struct detaching d = {.heap = h};
    int r = ERR_NOMEM;
    d.seen = column_new(h->pool, BITS_WORDS(h->nodes), 8);
    d.renamed_as = column_new(h->pool, h->strings.count, 4);
    if (d.seen && d.renamed_as) {
        r = 0;
        for (uint32_t i = 0; i < h->nodes && r == 0; i++)
            if (h->detachedness[i] & 3)
                r = detach_visit(&d, i, h->detachedness[i] & 3);
        if (r == 0)
            r = detach_spread(&d, &d.attached, ATTACHED);
        if (r == 0)
            r = detach_spread(&d, &d.detached, DETACHED);
    }
    list32_free(&d.attached);
    list32_free(&d.detached);
    column_free(h->pool, d.seen);
    column_free(h->pool, d.renamed_as);
    return r < 0 ? err_set(e, r, "%s: out of memory", h->source.name) : 0;
}

/* ---- user roots (R2) ---- */

static bool is_document_trees(const struct heap *h, uint32_t node)
{
    return h->kind[node] == HEAP_SYNTHETIC && h->name[node] == h->known[KNOWN_DOCUMENT_TREES];
}

bool heap_is_user_root(const struct heap *h, uint32_t node)
{
    return h->kind[node] != HEAP_SYNTHETIC || is_document_trees(h, node);
}

bool heap_is_page_seed(const struct heap *h, uint32_t edge)
{
    enum heap_edge_kind kind = heap_edge_kind(h->edge[edge]);
    return kind == HEAP_SHORTCUT ||
           (kind == HEAP_ELEMENT && is_document_trees(h, heap_edge_to(h->edge[edge])));
}

/* ---- the names of WeakMap entries (R3) ----
 * "12 / part of key (K @3) -> value (V @5) pair in WeakMap (table @7)": everything behind the first
 * number is the pair's identity. */

static bool ends_with(const char *text, size_t *length, const char *tail)
{
    size_t n = strlen(tail);
    if (*length < n || memcmp(text + *length - n, tail, n) != 0)
        return false;
    *length -= n;
    return true;
}

/* Cuts digits off the end and gives their value (modulo 2^32 when absurdly long). */
static bool ends_with_number(const char *text, size_t *length, uint64_t *ret_value)
{
    size_t at = *length;
    while (at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9')
        at--;
    if (at == *length)
        return false;
    *ret_value = 0;
    for (size_t i = at; i < *length; i++)
        *ret_value = *ret_value > UINT64_MAX / 16 ? UINT64_MAX : *ret_value * 10 + (text[i] - '0');
    *length = at;
    return true;
}

/* " @12) -> value (" somewhere in the text. */
static bool has_middle(const char *text, size_t length)
{
    static const char arrow[] = ") -> value (";
    const char *at = text, *end = text + length;
    while ((at = memmem(at, (size_t)(end - at), arrow, sizeof arrow - 1))) {
        size_t before = (size_t)(at - text);
        uint64_t ignored;
        if (ends_with_number(text, &before, &ignored) && ends_with(text, &before, " @"))
            return true;
        at++;
    }
    return false;
}

/* In JavaScript '.' matches anything but these. */
static bool has_line_end(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\n' || text[i] == '\r' ||
            (i + 2 < length && memcmp(text + i, "\xe2\x80", 2) == 0 &&
                ((uint8_t)text[i + 2] == 0xa8 || (uint8_t)text[i + 2] == 0xa9)))
            return true;
    return false;
}

bool weak_pair_parse(const char *text, size_t length, size_t *ret_part, uint32_t *ret_table)
{
    static const char head[] = " / part of key (";
    size_t part = 0, rest = length;
    uint64_t table, ignored;
    while (part < length && text[part] >= '0' && text[part] <= '9')
        part++;
    if (part == 0 || length - part < sizeof head - 1 ||
        memcmp(text + part, head, sizeof head - 1) != 0)
        return false;
    if (!ends_with(text, &rest, ")") || !ends_with_number(text, &rest, &table) ||
        !ends_with(text, &rest, ") pair in WeakMap (table @") ||
        !ends_with_number(text, &rest, &ignored) || !ends_with(text, &rest, " @"))
        return false;
    size_t inner = part + sizeof head - 1;
    if (rest < inner || !has_middle(text + inner, rest - inner) ||
        has_line_end(text + inner, rest - inner))
        return false;
    *ret_part = part;
    *ret_table = table > UINT32_MAX ? 0 : (uint32_t)table;
    return true;
}

struct weak_name {
    uint32_t part, table;
};

struct marking {
    struct heap *heap;
    uint64_t *weak;          /* bits by string: names a WeakMap entry; NULL if none does */
    struct weak_name *names; /* in the order of heap->scan.weak_names, which is sorted */
    struct list32 found[2];  /* edges so named, a thread each */
};

static int order32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int mark_weak_names(struct marking *m)
{
    struct heap *h = m->heap;
    struct list32 *list = &h->scan.weak_names;
    size_t kept = 0;
    int r = 0;
    struct names parts = {0};
    struct buf text = buf_new(SIZE_MAX / 2);
    if (list->count == 0)
        return 0;
    qsort(list->at, list->count, sizeof *list->at, order32);
    m->weak = column_new(h->pool, BITS_WORDS(h->strings.count), 8);
    m->names = calloc(list->count, sizeof *m->names);
    if (!m->weak || !m->names)
        r = ERR_NOMEM;
    for (size_t i = 0; i < list->count && r == 0; i++) {
        uint32_t number = list->at[i];
        size_t part;
        buf_clear(&text);
        if (number >= h->strings.count || (r = heap_add_string(h, number, &text)) < 0 ||
            !weak_pair_parse(text.data, text.length, &part, &m->names[kept].table))
            continue;
        r = names_add(&parts, text.data + part, text.length - part, &m->names[kept].part);
        bit_set(m->weak, number);
        list->at[kept++] = number;
    }
    list->count = kept;
    names_free(&parts);
    buf_free(&text);
    return r;
}

static const struct weak_name *mark_find(const struct marking *m, uint32_t string)
{
    const struct list32 *list = &m->heap->scan.weak_names;
    const uint32_t *at = bsearch(&string, list->at, list->count, sizeof *list->at, order32);
    return at ? &m->names[at - list->at] : NULL;
}

/* Half of the nodes a thread. */
static int mark_work(void *arg, int thread, struct err *e)
{
    struct marking *m = arg;
    struct heap *h = m->heap;
    uint32_t from = thread == 0 ? 0 : h->nodes / 2;
    uint32_t to = thread == 0 && h->threads > 1 ? h->nodes / 2 : h->nodes;
    for (uint32_t i = from; i < to; i++) {
        for (uint32_t k = h->first_edge[i]; k < h->first_edge[i + 1]; k++) {
            uint32_t edge = h->edge[k];
            enum heap_edge_kind kind = heap_edge_kind(edge);
            bool loose = kind == HEAP_WEAK || heap_edge_to(edge) == i ||
                         (kind == HEAP_SHORTCUT && i != h->root);
            if (kind == HEAP_INTERNAL && m->weak && h->edge_name[k] < h->strings.count &&
                bit_get(m->weak, h->edge_name[k])) {
                const struct weak_name *w = mark_find(m, h->edge_name[k]);
                if (w && list32_add(&m->found[thread], k) < 0)
                    return err_set(e, ERR_NOMEM, "%s: out of memory", h->source.name);
                loose |= w && w->table == h->id[i];
            }
            h->edge[k] = edge | (loose ? HEAP_EDGE_LOOSE : 0);
        }
    }
    return 0;
}

static int mark_keep_pairs(struct marking *m)
{
    struct heap *h = m->heap;
    size_t count = m->found[0].count + m->found[1].count;
    if (count == 0)
        return 0;
    h->weak_pairs = calloc(count, sizeof *h->weak_pairs);
    h->weak_pair_source = column_new(h->pool, BITS_WORDS(h->nodes), 8);
    if (!h->weak_pairs || !h->weak_pair_source)
        return ERR_NOMEM;
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < m->found[t].count; i++) {
            uint32_t edge = m->found[t].at[i];
            const struct weak_name *w = mark_find(m, h->edge_name[edge]);
            h->weak_pairs[h->weak_pair_count++] = (struct weak_pair){edge, w->part, w->table};
            bit_set(h->weak_pair_source, heap_edge_source(h, edge));
        }
    return 0;
}

int heap_mark(struct heap *h, struct err *e)
{
    struct marking m = {.heap = h};
    int r = mark_weak_names(&m);
    if (r == 0)
        r = parallel_run(h->threads, mark_work, &m, e);
    if (r == 0)
        r = mark_keep_pairs(&m);
    for (uint32_t k = h->first_edge[h->root]; r == 0 && k < h->first_edge[h->root + 1]; k++)
        h->has_user_root |= heap_is_user_root(h, heap_edge_to(h->edge[k]));
    column_free(h->pool, m.weak);
    free(m.names);
    list32_free(&m.found[0]);
    list32_free(&m.found[1]);
    list32_free(&h->scan.weak_names);
    return r < 0 ? err_set(e, r, "%s: out of memory", h->source.name) : 0;
}
