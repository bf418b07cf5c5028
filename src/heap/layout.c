/* snapshot.meta: which field of a row is where, and what the type numbers mean. */
#include "base/text.h"
#include "heap/inside.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[HEAP_KINDS] = {
    [HEAP_HIDDEN] = "hidden",
    [HEAP_ARRAY] = "array",
    [HEAP_STRING] = "string",
    [HEAP_OBJECT] = "object",
    [HEAP_CODE] = "code",
    [HEAP_CLOSURE] = "closure",
    [HEAP_REGEXP] = "regexp",
    [HEAP_NUMBER] = "number",
    [HEAP_NATIVE] = "native",
    [HEAP_SYNTHETIC] = "synthetic",
    [HEAP_CONS_STRING] = "concatenated string",
    [HEAP_SLICED_STRING] = "sliced string",
    [HEAP_SYMBOL] = "symbol",
    [HEAP_BIGINT] = "bigint",
    [HEAP_SHAPE] = "object shape",
};

static const char *const edge_kind_names[] = {
    [HEAP_CONTEXT] = "context",
    [HEAP_ELEMENT] = "element",
    [HEAP_PROPERTY] = "property",
    [HEAP_INTERNAL] = "internal",
    [HEAP_HIDDEN_EDGE] = "hidden",
    [HEAP_SHORTCUT] = "shortcut",
    [HEAP_WEAK] = "weak",
    [HEAP_OTHER_EDGE] = "other",
};

const char *heap_kind_name(const struct heap *h, uint8_t kind)
{
    if (kind < HEAP_KINDS)
        return kind_names[kind];
    const char *name =
        kind >= HEAP_UNKNOWN_KIND ? h->layout.unknown[kind - HEAP_UNKNOWN_KIND] : NULL;
    return name ? name : "unknown";
}

const char *heap_edge_kind_name(enum heap_edge_kind kind)
{
    return edge_kind_names[kind];
}

/* The "snapshot" object while it is read. */
struct header {
    const cJSON *root, *meta;    /* borrowed */
    const struct source *source; /* borrowed */
    uint64_t position;           /* of the object in the file, for errors */
};

/* A whole number of the header within [0, max]; missing gives `otherwise`, or an error if that is
 * negative. */
static int number_of(const struct header *d, const char *key, uint64_t max, int64_t otherwise,
    uint64_t *ret_value, struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(d->root, key);
    if (!item && otherwise >= 0) {
        *ret_value = (uint64_t)otherwise;
        return 0;
    }
    if (!cJSON_IsNumber(item))
        return source_bad(d->source, d->position, e, "the header has no number \"%s\"", key);
    double v = item->valuedouble;
    if (!(v >= 0) || v > (double)max || v != floor(v))
        return source_bad(d->source, d->position, e,
            "the header's \"%s\" is %.17g, not a whole number up to %llu", key, v,
            (unsigned long long)max);
    *ret_value = (uint64_t)v;
    return 0;
}

static int8_t field_at(const cJSON *fields, const char *name)
{
    int at = 0;
    const cJSON *f;
    cJSON_ArrayForEach(f, fields)
    {
        if (cJSON_IsString(f) && strcmp(f->valuestring, name) == 0)
            return (int8_t)at;
        at++;
    }
    return -1;
}

struct want {
    const char *name;
    int8_t *at;
    bool needed;
};

/* Where the fields that are wanted stand in meta's list of a row's fields. */
static int fields_read(const struct header *d, const char *key, const struct want *want,
    size_t wants, uint8_t *ret_count, struct err *e)
{
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(d->meta, key);
    int count = cJSON_IsArray(fields) ? cJSON_GetArraySize(fields) : 0;
    if (count > FIELDS_MAX)
        return source_bad(d->source, d->position, e,
            "meta.%s has %d entries; at most %d are understood", key, count, FIELDS_MAX);
    *ret_count = (uint8_t)count;
    for (size_t i = 0; i < wants; i++) {
        *want[i].at = field_at(fields, want[i].name);
        if (*want[i].at < 0 && want[i].needed && count)
            return source_bad(
                d->source, d->position, e, "meta.%s does not name \"%s\"", key, want[i].name);
    }
    return 0;
}

static int needed(const struct header *d, const char *key, uint8_t count, struct err *e)
{
    return count ? 0 : source_bad(d->source, d->position, e, "the header has no meta.%s", key);
}

/* The list of type names behind a field: meta.node_types[0], meta.edge_types[0]. */
static int types_read(const struct header *d, const char *key, int at, const cJSON **ret_types,
    uint32_t *ret_count, struct err *e)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(d->meta, key);
    const cJSON *types = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, at) : NULL;
    int count = cJSON_IsArray(types) ? cJSON_GetArraySize(types) : 0;
    if (count == 0 || count > TYPES_MAX)
        return source_bad(d->source, d->position, e,
            "meta.%s names %d types; 1 to %d are understood", key, count, TYPES_MAX);
    const cJSON *t;
    cJSON_ArrayForEach(t, types)
    {
        if (!cJSON_IsString(t))
            return source_bad(
                d->source, d->position, e, "meta.%s holds something that is no name", key);
    }
    *ret_types = types;
    *ret_count = (uint32_t)count;
    return 0;
}

static int node_types_read(struct layout *l, const struct header *d, struct err *e)
{
    const cJSON *types, *t;
    int r = types_read(d, "node_types", l->type, &types, &l->node_types, e);
    if (r < 0)
        return r;
    uint32_t i = 0;
    cJSON_ArrayForEach(t, types)
    {
        uint32_t k = 0;
        while (k < HEAP_KINDS && strcmp(kind_names[k], t->valuestring) != 0)
            k++;
        if (k == HEAP_KINDS) {
            k = HEAP_UNKNOWN_KIND + i;
            l->unknown[i] = strdup(t->valuestring);
            if (!l->unknown[i])
                return err_set(e, ERR_NOMEM, "%s: no memory for its header", d->source->name);
        }
        l->kind_of[i++] = (uint8_t)k;
    }
    return 0;
}

static int edge_types_read(struct layout *l, const struct header *d, struct err *e)
{
    const cJSON *types, *t;
    int r = types_read(d, "edge_types", l->edge_type, &types, &l->edge_types, e);
    if (r < 0)
        return r;
    uint32_t i = 0;
    l->edges_as_written = true;
    cJSON_ArrayForEach(t, types)
    {
        uint32_t k = 0;
        while (k < HEAP_OTHER_EDGE && strcmp(edge_kind_names[k], t->valuestring) != 0)
            k++;
        if (k == HEAP_OTHER_EDGE && strcmp(t->valuestring, "invisible") == 0)
            l->other_is_invisible = true;
        if (k != i)
            l->edges_as_written = false;
        l->edge_kind_of[i++] = (uint8_t)k;
    }
    return 0;
}

static int counts_read(struct layout *l, const struct header *d, struct err *e)
{
    const uint64_t size = d->source->size;
    uint64_t nodes, edges, at, traces;
    int r = number_of(d, "node_count", NODES_MAX, -1, &nodes, e);
    if (r == 0)
        r = number_of(d, "edge_count", EDGES_MAX, -1, &edges, e);
    if (r == 0)
        r = number_of(d, "root_index", UINT32_MAX, 0, &at, e);
    if (r == 0)
        r = number_of(d, "trace_function_count", UINT32_MAX, 0, &traces, e);
    if (r == 0)
        r = number_of(d, "extra_native_bytes", UINT64_C(1) << 53, 0, &l->extra_native_bytes, e);
    if (r)
        return r;
    if (nodes == 0)
        return source_bad(d->source, d->position, e, "the header says that there are no nodes");
    /* A row takes two bytes a field at the least, so that a lie cannot make us allocate much. */
    if (nodes * 2 * l->node_fields > size || edges * 2 * l->edge_fields > size) {
        char a[TEXT_SHORT], b[TEXT_SHORT], c[TEXT_SHORT];
        return source_bad(d->source, d->position, e,
            "the header says %s nodes and %s edges, but the file has only %s bytes: it is "
            "truncated or damaged",
            text_count(a, (int64_t)nodes), text_count(b, (int64_t)edges),
            text_count(c, (int64_t)size));
    }
    l->node_count = (uint32_t)nodes;
    l->edge_count = (uint32_t)edges;
    l->trace_function_count = (uint32_t)traces;
    if (at % l->node_fields || at / l->node_fields >= nodes)
        return source_bad(d->source, d->position, e, "the header's root_index %llu is no node",
            (unsigned long long)at);
    l->root_index = (uint32_t)at / l->node_fields;
    return 0;
}

int layout_read(struct layout *l, const struct source *s, const char *json, size_t length,
    uint64_t position, struct err *e)
{
    const char *stopped = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(json, length, &stopped, false);
    if (!root)
        return source_bad(s, position + (stopped ? (uint64_t)(stopped - json) : 0), e,
            "the \"snapshot\" object is not JSON");
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(root, "meta");
    const struct want node[] = {{"type", &l->type, true}, {"name", &l->name, true},
        {"id", &l->id, true}, {"self_size", &l->self, true}, {"edge_count", &l->edges, true},
        {"detachedness", &l->detachedness, false}, {"trace_node_id", &l->trace, false}};
    const struct want edge[] = {{"type", &l->edge_type, true},
        {"name_or_index", &l->edge_name, true}, {"to_node", &l->edge_to, true}};
    const struct want place[] = {{"object_index", &l->location_object, true},
        {"script_id", &l->location_script, true}, {"line", &l->location_line, true},
        {"column", &l->location_column, true}};
    const struct header d = {root, meta, s, position};
    int r = fields_read(&d, "node_fields", node, COUNT_OF(node), &l->node_fields, e);
    if (r == 0)
        r = needed(&d, "node_fields", l->node_fields, e);
    if (r == 0)
        r = fields_read(&d, "edge_fields", edge, COUNT_OF(edge), &l->edge_fields, e);
    if (r == 0)
        r = needed(&d, "edge_fields", l->edge_fields, e);
    if (r == 0)
        r = fields_read(&d, "location_fields", place, COUNT_OF(place), &l->location_fields, e);
    if (r == 0)
        r = fields_read(&d, "sample_fields", NULL, 0, &l->sample_fields, e);
    if (r == 0)
        r = fields_read(&d, "trace_function_info_fields", NULL, 0, &l->trace_info_fields, e);
    if (r == 0)
        r = node_types_read(l, &d, e);
    if (r == 0)
        r = edge_types_read(l, &d, e);
    if (r == 0)
        r = counts_read(l, &d, e);
    cJSON_Delete(root);
    return r;
}

void layout_free(struct layout *l)
{
    for (size_t i = 0; i < COUNT_OF(l->unknown); i++)
        free(l->unknown[i]);
}
