/* Stacks of allocations: a sampling profile as a flat tree, and folding by site. */
#include "heap/allocations.h"

#include "base/array.h"
#include "base/own.h"
#include "base/text.h"
#include "heap/allocations_inside.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX (1u << 22) /* of stacks; V8 makes a node a distinct stack, servers have 1e4 */
#define LABEL_MAX (64 * 1024)
#define EXACT_MAX 9007199254740992.0 /* 2^53: whole numbers that JSON can say */

/* ---- texts that never move ---- */

#define TEXT_BLOCK 65536

struct text_block {
    struct text_block *next;
    size_t used, size;
    char bytes[];
};

const char *texts_add(struct text_block **texts, const char *text, size_t length)
{
    struct text_block *block = *texts;
    if (!block || block->size - block->used <= length) {
        size_t size = length >= TEXT_BLOCK ? length + 1 : TEXT_BLOCK;
        block = malloc(sizeof *block + size);
        if (!block)
            return NULL;
        *block = (struct text_block){.next = *texts, .size = size};
        *texts = block;
    }
    char *copy = block->bytes + block->used;
    memcpy(copy, text, length);
    copy[length] = '\0';
    block->used += length + 1;
    return copy;
}

void texts_free(struct text_block *texts)
{
    while (texts) {
        struct text_block *next = texts->next;
        free(texts);
        texts = next;
    }
}

/* ---- the flat tree ---- */

int allocations_add_frame(
    struct allocations *a, const struct allocation_frame *frame, uint32_t *ret, struct err *e)
{
    if (a->frame_count == NODES_MAX || !array_more(&a->frames, a->frame_count))
        return err_set(e, ERR_NOMEM, "no memory for more than %u functions", a->frame_count);
    struct allocation_frame copy = *frame;
    copy.function = texts_add(&a->texts, frame->function, strlen(frame->function));
    copy.url = texts_add(&a->texts, frame->url, strlen(frame->url));
    if (!copy.function || !copy.url)
        return err_set(e, ERR_NOMEM, "no memory for the names of functions");
    a->frames[a->frame_count] = copy;
    *ret = a->frame_count++;
    return 0;
}

int allocations_add_node(
    struct allocations *a, const struct allocation_node *node, uint32_t *ret, struct err *e)
{
    if (a->node_count == NODES_MAX || !array_more(&a->nodes, a->node_count))
        return err_set(e, ERR_NOMEM, "no memory for more than %u stacks", a->node_count);
    a->nodes[a->node_count] = *node;
    *ret = a->node_count++;
    return 0;
}

void allocations_free(struct allocations *a)
{
    if (!a)
        return;
    texts_free(a->texts);
    free(a->frames);
    free(a->nodes);
    free(a->intervals);
    free(a);
}

bool allocations_is_profile(const struct allocations *a)
{
    return a->is_profile;
}

uint32_t allocations_count(const struct allocations *a)
{
    return a->node_count;
}

const struct allocation_node *allocations_node(const struct allocations *a, uint32_t node)
{
    return &a->nodes[node];
}

const struct allocation_frame *allocations_frame(const struct allocations *a, uint32_t node)
{
    return &a->frames[a->nodes[node].frame];
}

int64_t allocations_samples(const struct allocations *a)
{
    return a->samples;
}

uint32_t allocations_intervals(
    const struct allocations *a, const struct allocation_interval **ret_intervals)
{
    *ret_intervals = a->intervals;
    return a->interval_count;
}

int64_t allocations_recorded(const struct allocations *a, int64_t *ret_with_stack)
{
    *ret_with_stack = a->recorded_with_stack;
    return a->recorded;
}

/* ---- functions ---- */

static int by_bytes(const void *x, const void *y)
{
    const struct allocation_function *a = x, *b = y;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return (a->frame > b->frame) - (a->frame < b->frame);
}

int allocations_functions(const struct allocations *a, struct allocation_function **ret,
    uint32_t *ret_count, struct err *e)
{
    struct allocation_function *list = calloc((size_t)a->frame_count + 1, sizeof *list);
    uint32_t kept = 0;
    if (!list)
        return err_set(e, ERR_NOMEM, "no memory for %u functions", a->frame_count);
    for (uint32_t i = 0; i < a->frame_count; i++)
        list[i].frame = &a->frames[i];
    for (uint32_t i = 0; i < a->node_count; i++) {
        const struct allocation_node *node = &a->nodes[i];
        struct allocation_function *f = &list[node->frame];
        if (node->count == 0)
            continue;
        f->count += node->count;
        f->bytes += node->bytes;
        f->live_count += node->live_count;
        f->live_bytes += node->live_bytes;
    }
    for (uint32_t i = 0; i < a->frame_count; i++)
        if (list[i].count)
            list[kept++] = list[i];
    qsort(list, kept, sizeof *list, by_bytes);
    *ret = list;
    *ret_count = kept;
    return 0;
}

/* ---- a sampling profile ---- */

/* A place that JSON gives from 0 (-1: none), from 1. */
static uint32_t place(const cJSON *frame, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(frame, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < UINT32_MAX - 1))
        return 0;
    return (uint32_t)item->valuedouble + 1;
}

static int add_profile_node(
    struct allocations *a, const cJSON *item, uint32_t parent, uint32_t *ret, struct err *e)
{
    const cJSON *frame = cJSON_GetObjectItemCaseSensitive(item, "callFrame");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(item, "selfSize");
    const char *function =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(frame, "functionName"));
    const char *url = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(frame, "url"));
    if (!function || !cJSON_IsNumber(size) ||
        !(size->valuedouble >= 0 && size->valuedouble <= EXACT_MAX))
        return err_set(
            e, ERR_FORMAT, "stack %u of the profile has no function or no size", a->node_count);
    struct allocation_frame f = {.function = function,
        .url = url ? url : "",
        .line = place(frame, "lineNumber"),
        .column = place(frame, "columnNumber")};
    struct allocation_node node = {.parent = parent,
        .live_count = ALLOCATION_UNKNOWN,
        .live_bytes = (int64_t)size->valuedouble,
        .count = ALLOCATION_UNKNOWN,
        .bytes = ALLOCATION_UNKNOWN};
    int rc = allocations_add_frame(a, &f, &node.frame, e);
    return rc ? rc : allocations_add_node(a, &node, ret, e);
}

struct step { /* the next of some siblings */
    const cJSON *item;
    uint32_t parent;
};

static int add_profile_nodes(struct allocations *a, const cJSON *head, struct err *e)
{
    struct step *steps = NULL;
    size_t room = 0;
    uint32_t depth = 0, node;
    int rc = add_profile_node(a, head, ALLOCATION_NONE, &node, e);
    const cJSON *item = head;
    while (rc == 0) {
        const cJSON *children = cJSON_GetObjectItemCaseSensitive(item, "children");
        if (children && !cJSON_IsArray(children)) {
            rc = err_set(e, ERR_FORMAT, "stack %u of the profile has no list of children", node);
            break;
        }
        if (children && children->child) {
            if (!array_grow(&steps, &room, depth + 1)) {
                rc = err_set(e, ERR_NOMEM, "no memory for stacks %u deep", depth);
                break;
            }
            steps[depth++] = (struct step){children->child, node};
        }
        while (depth && !steps[depth - 1].item)
            depth--;
        if (depth == 0)
            break;
        item = steps[depth - 1].item;
        steps[depth - 1].item = item->next;
        rc = add_profile_node(a, item, steps[depth - 1].parent, &node, e);
    }
    free(steps);
    return rc;
}

int allocations_from_profile(const cJSON *profile, struct allocations **ret, struct err *e)
{
    const cJSON *head = cJSON_GetObjectItemCaseSensitive(profile, "head");
    const cJSON *samples = cJSON_GetObjectItemCaseSensitive(profile, "samples");
    if (!cJSON_IsObject(head))
        return err_set(e, ERR_FORMAT, "this is no sampling profile: it has no \"head\"");
    struct allocations *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "out of memory");
    a->is_profile = true;
    a->samples = cJSON_IsArray(samples) ? cJSON_GetArraySize(samples) : ALLOCATION_UNKNOWN;
    int rc = add_profile_nodes(a, head, e);
    if (rc)
        allocations_free(a);
    else
        *ret = a;
    return rc;
}

/* ---- folding ---- */

/* The node whose frame is the site of a stack: the node itself where no frame has a URL. */
static uint32_t site_of(const struct allocations *a, uint32_t node)
{
    uint32_t at = node;
    while (at != ALLOCATION_NONE && !*allocations_frame(a, at)->url)
        at = a->nodes[at].parent;
    return at == ALLOCATION_NONE ? node : at;
}

bool allocations_is_own(const char *url)
{
    static const char *const others[] = {"node:", "ext:", "wasm:", "chrome-extension:"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(url, others[i], strlen(others[i])) == 0)
            return false;
    return *url && !own_is_url(url) && !strstr(url, "/node_modules/");
}

bool allocations_is_loader(const char *url)
{
    return strncmp(url, "node:internal/modules/", strlen("node:internal/modules/")) == 0;
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

int allocations_compare_frames(const struct allocation_frame *a, const struct allocation_frame *b)
{
    int order = strcmp(a->function, b->function);
    if (order == 0)
        order = strcmp(a->url, b->url);
    if (order == 0)
        order = (a->line > b->line) - (a->line < b->line);
    if (order == 0)
        order = (a->column > b->column) - (a->column < b->column);
    return order;
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

int64_t allocations_sum(int64_t a, int64_t b)
{
    int64_t both;
    if (a == ALLOCATION_UNKNOWN || b == ALLOCATION_UNKNOWN)
        return ALLOCATION_UNKNOWN;
    return __builtin_add_overflow(a, b, &both) ? INT64_MAX : both;
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

/* ---- for JSON ---- */

static bool add_text(cJSON *object, const char *key, const char *text)
{
    struct buf clean = buf_new(4 * strlen(text) + 1);
    bool added = text_add_storable(&clean, text, strlen(text)) == 0 &&
                 cJSON_AddStringToObject(object, key, clean.data ? clean.data : "");
    buf_free(&clean);
    return added;
}

cJSON *allocations_stack(const struct allocations *a, uint32_t node)
{
    cJSON *stack = cJSON_CreateArray();
    /* The root, which stands for no function, is left out. */
    for (; stack && node != ALLOCATION_NONE && a->nodes[node].parent != ALLOCATION_NONE;
         node = a->nodes[node].parent) {
        const struct allocation_frame *f = allocations_frame(a, node);
        cJSON *frame = cJSON_CreateObject();
        bool whole = frame && add_text(frame, "function", f->function) &&
                     add_text(frame, "url", f->url) &&
                     cJSON_AddNumberToObject(frame, "line", f->line) &&
                     cJSON_AddNumberToObject(frame, "column", f->column) &&
                     cJSON_AddItemToArray(stack, frame);
        if (!whole) {
            cJSON_Delete(frame);
            cJSON_Delete(stack);
            stack = NULL;
        }
    }
    return stack;
}
