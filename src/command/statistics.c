/* statistics FILE: what kinds of memory a snapshot holds, as in DevTools' pie chart. */
#include "command/heapfile.h"

#include <stdlib.h>
#include <string.h>

#include "show/json.h"

/* Native contexts, where there is more than one: a page's frames, or contexts of node:vm. */
static int read_realms(const struct heap *h, struct heap_realms *ret, struct err *e)
{
    uint32_t *of;
    int r = heap_realms(h, &of, e);
    if (r == 0) {
        r = heap_realm_sizes(h, of, ret, e);
        free(of);
    }
    return r;
}

static int print_realms(
    const struct show_out *o, const struct heap *h, const struct heap_realms *realms, struct err *e)
{
    static const struct show_column columns[] = {{"NATIVE CONTEXT", "name", SHOW_NAME, 0},
        {"ID", "id", SHOW_ID, 0}, {"ATTRIBUTED", "attributed_size", SHOW_SIZE, 0},
        {"RETAINED", "retained_size", SHOW_SIZE, 0}};
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < realms->count; i++) {
        heapfile_add_name(t, o, h, realms->list[i].node);
        show_add_integer(t, heap_columns(h)->id[realms->list[i].node]);
        show_add_integer(t, (int64_t)realms->list[i].attributed);
        show_add_integer(t, (int64_t)heap_columns(h)->retained[realms->list[i].node]);
    }
    const struct {
        const char *name;
        uint64_t size;
    } rest[] = {{"(several)", realms->shared}, {"(none)", realms->none}};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        show_add_word(t, rest[i].name);
        show_add_none(t);
        show_add_integer(t, (int64_t)rest[i].size);
        show_add_none(t);
    }
    fputc('\n', o->file);
    int r = show_table(o, t, e);
    show_table_free(t);
    return r;
}

static void json_realms(
    cJSON *root, const struct heap *h, const struct heap_realms *realms, int *rc)
{
    const struct heap_columns *c = heap_columns(h);
    cJSON *list = show_json_array(root, "native_contexts", rc);
    for (size_t i = 0; i < realms->count; i++) {
        uint32_t node = realms->list[i].node;
        struct buf name = buf_new(UINT32_MAX);
        if (heap_add_node_name(h, node, &name) < 0)
            buf_clear(&name);
        cJSON *o = show_json_object(list, NULL, rc);
        show_json_integer(o, "id", c->id[node], rc);
        show_json_text(o, "name", name.data ? name.data : "", name.length, rc);
        show_json_integer(o, "attributed_size", (int64_t)realms->list[i].attributed, rc);
        show_json_integer(o, "retained_size", (int64_t)c->retained[node], rc);
        show_json_integer(o, "self_size", c->self[node], rc);
        buf_free(&name);
    }
    show_json_integer(root, "shared_context_size", (int64_t)realms->shared, rc);
    show_json_integer(root, "no_context_size", (int64_t)realms->none, rc);
}

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

static int print_json(const struct show_out *o, const char *path, const struct heap *h,
    const struct heap_realms *realms, struct err *e)
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
    json_realms(root, h, realms, &rc);
    return show_json(o, root, rc, e);
}

static int run(const struct invocation *in, struct err *e)
{
    struct heap *h = NULL;
    struct heap_realms realms = {0};
    struct show_out out;
    int r = sink_of(in, &out, e);
    if (r == 0)
        r = reading_open(in, in->words[0], &h, e);
    if (r == 0)
        r = read_realms(h, &realms, e);
    if (r == 0)
        r = out.format == SHOW_JSON ? print_json(&out, in->words[0], h, &realms, e)
                                    : print_table(&out, h, e);
    if (r == 0 && out.format == SHOW_TEXT && realms.count > 1)
        r = print_realms(&out, h, &realms, e);
    if (r == 0)
        r = show_out_finish(&out, e);
    free(realms.list);
    reading_close(in, h);
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
