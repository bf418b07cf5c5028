/* Allocations for people and programs. */
#include "command/sites.h"

#include "base/text.h"
#include "command/sink.h"
#include "cdp/json.h"
#include "command/heapfile.h"
#include "heap/unpack.h"
#include "show/json.h"
#include "show/plot.h"
#include "show/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROFILE_MAX (256u << 20) /* bytes; one of a gigabyte heap every 32 KB takes 20 MB */
#define BARS_MAX    20           /* of a plot of intervals; more are joined */
#define STACK_MAX   4096         /* frames of a collapsed stack */
#define TREE_SHARE  0.01         /* of all live bytes: what is below is left out of a tree */
#define LABEL_SIZE  64
#define FIRST_BYTES 64 /* enough to tell a snapshot from a profile */

/* ---- reading ---- */

static int read_profile(int fd, const char *path, struct buf *text, struct err *e)
{
    struct unpack *u = NULL;
    const void *bytes;
    size_t count = 1;
    int rc = unpack_open(fd, &u, e);
    while (rc == 0 && (rc = unpack_read(u, &bytes, &count, e)) == 0 && count > 0)
        if (buf_add(text, bytes, count) != 0)
            rc = err_set(e, ERR_FORMAT, "it is larger than %u MB", PROFILE_MAX >> 20);
    unpack_close(u);
    return rc ? err_context(e, "%s", path) : 0;
}

/* Snapshots and timelines begin with {"snapshot": V8 writes it first, and DevTools relies on it. */
static int look(int fd, const char *path, bool *ret_profile, struct err *e)
{
    struct unpack *u = NULL;
    const void *bytes;
    size_t count = 0;
    char first[FIRST_BYTES + 1] = "";
    int rc = unpack_open(fd, &u, e);
    if (rc == 0)
        rc = unpack_read(u, &bytes, &count, e);
    if (rc == 0) {
        if (count)
            memcpy(first, bytes, count < FIRST_BYTES ? count : FIRST_BYTES);
        *ret_profile = strstr(first, "\"snapshot\"") == NULL;
        if (lseek(fd, 0, SEEK_SET) != 0)
            rc = err_set(e, ERR_USAGE, "give a file, which can be read twice");
    }
    unpack_close(u);
    return rc ? err_context(e, "%s", path) : 0;
}

static int open_timeline(
    const struct invocation *in, const char *path, struct allocations **ret, struct err *e)
{
    struct heap *h = NULL;
    int rc = reading_open(in, path, &h, e);
    if (rc == 0)
        rc = allocations_from_heap(h, ret, e);
    heap_close(h);
    return rc;
}

int sites_open(
    const struct invocation *in, const char *path, struct allocations **ret, struct err *e)
{
    struct buf text = buf_new(PROFILE_MAX);
    cJSON *tree = NULL;
    bool profile = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, ERR_IO, errno, "%s: cannot open", path);
    int rc = look(fd, path, &profile, e);
    if (rc == 0 && !profile) {
        rc = open_timeline(in, path, ret, e);
    } else if (rc == 0) {
        rc = read_profile(fd, path, &text, e);
        if (rc == 0 && json_parse(text.data ? text.data : "", text.length, &tree, e) != 0)
            rc = e->code = e->code == ERR_PROTOCOL ? ERR_FORMAT : e->code;
        if (rc == 0)
            rc = allocations_from_profile(tree, ret, e);
        if (rc)
            err_context(e, "%s", path);
    }
    cJSON_Delete(tree);
    buf_free(&text);
    close(fd);
    return rc;
}

/* ---- JSON ---- */

static void add_amount(cJSON *to, const char *key, int64_t value, int *rc)
{
    if (value == ALLOCATION_UNKNOWN)
        show_json_null(to, key, rc);
    else
        show_json_integer(to, key, value, rc);
}

static void add_frame(cJSON *to, const struct allocation_frame *f, int *rc)
{
    show_json_word(to, "function", f->function, rc);
    show_json_word(to, "url", f->url, rc);
    show_json_integer(to, "line", f->line, rc);
    show_json_integer(to, "column", f->column, rc);
}

static void add_amounts(
    cJSON *to, int64_t live_count, int64_t live_bytes, int64_t count, int64_t bytes, int *rc)
{
    add_amount(to, "live_count", live_count, rc);
    add_amount(to, "live_bytes", live_bytes, rc);
    add_amount(to, "count", count, rc);
    add_amount(to, "bytes", bytes, rc);
}

static void add_timeline(cJSON *root, const struct allocations *a, int *rc, struct err *e)
{
    const struct allocation_interval *intervals;
    uint32_t count = allocations_intervals(a, &intervals), function_count;
    struct allocation_function *functions;
    int64_t with_stack, recorded = allocations_recorded(a, &with_stack);
    cJSON *list = show_json_array(root, "intervals", rc);
    for (uint32_t i = 0; i < count; i++) {
        cJSON *o = show_json_object(list, NULL, rc);
        show_json_number(o, "start_ms", intervals[i].start_ms, rc);
        show_json_number(o, "end_ms", intervals[i].end_ms, rc);
        show_json_integer(o, "last_object_id", intervals[i].last_id, rc);
        show_json_integer(o, "live_count", intervals[i].live_count, rc);
        show_json_integer(o, "live_bytes", intervals[i].live_bytes, rc);
    }
    show_json_integer(root, "recorded_live_count", recorded, rc);
    show_json_integer(root, "recorded_with_stack", with_stack, rc);
    list = show_json_array(root, "functions", rc);
    if (*rc || (*rc = allocations_functions(a, &functions, &function_count, e)) != 0)
        return;
    for (uint32_t i = 0; i < function_count; i++) {
        const struct allocation_function *f = &functions[i];
        cJSON *o = show_json_object(list, NULL, rc);
        add_frame(o, f->frame, rc);
        add_amounts(o, f->live_count, f->live_bytes, f->count, f->bytes, rc);
    }
    free(functions);
}

static int print_json(const struct show_out *o, const char *path, const struct allocations *a,
    const struct allocation_sites *sites, size_t top, struct err *e)
{
    int rc = 0;
    bool sampling = allocations_is_profile(a);
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.allocations/1", &rc);
    show_json_word(root, "file", path, &rc);
    show_json_word(root, "kind", sampling ? "sampling" : "timeline", &rc);
    cJSON *list = show_json_array(root, "sites", &rc);
    for (size_t i = 0; i < sites->count && i < top; i++) {
        const struct allocation_site *s = &sites->items[i];
        cJSON *site = show_json_object(list, NULL, &rc);
        add_frame(site, &s->frame, &rc);
        add_amounts(site, s->live_count, s->live_bytes, s->count, s->bytes, &rc);
        cJSON *stack = allocations_stack(a, s->heaviest);
        if (stack)
            show_json_add(site, "stack", stack, &rc);
        else if (rc == 0)
            rc = ERR_NOMEM;
    }
    if (sampling) {
        show_json_array(root, "intervals", &rc);
        add_amount(root, "samples", allocations_samples(a), &rc);
    } else {
        add_timeline(root, a, &rc, e);
    }
    return show_json(o, root, rc, e);
}

/* ---- tables ---- */

static void add_optional(struct show_table *t, int64_t value)
{
    if (value == ALLOCATION_UNKNOWN)
        show_add_none(t);
    else
        show_add_integer(t, value);
}

static void add_place(struct show_table *t, const struct allocation_frame *f)
{
    show_add_word(t, f->function);
    show_add_word(t, *f->url ? f->url : NULL);
    add_optional(t, f->line ? (int64_t)f->line : ALLOCATION_UNKNOWN);
    add_optional(t, f->column ? (int64_t)f->column : ALLOCATION_UNKNOWN);
}

#define PLACE_COLUMNS                                                                              \
    {"FUNCTION", "function", SHOW_NAME, 0}, {"URL", "url", SHOW_NAME, 0},                          \
        {"LINE", "line", SHOW_COUNT, 0},                                                           \
    {                                                                                              \
        "COLUMN", "column", SHOW_COUNT, 0                                                          \
    }

static int print_sites(const struct show_out *o, const struct allocations *a,
    const struct allocation_sites *sites, size_t top, struct err *e)
{
    static const struct show_column profile_columns[] = {
        PLACE_COLUMNS, {"LIVE", "live_bytes", SHOW_SIZE, 0}, {"", "share", SHOW_SHARE, 0}};
    static const struct show_column timeline_columns[] = {PLACE_COLUMNS,
        {"LIVE", "live_bytes", SHOW_SIZE, 0}, {"", "share", SHOW_SHARE, 0},
        {"OBJECTS", "live_count", SHOW_COUNT, 0}, {"ALLOCATED", "bytes", SHOW_SIZE, 0},
        {"OBJECTS", "count", SHOW_COUNT, 0}};
    bool profile = allocations_is_profile(a);
    double total = 0;
    for (size_t i = 0; i < sites->count; i++)
        total += (double)sites->items[i].live_bytes;
    struct show_table *t =
        profile ? show_table_new(profile_columns, 6) : show_table_new(timeline_columns, 9);
    for (size_t i = 0; i < sites->count && i < top; i++) {
        const struct allocation_site *s = &sites->items[i];
        add_place(t, &s->frame);
        show_add_integer(t, s->live_bytes);
        show_add_number(t, total > 0 ? (double)s->live_bytes / total : 0);
        if (profile)
            continue;
        add_optional(t, s->live_count);
        add_optional(t, s->bytes);
        add_optional(t, s->count);
    }
    int rc = show_table(o, t, e);
    show_table_free(t);
    if (rc == 0 && sites->count > top && o->format == SHOW_TEXT)
        fprintf(o->file, "… and %zu more; --top N shows them\n", sites->count - top);
    return rc;
}

/* Intervals joined to at most BARS_MAX bars, as what still lives of each. */
static int print_intervals(const struct show_out *o, const struct allocations *a, struct err *e)
{
    const struct allocation_interval *intervals;
    uint32_t count = allocations_intervals(a, &intervals);
    struct show_bar bars[BARS_MAX];
    char labels[BARS_MAX][LABEL_SIZE], size[TEXT_SHORT];
    if (count < 2) {
        fprintf(o->file, "the timeline has no intervals\n\n");
        return 0;
    }
    /* The first holds all that was before the recording. */
    uint32_t each = (count - 1 + BARS_MAX - 1) / BARS_MAX, used = 0;
    fprintf(o->file, "from before the recording %s live\n",
        text_size(size, (double)intervals[0].live_bytes));
    for (uint32_t i = 1; i < count; i += each, used++) {
        uint32_t last = i + each - 1 < count ? i + each - 1 : count - 1;
        int64_t objects = 0;
        bars[used].value = 0;
        for (uint32_t k = i; k <= last; k++) {
            bars[used].value += (double)intervals[k].live_bytes;
            objects += intervals[k].live_count;
        }
        char number[TEXT_SHORT];
        snprintf(labels[used], LABEL_SIZE, "%6.1f-%.1f s %9s", intervals[i].start_ms / 1000,
            intervals[last].end_ms / 1000, text_count(number, objects));
        bars[used].label = labels[used];
    }
    int rc = show_bars(o, "live bytes and objects by the time of their allocation", bars, used,
        SHOW_SCALE_BYTES, e);
    fprintf(o->file, "\n");
    return rc;
}

static void print_stack_note(const struct show_out *o, const struct allocations *a)
{
    int64_t with_stack, recorded = allocations_recorded(a, &with_stack);
    char with[TEXT_SHORT], all[TEXT_SHORT];
    if (allocations_count(a) <= 1)
        fprintf(o->file, "no stacks were recorded (timeline --stacks records them)\n");
    else if (recorded > 0 && with_stack < recorded)
        fprintf(o->file,
            "stacks are known of %s of the %s live objects that were recorded (%.0f %%), which is "
            "how\nthis runtime records them; what follows ranks by those\n",
            text_count(with, with_stack), text_count(all, recorded),
            100 * (double)with_stack / (double)recorded);
}

int sites_print(const struct invocation *in, const struct show_out *o, const char *path,
    const struct allocations *a, struct err *e)
{
    struct allocation_sites sites;
    size_t top = heapfile_top(in, o, SITES_ROWS);
    int rc = allocations_fold(a, &sites, e);
    if (rc)
        return rc;
    allocation_sites_rank(&sites);
    if (o->format == SHOW_JSON) {
        rc = print_json(o, path, a, &sites, top, e);
    } else {
        if (o->format == SHOW_TEXT && !allocations_is_profile(a)) {
            rc = print_intervals(o, a, e);
            print_stack_note(o, a);
        }
        if (rc == 0 && (sites.count || o->format == SHOW_CSV))
            rc = print_sites(o, a, &sites, top, e);
    }
    allocation_sites_free(&sites);
    return rc;
}

/* ---- two files ---- */

struct change {
    const struct allocation_site *old, *now;
    int64_t growth;
};

struct changes {
    struct change *list;
    size_t count;
};

static void note_change(
    void *arg, const struct allocation_site *old, const struct allocation_site *now)
{
    struct changes *c = arg;
    int64_t growth = (now ? now->live_bytes : 0) - (old ? old->live_bytes : 0);
    if (growth)
        c->list[c->count++] = (struct change){old, now, growth};
}

static int by_growth(const void *x, const void *y)
{
    const struct change *a = x, *b = y;
    if (a->growth != b->growth)
        return a->growth > b->growth ? -1 : 1;
    return allocation_site_compare(a->now ? a->now : a->old, b->now ? b->now : b->old);
}

static int print_changes(
    const struct show_out *o, const struct changes *c, size_t top, struct err *e)
{
    static const struct show_column columns[] = {PLACE_COLUMNS, {"OLD", "old_bytes", SHOW_SIZE, 0},
        {"NEW", "new_bytes", SHOW_SIZE, 0}, {"DELTA", "delta_bytes", SHOW_DELTA, 0}};
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < c->count && i < top; i++) {
        const struct change *change = &c->list[i];
        add_place(t, &(change->now ? change->now : change->old)->frame);
        show_add_integer(t, change->old ? change->old->live_bytes : 0);
        show_add_integer(t, change->now ? change->now->live_bytes : 0);
        show_add_integer(t, change->growth);
    }
    int rc = 0;
    if (o->format == SHOW_JSON) {
        cJSON *rows = NULL;
        rc = show_table_json(t, &rows, e);
        if (rc == 0) {
            int json = 0;
            cJSON *root = show_json_object(NULL, NULL, &json);
            show_json_word(root, "schema", "heaptap.allocations-diff/1", &json);
            show_json_add(root, "sites", rows, &json);
            rc = show_json(o, root, json, e);
        }
    } else {
        rc = show_table(o, t, e);
    }
    show_table_free(t);
    return rc;
}

int sites_print_diff(const struct invocation *in, const struct show_out *o,
    const struct allocations *old, const struct allocations *now, struct err *e)
{
    struct allocation_sites then = {0}, later = {0};
    struct changes changes = {0};
    int rc = allocations_fold(old, &then, e);
    if (rc == 0)
        rc = allocations_fold(now, &later, e);
    if (rc == 0 && !(changes.list = calloc(then.count + later.count + 1, sizeof *changes.list)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        allocation_sites_walk(&then, &later, note_change, &changes);
        qsort(changes.list, changes.count, sizeof *changes.list, by_growth);
        rc = print_changes(o, &changes, heapfile_top(in, o, SITES_ROWS), e);
    }
    free(changes.list);
    allocation_sites_free(&then);
    allocation_sites_free(&later);
    return rc;
}

/* ---- stacks ---- */

static int add_visible_frame(struct buf *to, const struct allocation_frame *f)
{
    size_t from = to->length;
    const char *file = strrchr(f->url, '/');
    file = file ? file + 1 : f->url;
    const char *name = *f->function ? f->function : "<anonymous>";
    int rc = text_add_visible(to, name, strlen(name));
    if (rc == 0 && *file) {
        rc = buf_add_text(to, " (");
        if (rc == 0)
            rc = text_add_visible(to, file, strlen(file));
        if (rc == 0)
            rc = buf_addf(to, ":%u)", f->line);
    }
    for (size_t i = from; i < to->length; i++) /* the separator of frames */
        if (to->data[i] == ';')
            to->data[i] = ':';
    return rc;
}

int sites_print_collapsed(const struct show_out *o, const struct allocations *a, struct err *e)
{
    struct buf line = buf_new(16u << 20);
    uint32_t *stack = calloc(STACK_MAX, sizeof *stack);
    int rc = stack ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; rc == 0 && i < allocations_count(a); i++) {
        const struct allocation_node *node = allocations_node(a, i);
        size_t depth = 0;
        if (node->live_bytes <= 0)
            continue;
        for (uint32_t at = i; at != ALLOCATION_NONE && depth < STACK_MAX;
             at = allocations_node(a, at)->parent)
            if (allocations_node(a, at)->parent != ALLOCATION_NONE || at == i)
                stack[depth++] = at;
        buf_clear(&line);
        while (rc == 0 && depth--) {
            rc = add_visible_frame(&line, allocations_frame(a, stack[depth]));
            if (rc == 0 && depth)
                rc = buf_add_text(&line, ";");
        }
        if (rc)
            err_set(e, rc, "no memory for a stack");
        else
            fprintf(o->file, "%s %lld\n", line.data, (long long)node->live_bytes);
    }
    free(stack);
    buf_free(&line);
    return rc;
}

struct branch {
    uint32_t child, next; /* first child and next sibling; ALLOCATION_NONE */
    double live;          /* with all below it */
};

static int print_branch(const struct show_out *o, const struct allocations *a, uint32_t node,
    double live, double total, unsigned depth, struct err *e)
{
    struct buf name = buf_new(1u << 20);
    char size[TEXT_SHORT], own[TEXT_SHORT];
    int rc = add_visible_frame(&name, allocations_frame(a, node));
    if (rc)
        err_set(e, rc, "no memory for a name");
    else
        fprintf(o->file, "%10s %5.1f %%  %10s  %*s%s\n", text_size(size, live), 100 * live / total,
            text_size(own, (double)allocations_node(a, node)->live_bytes),
            (int)(2 * (depth < 40 ? depth : 40)), "", name.data);
    buf_free(&name);
    return rc;
}

int sites_print_tree(const struct invocation *in, const struct show_out *o,
    const struct allocations *a, struct err *e)
{
    uint32_t count = allocations_count(a), *stack = calloc((size_t)count + 1, sizeof *stack);
    unsigned *depths = calloc((size_t)count + 1, sizeof *depths);
    struct branch *b = calloc((size_t)count + 1, sizeof *b);
    int rc = stack && depths && b ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    (void)in;
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        b[i] = (struct branch){
            ALLOCATION_NONE, ALLOCATION_NONE, (double)allocations_node(a, i)->live_bytes};
    for (uint32_t i = count; rc == 0 && i-- > 1;) { /* children have larger numbers */
        uint32_t parent = allocations_node(a, i)->parent;
        if (parent == ALLOCATION_NONE)
            continue;
        b[parent].live += b[i].live;
        b[i].next = b[parent].child;
        b[parent].child = i;
    }
    uint32_t used = 0;
    double total = count && rc == 0 ? b[0].live : 0;
    if (total > 0) {
        fprintf(o->file, "%10s %7s  %10s  %s\n", "LIVE", "", "OWN", "FUNCTION");
        stack[used++] = 0;
    }
    while (rc == 0 && used) {
        uint32_t node = stack[--used];
        unsigned depth = depths[used];
        rc = print_branch(o, a, node, b[node].live, total, depth, e);
        for (uint32_t child = b[node].child; child != ALLOCATION_NONE; child = b[child].next) {
            if (b[child].live < TREE_SHARE * total)
                continue;
            stack[used] = child;
            depths[used++] = depth + 1;
        }
    }
    free(stack);
    free(depths);
    free(b);
    return rc;
}

int sites_show(const struct invocation *in, const char *path, struct err *e)
{
    struct allocations *a = NULL;
    struct show_out out;
    int rc = sink_open(in->settings, &out, e);
    if (rc == 0)
        rc = sites_open(in, path, &a, e);
    if (rc == 0)
        rc = sites_print(in, &out, path, a, e);
    allocations_free(a);
    return rc ? rc : show_out_finish(&out, e);
}
