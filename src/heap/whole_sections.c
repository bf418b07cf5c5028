/* What the sections of a capture must hold: which there are, their counts, how they begin. */
#include "base/text.h"
#include "heap/whole_inside.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

/* Numbers a row; V8 has had at most 7. */
#define FIELDS_MAX 64

static const char *const section_names[SECTION_COUNT] = {
    [SECTION_SNAPSHOT] = "snapshot",
    [SECTION_NODES] = "nodes",
    [SECTION_EDGES] = "edges",
    [SECTION_TRACE_FUNCTIONS] = "trace_function_infos",
    [SECTION_TRACE_TREE] = "trace_tree",
    [SECTION_SAMPLES] = "samples",
    [SECTION_LOCATIONS] = "locations",
    [SECTION_STRINGS] = "strings",
    [SECTION_HEAD] = "head",
};

const char *whole_section_name(enum section s)
{
    return section_names[s];
}

int whole_begin_section(struct whole *w)
{
    enum section s = SECTION_OTHER;
    for (int i = SECTION_OTHER + 1; i < SECTION_COUNT; i++) {
        size_t length = strlen(section_names[i]);
        if (length == w->key_length && memcmp(w->key, section_names[i], length) == 0)
            s = (enum section)i;
    }
    if (w->kind == WHOLE_UNKNOWN) {
        if (s == SECTION_SNAPSHOT)
            w->kind = WHOLE_SNAPSHOT;
        else if (s == SECTION_HEAD || s == SECTION_SAMPLES)
            w->kind = WHOLE_PROFILE;
        else
            return whole_foreign(w);
    }
    if (w->kind == WHOLE_PROFILE && s != SECTION_HEAD && s != SECTION_SAMPLES)
        s = SECTION_OTHER;
    if (s != SECTION_OTHER && w->seen[s])
        return whole_fail(w, WHOLE_DAMAGED, "a second \"%s\"", section_names[s]);
    w->seen[s] = true;
    w->section = s;
    return 0;
}

int whole_check_value(struct whole *w, unsigned char c)
{
    if (w->depth == 1 && w->section != SECTION_OTHER) {
        bool object = w->section == SECTION_SNAPSHOT || w->section == SECTION_HEAD;
        if (c != (object ? '{' : '['))
            return whole_unexpected(w, c, object ? "{" : "[");
    } else if (w->depth == 2 && w->kind == WHOLE_SNAPSHOT) {
        if (whole_is_rows(w->section) && c != '-' && (c < '0' || c > '9'))
            return whole_unexpected(w, c, "a number");
        if (w->section == SECTION_STRINGS && c != '"')
            return whole_unexpected(w, c, "a string");
    }
    return 0;
}

/* A whole number of at least 0, or -1. */
static int64_t get_count(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 0x1p53)
        return -1;
    int64_t count = (int64_t)item->valuedouble;
    return (double)count == item->valuedouble ? count : -1;
}

static int64_t get_fields(const cJSON *meta, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(meta, name);
    int count = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : 0;
    return count > 0 && count <= FIELDS_MAX ? count : 0;
}

static int end_meta(struct whole *w)
{
    cJSON *snapshot = cJSON_ParseWithLength(w->meta.data, w->meta.length);
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(snapshot, "meta");
    struct whole_rows *r = w->rows;
    r[SECTION_NODES].fields = get_fields(meta, "node_fields");
    r[SECTION_NODES].count = get_count(snapshot, "node_count");
    r[SECTION_EDGES].fields = get_fields(meta, "edge_fields");
    r[SECTION_EDGES].count = get_count(snapshot, "edge_count");
    r[SECTION_TRACE_FUNCTIONS].fields = get_fields(meta, "trace_function_info_fields");
    /* trace_function_count is no promise: V8 writes it before it has written out the tree, and more
     * functions follow (72 told, 81 there on Node 18; likewise up to 26). */
    r[SECTION_SAMPLES].fields = get_fields(meta, "sample_fields");
    r[SECTION_LOCATIONS].fields = get_fields(meta, "location_fields");
    r[SECTION_STRINGS].fields = 1;
    cJSON_Delete(snapshot);
    buf_free(&w->meta);
    if (r[SECTION_NODES].fields == 0 || r[SECTION_EDGES].fields == 0)
        return whole_fail(
            w, WHOLE_DAMAGED, "\"snapshot.meta\" does not tell the fields of a node and an edge");
    if (r[SECTION_NODES].count < 0 || r[SECTION_EDGES].count < 0)
        return whole_fail(w, WHOLE_DAMAGED, "\"snapshot\" does not tell node_count and edge_count");
    return 0;
}

static int end_rows(struct whole *w)
{
    const struct whole_rows *r = &w->rows[w->section];
    const char *name = section_names[w->section];
    bool known = r->fields > 0;
    if (known && r->count >= 0 && r->found != r->count * r->fields)
        return whole_fail(w, WHOLE_DAMAGED,
            "\"%s\" holds %" PRId64 " numbers, but \"snapshot\" tells of %" PRId64
            " rows of %" PRId64,
            name, r->found, r->count, r->fields);
    if (known && r->found % r->fields != 0)
        return whole_fail(w, WHOLE_DAMAGED,
            "\"%s\" holds %" PRId64 " numbers, which are no rows of %" PRId64, name, r->found,
            r->fields);
    return 0;
}

int whole_end_section(struct whole *w)
{
    int rc = 0;
    if (w->kind == WHOLE_SNAPSHOT && w->section == SECTION_SNAPSHOT)
        rc = end_meta(w);
    else if (w->kind == WHOLE_SNAPSHOT && whole_is_rows(w->section))
        rc = end_rows(w);
    else if (w->section == SECTION_HEAD && w->kind == WHOLE_PROFILE && !w->has_call_frame)
        rc = whole_fail(w, WHOLE_DAMAGED, "\"head\" has no \"callFrame\"");
    w->section = SECTION_OTHER;
    return rc;
}

int whole_end(struct whole *w)
{
    static const enum section needed[] = {SECTION_NODES, SECTION_EDGES, SECTION_STRINGS};
    w->lex = LEX_END;
    if (w->kind == WHOLE_UNKNOWN)
        return whole_foreign(w);
    if (w->kind == WHOLE_PROFILE)
        return w->seen[SECTION_HEAD] ? 0 : whole_fail(w, WHOLE_DAMAGED, "it has no \"head\"");
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!w->seen[needed[i]])
            return whole_fail(w, WHOLE_DAMAGED, "it has no \"%s\"", section_names[needed[i]]);
    return 0;
}

int whole_ends_early(struct whole *w)
{
    const struct whole_rows *r = &w->rows[w->section];
    const char *name = section_names[w->section];
    if (w->offset == 0)
        return whole_fail(w, WHOLE_TRUNCATED, "the file is empty");
    if (!name)
        return whole_fail(w, WHOLE_TRUNCATED, "it ends %s",
            w->kind == WHOLE_UNKNOWN ? "before its first key" : "before the closing brace");
    if (r->fields > 0 && r->count >= 0) {
        char found[TEXT_SHORT], promised[TEXT_SHORT];
        return whole_fail(w, WHOLE_TRUNCATED, "it ends in \"%s\", after %s of %s rows", name,
            text_count(found, r->found / r->fields), text_count(promised, r->count));
    }
    return whole_fail(w, WHOLE_TRUNCATED, "it ends in \"%s\"", name);
}

int64_t whole_rows_found(const struct whole *w, enum section s)
{
    const struct whole_rows *r = &w->rows[s];
    return r->fields > 0 ? r->found / r->fields : 0;
}
