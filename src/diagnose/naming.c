/* Names of edges. */
#include "diagnose/naming.h"

#include "diagnose/frontier.h"
#include "diagnose/place.h"

#include <stdlib.h>
#include <string.h>

#define IN_EDGES   4096 /* of a node that are looked at for a name */
#define CELL_EDGES 64   /* of a module's cell: one for each module that imports it */

const char *naming_class(const struct heap *h, uint32_t node)
{
    return frontier_class_name(h, heap_columns(h)->class_of[node]);
}

bool naming_text_is(const struct buf *b, const char *text)
{
    return b->length == strlen(text) && memcmp(b->data, text, b->length) == 0;
}

static int edge_text(const struct heap *h, uint32_t edge, struct buf *out)
{
    buf_clear(out);
    int rc = heap_add_edge_name(h, edge, out);
    if (rc == ERR_FULL)
        rc = 0;
    return rc == 0 ? buf_reserve(out, 1) : rc;
}

/* ---- variables that modules export ---- */

/* The number that is an edge's name; HEAP_NONE. */
static uint32_t number_of(const struct heap *h, uint32_t edge)
{
    struct buf text = buf_new(NAMING_BYTES);
    char *end = NULL;
    uint32_t number = HEAP_NONE;
    if (edge_text(h, edge, &text) == 0 && text.length && text.length < 10) {
        unsigned long value = strtoul(text.data, &end, 10);
        number = *end ? HEAP_NONE : (uint32_t)value;
    }
    buf_free(&text);
    return number;
}

static uint32_t target_of_number(const struct heap *h, uint32_t node, uint32_t number)
{
    const struct heap_columns *c = heap_columns(h);
    for (uint32_t k = c->first_edge[node]; k < c->first_edge[node + 1]; k++)
        if (number_of(h, k) == number)
            return heap_edge_to(c->edge[k]);
    return HEAP_NONE;
}

static bool is_string(const struct heap *h, uint32_t node)
{
    uint8_t kind = heap_columns(h)->kind[node];
    return kind == HEAP_STRING || kind == HEAP_CONS_STRING || kind == HEAP_SLICED_STRING;
}

/* A module's exports are a table in which the name stands before its cell. */
static bool find_export(
    struct heap *h, uint32_t cell, uint32_t *ret_table, uint32_t *ret_name, struct err *e)
{
    const struct heap_columns *c = heap_columns(h);
    const uint32_t *edges;
    uint32_t count;
    if (heap_incoming(h, cell, &edges, &count, e) != 0)
        return false;
    for (uint32_t i = 0; i < count && i < CELL_EDGES; i++) {
        uint32_t table = heap_edge_source(h, edges[i]);
        uint32_t number = c->kind[table] == HEAP_ARRAY ? number_of(h, edges[i]) : HEAP_NONE;
        if (number == HEAP_NONE || number == 0)
            continue;
        uint32_t name = target_of_number(h, table, number - 1);
        if (name != HEAP_NONE && is_string(h, name)) {
            *ret_table = table;
            *ret_name = name;
            return true;
        }
    }
    return false;
}

/* Whether the edge leads out of a cell that a module exports. */
static bool is_export(struct heap *h, uint32_t edge, uint32_t *ret_table, uint32_t *ret_name)
{
    struct err ignored = ERR_NONE;
    struct buf text = buf_new(NAMING_BYTES);
    uint32_t source = heap_edge_source(h, edge);
    const struct heap_columns *c = heap_columns(h);
    bool is = heap_edge_kind(c->edge[edge]) == HEAP_INTERNAL && c->kind[source] == HEAP_HIDDEN &&
              heap_add_string(h, c->name[source], &text) == 0 && text.length &&
              naming_text_is(&text, "system / Cell");
    buf_free(&text);
    return is && find_export(h, source, ret_table, ret_name, &ignored);
}

int naming_edge(struct heap *h, uint32_t edge, struct buf *out)
{
    uint32_t table, name;
    if (!is_export(h, edge, &table, &name))
        return edge_text(h, edge, out);
    buf_clear(out);
    int rc = heap_add_node_name(h, name, out);
    return rc == 0 || rc == ERR_FULL ? buf_reserve(out, 1) : rc;
}

uint32_t naming_module(struct heap *h, uint32_t edge)
{
    uint32_t table, name, count;
    const uint32_t *edges;
    struct err ignored = ERR_NONE;
    if (!is_export(h, edge, &table, &name) ||
        heap_incoming(h, table, &edges, &count, &ignored) != 0)
        return HEAP_NONE;
    return count ? heap_edge_source(h, edges[0]) : HEAP_NONE;
}

int naming_file(struct heap *h, uint32_t object, struct buf *out)
{
    const uint32_t *edges;
    uint32_t count;
    struct err ignored = ERR_NONE;
    buf_clear(out);
    int rc = heap_incoming(h, object, &edges, &count, &ignored);
    for (uint32_t i = 0; rc == 0 && i < count && i < IN_EDGES; i++) {
        uint32_t module = heap_edge_source(h, edges[i]);
        if (strcmp(naming_class(h, module), "Module") != 0 ||
            (rc = edge_text(h, edges[i], out)) != 0 || !naming_text_is(out, "exports"))
            continue;
        uint32_t name = naming_property(h, module, "filename");
        buf_clear(out);
        if (name != HEAP_NONE && is_string(h, name))
            return heap_add_node_name(h, name, out) == ERR_NOMEM ? ERR_NOMEM : 0;
    }
    buf_clear(out);
    return rc;
}

/* ---- keys ---- */

int naming_key(struct heap *h, uint32_t edge, struct buf *out)
{
    const struct heap_columns *c = heap_columns(h);
    uint32_t table = heap_edge_source(h, edge);
    uint32_t number = c->kind[table] == HEAP_ARRAY ? number_of(h, edge) : HEAP_NONE;
    buf_clear(out);
    if (number == HEAP_NONE || number == 0)
        return 0;
    uint32_t key = target_of_number(h, table, number - 1);
    if (key == HEAP_NONE || !is_string(h, key))
        return 0;
    int rc = heap_add_node_name(h, key, out);
    return rc == ERR_FULL ? 0 : rc;
}

/* ---- which edge ---- */

uint32_t naming_property(struct heap *h, uint32_t node, const char *name)
{
    const struct heap_columns *c = heap_columns(h);
    struct buf text = buf_new(NAMING_BYTES);
    uint32_t found = HEAP_NONE;
    for (uint32_t k = c->first_edge[node]; k < c->first_edge[node + 1] && found == HEAP_NONE; k++) {
        enum heap_edge_kind kind = heap_edge_kind(c->edge[k]);
        if ((kind == HEAP_PROPERTY || kind == HEAP_INTERNAL) && edge_text(h, k, &text) == 0 &&
            naming_text_is(&text, name))
            found = heap_edge_to(c->edge[k]);
    }
    buf_free(&text);
    return found;
}

static enum naming_worth worth_of(struct heap *h, uint32_t edge, struct buf *text)
{
    static const char *const back_links[] = {"prev", "previous", "_prev", "_idlePrev"};
    enum heap_edge_kind kind = heap_edge_kind(heap_columns(h)->edge[edge]);
    uint32_t table, name;
    if (kind == HEAP_WEAK || kind == HEAP_SHORTCUT)
        return NAMING_NOTHING;
    if (kind == HEAP_ELEMENT)
        return NAMING_ELEMENT;
    if (kind != HEAP_CONTEXT && kind != HEAP_PROPERTY)
        return is_export(h, edge, &table, &name) ? NAMING_NAME : NAMING_INSIDE;
    if (edge_text(h, edge, text) != 0 || text->length == 0 || text->data[0] == '.' ||
        naming_text_is(text, "__proto__") || naming_text_is(text, "constructor") ||
        naming_text_is(text, "this"))
        return NAMING_INSIDE;
    for (size_t i = 0; i < sizeof back_links / sizeof *back_links; i++)
        if (naming_text_is(text, back_links[i])) /* a list is known by its head */
            return NAMING_INSIDE;
    return text->data[0] == '#' ? NAMING_PRIVATE : NAMING_NAME;
}

static bool is_plain(const struct heap *h, uint32_t node)
{
    const char *class = naming_class(h, node);
    return strcmp(class, "Object") == 0 || class[0] == '{';
}

/* What was there before; what is the program's, not a package's or the runtime's; what is nearer to
 * the roots. */
static bool source_is_better(struct heap *h, const uint8_t *born, uint32_t a, uint32_t b)
{
    const struct heap_columns *c = heap_columns(h);
    if (b == HEAP_NONE || (born[a] == 0) != (born[b] == 0))
        return b == HEAP_NONE || born[a] == 0;
    enum place_side x = place_side(h, a), y = place_side(h, b);
    if (x != y)
        return x < y;
    bool p = frontier_rank(h, a) == FRONTIER_CONTEXT, q = frontier_rank(h, b) == FRONTIER_CONTEXT;
    if (p != q && is_plain(h, p ? b : a)) /* an entry of an object that has no class */
        return p;
    if (c->distance[a] != c->distance[b])
        return c->distance[b] < 0 || (c->distance[a] >= 0 && c->distance[a] < c->distance[b]);
    return a < b;
}

/* Where a file exports the node, its variable there is the one that declares it, and not one of
 * those who require it. */
static int prefer_exporter(struct heap *h, const uint32_t *edges, uint32_t count, uint32_t *edge)
{
    const struct heap_columns *c = heap_columns(h);
    struct buf file = buf_new(NAMING_BYTES);
    uint32_t exported = HEAP_NONE;
    int rc = 0;
    if (heap_edge_kind(c->edge[*edge]) != HEAP_CONTEXT)
        return 0;
    for (uint32_t i = 0; rc == 0 && i < count && i < IN_EDGES && !file.length; i++) {
        uint32_t from = heap_edge_source(h, edges[i]);
        if (heap_edge_kind(c->edge[edges[i]]) == HEAP_PROPERTY && is_plain(h, from) &&
            (rc = naming_file(h, from, &file)) == 0 && file.length)
            exported = edges[i];
    }
    if (exported != HEAP_NONE && !place_is_in(h, heap_edge_source(h, *edge), file.data))
        *edge = exported;
    for (uint32_t i = 0; *edge == exported && exported != HEAP_NONE && i < count && i < IN_EDGES;
         i++)
        if (heap_edge_kind(c->edge[edges[i]]) == HEAP_CONTEXT &&
            place_is_in(h, heap_edge_source(h, edges[i]), file.data))
            *edge = edges[i];
    buf_free(&file);
    return rc;
}

int naming_find(struct heap *h, const uint8_t *born, uint32_t node, uint32_t *ret_edge,
    enum naming_worth *ret_worth, struct err *e)
{
    const uint32_t *edges;
    uint32_t count, source = HEAP_NONE;
    struct buf text = buf_new(NAMING_BYTES);
    *ret_edge = HEAP_NONE;
    *ret_worth = NAMING_NOTHING;
    int rc = heap_incoming(h, node, &edges, &count, e);
    for (uint32_t i = 0; rc == 0 && i < count && i < IN_EDGES; i++) {
        uint32_t from = heap_edge_source(h, edges[i]);
        if (from == node || from == heap_columns(h)->root)
            continue;
        enum naming_worth worth = worth_of(h, edges[i], &text);
        if (worth < *ret_worth || worth == NAMING_NOTHING)
            continue;
        if (worth == *ret_worth && !source_is_better(h, born, from, source))
            continue;
        *ret_worth = worth;
        *ret_edge = edges[i];
        source = from;
    }
    if (rc == 0 && *ret_edge != HEAP_NONE && prefer_exporter(h, edges, count, ret_edge) != 0)
        rc = err_set(e, ERR_NOMEM, "out of memory for the name of a holder");
    buf_free(&text);
    return rc;
}
