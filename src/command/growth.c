/* diff with three files or more: classes across a series of snapshots. */
#include "command/growth.h"

#include <stdlib.h>
#include <string.h>

#include "heap/series.h"
#include "show/json.h"

#define ROWS 30 /* of the table on a terminal; --top changes it */

static int print_json(const struct show_out *o, const struct invocation *in,
    const struct heap_trend *list, size_t count, struct err *e)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.growth/1", &rc);
    cJSON *files = show_json_array(root, "files", &rc);
    for (int i = 0; i < in->word_count; i++)
        show_json_word(files, NULL, in->words[i], &rc);
    cJSON *classes = show_json_array(root, "classes", &rc);
    for (size_t i = 0; i < count; i++) {
        const struct heap_trend *t = &list[i];
        cJSON *k = show_json_object(classes, NULL, &rc);
        show_json_text(k, "key", t->key, strlen(t->key), &rc);
        show_json_word(k, "class", t->name, &rc);
        show_json_bool(k, "grew_every_step", t->grew_every_step, &rc);
        show_json_number(k, "count_slope", t->count_slope, &rc);
        show_json_number(k, "size_slope", t->size_slope, &rc);
        cJSON *counts = show_json_array(k, "counts", &rc);
        cJSON *sizes = show_json_array(k, "self_sizes", &rc);
        cJSON *retained = show_json_array(k, "retained_sizes", &rc);
        for (int f = 0; f < in->word_count; f++) {
            show_json_integer(counts, NULL, t->points[f].count, &rc);
            show_json_integer(sizes, NULL, (int64_t)t->points[f].self_size, &rc);
            show_json_integer(retained, NULL, (int64_t)t->points[f].retained_size, &rc);
        }
    }
    return show_json(o, root, rc, e);
}

static int print_table(const struct show_out *o, const struct heap_trend *list, size_t count,
    size_t hidden, size_t files, struct err *e)
{
    static const struct show_column columns[] = {
        {"CLASS", "class", SHOW_NAME, 0},
        {"EVERY STEP", "grew_every_step", SHOW_BOOL, 0},
        {"FIRST", "first_count", SHOW_COUNT, SHOW_SPARE},
        {"LAST", "last_count", SHOW_COUNT, 0},
        {"MORE A FILE", "count_slope", SHOW_MEAN, 1},
        {"FIRST SIZE", "first_self_size", SHOW_SIZE, SHOW_SPARE},
        {"LAST SIZE", "last_self_size", SHOW_SIZE, 0},
        {"SIZE A FILE", "size_slope", SHOW_BYTES, 0},
    };
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        const struct heap_trend *k = &list[i];
        show_add_word(t, k->name);
        show_add_integer(t, k->grew_every_step);
        show_add_integer(t, k->points[0].count);
        show_add_integer(t, k->points[files - 1].count);
        show_add_number(t, k->count_slope);
        show_add_integer(t, (int64_t)k->points[0].self_size);
        show_add_integer(t, (int64_t)k->points[files - 1].self_size);
        show_add_number(t, k->size_slope);
    }
    int r = show_table(o, t, e);
    if (r == 0)
        heapfile_end(o, count, hidden, "no class of these snapshots has such a name");
    show_table_free(t);
    return r;
}

int growth_run(const struct invocation *in, const struct show_out *out, struct err *e)
{
    size_t files = (size_t)in->word_count;
    struct heap_series *s = heap_series_new(files);
    const struct heap_trend *list;
    regex_t class;
    bool by_class = false;
    int r = heapfile_pattern(in, SET_CLASS, &class, &by_class, e);
    if (r == 0 && !s)
        r = err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < files && r == 0; i++) {
        struct heap *h = NULL; /* one at a time: a series may be larger than the memory */
        r = reading_open(in, in->words[i], &h, e);
        if (r == 0)
            r = heap_series_add(s, h, e);
        reading_close(in, h);
    }
    if (r == 0) {
        size_t all = heap_series_rank(s, &list), top = heapfile_top(in, out, ROWS);
        size_t count = 0, hidden = 0;
        struct heap_trend *shown = calloc(all + 1, sizeof *shown);
        if (!shown)
            r = err_set(e, ERR_NOMEM, "out of memory");
        for (size_t i = 0; shown && i < all; i++) {
            if (by_class && regexec(&class, list[i].name, 0, NULL, 0) != 0)
                continue;
            if (count < top)
                shown[count++] = list[i];
            else
                hidden++;
        }
        if (shown)
            r = out->format == SHOW_JSON ? print_json(out, in, shown, count, e)
                                         : print_table(out, shown, count, hidden, files, e);
        free(shown);
    }
    if (by_class)
        regfree(&class);
    heap_series_free(s);
    return r;
}
