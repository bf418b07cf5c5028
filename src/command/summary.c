/* summary: the classes of a snapshot, as in the Summary view of DevTools. */
#include "command/command.h"

#include "base/text.h"
#include "command/reading.h"
#include "command/sink.h"
#include "heap/heap.h"
#include "show/json.h"
#include "show/table.h"

#include <string.h>

static const struct show_column people_columns[] = {
    {"CLASS", "class", SHOW_NAME, 0},
    {"COUNT", "count", SHOW_COUNT, 0},
    {"DISTANCE", "distance", SHOW_COUNT, 0},
    {"SHALLOW", "self_size", SHOW_SIZE, 0},
    {"", "self_share", SHOW_SHARE, 0},
    {"RETAINED", "retained_size", SHOW_SIZE, 0},
    {"", "retained_share", SHOW_SHARE, 0},
};

static const struct show_column data_columns[] = {
    {"key", "key", SHOW_WORD, 0},
    {"class", "class", SHOW_NAME, 0},
    {"count", "count", SHOW_COUNT, 0},
    {"self_size", "self_size", SHOW_COUNT, 0},
    {"retained_size", "retained_size", SHOW_COUNT, 0},
    {"distance", "distance", SHOW_COUNT, 0},
};

/* DevTools shows "-" for what only the roots themselves or nothing leads to. */
static void add_distance(struct show_table *t, int32_t distance)
{
    if (distance < 0 || distance >= HEAP_DISTANCE_SYSTEM)
        show_add_none(t);
    else
        show_add_integer(t, distance);
}

static void add_for_people(struct show_table *t, const struct heap_class *c, double total)
{
    show_add_text(t, c->name, c->name_length);
    show_add_integer(t, c->count);
    add_distance(t, c->distance);
    show_add_integer(t, (int64_t)c->self_size);
    show_add_number(t, total > 0 ? (double)c->self_size / total : 0);
    show_add_integer(t, (int64_t)c->retained_size);
    show_add_number(t, total > 0 ? (double)c->retained_size / total : 0);
}

static void add_as_data(struct show_table *t, const struct heap_class *c)
{
    show_add_word(t, c->key);
    show_add_text(t, c->name, c->name_length);
    show_add_integer(t, c->count);
    show_add_integer(t, (int64_t)c->self_size);
    show_add_integer(t, (int64_t)c->retained_size);
    show_add_integer(t, c->distance);
}

static struct show_table *make_table(const struct heap *h, const struct show_out *out, int64_t top)
{
    const struct heap_class *classes;
    uint32_t count = heap_classes(h, &classes);
    bool people = out->format == SHOW_TEXT;
    struct show_table *t =
        people ? show_table_new(people_columns, 7) : show_table_new(data_columns, 6);
    for (uint32_t i = 0; i < count && (top == 0 || i < top); i++) {
        if (people)
            add_for_people(t, &classes[i], (double)heap_total_size(h));
        else
            add_as_data(t, &classes[i]);
    }
    return t;
}

static void add_statistics(cJSON *to, const struct heap *h, int *rc)
{
    const struct heap_statistics *s = heap_statistics(h);
    cJSON *o = show_json_object(to, "statistics", rc);
    show_json_integer(o, "total", (int64_t)s->total, rc);
    show_json_integer(o, "native_total", (int64_t)s->native_total, rc);
    show_json_integer(o, "typed_arrays", (int64_t)s->typed_arrays, rc);
    show_json_integer(o, "v8_total", (int64_t)s->v8_total, rc);
    show_json_integer(o, "code", (int64_t)s->code, rc);
    show_json_integer(o, "js_arrays", (int64_t)s->js_arrays, rc);
    show_json_integer(o, "strings", (int64_t)s->strings, rc);
    show_json_integer(o, "system", (int64_t)s->system, rc);
}

static int print_json(const struct show_out *out, const char *path, const struct heap *h,
    const struct show_table *t, struct err *e)
{
    cJSON *rows = NULL;
    int rc = show_table_json(t, &rows, e);
    if (rc)
        return rc;
    const struct heap_columns *c = heap_columns(h);
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.summary/1", &rc);
    show_json_word(root, "file", path, &rc);
    show_json_integer(root, "nodes", c->node_count, &rc);
    show_json_integer(root, "edges", c->edge_count, &rc);
    show_json_integer(root, "total_size", (int64_t)heap_total_size(h), &rc);
    add_statistics(root, h, &rc);
    show_json_add(root, "classes", rows, &rc);
    return show_json(out, root, rc, e);
}

static int print_text(
    const struct show_out *out, const struct heap *h, const struct show_table *t, struct err *e)
{
    char nodes[TEXT_SHORT], edges[TEXT_SHORT], size[TEXT_SHORT], classes[TEXT_SHORT];
    const struct heap_class *all;
    const struct heap_columns *c = heap_columns(h);
    if (out->format == SHOW_TEXT)
        fprintf(out->file, "%s in %s nodes, %s edges, %s classes\n",
            text_size(size, (double)heap_total_size(h)), text_count(nodes, c->node_count),
            text_count(edges, c->edge_count), text_count(classes, heap_classes(h, &all)));
    return show_table(out, t, e);
}

#define TOP_ON_A_TERMINAL 30

static int run(const struct invocation *in, struct err *e)
{
    struct show_out out;
    struct heap *h = NULL;
    struct show_table *t = NULL;
    int rc = sink_open(in->settings, &out, e);
    if (rc == 0)
        rc = reading_open(in, in->words[0], &h, e);
    if (rc)
        goto out;
    int64_t top = settings_number(in->settings, SET_TOP);
    if (top == 0 && out.tty && out.format == SHOW_TEXT)
        top = TOP_ON_A_TERMINAL;
    t = make_table(h, &out, top);
    rc = out.format == SHOW_JSON ? print_json(&out, in->words[0], h, t, e)
                                 : print_text(&out, h, t, e);
    if (rc == 0)
        rc = show_out_finish(&out, e);
out:
    show_table_free(t);
    heap_close(h);
    return rc;
}

static const enum setting_id accepted[] = {SET_TOP, SET_CSV, SET_END};

const struct command command_summary = {
    .name = "summary",
    .arguments = "FILE",
    .summary = "the classes of a snapshot: count, shallow and retained size",
    .examples = "  heaptap summary heap.heapsnapshot\n"
                "  heaptap summary heap.heapsnapshot.zst --top 10\n"
                "  heaptap summary --json heap.heapsnapshot | jq '.classes[0]'\n",
    .details =
        "FILE may be compressed (.zst, .gz), or - for standard input. On a terminal the first\n"
        "30 classes are shown; --top changes that.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
