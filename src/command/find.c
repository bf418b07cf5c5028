/* find FILE: objects by class or by name. */
#include "command/heapfile.h"

#include <stdlib.h>
#include <string.h>

#include "show/json.h"

#define ROWS 50 /* of the table on a terminal; --top changes it */

struct finding {
    struct heap *heap;
    regex_t class, name;
    bool by_class, by_name;
    bool *class_match; /* by class */
    uint32_t *nodes;
    size_t count;
};

static int find_nodes(struct finding *f, struct err *e)
{
    const struct heap_columns *c = heap_columns(f->heap);
    const struct heap_class *classes;
    uint32_t count = heap_classes(f->heap, &classes);
    struct buf name = buf_new(UINT32_MAX);
    f->class_match = calloc((size_t)count + 1, sizeof *f->class_match);
    f->nodes = calloc((size_t)c->node_count + 1, sizeof *f->nodes);
    if (!f->class_match || !f->nodes)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < count; i++)
        f->class_match[i] = !f->by_class || regexec(&f->class, classes[i].name, 0, NULL, 0) == 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (c->self[i] == 0 || c->class_of[i] >= count || !f->class_match[c->class_of[i]])
            continue; /* nodes without size are in no class, as in DevTools' search */
        if (f->by_name) {
            buf_clear(&name);
            if (heap_add_node_name(f->heap, i, &name) < 0) {
                buf_free(&name);
                return err_set(e, ERR_NOMEM, "out of memory for a name");
            }
            if (regexec(&f->name, name.data ? name.data : "", 0, NULL, 0) != 0)
                continue;
        }
        f->nodes[f->count++] = i;
    }
    buf_free(&name);
    return 0;
}

static int by_retained(const void *a, const void *b, void *arg)
{
    const struct heap_columns *c = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (c->retained[x] != c->retained[y])
        return c->retained[x] > c->retained[y] ? -1 : 1;
    return (x > y) - (x < y);
}

static int print_found(const struct show_out *o, const struct finding *f, size_t top, struct err *e)
{
    static const struct show_column columns[] = {{"NAME", "name", SHOW_NAME, 0},
        {"ID", "id", SHOW_ID, 0}, {"CLASS", "class", SHOW_NAME, 0}, {"KIND", "kind", SHOW_WORD, 0},
        {"DISTANCE", "distance", SHOW_COUNT, 0}, {"SELF", "self_size", SHOW_SIZE, 0},
        {"RETAINED", "retained_size", SHOW_SIZE, 0}};
    const struct heap_columns *c = heap_columns(f->heap);
    const struct heap_class *classes;
    (void)heap_classes(f->heap, &classes);
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < f->count && i < top; i++) {
        uint32_t node = f->nodes[i];
        heapfile_add_name(t, o, f->heap, node);
        show_add_integer(t, c->id[node]);
        show_add_word(t, classes[c->class_of[node]].name);
        show_add_word(t, heap_kind_name(f->heap, c->kind[node]));
        if (c->distance[node] < 0 || c->distance[node] >= HEAP_DISTANCE_SYSTEM)
            show_add_none(t);
        else
            show_add_integer(t, c->distance[node]);
        show_add_integer(t, c->self[node]);
        show_add_integer(t, (int64_t)c->retained[node]);
    }
    int r;
    if (o->format == SHOW_JSON) {
        int rc = 0;
        cJSON *rows = NULL, *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.find/1", &rc);
        show_json_integer(root, "found", (int64_t)f->count, &rc);
        r = show_table_json(t, &rows, e);
        if (r == 0) {
            show_json_add(root, "objects", rows, &rc);
            r = show_json(o, root, rc, e);
        } else {
            cJSON_Delete(root);
        }
    } else {
        r = show_table(o, t, e);
        if (r == 0)
            heapfile_end(o, f->count, f->count > top ? f->count - top : 0,
                "no object of this snapshot is of that kind");
    }
    show_table_free(t);
    return r;
}

static int run(const struct invocation *in, struct err *e)
{
    struct finding f = {0};
    struct show_out out;
    int r = sink_of(in, &out, e);
    if (r == 0)
        r = heapfile_pattern(in, SET_CLASS, &f.class, &f.by_class, e);
    if (r == 0)
        r = heapfile_pattern(in, SET_NAME, &f.name, &f.by_name, e);
    if (r == 0 && !f.by_class && !f.by_name)
        r = err_set(e, ERR_USAGE, "say what to look for: --class RE, --name RE");
    if (r == 0)
        r = reading_open(in, in->words[0], &f.heap, e);
    if (r == 0)
        r = find_nodes(&f, e);
    if (r == 0) {
        const struct heap_columns *c = heap_columns(f.heap);
        qsort_r(f.nodes, f.count, sizeof *f.nodes, by_retained, (void *)(uintptr_t)c);
        r = print_found(&out, &f, heapfile_top(in, &out, ROWS), e);
    }
    if (r == 0)
        r = show_out_finish(&out, e);
    if (f.by_class)
        regfree(&f.class);
    if (f.by_name)
        regfree(&f.name);
    free(f.class_match);
    free(f.nodes);
    reading_close(in, f.heap);
    return r;
}

static const enum setting_id accepted[] = {
    SET_CLASS, SET_NAME, SET_TOP, SET_CSV, SET_PARTIAL, SET_END};

const struct command command_find_objects = {
    .name = "find",
    .arguments = "FILE",
    .summary = "objects by class or name",
    .examples = "  heaptap find --class '^Session$' server.heapsnapshot\n"
                "  heaptap find --name 'https?://' --top 100 server.heapsnapshot\n",
    .details = "Patterns are extended regular expressions. Largest retained size first.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
