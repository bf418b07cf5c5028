/* The objects behind the bars of a timeline. */
#include "command/interval.h"

#include "base/text.h"
#include "command/heapfile.h"
#include "show/json.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_ROWS 20 /* on a terminal; --top changes both */
#define PATH_ROWS  10
#define WORD_SIZE  32

/* What was asked for, and what is in it. */
struct span {
    uint32_t from, to; /* intervals, both included */
    double start_ms, end_ms;
    uint32_t above_id, last_id; /* object ids: above < id <= last, as DevTools selects them */
    int64_t count, bytes;       /* of the objects below */
    uint32_t *nodes;            /* owned */
    struct heap_class *classes; /* owned */
    uint32_t class_count;
    struct heap_path_group *groups; /* owned */
    size_t group_count, followed;
};

static void span_free(struct span *s)
{
    free(s->nodes);
    free(s->classes);
    heap_path_groups_free(s->groups, s->group_count);
}

/* ---- which ---- */

/* An interval's number, or the one in which a time (1.5s) lies. */
static int parse_end(const char *word, const struct allocation_interval *list, uint32_t count,
    uint32_t *ret, struct err *e)
{
    int64_t number, us;
    if (text_parse_integer(word, 0, UINT32_MAX, &number, NULL) == 0) {
        if (number >= count)
            return err_set(
                e, ERR_USAGE, "--interval: %s is not among the intervals 0 to %u", word, count - 1);
        *ret = (uint32_t)number;
        return 0;
    }
    if (text_parse_duration(word, &us, NULL) != 0 || us < 0)
        return err_set(e, ERR_USAGE,
            "--interval: \"%s\" is neither the number of an interval (3..7) nor a time (1.5s..3s)",
            word);
    uint32_t at = 0;
    while (at + 1 < count && list[at].end_ms < (double)us / 1000)
        at++;
    *ret = at;
    return 0;
}

static int parse_span(const char *text, const struct allocations *a, struct span *s, struct err *e)
{
    const struct allocation_interval *list;
    uint32_t count = allocations_intervals(a, &list);
    const char *dots = strstr(text, "..");
    char first[WORD_SIZE];
    int length = dots ? (int)(dots - text) : (int)strnlen(text, WORD_SIZE);
    if (count == 0)
        return err_set(e, ERR_USAGE, "the file has no intervals: it is no allocation timeline");
    if (length >= WORD_SIZE)
        return err_set(e, ERR_USAGE, "--interval %s: give N..M", text);
    snprintf(first, sizeof first, "%.*s", length, text);
    int rc = parse_end(first, list, count, &s->from, e);
    s->to = s->from;
    if (rc == 0 && dots)
        rc = parse_end(dots + 2, list, count, &s->to, e);
    if (rc == 0 && s->to < s->from)
        rc = err_set(e, ERR_USAGE, "--interval %s: ends before it begins", text);
    if (rc == 0) {
        s->start_ms = list[s->from].start_ms;
        s->end_ms = list[s->to].end_ms;
        s->above_id = s->from ? list[s->from - 1].last_id : 0;
        s->last_id = list[s->to].last_id;
    }
    return rc;
}

/* ---- what is in it ---- */

static void keep_classes(struct span *s, const regex_t *class)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->class_count; i++)
        if (regexec(class, s->classes[i].name, 0, NULL, 0) == 0)
            s->classes[kept++] = s->classes[i];
    s->class_count = kept;
}

/* The nodes of the bits that are of the span's classes. */
static int collect(struct span *s, const struct heap *h, const uint64_t *bits, struct err *e)
{
    const struct heap_columns *c = heap_columns(h);
    const struct heap_class *all;
    uint32_t count = heap_classes(h, &all);
    bool *wanted = calloc((size_t)count + 1, sizeof *wanted);
    for (uint32_t i = 0; i < s->class_count; i++)
        s->count += s->classes[i].count;
    s->nodes = calloc((size_t)s->count + 1, sizeof *s->nodes);
    if (!wanted || !s->nodes) {
        free(wanted);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < s->class_count; i++) {
        wanted[s->classes[i].number] = true;
        s->bytes += (int64_t)s->classes[i].self_size;
    }
    int64_t used = 0;
    for (uint32_t i = 0; i < c->node_count && used < s->count; i++)
        if (bits[i / 64] >> i % 64 & 1 && c->self[i] && c->class_of[i] < count &&
            wanted[c->class_of[i]])
            s->nodes[used++] = i;
    free(wanted);
    return 0;
}

static int fill(const struct invocation *in, struct heap *h, struct span *s, struct err *e)
{
    uint64_t *bits = NULL;
    regex_t class;
    bool by_class;
    int rc = heapfile_pattern(in, SET_CLASS, &class, &by_class, e);
    if (rc)
        return rc;
    rc = heap_filter_ids(h, s->above_id, s->last_id, &bits, e);
    if (rc == 0)
        rc = heap_classes_of(h, bits, &s->classes, &s->class_count, e);
    if (rc == 0 && by_class)
        keep_classes(s, &class);
    if (rc == 0)
        rc = collect(s, h, bits, e);
    if (rc == 0 && s->count)
        rc = heap_group_paths(
            h, s->nodes, (size_t)s->count, &s->groups, &s->group_count, &s->followed, e);
    if (by_class)
        regfree(&class);
    free(bits);
    return rc;
}

/* ---- how it is shown ---- */

static struct show_table *class_table(const struct span *s, bool keys, size_t top)
{
    static const struct show_column columns[] = {{"CLASS", "class", SHOW_NAME, 0},
        {"COUNT", "count", SHOW_COUNT, 0}, {"SHALLOW", "self_size", SHOW_SIZE, 0},
        {"", "self_share", SHOW_SHARE, 0}, {"RETAINED", "retained_size", SHOW_SIZE, 0},
        {"KEY", "key", SHOW_NAME, 0}};
    struct show_table *t = show_table_new(columns, keys ? 6 : 5);
    for (uint32_t i = 0; i < s->class_count && i < top; i++) {
        const struct heap_class *k = &s->classes[i];
        show_add_text(t, k->name, k->name_length);
        show_add_integer(t, k->count);
        show_add_integer(t, (int64_t)k->self_size);
        show_add_number(t, s->bytes ? (double)k->self_size / (double)s->bytes : 0);
        show_add_integer(t, (int64_t)k->retained_size);
        if (keys)
            show_add_text(t, k->key, strlen(k->key));
    }
    return t;
}

static int print_json(const struct show_out *o, const char *path, const struct span *s,
    const struct show_table *classes, const struct show_table *paths, struct err *e)
{
    int json = 0;
    cJSON *rows = NULL, *root = show_json_object(NULL, NULL, &json);
    show_json_word(root, "schema", "heaptap.allocation-interval/1", &json);
    show_json_word(root, "file", path, &json);
    show_json_integer(root, "from", s->from, &json);
    show_json_integer(root, "to", s->to, &json);
    show_json_number(root, "start_ms", s->start_ms, &json);
    show_json_number(root, "end_ms", s->end_ms, &json);
    show_json_integer(root, "above_object_id", s->above_id, &json);
    show_json_integer(root, "last_object_id", s->last_id, &json);
    show_json_integer(root, "live_count", s->count, &json);
    show_json_integer(root, "live_bytes", s->bytes, &json);
    int rc = show_table_json(classes, &rows, e);
    if (rc == 0) {
        show_json_add(root, "classes", rows, &json);
        show_json_integer(root, "followed", (int64_t)s->followed, &json);
        rc = show_table_json(paths, &rows, e);
    }
    if (rc) {
        cJSON_Delete(root);
        return rc;
    }
    show_json_add(root, "paths", rows, &json);
    return show_json(o, root, json, e);
}

static int print_text(const struct show_out *o, const struct span *s,
    const struct show_table *classes, const struct show_table *paths, struct err *e)
{
    char number[TEXT_SHORT], size[TEXT_SHORT];
    char span[2 * TEXT_SHORT];
    snprintf(
        span, sizeof span, s->from == s->to ? "interval %u" : "intervals %u..%u", s->from, s->to);
    if (s->from == 0)
        fprintf(o->file, "before the recording, and to %.2f s of it", s->end_ms / 1000);
    else
        fprintf(o->file, "%s, %.2f to %.2f s", span, s->start_ms / 1000, s->end_ms / 1000);
    fprintf(o->file, ": %s objects of %s live\n\n", text_count(number, s->count),
        text_size(size, (double)s->bytes));
    if (s->count == 0)
        return 0;
    int rc = show_table(o, classes, e);
    if (rc == 0 && s->class_count > show_table_rows(classes))
        fprintf(o->file, "… and %zu more; --top N shows them\n",
            s->class_count - show_table_rows(classes));
    if (rc == 0) {
        fprintf(o->file, "\nwho holds them\n");
        rc = show_table(o, paths, e);
    }
    if (rc == 0 && s->group_count > show_table_rows(paths))
        fprintf(o->file, "… and %zu more; --top N shows them\n",
            s->group_count - show_table_rows(paths));
    return rc;
}

int interval_print(const struct invocation *in, const struct show_out *o, const char *path,
    const struct allocations *a, struct heap *h, struct err *e)
{
    struct span s = {0};
    int rc = parse_span(settings_text(in->settings, SET_INTERVAL), a, &s, e);
    if (rc == 0)
        rc = fill(in, h, &s, e);
    if (rc == 0) {
        size_t top = heapfile_top(in, o, PATH_ROWS);
        struct show_table *classes =
            class_table(&s, o->format == SHOW_JSON, heapfile_top(in, o, CLASS_ROWS));
        struct show_table *paths =
            heapfile_paths(h, s.groups, s.group_count < top ? s.group_count : top, s.followed);
        if (o->format == SHOW_JSON)
            rc = print_json(o, path, &s, classes, paths, e);
        else if (o->format == SHOW_CSV)
            rc = show_table(o, classes, e);
        else
            rc = print_text(o, &s, classes, paths, e);
        show_table_free(classes);
        show_table_free(paths);
    } else {
        err_context(e, "%s", path);
    }
    span_free(&s);
    return rc;
}
