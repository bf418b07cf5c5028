/* Allocations by stack. */
#include "command/stacks.h"

#include "base/text.h"
#include "command/heapfile.h"
#include "command/sites.h"
#include "show/json.h"

#include <stdlib.h>
#include <string.h>

#define STACK_MAX  4096 /* frames of a collapsed stack */
#define ROWS       200  /* of a tree on a terminal; --top changes it */
#define INDENT_MAX 40   /* steps; deeper ones are not moved further */

/* ---- collapsed ---- */

static int add_collapsed_frame(struct buf *to, struct buf *plain, const struct allocation_frame *f)
{
    size_t from = to->length;
    buf_clear(plain);
    int rc = sites_add_frame(plain, f);
    if (rc == 0)
        rc = text_add_visible(to, plain->data, plain->length);
    for (size_t i = from; i < to->length; i++) /* the separator of frames */
        if (to->data[i] == ';')
            to->data[i] = ':';
    return rc;
}

int stacks_print_collapsed(const struct show_out *o, const struct allocations *a, struct err *e)
{
    struct buf line = buf_new(16u << 20), plain = buf_new(1u << 20);
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
            rc = add_collapsed_frame(&line, &plain, allocations_frame(a, stack[depth]));
            if (rc == 0 && depth)
                rc = buf_add_text(&line, ";");
        }
        if (rc)
            err_set(e, rc, "no memory for a stack");
        else
            fprintf(o->file, "%s %lld\n", line.data, (long long)node->live_bytes);
    }
    free(stack);
    buf_free(&plain);
    buf_free(&line);
    return rc;
}

/* ---- trees ---- */

static const char *const view_names[] = {
    [STACKS_TOP_DOWN] = "top-down", [STACKS_BOTTOM_UP] = "bottom-up", [STACKS_FLAT] = "flat"};

static int print_json(const struct show_out *o, const char *path, const struct allocations *a,
    const struct allocation_tree *tree, enum stacks_view view, size_t top, struct err *e)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.allocation-tree/1", &rc);
    show_json_word(root, "file", path, &rc);
    show_json_word(root, "kind", allocations_is_profile(a) ? "sampling" : "timeline", &rc);
    show_json_word(root, "view", view_names[view], &rc);
    show_json_integer(root, "live_bytes", tree->live_bytes, &rc);
    show_json_bool(root, "cut", tree->was_cut || tree->count > top, &rc);
    cJSON *list = show_json_array(root, "nodes", &rc);
    for (uint32_t i = 0; i < tree->count && i < top; i++) {
        const struct allocation_branch *b = &tree->list[i];
        cJSON *node = show_json_object(list, NULL, &rc);
        show_json_integer(node, "depth", b->depth, &rc);
        sites_json_frame(node, b->frame, &rc);
        sites_json_amounts(node, b->live_count, b->live_bytes, b->count, b->bytes, &rc);
        show_json_integer(node, "own_live_bytes", b->own_live_bytes, &rc);
    }
    return show_json(o, root, rc, e);
}

static void add_row(
    struct show_table *t, const struct allocation_tree *tree, const struct allocation_branch *b)
{
    sites_add_amount(t, b->live_bytes);
    show_add_number(t, tree->live_bytes > 0 ? (double)b->live_bytes / (double)tree->live_bytes : 0);
    sites_add_amount(t, b->live_count);
    sites_add_amount(t, b->bytes);
    sites_add_amount(t, b->count);
}

#define AMOUNT_COLUMNS                                                                             \
    {"LIVE", "live_bytes", SHOW_SIZE, 0}, {"", "share", SHOW_SHARE, 0},                            \
        {"OBJECTS", "live_count", SHOW_COUNT, 0}, {"ALLOCATED", "bytes", SHOW_SIZE, 0},            \
    {                                                                                              \
        "OBJECTS", "count", SHOW_COUNT, 0                                                          \
    }

static int print_csv(
    const struct show_out *o, const struct allocation_tree *tree, size_t top, struct err *e)
{
    static const struct show_column columns[] = {
        {"DEPTH", "depth", SHOW_COUNT, 0}, SITES_PLACE_COLUMNS, AMOUNT_COLUMNS};
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (uint32_t i = 0; i < tree->count && i < top; i++) {
        show_add_integer(t, tree->list[i].depth);
        sites_add_place(t, tree->list[i].frame);
        add_row(t, tree, &tree->list[i]);
    }
    int rc = show_table(o, t, e);
    show_table_free(t);
    return rc;
}

static int print_text(const struct show_out *o, const struct allocation_tree *tree, bool profile,
    size_t top, struct err *e)
{
    static const struct show_column all[] = {
        {"FUNCTION", "function", SHOW_NAME, 0}, AMOUNT_COLUMNS};
    static const struct show_column bytes[] = {{"FUNCTION", "function", SHOW_NAME, 0},
        {"LIVE", "live_bytes", SHOW_SIZE, 0}, {"", "share", SHOW_SHARE, 0}};
    struct show_table *t = profile ? show_table_new(bytes, 3) : show_table_new(all, 6);
    struct buf name = buf_new(1u << 20);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < tree->count && i < top; i++) {
        const struct allocation_branch *b = &tree->list[i];
        buf_clear(&name);
        rc = buf_addf(&name, "%*s", (int)(2 * (b->depth < INDENT_MAX ? b->depth : INDENT_MAX)), "");
        if (rc == 0)
            rc = sites_add_frame(&name, b->frame);
        show_add_text(t, name.data ? name.data : "", name.length);
        if (!profile) {
            add_row(t, tree, b);
            continue;
        }
        sites_add_amount(t, b->live_bytes);
        show_add_number(
            t, tree->live_bytes > 0 ? (double)b->live_bytes / (double)tree->live_bytes : 0);
    }
    rc = rc ? err_set(e, rc, "no memory for a name") : show_table(o, t, e);
    show_table_free(t);
    buf_free(&name);
    if (rc == 0 && tree->count > top)
        fprintf(o->file, "… and %zu more; --top N shows them\n", tree->count - top);
    return rc;
}

int stacks_print(const struct invocation *in, const struct show_out *o, const char *path,
    const struct allocations *a, enum stacks_view view, struct err *e)
{
    bool text = o->format == SHOW_TEXT;
    /* Programs get everything unless they ask for less. */
    struct allocation_cut cut = {
        .share = (text && view != STACKS_FLAT) || settings_given(in->settings, SET_SHARE)
                     ? settings_share(in->settings, SET_SHARE)
                     : 0,
        .depth = UINT32_MAX};
    int64_t depth = settings_number(in->settings, SET_DEPTH);
    struct allocation_tree tree = {0};
    if (settings_given(in->settings, SET_DEPTH) && depth >= 0 && depth < UINT32_MAX)
        cut.depth = (uint32_t)depth;
    if (view == STACKS_FLAT)
        cut.depth = 0;
    int rc = allocations_tree(a,
        view == STACKS_TOP_DOWN ? ALLOCATION_CALLERS_FIRST : ALLOCATION_CALLEES_FIRST, &cut, &tree,
        e);
    if (rc)
        return rc;
    size_t top = heapfile_top(in, o, ROWS);
    if (o->format == SHOW_JSON)
        rc = print_json(o, path, a, &tree, view, top, e);
    else if (o->format == SHOW_CSV)
        rc = print_csv(o, &tree, top, e);
    else
        rc = print_text(o, &tree, allocations_is_profile(a), top, e);
    free(tree.list);
    return rc;
}
