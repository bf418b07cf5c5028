/* Trees of stacks: from the callers down, and from the functions that allocate up to their callers.
 * Neither recurses; both are cut by share and depth, and bounded. */
#include "base/array.h"
#include "heap/allocations_inside.h"

#include <stdlib.h>
#include <string.h>

#define BRANCHES_MAX (1u << 22) /* lines of a tree; what a share of 0.1 % leaves are thousands */

struct amounts {
    int64_t live_count, live_bytes, count, bytes;
};

static void amounts_add(struct amounts *to, const struct amounts *more)
{
    to->live_count = allocations_sum(to->live_count, more->live_count);
    to->live_bytes = allocations_sum(to->live_bytes, more->live_bytes);
    to->count = allocations_sum(to->count, more->count);
    to->bytes = allocations_sum(to->bytes, more->bytes);
}

static struct amounts own_amounts(const struct allocation_node *node)
{
    return (struct amounts){node->live_count, node->live_bytes, node->count, node->bytes};
}

/* ---- the answer, and the branches that wait for their turn ---- */

struct growing {
    const struct allocations *a;
    const struct allocation_cut *cut;
    struct allocation_branch *list;
    uint32_t count;
    int64_t least; /* live bytes */
    bool was_cut;
};

static int add_branch(struct growing *g, uint32_t frame, uint32_t parent, uint32_t depth,
    const struct amounts *all, int64_t own, struct err *e)
{
    if (g->count == BRANCHES_MAX)
        return err_set(
            e, ERR_NOMEM, "the tree has more than %u branches; cut it by share", BRANCHES_MAX);
    if (!array_more(&g->list, g->count))
        return err_set(e, ERR_NOMEM, "no memory for a tree of stacks");
    g->list[g->count++] = (struct allocation_branch){.frame = &g->a->frames[frame],
        .parent = parent,
        .depth = depth,
        .live_count = all->live_count,
        .live_bytes = all->live_bytes,
        .count = all->count,
        .bytes = all->bytes,
        .own_live_bytes = own};
    return 0;
}

static bool is_kept(struct growing *g, const struct amounts *all, uint32_t depth)
{
    bool kept = all->live_bytes >= g->least && depth <= g->cut->depth;
    g->was_cut |= !kept;
    return kept;
}

struct pending {
    struct amounts all;
    uint32_t from, to; /* callees first: a range of entries; callers first: the node, unused */
    uint32_t parent, depth;
};

/* The smallest first: the last one pushed is the first to be taken. */
static int by_weight(const void *x, const void *y)
{
    const struct pending *a = x, *b = y;
    if (a->all.live_bytes != b->all.live_bytes)
        return a->all.live_bytes < b->all.live_bytes ? -1 : 1;
    if (a->all.bytes != b->all.bytes)
        return a->all.bytes < b->all.bytes ? -1 : 1;
    return (a->from < b->from) - (a->from > b->from);
}

static void sort_pending(struct pending *list, size_t count)
{
    if (count > 1)
        qsort(list, count, sizeof *list, by_weight);
}

/* ---- callers first ---- */

struct child {
    uint32_t first, next; /* of the node's children; ALLOCATION_NONE */
    struct amounts all;   /* with all below it */
};

static int grow_down(struct growing *g, struct child *of, struct pending *todo, struct err *e)
{
    const struct allocations *a = g->a;
    size_t waiting = 0;
    int rc = 0;
    for (uint32_t i = 0; i < a->node_count; i++)
        of[i] = (struct child){ALLOCATION_NONE, ALLOCATION_NONE, own_amounts(&a->nodes[i])};
    for (uint32_t i = a->node_count; i-- > 0;) { /* children have larger numbers */
        uint32_t parent = a->nodes[i].parent;
        if (parent == ALLOCATION_NONE) {
            todo[waiting++] = (struct pending){of[i].all, i, i, ALLOCATION_NONE, 0};
            continue;
        }
        amounts_add(&of[parent].all, &of[i].all);
        of[i].next = of[parent].first;
        of[parent].first = i;
    }
    sort_pending(todo, waiting);
    while (rc == 0 && waiting) {
        struct pending p = todo[--waiting];
        const struct allocation_node *node = &a->nodes[p.from];
        uint32_t at = g->count;
        rc = add_branch(g, node->frame, p.parent, p.depth, &p.all, node->live_bytes, e);
        size_t begin = waiting;
        for (uint32_t i = of[p.from].first; i != ALLOCATION_NONE; i = of[i].next)
            if (is_kept(g, &of[i].all, p.depth + 1))
                todo[waiting++] = (struct pending){of[i].all, i, i, at, p.depth + 1};
        sort_pending(todo + begin, waiting - begin);
    }
    return rc;
}

/* ---- callees first ---- */

struct entry {
    uint32_t node, at; /* what has allocated, and its caller that is looked at */
    uint32_t frame;    /* of `at`: the first of those that stand for the same function */
};

struct named_frame {
    const struct allocation_frame *frame;
    uint32_t number;
};

static int by_place(const void *x, const void *y)
{
    const struct named_frame *a = x, *b = y;
    int order = allocations_compare_frames(a->frame, b->frame);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

/* Of each frame the first one that is the same function. A timeline numbers its functions, and
 * DevTools goes by those numbers; a profile repeats name and place in every stack. */
static uint32_t *same_functions(const struct allocations *a)
{
    uint32_t *same = calloc((size_t)a->frame_count + 1, sizeof *same);
    struct named_frame *list = calloc((size_t)a->frame_count + 1, sizeof *list);
    for (uint32_t i = 0; same && list && i < a->frame_count; i++) {
        same[i] = i;
        list[i] = (struct named_frame){&a->frames[i], i};
    }
    if (same && list && a->is_profile && a->frame_count) {
        qsort(list, a->frame_count, sizeof *list, by_place);
        for (uint32_t i = 1; i < a->frame_count; i++)
            if (allocations_compare_frames(list[i - 1].frame, list[i].frame) == 0)
                same[list[i].number] = same[list[i - 1].number];
    }
    if (!list) {
        free(same);
        same = NULL;
    }
    free(list);
    return same;
}

static int by_frame(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    if (a->frame != b->frame)
        return a->frame < b->frame ? -1 : 1;
    return (a->node > b->node) - (a->node < b->node);
}

/* Cuts entries[from..to) into a pending branch a function; returns how many were pushed. */
static size_t push_functions(struct growing *g, struct entry *entries, uint32_t from, uint32_t to,
    uint32_t parent, uint32_t depth, struct pending *todo)
{
    size_t pushed = 0;
    if (to - from > 1)
        qsort(entries + from, to - from, sizeof *entries, by_frame);
    while (from < to) {
        struct pending p = {{0}, from, from, parent, depth};
        for (; p.to < to && entries[p.to].frame == entries[from].frame; p.to++) {
            struct amounts own = own_amounts(&g->a->nodes[entries[p.to].node]);
            amounts_add(&p.all, &own);
        }
        if (is_kept(g, &p.all, depth))
            todo[pushed++] = p;
        from = p.to;
    }
    sort_pending(todo, pushed);
    return pushed;
}

static int grow_up(struct growing *g, struct entry *entries, const uint32_t *same,
    struct pending *todo, struct err *e)
{
    const struct allocations *a = g->a;
    uint32_t used = 0;
    int rc = 0;
    for (uint32_t i = 0; i < a->node_count; i++)
        if (a->nodes[i].count != 0 && (!a->is_profile || a->nodes[i].live_bytes > 0))
            entries[used++] = (struct entry){i, i, same[a->nodes[i].frame]};
    size_t waiting = push_functions(g, entries, 0, used, ALLOCATION_NONE, 0, todo);
    while (rc == 0 && waiting) {
        struct pending p = todo[--waiting];
        uint32_t at = g->count, to = p.from;
        int64_t own = 0; /* of the stacks that begin here */
        rc = add_branch(g, entries[p.from].frame, p.parent, p.depth, &p.all, 0, e);
        for (uint32_t i = p.from; rc == 0 && i < p.to; i++) {
            struct entry one = entries[i];
            one.at = a->nodes[one.at].parent;
            if (one.at == ALLOCATION_NONE) {
                own = allocations_sum(own, a->nodes[one.node].live_bytes);
                continue;
            }
            one.frame = same[a->nodes[one.at].frame];
            entries[to++] = one;
        }
        if (rc == 0) {
            g->list[at].own_live_bytes = own;
            waiting += push_functions(g, entries, p.from, to, at, p.depth + 1, todo + waiting);
        }
    }
    return rc;
}

int allocations_tree(const struct allocations *a, enum allocation_way way,
    const struct allocation_cut *cut, struct allocation_tree *ret, struct err *e)
{
    struct growing g = {.a = a, .cut = cut};
    size_t room = (size_t)a->node_count + 1;
    bool up = way == ALLOCATION_CALLEES_FIRST;
    /* No node waits twice: children stand below one parent, and ranges of entries do not meet. */
    struct pending *todo = calloc(room, sizeof *todo);
    struct child *children = up ? NULL : calloc(room, sizeof *children);
    struct entry *entries = up ? calloc(room, sizeof *entries) : NULL;
    uint32_t *same = up ? same_functions(a) : NULL;
    int64_t total = 0;
    int rc = todo && (up ? entries && same : children != NULL)
                 ? 0
                 : err_set(e, ERR_NOMEM, "no memory for a tree of stacks");
    for (uint32_t i = 0; i < a->node_count; i++)
        total = allocations_sum(total, a->nodes[i].live_bytes);
    g.least = (int64_t)(cut->share * (double)total);
    if (rc == 0)
        rc = up ? grow_up(&g, entries, same, todo, e) : grow_down(&g, children, todo, e);
    free(todo);
    free(children);
    free(entries);
    free(same);
    if (rc)
        free(g.list);
    else
        *ret = (struct allocation_tree){g.list, g.count, total, g.was_cut};
    return rc;
}
