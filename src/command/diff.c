/* diff OLD NEW: what came and went between two snapshots; with more files, what grew across all. */
#include "command/heapfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "command/growth.h"
#include "show/fill.h"
#include "show/json.h"

#define ROWS          30 /* of the table on a terminal; --top changes it */
#define OBJECTS       5  /* new objects named a class with --objects */
#define OBJECT_INDENT 6
#define PATH_BYTES    (1u << 20)

static int add_objects_json(
    cJSON *to, struct heap *now, const struct heap_diff_class *d, int *rc, struct err *e)
{
    cJSON *objects = show_json_array(to, "objects", rc);
    for (uint32_t i = 0; i < d->added_count; i++) {
        struct buf path = buf_new(PATH_BYTES);
        struct heap_path way = {0};
        cJSON *o = show_json_object(objects, NULL, rc);
        show_json_integer(o, "id", heap_columns(now)->id[d->added[i]], rc);
        show_json_integer(o, "self_size", heap_columns(now)->self[d->added[i]], rc);
        show_json_integer(
            o, "retained_size", (int64_t)heap_columns(now)->retained[d->added[i]], rc);
        int r = 0;
        if (i < OBJECTS) {
            r = heap_path(now, d->added[i], &way, e);
            if (r == 0 && heap_add_path(now, &way, false, &path) == 0)
                show_json_text(o, "path", path.data, path.length, rc);
        }
        heap_path_free(&way);
        buf_free(&path);
        if (r < 0)
            return r;
    }
    return 0;
}

static int print_json(const struct show_out *o, struct heap *now,
    const struct heap_diff_class *list, size_t count, bool objects, struct err *e)
{
    int rc = 0, r = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.diff/1", &rc);
    cJSON *classes = show_json_array(root, "classes", &rc);
    for (size_t i = 0; i < count && r == 0; i++) {
        const struct heap_diff_class *d = &list[i];
        cJSON *k = show_json_object(classes, NULL, &rc);
        show_json_text(k, "key", d->key, strlen(d->key), &rc);
        show_json_text(k, "class", d->name, strlen(d->name), &rc);
        show_json_integer(k, "added_count", d->added_count, &rc);
        show_json_integer(k, "removed_count", d->removed_count, &rc);
        show_json_integer(k, "count_delta", d->count_delta, &rc);
        show_json_integer(k, "added_size", (int64_t)d->added_size, &rc);
        show_json_integer(k, "removed_size", (int64_t)d->removed_size, &rc);
        show_json_integer(k, "size_delta", d->size_delta, &rc);
        if (objects)
            r = add_objects_json(k, now, d, &rc, e);
    }
    if (r < 0) {
        cJSON_Delete(root);
        return r;
    }
    return show_json(o, root, rc, e);
}

static int print_objects(
    const struct show_out *o, struct heap *now, const struct heap_diff_class *d, struct err *e)
{
    int r = 0;
    for (uint32_t i = 0; i < d->added_count && i < OBJECTS && r == 0; i++) {
        struct buf path = buf_new(PATH_BYTES);
        struct heap_path way = {0};
        char size[TEXT_SHORT];
        r = heap_path(now, d->added[i], &way, e);
        if (r == 0 && heap_add_path(now, &way, false, &path) < 0)
            buf_clear(&path);
        if (r == 0) {
            int at = fprintf(o->file, "  @%u %s  ", heap_columns(now)->id[d->added[i]],
                text_size(size, (double)heap_columns(now)->retained[d->added[i]]));
            r = show_fill(o, path.data ? path.data : "", path.length, at > 0 ? (size_t)at : 0,
                OBJECT_INDENT, e);
        }
        heap_path_free(&way);
        buf_free(&path);
    }
    if (r == 0 && d->added_count > OBJECTS)
        fprintf(o->file, "  … and %u more\n", d->added_count - OBJECTS);
    return r;
}

static int print_table(
    const struct show_out *o, const struct heap_diff_class *list, size_t count, struct err *e)
{
    static const struct show_column columns[] = {{"CLASS", "class", SHOW_NAME, 0},
        {"NEW", "added_count", SHOW_COUNT, 0}, {"GONE", "removed_count", SHOW_COUNT, 0},
        {"DELTA", "count_delta", SHOW_DELTA, 0}, {"ALLOCATED", "added_size", SHOW_SIZE, 0},
        {"FREED", "removed_size", SHOW_SIZE, 0}, {"SIZE DELTA", "size_delta", SHOW_GROWTH, 0}};
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        const struct heap_diff_class *d = &list[i];
        show_add_text(t, d->name, strlen(d->name));
        show_add_integer(t, d->added_count);
        show_add_integer(t, d->removed_count);
        show_add_integer(t, d->count_delta);
        show_add_integer(t, (int64_t)d->added_size);
        show_add_integer(t, (int64_t)d->removed_size);
        show_add_integer(t, d->size_delta);
    }
    int r = show_table(o, t, e);
    show_table_free(t);
    return r;
}

static int print_text(const struct show_out *o, struct heap *now,
    const struct heap_diff_class *list, size_t count, size_t hidden, bool objects, struct err *e)
{
    int r = print_table(o, list, count, e);
    for (size_t i = 0; i < count && objects && r == 0 && o->format == SHOW_TEXT; i++) {
        if (list[i].added_count == 0)
            continue;
        fputc('\n', o->file);
        r = show_text(o, list[i].name, strlen(list[i].name), e);
        fputc('\n', o->file);
        if (r == 0)
            r = print_objects(o, now, &list[i], e);
    }
    if (r == 0)
        heapfile_end(o, count, hidden, "nothing of that came or went");
    return r;
}

/* Moves the classes that --class asks for to the front; the others go. */
static size_t keep_class(struct heap_diff_class *list, size_t count, const regex_t *class)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (regexec(class, list[i].name, 0, NULL, 0) != 0)
            continue;
        struct heap_diff_class swap = list[kept];
        list[kept++] = list[i];
        list[i] = swap;
    }
    return kept;
}

static int run_two(const struct invocation *in, const struct show_out *out, struct err *e)
{
    struct heap *base = NULL, *now = NULL;
    struct heap_diff_class *list = NULL;
    size_t all = 0;
    regex_t class;
    bool by_class = false, objects = settings_flag(in->settings, SET_OBJECTS);
    int r = heapfile_pattern(in, SET_CLASS, &class, &by_class, e);
    if (r < 0)
        return r;
    if ((r = reading_open(in, in->words[0], &base, e)) < 0 ||
        (r = reading_open(in, in->words[1], &now, e)) < 0 ||
        (r = heap_diff(base, now, &list, &all, e)) < 0)
        goto out;
    size_t count = by_class ? keep_class(list, all, &class) : all;
    size_t top = heapfile_top(in, out, ROWS), shown = count < top ? count : top;
    r = out->format == SHOW_JSON ? print_json(out, now, list, shown, objects, e)
                                 : print_text(out, now, list, shown, count - shown, objects, e);
out:
    if (by_class)
        regfree(&class);
    heap_diff_free(list, all);
    reading_close(in, base);
    reading_close(in, now);
    return r;
}

static int run(const struct invocation *in, struct err *e)
{
    struct show_out out;
    int r = sink_of(in, &out, e);
    if (r == 0)
        r = in->word_count == 2 && !(in->embedding && in->embedding->foreign_ids)
                ? run_two(in, &out, e)
                : growth_run(in, &out, e);
    return r < 0 ? r : show_out_finish(&out, e);
}

static const enum setting_id accepted[] = {
    SET_TOP, SET_CSV, SET_CLASS, SET_OBJECTS, SET_PARTIAL, SET_END};

const struct command command_diff = {
    .name = "diff",
    .arguments = "OLD NEW [NEWER...]",
    .summary = "what grew between snapshots",
    .examples = "  heaptap diff before.heapsnapshot after.heapsnapshot\n"
                "  heaptap diff --class Session --objects before.heapsnapshot after.heapsnapshot\n"
                "  heaptap diff heap-*.heapsnapshot\n",
    .details =
        "Two files: the numbers of DevTools' Comparison view, classes by key and objects by id, "
        "the\n"
        "largest growth first; --objects names new objects with a path each. Ids mean the same "
        "only\n"
        "within one process. Three files or more: classes by their count and size in each, those\n"
        "first that grew in every step, with the slope a file.\n",
    .settings = accepted,
    .words_min = 2,
    .words_max = -1,
    .run = run,
};
