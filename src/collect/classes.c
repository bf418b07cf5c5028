/* Classes of one target from snapshot to snapshot. Sets are arrays in the order of their keys, so
 * that two of them are compared in one pass. */
#include "collect/classes.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    char *key, *name; /* owned by the set */
    struct class_figures figures;
};

struct set {
    struct entry *entries;
    size_t count;
};

struct classes {
    struct set first, latest;
    int64_t taken; /* snapshots */
};

static void free_set(struct set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->entries[i].key);
        free(s->entries[i].name);
    }
    free(s->entries);
    *s = (struct set){0};
}

struct classes *classes_new(void)
{
    return calloc(1, sizeof(struct classes));
}

void classes_free(struct classes *c)
{
    if (!c)
        return;
    if (c->first.entries != c->latest.entries)
        free_set(&c->first);
    free_set(&c->latest);
    free(c);
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int keys = strcmp(x->key, y->key);
    return keys ? keys : strcmp(x->name, y->name);
}

static int64_t integer_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : -1;
}

static int read_entry(const cJSON *row, struct entry *ret)
{
    const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "key"));
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "class"));
    struct class_figures f = {
        integer_of(row, "count"), integer_of(row, "self_size"), integer_of(row, "retained_size")};
    if (!key || !name || f.count < 0 || f.self_size < 0 || f.retained_size < 0)
        return ERR_FORMAT;
    *ret = (struct entry){strdup(key), strdup(name), f};
    return ret->key && ret->name ? 0 : ERR_NOMEM;
}

static int read_set(const cJSON *summary, struct set *ret, struct err *e)
{
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(summary, "classes");
    struct set s = {0};
    int count = cJSON_IsArray(rows) ? cJSON_GetArraySize(rows) : -1;
    if (count < 0 || count > CLASSES_MAX)
        return err_set(e, ERR_FORMAT, "the summary has no list of classes");
    s.entries = calloc((size_t)count + 1, sizeof *s.entries);
    if (!s.entries)
        return err_set(e, ERR_NOMEM, "no memory for %d classes", count);
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        int rc = read_entry(row, &s.entries[s.count]);
        s.count++; /* a half-read one is freed, too */
        if (rc) {
            free_set(&s);
            return err_set(e, rc, "class %zu of the summary cannot be read", s.count);
        }
    }
    qsort(s.entries, s.count, sizeof *s.entries, compare_entries);
    *ret = s;
    return 0;
}

static bool same(const struct class_figures *a, const struct class_figures *b)
{
    return a->count == b->count && a->self_size == b->self_size &&
           a->retained_size == b->retained_size;
}

/* Walks both sets in the order of keys; all: rows without a change, too. */
static void compare_sets(const struct set *before, const struct set *now, bool all,
    void (*visit)(void *arg, const struct class_change *change), void *arg)
{
    size_t i = 0, j = 0;
    while (i < before->count || j < now->count) {
        int order = i == before->count ? 1
                    : j == now->count  ? -1
                                       : compare_entries(&before->entries[i], &now->entries[j]);
        const struct entry *old = order <= 0 ? &before->entries[i++] : NULL;
        const struct entry *new = order >= 0 ? &now->entries[j++] : NULL;
        struct class_change change = {
            .key = (new ? new : old)->key, .name = (new ? new : old)->name};
        if (old)
            change.before = old->figures;
        if (new)
            change.now = new->figures;
        if (all || !same(&change.before, &change.now))
            visit(arg, &change);
    }
}

int classes_take(struct classes *c, const cJSON *summary,
    void (*visit)(void *arg, const struct class_change *change), void *arg, struct err *e)
{
    struct set s;
    int rc = read_set(summary, &s, e);
    if (rc)
        return rc;
    compare_sets(&c->latest, &s, c->taken % CLASSES_FULL_EVERY == 0, visit, arg);
    if (c->taken++ == 0)
        c->first = s; /* both, until the second comes */
    else if (c->latest.entries != c->first.entries)
        free_set(&c->latest);
    c->latest = s;
    return 0;
}

int64_t classes_taken(const struct classes *c)
{
    return c->taken;
}

struct grown {
    struct class_change *best; /* by growth of retained size, descending */
    size_t count, max;
};

static int64_t growth(const struct class_change *c)
{
    return c->now.retained_size - c->before.retained_size;
}

static void keep_if_grown(void *arg, const struct class_change *change)
{
    struct grown *g = arg;
    bool full = g->count == g->max;
    if (growth(change) <= 0 || (full && growth(&g->best[g->max - 1]) >= growth(change)))
        return;
    size_t at = full ? g->max - 1 : g->count++;
    for (; at > 0 && growth(&g->best[at - 1]) < growth(change); at--)
        g->best[at] = g->best[at - 1];
    g->best[at] = *change;
}

size_t classes_grown(const struct classes *c, struct class_change *ret, size_t max)
{
    struct grown g = {.best = ret, .max = max};
    if (c->taken < 2 || max == 0)
        return 0;
    compare_sets(&c->first, &c->latest, false, keep_if_grown, &g);
    return g.count;
}
