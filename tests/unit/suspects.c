/* Who is accused of what has grown, on snapshots made on the spot: a wrong name sends a person to
 * the wrong line. Ids go with the order in which nodes are made, so that what is made first is old.
 */
#include "diagnose/suspects.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define NODES_MAX 8192
#define EDGES_MAX 16384
#define ENTRIES   100 /* new ones a step */
#define STEPS     4

/* ---- snapshots ---- */

enum kind { HIDDEN, ARRAY, STRING, OBJECT, CODE, CLOSURE, SYNTHETIC };
enum edge { CONTEXT, ELEMENT, PROPERTY, INTERNAL, HIDDEN_EDGE, SHORTCUT };

struct maker {
    struct {
        enum kind kind;
        const char *name;
        uint32_t self;
        bool placed; /* stands in a script */
    } nodes[NODES_MAX];
    struct {
        uint32_t from, to;
        enum edge kind;
        const char *name; /* NULL: number */
        uint32_t number;
    } edges[EDGES_MAX];
    uint32_t node_count, edge_count, global;
};

static uint32_t node(struct maker *m, enum kind kind, const char *name, uint32_t self)
{
    assert_true(m->node_count < NODES_MAX);
    m->nodes[m->node_count].kind = kind;
    m->nodes[m->node_count].name = name;
    m->nodes[m->node_count].self = self;
    m->nodes[m->node_count].placed = false;
    return m->node_count++;
}

static void tie(struct maker *m, uint32_t from, enum edge kind, const char *name, uint32_t to)
{
    assert_true(m->edge_count < EDGES_MAX);
    m->edges[m->edge_count].from = from;
    m->edges[m->edge_count].to = to;
    m->edges[m->edge_count].kind = kind;
    m->edges[m->edge_count].name = name;
    m->edge_count++;
}

static void tie_number(struct maker *m, uint32_t from, enum edge kind, uint32_t number, uint32_t to)
{
    tie(m, from, kind, NULL, to);
    m->edges[m->edge_count - 1].number = number;
}

/* A new node that hangs on another one. */
static uint32_t part(struct maker *m, uint32_t of, enum edge edge, const char *edge_name,
    enum kind kind, const char *name)
{
    uint32_t made = node(m, kind, name, 32);
    tie(m, of, edge, edge_name, made);
    return made;
}

/* Nodes of one name share a string, as V8 has it: a class is told by it. */
static uint32_t name_number(const struct maker *m, uint32_t of)
{
    uint32_t i = 0;
    while (strcmp(m->nodes[i].name, m->nodes[of].name) != 0)
        i++;
    return 1 + i;
}

static void add_strings(struct maker *m, struct buf *out)
{
    /* Of every node its name, then of every edge; a string may stand there twice. */
    assert_int_equal(buf_add_text(out, "\"strings\":[\"\""), 0);
    for (uint32_t i = 0; i < m->node_count; i++)
        assert_int_equal(buf_addf(out, ",\"%s\"", m->nodes[i].name), 0);
    for (uint32_t i = 0; i < m->edge_count; i++)
        assert_int_equal(buf_addf(out, ",\"%s\"", m->edges[i].name ? m->edges[i].name : ""), 0);
    for (uint32_t i = 0; i < m->edge_count; i++)
        assert_int_equal(buf_addf(out, ",\"%u\"", m->edges[i].number), 0);
    assert_int_equal(buf_add_text(out, "]}"), 0);
}

static void add_edges(struct maker *m, struct buf *out)
{
    const char *comma = "";
    for (uint32_t i = 0; i < m->node_count; i++)
        for (uint32_t k = 0; k < m->edge_count; k++) {
            if (m->edges[k].from != i)
                continue;
            bool number = m->edges[k].kind == ELEMENT || m->edges[k].kind == HIDDEN_EDGE;
            uint32_t name = number             ? m->edges[k].number
                            : m->edges[k].name ? 1 + m->node_count + k
                                               : 1 + m->node_count + m->edge_count + k;
            assert_int_equal(
                buf_addf(out, "%s%d,%u,%u", comma, m->edges[k].kind, name, 5 * m->edges[k].to), 0);
            comma = ",";
        }
}

static struct heap *open_snapshot(struct maker *m)
{
    struct buf out = buf_new(16 << 20);
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    assert_int_equal(
        buf_addf(&out,
            "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\","
            "\"edge_count\"],\"node_types\":[[\"hidden\",\"array\",\"string\",\"object\",\"code\","
            "\"closure\",\"synthetic\"],\"string\",\"number\",\"number\",\"number\"],"
            "\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],\"edge_types\":[[\"context\","
            "\"element\",\"property\",\"internal\",\"hidden\",\"shortcut\",\"weak\"],"
            "\"string_or_number\",\"node\"],\"location_fields\":[\"object_index\",\"script_id\","
            "\"line\",\"column\"]},\"node_count\":%u,\"edge_count\":%u},\n\"nodes\":[",
            m->node_count, m->edge_count),
        0);
    for (uint32_t i = 0; i < m->node_count; i++) {
        uint32_t edges = 0;
        for (uint32_t k = 0; k < m->edge_count; k++)
            edges += m->edges[k].from == i;
        assert_int_equal(buf_addf(&out, "%s%d,%u,%u,%u,%u", i ? "," : "", m->nodes[i].kind,
                             name_number(m, i), 2 * i + 1, m->nodes[i].self, edges),
            0);
    }
    assert_int_equal(buf_add_text(&out, "],\n\"edges\":["), 0);
    add_edges(m, &out);
    assert_int_equal(buf_add_text(&out, "],\n\"locations\":["), 0);
    const char *comma = "";
    for (uint32_t i = 0; i < m->node_count; i++)
        if (m->nodes[i].placed) {
            assert_int_equal(buf_addf(&out, "%s%u,7,11,4", comma, 5 * i), 0);
            comma = ",";
        }
    assert_int_equal(buf_add_text(&out, "],\n"), 0);
    add_strings(m, &out);
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    assert_int_equal(write(fd, out.data, out.length), out.length);
    assert_int_equal(heap_open_fd(fd, "file", NULL, &h, &e), 0);
    close(fd);
    buf_free(&out);
    return h;
}

/* ---- programs ---- */

/* Makes what the program has after so many entries. */
typedef void program(struct maker *m, uint32_t entries);

static struct heap *snapshot_of(program *make, uint32_t entries)
{
    struct maker *m = calloc(1, sizeof *m);
    uint32_t root = node(m, SYNTHETIC, "", 0);
    m->global = node(m, OBJECT, "global", 32);
    tie(m, root, SHORTCUT, "global", m->global);
    make(m, entries);
    struct heap *h = open_snapshot(m);
    free(m);
    return h;
}

static struct diagnosis *name(program *make)
{
    struct diagnosis *d = diagnosis_new();
    struct suspects *s = suspects_new(STEPS);
    struct err e = ERR_NONE;
    for (uint32_t i = 0; i < STEPS; i++) {
        struct heap *h = snapshot_of(make, (i + 1) * ENTRIES);
        if (i + 1 < STEPS)
            assert_int_equal(suspects_add(s, h, &e), 0);
        else
            assert_int_equal(suspects_name(s, h, 5, d, &e), 0);
        heap_close(h);
    }
    suspects_free(s);
    return d;
}

/* The only suspect's class, holder's class, name and culprit; NULL is any. */
static void assert_said(
    program *make, const char *class, const char *holder, const char *variable, const char *culprit)
{
    struct diagnosis *d = name(make);
    assert_int_equal(d->suspect_count, 1);
    const struct diagnosis_suspect *s = &d->suspects[0];
    assert_string_equal(s->class_name, class);
    if (holder)
        assert_string_equal(s->holder.class_name, holder);
    if (variable)
        assert_string_equal(s->holder.name, variable);
    if (culprit)
        assert_string_equal(s->culprit, culprit);
    assert_in_range(s->last - s->first, (STEPS - 1) * ENTRIES - 2, (STEPS - 1) * ENTRIES + 2);
    assert_true(s->share > 0.8);
    diagnosis_free(d);
}

/* Variables of a function. */
static uint32_t scope(struct maker *m)
{
    uint32_t function = part(m, m->global, PROPERTY, "main", CLOSURE, "main");
    m->nodes[function].placed = true;
    return part(m, function, INTERNAL, "context", OBJECT, "system / Context");
}

static uint32_t table_of(struct maker *m, uint32_t collection, const char *name)
{
    return part(m, collection, INTERNAL, name, ARRAY, "");
}

static void add_carts(struct maker *m, uint32_t table, uint32_t entries)
{
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t cart = node(m, OBJECT, "Cart", 200);
        tie_number(m, table, INTERNAL, 3 * i + 1, cart);
    }
}

static void map_in_variable(struct maker *m, uint32_t entries)
{
    uint32_t map = part(m, scope(m), CONTEXT, "carts", OBJECT, "Map");
    add_carts(m, table_of(m, map, "table"), entries);
}

static void array_in_property(struct maker *m, uint32_t entries)
{
    uint32_t shop = part(m, scope(m), CONTEXT, "shop", OBJECT, "Shop");
    uint32_t array = part(m, shop, PROPERTY, "items", OBJECT, "Array");
    add_carts(m, table_of(m, array, "elements"), entries);
}

static void set_in_private_field(struct maker *m, uint32_t entries)
{
    uint32_t shop = part(m, scope(m), CONTEXT, "shop", OBJECT, "Shop");
    uint32_t set = part(m, shop, PROPERTY, "#open", OBJECT, "Set");
    add_carts(m, table_of(m, set, "table"), entries);
}

static void map_in_object_in_variable(struct maker *m, uint32_t entries)
{
    uint32_t state = part(m, scope(m), CONTEXT, "state", OBJECT, "Object");
    uint32_t inner = part(m, state, PROPERTY, "inner", OBJECT, "Object");
    add_carts(m, table_of(m, part(m, inner, PROPERTY, "carts", OBJECT, "Map"), "table"), entries);
}

static void exported_by_a_module(struct maker *m, uint32_t entries)
{
    uint32_t wrap = part(m, m->global, PROPERTY, "entry", OBJECT, "ModuleWrap");
    uint32_t module = part(m, wrap, INTERNAL, "2", HIDDEN, "system / SourceTextModule");
    uint32_t exports = node(m, ARRAY, "", 16), cell = node(m, HIDDEN, "system / Cell", 16);
    tie_number(m, module, HIDDEN_EDGE, 0, exports);
    uint32_t key = node(m, STRING, "carts", 24);
    tie_number(m, exports, INTERNAL, 5, key);
    tie_number(m, exports, INTERNAL, 6, cell);
    uint32_t map = part(m, cell, INTERNAL, "value", OBJECT, "Map");
    add_carts(m, table_of(m, map, "table"), entries);
}

static void listeners_of_an_emitter(struct maker *m, uint32_t entries)
{
    uint32_t bus = part(m, scope(m), CONTEXT, "bus", OBJECT, "EventEmitter");
    uint32_t events = part(m, bus, PROPERTY, "_events", OBJECT, "Object");
    uint32_t list = part(m, events, PROPERTY, "price", OBJECT, "Array");
    uint32_t elements = table_of(m, list, "elements");
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t closure = node(m, CLOSURE, "onPrice", 200);
        m->nodes[closure].placed = true;
        tie_number(m, elements, INTERNAL, i, closure);
    }
}

static void listeners_of_an_event_target(struct maker *m, uint32_t entries)
{
    uint32_t target = part(m, scope(m), CONTEXT, "screen", OBJECT, "EventTarget");
    uint32_t map = part(m, target, PROPERTY, "<symbol kEvents>", OBJECT, "Map");
    uint32_t table = table_of(m, map, "table"), key = node(m, STRING, "paint", 24);
    uint32_t last = node(m, OBJECT, "Object", 32);
    tie_number(m, table, INTERNAL, 3, key);
    tie_number(m, table, INTERNAL, 4, last);
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t listener = part(m, last, PROPERTY, "next", OBJECT, "Listener");
        uint32_t closure = part(m, listener, PROPERTY, "callback", CLOSURE, "repaint");
        tie(m, listener, PROPERTY, "previous", last);
        m->nodes[listener].self = 200;
        m->nodes[closure].placed = true;
        last = listener;
    }
}

static void awaits_of_a_promise(struct maker *m, uint32_t entries)
{
    uint32_t last = part(m, scope(m), CONTEXT, "gate", OBJECT, "Promise");
    uint32_t function = part(m, m->global, PROPERTY, "serve", CLOSURE, "serve");
    m->nodes[function].placed = true;
    /* The newest reaction is the first of the chain. */
    uint32_t reactions[STEPS * ENTRIES];
    for (uint32_t i = 0; i < entries; i++) {
        reactions[i] = node(m, HIDDEN, "system / PromiseReaction", 48);
        uint32_t handler = part(m, reactions[i], INTERNAL, "fulfill", CLOSURE, "");
        uint32_t context = part(m, handler, INTERNAL, "context", OBJECT, "system / Context");
        uint32_t state = part(m, context, INTERNAL, "extension", OBJECT, "Generator");
        m->nodes[state].self = 200;
        tie(m, state, INTERNAL, "function", function);
        part(m, state, INTERNAL, "promise", OBJECT, "Promise");
    }
    for (uint32_t i = entries; i-- > 0; last = reactions[i])
        tie(m, last, INTERNAL, i + 1 == entries ? "reactions_or_result" : "next", reactions[i]);
}

static void running_timers(struct maker *m, uint32_t entries)
{
    uint32_t lists = part(m, scope(m), CONTEXT, "timerListMap", OBJECT, "Object");
    uint32_t last = part(m, lists, PROPERTY, "1000", OBJECT, "TimersList");
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t timer = part(m, last, PROPERTY, "_idlePrev", OBJECT, "Timeout");
        uint32_t closure = part(m, timer, PROPERTY, "_onTimeout", CLOSURE, "refresh");
        m->nodes[timer].self = 200;
        m->nodes[closure].placed = true;
        last = timer;
    }
}

/* Returns one in the middle of what is new. */
static uint32_t make_list(struct maker *m, uint32_t context, uint32_t entries)
{
    uint32_t after = HEAP_NONE, middle = HEAP_NONE;
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t entry = node(m, OBJECT, "Entry", 200);
        if (after != HEAP_NONE)
            tie(m, entry, PROPERTY, "next", after);
        after = entry;
        if (i + ENTRIES / 2 == entries)
            middle = entry;
    }
    tie(m, context, CONTEXT, "latest", after);
    return middle;
}

static void a_linked_list(struct maker *m, uint32_t entries)
{
    make_list(m, scope(m), entries);
}

/* Something else, made anew for each snapshot, has its place in the list. */
static void a_linked_list_and_a_reader(struct maker *m, uint32_t entries)
{
    uint32_t context = scope(m);
    uint32_t table = table_of(m, part(m, context, CONTEXT, "readers", OBJECT, "Map"), "table");
    uint32_t middle = make_list(m, context, entries);
    uint32_t reader = node(m, OBJECT, "Reader", 40);
    tie_number(m, table, INTERNAL, 1, reader);
    tie(m, reader, PROPERTY, "at", middle);
}

/* A socket that was there before was used last while that one was the store. */
static void a_linked_list_and_a_store(struct maker *m, uint32_t entries)
{
    uint32_t socket = part(m, m->global, PROPERTY, "socket", OBJECT, "Socket");
    tie(m, socket, PROPERTY, "<symbol kResourceStore>", make_list(m, scope(m), entries));
}

/* Each of a Map's values knows the one before it: no list, though they are of one class. */
static void a_map_of_what_is_linked(struct maker *m, uint32_t entries)
{
    uint32_t table = table_of(m, part(m, scope(m), CONTEXT, "nodes", OBJECT, "Map"), "table");
    uint32_t before = HEAP_NONE;
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t wrapper = node(m, OBJECT, "Object", 24), made = node(m, OBJECT, "Node", 200);
        tie_number(m, table, INTERNAL, 3 * i + 1, wrapper);
        tie(m, wrapper, PROPERTY, "node", made);
        if (before != HEAP_NONE)
            tie(m, made, PROPERTY, "before", before);
        before = made;
    }
}

/* The whole is old, and its parts are new: as Node 26 has what += makes. */
static void a_string_of_parts(struct maker *m, uint32_t entries)
{
    uint32_t whole = part(m, scope(m), CONTEXT, "text", STRING, "text");
    for (uint32_t i = 0; i < entries; i++)
        tie(m, whole, INTERNAL, "first", node(m, STRING, "more text", 200));
}

/* Keys, values, and what both drag along. */
static void entries_of_many_parts(struct maker *m, uint32_t entries)
{
    uint32_t map = part(m, scope(m), CONTEXT, "carts", OBJECT, "Map");
    uint32_t table = table_of(m, map, "table");
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t key = node(m, STRING, "a key of some length", 40),
                 cart = node(m, OBJECT, "Cart", 200);
        tie_number(m, table, INTERNAL, 3 * i, key);
        tie_number(m, table, INTERNAL, 3 * i + 1, cart);
        part(m, part(m, cart, PROPERTY, "lines", OBJECT, "Array"), INTERNAL, "elements", ARRAY, "");
        part(m, part(m, cart, PROPERTY, "pay", CLOSURE, "pay"), INTERNAL, "context", OBJECT,
            "system / Context");
    }
}

/* A collection and a closure hold each of them. */
static void held_twice(struct maker *m, uint32_t entries)
{
    uint32_t context = scope(m);
    uint32_t map = part(m, context, CONTEXT, "carts", OBJECT, "Map");
    uint32_t table = table_of(m, map, "table");
    uint32_t function = part(m, context, CONTEXT, "handle", CLOSURE, "handle");
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t cart = node(m, OBJECT, "Cart", 200);
        tie_number(m, table, INTERNAL, 3 * i + 1, cart);
        tie(m, function, INTERNAL, "code", cart);
    }
}

/* The same scope behind functions of a Map and of a list. */
static void a_scope_held_twice(struct maker *m, uint32_t entries)
{
    uint32_t context = scope(m);
    uint32_t map = part(m, context, CONTEXT, "handlers", OBJECT, "Map");
    uint32_t table = table_of(m, map, "table");
    uint32_t list = table_of(m, part(m, context, CONTEXT, "queue", OBJECT, "Array"), "elements");
    for (uint32_t i = 0; i < entries; i++) {
        uint32_t kept = node(m, OBJECT, "system / Context", 400);
        part(m, kept, CONTEXT, "cart", OBJECT, "Cart");
        for (int k = 0; k < 2; k++) {
            uint32_t closure = node(m, CLOSURE, k ? "later" : "now", 40);
            m->nodes[closure].placed = true;
            tie(m, closure, INTERNAL, "context", kept);
            tie_number(m, k ? list : table, INTERNAL, 3 * i + 1, closure);
        }
    }
}

static void engine_s_own(struct maker *m, uint32_t entries)
{
    uint32_t function = part(m, m->global, PROPERTY, "main", CLOSURE, "main");
    uint32_t cell = part(m, function, INTERNAL, "feedback_cell", CODE, "system / FeedbackCell");
    for (uint32_t i = 0; i < entries; i++) {
        tie(m, cell, INTERNAL, "value", node(m, CODE, "(compiled code)", 200));
        tie(m, cell, INTERNAL, "map", node(m, HIDDEN, "system / Map", 80));
    }
}

/* ---- what is said of them ---- */

static void holders_have_their_names(void **state)
{
    (void)state;
    assert_said(map_in_variable, "Cart", "Map", "carts", "cache");
    assert_said(array_in_property, "Cart", "Array", "items", "cache");
    assert_said(set_in_private_field, "Cart", "Set", "#open", "cache");
    assert_said(map_in_object_in_variable, "Cart", "Map", "carts", "cache");
    assert_said(exported_by_a_module, "Cart", "Map", "carts", "cache");
    assert_said(a_string_of_parts, "(string)", "system / Context", "text", NULL);
    assert_said(a_linked_list, "Entry", NULL, "latest", NULL);
}

static void what_waits_to_be_called_is_named_by_what_waits(void **state)
{
    (void)state;
    assert_said(listeners_of_an_emitter, "Function", "Array", "price", "event-listener");
    assert_said(listeners_of_an_event_target, "Function", "EventTarget", "paint", "event-listener");
    assert_said(awaits_of_a_promise, "Promise", "Promise", "gate", "promise");
    assert_said(running_timers, "Timeout", "TimersList", NULL, "timer");
}

static void callbacks_are_told(void **state)
{
    static const struct {
        program *make;
        const char *function;
    } programs[] = {{listeners_of_an_emitter, "onPrice"}, {listeners_of_an_event_target, "repaint"},
        {awaits_of_a_promise, "serve"}, {running_timers, "refresh"}};
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct diagnosis *d = name(programs[i].make);
        assert_non_null(d->suspects[0].function);
        assert_string_equal(d->suspects[0].function->function, programs[i].function);
        assert_int_equal(d->suspects[0].function->line, 12);
        diagnosis_free(d);
    }
}

static void one_leak_is_one_suspect(void **state)
{
    (void)state;
    assert_said(entries_of_many_parts, "Cart", "Map", "carts", "cache");
    assert_said(held_twice, "Cart", "Map", "carts", "cache");
}

static void what_has_a_place_in_a_list_does_not_hold_it(void **state)
{
    (void)state;
    assert_said(a_linked_list_and_a_reader, "Entry", NULL, "latest", NULL);
    assert_said(a_linked_list_and_a_store, "Entry", NULL, "latest", NULL);
    assert_said(a_map_of_what_is_linked, "Node", "Map", "nodes", "cache");
}

static void all_who_hold_are_told(void **state)
{
    struct diagnosis *d = name(a_scope_held_twice);
    (void)state;
    assert_true(d->suspect_count >= 1);
    const struct diagnosis_suspect *s = &d->suspects[0];
    assert_int_equal(s->holder.also_count, 1);
    const char *other = s->holder.also[0].name;
    bool in_map = strcmp(s->holder.name, "handlers") == 0;
    assert_string_equal(other, in_map ? "queue" : "handlers");
    assert_string_equal(s->holder.also[0].class_name, in_map ? "Array" : "Map");
    diagnosis_free(d);
    d = name(map_in_variable);
    assert_int_equal(d->suspects[0].holder.also_count, 0);
    diagnosis_free(d);
}

static void the_phrase_has_the_way_to_the_variable(void **state)
{
    struct diagnosis *d = name(map_in_object_in_variable);
    (void)state;
    assert_non_null(strstr(d->suspects[0].holder.text,
        "Map in property `carts`, in property `inner`, in variable `state`"));
    assert_true(d->suspects[0].holder.path_count > 0);
    assert_int_equal(d->suspects[0].holder.path[d->suspects[0].holder.path_count - 1].id,
        d->suspects[0].holder.id);
    diagnosis_free(d);
}

static void the_engine_is_never_accused(void **state)
{
    struct diagnosis *d = name(engine_s_own);
    (void)state;
    assert_int_equal(d->suspect_count, 0);
    diagnosis_free(d);
}

static void what_is_found_is_not_ruled_out(void **state)
{
    struct diagnosis *d = name(running_timers);
    bool timer = false, stream = false;
    (void)state;
    for (size_t i = 0; i < d->ruled_out_count; i++) {
        timer |= strcmp(d->ruled_out[i], "timer") == 0;
        stream |= strcmp(d->ruled_out[i], "stream") == 0;
    }
    assert_true(stream && !timer);
    diagnosis_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holders_have_their_names),
        cmocka_unit_test(what_waits_to_be_called_is_named_by_what_waits),
        cmocka_unit_test(callbacks_are_told),
        cmocka_unit_test(one_leak_is_one_suspect),
        cmocka_unit_test(what_has_a_place_in_a_list_does_not_hold_it),
        cmocka_unit_test(all_who_hold_are_told),
        cmocka_unit_test(the_phrase_has_the_way_to_the_variable),
        cmocka_unit_test(the_engine_is_never_accused),
        cmocka_unit_test(what_is_found_is_not_ruled_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
