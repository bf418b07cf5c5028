/* Immediate dominators (R7): a depth-first order of the essential edges, then semidominators and
 * nearest common ancestors (semi-NCA; Georgiadis, Tarjan and Werneck, "Finding dominators in
 * practice", 2006). Everything runs on depth-first numbers, where parents come before children.
 *
 * Two things are fused into the depth-first walk. First, which nodes the page owns (R2): the walk
 * goes from the page's seeds first, so that all of it is known before any other edge is looked at
 * that rule R4 compares with it. Second, an edge is sorted while it is walked: one to a higher
 * number cannot lower a semidominator below the least source, which is kept in place; only those to
 * a lower number are listed for the second half. */
#include "base/clock.h"
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>

#define UNSEEN 0 /* depth-first numbers begin at 1, the root's */
#define ROOT   1

/* Of a node that the second half has come past: the least semidominator on the way up to, and not
 * including, the ancestor. One cache line serves both. */
struct link {
    uint32_t label, ancestor;
};

struct dominating {
    struct heap *heap;
    uint32_t *number;      /* by node: depth-first number */
    uint32_t *node;        /* by number */
    uint32_t *parent;      /* by number; becomes the dominator */
    uint32_t *least;       /* by number: least source of an edge; becomes the semidominator */
    uint32_t *target;      /* of crossing edges, grouped by source in the order of numbers */
    uint32_t *first;       /* by number: where its crossing edges begin in target */
    uint32_t *from, *into; /* the same edges by target: sources, and by number where they begin */
    struct link *link;
    uint32_t *stack; /* edge to be looked at next, for each node on the path */
    uint64_t crossings;
    uint32_t last;        /* number given last */
    struct list32 strays; /* page-owned targets of edges that do not count */
    bool page_phase;      /* the walk is in what the page owns */
};

/* Gives the node its number and sorts those of its edges whose targets have one already. Returns
 * whether there are others. */
static bool visit(struct dominating *d, uint32_t node, uint32_t parent, int *ret_error)
{
    const struct heap *h = d->heap;
    const uint32_t *edges = h->edge;
    uint32_t self = ++d->last;
    uint64_t crossings = d->crossings;
    d->number[node] = self;
    d->node[self] = node;
    d->parent[self] = d->least[self] = parent;
    d->first[self] = (uint32_t)crossings;
    bool fresh = false;
    bool owned = d->page_phase || bit_get(h->page_owned, node);
    if (d->page_phase)
        bit_set(h->page_owned, node);
    for (uint32_t k = h->first_edge[node], end = h->first_edge[node + 1]; k < end; k++) {
        uint32_t edge = edges[k], to = heap_edge_to(edge);
        if (edge & HEAP_EDGE_LOOSE) {
            if (d->page_phase && heap_edge_kind(edge) != HEAP_WEAK && !bit_get(h->page_owned, to) &&
                list32_add(&d->strays, to) < 0)
                *ret_error = ERR_NOMEM;
            continue;
        }
        if (!owned && bit_get(h->page_owned, to))
            continue;
        uint32_t other = d->number[to];
        if (other == UNSEEN) {
            fresh = true;
            __builtin_prefetch(&h->first_edge[to]);
        } else if (other != ROOT) {
            d->target[crossings++] = other;
        } else if (d->page_phase && !bit_get(h->page_owned, to) && list32_add(&d->strays, to) < 0) {
            *ret_error = ERR_NOMEM;
        }
    }
    d->crossings = crossings;
    return fresh;
}

/* Walks everything that is new from `node`, a child of the root. */
static int descend(struct dominating *d, uint32_t node)
{
    const struct heap *h = d->heap;
    int error = 0;
    uint32_t depth = 0, self;
    if (d->number[node] != UNSEEN)
        return 0;
    visit(d, node, ROOT, &error);
    self = d->last;
    d->stack[0] = h->first_edge[node];
    for (;;) {
        node = d->node[self];
        bool owned = bit_get(h->page_owned, node), down = false;
        uint32_t k = d->stack[depth], end = h->first_edge[node + 1];
        while (k < end) {
            uint32_t edge = h->edge[k++], to = heap_edge_to(edge);
            if (edge & HEAP_EDGE_LOOSE || (!owned && bit_get(h->page_owned, to)))
                continue;
            uint32_t other = d->number[to];
            if (other > self) { /* reached meanwhile by a longer way */
                if (self < d->least[other])
                    d->least[other] = self;
                continue;
            }
            if (other != UNSEEN)
                continue;
            if (!visit(d, to, self, &error))
                continue; /* a leaf for us: nothing to go down for */
            d->stack[depth++] = k;
            d->stack[depth] = h->first_edge[to];
            self = d->number[to];
            down = true;
            break;
        }
        if (down)
            continue;
        if (depth == 0)
            return error;
        depth--;
        self = d->parent[self];
    }
}

/* What the page owns beyond what the walk reached: over every edge but weak ones (R2). */
static int flood_strays(struct dominating *d)
{
    struct heap *h = d->heap;
    struct list32 *todo = &d->strays;
    size_t seeds = todo->count;
    while (todo->count) {
        uint32_t node = todo->at[--todo->count];
        if (seeds > todo->count) { /* a seed; the others are marked when they are added */
            seeds = todo->count;
            if (bit_get(h->page_owned, node))
                continue;
            bit_set(h->page_owned, node);
        }
        for (uint32_t k = h->first_edge[node]; k < h->first_edge[node + 1]; k++) {
            uint32_t to = heap_edge_to(h->edge[k]);
            if (heap_edge_kind(h->edge[k]) == HEAP_WEAK || bit_get(h->page_owned, to))
                continue;
            bit_set(h->page_owned, to);
            if (list32_add(todo, to) < 0)
                return ERR_NOMEM;
        }
    }
    return 0;
}

/* Nodes that no essential edge leads to hang on the root; what is left then are cycles that nothing
 * essential enters. Only edges between nodes that are still unseen can tell them apart. */
static int descend_orphans(struct dominating *d)
{
    struct heap *h = d->heap;
    uint32_t reached = d->last;
    if (reached == h->nodes)
        return 0;
    uint64_t *entered = column_new(h->pool, BITS_WORDS(h->nodes), 8);
    if (!entered)
        return ERR_NOMEM;
    int r = 0;
    for (uint32_t i = 0; i < h->nodes; i++) {
        if (d->number[i] != UNSEEN)
            continue;
        bool owned = bit_get(h->page_owned, i);
        for (uint32_t k = h->first_edge[i]; k < h->first_edge[i + 1]; k++) {
            uint32_t to = heap_edge_to(h->edge[k]);
            if (!(h->edge[k] & HEAP_EDGE_LOOSE) && (owned || !bit_get(h->page_owned, to)))
                bit_set(entered, to);
        }
    }
    for (uint32_t i = 0; i < h->nodes && r == 0; i++)
        if (d->number[i] == UNSEEN && !bit_get(entered, i))
            r = descend(d, i);
    h->unreachable = h->nodes - reached;
    column_free(h->pool, entered);
    return r;
}

static int depth_first(struct dominating *d)
{
    struct heap *h = d->heap;
    uint32_t from = h->first_edge[h->root], to = h->first_edge[h->root + 1];
    int r = 0;
    d->number[h->root] = d->last = ROOT;
    d->node[ROOT] = h->root;
    d->page_phase = true;
    for (uint32_t k = from; k < to && r == 0; k++) {
        if (!heap_is_page_seed(h, k))
            continue;
        if (h->edge[k] & HEAP_EDGE_LOOSE)
            r = list32_add(&d->strays, heap_edge_to(h->edge[k]));
        else
            r = descend(d, heap_edge_to(h->edge[k]));
    }
    if (r == 0)
        r = flood_strays(d);
    d->page_phase = false;
    for (uint32_t k = from; k < to && r == 0; k++)
        if (!(h->edge[k] & HEAP_EDGE_LOOSE)) {
            r = descend(d, heap_edge_to(h->edge[k]));
            /* The root's own edge may come after a longer way: it is the least source there is. */
            d->least[d->number[heap_edge_to(h->edge[k])]] = ROOT;
        }
    return r == 0 ? descend_orphans(d) : r;
}

/* Sorts the crossing edges by target. */
static int group_by_target(struct dominating *d)
{
    uint32_t last = d->last, sum = 0;
    d->from = column_dirty(d->heap->pool, d->crossings, 4);
    d->into = column_new(d->heap->pool, (size_t)d->heap->nodes + 2, 4);
    if (!d->from || !d->into)
        return ERR_NOMEM;
    for (uint64_t i = 0; i < d->crossings; i++)
        d->into[d->target[i]]++;
    for (uint32_t w = 0; w <= last; w++) { /* to the end of each one's part: filled from behind */
        sum += d->into[w];
        d->into[w] = sum;
    }
    d->into[last + 1] = sum;
    d->first[last + 1] = (uint32_t)d->crossings;
    for (uint32_t w = last; w > ROOT; w--)
        for (uint32_t i = d->first[w]; i < d->first[w + 1]; i++)
            d->from[--d->into[d->target[i]]] = w;
    return 0;
}

/* The least semidominator on the way from v up to, not including, the first ancestor that is not
 * behind `w`. Shortens the way. */
static inline uint32_t least_above(struct link *link, uint32_t v, uint32_t w, uint32_t *stack)
{
    uint32_t depth = 0;
    if (link[v].ancestor <= w)
        return link[v].label;
    do {
        stack[depth++] = v;
        v = link[v].ancestor;
    } while (link[v].ancestor > w);
    uint32_t top = link[v].ancestor, label = link[v].label;
    while (depth) {
        v = stack[--depth];
        if (link[v].label < label)
            label = link[v].label;
        link[v] = (struct link){label, top};
    }
    return label;
}

static void find_dominators(struct dominating *d)
{
    struct link *link = d->link;
    uint32_t *parent = d->parent, *semi = d->least;
    for (uint32_t w = d->last; w > ROOT; w--) {
        uint32_t least = semi[w];
        for (uint32_t i = d->into[w]; i < d->into[w + 1] && least > ROOT; i++) {
            uint32_t other = least_above(link, d->from[i], w, d->stack);
            least = other < least ? other : least;
        }
        semi[w] = least;
        link[w] = (struct link){least, parent[w]};
    }
    for (uint32_t w = ROOT + 1; w <= d->last; w++) {
        uint32_t up = parent[w];
        while (up > semi[w])
            up = parent[up];
        parent[w] = up;
    }
}

int heap_dominate(struct heap *h, struct err *e)
{
    struct dominating d = {.heap = h};
    size_t n = (size_t)h->nodes + 2;
    int64_t t0 = clock_monotonic_us(), t1 = t0, t2 = t0;
    int r = ERR_NOMEM;
    h->page_owned = column_new(h->pool, BITS_WORDS(h->nodes), 8);
    d.number = column_new(h->pool, n, 4);
    d.node = column_dirty(h->pool, n, 4);
    d.parent = column_dirty(h->pool, n, 4);
    d.least = column_dirty(h->pool, n, 4);
    d.first = column_dirty(h->pool, n, 4);
    d.stack = column_dirty(h->pool, n, 4);
    d.target = column_dirty(h->pool, h->edges, 4);
    if (!h->page_owned || !d.number || !d.node || !d.parent || !d.least || !d.first || !d.stack ||
        !d.target || (r = depth_first(&d)) < 0)
        goto out;
    column_free(h->pool, d.number);
    d.number = NULL;
    t1 = clock_monotonic_us();
    if ((r = group_by_target(&d)) < 0)
        goto out;
    column_cut(h->pool, d.target, d.crossings * sizeof *d.target);
    column_free(h->pool, d.target);
    column_free(h->pool, d.first);
    d.target = d.first = NULL;
    t2 = clock_monotonic_us();
    d.link = column_dirty(h->pool, n, sizeof *d.link);
    if (!d.link) {
        r = ERR_NOMEM;
        goto out;
    }
    find_dominators(&d);
    h->order = d.node;
    h->order_dominator = d.parent;
    h->order_last = d.last;
    d.node = d.parent = NULL;
    h->phase_us[HEAP_TIME_DEPTH_FIRST] = t1 - t0;
    h->phase_us[HEAP_TIME_PREDECESSORS] = t2 - t1;
    h->phase_us[HEAP_TIME_DOMINATORS] = clock_monotonic_us() - t2;
out:
    column_free(h->pool, d.number);
    column_free(h->pool, d.node);
    column_free(h->pool, d.parent);
    column_free(h->pool, d.least);
    column_free(h->pool, d.first);
    column_cut(h->pool, d.stack, 0); /* deep in lists only */
    column_free(h->pool, d.stack);
    column_free(h->pool, d.target);
    column_free(h->pool, d.from);
    column_free(h->pool, d.into);
    column_free(h->pool, d.link);
    list32_free(&d.strays);
    return r < 0 ? err_set(e, r, "%s: out of memory", h->source.name) : 0;
}
