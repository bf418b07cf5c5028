/* Stacks of the record. */
#include "diagnose/stack.h"

#include "base/buf.h"
#include "heap/allocations.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES (4u << 20) /* a stack has at the most some hundred frames of some KB */
#define LABEL_BYTES 8192

static const char *text_of(const cJSON *frame, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(frame, key));
    return text ? text : "";
}

static uint32_t number_of(const cJSON *frame, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(frame, key);
    double value = cJSON_IsNumber(item) ? item->valuedouble : 0;
    return value >= 1 && value < UINT32_MAX ? (uint32_t)value : 0;
}

static const cJSON *own_frame(const cJSON *stack)
{
    const cJSON *frame;
    cJSON_ArrayForEach(frame, stack)
    {
        const char *url = text_of(frame, "url");
        if (allocations_is_own(url))
            return frame;
        if (allocations_is_loader(url))
            return NULL;
    }
    return NULL;
}

/* "caller/<anonymous>" for a function without a name. */
static int add_label(const cJSON *frame, struct buf *out)
{
    const char *name = text_of(frame, "function"), *caller = "";
    for (const cJSON *at = frame->next; at && !*name && !*caller; at = at->next)
        caller = *text_of(at, "url") ? text_of(at, "function") : "";
    if (*name)
        return buf_add_text(out, name);
    return buf_addf(out, "%s%s<anonymous>", caller, *caller ? "/" : "");
}

static struct diagnosis_place *place_of(const cJSON *frame)
{
    struct diagnosis_place *place = calloc(1, sizeof *place);
    struct buf label = buf_new(LABEL_BYTES);
    const char *url = text_of(frame, "url");
    if (place && add_label(frame, &label) != ERR_NOMEM) {
        place->function = diagnosis_text(label.data ? label.data : "", label.length);
        place->url = diagnosis_text(url, strlen(url));
        place->line = number_of(frame, "line");
        place->column = number_of(frame, "column");
    }
    buf_free(&label);
    if (place && place->function && place->url)
        return place;
    diagnosis_place_free(place);
    return NULL;
}

int stack_own_place(const char *json, size_t length, struct diagnosis_place **ret, struct err *e)
{
    cJSON *stack = length <= STACK_BYTES ? cJSON_ParseWithLength(json, length) : NULL;
    const cJSON *frame = cJSON_IsArray(stack) ? own_frame(stack) : NULL;
    *ret = frame ? place_of(frame) : NULL;
    cJSON_Delete(stack);
    return frame && !*ret ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

bool stack_has_function(const char *json, size_t length, const char *ending)
{
    cJSON *stack = length <= STACK_BYTES ? cJSON_ParseWithLength(json, length) : NULL;
    const cJSON *frame;
    bool has = false;
    cJSON_ArrayForEach(frame, stack)
    {
        const char *name = text_of(frame, "function");
        size_t from = strlen(name) < strlen(ending) ? 0 : strlen(name) - strlen(ending);
        has |= strcmp(name + from, ending) == 0 && allocations_is_own(text_of(frame, "url"));
    }
    cJSON_Delete(stack);
    return has;
}
