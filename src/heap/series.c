/* Classes across a series of snapshots of one program. */
#include "heap/series.h"

#include "base/array.h"
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

struct heap_series {
    size_t snapshots, added;
    struct names keys;
    struct heap_trend *trends; /* by number in keys until they are ranked */
};

struct heap_series *heap_series_new(size_t snapshots)
{
    struct heap_series *s = calloc(1, sizeof *s);
    if (s)
        s->snapshots = snapshots;
    return s;
}

void heap_series_free(struct heap_series *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->keys.count; i++)
        free(s->trends[i].points);
    free(s->trends);
    names_free(&s->keys);
    free(s);
}

static int series_point(struct heap_series *s, const struct heap_class *k)
{
    uint32_t number, known = s->keys.count;
    if (!array_more(&s->trends, known))
        return ERR_NOMEM;
    int r = names_add(&s->keys, k->key, strlen(k->key), &number);
    if (r < 0)
        return r;
    struct heap_trend *t = &s->trends[number];
    if (number == known)
        *t = (struct heap_trend){0};
    if (!t->points && !(t->points = calloc(s->snapshots + 1, sizeof *t->points)))
        return ERR_NOMEM;
    struct heap_point *p = &t->points[s->added]; /* two classes of one key are taken together */
    p->count += k->count;
    p->self_size += k->self_size;
    p->retained_size += k->retained_size;
    return 0;
}

int heap_series_add(struct heap_series *s, const struct heap *h, struct err *e)
{
    const struct heap_class *classes;
    uint32_t count = heap_classes(h, &classes);
    if (s->added == s->snapshots)
        return err_set(e, ERR_FULL, "more snapshots than the series was made for");
    for (uint32_t i = 0; i < count; i++)
        if (series_point(s, &classes[i]) < 0)
            return err_set(e, ERR_NOMEM, "out of memory for a series of snapshots");
    s->added++;
    return 0;
}

static void trend_fill(struct heap_trend *t, size_t count)
{
    double mean = ((double)count - 1) / 2, spread = 0, counts = 0, sizes = 0;
    t->grew_every_step = count > 1;
    for (size_t i = 0; i < count; i++) {
        double x = (double)i - mean;
        spread += x * x;
        counts += x * t->points[i].count;
        sizes += x * (double)t->points[i].self_size;
        if (i && t->points[i].count <= t->points[i - 1].count)
            t->grew_every_step = false;
    }
    t->count_slope = spread > 0 ? counts / spread : 0;
    t->size_slope = spread > 0 ? sizes / spread : 0;
}

static int trend_order(const void *a, const void *b)
{
    const struct heap_trend *x = a, *y = b;
    if (x->grew_every_step != y->grew_every_step)
        return x->grew_every_step ? -1 : 1;
    if (x->size_slope != y->size_slope)
        return x->size_slope > y->size_slope ? -1 : 1;
    return strcmp(x->key, y->key);
}

size_t heap_series_rank(struct heap_series *s, const struct heap_trend **ret_list)
{
    for (uint32_t i = 0; i < s->keys.count; i++) {
        s->trends[i].key = s->keys.text[i];
        s->trends[i].name = heap_key_name(s->keys.text[i]);
        trend_fill(&s->trends[i], s->added);
    }
    if (s->keys.count)
        qsort(s->trends, s->keys.count, sizeof *s->trends, trend_order);
    *ret_list = s->trends;
    return s->keys.count;
}
