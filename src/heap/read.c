/* The file's top level: finds the sections, in whatever order they come, and fills the columns. */
#include "base/array.h"
#include "base/clock.h"
#include "heap/cursor.h"
#include "heap/scan.h"

#include <stdlib.h>
#include <string.h>

/* ---- nodes ---- */

#define SELF_MAX (UINT64_C(1) << 53) /* what a JavaScript number holds exactly */

static bool nodes_take(
    struct heap *h, uint64_t row, const uint32_t *values, size_t rows, int thread)
{
    const struct layout *l = &h->layout;
    uint32_t width = l->node_fields, most_type = 0;
    (void)thread;
    for (size_t i = 0; i < rows; i++) {
        uint32_t type = values[i * width + (uint32_t)l->type];
        most_type = type > most_type ? type : most_type;
        h->kind[row + i] = l->kind_of[type & 0xff];
    }
    for (size_t i = 0; i < rows; i++)
        h->name[row + i] = values[i * width + (uint32_t)l->name];
    for (size_t i = 0; i < rows; i++)
        h->id[row + i] = values[i * width + (uint32_t)l->id];
    for (size_t i = 0; i < rows; i++)
        h->self[row + i] = values[i * width + (uint32_t)l->self];
    for (size_t i = 0; i < rows; i++)
        h->first_edge[row + i] = values[i * width + (uint32_t)l->edges];
    if (h->detachedness)
        for (size_t i = 0; i < rows; i++)
            h->detachedness[row + i] = (uint8_t)values[i * width + (uint32_t)l->detachedness];
    if (h->trace)
        for (size_t i = 0; i < rows; i++)
            h->trace[row + i] = values[i * width + (uint32_t)l->trace];
    return most_type < l->node_types;
}

static const char *nodes_fault(const struct heap *h, uint32_t field, uint64_t value)
{
    const struct layout *l = &h->layout;
    if ((int)field == l->type && value >= l->node_types)
        return "is not a node type that the header names";
    if (value > ((int)field == l->self ? SELF_MAX : UINT32_MAX))
        return "is too large a number";
    return NULL;
}

/* Turns the edge counts into first_edge; ERR_FORMAT if they do not add up. */
static int nodes_sum(struct heap *h, uint64_t position, struct err *e)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < h->nodes; i++) {
        uint32_t count = h->first_edge[i];
        h->first_edge[i] = sum > h->layout.edge_count ? h->layout.edge_count : (uint32_t)sum;
        sum += count;
    }
    h->first_edge[h->nodes] = sum > h->layout.edge_count ? h->layout.edge_count : (uint32_t)sum;
    if (sum != h->layout.edge_count && !h->damage)
        return source_bad(&h->source, position, e,
            "the nodes say that they have %llu edges, but the header says %u",
            (unsigned long long)sum, h->layout.edge_count);
    return 0;
}

/* ---- edges ---- */

struct reading {
    struct heap *heap;
    const struct numbers *numbers;
    struct cursor cursor;
    uint64_t nodes_end;
    bool have_header, have_nodes, have_edges, have_strings;
};

static bool edges_take(
    struct heap *h, uint64_t row, const uint32_t *values, size_t rows, int thread)
{
    const struct layout *l = &h->layout;
    const struct numbers *numbers = h->scan.numbers;
    uint32_t *most = &h->scan.most_name[thread];
    if (l->edges_as_written && l->edge_fields == 3 && l->edge_type == 0 && l->edge_name == 1 &&
        l->edge_to == 2)
        return numbers->edges(values, rows, l->node_fields, h->nodes, l->edge_types, h->edge + row,
                   h->edge_name + row, most) == 0;
    bool good = true;
    for (size_t i = 0; i < rows; i++, values += l->edge_fields) {
        uint32_t type = values[l->edge_type];
        good &= type < l->edge_types;
        uint32_t one[3] = {l->edge_kind_of[type & 0xff], values[l->edge_name], values[l->edge_to]};
        good &= numbers->edges(one, 1, l->node_fields, h->nodes, HEAP_OTHER_EDGE + 1,
                    h->edge + row + i, h->edge_name + row + i, most) == 0;
    }
    return good;
}

static const char *edges_fault(const struct heap *h, uint32_t field, uint64_t value)
{
    const struct layout *l = &h->layout;
    if ((int)field == l->edge_type && value >= l->edge_types)
        return "is not an edge type that the header names";
    if ((int)field == l->edge_to && value % l->node_fields)
        return "is not the index of a node";
    if ((int)field == l->edge_to && value / l->node_fields >= h->nodes)
        return "is the index of a node behind the last";
    return value > UINT32_MAX ? "is too large a number" : NULL;
}

/* ---- locations ---- */

#define PLACES_MAX (UINT32_C(1) << 28)

static bool places_take(
    struct heap *h, uint64_t row, const uint32_t *values, size_t rows, int thread)
{
    const struct layout *l = &h->layout;
    (void)thread;
    (void)row;
    if (h->place_count + rows > PLACES_MAX ||
        !array_grow(&h->places, &h->scan.place_capacity, h->place_count + rows))
        return false;
    for (size_t i = 0; i < rows; i++, values += l->location_fields) {
        uint32_t node = values[l->location_object];
        if (node % l->node_fields || node / l->node_fields >= h->layout.node_count)
            return false;
        h->places[h->place_count++] = (struct place){node / l->node_fields,
            values[l->location_script], values[l->location_line], values[l->location_column]};
    }
    return true;
}

static const char *places_fault(const struct heap *h, uint32_t field, uint64_t value)
{
    const struct layout *l = &h->layout;
    if ((int)field == l->location_object &&
        (value % l->node_fields || value / l->node_fields >= h->layout.node_count))
        return "is not the index of a node";
    return value > UINT32_MAX ? "is too large a number" : NULL;
}

/* ---- the sections ---- */

static int columns_reserve(struct heap *h, struct err *e)
{
    const struct layout *l = &h->layout;
    size_t n = l->node_count;
    h->kind = column_new(h->pool, n, 1);
    h->detachedness = l->detachedness >= 0 ? column_new(h->pool, n, 1) : NULL;
    h->trace = l->trace >= 0 && h->options.traces ? column_new(h->pool, n, 4) : NULL;
    h->name = column_new(h->pool, n, 4);
    h->id = column_new(h->pool, n, 4);
    h->self = column_new(h->pool, n, 4);
    h->first_edge = column_new(h->pool, n + 1, 4);
    h->edge = column_new(h->pool, l->edge_count, 4);
    h->edge_name = column_new(h->pool, l->edge_count, 4);
    if (!h->kind || !h->name || !h->id || !h->self || !h->first_edge || !h->edge || !h->edge_name ||
        (l->detachedness >= 0 && !h->detachedness) ||
        (l->trace >= 0 && h->options.traces && !h->trace))
        return err_set(e, ERR_NOMEM, "%s: no memory for %u nodes and %u edges", h->source.name,
            l->node_count, l->edge_count);
    return 0;
}

static int heap_note_damage(struct heap *h, const char *what, struct err *e)
{
    if (h->damage)
        return 0;
    h->damage = strdup(what);
    return h->damage ? 0 : err_set(e, ERR_NOMEM, "%s: out of memory", h->source.name);
}

static int read_header(struct reading *rd, struct err *e)
{
    struct heap *h = rd->heap;
    struct buf text = buf_new(HEADER_MAX);
    uint64_t position = rd->cursor.at;
    int r = cursor_skip(&rd->cursor, &text, e);
    if (r == 0)
        r = layout_read(&h->layout, &h->source, text.data, text.length, position, e);
    if (r == 0) {
        h->root = h->layout.root_index;
        r = columns_reserve(h, e);
    }
    buf_free(&text);
    rd->have_header = r == 0;
    return r;
}

static int read_nodes(struct reading *rd, uint64_t from, uint64_t *ret_end, struct err *e)
{
    struct heap *h = rd->heap;
    const struct rows spec = {
        "nodes", h->layout.node_fields, h->layout.node_count, nodes_take, nodes_fault, false};
    uint64_t rows;
    bool whole;
    int r = rows_read(h, &spec, rd->numbers, from, &rows, ret_end, &whole, e);
    if (r < 0)
        return r;
    h->nodes = (uint32_t)rows;
    if (!whole && (r = heap_note_damage(h, "the file ends within its nodes", e)) < 0)
        return r;
    if (h->root >= h->nodes)
        return source_bad(&h->source, *ret_end, e, "the file ends before its root node");
    rd->nodes_end = *ret_end;
    rd->have_nodes = true;
    return 0;
}

static int read_edges(struct reading *rd, uint64_t from, uint64_t *ret_end, struct err *e)
{
    struct heap *h = rd->heap;
    if (!rd->have_nodes)
        return source_bad(&h->source, from, e, "\"edges\" come before \"nodes\"");
    const struct rows spec = {
        "edges", h->layout.edge_fields, h->layout.edge_count, edges_take, edges_fault, false};
    uint64_t rows;
    bool whole;
    int r = rows_read(h, &spec, rd->numbers, from, &rows, ret_end, &whole, e);
    if (r < 0)
        return r;
    h->layout.edge_count = (uint32_t)rows;
    if (!whole && (r = heap_note_damage(h, "the file ends within its edges", e)) < 0)
        return r;
    rd->have_edges = true;
    return nodes_sum(h, rd->nodes_end, e);
}

static int read_places(struct reading *rd, uint64_t from, uint64_t *ret_end, struct err *e)
{
    struct heap *h = rd->heap;
    if (h->layout.location_fields == 0) {
        rd->cursor.at = from - 1;
        int r = cursor_skip(&rd->cursor, NULL, e);
        *ret_end = rd->cursor.at - 1;
        return r;
    }
    const struct rows spec = {
        "locations", h->layout.location_fields, UINT64_MAX, places_take, places_fault, true};
    uint64_t rows;
    bool whole;
    int r = rows_read(h, &spec, rd->numbers, from, &rows, ret_end, &whole, e);
    if (r == 0 && !whole)
        r = heap_note_damage(h, "the file ends within its locations", e);
    return r;
}

/* Where the arrays of a timeline begin; allocations_from_heap reads them. */
static void note_timeline(struct heap *h, const char *key, struct cursor *c, struct err *e)
{
    uint64_t *at = strcmp(key, "samples") == 0                ? &h->samples.at
                   : strcmp(key, "trace_function_infos") == 0 ? &h->trace_infos.at
                   : strcmp(key, "trace_tree") == 0           ? &h->trace_tree.at
                                                              : NULL;
    if (at && cursor_token(c, e) == '[')
        *at = c->at;
}

/* One key and its value. */
static int read_section(struct reading *rd, struct err *e)
{
    static const char *const arrays[] = {"nodes", "edges", "locations", "strings"};
    struct heap *h = rd->heap;
    struct cursor *c = &rd->cursor;
    char key[CURSOR_KEY_MAX];
    uint64_t end = 0;
    size_t which = 0;
    int r = cursor_key(c, key, e);
    if (r < 0)
        return r;
    if (strcmp(key, "snapshot") == 0) {
        if (rd->have_header)
            return source_bad(c->source, c->at, e, "a second \"snapshot\"");
        return read_header(rd, e);
    }
    while (which < COUNT_OF(arrays) && strcmp(key, arrays[which]) != 0)
        which++;
    if (which == COUNT_OF(arrays)) {
        note_timeline(h, key, c, e);
        return cursor_skip(c, NULL, e);
    }
    if (!rd->have_header)
        return source_bad(c->source, c->at, e,
            "\"%s\" before the \"snapshot\" header: this is no heap snapshot", key);
    if ((r = cursor_expect(c, '[', e)) < 0)
        return r;
    if ((which == 0 && rd->have_nodes) || (which == 1 && rd->have_edges) ||
        (which == 2 && h->places) || (which == 3 && rd->have_strings))
        return source_bad(c->source, c->at, e, "a second \"%s\"", key);
    int64_t begun = clock_monotonic_us();
    switch (which) {
    case 0: r = read_nodes(rd, c->at, &end, e); break;
    case 1: r = read_edges(rd, c->at, &end, e); break;
    case 2: r = read_places(rd, c->at, &end, e); break;
    default: r = strings_read(h, rd->numbers, c->at, &end, e); rd->have_strings = r == 0;
    }
    static const enum heap_time time_of[] = {
        HEAP_TIME_NODES, HEAP_TIME_EDGES, HEAP_TIME_EDGES, HEAP_TIME_STRINGS};
    h->phase_us[time_of[which]] += clock_monotonic_us() - begun;
    c->at = end < h->source.size ? end + 1 : end;
    return r;
}

/* The end of a damaged file stands for all that is missing. */
static int read_rest(struct reading *rd, struct err *e)
{
    struct heap *h = rd->heap;
    const char *missing = !rd->have_nodes     ? "nodes"
                          : !rd->have_edges   ? "edges"
                          : !rd->have_strings ? "strings"
                                              : NULL;
    if (!missing)
        return 0;
    if (!h->options.partial || !rd->have_nodes)
        return source_bad(&h->source, h->source.size, e, "the file has no \"%s\"", missing);
    int r = heap_note_damage(h,
        rd->have_edges ? "the file ends before its strings" : "the file ends before its edges", e);
    if (r == 0 && !rd->have_edges) {
        h->layout.edge_count = 0;
        r = nodes_sum(h, rd->nodes_end, e);
    }
    return r;
}

/* Names beyond the strings there are: an error, said with the place where one is used. */
static int check_names(struct reading *rd, struct err *e)
{
    struct heap *h = rd->heap;
    uint32_t most =
        h->scan.most_name[0] > h->scan.most_name[1] ? h->scan.most_name[0] : h->scan.most_name[1];
    for (uint32_t i = 0; i < h->nodes; i++)
        most = h->name[i] > most ? h->name[i] : most;
    if (most < h->strings.count || h->damage)
        return 0;
    return source_bad(&h->source, h->strings.end, e,
        "a node or edge has string %u for a name, but there are only %u strings", most,
        h->strings.count);
}

int heap_read(struct heap *h, struct err *e)
{
    struct reading *rd = calloc(1, sizeof *rd); /* too large for a stack: it holds the block */
    if (!rd)
        return err_set(e, ERR_NOMEM, "%s: out of memory", h->source.name);
    rd->heap = h;
    rd->numbers = h->scan.numbers = numbers_for(h->options.instructions);
    rd->cursor.source = &h->source;
    int r = cursor_expect(&rd->cursor, '{', e);
    while (r == 0) {
        if ((r = read_section(rd, e)) < 0)
            break;
        if (h->damage)
            break;
        int b = cursor_token(&rd->cursor, e);
        if (b == '}') {
            rd->cursor.at++;
            b = cursor_token(&rd->cursor, e);
            if (b != CURSOR_END)
                r = b < CURSOR_END ? cursor_error(b)
                                   : source_bad(&h->source, rd->cursor.at, e,
                                         "something stands behind the end of the snapshot");
            break;
        }
        r = cursor_expect(&rd->cursor, ',', e);
    }
    if (r == ERR_FORMAT && h->options.partial && rd->cursor.at >= h->source.size && rd->have_nodes)
        r = heap_note_damage(h, "the file ends too early", e);
    if (r == 0)
        r = read_rest(rd, e);
    if (r == 0)
        r = check_names(rd, e);
    h->edges = h->layout.edge_count;
    free(rd);
    return r;
}
