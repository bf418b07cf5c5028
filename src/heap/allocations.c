/* Stacks of allocations: a flat tree, and what can be asked of it. */
#include "heap/allocations.h"

#include "base/array.h"
#include "base/own.h"
#include "base/text.h"
#include "heap/allocations_inside.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX (1u << 22) /* of stacks; V8 makes a node a distinct stack, servers have 1e4 */

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

/* ---- frames and amounts ---- */

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

int64_t allocations_sum(int64_t a, int64_t b)
{
    int64_t both;
    if (a == ALLOCATION_UNKNOWN || b == ALLOCATION_UNKNOWN)
        return ALLOCATION_UNKNOWN;
    return __builtin_add_overflow(a, b, &both) ? INT64_MAX : both;
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
