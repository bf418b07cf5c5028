/* strings FILE: strings that stand in memory more than once, or the longest. */
#include "command/heapfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "show/json.h"

#define ROWS 30 /* of the table on a terminal; --top changes it */

static int print_rows(const struct show_out *o, struct show_table *t, const char *schema,
    uint64_t wasted, size_t count, struct err *e)
{
    if (o->format != SHOW_JSON)
        return show_table(o, t, e);
    int rc = 0;
    cJSON *rows = NULL, *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", schema, &rc);
    show_json_integer(root, "groups", (int64_t)count, &rc);
    show_json_integer(root, "wasted_bytes", (int64_t)wasted, &rc);
    int r = show_table_json(t, &rows, e);
    if (r < 0) {
        cJSON_Delete(root);
        return r;
    }
    show_json_add(root, "strings", rows, &rc);
    return show_json(o, root, rc, e);
}

static int run_duplicates(const struct show_out *o, struct heap *h, size_t top, struct err *e)
{
    static const struct show_column columns[] = {{"STRING", "value", SHOW_NAME, 0},
        {"COPIES", "count", SHOW_COUNT, 0}, {"WASTED", "wasted_bytes", SHOW_SIZE, 0},
        {"SELF", "self_size", SHOW_SIZE, 0}, {"RETAINED", "retained_size", SHOW_SIZE, 0},
        {"EXAMPLE", "example", SHOW_ID, 0}};
    struct heap_duplicate *list = NULL;
    size_t count = 0;
    uint64_t wasted = 0;
    int r = heap_duplicates(h, &list, &count, e);
    if (r < 0)
        return r;
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        wasted += list[i].wasted;
        if (i >= top)
            continue;
        heapfile_add_name(t, o, h, list[i].example);
        show_add_integer(t, list[i].count);
        show_add_integer(t, (int64_t)list[i].wasted);
        show_add_integer(t, (int64_t)list[i].self_size);
        show_add_integer(t, (int64_t)list[i].retained_size);
        show_add_integer(t, heap_columns(h)->id[list[i].example]);
    }
    r = print_rows(o, t, "heaptap.strings/1", wasted, count, e);
    if (r == 0 && o->format == SHOW_TEXT) {
        char a[TEXT_SHORT], b[TEXT_SHORT];
        fprintf(o->file, "%s strings with copies; one of each would save %s%s\n",
            text_count(a, (int64_t)count), text_size(b, (double)wasted),
            count > top ? "; --top N shows more" : "");
    }
    show_table_free(t);
    free(list);
    return r;
}

static int by_self(const void *a, const void *b, void *arg)
{
    const struct heap_columns *c = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (c->self[x] != c->self[y])
        return c->self[x] > c->self[y] ? -1 : 1;
    return (x > y) - (x < y);
}

static int run_longest(const struct show_out *o, struct heap *h, size_t top, struct err *e)
{
    static const struct show_column columns[] = {{"STRING", "value", SHOW_NAME, 0},
        {"ID", "id", SHOW_ID, 0}, {"KIND", "kind", SHOW_WORD, 0},
        {"SELF", "self_size", SHOW_SIZE, 0}, {"RETAINED", "retained_size", SHOW_SIZE, 0}};
    const struct heap_columns *c = heap_columns(h);
    uint32_t *nodes = calloc((size_t)c->node_count + 1, sizeof *nodes);
    size_t count = 0;
    if (!nodes)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->self[i] && (c->kind[i] == HEAP_STRING || c->kind[i] == HEAP_CONS_STRING ||
                              c->kind[i] == HEAP_SLICED_STRING))
            nodes[count++] = i;
    qsort_r(nodes, count, sizeof *nodes, by_self, (void *)(uintptr_t)c);
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count && i < top; i++) {
        heapfile_add_name(t, o, h, nodes[i]);
        show_add_integer(t, c->id[nodes[i]]);
        show_add_word(t, heap_kind_name(h, c->kind[nodes[i]]));
        show_add_integer(t, c->self[nodes[i]]);
        show_add_integer(t, (int64_t)c->retained[nodes[i]]);
    }
    int r = print_rows(o, t, "heaptap.strings/1", 0, count, e);
    if (r == 0)
        heapfile_end(o, count, count > top ? count - top : 0, "this snapshot has no strings");
    show_table_free(t);
    free(nodes);
    return r;
}

static int run(const struct invocation *in, struct err *e)
{
    struct heap *h = NULL;
    struct show_out out;
    int r = sink_of(in, &out, e);
    if (r == 0)
        r = reading_open(in, in->words[0], &h, e);
    if (r == 0) {
        size_t top = heapfile_top(in, &out, ROWS);
        r = settings_flag(in->settings, SET_LONGEST) ? run_longest(&out, h, top, e)
                                                     : run_duplicates(&out, h, top, e);
    }
    if (r == 0)
        r = show_out_finish(&out, e);
    reading_close(in, h);
    return r;
}

static const enum setting_id accepted[] = {SET_LONGEST, SET_TOP, SET_CSV, SET_PARTIAL, SET_END};

const struct command command_strings = {
    .name = "strings",
    .arguments = "FILE",
    .summary = "strings with copies, and the longest",
    .examples = "  heaptap strings server.heapsnapshot\n"
                "  heaptap strings --longest --top 10 server.heapsnapshot\n",
    .details = "Node cuts strings in snapshots at 1024 characters: longer ones that begin alike\n"
               "count as copies. Wasted is what one copy of each would save.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
