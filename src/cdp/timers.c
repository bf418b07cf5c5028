/* Deadlines in order. */
#include "cdp/timers.h"

#include "base/array.h"

#include <assert.h>
#include <stdlib.h>

int timers_reserve(struct timers *t, size_t count)
{
    return array_grow(&t->heap, &t->capacity, count) ? 0 : ERR_NOMEM;
}

static void put(struct timers *t, size_t index, struct timers_node *node)
{
    t->heap[index] = node;
    node->place = index + 1;
}

static void sift_up(struct timers *t, size_t index, struct timers_node *node)
{
    for (; index > 0; index = (index - 1) / 2) {
        struct timers_node *parent = t->heap[(index - 1) / 2];
        if (parent->due_us <= node->due_us)
            break;
        put(t, index, parent);
    }
    put(t, index, node);
}

static void sift_down(struct timers *t, size_t index, struct timers_node *node)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= t->count)
            break;
        if (child + 1 < t->count && t->heap[child + 1]->due_us < t->heap[child]->due_us)
            child++;
        if (node->due_us <= t->heap[child]->due_us)
            break;
        put(t, index, t->heap[child]);
        index = child;
    }
    put(t, index, node);
}

void timers_add(struct timers *t, struct timers_node *node, int64_t due_us)
{
    assert(node->place == 0 && t->count < t->capacity);
    node->due_us = due_us;
    t->count++;
    sift_up(t, t->count - 1, node);
}

void timers_remove(struct timers *t, struct timers_node *node)
{
    if (node->place == 0)
        return;
    size_t index = node->place - 1;
    assert(index < t->count && t->heap[index] == node);
    node->place = 0;
    struct timers_node *last = t->heap[--t->count];
    if (last == node)
        return;
    if (index > 0 && t->heap[(index - 1) / 2]->due_us > last->due_us)
        sift_up(t, index, last);
    else
        sift_down(t, index, last);
}

struct timers_node *timers_first(const struct timers *t)
{
    return t->count ? t->heap[0] : NULL;
}

void timers_free(struct timers *t)
{
    free(t->heap);
    *t = (struct timers){0};
}
