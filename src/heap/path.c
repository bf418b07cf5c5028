/* The shortest way from the roots to a node, as text, and the ways of many nodes put together. */
#include "base/array.h"
#include "heap/inside.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX (8u << 20) /* of one path's text */
#define HALF           (HEAP_PATH_MAX / 2)
#define PERIOD_MAX     4        /* steps that come again and again, such as next: of a list */
#define FOLDED_FROM    4        /* times; where ways are merged, 2 */
#define SPREAD         64       /* rounds in which nodes are followed */
#define STEPS_MAX      20000000 /* of all nodes that are followed: a second or two */

/* ---- following ---- */

static void reverse(struct heap_retainer *steps, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct heap_retainer swap = steps[i];
        steps[i] = steps[count - 1 - i];
        steps[count - 1 - i] = swap;
    }
}

static void rotate(struct heap_retainer *steps, size_t count, size_t first)
{
    reverse(steps, first);
    reverse(steps + first, count - first);
    reverse(steps, count);
}

int heap_path(struct heap *h, uint32_t node, struct heap_path *ret, struct err *e)
{
    *ret = (struct heap_path){.node = node};
    int r = heap_build_retainers(h, e);
    if (r < 0)
        return r;
    if (!(ret->steps = calloc(HEAP_PATH_MAX, sizeof *ret->steps)))
        return err_set(e, ERR_NOMEM, "out of memory for a path");
    size_t all = 0; /* from the node on; the second half of the room is a ring */
    while (h->distance[node] > 1) {
        struct heap_retainer step = {0};
        bool any;
        if ((r = heap_first_retainer(h, node, &step, &any)) < 0) {
            heap_path_free(ret);
            return err_set(e, r, "out of memory for a path");
        }
        /* Ever nearer to the roots, or it would be a circle. */
        if (!any || heap_shown_distance(h, step.node) >= heap_shown_distance(h, node))
            break;
        ret->steps[all < HEAP_PATH_MAX ? all : HALF + all % HALF] = step;
        all++;
        node = step.node;
    }
    ret->count = all < HEAP_PATH_MAX ? all : HEAP_PATH_MAX;
    ret->missing = all - ret->count;
    if (ret->missing > 0)
        rotate(ret->steps + HALF, HALF, all % HALF);
    reverse(ret->steps, ret->count);
    return 0;
}

void heap_path_free(struct heap_path *path)
{
    free(path->steps);
    path->steps = NULL;
}

/* ---- as text ---- */

static const char *class_name(const struct heap *h, uint32_t node)
{
    return h->classing.classes[h->classing.of[node]].name;
}

/* An edge as a person would write it: .name, [3], and in words what is none of JavaScript's. */
static int add_edge(const struct heap *h, uint32_t edge, bool merge, struct buf *out)
{
    enum heap_edge_kind kind = heap_edge_kind(h->edge[edge]);
    if (kind == HEAP_ELEMENT || kind == HEAP_HIDDEN_EDGE)
        return merge ? buf_add_text(out, "[]") : buf_addf(out, "[%u]", h->edge_name[edge]);
    int r = 0;
    size_t begin = out->length;
    if (kind == HEAP_CONTEXT)
        r = buf_add_text(out, "variable ");
    if (r == 0)
        r = heap_add_string(h, h->edge_name[edge], out);
    if (r < 0 || !merge)
        return r;
    /* Names that carry ids or numbers, such as WeakMap pairs, are merged, too. */
    size_t to = begin;
    for (size_t i = begin; i < out->length; i++) {
        bool digit = out->data[i] >= '0' && out->data[i] <= '9';
        if (digit && to > begin && out->data[to - 1] == '#')
            continue;
        out->data[to++] = digit ? '#' : out->data[i];
    }
    out->length = to;
    out->data[to] = '\0';
    return 0;
}

static bool same_step(
    const struct heap *h, const struct heap_path *p, size_t a, size_t b, bool merge)
{
    uint32_t x = p->steps[a].edge, y = p->steps[b].edge;
    enum heap_edge_kind kind = heap_edge_kind(h->edge[x]);
    if (kind != heap_edge_kind(h->edge[y]) ||
        h->classing.of[heap_edge_to(h->edge[x])] != h->classing.of[heap_edge_to(h->edge[y])])
        return false;
    bool index = kind == HEAP_ELEMENT || kind == HEAP_HIDDEN_EDGE;
    return (index && merge) || h->edge_name[x] == h->edge_name[y];
}

/* How often the steps from `at` on repeat before `end`, in periods of *ret_period steps; 1 if they
 * do not. */
static size_t repeats(const struct heap *h, const struct heap_path *p, size_t at, size_t end,
    bool merge, size_t *ret_period)
{
    for (size_t period = 1; period <= PERIOD_MAX; period++) {
        size_t same = at + period;
        while (same < end && same_step(h, p, same - period, same, merge))
            same++;
        if ((same - at) / period >= (merge ? 2 : FOLDED_FROM)) {
            *ret_period = period;
            return (same - at) / period;
        }
    }
    *ret_period = 1;
    return 1;
}

enum path_style { PATH_PLAIN, PATH_MERGED, PATH_WITH_IDS };

static int add_step(const struct heap *h, const struct heap_path *p, size_t i,
    enum path_style style, struct buf *out)
{
    uint32_t to = heap_edge_to(h->edge[p->steps[i].edge]);
    int r = add_edge(h, p->steps[i].edge, style == PATH_MERGED, out);
    if (r == 0)
        r = buf_addf(out, ": %s", class_name(h, to));
    if (r == 0 && style == PATH_WITH_IDS && to != p->node)
        r = buf_addf(out, " @%u", h->id[to]);
    return r;
}

/* Steps that come again and again are written once: " → next: Node ×1,997". */
static int add_steps(const struct heap *h, const struct heap_path *p, size_t from, size_t end,
    enum path_style style, struct buf *out)
{
    int r = 0;
    for (size_t i = from; i < end && r == 0;) {
        char count[TEXT_SHORT];
        size_t period, times = repeats(h, p, i, end, style == PATH_MERGED, &period);
        r = buf_add_text(out, times > 1 && period > 1 ? " → (" : " → ");
        for (size_t k = 0; k < period && r == 0; k++) {
            if (k > 0)
                r = buf_add_text(out, " → ");
            if (r == 0)
                r = add_step(h, p, i + k, style, out);
        }
        if (r == 0 && times > 1)
            r = buf_addf(out, "%s ×%s", period > 1 ? ")" : "",
                style == PATH_MERGED ? "n" : text_count(count, (int64_t)times));
        i += period * times;
    }
    return r;
}

/* Whether what comes again and again before the gap goes on behind it. */
static bool spans_gap(const struct heap *h, const struct heap_path *p)
{
    for (size_t period = 1; period <= PERIOD_MAX; period++)
        if (same_step(h, p, HALF - period, HALF, true))
            return true;
    return false;
}

static int add_path(
    const struct heap *h, const struct heap_path *p, enum path_style style, struct buf *out)
{
    uint32_t start = p->count ? p->steps[0].node : p->node;
    bool global = h->distance[start] == 1 && h->kind[start] != HEAP_SYNTHETIC;
    bool gap = p->missing && !(style == PATH_MERGED && spans_gap(h, p));
    size_t first = gap ? HALF : p->count;
    char count[TEXT_SHORT];
    int r = buf_addf(out, "%s%s", global ? "(global) " : "", class_name(h, start));
    if (r == 0)
        r = add_steps(h, p, 0, first, style, out);
    if (r == 0 && gap)
        r = style == PATH_MERGED
                ? buf_add_text(out, " → …")
                : buf_addf(out, " → … %s steps …", text_count(count, (int64_t)p->missing));
    return r ? r : add_steps(h, p, first, p->count, style, out);
}

int heap_add_path(const struct heap *h, const struct heap_path *path, bool ids, struct buf *out)
{
    return add_path(h, path, ids ? PATH_WITH_IDS : PATH_PLAIN, out);
}

/* ---- put together ---- */

struct grouping {
    struct heap *h;
    struct names texts;
    struct heap_path_group *groups; /* by number of its text */
    size_t count;
    size_t steps; /* of all ways */
    struct buf text;
};

static int group_order(const void *a, const void *b)
{
    const struct heap_path_group *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->text, y->text);
}

static int group_node(struct grouping *g, uint32_t node, struct err *e)
{
    struct heap_path path;
    uint32_t number;
    int r = heap_path(g->h, node, &path, e);
    if (r < 0)
        return r;
    g->steps += path.count + path.missing;
    buf_clear(&g->text);
    r = add_path(g->h, &path, PATH_MERGED, &g->text);
    heap_path_free(&path);
    if (r == 0)
        r = names_add(&g->texts, g->text.data, g->text.length, &number);
    if (r == 0 && number == g->count && !array_more(&g->groups, g->count))
        r = ERR_NOMEM;
    if (r < 0)
        return err_set(e, r, "out of memory for paths");
    if (number == g->count)
        g->groups[g->count++] = (struct heap_path_group){.example = node};
    g->groups[number].count++;
    g->groups[number].self_size += g->h->self[node];
    return 0;
}

int heap_group_paths(struct heap *h, const uint32_t *nodes, size_t count,
    struct heap_path_group **ret_groups, size_t *ret_count, size_t *ret_followed, struct err *e)
{
    struct grouping g = {.h = h, .text = buf_new(TEXT_BYTES_MAX)};
    size_t followed = 0, step = count / HEAP_PATHS_MAX + 1;
    int r = 0;
    /* In rounds, so that they are spread evenly wherever the steps run out. */
    for (size_t round = 0; round < SPREAD && r == 0; round++)
        for (size_t i = round * step; i < count && r == 0 && g.steps < STEPS_MAX;
             i += SPREAD * step) {
            r = group_node(&g, nodes[i], e);
            followed++;
        }
    buf_free(&g.text);
    if (r < 0) {
        names_free(&g.texts);
        free(g.groups);
        return r;
    }
    *ret_count = g.texts.count;
    for (uint32_t i = 0; i < g.texts.count; i++) {
        g.groups[i].text = g.texts.text[i];
        g.texts.text[i] = NULL; /* taken */
    }
    if (g.groups)
        qsort(g.groups, g.texts.count, sizeof *g.groups, group_order);
    names_free(&g.texts);
    *ret_groups = g.groups;
    *ret_followed = followed;
    return 0;
}

void heap_path_groups_free(struct heap_path_group *groups, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(groups[i].text);
    free(groups);
}
