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

#define THREADS 2 /* at the most: heap_open uses no more */

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

/* ---- crossing edges by target ---- */

#define OTHERS 16 /* places for what another thread does, so that no branch has to be guessed */

/* Each thread does the targets of a range of numbers. A source has only targets below it, so the
 * thread of a range need not look at sources before its end. */
struct grouping {
    struct dominating *d;
    uint32_t bound[THREADS + 1]; /* the first target of each range, and the end of the last */
    uint32_t count[THREADS];     /* of edges to the range */
};

static int group_count(void *arg, int thread, struct err *e)
{
    struct grouping *g = arg;
    const struct dominating *d = g->d;
    uint32_t from = g->bound[thread], size = g->bound[thread + 1] - from;
    uint32_t count = 0, others[OTHERS] = {0};
    (void)e;
    for (uint32_t i = d->first[from]; i < d->first[d->last + 1]; i++) {
        bool ours = d->target[i] - from < size;
        ++*(ours ? &d->into[d->target[i]] : &others[i % OTHERS]);
        count += ours;
    }
    g->count[thread] = count;
    return 0;
}

/* From counts to the end of each target's part, which is then filled from behind. */
static int group_fill(void *arg, int thread, struct err *e)
{
    const struct grouping *g = arg;
    const struct dominating *d = g->d;
    uint32_t from = g->bound[thread], size = g->bound[thread + 1] - from;
    uint32_t sum = thread > 0 ? g->count[0] : 0, ends[OTHERS] = {0}, others[OTHERS];
    (void)e;
    for (uint32_t w = from; w - from < size; w++) {
        sum += d->into[w];
        d->into[w] = sum;
    }
    for (uint32_t w = d->last; w > from; w--)
        for (uint32_t i = d->first[w]; i < d->first[w + 1]; i++) {
            bool ours = d->target[i] - from < size;
            uint32_t at = --*(ours ? &d->into[d->target[i]] : &ends[i % OTHERS]);
            *(ours ? &d->from[at] : &others[i % OTHERS]) = w;
        }
    return 0;
}

/* The first source that has half of the edges before it. */
static uint32_t group_middle(const struct dominating *d)
{
    uint32_t low = ROOT + 1, high = d->last + 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (d->first[middle] < d->crossings / 2)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int group_by_target(struct dominating *d, int threads)
{
    struct pool *pool = d->heap->pool;
    struct grouping g = {.d = d};
    d->into = column_new(pool, (size_t)d->heap->nodes + 2, 4);
    d->from = column_dirty(pool, d->crossings, 4);
    if (!d->into || !d->from)
        return ERR_NOMEM;
    d->first[d->last + 1] = d->into[d->last + 1] = (uint32_t)d->crossings;
    g.bound[0] = ROOT + 1; /* nothing crosses over to the root */
    g.bound[1] = threads > 1 ? group_middle(d) : d->last + 1;
    g.bound[2] = d->last + 1;
    int r = parallel_run(threads, group_count, &g, NULL);
    return r == 0 ? parallel_run(threads, group_fill, &g, NULL) : r;
}

/* ---- dominators ---- */

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

/* ---- the three steps ---- */

static int fail(const struct heap *h, int r, struct err *e)
{
    return r < 0 ? err_set(e, r, "%s: out of memory", h->source.name) : 0;
}

int heap_dominate_walk(struct heap *h, struct err *e)
{
    struct dominating *d = calloc(1, sizeof *d);
    size_t n = (size_t)h->nodes + 2;
    int64_t begun = clock_monotonic_us();
    if (!d)
        return fail(h, ERR_NOMEM, e);
    h->dominating = d;
    d->heap = h;
    h->page_owned = column_new(h->pool, BITS_WORDS(h->nodes), 8);
    d->number = column_new(h->pool, n, 4);
    d->node = column_dirty(h->pool, n, 4);
    d->parent = column_dirty(h->pool, n, 4);
    d->least = column_dirty(h->pool, n, 4);
    d->first = column_dirty(h->pool, n, 4);
    d->stack = column_dirty(h->pool, n, 4);
    d->target = column_dirty(h->pool, h->edges, 4);
    if (!h->page_owned || !d->number || !d->node || !d->parent || !d->least || !d->first ||
        !d->stack || !d->target)
        return fail(h, ERR_NOMEM, e);
    int r = depth_first(d);
    column_free(h->pool, d->number);
    d->number = NULL;
    h->phase_us[HEAP_TIME_DEPTH_FIRST] = clock_monotonic_us() - begun;
    return fail(h, r, e);
}

int heap_dominate_group(struct heap *h, struct err *e)
{
    struct dominating *d = h->dominating;
    int64_t begun = clock_monotonic_us();
    int r = group_by_target(d, h->threads);
    column_cut(h->pool, d->target, d->crossings * sizeof *d->target);
    column_free(h->pool, d->target);
    column_free(h->pool, d->first);
    d->target = d->first = NULL;
    h->phase_us[HEAP_TIME_PREDECESSORS] = clock_monotonic_us() - begun;
    return fail(h, r, e);
}

int heap_dominate_end(struct heap *h, struct err *e)
{
    struct dominating *d = h->dominating;
    int64_t begun = clock_monotonic_us();
    d->link = column_dirty(h->pool, (size_t)h->nodes + 2, sizeof *d->link);
    if (!d->link)
        return fail(h, ERR_NOMEM, e);
    find_dominators(d);
    h->order = d->node;
    h->order_dominator = d->parent;
    h->order_last = d->last;
    d->node = d->parent = NULL;
    heap_dominate_free(h);
    h->phase_us[HEAP_TIME_DOMINATORS] = clock_monotonic_us() - begun;
    return 0;
}

void heap_dominate_free(struct heap *h)
{
    struct dominating *d = h->dominating;
    if (!d)
        return;
    column_free(h->pool, d->number);
    column_free(h->pool, d->node);
    column_free(h->pool, d->parent);
    column_free(h->pool, d->least);
    column_free(h->pool, d->first);
    column_cut(h->pool, d->stack, 0); /* deep in lists only */
    column_free(h->pool, d->stack);
    column_free(h->pool, d->target);
    column_free(h->pool, d->from);
    column_free(h->pool, d->into);
    column_free(h->pool, d->link);
    list32_free(&d->strays);
    free(d);
    h->dominating = NULL;
}
