/* A sampling profile as stacks of allocations. */
#include "base/array.h"
#include "heap/allocations_inside.h"

#include <stdlib.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53: whole numbers that JSON can say */

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
