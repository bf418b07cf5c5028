/* The frontier between old and new. */
#include "diagnose/frontier.h"

#include "base/array.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#define LINKS_MAX   64  /* units that hang on units: steps that are followed to a holder */
#define LIST_MAX    64  /* new ancestors in which another of a list is looked for */
#define SIBLINGS    8   /* as many holders of one class are one finding */
#define SIBLING_MAX 0.3 /* of their bytes: what a single one of them may have */
#define IN_EDGES    512 /* of a unit that are looked at */
#define CHAIN_LEAST 3   /* of one class, one behind the other, that are a list */
#define NAMES_KNOWN 256 /* a power of two */

struct frontier {
    struct heap *h;
    const uint8_t *born;
    const uint32_t *lifted;
    uint32_t *unit;      /* by node: the unit's first node; HEAP_NONE: old, or inside a holder */
    uint32_t *owner;     /* by node: of a unit's first node its group, see below */
    uint64_t *remade;    /* bits: new, but made anew around old contents */
    uint32_t store_name; /* of the edges that frontier_is_note tells; HEAP_NONE: not met yet */
    uint32_t other_names[NAMES_KNOWN]; /* of others, each at its place modulo */
    struct frontier_group *groups;
    size_t count;
};

/* ---- what a node is ---- */

const char *frontier_class_name(const struct heap *h, uint32_t class)
{
    const struct heap_class *classes;
    uint32_t count = heap_classes(h, &classes);
    return class < count ? classes[class].name : "";
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_context(const char *class)
{
    return strcmp(class, "system / Context") == 0 || strcmp(class, "system / NativeContext") == 0;
}

bool frontier_is_inside(const struct heap *h, uint32_t node)
{
    const struct heap_columns *c = heap_columns(h);
    if (c->kind[node] == HEAP_ARRAY || c->kind[node] == HEAP_HIDDEN)
        return true;
    if (c->kind[node] != HEAP_OBJECT && c->kind[node] != HEAP_NATIVE)
        return false;
    const char *name = frontier_class_name(h, c->class_of[node]);
    return (starts_with(name, "system / ") && !is_context(name)) || strcmp(name, "TimersList") == 0;
}

uint32_t *frontier_lift(const struct heap *h)
{
    const struct heap_columns *c = heap_columns(h);
    uint32_t *lifted = calloc((size_t)c->node_count + 1, sizeof *lifted);
    for (uint32_t i = 0; lifted && i < c->node_count; i++)
        lifted[i] = HEAP_NONE;
    for (uint32_t i = 0; lifted && i < c->node_count; i++) {
        uint32_t end = i;
        while (lifted[end] == HEAP_NONE && end != c->root && frontier_is_inside(h, end))
            end = c->dominator[end];
        if (lifted[end] != HEAP_NONE)
            end = lifted[end];
        for (uint32_t at = i; lifted[at] == HEAP_NONE; at = c->dominator[at]) {
            lifted[at] = end;
            if (at == end)
                break;
        }
    }
    return lifted;
}

enum frontier_rank frontier_rank(const struct heap *h, uint32_t node)
{
    const struct heap_columns *c = heap_columns(h);
    if (node == c->root)
        return FRONTIER_ROOTS;
    const char *name = frontier_class_name(h, c->class_of[node]);
    switch (c->kind[node]) {
    case HEAP_CLOSURE: return FRONTIER_MINOR;
    case HEAP_OBJECT:
        if (strcmp(name, "system / Context") == 0)
            return FRONTIER_CONTEXT;
        if (is_context(name))
            return FRONTIER_ROOTS;
        if (strcmp(name, "WeakMap") == 0 || strcmp(name, "WeakSet") == 0)
            return FRONTIER_WEAK;
        if (strcmp(name, "Timeout") == 0 || strcmp(name, "TimersList") == 0)
            return FRONTIER_MINOR;
        return FRONTIER_OBJECT;
    case HEAP_NATIVE: return FRONTIER_MINOR;
    default: return FRONTIER_ROOTS;
    }
}

/* ---- new nodes into units ---- */

static bool is_old(const struct frontier *f, uint32_t node)
{
    return f->born[node] == 0;
}

static bool bit(const uint64_t *bits, uint32_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

/* One of the old node's class among the new nodes above it: both are of one list or chain. */
static bool is_of_list(const struct frontier *f, uint32_t node, uint32_t above)
{
    const struct heap_columns *c = heap_columns(f->h);
    for (int i = 0; i < LIST_MAX && !is_old(f, above) && above != c->root; i++) {
        if (c->class_of[above] == c->class_of[node])
            return true;
        above = c->dominator[above];
    }
    return false;
}

/* A new node that dominates old ones of other classes was made anew around them; where one of their
 * class is above them, it is the head of a list. */
static void mark_remade(struct frontier *f)
{
    const struct heap_columns *c = heap_columns(f->h);
    for (uint32_t i = 0; i < c->node_count; i++) {
        uint32_t at = c->dominator[i];
        if (!is_old(f, i) || is_old(f, at) || frontier_is_inside(f->h, i) || is_of_list(f, i, at))
            continue;
        for (; !is_old(f, at) && at != c->root && !bit(f->remade, at); at = c->dominator[at])
            f->remade[at / 64] |= UINT64_C(1) << (at % 64);
    }
}

static bool belongs_to_holder(const struct frontier *f, uint32_t node)
{
    return bit(f->remade, node) || frontier_is_inside(f->h, node);
}

#define UNDECIDED (HEAP_NONE - 1)

/* Decides a new node whose dominator is decided. */
static void decide(struct frontier *f, uint32_t node)
{
    uint32_t above = heap_columns(f->h)->dominator[node];
    uint32_t of_above = is_old(f, above) ? HEAP_NONE : f->unit[above];
    if (of_above != HEAP_NONE)
        f->unit[node] = of_above;
    else
        f->unit[node] = belongs_to_holder(f, node) ? HEAP_NONE : node;
}

static int make_units(struct frontier *f)
{
    const struct heap_columns *c = heap_columns(f->h);
    uint32_t *way = NULL;
    size_t capacity = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        f->unit[i] = is_old(f, i) ? HEAP_NONE : UNDECIDED;
    for (uint32_t i = 0; i < c->node_count; i++) {
        size_t length = 0;
        for (uint32_t at = i; f->unit[at] == UNDECIDED; at = c->dominator[at]) {
            if (!array_grow(&way, &capacity, length + 1)) {
                free(way);
                return ERR_NOMEM;
            }
            way[length++] = at;
            if (c->dominator[at] == at)
                break;
        }
        while (length)
            decide(f, way[--length]);
    }
    free(way);
    return 0;
}

/* ---- units to holders ---- */

struct found {
    uint32_t unit, holder, variable, class;
    uint32_t link; /* a unit that holds this one; HEAP_NONE */
};

static bool is_timer(const struct heap *h, uint32_t node)
{
    return strcmp(frontier_class_name(h, heap_columns(h)->class_of[node]), "Timeout") == 0;
}

static bool is_better(const struct heap *h, uint32_t a, uint32_t b)
{
    if (b == HEAP_NONE)
        return true;
    enum frontier_rank x = frontier_rank(h, a), y = frontier_rank(h, b);
    return x != y ? x > y : heap_columns(h)->distance[a] < heap_columns(h)->distance[b];
}

static bool is_string(const struct heap_columns *c, uint32_t node)
{
    return c->kind[node] == HEAP_STRING || c->kind[node] == HEAP_CONS_STRING ||
           c->kind[node] == HEAP_SLICED_STRING;
}

/* What dominates a unit. Strings that are put together hold their parts: what holds the whole is
 * meant, by the variable if it has one. */
static uint32_t above_strings(const struct frontier *f, uint32_t unit, uint32_t *ret_variable)
{
    const struct heap_columns *c = heap_columns(f->h);
    uint32_t whole = unit, above = c->dominator[unit];
    for (; is_string(c, above); above = c->dominator[above])
        whole = above;
    above = f->lifted[above];
    if (whole == unit || frontier_rank(f->h, above) != FRONTIER_CONTEXT)
        return above;
    for (uint32_t k = c->first_edge[above]; k < c->first_edge[above + 1]; k++)
        if (heap_edge_to(c->edge[k]) == whole && heap_edge_kind(c->edge[k]) == HEAP_CONTEXT)
            *ret_variable = c->edge_name[k];
    return above;
}

/* Runtimes before Node 24 note the store of an AsyncLocalStorage at every resource that was made
 * meanwhile (sockets, timers, promises): those have it for a while, and do not keep it. */
bool frontier_is_note(struct frontier *f, uint32_t edge)
{
    const struct heap_columns *c = heap_columns(f->h);
    uint32_t name = c->edge_name[edge], *known = &f->other_names[name & (NAMES_KNOWN - 1)];
    if (heap_edge_kind(c->edge[edge]) != HEAP_PROPERTY || *known == name)
        return false;
    if (name == f->store_name)
        return true;
    struct buf text = buf_new(64); /* longer ones are others */
    bool is = heap_add_string(f->h, name, &text) == 0 && text.length &&
              strcmp(text.data, "<symbol kResourceStore>") == 0;
    buf_free(&text);
    *(is ? &f->store_name : known) = name;
    return is;
}

/* One of the unit's class that it leads to within itself. */
static uint32_t next_in_chain(const struct frontier *f, uint32_t unit, uint32_t node)
{
    const struct heap_columns *c = heap_columns(f->h);
    for (uint32_t k = c->first_edge[node]; k < c->first_edge[node + 1]; k++) {
        uint32_t to = heap_edge_to(c->edge[k]);
        if (heap_edge_kind(c->edge[k]) == HEAP_PROPERTY && to != node && f->unit[to] == unit &&
            c->class_of[to] == c->class_of[unit] && c->dominator[to] == node)
            return to;
    }
    return HEAP_NONE;
}

/* A list that something else has a place in, in its middle, is two units; the second one still goes
 * where the first one goes. */
static bool is_chain(const struct frontier *f, uint32_t unit)
{
    uint32_t at = unit;
    for (int i = 1; i < CHAIN_LEAST && at != HEAP_NONE; i++)
        at = next_in_chain(f, unit, at);
    return at != HEAP_NONE;
}

/* What holds a unit: an edge from something old, another unit. Of what a runtime only notes, what
 * is better than nothing. */
struct retainers {
    uint32_t holder, variable; /* the best; HEAP_NONE */
    uint32_t link, chain;      /* a unit; one of the same class; HEAP_NONE */
};

static int see_retainers(
    struct frontier *f, uint32_t unit, bool stores, struct retainers *ret, struct err *e)
{
    const struct heap_columns *c = heap_columns(f->h);
    const uint32_t *edges;
    uint32_t count;
    int rc = heap_incoming(f->h, unit, &edges, &count, e);
    *ret = (struct retainers){HEAP_NONE, HEAP_NONE, HEAP_NONE, HEAP_NONE};
    for (uint32_t i = 0; rc == 0 && i < count && i < IN_EDGES; i++) {
        uint32_t edge = c->edge[edges[i]], source = heap_edge_source(f->h, edges[i]);
        if (heap_edge_kind(edge) == HEAP_WEAK || edge & HEAP_EDGE_LOOSE || source == c->root ||
            frontier_is_note(f, edges[i]) != stores)
            continue;
        if (f->unit[source] != HEAP_NONE) {
            if (f->unit[source] != unit && c->class_of[source] == c->class_of[unit])
                ret->chain = f->unit[source];
            if (f->unit[source] != unit)
                ret->link = f->unit[source];
            continue;
        }
        uint32_t holder = f->lifted[source];
        if (frontier_rank(f->h, holder) == FRONTIER_ROOTS || !is_better(f->h, holder, ret->holder))
            continue;
        ret->holder = holder;
        ret->variable =
            frontier_rank(f->h, holder) == FRONTIER_CONTEXT && heap_edge_kind(edge) == HEAP_CONTEXT
                ? c->edge_name[edges[i]]
                : HEAP_NONE;
    }
    return rc;
}

/* The holder of a unit among its retainers; where there is none, what dominates it. */
static int find_holder(struct frontier *f, uint32_t unit, struct found *ret, struct err *e)
{
    const struct heap_columns *c = heap_columns(f->h);
    struct retainers by;
    int rc = see_retainers(f, unit, false, &by, e);
    if (rc == 0 && by.holder == HEAP_NONE && by.link == HEAP_NONE)
        rc = see_retainers(f, unit, true, &by, e);
    *ret = (struct found){unit, by.holder, by.variable, c->class_of[unit], HEAP_NONE};
    bool chained = rc == 0 && by.chain != HEAP_NONE && is_chain(f, unit);
    if (chained && (by.holder == HEAP_NONE || frontier_rank(f->h, by.holder) < FRONTIER_OBJECT)) {
        ret->link = by.chain;
        ret->variable = HEAP_NONE;
        ret->holder = f->lifted[c->dominator[unit]];
    } else if (by.holder == HEAP_NONE) {
        uint32_t above = above_strings(f, unit, &ret->variable);
        /* The global object dominates what several objects hold: those say more. Timers hold each
         * other in lists. */
        bool held = frontier_rank(f->h, above) == FRONTIER_OBJECT && c->distance[above] > 1;
        ret->link = held || is_timer(f->h, unit) ? HEAP_NONE : by.link;
        ret->holder = above;
    }
    return rc;
}

static int unit_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->unit > y->unit) - (x->unit < y->unit);
}

/* A unit that only other units hold goes where they go. */
static void follow_links(struct found *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct found *at = &list[i];
        for (int step = 0; at && at->link != HEAP_NONE && step < LINKS_MAX; step++) {
            const struct found key = {.unit = at->link};
            at = bsearch(&key, list, count, sizeof key, unit_order);
        }
        if (at && at != &list[i] && at->link == HEAP_NONE) {
            list[i].holder = at->holder;
            list[i].variable = at->variable;
            list[i].class = at->class;
        }
    }
    for (size_t i = 0; i < count; i++)
        list[i].link = HEAP_NONE;
}

static int found_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->holder != y->holder)
        return x->holder < y->holder ? -1 : 1;
    if (x->variable != y->variable)
        return x->variable < y->variable ? -1 : 1;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    return unit_order(a, b);
}

static int make_groups(struct frontier *f, struct found *list, size_t count)
{
    const struct heap_columns *c = heap_columns(f->h);
    f->groups = calloc(count + 1, sizeof *f->groups);
    if (!f->groups)
        return ERR_NOMEM;
    qsort(list, count, sizeof *list, found_order);
    for (size_t i = 0; i < count; i++) {
        const struct found *x = &list[i];
        struct frontier_group *g = f->count ? &f->groups[f->count - 1] : NULL;
        if (!g || g->holder != x->holder || g->variable != x->variable || g->class != x->class) {
            g = &f->groups[f->count++];
            *g = (struct frontier_group){.holder = x->holder,
                .variable = x->variable,
                .class = x->class,
                .example = x->unit,
                .holders = 1};
        }
        g->units += c->class_of[x->unit] == x->class;
        if (c->retained[x->unit] > c->retained[g->example] && c->class_of[x->unit] == x->class)
            g->example = x->unit;
        f->owner[x->unit] = (uint32_t)(f->count - 1);
    }
    return 0;
}

static void sum_groups(struct frontier *f)
{
    const struct heap_columns *c = heap_columns(f->h);
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (f->unit[i] == HEAP_NONE)
            continue;
        struct frontier_group *g = &f->groups[f->owner[f->unit[i]]];
        g->bytes += c->self[i];
        g->born_bytes[f->born[i]] += c->self[i];
        if (c->class_of[i] == g->class) {
            g->members++;
            g->self += c->self[i];
        }
    }
}

/* ---- many holders of one class ---- */

struct sibling {
    uint32_t group, holder_class, class;
};

static int sibling_order(const void *a, const void *b)
{
    const struct sibling *x = a, *y = b;
    if (x->holder_class != y->holder_class)
        return x->holder_class < y->holder_class ? -1 : 1;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

static void add_group(struct frontier_group *to, struct frontier_group *from)
{
    to->units += from->units;
    to->members += from->members;
    to->bytes += from->bytes;
    to->self += from->self;
    to->holders += from->holders;
    for (size_t k = 0; k <= BIRTHS_MAX; k++)
        to->born_bytes[k] += from->born_bytes[k];
    from->bytes = 0; /* the order puts it last */
    from->units = from->members = 0;
}

/* Each of a thousand old sessions has grown: one finding, with the largest as its example. into[g]
 * is where a group went. */
static int merge_siblings(struct frontier *f, uint32_t *into)
{
    const struct heap_columns *c = heap_columns(f->h);
    struct sibling *list = calloc(f->count + 1, sizeof *list);
    if (!list)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < f->count; i++)
        list[i] = (struct sibling){i, c->class_of[f->groups[i].holder], f->groups[i].class};
    qsort(list, f->count, sizeof *list, sibling_order);
    for (size_t i = 0, end; i < f->count; i = end) {
        uint64_t sum = 0;
        size_t largest = i;
        for (end = i; end < f->count && list[end].holder_class == list[i].holder_class &&
                      list[end].class == list[i].class;
             end++) {
            sum += f->groups[list[end].group].bytes;
            if (f->groups[list[end].group].bytes > f->groups[list[largest].group].bytes)
                largest = end;
        }
        if (end - i < SIBLINGS ||
            (double)f->groups[list[largest].group].bytes > SIBLING_MAX * (double)sum)
            continue;
        for (size_t k = i; k < end; k++)
            if (k != largest) {
                add_group(&f->groups[list[largest].group], &f->groups[list[k].group]);
                into[list[k].group] = list[largest].group;
            }
    }
    free(list);
    return 0;
}

struct ranked {
    struct frontier_group group;
    uint32_t number;
};

static int bytes_order(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->group.bytes != y->group.bytes)
        return x->group.bytes > y->group.bytes ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* By bytes; what the units remember of their group follows. */
static int sort_groups(struct frontier *f, const uint32_t *into)
{
    const struct heap_columns *c = heap_columns(f->h);
    struct ranked *list = calloc(f->count + 1, sizeof *list);
    uint32_t *place = calloc(f->count + 1, sizeof *place);
    if (!list || !place) {
        free(list);
        free(place);
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < f->count; i++)
        list[i] = (struct ranked){f->groups[i], i};
    qsort(list, f->count, sizeof *list, bytes_order);
    for (uint32_t i = 0; i < f->count; i++) {
        f->groups[i] = list[i].group;
        place[list[i].number] = i;
    }
    for (uint32_t i = 0; i < c->node_count; i++)
        if (f->unit[i] == i)
            f->owner[i] = place[into[f->owner[i]]];
    free(list);
    free(place);
    return 0;
}

static int group_units(struct frontier *f, struct err *e)
{
    const struct heap_columns *c = heap_columns(f->h);
    size_t count = 0, at = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        count += f->unit[i] == i;
    struct found *list = calloc(count + 1, sizeof *list);
    uint32_t *into = NULL;
    int rc = list ? 0 : ERR_NOMEM;
    for (uint32_t i = 0; i < c->node_count && rc == 0; i++)
        if (f->unit[i] == i)
            rc = find_holder(f, i, &list[at++], e);
    if (rc == 0) {
        follow_links(list, count);
        rc = make_groups(f, list, count);
    }
    free(list);
    if (rc == 0 && !(into = calloc(f->count + 1, sizeof *into)))
        rc = ERR_NOMEM;
    if (rc == 0) {
        for (uint32_t i = 0; i < f->count; i++)
            into[i] = i;
        sum_groups(f);
        rc = merge_siblings(f, into);
    }
    if (rc == 0)
        rc = sort_groups(f, into);
    free(into);
    return rc;
}

/* ---- the whole ---- */

int frontier_find(struct heap *h, const uint8_t *born, const uint32_t *lifted,
    struct frontier **ret, struct err *e)
{
    size_t nodes = heap_columns(h)->node_count;
    struct frontier *f = calloc(1, sizeof *f);
    int rc = f ? 0 : ERR_NOMEM;
    if (rc == 0) {
        f->h = h;
        f->born = born;
        f->lifted = lifted;
        f->store_name = HEAP_NONE;
        memset(f->other_names, 0xff, sizeof f->other_names); /* HEAP_NONE */
        f->unit = calloc(nodes + 1, sizeof *f->unit);
        f->owner = calloc(nodes + 1, sizeof *f->owner);
        f->remade = calloc(nodes / 64 + 1, sizeof *f->remade);
        if (!f->unit || !f->owner || !f->remade)
            rc = ERR_NOMEM;
    }
    if (rc == 0) {
        mark_remade(f);
        rc = make_units(f);
    }
    if (rc == 0)
        rc = group_units(f, e);
    if (rc == 0) {
        *ret = f;
        return 0;
    }
    frontier_free(f);
    return rc == ERR_NOMEM ? err_set(e, rc, "out of memory for what has grown") : rc;
}

void frontier_free(struct frontier *f)
{
    if (!f)
        return;
    free(f->unit);
    free(f->owner);
    free(f->remade);
    free(f->groups);
    free(f);
}

size_t frontier_groups(struct frontier *f, struct frontier_group **ret)
{
    *ret = f->groups;
    return f->count;
}

bool frontier_is_unit(const struct frontier *f, uint32_t node)
{
    return f->unit[node] == node;
}

uint32_t frontier_group_of(const struct frontier *f, uint32_t node)
{
    return f->unit[node] == HEAP_NONE ? HEAP_NONE : f->owner[f->unit[node]];
}
