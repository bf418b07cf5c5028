/* Stacks of allocations folded by site: the line that a person looks for. */
#include "heap/allocations_inside.h"

#include <stdlib.h>
#include <string.h>

#define LABEL_MAX (64 * 1024)

/* The node whose frame is the site of a stack: the node itself where no frame has a URL. */
static uint32_t site_of(const struct allocations *a, uint32_t node)
{
    uint32_t at = node;
    while (at != ALLOCATION_NONE && !*allocations_frame(a, at)->url)
        at = a->nodes[at].parent;
    return at == ALLOCATION_NONE ? node : at;
}

static struct allocation_frame own_frame(const struct allocations *a, uint32_t node)
{
    for (; node != ALLOCATION_NONE; node = a->nodes[node].parent) {
        const struct allocation_frame *frame = allocations_frame(a, node);
        if (allocations_is_own(frame->url))
            return *frame;
        if (allocations_is_loader(frame->url))
            break;
    }
    return (struct allocation_frame){.function = "", .url = ""};
}

static const char *site_label(const struct allocations *a, uint32_t node, struct text_block **texts)
{
    const char *name = allocations_frame(a, node)->function;
    if (*name)
        return texts_add(texts, name, strlen(name));
    uint32_t at = a->nodes[node].parent;
    while (at != ALLOCATION_NONE &&
           !(*allocations_frame(a, at)->function && *allocations_frame(a, at)->url))
        at = a->nodes[at].parent;
    struct buf label = buf_new(LABEL_MAX);
    const char *made = NULL;
    if (buf_addf(&label, "%s%s<anonymous>",
            at == ALLOCATION_NONE ? "" : allocations_frame(a, at)->function,
            at == ALLOCATION_NONE ? "" : "/") == 0)
        made = texts_add(texts, label.data, label.length);
    buf_free(&label);
    return made;
}

int allocation_site_compare(const struct allocation_site *a, const struct allocation_site *b)
{
    return allocations_compare_frames(&a->frame, &b->frame);
}

static int by_key(const void *a, const void *b)
{
    return allocation_site_compare(a, b);
}

static int by_rank(const void *x, const void *y)
{
    const struct allocation_site *a = x, *b = y;
    if (a->live_bytes != b->live_bytes)
        return a->live_bytes > b->live_bytes ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return allocation_site_compare(a, b);
}

void allocation_sites_rank(struct allocation_sites *s)
{
    if (s->count)
        qsort(s->items, s->count, sizeof *s->items, by_rank);
}

/* Joins neighbours with the same key; the sites are sorted. */
static void join_same(struct allocation_sites *s, const struct allocations *a)
{
    size_t kept = 0;
    for (size_t i = 1; i < s->count; i++) {
        struct allocation_site *to = &s->items[kept], *from = &s->items[i];
        if (allocation_site_compare(to, from) != 0) {
            s->items[++kept] = *from;
            continue;
        }
        if (a->nodes[from->heaviest].live_bytes > a->nodes[to->heaviest].live_bytes)
            to->heaviest = from->heaviest;
        to->live_count = allocations_sum(to->live_count, from->live_count);
        to->live_bytes = allocations_sum(to->live_bytes, from->live_bytes);
        to->count = allocations_sum(to->count, from->count);
        to->bytes = allocations_sum(to->bytes, from->bytes);
    }
    s->count = s->count ? kept + 1 : 0;
}

static int add_own_frames(struct allocation_sites *s, const struct allocations *a, struct err *e)
{
    struct text_block *texts = s->texts;
    int rc = 0;
    for (size_t i = 0; i < s->count && rc == 0; i++) {
        struct allocation_frame *own = &s->items[i].own;
        *own = own_frame(a, s->items[i].heaviest);
        own->function = texts_add(&texts, own->function, strlen(own->function));
        own->url = texts_add(&texts, own->url, strlen(own->url));
        if (!own->function || !own->url)
            rc = err_set(e, ERR_NOMEM, "no memory for the names of functions");
    }
    s->texts = texts;
    return rc;
}

int allocations_fold(const struct allocations *a, struct allocation_sites *ret, struct err *e)
{
    struct allocation_sites s = {.items = calloc(a->node_count, sizeof *s.items)};
    struct text_block *texts = NULL;
    int rc = s.items ? 0 : err_set(e, ERR_NOMEM, "no memory for %u stacks", a->node_count);
    for (uint32_t i = 0; i < a->node_count && rc == 0; i++) {
        const struct allocation_node *node = &a->nodes[i];
        if (node->live_bytes <= 0 && node->count <= 0)
            continue;
        uint32_t at = site_of(a, i);
        struct allocation_site *site = &s.items[s.count++];
        *site = (struct allocation_site){.frame = *allocations_frame(a, at),
            .live_count = node->live_count,
            .live_bytes = node->live_bytes,
            .count = node->count,
            .bytes = node->bytes,
            .heaviest = i};
        site->frame.function = site_label(a, at, &texts);
        site->frame.url = texts_add(&texts, site->frame.url, strlen(site->frame.url));
        if (!site->frame.function || !site->frame.url)
            rc = err_set(e, ERR_NOMEM, "no memory for the names of functions");
    }
    s.texts = texts;
    if (rc) {
        allocation_sites_free(&s);
        return rc;
    }
    if (s.count)
        qsort(s.items, s.count, sizeof *s.items, by_key);
    join_same(&s, a);
    rc = add_own_frames(&s, a, e);
    if (rc)
        allocation_sites_free(&s);
    else
        *ret = s;
    return rc;
}

void allocation_sites_free(struct allocation_sites *s)
{
    free(s->items);
    texts_free(s->texts);
    *s = (struct allocation_sites){0};
}

void allocation_sites_walk(const struct allocation_sites *then, const struct allocation_sites *now,
    void (*tell)(void *arg, const struct allocation_site *then, const struct allocation_site *now),
    void *arg)
{
    size_t i = 0, j = 0;
    while (i < then->count || j < now->count) {
        int order = i == then->count  ? 1
                    : j == now->count ? -1
                                      : allocation_site_compare(&then->items[i], &now->items[j]);
        tell(arg, order <= 0 ? &then->items[i] : NULL, order >= 0 ? &now->items[j] : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}
