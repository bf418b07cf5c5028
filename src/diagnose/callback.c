/* Callbacks. */
#include "diagnose/callback.h"

#include "diagnose/frontier.h"
#include "diagnose/naming.h"

#include <string.h>

#define STEPS_MAX 6  /* from a timer, over bound functions, to the function that is called */
#define IN_EDGES  64 /* of a scope or promise that are looked at */
#define REACTIONS 16 /* of a promise, and the handlers of each */

static const struct callback nothing = {.closure = HEAP_NONE};

static bool is_class(const struct heap *h, uint32_t node, const char *class)
{
    return node != HEAP_NONE && strcmp(naming_class(h, node), class) == 0;
}

/* A closure of a script, not one of the engine's. */
static bool is_called(const struct heap *h, uint32_t node)
{
    struct heap_location l;
    return node != HEAP_NONE && heap_columns(h)->kind[node] == HEAP_CLOSURE &&
           heap_find_location(h, node, &l);
}

static uint32_t target_of_class(const struct heap *h, uint32_t node, const char *class)
{
    const struct heap_columns *c = heap_columns(h);
    for (uint32_t k = c->first_edge[node]; k < c->first_edge[node + 1]; k++)
        if (heap_edge_kind(c->edge[k]) != HEAP_WEAK && is_class(h, heap_edge_to(c->edge[k]), class))
            return heap_edge_to(c->edge[k]);
    return HEAP_NONE;
}

/* ---- functions that wait ---- */

/* The async function whose state it is; HEAP_NONE: a generator of the program's. */
static uint32_t async_function(struct heap *h, uint32_t node)
{
    if (!is_class(h, node, "Generator") || target_of_class(h, node, "Promise") == HEAP_NONE)
        return HEAP_NONE;
    return naming_property(h, node, "function");
}

/* Of the scope of the engine's own closures: an async function, or a promise. */
static uint32_t waiting_in(struct heap *h, uint32_t context)
{
    return target_of_class(h, context, "Generator");
}

static uint32_t context_of(struct heap *h, uint32_t closure)
{
    uint32_t context = naming_property(h, closure, "context");
    return is_class(h, context, "system / Context") ? context : HEAP_NONE;
}

/* The handler that a reaction calls, or the async function that it continues. */
static uint32_t handler_of(struct heap *h, uint32_t reaction)
{
    const struct heap_columns *c = heap_columns(h);
    for (uint32_t k = c->first_edge[reaction]; k < c->first_edge[reaction + 1]; k++) {
        uint32_t to = heap_edge_to(c->edge[k]);
        if (c->kind[to] != HEAP_CLOSURE)
            continue;
        if (is_called(h, to))
            return to;
        uint32_t context = context_of(h, to);
        uint32_t waiting = context == HEAP_NONE ? HEAP_NONE : waiting_in(h, context);
        uint32_t function = waiting == HEAP_NONE ? HEAP_NONE : async_function(h, waiting);
        if (is_called(h, function))
            return function;
    }
    return HEAP_NONE;
}

/* What pick makes of the first node with an edge into this one that it makes something of. */
static uint32_t pick_source(
    struct heap *h, uint32_t node, uint32_t (*pick)(struct heap *h, uint32_t source))
{
    const uint32_t *edges;
    uint32_t count;
    struct err ignored = ERR_NONE;
    if (heap_incoming(h, node, &edges, &count, &ignored) != 0)
        return HEAP_NONE;
    for (uint32_t i = 0; i < count && i < IN_EDGES; i++) {
        uint32_t picked = pick(h, heap_edge_source(h, edges[i]));
        if (picked != HEAP_NONE)
            return picked;
    }
    return HEAP_NONE;
}

static uint32_t pick_async(struct heap *h, uint32_t source)
{
    uint32_t function = async_function(h, source);
    return is_called(h, function) ? function : HEAP_NONE;
}

static uint32_t pick_called(struct heap *h, uint32_t source)
{
    return is_called(h, source) ? source : HEAP_NONE;
}

static uint32_t waits_for(struct heap *h, uint32_t promise)
{
    uint32_t reaction = naming_property(h, promise, "reactions_or_result");
    for (int i = 0; i < REACTIONS && reaction != HEAP_NONE; i++) {
        if (heap_columns(h)->kind[reaction] != HEAP_HIDDEN)
            break; /* it has settled: this is its result */
        uint32_t handler = handler_of(h, reaction);
        if (handler != HEAP_NONE)
            return handler;
        reaction = naming_property(h, reaction, "next");
    }
    return pick_source(h, promise, pick_async); /* the one that answers with the promise */
}

/* ---- scopes ---- */

/* Scopes of the engine's closures hold the promise that those settle, or what waits for it. */
static struct callback of_context(struct heap *h, uint32_t context)
{
    uint32_t waiting = waiting_in(h, context);
    uint32_t function = waiting == HEAP_NONE ? HEAP_NONE : async_function(h, waiting);
    if (function != HEAP_NONE)
        return (struct callback){function, "Promise"};
    uint32_t closure = pick_source(h, context, pick_called); /* made in the scope */
    if (closure != HEAP_NONE)
        return (struct callback){closure, "Function"};
    uint32_t promise = target_of_class(h, context, "Promise");
    if (promise != HEAP_NONE)
        return (struct callback){waits_for(h, promise), "Promise"};
    return nothing;
}

/* ---- what settles a promise ---- */

/* The promise that the engine's own closure resolves or rejects; HEAP_NONE: it is another closure.
 */
static uint32_t settled_by(struct heap *h, uint32_t closure)
{
    if (heap_columns(h)->kind[closure] != HEAP_CLOSURE || is_called(h, closure))
        return HEAP_NONE;
    uint32_t context = context_of(h, closure);
    return context == HEAP_NONE || waiting_in(h, context) != HEAP_NONE
               ? HEAP_NONE
               : target_of_class(h, context, "Promise");
}

/* Settled ones have their value where those that something waits for have what waits. */
static bool is_pending(struct heap *h, uint32_t promise)
{
    uint32_t result = naming_property(h, promise, "reactions_or_result");
    struct buf name = buf_new(NAMING_BYTES);
    bool is = result != HEAP_NONE && heap_columns(h)->kind[result] == HEAP_HIDDEN &&
              heap_add_node_name(h, result, &name) == 0 &&
              naming_text_is(&name, "system / PromiseReaction");
    buf_free(&name);
    return is;
}

static bool settles_pending(struct heap *h, uint32_t closure)
{
    uint32_t promise = settled_by(h, closure);
    return promise != HEAP_NONE && is_pending(h, promise);
}

bool callback_is_awaited(struct heap *h, uint32_t object)
{
    const struct heap_columns *c = heap_columns(h);
    if (c->kind[object] != HEAP_OBJECT)
        return false;
    for (uint32_t k = c->first_edge[object]; k < c->first_edge[object + 1]; k++) {
        uint32_t to = heap_edge_to(c->edge[k]);
        enum heap_edge_kind kind = heap_edge_kind(c->edge[k]);
        if ((kind == HEAP_PROPERTY || kind == HEAP_ELEMENT) && settles_pending(h, to))
            return true;
    }
    return false;
}

/* ---- the whole ---- */

/* What a bound function calls: the listener that an emitter takes off again, or the function. */
static uint32_t bound_function(struct heap *h, uint32_t node)
{
    uint32_t state = naming_property(h, node, "bound_this");
    uint32_t listener = state == HEAP_NONE ? HEAP_NONE : naming_property(h, state, "listener");
    return is_called(h, listener) ? listener : naming_property(h, node, "bound_function");
}

/* From a timer, a listener of an EventTarget or a bound function to what it calls. An object of the
 * program's own may have properties of the same names: those are none. */
static uint32_t next_of(struct heap *h, uint32_t node)
{
    static const char *const ways[][2] = {{"Timeout", "_onTimeout"}, {"Immediate", "_onImmediate"},
        {"Listener", "callback"}, {"Listener", "listener"}};
    if (heap_columns(h)->kind[node] == HEAP_CLOSURE) {
        uint32_t function = bound_function(h, node);
        return function != HEAP_NONE ? function : context_of(h, node);
    }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        uint32_t next =
            is_class(h, node, ways[i][0]) ? naming_property(h, node, ways[i][1]) : HEAP_NONE;
        if (next != HEAP_NONE)
            return next;
    }
    return HEAP_NONE;
}

struct callback callback_find(struct heap *h, uint32_t unit)
{
    const bool listener = is_class(h, unit, "Listener");
    for (int step = 0; step < STEPS_MAX && unit != HEAP_NONE; step++) {
        if (is_called(h, unit))
            return (struct callback){unit, listener ? "Function" : NULL};
        if (is_class(h, unit, "system / Context"))
            return of_context(h, unit);
        if (is_class(h, unit, "Promise"))
            return (struct callback){waits_for(h, unit), "Promise"};
        if (is_class(h, unit, "Generator")) {
            uint32_t function = async_function(h, unit);
            return function != HEAP_NONE
                       ? (struct callback){function, "Promise"}
                       : (struct callback){naming_property(h, unit, "function"), NULL};
        }
        unit = next_of(h, unit);
    }
    return nothing;
}
