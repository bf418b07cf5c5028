/* Names for holders. */
#include "diagnose/holder.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES                                                                                 \
    4096             /* of an edge or a class, as it is shown; V8 cuts them at 1024 characters     \
                      */
#define CLIMB_MAX  8 /* collections in collections: steps up to a name */
#define LIST_MAX   100000 /* of a list: links up to its head */
#define IN_EDGES   4096   /* of a holder that are looked at for a name */
#define PATH_STEPS 64     /* of the way from the roots that are kept, the last ones */

static int no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory for the name of a holder");
}

static const char *class_of(const struct heap *h, uint32_t node)
{
    return frontier_class_name(h, heap_columns(h)->class_of[node]);
}

static int edge_text(const struct heap *h, uint32_t edge, struct buf *out)
{
    buf_clear(out);
    int rc = heap_add_edge_name(h, edge, out);
    if (rc == ERR_FULL)
        rc = 0;
    return rc == 0 ? buf_reserve(out, 1) : rc;
}

static bool text_is(const struct buf *b, const char *text)
{
    return b->length == strlen(text) && memcmp(b->data, text, b->length) == 0;
}

uint32_t holder_property(const struct heap *h, uint32_t node, const char *name)
{
    const struct heap_columns *c = heap_columns(h);
    struct buf text = buf_new(NAME_BYTES);
    uint32_t found = HEAP_NONE;
    for (uint32_t k = c->first_edge[node]; k < c->first_edge[node + 1] && found == HEAP_NONE; k++) {
        enum heap_edge_kind kind = heap_edge_kind(c->edge[k]);
        if ((kind == HEAP_PROPERTY || kind == HEAP_INTERNAL) && edge_text(h, k, &text) == 0 &&
            text_is(&text, name))
            found = heap_edge_to(c->edge[k]);
    }
    buf_free(&text);
    return found;
}

uint32_t holder_callback(const struct heap *h, uint32_t unit)
{
    static const char *const ways[] = {
        "_onTimeout", "listener", "callback", "bound_this", "bound_function", "function"};
    const struct heap_columns *c = heap_columns(h);
    /* An async function that waits is an object whose function is an internal edge. */
    for (int depth = 0; depth < 3 && unit != HEAP_NONE; depth++) {
        struct heap_location l;
        if (c->kind[unit] == HEAP_CLOSURE && heap_find_location(h, unit, &l))
            return unit;
        uint32_t next = HEAP_NONE;
        for (size_t i = 0; i < sizeof ways / sizeof *ways && next == HEAP_NONE; i++)
            next = holder_property(h, unit, ways[i]);
        unit = next;
    }
    return HEAP_NONE;
}

int holder_place(struct heap *h, uint32_t node, struct diagnosis_place **ret, struct err *e)
{
    struct heap_location l;
    struct buf url = buf_new(NAME_BYTES), name = buf_new(NAME_BYTES);
    *ret = NULL;
    if (!heap_find_location(h, node, &l))
        return 0;
    struct diagnosis_place *place = calloc(1, sizeof *place);
    int rc = place ? heap_add_script_url(h, l.script_id, &url, e) : no_memory(e);
    if (rc == ERR_FULL)
        rc = 0;
    if (rc == 0 && heap_add_node_name(h, node, &name) == ERR_NOMEM)
        rc = no_memory(e);
    if (rc == 0) {
        place->url = diagnosis_text(url.data ? url.data : "", url.length);
        place->function = diagnosis_text(name.data ? name.data : "", name.length);
        place->line = l.line + 1;
        place->column = l.column + 1;
        if (!place->url || !place->function)
            rc = no_memory(e);
    }
    buf_free(&url);
    buf_free(&name);
    if (rc == 0) {
        *ret = place;
    } else if (place) {
        free(place->url);
        free(place->function);
        free(place);
    }
    return rc;
}

/* ---- which edge names an object ---- */

enum edge_worth { WORTH_NOTHING, WORTH_INSIDE, WORTH_ELEMENT, WORTH_NAME, WORTH_PRIVATE };

static const char *const back_links[] = {"prev", "previous", "_prev", "_idlePrev", NULL};
static const char *const links[] = {"next", "_next", "_idleNext", NULL};

static bool is_one_of(const struct buf *text, const char *const *names)
{
    for (; *names; names++)
        if (text_is(text, *names))
            return true;
    return false;
}

static enum edge_worth edge_worth(const struct heap *h, uint32_t edge, struct buf *text)
{
    enum heap_edge_kind kind = heap_edge_kind(heap_columns(h)->edge[edge]);
    if (kind == HEAP_WEAK || kind == HEAP_SHORTCUT)
        return WORTH_NOTHING;
    if (kind == HEAP_ELEMENT)
        return WORTH_ELEMENT;
    if (kind != HEAP_CONTEXT && kind != HEAP_PROPERTY)
        return WORTH_INSIDE;
    if (edge_text(h, edge, text) != 0 || text->length == 0 || text->data[0] == '.' ||
        text_is(text, "__proto__") || text_is(text, "constructor") || text_is(text, "this"))
        return WORTH_INSIDE;
    if (is_one_of(text, back_links)) /* a list is known by its head */
        return WORTH_INSIDE;
    return text->data[0] == '#' ? WORTH_PRIVATE : WORTH_NAME;
}

static bool source_is_better(const struct heap *h, const uint8_t *born, uint32_t a, uint32_t b)
{
    const struct heap_columns *c = heap_columns(h);
    if (b == HEAP_NONE || (born[a] == 0) != (born[b] == 0))
        return b == HEAP_NONE || born[a] == 0;
    if (c->distance[a] != c->distance[b])
        return c->distance[b] < 0 || (c->distance[a] >= 0 && c->distance[a] < c->distance[b]);
    return a < b;
}

/* The edge that names the node best; *ret_edge HEAP_NONE where nothing but the roots leads to it.
 */
static int naming_edge(struct heap *h, const uint8_t *born, uint32_t node, uint32_t *ret_edge,
    enum edge_worth *ret_worth, struct err *e)
{
    const uint32_t *edges;
    uint32_t count, source = HEAP_NONE;
    struct buf text = buf_new(NAME_BYTES);
    *ret_edge = HEAP_NONE;
    *ret_worth = WORTH_NOTHING;
    int rc = heap_incoming(h, node, &edges, &count, e);
    for (uint32_t i = 0; rc == 0 && i < count && i < IN_EDGES; i++) {
        uint32_t from = heap_edge_source(h, edges[i]);
        if (from == node || from == heap_columns(h)->root)
            continue;
        enum edge_worth worth = edge_worth(h, edges[i], &text);
        if (worth < *ret_worth || worth == WORTH_NOTHING)
            continue;
        if (worth == *ret_worth && !source_is_better(h, born, from, source))
            continue;
        *ret_worth = worth;
        *ret_edge = edges[i];
        source = from;
    }
    buf_free(&text);
    return rc;
}

/* ---- the way from the roots ---- */

static int add_step(struct heap *h, uint32_t edge, struct diagnosis_suspect *s, struct err *e)
{
    const struct heap_columns *c = heap_columns(h);
    struct buf text = buf_new(NAME_BYTES);
    uint32_t to = heap_edge_to(c->edge[edge]);
    struct diagnosis_step step = {
        .type = heap_edge_kind_name(heap_edge_kind(c->edge[edge])), .id = c->id[to]};
    int rc = edge_text(h, edge, &text) == ERR_NOMEM ? no_memory(e) : 0;
    step.edge = rc == 0 ? diagnosis_text(text.data, text.length) : NULL;
    step.class_name = diagnosis_text(class_of(h, to), strlen(class_of(h, to)));
    buf_free(&text);
    if (rc == 0 && (!step.edge || !step.class_name))
        rc = no_memory(e);
    if (rc == 0) {
        s->holder.path[s->holder.path_count++] = step;
    } else {
        free(step.edge);
        free(step.class_name);
    }
    return rc;
}

/* What engines keep inside objects is passed over, but for the step that ends at the holder. */
static int add_path(
    struct heap *h, uint32_t holder, uint32_t last, struct diagnosis_suspect *s, struct err *e)
{
    struct heap_retainer *steps = NULL;
    size_t count = 0;
    bool cut;
    uint32_t to = last == HEAP_NONE ? holder : heap_edge_source(h, last);
    int rc = heap_path(h, to, &steps, &count, &cut, e);
    if (rc == 0 && !(s->holder.path = calloc(PATH_STEPS + 1, sizeof *s->holder.path)))
        rc = no_memory(e);
    size_t from = count > PATH_STEPS - 1 ? count - (PATH_STEPS - 1) : 0;
    for (size_t i = from; i < count && rc == 0; i++) {
        uint32_t target = heap_edge_to(heap_columns(h)->edge[steps[i].edge]);
        if (target == to || !frontier_is_inside(h, target))
            rc = add_step(h, steps[i].edge, s, e);
    }
    if (rc == 0 && last != HEAP_NONE)
        rc = add_step(h, last, s, e);
    free(steps);
    return rc;
}

/* ---- where it stands ---- */

/* The function among those that share a context that begins first: it stands nearest to the
 * variable's declaration. */
static int context_place(
    struct heap *h, uint32_t context, struct diagnosis_place **ret, struct err *e)
{
    const uint32_t *edges;
    uint32_t count, best = HEAP_NONE;
    struct heap_location least = {0};
    int rc = heap_incoming(h, context, &edges, &count, e);
    for (uint32_t i = 0; rc == 0 && i < count && i < IN_EDGES; i++) {
        struct heap_location l;
        uint32_t source = heap_edge_source(h, edges[i]);
        if (heap_columns(h)->kind[source] != HEAP_CLOSURE || !heap_find_location(h, source, &l))
            continue;
        if (best == HEAP_NONE || l.line < least.line ||
            (l.line == least.line && l.column < least.column)) {
            best = source;
            least = l;
        }
    }
    if (rc == 0 && best != HEAP_NONE)
        rc = holder_place(h, best, ret, e);
    return rc;
}

/* Of the function whose variable it is, or of the constructor or function that has the property. */
static int owner_place(struct heap *h, uint32_t owner, struct diagnosis_place **ret, struct err *e)
{
    *ret = NULL;
    if (owner == HEAP_NONE)
        return 0;
    if (frontier_rank(h, owner) == FRONTIER_CONTEXT)
        return context_place(h, owner, ret, e);
    return holder_place(h, owner, ret, e);
}

/* ---- the phrase ---- */

static enum holder_kind kind_of(const struct heap *h, uint32_t holder)
{
    const char *name = class_of(h, holder);
    if (strcmp(name, "Map") == 0)
        return HOLDER_MAP;
    if (strcmp(name, "Set") == 0)
        return HOLDER_SET;
    if (strcmp(name, "Array") == 0)
        return HOLDER_ARRAY;
    if (strcmp(name, "Promise") == 0)
        return HOLDER_PROMISE;
    if (strcmp(name, "Timeout") == 0 || strcmp(name, "TimersList") == 0)
        return HOLDER_TIMERS;
    if (frontier_rank(h, holder) == FRONTIER_CONTEXT)
        return HOLDER_VARIABLE;
    return HOLDER_OTHER;
}

struct naming {
    struct heap *h;
    const uint8_t *born;
    const uint32_t *lifted;
    struct buf name, where; /* where: "variable `x`", "property `p` of Shop" */
    uint32_t edge;          /* that names the holder itself; HEAP_NONE */
    uint32_t owner;         /* what has the variable or property */
    enum holder_kind kind;
    uint32_t emitter; /* of listeners */
    bool event;       /* name is that of the event */
};

static int name_edge(struct naming *n, uint32_t edge)
{
    const char *what =
        heap_edge_kind(heap_columns(n->h)->edge[edge]) == HEAP_CONTEXT ? "variable" : "property";
    uint32_t source = heap_edge_source(n->h, edge);
    int rc = edge_text(n->h, edge, &n->name);
    if (rc == 0 && n->name.data[0] == '#')
        what = "private field";
    else if (heap_columns(n->h)->kind[source] == HEAP_CLOSURE)
        what = "static field";
    if (rc == 0)
        rc = buf_addf(&n->where, "%s%s `%.*s`", n->where.length ? ", in " : "", what,
            (int)n->name.length, n->name.data);
    const char *class = class_of(n->h, source);
    struct buf function = buf_new(NAME_BYTES);
    if (rc == 0 && strcmp(what, "static field") == 0 &&
        (rc = heap_add_node_name(n->h, source, &function)) == 0 && function.length)
        class = function.data;
    if (rc == 0 && strcmp(what, "variable") != 0 && class[0] && class[0] != '(' &&
        class[0] != '{' && strcmp(class, "Object") != 0)
        rc = buf_addf(&n->where, " of %s", class);
    buf_free(&function);
    n->owner = source;
    return rc;
}

/* An object of the listeners of an emitter, or the list of one event: the event is the name. */
static int name_listeners(struct naming *n, uint32_t events, uint32_t event_edge, struct err *e)
{
    uint32_t edge;
    enum edge_worth worth;
    struct buf text = buf_new(NAME_BYTES);
    int rc = naming_edge(n->h, n->born, events, &edge, &worth, e);
    if (rc == 0 && edge != HEAP_NONE && worth >= WORTH_NAME && edge_text(n->h, edge, &text) == 0 &&
        text_is(&text, "_events")) {
        n->kind = HOLDER_LISTENERS;
        n->emitter = heap_edge_source(n->h, edge);
        n->event = true;
        rc = edge_text(n->h, event_edge, &n->name);
    }
    buf_free(&text);
    return rc;
}

/* A plain object says nothing of itself: what it is called is added, up to a variable or to an
 * object that has a class. */
static int name_owner(struct naming *n, struct err *e)
{
    for (int step = 0; step < CLIMB_MAX; step++) {
        const char *class = class_of(n->h, n->owner);
        uint32_t edge;
        enum edge_worth worth;
        if (strcmp(class, "Object") != 0 && class[0] != '{')
            return 0;
        int rc = naming_edge(n->h, n->born, n->owner, &edge, &worth, e);
        if (rc != 0 || worth < WORTH_NAME || heap_edge_source(n->h, edge) == n->owner)
            return rc;
        struct buf kept = n->name; /* the holder's own name stays */
        n->name = buf_new(NAME_BYTES);
        rc = name_edge(n, edge);
        buf_free(&n->name);
        n->name = kept;
        if (rc != 0)
            return no_memory(e);
    }
    return 0;
}

/* From one of a list to the next. */
static bool is_link(const struct naming *n, uint32_t edge, uint32_t to)
{
    const struct heap_columns *c = heap_columns(n->h);
    uint32_t source = heap_edge_source(n->h, edge);
    bool is = c->class_of[source] == c->class_of[to];
    if (c->kind[source] != HEAP_OBJECT || frontier_rank(n->h, source) != FRONTIER_OBJECT)
        return false;
    struct buf text = buf_new(NAME_BYTES);
    is = is || (edge_text(n->h, edge, &text) == 0 && is_one_of(&text, links));
    buf_free(&text);
    return is;
}

/* An EventTarget's Map from events to lists of listeners. */
static bool is_event_map(const struct naming *n, uint32_t edge)
{
    struct buf text = buf_new(NAME_BYTES);
    bool is = edge_text(n->h, edge, &text) == 0 && text.data && strstr(text.data, "kEvents");
    buf_free(&text);
    return is;
}

/* Climbs from the holder to something with a name. */
static int find_name(struct naming *n, uint32_t holder, struct err *e)
{
    uint32_t at = holder;
    for (int step = 0, climbed = 0; step < CLIMB_MAX; step++) {
        uint32_t edge;
        enum edge_worth worth;
        int rc = naming_edge(n->h, n->born, at, &edge, &worth, e);
        if (rc != 0 || edge == HEAP_NONE)
            return rc;
        uint32_t source = heap_edge_source(n->h, edge);
        if (step == 0)
            n->edge = edge;
        /* Along a list to its head, which has the name. */
        if (worth >= WORTH_NAME && n->emitter == HEAP_NONE && climbed++ < LIST_MAX &&
            is_link(n, edge, at)) {
            at = source;
            step--;
            continue;
        }
        if (worth >= WORTH_NAME) {
            if (n->emitter == HEAP_NONE && is_event_map(n, edge)) {
                n->kind = HOLDER_LISTENERS;
                at = n->emitter = source;
                buf_clear(&n->where);
                continue;
            }
            if (n->emitter == HEAP_NONE && step == 0) {
                rc = name_listeners(n, source, edge, e);
                if (rc == 0 && n->emitter == HEAP_NONE && edge_text(n->h, edge, &n->name) == 0 &&
                    text_is(&n->name, "_events")) { /* single listeners, an event each */
                    n->kind = HOLDER_LISTENERS;
                    n->emitter = source;
                }
                if (rc == 0 && n->emitter != HEAP_NONE) {
                    at = n->emitter;
                    continue;
                }
            }
            struct buf kept = n->name;
            n->name = buf_new(NAME_BYTES);
            if (rc == 0)
                rc = name_edge(n, edge);
            if (n->event && kept.length) { /* the event stays the name */
                buf_free(&n->name);
                n->name = kept;
            } else {
                buf_free(&kept);
            }
            return rc == 0 ? name_owner(n, e) : no_memory(e);
        }
        uint32_t above = n->lifted[source];
        if (frontier_rank(n->h, above) == FRONTIER_ROOTS || above == at)
            return 0;
        if (frontier_rank(n->h, above) == FRONTIER_CONTEXT)
            return 0;
        at = above;
        if (buf_addf(&n->where, "%san entry of %s", n->where.length ? ", in " : "",
                class_of(n->h, at)) != 0)
            return no_memory(e);
    }
    return 0;
}

static int phrase(struct naming *n, const struct frontier_group *g, struct buf *out)
{
    const char *class = class_of(n->h, g->holder);
    const char *where = n->where.length ? n->where.data : "";
    if (n->kind == HOLDER_LISTENERS && n->event)
        return buf_addf(out, "listeners of event `%.*s` of %s%s%s", (int)n->name.length,
            n->name.length ? n->name.data : "", class_of(n->h, n->emitter), where[0] ? " in " : "",
            where);
    if (n->kind == HOLDER_LISTENERS)
        return buf_addf(
            out, "listeners of %s%s%s", class_of(n->h, n->emitter), where[0] ? " in " : "", where);
    if (n->kind == HOLDER_TIMERS || strcmp(class, "TimersList") == 0)
        return buf_add_text(out, "the list of running timers");
    if (n->kind == HOLDER_VARIABLE)
        return buf_addf(out, "%s", where[0] ? where : "variables of a function");
    if (n->kind == HOLDER_PROMISE)
        return buf_addf(
            out, "reactions that wait for a promise%s%s", where[0] ? " in " : "", where);
    if (g->holders > 1)
        return buf_addf(out, "each of %u objects of class %s%s%s", g->holders, class,
            where[0] ? ", such as that in " : "", where);
    return buf_addf(out, "%s%s%s", class[0] ? class : "an object", where[0] ? " in " : "", where);
}

/* The variables of a function hold through one of them, which is known already. */
static int name_variable(struct naming *n, const struct frontier_group *g, struct err *e)
{
    if (g->variable == HEAP_NONE)
        return 0;
    int rc = heap_add_string(n->h, g->variable, &n->name);
    if (rc == 0)
        rc = buf_addf(&n->where, "variable `%.*s`", (int)n->name.length, n->name.data);
    n->owner = g->holder;
    return rc == 0 ? 0 : no_memory(e);
}

/* The list that the timers are in: what is inside of an object for the frontier is a holder here.
 */
static uint32_t timers_list(const struct heap *h, uint32_t timer)
{
    const struct heap_columns *c = heap_columns(h);
    while (timer != c->root && strcmp(class_of(h, timer), "TimersList") != 0)
        timer = c->dominator[timer];
    return timer == c->root ? HEAP_NONE : timer;
}

static bool is_timer_group(const struct heap *h, const struct frontier_group *g)
{
    return strcmp(frontier_class_name(h, g->class), "Timeout") == 0 ||
           strcmp(frontier_class_name(h, g->class), "Immediate") == 0;
}

int holder_describe(struct heap *h, const uint8_t *born, const uint32_t *lifted,
    const struct frontier_group *g, struct diagnosis_suspect *s, struct holder *ret, struct err *e)
{
    struct naming n = {.h = h,
        .born = born,
        .lifted = lifted,
        .name = buf_new(NAME_BYTES),
        .where = buf_new(NAME_BYTES),
        .edge = HEAP_NONE,
        .owner = HEAP_NONE,
        .emitter = HEAP_NONE,
        .kind = kind_of(h, g->holder)};
    struct buf text = buf_new(4 * NAME_BYTES);
    uint32_t node = g->holder;
    int rc = 0;
    if (is_timer_group(h, g)) {
        uint32_t list = timers_list(h, g->example);
        n.kind = HOLDER_TIMERS;
        node = list != HEAP_NONE ? list : node;
    } else if (n.kind == HOLDER_VARIABLE) {
        rc = name_variable(&n, g, e);
    } else {
        rc = find_name(&n, g->holder, e);
    }
    if (rc == 0 && phrase(&n, g, &text) != 0)
        rc = no_memory(e);
    if (rc == 0)
        rc = owner_place(h, n.owner, &s->holder.place, e);
    if (rc == 0)
        rc = add_path(h, node, n.edge, s, e);
    if (rc == 0) {
        const char *class = class_of(h, node);
        s->holder.id = heap_columns(h)->id[node];
        s->holder.class_name = diagnosis_text(class, strlen(class));
        s->holder.name = n.name.length ? diagnosis_text(n.name.data, n.name.length) : NULL;
        s->holder.text = diagnosis_text(text.data, text.length);
        *ret = (struct holder){.kind = n.kind};
        if (!s->holder.class_name || !s->holder.text || (n.name.length && !s->holder.name))
            rc = no_memory(e);
    }
    buf_free(&n.name);
    buf_free(&n.where);
    buf_free(&text);
    return rc;
}
