/* Names for holders. */
#include "diagnose/holder.h"

#include "base/text.h"
#include "diagnose/naming.h"
#include "diagnose/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIMB_MAX  8      /* collections in collections: steps up to a name */
#define LIST_MAX   100000 /* of a list: links up to its head */
#define PATH_STEPS 64     /* of the way from the roots that are kept, the last ones */

static int no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory for the name of a holder");
}

/* ---- the way from the roots ---- */

static int add_step(struct heap *h, uint32_t edge, struct diagnosis_suspect *s, struct err *e)
{
    const struct heap_columns *c = heap_columns(h);
    struct buf text = buf_new(NAMING_BYTES);
    uint32_t to = heap_edge_to(c->edge[edge]);
    struct diagnosis_step step = {
        .type = heap_edge_kind_name(heap_edge_kind(c->edge[edge])), .id = c->id[to]};
    int rc = naming_edge(h, edge, &text) == ERR_NOMEM ? no_memory(e) : 0;
    step.edge = rc == 0 ? diagnosis_text(text.data, text.length) : NULL;
    step.class_name = diagnosis_text(naming_class(h, to), strlen(naming_class(h, to)));
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
    struct heap_path way = {0};
    uint32_t to = last == HEAP_NONE ? holder : heap_edge_source(h, last);
    int rc = heap_path(h, to, &way, e);
    if (rc == 0 && !(s->holder.path = calloc(PATH_STEPS + 1, sizeof *s->holder.path)))
        rc = no_memory(e);
    size_t from = way.count > PATH_STEPS - 1 ? way.count - (PATH_STEPS - 1) : 0;
    for (size_t i = from; i < way.count && rc == 0; i++) {
        uint32_t target = heap_edge_to(heap_columns(h)->edge[way.steps[i].edge]);
        if (target == to || !frontier_is_inside(h, target))
            rc = add_step(h, way.steps[i].edge, s, e);
    }
    if (rc == 0 && last != HEAP_NONE)
        rc = add_step(h, last, s, e);
    heap_path_free(&way);
    return rc;
}

/* ---- the phrase ---- */

static enum holder_kind kind_of(const struct heap *h, uint32_t holder)
{
    const char *name = naming_class(h, holder);
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
    struct buf declared;    /* what the owner calls it: the name, or that of what is around it */
    uint32_t edge;          /* that names the holder itself; HEAP_NONE */
    uint32_t owner;         /* what has that variable or property */
    enum holder_kind kind;
    uint32_t holder;
    uint32_t emitter; /* of listeners */
    struct buf file;  /* that exports the declared one; "" */
    struct buf key;   /* of the entry of a Map that was climbed last */
    bool event;       /* name is that of the event */
};

static int name_edge(struct naming *n, uint32_t edge)
{
    const char *what =
        heap_edge_kind(heap_columns(n->h)->edge[edge]) == HEAP_CONTEXT ? "variable" : "property";
    uint32_t source = heap_edge_source(n->h, edge), module = naming_module(n->h, edge);
    int rc = naming_edge(n->h, edge, &n->name);
    if (rc == 0 && module != HEAP_NONE && naming_text_is(&n->name, "default"))
        rc = place_default_name(n->h, module, &n->name);
    bool of_function = heap_columns(n->h)->kind[source] == HEAP_CLOSURE;
    if (module != HEAP_NONE)
        what = "exported variable";
    else if (rc == 0 && n->name.data[0] == '#')
        what = of_function ? "private static field" : "private field";
    else if (of_function)
        what = "static field";
    if (rc == 0)
        rc = buf_addf(&n->where, "%s%s `%.*s`", n->where.length ? ", in " : "", what,
            (int)n->name.length, n->name.data);
    const char *class = naming_class(n->h, source);
    struct buf function = buf_new(NAMING_BYTES);
    if (rc == 0 && of_function && (rc = heap_add_node_name(n->h, source, &function)) == 0 &&
        function.length)
        class = function.data;
    if (rc == 0 && !strstr(what, "variable") && class[0] && class[0] != '(' && class[0] != '{' &&
        strcmp(class, "Object") != 0)
        rc = buf_addf(&n->where, " of %s", class);
    buf_free(&function);
    n->owner = module != HEAP_NONE ? module : source;
    if (rc == 0) {
        buf_clear(&n->declared);
        rc = buf_add(&n->declared, n->name.data, n->name.length);
    }
    return rc;
}

/* An object of the listeners of an emitter, or the list of one event: the event is the name. */
static int name_listeners(struct naming *n, uint32_t events, uint32_t event_edge, struct err *e)
{
    uint32_t edge;
    enum naming_worth worth;
    struct buf text = buf_new(NAMING_BYTES);
    int rc = naming_find(n->h, n->born, events, &edge, &worth, e);
    if (rc == 0 && edge != HEAP_NONE && worth >= NAMING_NAME &&
        naming_edge(n->h, edge, &text) == 0 && naming_text_is(&text, "_events")) {
        n->kind = HOLDER_LISTENERS;
        n->emitter = heap_edge_source(n->h, edge);
        n->event = true;
        rc = naming_edge(n->h, event_edge, &n->name);
    }
    buf_free(&text);
    return rc;
}

static bool is_plain(const struct naming *n, uint32_t node)
{
    const char *class = naming_class(n->h, node);
    return strcmp(class, "Object") == 0 || class[0] == '{';
}

/* An object or function of a package or of the runtime. */
static bool is_foreign(const struct naming *n, uint32_t node)
{
    bool of_class = frontier_rank(n->h, node) == FRONTIER_OBJECT && !is_plain(n, node);
    return (of_class || heap_columns(n->h)->kind[node] == HEAP_CLOSURE) &&
           place_side(n->h, node) != PLACE_PROGRAM;
}

/* One step from the owner to what holds it, added to the phrase. */
static int climb(struct naming *n, bool *ret_climbed, struct err *e)
{
    uint32_t edge;
    enum naming_worth worth;
    *ret_climbed = false;
    int rc = naming_find(n->h, n->born, n->owner, &edge, &worth, e);
    if (rc != 0 || worth < NAMING_NAME || heap_edge_source(n->h, edge) == n->owner)
        return rc;
    struct buf kept = n->name; /* the holder's own name stays */
    n->name = buf_new(NAMING_BYTES);
    rc = name_edge(n, edge);
    buf_free(&n->name);
    n->name = kept;
    *ret_climbed = rc == 0;
    return rc == 0 ? 0 : no_memory(e);
}

/* A plain object says nothing of itself: what it is called is added, up to a variable, to an object
 * that has a class or to the exports of a file. */
static int name_plain_owner(struct naming *n, struct err *e)
{
    bool climbed = true;
    int rc = 0;
    for (int step = 0; step < CLIMB_MAX && climbed && rc == 0 && is_plain(n, n->owner); step++) {
        if ((rc = naming_file(n->h, n->owner, &n->file)) != 0)
            return no_memory(e);
        if (n->file.length)
            return buf_addf(&n->where, ", exported") == 0 ? 0 : no_memory(e);
        rc = climb(n, &climbed, e);
    }
    return rc;
}

/* What packages and the runtime call their parts says little: the program's own name for the object
 * that has them is the holder's, where there is one. */
static int name_owner(struct naming *n, struct err *e)
{
    int rc = name_plain_owner(n, e);
    bool climbed = rc == 0 && is_foreign(n, n->owner);
    if (!climbed)
        return rc;
    size_t length = n->where.length;
    uint32_t owner = n->owner;
    struct buf declared = buf_new(NAMING_BYTES);
    rc = buf_add(&declared, n->declared.data, n->declared.length);
    for (int step = 0; step < CLIMB_MAX && climbed && rc == 0; step++)
        if (is_plain(n, n->owner) || is_foreign(n, n->owner))
            rc = climb(n, &climbed, e);
        else
            break;
    bool found = climbed && !is_foreign(n, n->owner) && place_side(n->h, n->owner) == PLACE_PROGRAM;
    if (rc == 0 && !found) {
        n->where.length = length;
        n->where.data[length] = '\0';
        n->owner = owner;
        buf_clear(&n->declared);
        rc = buf_add(&n->declared, declared.data, declared.length);
    } else if (rc == 0 && !n->event) {
        buf_clear(&n->name);
        rc = buf_add(&n->name, n->declared.data, n->declared.length);
    }
    buf_free(&declared);
    return rc == 0 ? 0 : no_memory(e);
}

static bool is_next(const struct buf *name)
{
    return naming_text_is(name, "next") || naming_text_is(name, "_next") ||
           naming_text_is(name, "_idleNext");
}

/* From one of a list to the next. */
static bool is_link(const struct naming *n, uint32_t edge, uint32_t to)
{
    const struct heap_columns *c = heap_columns(n->h);
    uint32_t source = heap_edge_source(n->h, edge);
    bool is = c->class_of[source] == c->class_of[to] && !is_plain(n, to);
    if (c->kind[source] != HEAP_OBJECT || frontier_rank(n->h, source) != FRONTIER_OBJECT)
        return false;
    struct buf text = buf_new(NAMING_BYTES);
    is = is || (naming_edge(n->h, edge, &text) == 0 && is_next(&text));
    buf_free(&text);
    return is;
}

/* An EventTarget's Map from events to lists of listeners. */
static bool is_event_map(const struct naming *n, uint32_t edge)
{
    struct buf text = buf_new(NAMING_BYTES);
    bool is = naming_edge(n->h, edge, &text) == 0 && text.data && strstr(text.data, "kEvents");
    buf_free(&text);
    return is;
}

/* The holder is the EventTarget itself, its name that of the event. */
static int become_listeners(struct naming *n, uint32_t target)
{
    n->kind = HOLDER_LISTENERS;
    n->emitter = n->holder = target;
    n->edge = HEAP_NONE;
    n->event = n->key.length > 0;
    buf_clear(&n->where);
    buf_clear(&n->name);
    return n->event ? buf_add(&n->name, n->key.data, n->key.length) : 0;
}

/* A snapshot does not name the variables of blocks; the source may. */
static int name_of_block(struct naming *n, uint32_t context, uint32_t held, struct err *e)
{
    struct buf name = buf_new(NAMING_BYTES);
    int rc = place_block_name(n->h, context, naming_class(n->h, held), &name);
    if (rc == 0 && name.length) {
        n->owner = context;
        buf_clear(&n->declared);
        rc = buf_add(&n->declared, name.data, name.length);
        if (rc == 0)
            rc = buf_addf(&n->where, "%svariable `%s`", n->where.length ? ", in " : "", name.data);
    }
    if (rc == 0 && name.length && !n->event) {
        buf_clear(&n->name);
        rc = buf_add(&n->name, name.data, name.length);
    }
    buf_free(&name);
    return rc == 0 ? 0 : no_memory(e);
}

/* The edge is the first above the holder: it may lead into an emitter's lists. */
static int find_emitter(struct naming *n, uint32_t edge, struct err *e)
{
    uint32_t source = heap_edge_source(n->h, edge);
    int rc = name_listeners(n, source, edge, e);
    if (rc == 0 && n->emitter == HEAP_NONE && naming_edge(n->h, edge, &n->name) == 0 &&
        naming_text_is(&n->name, "_events")) { /* single listeners, an event each */
        n->kind = HOLDER_LISTENERS;
        n->emitter = source;
    }
    return rc;
}

/* The name is the edge's, unless it is already that of an event. */
static int take_name(struct naming *n, uint32_t edge, struct err *e)
{
    struct buf kept = n->name;
    n->name = buf_new(NAMING_BYTES);
    int rc = name_edge(n, edge);
    if (n->event && kept.length) {
        buf_free(&n->name);
        n->name = kept;
    } else {
        buf_free(&kept);
    }
    return rc == 0 ? name_owner(n, e) : no_memory(e);
}

/* An edge with a name leads to an emitter, from which the way goes on (*ret_on), or its name is
 * taken, and *ret_on is HEAP_NONE. */
static int follow_name(struct naming *n, uint32_t edge, bool first, uint32_t *ret_on, struct err *e)
{
    uint32_t source = heap_edge_source(n->h, edge);
    *ret_on = HEAP_NONE;
    if (n->emitter == HEAP_NONE && is_event_map(n, edge)) {
        *ret_on = source;
        return become_listeners(n, source) == 0 ? 0 : no_memory(e);
    }
    if (n->emitter == HEAP_NONE && first) {
        int rc = find_emitter(n, edge, e);
        if (rc != 0 || n->emitter != HEAP_NONE) {
            *ret_on = n->emitter;
            return rc;
        }
    }
    return take_name(n, edge, e);
}

/* From an edge without a name to what is above it; *ret_on is HEAP_NONE at the top. */
static int climb_over(struct naming *n, uint32_t at, uint32_t edge, uint32_t *ret_on, struct err *e)
{
    uint32_t above = n->lifted[heap_edge_source(n->h, edge)];
    *ret_on = HEAP_NONE;
    if (naming_key(n->h, edge, &n->key) != 0)
        return no_memory(e);
    if (frontier_rank(n->h, above) == FRONTIER_ROOTS || above == at)
        return 0;
    if (frontier_rank(n->h, above) == FRONTIER_CONTEXT)
        return name_of_block(n, above, at, e);
    *ret_on = above;
    return buf_addf(&n->where, "%san entry of %s", n->where.length ? ", in " : "",
               naming_class(n->h, above)) == 0
               ? 0
               : no_memory(e);
}

/* Climbs from the holder to something with a name. */
static int find_name(struct naming *n, uint32_t holder, struct err *e)
{
    uint32_t at = holder;
    for (int step = 0, along = 0; step < CLIMB_MAX && at != HEAP_NONE;) {
        uint32_t edge;
        enum naming_worth worth;
        int rc = naming_find(n->h, n->born, at, &edge, &worth, e);
        if (rc != 0 || edge == HEAP_NONE)
            return rc;
        if (n->edge == HEAP_NONE)
            n->edge = edge;
        /* Along a list to its head, which has the name. */
        if (worth >= NAMING_NAME && n->emitter == HEAP_NONE && along++ < LIST_MAX &&
            is_link(n, edge, at)) {
            at = heap_edge_source(n->h, edge);
            continue;
        }
        rc = worth >= NAMING_NAME ? follow_name(n, edge, step == 0, &at, e)
                                  : climb_over(n, at, edge, &at, e);
        if (rc != 0)
            return rc;
        step++;
    }
    return 0;
}

static int phrase(struct naming *n, const struct frontier_group *g, struct buf *out)
{
    const char *class = naming_class(n->h, g->holder);
    const char *where = n->where.length ? n->where.data : "";
    if (n->kind == HOLDER_LISTENERS && n->event)
        return buf_addf(out, "listeners of event `%.*s` of %s%s%s", (int)n->name.length,
            n->name.length ? n->name.data : "", naming_class(n->h, n->emitter),
            where[0] ? " in " : "", where);
    if (n->kind == HOLDER_LISTENERS)
        return buf_addf(out, "listeners of %s%s%s", naming_class(n->h, n->emitter),
            where[0] ? " in " : "", where);
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
    if (rc == 0)
        rc = buf_add(&n->declared, n->name.data, n->name.length);
    n->owner = g->holder;
    return rc == 0 ? 0 : no_memory(e);
}

/* The list that the timers are in: what is inside of an object for the frontier is a holder here.
 */
static uint32_t timers_list(const struct heap *h, uint32_t timer)
{
    const struct heap_columns *c = heap_columns(h);
    while (timer != c->root && strcmp(naming_class(h, timer), "TimersList") != 0)
        timer = c->dominator[timer];
    return timer == c->root ? HEAP_NONE : timer;
}

static bool is_timer_group(const struct heap *h, const struct frontier_group *g)
{
    return strcmp(frontier_class_name(h, g->class), "Timeout") == 0 ||
           strcmp(frontier_class_name(h, g->class), "Immediate") == 0;
}

static int owner_place(const struct naming *n, struct diagnosis_place **ret, struct err *e)
{
    *ret = NULL;
    if (n->event && n->name.length && strcmp(naming_class(n->h, n->emitter), "process") == 0)
        return place_of_global(n->h, GLOBALS_LISTENER, n->name.data, ret, e);
    if (n->owner == HEAP_NONE)
        return 0;
    if (n->declared.length && heap_columns(n->h)->distance[n->owner] == 1)
        return place_of_global(n->h, GLOBALS_PROPERTY, n->declared.data, ret, e);
    if (n->file.length && n->declared.length)
        return place_of_export(n->file.data, n->declared.data, ret, e);
    return place_of_name(n->h, n->owner, n->declared.length ? n->declared.data : NULL, ret, e);
}

int holder_describe(struct heap *h, const uint8_t *born, const uint32_t *lifted,
    const struct frontier_group *g, struct diagnosis_suspect *s, struct holder *ret, struct err *e)
{
    struct naming n = {.h = h,
        .born = born,
        .lifted = lifted,
        .name = buf_new(NAMING_BYTES),
        .where = buf_new(NAMING_BYTES),
        .declared = buf_new(NAMING_BYTES),
        .file = buf_new(NAMING_BYTES),
        .key = buf_new(NAMING_BYTES),
        .holder = g->holder,
        .edge = HEAP_NONE,
        .owner = HEAP_NONE,
        .emitter = HEAP_NONE,
        .kind = kind_of(h, g->holder)};
    struct buf text = buf_new(4 * NAMING_BYTES);
    int rc = 0;
    /* The global object stands where several lists hold them, and no collection of the program's.
     */
    bool kept =
        frontier_rank(h, g->holder) == FRONTIER_OBJECT && heap_columns(h)->distance[g->holder] > 1;
    if (is_timer_group(h, g) && !kept) {
        uint32_t list = timers_list(h, g->example);
        n.kind = HOLDER_TIMERS;
        n.holder = list != HEAP_NONE ? list : n.holder;
    } else if (n.kind == HOLDER_VARIABLE) {
        rc = name_variable(&n, g, e);
    } else {
        rc = find_name(&n, g->holder, e);
    }
    if (rc == 0 && phrase(&n, g, &text) != 0)
        rc = no_memory(e);
    if (rc == 0)
        rc = owner_place(&n, &s->holder.place, e);
    if (rc == 0)
        rc = add_path(h, n.holder, n.edge, s, e);
    if (rc == 0) {
        const char *class = naming_class(h, n.holder);
        s->holder.id = heap_columns(h)->id[n.holder];
        s->holder.class_name = diagnosis_text(class, strlen(class));
        s->holder.name = n.name.length ? diagnosis_text(n.name.data, n.name.length) : NULL;
        s->holder.text = diagnosis_text(text.data, text.length);
        *ret = (struct holder){.kind = n.kind};
        if (!s->holder.class_name || !s->holder.text || (n.name.length && !s->holder.name))
            rc = no_memory(e);
    }
    buf_free(&n.name);
    buf_free(&n.where);
    buf_free(&n.declared);
    buf_free(&n.file);
    buf_free(&n.key);
    buf_free(&text);
    return rc;
}
