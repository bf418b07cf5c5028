/* summary FILE: the classes of a snapshot, as in DevTools' Summary view. */
#include "command/heapfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "show/json.h"

#define ROWS        30   /* of the table on a terminal; --top changes it */
#define KINDS_BYTES 4096 /* of their names in a message */

/* What part of the snapshot is asked for. */
struct wanted {
    uint64_t *bits; /* NULL: all */
    regex_t class;
    bool by_class;
    int64_t min_size;
};

static const char *const only_words[] = {
    [HEAP_FILTER_CONTEXTS] = "contexts",
    [HEAP_FILTER_DETACHED] = "detached-dom",
    [HEAP_FILTER_HANDLERS] = "event-handlers",
    [HEAP_FILTER_CONSOLE] = "console",
    [HEAP_FILTER_DUPLICATES] = "duplicates",
};

static void keep_only(uint64_t **to, uint64_t *more, uint32_t nodes)
{
    if (!*to) {
        *to = more;
        return;
    }
    for (size_t i = 0; i <= nodes / 64; i++)
        (*to)[i] &= more[i];
    free(more);
}

/* "shared-native-context", "no-native-context" or "native-context=@ID". *ret_known: it was one. */
static int wanted_realm(
    const char *only, const struct heap *h, struct wanted *w, bool *ret_known, struct err *e)
{
    static const char by_id[] = "native-context=";
    uint32_t want = HEAP_REALM_NONE, *of;
    *ret_known = true;
    if (strcmp(only, "shared-native-context") == 0) {
        want = HEAP_REALM_SHARED;
    } else if (strncmp(only, by_id, sizeof by_id - 1) == 0) {
        int r = heapfile_node(h, only + sizeof by_id - 1, &want, e);
        if (r < 0)
            return r;
    } else if (strcmp(only, "no-native-context") != 0) {
        *ret_known = false;
        return 0;
    }
    int r = heap_realms(h, &of, e);
    if (r < 0)
        return r;
    uint32_t nodes = heap_columns(h)->node_count;
    uint64_t *bits = calloc(nodes / 64 + 1, sizeof *bits);
    if (want < nodes && of[want] != want)
        r = err_set(e, ERR_USAGE,
            "--only %s: that object is no native context; heaptap statistics lists them", only);
    else if (!bits)
        r = err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; r == 0 && i < nodes; i++)
        bits[i / 64] |= (uint64_t)(of[i] == want) << i % 64;
    free(of);
    if (r == 0)
        keep_only(&w->bits, bits, nodes);
    else
        free(bits);
    return r;
}

static int wanted_filter(
    const struct invocation *in, struct heap *h, struct wanted *w, struct err *e)
{
    const char *only = settings_text(in->settings, SET_ONLY);
    size_t i = 0, count = sizeof only_words / sizeof *only_words;
    uint64_t *bits;
    bool known = false;
    if (!only)
        return 0;
    int r = wanted_realm(only, h, w, &known, e);
    if (r < 0 || known)
        return r;
    while (i < count && strcmp(only, only_words[i]) != 0)
        i++;
    if (i == count)
        return err_set(e, ERR_USAGE,
            "--only %s: is none of contexts, detached-dom, event-handlers, console, duplicates, "
            "shared-native-context, no-native-context, native-context=@ID",
            only);
    r = heap_filter_nodes(h, (enum heap_filter)i, &bits, e);
    if (r == 0)
        keep_only(&w->bits, bits, heap_columns(h)->node_count);
    return r;
}

/* The id up to which the snapshot in the setting's file had given ids. */
static int border_of(const struct invocation *in, enum setting_id id, uint32_t otherwise,
    uint32_t *ret, struct err *e)
{
    const char *path = settings_text(in->settings, id);
    *ret = otherwise;
    if (!path)
        return 0;
    struct heap *other = NULL;
    int r = reading_open(in, path, &other, e);
    if (r == 0)
        *ret = heap_max_object_id(other);
    reading_close(in, other);
    return r;
}

static int wanted_ids(const struct invocation *in, struct heap *h, struct wanted *w, struct err *e)
{
    uint32_t min, max;
    uint64_t *bits;
    int r = border_of(in, SET_AFTER, 0, &min, e);
    if (r == 0)
        r = border_of(in, SET_BEFORE, UINT32_MAX, &max, e);
    if (r < 0 || (min == 0 && max == UINT32_MAX))
        return r;
    r = heap_filter_ids(h, min, max, &bits, e);
    if (r == 0)
        keep_only(&w->bits, bits, heap_columns(h)->node_count);
    return r;
}

static int no_such_kind(const struct heap *h, const char *kind, struct err *e)
{
    struct buf names = buf_new(KINDS_BYTES);
    int r = 0;
    for (int k = 0; r == 0 && k < HEAP_KINDS; k++)
        r = buf_addf(&names, "%s%s", k ? ", " : "", heap_kind_name(h, (uint8_t)k));
    r = err_set(e, ERR_USAGE, "--kind %s: is none of %s", kind, names.data ? names.data : "");
    buf_free(&names);
    return r;
}

static int wanted_kind(const struct invocation *in, struct heap *h, struct wanted *w, struct err *e)
{
    const char *kind = settings_text(in->settings, SET_KIND);
    const struct heap_columns *c = heap_columns(h);
    bool match[256], any = false;
    if (!kind)
        return 0;
    for (int k = 0; k < 256; k++) {
        match[k] = strcmp(heap_kind_name(h, (uint8_t)k), kind) == 0;
        any = any || match[k];
    }
    if (!any)
        return no_such_kind(h, kind, e);
    uint64_t *bits = calloc(c->node_count / 64 + 1, sizeof *bits);
    if (!bits)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < c->node_count; i++)
        bits[i / 64] |= (uint64_t)match[c->kind[i]] << i % 64;
    keep_only(&w->bits, bits, c->node_count);
    return 0;
}

static bool is_wanted(const struct wanted *w, const struct heap_class *k)
{
    return (int64_t)k->retained_size >= w->min_size &&
           (!w->by_class || regexec(&w->class, k->name, 0, NULL, 0) == 0);
}

static int print_json(const struct show_out *o, const char *path, const struct heap *h,
    const struct heap_class *list, uint32_t count, const struct wanted *w, size_t top,
    struct err *e)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.summary/1", &rc);
    show_json_word(root, "file", path, &rc);
    show_json_integer(root, "nodes", heap_columns(h)->node_count, &rc);
    show_json_integer(root, "edges", heap_columns(h)->edge_count, &rc);
    show_json_integer(root, "total_size", (int64_t)heap_total_size(h), &rc);
    if (heap_damage(h))
        show_json_word(root, "damage", heap_damage(h), &rc);
    heapfile_json_statistics(root, h, &rc);
    cJSON *classes = show_json_array(root, "classes", &rc);
    for (uint32_t i = 0; i < count && top > 0; i++) {
        if (!is_wanted(w, &list[i]))
            continue;
        top--;
        cJSON *k = show_json_object(classes, NULL, &rc);
        show_json_text(k, "key", list[i].key, strlen(list[i].key), &rc);
        show_json_text(k, "class", list[i].name, list[i].name_length, &rc);
        show_json_integer(k, "count", list[i].count, &rc);
        show_json_integer(k, "self_size", (int64_t)list[i].self_size, &rc);
        show_json_integer(k, "retained_size", (int64_t)list[i].retained_size, &rc);
        show_json_integer(k, "distance", list[i].distance, &rc);
    }
    return show_json(o, root, rc, e);
}

static int print_table(const struct show_out *o, const struct heap *h,
    const struct heap_class *list, uint32_t count, const struct wanted *w, size_t top,
    struct err *e)
{
    static const struct show_column columns[] = {{"CLASS", "class", SHOW_NAME, 0},
        {"COUNT", "count", SHOW_COUNT, 0}, {"DISTANCE", "distance", SHOW_COUNT, 0},
        {"SHALLOW", "self_size", SHOW_SIZE, 0}, {"", "self_share", SHOW_SHARE, 0},
        {"RETAINED", "retained_size", SHOW_SIZE, 0}, {"", "retained_share", SHOW_SHARE, 0}};
    double total = (double)heap_total_size(h);
    size_t hidden = 0;
    if (o->format == SHOW_TEXT) {
        char a[TEXT_SHORT], b[TEXT_SHORT], c[TEXT_SHORT];
        fprintf(o->file, "%s nodes, %s edges, %s\n\n", text_count(a, heap_columns(h)->node_count),
            text_count(b, heap_columns(h)->edge_count), text_size(c, total));
    }
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (uint32_t i = 0; i < count; i++) {
        const struct heap_class *k = &list[i];
        if (!is_wanted(w, k))
            continue;
        if (show_table_rows(t) >= top) {
            hidden++;
            continue;
        }
        show_add_text(t, k->name, k->name_length);
        show_add_integer(t, k->count);
        if (k->distance < 0 || k->distance >= HEAP_DISTANCE_SYSTEM)
            show_add_none(t);
        else
            show_add_integer(t, k->distance);
        show_add_integer(t, (int64_t)k->self_size);
        show_add_number(t, total > 0 ? (double)k->self_size / total : 0);
        show_add_integer(t, (int64_t)k->retained_size);
        show_add_number(t, total > 0 ? (double)k->retained_size / total : 0);
    }
    int r = show_table(o, t, e);
    if (r == 0)
        heapfile_end(
            o, show_table_rows(t), hidden, "no class of this snapshot is wanted like that");
    show_table_free(t);
    return r;
}

static int run(const struct invocation *in, struct err *e)
{
    struct heap *h = NULL;
    struct wanted w = {.min_size = settings_number(in->settings, SET_MIN_SIZE)};
    struct heap_class *part = NULL;
    const struct heap_class *list;
    struct show_out out;
    int r = sink_of(in, &out, e);
    if (r == 0)
        r = heapfile_pattern(in, SET_CLASS, &w.class, &w.by_class, e);
    if (r < 0)
        return r;
    if ((r = reading_open(in, in->words[0], &h, e)) < 0 || (r = wanted_ids(in, h, &w, e)) < 0 ||
        (r = wanted_filter(in, h, &w, e)) < 0 || (r = wanted_kind(in, h, &w, e)) < 0)
        goto out;
    uint32_t count = heap_classes(h, &list);
    if (w.bits) {
        if ((r = heap_classes_of(h, w.bits, &part, &count, e)) < 0)
            goto out;
        list = part;
    }
    size_t top = heapfile_top(in, &out, ROWS);
    r = out.format == SHOW_JSON ? print_json(&out, in->words[0], h, list, count, &w, top, e)
                                : print_table(&out, h, list, count, &w, top, e);
    if (r == 0)
        r = show_out_finish(&out, e);
out:
    if (w.by_class)
        regfree(&w.class);
    free(w.bits);
    free(part);
    reading_close(in, h);
    return r;
}

static const enum setting_id accepted[] = {SET_TOP, SET_CSV, SET_CLASS, SET_KIND, SET_MIN_SIZE,
    SET_ONLY, SET_AFTER, SET_BEFORE, SET_PARTIAL, SET_END};

const struct command command_summary = {
    .name = "summary",
    .arguments = "FILE",
    .summary = "classes of a snapshot by retained size",
    .examples = "  heaptap summary server.heapsnapshot\n"
                "  heaptap summary --class '^Session' --json server.heapsnapshot.zst\n"
                "  heaptap summary --after a.heapsnapshot --before b.heapsnapshot c.heapsnapshot\n",
    .details =
        "The numbers of Chrome DevTools' Summary view. FILE may be .zst or .gz; - reads stdin.\n"
        "--after A leaves only what was allocated after snapshot A was taken, --before B only "
        "what\n"
        "was there when B was taken. Shares are of the total size.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
