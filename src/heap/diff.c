/* Two snapshots compared as DevTools does (R11): classes by key, objects by id. */
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

/* The sized nodes of one side. */
struct sorted {
    const struct heap *heap;
    const struct classing *classing;
    uint32_t *nodes; /* by class, then by id */
    uint32_t *first; /* by class */
};

static int sorted_make(struct sorted *s, const struct heap *h, const struct classing *c)
{
    *s = (struct sorted){.heap = h, .classing = c};
    uint32_t total = 0;
    s->first = calloc((size_t)c->count + 2, sizeof *s->first);
    if (!s->first)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < h->nodes; i++)
        if (h->self[i]) {
            s->first[c->of[i] + 1]++;
            total++;
        }
    for (uint32_t i = 0; i < c->count; i++)
        s->first[i + 1] += s->first[i];
    s->nodes = calloc((size_t)total + 1, sizeof *s->nodes);
    uint32_t *next = calloc((size_t)c->count + 1, sizeof *next);
    if (!s->nodes || !next) {
        free(next);
        return ERR_NOMEM;
    }
    memcpy(next, s->first, c->count * sizeof *next);
    for (uint32_t i = 0; i < h->nodes; i++)
        if (h->self[i])
            s->nodes[next[c->of[i]]++] = i;
    free(next);
    for (uint32_t i = 0; i < c->count; i++)
        heap_sort_ids(h, s->nodes + s->first[i], s->first[i + 1] - s->first[i]);
    return 0;
}

static void sorted_free(struct sorted *s)
{
    free(s->nodes);
    free(s->first);
}

/* Two classes of one file may have the same key (rule Q1): their nodes are taken together. */
struct joined {
    struct names keys;
    struct list32 base, now; /* pairs: key, class; in the order of keys after sorting */
};

static int join_keys(struct joined *j, struct list32 *pairs, const struct classing *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t number;
        const char *key = c->classes[i].key;
        int r = names_add(&j->keys, key, strlen(key), &number);
        if (r < 0 || (r = list32_add(pairs, number)) < 0 || (r = list32_add(pairs, i)) < 0)
            return r;
    }
    return 0;
}

/* The nodes of a key on one side, by id. *ret_nodes is owned. */
static int nodes_of_key(const struct sorted *s, const struct list32 *pairs,
    const uint32_t *first_of, uint32_t key, const uint32_t *next_of, uint32_t **ret_nodes,
    size_t *ret_count)
{
    struct list32 list = {0};
    int r = 0;
    size_t classes = 0;
    for (uint32_t at = first_of[key]; at != HEAP_NONE && r == 0; at = next_of[at]) {
        uint32_t class = pairs->at[2 * at + 1];
        classes++;
        for (uint32_t i = s->first[class]; i < s->first[class + 1] && r == 0; i++)
            r = list32_add(&list, s->nodes[i]);
    }
    if (r < 0) {
        list32_free(&list);
        return r;
    }
    if (classes > 1)
        heap_sort_ids(s->heap, list.at, list.count);
    *ret_nodes = list.at;
    *ret_count = list.count;
    return 0;
}

static int diff_key(const struct heap *base, const uint32_t *old, size_t olds,
    const struct heap *now, const uint32_t *new, size_t news, struct heap_diff_class *d)
{
    size_t i = 0, k = 0;
    d->added = calloc(news + 1, sizeof *d->added);
    if (!d->added)
        return ERR_NOMEM;
    while (i < olds || k < news) {
        uint32_t a = i < olds ? base->id[old[i]] : 0, b = k < news ? now->id[new[k]] : 0;
        if (k == news || (i < olds && a < b)) {
            d->removed_count++;
            d->removed_size += base->self[old[i++]];
        } else if (i == olds || b < a) {
            d->added[d->added_count++] = new[k];
            d->added_size += now->self[new[k++]];
        } else {
            i++;
            k++;
        }
    }
    d->count_delta = (int64_t)d->added_count - d->removed_count;
    d->size_delta = (int64_t)(d->added_size - d->removed_size);
    return 0;
}

static int diff_order(const void *a, const void *b)
{
    const struct heap_diff_class *x = a, *y = b;
    if (x->size_delta != y->size_delta)
        return x->size_delta > y->size_delta ? -1 : 1;
    if (x->added_size != y->added_size)
        return x->added_size > y->added_size ? -1 : 1;
    return strcmp(x->key, y->key);
}

/* Chains of pairs with the same key. */
static int chain(
    const struct list32 *pairs, uint32_t keys, uint32_t **ret_first, uint32_t **ret_next)
{
    size_t count = pairs->count / 2;
    uint32_t *first = malloc(((size_t)keys + 1) * sizeof *first);
    uint32_t *next = malloc((count + 1) * sizeof *next);
    *ret_first = first;
    *ret_next = next;
    if (!first || !next)
        return ERR_NOMEM;
    memset(first, 0xff, ((size_t)keys + 1) * sizeof *first);
    for (size_t i = count; i > 0; i--) {
        uint32_t key = pairs->at[2 * (i - 1)];
        next[i - 1] = first[key];
        first[key] = (uint32_t)(i - 1);
    }
    return 0;
}

static int diff_all(struct joined *j, const struct sorted *base, const struct sorted *now,
    struct heap_diff_class **ret_list, size_t *ret_count)
{
    uint32_t *base_first = NULL, *base_next = NULL, *now_first = NULL, *now_next = NULL;
    struct heap_diff_class *list = calloc((size_t)j->keys.count + 1, sizeof *list);
    size_t count = 0;
    int r = list ? chain(&j->base, j->keys.count, &base_first, &base_next) : ERR_NOMEM;
    if (r == 0)
        r = chain(&j->now, j->keys.count, &now_first, &now_next);
    for (uint32_t key = 0; key < j->keys.count && r == 0; key++) {
        uint32_t *old = NULL, *new = NULL;
        size_t olds = 0, news = 0;
        struct heap_diff_class d = {0};
        r = nodes_of_key(base, &j->base, base_first, key, base_next, &old, &olds);
        if (r == 0)
            r = nodes_of_key(now, &j->now, now_first, key, now_next, &new, &news);
        if (r == 0)
            r = diff_key(base->heap, old, olds, now->heap, new, news, &d);
        free(old);
        free(new);
        if (r == 0 && (d.added_count || d.removed_count) && !(d.key = strdup(j->keys.text[key])))
            r = ERR_NOMEM;
        if (!d.key) {
            free(d.added);
            continue;
        }
        d.name = heap_key_name(d.key);
        list[count++] = d;
    }
    free(base_first);
    free(base_next);
    free(now_first);
    free(now_next);
    if (r < 0) {
        heap_diff_free(list, count);
        return r;
    }
    qsort(list, count, sizeof *list, diff_order);
    *ret_list = list;
    *ret_count = count;
    return 0;
}

const char *heap_key_name(const char *key)
{
    /* ",Name", or "12,3,4,Name" for a place. */
    const char *at = key;
    int commas = *key == ',' ? 1 : 3;
    for (; commas && *at; at++)
        commas -= *at == ',';
    return at;
}

int heap_diff(const struct heap *base, const struct heap *now, struct heap_diff_class **ret_list,
    size_t *ret_count, struct err *e)
{
    struct classing again = {0}; /* the base with the new snapshot's definitions */
    struct sorted old = {0}, new = {0};
    struct joined j = {0};
    int r = classify_with(base, &now->shapes, NULL, &again, e);
    if (r < 0)
        return r;
    r = sorted_make(&old, base, &again);
    if (r == 0)
        r = sorted_make(&new, now, &now->classing);
    if (r == 0)
        r = join_keys(&j, &j.base, &again);
    if (r == 0)
        r = join_keys(&j, &j.now, &now->classing);
    if (r == 0)
        r = diff_all(&j, &old, &new, ret_list, ret_count);
    sorted_free(&old);
    sorted_free(&new);
    names_free(&j.keys);
    list32_free(&j.base);
    list32_free(&j.now);
    classing_free(base, &again);
    return r < 0 ? err_set(e, r, "out of memory for the comparison") : 0;
}

void heap_diff_free(struct heap_diff_class *list, size_t count)
{
    for (size_t i = 0; list && i < count; i++) {
        free(list[i].key);
        free(list[i].added);
    }
    free(list);
}
