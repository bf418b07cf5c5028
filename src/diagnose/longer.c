/* Long strings by holder. */
#include "diagnose/longer.h"

#include "diagnose/frontier.h"

#include <stdlib.h>

#define LONG_BYTES 16384 /* retained, for a string to be remembered */
#define STEP_BYTES 8192  /* that it grows by in each step at the least */

struct held {
    uint32_t holder; /* id */
    uint64_t bytes;
};

struct earlier {
    struct held *list; /* sorted by holder */
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

/* A long string that is not a part of another one. */
static bool is_long(const struct heap_columns *c, uint32_t node)
{
    return is_string(c, node) && c->retained[node] >= LONG_BYTES &&
           !is_string(c, c->dominator[node]);
}

static uint32_t holder_of(const struct heap *h, uint32_t node)
{
    const struct heap_columns *c = heap_columns(h);
    do
        node = c->dominator[node];
    while (node != c->root && frontier_is_inside(h, node));
    return node;
}

static int holder_order(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    return (x->holder > y->holder) - (x->holder < y->holder);
}

/* One entry a holder. */
static void put_together(struct earlier *s)
{
    size_t kept = 0;
    qsort(s->list, s->count, sizeof *s->list, holder_order);
    for (size_t i = 0; i < s->count; i++)
        if (kept && s->list[kept - 1].holder == s->list[i].holder)
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
        count += is_long(c, i);
    *ret = (struct earlier){.list = calloc(count + 1, sizeof *ret->list)};
    if (!ret->list)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (is_long(c, i))
            ret->list[ret->count++] = (struct held){c->id[holder_of(h, i)], c->retained[i]};
    put_together(ret);
    return 0;
}

int longer_add(struct longer *l, const struct heap *h, struct err *e)
{
    if (l->count == BIRTHS_MAX)
        return err_set(e, ERR_FULL, "more than %d snapshots", BIRTHS_MAX);
    if (find_held(h, &l->list[l->count]) != 0)
        return err_set(e, ERR_NOMEM, "out of memory for the strings of a snapshot");
    l->count++;
    return 0;
}

static uint64_t bytes_of(const struct earlier *s, uint32_t holder)
{
    const struct held key = {.holder = holder};
    const struct held *found = bsearch(&key, s->list, s->count, sizeof key, holder_order);
    return found ? found->bytes : 0;
}

bool longer_grew(const struct longer *l, const struct heap *last, uint32_t unit,
    uint64_t ret_steps[BIRTHS_MAX + 1])
{
    const struct heap_columns *c = heap_columns(last);
    if (!is_long(c, unit) || l->count == 0)
        return false;
    uint32_t holder = holder_of(last, unit);
    uint64_t before = bytes_of(&l->list[0], c->id[holder]), now = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (is_long(c, i) && holder_of(last, i) == holder)
            now += c->retained[i];
    for (size_t k = 1; k <= l->count; k++) {
        uint64_t after = k < l->count ? bytes_of(&l->list[k], c->id[holder]) : now;
        if (before == 0 || after < before + STEP_BYTES)
            return false;
        ret_steps[k] = after - before;
        before = after;
    }
    return true;
}
