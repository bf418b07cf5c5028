/* retainers FILE @ID: who holds an object, and the shortest way to it; or all of a class. */
#include "command/heapfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "show/fill.h"
#include "show/json.h"

#define ROWS        20 /* of a table on a terminal; --top changes it */
#define PATH_BYTES  (8u << 20)
#define PATH_INDENT 2

/* "/srv/shop.js:12:3", or "script 47:12:3" where the file does not tell its name; nothing without a
 * location. 1-based, as everywhere in what is shown. */
static int add_location(struct heap *h, uint32_t node, struct buf *out, struct err *e)
{
    struct heap_location l;
    if (!heap_find_location(h, node, &l))
        return 0;
    int r = heap_add_script_url(h, l.script_id, out, e);
    if (r == 0 && out->length == 0)
        r = buf_addf(out, "script %u", l.script_id);
    if (r == 0)
        r = buf_addf(out, ":%u:%u", l.line + 1, l.column + 1);
    return r < 0 ? err_set(e, r, "out of memory for a location") : 0;
}

static void json_node(cJSON *to, struct heap *h, uint32_t node, int *rc)
{
    const struct heap_columns *c = heap_columns(h);
    const struct heap_class *classes;
    struct buf name = buf_new(PATH_BYTES), where = buf_new(PATH_BYTES);
    struct err ignored;
    (void)heap_classes(h, &classes);
    if (heap_add_node_name(h, node, &name) < 0)
        buf_clear(&name);
    show_json_integer(to, "id", c->id[node], rc);
    show_json_text(to, "name", name.data ? name.data : "", name.length, rc);
    show_json_word(to, "class", classes[c->class_of[node]].name, rc);
    show_json_word(to, "kind", heap_kind_name(h, c->kind[node]), rc);
    show_json_integer(to, "distance", c->distance[node], rc);
    show_json_integer(to, "self_size", c->self[node], rc);
    show_json_integer(to, "retained_size", (int64_t)c->retained[node], rc);
    if (add_location(h, node, &where, &ignored) < 0)
        *rc = ERR_NOMEM;
    if (where.length)
        show_json_text(to, "location", where.data, where.length, rc);
    buf_free(&where);
    buf_free(&name);
}

static void json_edge(cJSON *to, const struct heap *h, uint32_t edge, int *rc)
{
    struct buf name = buf_new(PATH_BYTES);
    if (heap_add_edge_name(h, edge, &name) < 0)
        buf_clear(&name);
    show_json_text(to, "edge", name.data ? name.data : "", name.length, rc);
    show_json_word(
        to, "type", heap_edge_kind_name(heap_edge_kind(heap_columns(h)->edge[edge])), rc);
    buf_free(&name);
}

static int print_one_json(const struct show_out *o, struct heap *h, uint32_t node,
    const struct heap_retainer *list, size_t count, size_t total, const struct heap_path *way,
    struct err *e)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.retainers/1", &rc);
    json_node(show_json_object(root, "object", &rc), h, node, &rc);
    show_json_integer(root, "retainer_count", (int64_t)total, &rc);
    cJSON *retainers = show_json_array(root, "retainers", &rc);
    for (size_t i = 0; i < count; i++) {
        cJSON *r = show_json_object(retainers, NULL, &rc);
        json_edge(r, h, list[i].edge, &rc);
        json_node(r, h, list[i].node, &rc);
    }
    cJSON *path = show_json_array(root, "path", &rc);
    for (size_t i = 0; i < way->count; i++) {
        cJSON *s = show_json_object(path, NULL, &rc);
        json_node(s, h, way->steps[i].node, &rc);
        json_edge(s, h, way->steps[i].edge, &rc);
    }
    show_json_integer(root, "path_missing", (int64_t)way->missing, &rc);
    return show_json(o, root, rc, e);
}

static int print_path(
    const struct show_out *o, struct heap *h, const struct heap_path *way, struct err *e)
{
    uint32_t node = way->node;
    struct buf text = buf_new(PATH_BYTES), where = buf_new(PATH_BYTES);
    char self[TEXT_SHORT], retained[TEXT_SHORT];
    const struct heap_columns *c = heap_columns(h);
    int r = heap_add_path(h, way, true, &text);
    if (r < 0)
        r = err_set(e, r, "out of memory for a path");
    if (r == 0)
        r = add_location(h, node, &where, e);
    fprintf(o->file, "@%u, self %s, retains %s%s", c->id[node], text_size(self, c->self[node]),
        text_size(retained, (double)c->retained[node]), where.length ? ", " : "");
    if (r == 0 && where.length)
        r = show_text(o, where.data, where.length, e);
    fputc('\n', o->file);
    if (r == 0)
        r = show_fill(o, text.data ? text.data : "", text.length, 0, PATH_INDENT, e);
    fputc('\n', o->file);
    buf_free(&where);
    buf_free(&text);
    return r;
}

static int print_one_table(const struct show_out *o, struct heap *h,
    const struct heap_retainer *list, size_t count, struct err *e)
{
    static const struct show_column columns[] = {{"HELD BY", "holder", SHOW_NAME, 0},
        {"ID", "id", SHOW_ID, 0}, {"THROUGH", "edge", SHOW_NAME, 0}, {"TYPE", "type", SHOW_WORD, 0},
        {"DISTANCE", "distance", SHOW_COUNT, 0}, {"RETAINS", "retained_size", SHOW_SIZE, 0}};
    const struct heap_columns *c = heap_columns(h);
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        struct buf name = buf_new(PATH_BYTES);
        uint32_t node = list[i].node;
        heapfile_add_name(t, o, h, node);
        show_add_integer(t, c->id[node]);
        if (heap_add_edge_name(h, list[i].edge, &name) < 0)
            buf_clear(&name);
        show_add_text(t, name.data ? name.data : "", name.length);
        buf_free(&name);
        show_add_word(t, heap_edge_kind_name(heap_edge_kind(c->edge[list[i].edge])));
        if (c->distance[node] < 0 || c->distance[node] >= HEAP_DISTANCE_SYSTEM)
            show_add_none(t);
        else
            show_add_integer(t, c->distance[node]);
        show_add_integer(t, (int64_t)c->retained[node]);
    }
    int r = show_table(o, t, e);
    show_table_free(t);
    return r;
}

static int run_one(
    const struct invocation *in, const struct show_out *out, struct heap *h, struct err *e)
{
    struct heap_retainer *list = NULL;
    struct heap_path way = {0};
    size_t count = 0, total = 0;
    uint32_t node;
    int r = heapfile_node(h, in->words[1], &node, e);
    if (r == 0)
        r = heap_retainers(h, node, heapfile_top(in, out, ROWS), &list, &count, &total, e);
    if (r == 0)
        r = heap_path(h, node, &way, e);
    if (r == 0 && out->format == SHOW_JSON) {
        r = print_one_json(out, h, node, list, count, total, &way, e);
    } else if (r == 0) {
        if (out->format == SHOW_TEXT)
            r = print_path(out, h, &way, e);
        if (r == 0)
            r = print_one_table(out, h, list, count, e);
        if (r == 0)
            heapfile_end(out, total, total - count, "nothing holds it");
    }
    free(list);
    heap_path_free(&way);
    return r;
}

/* Nodes with a size of all classes that the pattern names. */
static int class_nodes(
    const struct heap *h, const regex_t *class, uint32_t **ret, size_t *ret_count, struct err *e)
{
    const struct heap_class *classes;
    const struct heap_columns *c = heap_columns(h);
    uint32_t count = heap_classes(h, &classes);
    bool *match = calloc((size_t)count + 1, sizeof *match);
    uint32_t *nodes = calloc((size_t)c->node_count + 1, sizeof *nodes);
    size_t found = 0;
    if (!match || !nodes) {
        free(match);
        free(nodes);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < count; i++)
        match[i] = regexec(class, classes[i].name, 0, NULL, 0) == 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->self[i] && c->class_of[i] < count && match[c->class_of[i]])
            nodes[found++] = i;
    free(match);
    *ret = nodes;
    *ret_count = found;
    return 0;
}

static int print_groups(const struct show_out *o, const struct heap *h,
    const struct heap_path_group *groups, size_t count, size_t hidden, size_t nodes,
    size_t followed, struct err *e)
{
    struct show_table *t = heapfile_paths(h, groups, count, followed);
    int r = 0;
    if (o->format == SHOW_JSON) {
        int rc = 0;
        cJSON *rows = NULL, *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.paths/1", &rc);
        show_json_integer(root, "objects", (int64_t)nodes, &rc);
        show_json_integer(root, "followed", (int64_t)followed, &rc);
        r = show_table_json(t, &rows, e);
        if (r == 0)
            show_json_add(root, "paths", rows, &rc);
        if (r == 0)
            r = show_json(o, root, rc, e);
        else
            cJSON_Delete(root);
    } else {
        r = show_table(o, t, e);
        if (r == 0)
            heapfile_end(o, count, hidden, "");
        if (r == 0 && followed < nodes && o->format == SHOW_TEXT)
            fprintf(o->file, "(every %zuth of %zu objects was followed)\n",
                (nodes + followed - 1) / followed, nodes);
    }
    show_table_free(t);
    return r;
}

static int run_class(const struct invocation *in, const struct show_out *out, struct heap *h,
    const regex_t *class, struct err *e)
{
    struct heap_path_group *groups = NULL;
    uint32_t *nodes = NULL;
    size_t count = 0, group_count = 0, followed = 0;
    int r = class_nodes(h, class, &nodes, &count, e);
    if (r == 0 && count == 0)
        r = err_set(e, ERR_USAGE, "--class %s: no class of this snapshot has such a name",
            settings_text(in->settings, SET_CLASS));
    if (r == 0)
        r = heap_group_paths(h, nodes, count, &groups, &group_count, &followed, e);
    if (r == 0) {
        size_t top = heapfile_top(in, out, ROWS), shown = group_count < top ? group_count : top;
        r = print_groups(out, h, groups, shown, group_count - shown, count, followed, e);
    }
    heap_path_groups_free(groups, group_count);
    free(nodes);
    return r;
}

static int run(const struct invocation *in, struct err *e)
{
    struct heap *h = NULL;
    struct show_out out;
    regex_t class;
    bool by_class = false;
    int r = sink_of(in, &out, e);
    if (r == 0)
        r = heapfile_pattern(in, SET_CLASS, &class, &by_class, e);
    if (r < 0)
        return r;
    if (by_class == (in->word_count == 2))
        r = err_set(e, ERR_USAGE, "name either an object (@ID) or a class (--class RE)");
    if (r == 0)
        r = reading_open(in, in->words[0], &h, e);
    if (r == 0)
        r = by_class ? run_class(in, &out, h, &class, e) : run_one(in, &out, h, e);
    if (r == 0)
        r = show_out_finish(&out, e);
    if (by_class)
        regfree(&class);
    reading_close(in, h);
    return r;
}

static const enum setting_id accepted[] = {SET_TOP, SET_CSV, SET_CLASS, SET_PARTIAL, SET_END};

const struct command command_retainers = {
    .name = "retainers",
    .arguments = "FILE [@ID]",
    .summary = "who holds an object, and the way to it from the roots",
    .examples = "  heaptap retainers server.heapsnapshot @12345\n"
                "  heaptap retainers --class '^Session$' server.heapsnapshot\n",
    .details =
        "The order is that of DevTools' Retainers pane: nearest to the roots first, then by name;\n"
        "weak edges are left out. With --class the shortest paths of all its objects are put\n"
        "together, [] standing for every array index.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 2,
    .run = run,
};
