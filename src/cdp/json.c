/* Checked reading and writing of cJSON trees. */
#include "cdp/json.h"
#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MAX      9007199254740992.0 /* 2^53: beyond it a double skips whole numbers */
#define PATH_MAX_DEPTH 16                 /* schema types nest three deep; more is our bug */

static const char *kind_of(const cJSON *item)
{
    if (cJSON_IsObject(item))
        return "an object";
    if (cJSON_IsArray(item))
        return "an array";
    if (cJSON_IsString(item))
        return "a string";
    if (cJSON_IsNumber(item))
        return "a number";
    if (cJSON_IsBool(item))
        return "a boolean";
    return "null";
}

static const char *const kind_names[] = {
    "something", "an object", "a string", "a boolean", "a number", "a whole number"};

static bool is_kind(const cJSON *item, enum json_kind kind)
{
    switch (kind) {
    case JSON_ANY: return true;
    case JSON_OBJECT: return cJSON_IsObject(item);
    case JSON_STRING: return cJSON_IsString(item);
    case JSON_BOOLEAN: return cJSON_IsBool(item);
    case JSON_NUMBER: return cJSON_IsNumber(item) && isfinite(item->valuedouble);
    case JSON_INTEGER:
        return cJSON_IsNumber(item) && fabs(item->valuedouble) <= EXACT_MAX &&
               item->valuedouble == trunc(item->valuedouble);
    }
    return false;
}

/* "Runtime.evaluate.result" and ".type" behind it, if key is given. */
static void add_path(struct buf *out, const struct json_at *at, const char *key)
{
    const char *names[PATH_MAX_DEPTH];
    size_t count = 0;
    for (; at; at = at->up) {
        assert(count < PATH_MAX_DEPTH);
        names[count++] = at->name;
    }
    int rc = 0;
    while (count && !rc) {
        rc = buf_add_text(out, names[--count]);
        if (!rc && (count || key))
            rc = buf_add_text(out, ".");
    }
    if (!rc && key)
        rc = buf_add_text(out, key);
    (void)rc; /* a path cut short still says where */
}

static int wrong(const struct json_at *at, const char *key, const cJSON *item, const char *expected,
    struct err *e)
{
    struct buf path = buf_new(ERR_TEXT_MAX);
    add_path(&path, at, key);
    int rc = item ? err_set(e, ERR_PROTOCOL, "%s is %s, not %s", path.data ? path.data : "?",
                        kind_of(item), expected)
                  : err_set(e, ERR_PROTOCOL, "%s is missing", path.data ? path.data : "?");
    buf_free(&path);
    return rc;
}

/* Finds a field; *ret_item stays NULL when it is absent and may be. */
static int find(const struct json_at *at, const cJSON *object, const char *key, enum json_kind kind,
    const cJSON **ret_item, bool *ret_present, struct err *e)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item && cJSON_IsNull(item) && kind != JSON_ANY && ret_present)
        item = NULL;
    if (ret_present)
        *ret_present = item != NULL;
    if (!item)
        return ret_present ? 0 : wrong(at, key, NULL, NULL, e);
    if (!is_kind(item, kind))
        return wrong(at, key, item, kind_names[kind], e);
    *ret_item = item;
    return 0;
}

int json_is_object(const struct json_at *at, const cJSON *item, struct err *e)
{
    return cJSON_IsObject(item) ? 0 : wrong(at, NULL, item, "an object", e);
}

int json_string(const struct json_at *at, const cJSON *object, const char *key, const char **ret,
    bool *ret_present, struct err *e)
{
    const cJSON *item = NULL;
    int rc = find(at, object, key, JSON_STRING, &item, ret_present, e);
    if (item)
        *ret = item->valuestring;
    return rc;
}

int json_boolean(const struct json_at *at, const cJSON *object, const char *key, bool *ret,
    bool *ret_present, struct err *e)
{
    const cJSON *item = NULL;
    int rc = find(at, object, key, JSON_BOOLEAN, &item, ret_present, e);
    if (item)
        *ret = cJSON_IsTrue(item);
    return rc;
}

int json_number(const struct json_at *at, const cJSON *object, const char *key, double *ret,
    bool *ret_present, struct err *e)
{
    const cJSON *item = NULL;
    int rc = find(at, object, key, JSON_NUMBER, &item, ret_present, e);
    if (item)
        *ret = item->valuedouble;
    return rc;
}

int json_integer(const struct json_at *at, const cJSON *object, const char *key, int64_t *ret,
    bool *ret_present, struct err *e)
{
    const cJSON *item = NULL;
    int rc = find(at, object, key, JSON_INTEGER, &item, ret_present, e);
    if (item)
        *ret = (int64_t)item->valuedouble;
    return rc;
}

int json_any(const struct json_at *at, const cJSON *object, const char *key, const cJSON **ret,
    bool *ret_present, struct err *e)
{
    return find(at, object, key, JSON_ANY, ret, ret_present, e);
}

int json_object(const struct json_at *at, const cJSON *object, const char *key, const cJSON **ret,
    bool *ret_present, struct err *e)
{
    return find(at, object, key, JSON_OBJECT, ret, ret_present, e);
}

int json_array(const struct json_at *at, const cJSON *object, const char *key, enum json_kind items,
    const cJSON **ret, bool *ret_present, struct err *e)
{
    const cJSON *array = NULL;
    int rc = find(at, object, key, JSON_ANY, &array, ret_present, e);
    if (rc || !array)
        return rc;
    if (cJSON_IsNull(array) && ret_present) {
        *ret_present = false;
        return 0;
    }
    if (!cJSON_IsArray(array))
        return wrong(at, key, array, "an array", e);
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, array)
    {
        if (!is_kind(item, items))
            return wrong(at, key, item, kind_names[items], e),
                   err_context(e, "an item of an array");
    }
    *ret = array;
    return 0;
}

bool json_put_string(cJSON *object, const char *key, const char *value)
{
    assert(value);
    return cJSON_AddStringToObject(object, key, value) != NULL;
}

bool json_put_boolean(cJSON *object, const char *key, bool value)
{
    return cJSON_AddBoolToObject(object, key, value) != NULL;
}

bool json_put_number(cJSON *object, const char *key, double value)
{
    return cJSON_AddNumberToObject(object, key, value) != NULL;
}

bool json_put_integer(cJSON *object, const char *key, int64_t value)
{
    return cJSON_AddNumberToObject(object, key, (double)value) != NULL;
}

bool json_put_copy(cJSON *object, const char *key, const cJSON *value)
{
    assert(value);
    cJSON *copy = cJSON_Duplicate(value, true);
    if (!copy)
        return false;
    if (cJSON_AddItemToObject(object, key, copy))
        return true;
    cJSON_Delete(copy);
    return false;
}

/* Counts what a tree of this text costs without building it; strings are skipped. The text need not
 * be valid: the parser judges that. */
static int measure(const char *text, size_t length, struct err *e)
{
    size_t depth = 0, items = 1;
    for (size_t i = 0; i < length; i++) {
        switch (text[i]) {
        case '"':
            for (i++; i < length && text[i] != '"'; i++)
                i += text[i] == '\\';
            break;
        case '{':
        case '[':
            depth++;
            items++;
            break;
        case '}':
        case ']': depth -= depth > 0; break;
        case ',': items++; break;
        default: break;
        }
        if (depth > JSON_DEPTH_MAX)
            return err_set(e, ERR_PROTOCOL, "JSON nests deeper than %d levels", JSON_DEPTH_MAX);
        if (items > JSON_ITEMS_MAX)
            return err_set(e, ERR_PROTOCOL, "JSON holds more than %d items", JSON_ITEMS_MAX);
    }
    return 0;
}

int json_parse(const char *text, size_t length, cJSON **ret_tree, struct err *e)
{
    int rc = measure(text, length, e);
    if (rc)
        return rc;
    if (!text_utf8_valid(text, length))
        return err_set(e, ERR_PROTOCOL, "JSON that is not valid UTF-8");
    const char *end = NULL;
    cJSON *tree = cJSON_ParseWithLengthOpts(text, length, &end, false);
    if (!tree) {
        rc = err_set(
            e, ERR_PROTOCOL, "broken JSON at byte %zu of %zu", (size_t)(end - text), length);
        if (e)
            e->position = end - text;
        return rc;
    }
    while (end < text + length && strchr(" \t\r\n", *end) && *end)
        end++;
    if (end != text + length) {
        cJSON_Delete(tree);
        return err_set(e, ERR_PROTOCOL, "text behind the JSON, at byte %zu of %zu",
            (size_t)(end - text), length);
    }
    *ret_tree = tree;
    return 0;
}

/* cJSON prints raw items as they are, which could be anything. */
static bool holds_raw(const cJSON *tree)
{
    const cJSON *stack[JSON_DEPTH_MAX];
    size_t depth = 0;
    for (const cJSON *item = tree; item;) {
        if (cJSON_IsRaw(item) || cJSON_IsInvalid(item))
            return true;
        if (item->child && depth == JSON_DEPTH_MAX)
            return true; /* deeper than any parser allows */
        if (item->child) {
            stack[depth++] = item;
            item = item->child;
            continue;
        }
        while (item != tree && !item->next && depth)
            item = stack[--depth];
        item = item == tree ? NULL : item->next;
    }
    return false;
}

int json_print(const cJSON *tree, char **ret_text, size_t *ret_length, struct err *e)
{
    if (holds_raw(tree))
        return err_set(e, ERR_USAGE, "this cannot be sent: raw text, or nested too deep");
    char *text = cJSON_PrintUnformatted(tree);
    if (!text)
        return err_set(e, ERR_NOMEM, "out of memory for a message");
    size_t length = strlen(text);
    if (!text_utf8_valid(text, length)) {
        free(text);
        return err_set(e, ERR_USAGE, "this cannot be sent: a text in it is not valid UTF-8");
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}
