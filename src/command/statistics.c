/* statistics FILE: what kinds of memory a snapshot holds, as in DevTools' pie chart. */
#include "command/heapfile.h"

#include <string.h>

#include "show/json.h"

static int print_table(const struct show_out *o, const struct heap *h, struct err *e)
{
    static const struct show_column columns[] = {{"PART", "part", SHOW_WORD, 0},
        {"SIZE", "size", SHOW_SIZE, 0}, {"SHARE", "share", SHOW_SHARE, 0}};
    const struct heap_statistics *s = heap_statistics(h);
    uint64_t named = s->code + s->strings + s->js_arrays + s->system + s->native_total;
    const struct {
        const char *name;
        uint64_t size;
    } rows[] = {{"code", s->code}, {"strings", s->strings}, {"JS arrays", s->js_arrays},
        {"typed arrays", s->typed_arrays}, {"system objects", s->system},
        {"other JS objects", s->total > named ? s->total - named : 0},
        {"other native", s->native_total - s->typed_arrays}, {"total", s->total}};
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        show_add_word(t, rows[i].name);
        show_add_integer(t, (int64_t)rows[i].size);
        show_add_number(t, s->total ? (double)rows[i].size / (double)s->total : 0);
    }
    int r = show_table(o, t, e);
    show_table_free(t);
    return r;
}

static int print_json(
    const struct show_out *o, const char *path, const struct heap *h, struct err *e)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.statistics/1", &rc);
    show_json_word(root, "file", path, &rc);
    show_json_integer(root, "nodes", heap_columns(h)->node_count, &rc);
    show_json_integer(root, "edges", heap_columns(h)->edge_count, &rc);
    show_json_integer(root, "strings", heap_string_count(h), &rc);
    show_json_integer(root, "total_size", (int64_t)heap_total_size(h), &rc);
    heapfile_json_statistics(root, h, &rc);
    return show_json(o, root, rc, e);
}

static int run(const struct invocation *in, struct err *e)
{
    struct heap *h = NULL;
    struct show_out out;
    int r = sink_open(in->settings, &out, e);
    if (r == 0)
        r = reading_open(in, in->words[0], &h, e);
    if (r == 0)
        r = out.format == SHOW_JSON ? print_json(&out, in->words[0], h, e)
                                    : print_table(&out, h, e);
    if (r == 0)
        r = show_out_finish(&out, e);
    heap_close(h);
    return r;
}

static const enum setting_id accepted[] = {SET_CSV, SET_PARTIAL, SET_END};

const struct command command_statistics = {
    .name = "statistics",
    .arguments = "FILE",
    .summary = "kinds of memory in a snapshot",
    .examples = "  heaptap statistics server.heapsnapshot\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
