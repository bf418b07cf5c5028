/* Who else holds. */
#include "diagnose/coholders.h"

#include <string.h>

#define UNITS_SEEN 64  /* of a group, evenly spaced */
#define UNITS_MIN  8   /* fewer are held by chance */
#define SHARE      0.5 /* of those, that another has to hold */
#define IN_EDGES   64  /* of a unit that are looked at */
#define SEEN_MAX   32  /* holders that are counted; more are each of few units */

struct coholder {
    struct frontier_group group;
    uint32_t units, latest; /* latest: the unit that was counted last, so that each counts once */
};

struct search {
    struct heap *h;
    struct frontier *f;
    const uint32_t *lifted;
    const struct frontier_group *groups;
    uint32_t number;
    struct coholder list[SEEN_MAX];
    size_t count;
    uint32_t units; /* that were looked at */
};

static void see(struct search *s, const struct frontier_group *g, uint32_t unit)
{
    size_t i = 0;
    while (i < s->count &&
           (s->list[i].group.holder != g->holder || s->list[i].group.variable != g->variable))
        i++;
    if (i == SEEN_MAX)
        return;
    if (i == s->count)
        s->list[s->count++] = (struct coholder){.group = *g, .latest = HEAP_NONE};
    s->list[i].units += s->list[i].latest != unit;
    s->list[i].latest = unit;
}

/* Something old holds the unit. */
static void see_old(struct search *s, uint32_t edge, uint32_t source, uint32_t unit)
{
    const struct heap_columns *c = heap_columns(s->h);
    uint32_t holder = s->lifted[source];
    enum frontier_rank rank = frontier_rank(s->h, holder);
    if (rank < FRONTIER_CONTEXT || c->distance[holder] <= 1)
        return;
    bool variable = rank == FRONTIER_CONTEXT && heap_edge_kind(c->edge[edge]) == HEAP_CONTEXT;
    struct frontier_group g = {.holder = holder,
        .variable = variable ? c->edge_name[edge] : HEAP_NONE,
        .class = c->class_of[unit],
        .example = unit,
        .units = 1,
        .holders = 1};
    if (rank == FRONTIER_OBJECT || variable)
        see(s, &g, unit);
}

static int see_unit(struct search *s, uint32_t unit, struct err *e)
{
    const struct heap_columns *c = heap_columns(s->h);
    const uint32_t *edges;
    uint32_t count;
    int rc = heap_incoming(s->h, unit, &edges, &count, e);
    s->units++;
    for (uint32_t i = 0; rc == 0 && i < count && i < IN_EDGES; i++) {
        uint32_t edge = c->edge[edges[i]], source = heap_edge_source(s->h, edges[i]);
        if (heap_edge_kind(edge) == HEAP_WEAK || edge & HEAP_EDGE_LOOSE || source == c->root ||
            frontier_is_note(s->f, edges[i]))
            continue;
        uint32_t group = frontier_group_of(s->f, source);
        if (group == HEAP_NONE)
            see_old(s, edges[i], source, unit);
        else if (group != s->number)
            see(s, &s->groups[group], unit);
    }
    return rc;
}

static bool is_same(const struct frontier_group *a, const struct frontier_group *b)
{
    return a->holder == b->holder && a->variable == b->variable;
}

/* Those that hold most, but for the group's own holder. */
static size_t take_best(struct search *s, struct frontier_group ret[COHOLDERS_MAX])
{
    size_t taken = 0;
    while (taken < COHOLDERS_MAX) {
        struct coholder *best = NULL;
        for (size_t i = 0; i < s->count; i++)
            if (!is_same(&s->list[i].group, &s->groups[s->number]) &&
                (!best || s->list[i].units > best->units))
                best = &s->list[i];
        if (!best || best->units < SHARE * s->units)
            break;
        ret[taken++] = best->group;
        best->units = 0;
    }
    return taken;
}

int coholders_find(struct heap *h, struct frontier *f, uint32_t number, const uint32_t *lifted,
    struct frontier_group ret[COHOLDERS_MAX], size_t *ret_count, struct err *e)
{
    struct frontier_group *groups;
    struct search s = {.h = h, .f = f, .lifted = lifted, .number = number};
    size_t group_count = frontier_groups(f, &groups);
    uint32_t nodes = heap_columns(h)->node_count, units = 0, at = 0;
    int rc = 0;
    s.groups = groups;
    *ret_count = 0;
    if (number >= group_count)
        return 0;
    for (uint32_t i = 0; i < nodes; i++)
        units += frontier_is_unit(f, i) && frontier_group_of(f, i) == number;
    if (units < UNITS_MIN)
        return 0;
    uint32_t stride = (units + UNITS_SEEN - 1) / UNITS_SEEN;
    for (uint32_t i = 0; i < nodes && rc == 0; i++)
        if (frontier_is_unit(f, i) && frontier_group_of(f, i) == number && at++ % stride == 0)
            rc = see_unit(&s, i, e);
    if (rc == 0)
        *ret_count = take_best(&s, ret);
    return rc;
}
