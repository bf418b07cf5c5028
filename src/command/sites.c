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
#define LABEL_SIZE  64
#define NARROW      120 /* columns: with fewer, a function and its path side by side are both cut */
#define COLUMNS_MAX 9
#define STACKS_ALL  0.995 /* of the objects: with so many stacks nothing is missing that counts */
#define FIRST_BYTES 64    /* enough to tell a snapshot from a profile */

/* ---- reading ---- */

static int read_profile(int fd, struct buf *text, struct err *e)
{
    struct unpack *u = NULL;
    const void *bytes;
    size_t count = 1;
    int rc = unpack_open(fd, &u, e);
    while (rc == 0 && (rc = unpack_read(u, &bytes, &count, e)) == 0 && count > 0)
        if (buf_add(text, bytes, count) != 0)
            rc = err_set(e, ERR_FORMAT, "it is larger than %u MB", PROFILE_MAX >> 20);
    unpack_close(u);
    return rc;
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
        if (first[strspn(first, " \t\r\n")] != '{')
            rc = err_set(e, ERR_FORMAT, "%s",
                count ? "this is no sampling profile, allocation timeline or heap snapshot"
                      : "the file is empty");
    }
    if (rc == 0) {
        if (lseek(fd, 0, SEEK_SET) != 0)
            rc = err_set(e, ERR_USAGE, "give a file, which can be read twice");
    }
    unpack_close(u);
    return rc ? err_context(e, "%s", path) : 0;
}

int sites_open(const struct invocation *in, const char *path, struct allocations **ret,
    struct heap **ret_heap, struct err *e)
{
    struct heap *h = NULL;
    struct buf text = buf_new(PROFILE_MAX);
    cJSON *tree = NULL;
    bool profile = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, ERR_IO, errno, "%s: cannot open", path);
    int rc = look(fd, path, &profile, e);
    if (rc == 0 && !profile) {
        rc = reading_open(in, path, &h, e);
        if (rc == 0)
            rc = allocations_from_heap(h, ret, e);
        if (rc == 0 && ret_heap) {
            *ret_heap = h;
            h = NULL;
        }
    } else if (rc == 0) {
        rc = read_profile(fd, &text, e);
        if (rc == 0 && json_parse(text.data ? text.data : "", text.length, &tree, e) != 0)
            rc = e->code = e->code == ERR_PROTOCOL ? ERR_FORMAT : e->code;
        if (rc == 0)
            rc = allocations_from_profile(tree, ret, e);
        if (rc)
            err_context(e, "%s", path);
    }
    heap_close(h);
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

void sites_json_frame(cJSON *to, const struct allocation_frame *f, int *rc)
{
    show_json_word(to, "function", f->function, rc);
    show_json_word(to, "url", f->url, rc);
    show_json_integer(to, "line", f->line, rc);
    show_json_integer(to, "column", f->column, rc);
}

void sites_json_amounts(
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
        sites_json_frame(o, f->frame, rc);
        sites_json_amounts(o, f->live_count, f->live_bytes, f->count, f->bytes, rc);
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
        sites_json_frame(site, &s->frame, &rc);
        sites_json_amounts(site, s->live_count, s->live_bytes, s->count, s->bytes, &rc);
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

void sites_add_amount(struct show_table *t, int64_t value)
{
    if (value == ALLOCATION_UNKNOWN)
        show_add_none(t);
    else
        show_add_integer(t, value);
}

void sites_add_place(struct show_table *t, const struct allocation_frame *f)
{
    show_add_word(t, f->function);
    show_add_word(t, *f->url ? f->url : NULL);
    sites_add_amount(t, f->line ? (int64_t)f->line : ALLOCATION_UNKNOWN);
    sites_add_amount(t, f->column ? (int64_t)f->column : ALLOCATION_UNKNOWN);
}

int sites_add_frame(struct buf *to, const struct allocation_frame *f)
{
    const char *file = strrchr(f->url, '/');
    file = file && file[1] ? file + 1 : f->url;
    int rc = buf_add_text(to, *f->function ? f->function : "<anonymous>");
    return rc || !*file ? rc : buf_addf(to, " (%s:%u)", file, f->line);
}

static bool is_narrow(const struct show_out *o)
{
    return o->format == SHOW_TEXT && o->width && o->width < NARROW;
}

/* A table of places with these columns behind them; columns is where it keeps all of them. */
static struct show_table *new_table(const struct show_out *o,
    struct show_column columns[static COLUMNS_MAX], const struct show_column *more, size_t count)
{
    static const struct show_column place[] = {SITES_PLACE_COLUMNS};
    size_t first = is_narrow(o) ? 1 : sizeof place / sizeof *place;
    memcpy(columns, place, first * sizeof *place);
    memcpy(columns + first, more, count * sizeof *more);
    return show_table_new(columns, first + count);
}

static void add_place(
    const struct show_out *o, struct show_table *t, const struct allocation_frame *f)
{
    struct buf text = buf_new(SHOW_TEXT_MAX);
    if (!is_narrow(o))
        sites_add_place(t, f);
    else if (sites_add_frame(&text, f) == 0)
        show_add_text(t, text.data, text.length);
    else
        show_add_word(t, f->function);
    buf_free(&text);
}

static int print_sites(const struct show_out *o, const struct allocations *a,
    const struct allocation_sites *sites, size_t top, struct err *e)
{
    static const struct show_column amounts[] = {{"LIVE", "live_bytes", SHOW_SIZE, 0},
        {"", "share", SHOW_SHARE, 0}, {"OBJECTS", "live_count", SHOW_COUNT, 0},
        {"ALLOCATED", "bytes", SHOW_SIZE, 0}, {"OBJECTS", "count", SHOW_COUNT, 0}};
    struct show_column columns[COLUMNS_MAX];
    bool profile = allocations_is_profile(a);
    double total = 0;
    for (size_t i = 0; i < sites->count; i++)
        total += (double)sites->items[i].live_bytes;
    struct show_table *t = new_table(o, columns, amounts, profile ? 2 : 5);
    for (size_t i = 0; i < sites->count && i < top; i++) {
        const struct allocation_site *s = &sites->items[i];
        add_place(o, t, &s->frame);
        show_add_integer(t, s->live_bytes);
        show_add_number(t, total > 0 ? (double)s->live_bytes / total : 0);
        if (profile)
            continue;
        sites_add_amount(t, s->live_count);
        sites_add_amount(t, s->bytes);
        sites_add_amount(t, s->count);
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
        char which[TEXT_SHORT];
        snprintf(which, sizeof which, last > i ? "%u..%u" : "%u", i, last);
        /* At the most 30 columns, which is what a bar's label gets. */
        snprintf(labels[used], LABEL_SIZE, "%s, %.1f s, %s", which, intervals[i].start_ms / 1000,
            text_count(number, objects));
        bars[used].label = labels[used];
    }
    int rc = show_bars(o,
        "live bytes by time of allocation: intervals (--interval N..M), from when, objects", bars,
        used, SHOW_SCALE_BYTES, e);
    fprintf(o->file, "\n");
    return rc;
}

static void print_stack_note(const struct show_out *o, const struct allocations *a)
{
    int64_t with_stack, recorded = allocations_recorded(a, &with_stack);
    char with[TEXT_SHORT], all[TEXT_SHORT];
    if (allocations_count(a) <= 1)
        fprintf(o->file, "no stacks were recorded (timeline --stacks records them)\n");
    else if (recorded > 0 && (double)with_stack < STACKS_ALL * (double)recorded)
        fprintf(o->file,
            "stacks are known of %s of the %s live objects that were recorded (%.0f %%): V8 loses\n"
            "that of an object which it moves; what follows ranks by those it has\n",
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
        else if (rc == 0)
            fprintf(o->file, "nothing that was %s still lives%s\n",
                allocations_is_profile(a) ? "sampled" : "allocated in the recording",
                allocations_is_profile(a) ? "; a smaller --sample-every samples more" : "");
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
    static const struct show_column bytes[] = {{"OLD", "old_bytes", SHOW_SIZE, 0},
        {"NEW", "new_bytes", SHOW_SIZE, 0}, {"DELTA", "delta_bytes", SHOW_GROWTH, 0}};
    struct show_column columns[COLUMNS_MAX];
    struct show_table *t = new_table(o, columns, bytes, sizeof bytes / sizeof *bytes);
    for (size_t i = 0; i < c->count && i < top; i++) {
        const struct change *change = &c->list[i];
        add_place(o, t, &(change->now ? change->now : change->old)->frame);
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
        if (rc == 0 && c->count == 0 && o->format == SHOW_TEXT)
            fprintf(o->file, "no line's live bytes differ\n");
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

int sites_show(const struct invocation *in, const char *path, struct err *e)
{
    struct allocations *a = NULL;
    struct show_out out;
    int rc = sink_of(in, &out, e);
    if (rc == 0)
        rc = sites_open(in, path, &a, NULL, e);
    if (rc == 0)
        rc = sites_print(in, &out, path, a, e);
    allocations_free(a);
    return rc ? rc : show_out_finish(&out, e);
}
