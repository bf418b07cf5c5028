/* inspect and instances: live objects, by the ids that snapshots give them, or by class. */
#include "command/prompt/table.h"

#include "base/text.h"
#include "cdp/proto.h"
#include "command/prompt/live.h"
#include "show/json.h"
#include "show/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PROPERTIES_MAX 1000 /* looked at of one object; --top shows fewer */
#define IDS_MAX        200  /* properties whose objects are asked for their ids */
#define VALUE_TEXT     200  /* bytes of a value in a table */
#define NAMESAKES_MAX  20   /* of the same name */

/* ---- from the id to the object ---- */

static int object_of(struct session *s, const char *word, cJSON **ret_remote, struct err *e)
{
    int64_t id;
    char text[24];
    cJSON *params, *answer = NULL;
    if (text_parse_integer(word + (*word == '@'), 1, UINT32_MAX, &id, NULL) != 0)
        return err_set(e, ERR_USAGE, "%s: is no object id such as @1234", word);
    snprintf(text, sizeof text, "%lld", (long long)id);
    struct proto_heap_profiler_get_object_by_heap_object_id p = {
        .object_id = text, .object_group = SESSION_OBJECT_GROUP};
    int rc = proto_heap_profiler_get_object_by_heap_object_id_encode(&p, &params, e);
    if (rc == 0)
        rc = session_call(
            s, PROTO_HEAP_PROFILER_GET_OBJECT_BY_HEAP_OBJECT_ID, params, 0, &answer, e);
    if (rc == ERR_TARGET)
        err_set(e, rc,
            "@%lld is not to be had: it was collected, it is no object but an internal of V8 or a "
            "string, or ids were reset since the snapshot",
            (long long)id);
    if (rc == 0)
        rc = live_take(answer, ret_remote, e);
    cJSON_Delete(answer);
    return rc;
}

static int properties_of(struct session *s, const char *object, cJSON **ret_answer, struct err *e)
{
    struct proto_runtime_get_properties p = {.object_id = object, .own_properties = true};
    cJSON *params;
    int rc = proto_runtime_get_properties_encode(&p, &params, e);
    return rc ? rc : session_call(s, PROTO_RUNTIME_GET_PROPERTIES, params, 0, ret_answer, e);
}

static const char *text_of(const cJSON *item, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, key));
}

/* The first entries of an object that has more than anyone reads; *ret_remote stays NULL if it is
 * small. */
static int take_part(struct session *s, const char *helper, const char *object, cJSON **ret_remote,
    int64_t *ret_count, struct err *e)
{
    cJSON *part = NULL, *answer = NULL;
    cJSON *arguments = cJSON_CreateArray();
    live_add_object(arguments, object);
    live_add_number(arguments, PROPERTIES_MAX);
    int rc = live_call(s, helper, "part", arguments, false, &part, e);
    if (rc || !live_object(part)) {
        cJSON_Delete(part);
        return rc;
    }
    rc = properties_of(s, live_object(part), &answer, e);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(answer, "result"), *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = text_of(item, "name");
        cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
        if (name && strcmp(name, "count") == 0)
            *ret_count =
                (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(value, "value"));
        else if (name && strcmp(name, "entries") == 0)
            *ret_remote = cJSON_Duplicate(value, true);
    }
    cJSON_Delete(answer);
    cJSON_Delete(part);
    return rc;
}

/* The value of a property, or of an internal one such as [[Entries]]; owned, NULL if there is none.
 */
static cJSON *step(const cJSON *answer, const char *name)
{
    static const char *const lists[] = {"result", "internalProperties"};
    for (size_t i = 0; i < 2; i++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, lists[i]))
        {
            const char *own = text_of(item, "name");
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
            if (own && value && strcmp(own, name) == 0)
                return cJSON_Duplicate(value, true);
        }
    }
    return NULL;
}

/* ---- what is shown ---- */

struct row {
    const char *name, *type;
    char *value; /* owned */
    int64_t id;  /* 0: none */
};

struct view {
    struct row *rows;
    size_t count;
    cJSON *answer; /* what texts of rows are borrowed from */
};

static void free_view(struct view *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->rows[i].value);
    free(v->rows);
    cJSON_Delete(v->answer);
}

/* A value in words: what V8 says of an object, JSON of a text, a number as it is. */
static char *value_text(const cJSON *remote)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(remote, "value");
    const char *type = text_of(remote, "type"), *text = text_of(remote, "unserializableValue");
    if (text)
        return strdup(text);
    if (type && strcmp(type, "undefined") == 0)
        return strdup("undefined");
    if (value)
        return cJSON_PrintUnformatted(value);
    text = text_of(remote, "description");
    return strndup(text ? text : "", text ? strcspn(text, "\n") : 0);
}

static const char *type_text(const cJSON *remote)
{
    const char *class = text_of(remote, "className"), *subtype = text_of(remote, "subtype");
    const char *type = text_of(remote, "type");
    return class ? class : subtype ? subtype : type ? type : "";
}

static int add_row(struct session *s, struct view *v, const cJSON *item, struct err *e)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
    bool accessor = !value && (cJSON_GetObjectItemCaseSensitive(item, "get") ||
                                  cJSON_GetObjectItemCaseSensitive(item, "set"));
    struct row row = {.name = text_of(item, "name"),
        .type = accessor ? "accessor" : type_text(value),
        .value = accessor ? strdup("(not called)") : value_text(value)};
    if (!row.name)
        row.name = "?";
    if (!row.value)
        return err_set(e, ERR_NOMEM, "out of memory");
    v->rows[v->count++] = row;
    const char *object = value ? live_object(value) : NULL;
    if (!object || v->count > IDS_MAX)
        return 0;
    int rc = live_heap_id(s, object, &v->rows[v->count - 1].id, e);
    if (rc == 0 && v->rows[v->count - 1].id)
        vocabulary_add_id(s->vocabulary, v->rows[v->count - 1].id);
    return rc == ERR_TARGET ? 0 : rc;
}

static int make_view(struct session *s, const char *object, struct view *v, struct err *e)
{
    static const char *const lists[] = {"result", "internalProperties"};
    int rc = properties_of(s, object, &v->answer, e);
    if (rc)
        return rc;
    size_t count = 0;
    for (size_t i = 0; i < 2; i++)
        count += (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(v->answer, lists[i]));
    v->rows = calloc(count + 1, sizeof *v->rows);
    if (!v->rows)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < 2 && rc == 0; i++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(v->answer, lists[i])) if (rc == 0)
            rc = add_row(s, v, item, e);
    }
    return rc;
}

static int put_table(const struct show_out *o, const struct view *v, size_t top, struct err *e)
{
    static const struct show_column columns[] = {{"PROPERTY", "name", SHOW_NAME, 0},
        {"TYPE", "type", SHOW_WORD, 0}, {"VALUE", "value", SHOW_NAME, 0}, {"ID", "id", SHOW_ID, 0}};
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < v->count && i < top; i++) {
        const struct row *row = &v->rows[i];
        show_add_word(t, row->name);
        show_add_word(t, row->type);
        show_add_text(t, row->value, strnlen(row->value, VALUE_TEXT));
        if (row->id)
            show_add_integer(t, row->id);
        else
            show_add_none(t);
    }
    int rc = show_table(o, t, e);
    show_table_free(t);
    if (rc == 0 && v->count > top)
        fprintf(o->file, "… and %zu more; --top N shows them\n", v->count - top);
    return rc;
}

static int put_json(const struct show_out *o, const struct view *v, const char *id,
    const cJSON *remote, int64_t whole, size_t top, struct err *e)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.inspect/1", &rc);
    show_json_word(root, "object", id, &rc);
    show_json_word(root, "class", type_text(remote), &rc);
    show_json_word(root, "description", text_of(remote, "description"), &rc);
    if (whole)
        show_json_integer(root, "entries", whole, &rc);
    cJSON *list = show_json_array(root, "properties", &rc);
    for (size_t i = 0; i < v->count && i < top; i++) {
        cJSON *item = show_json_object(list, NULL, &rc);
        show_json_word(item, "name", v->rows[i].name, &rc);
        show_json_word(item, "type", v->rows[i].type, &rc);
        show_json_word(item, "value", v->rows[i].value, &rc);
        if (v->rows[i].id)
            show_json_integer(item, "id", v->rows[i].id, &rc);
        else
            show_json_null(item, "id", &rc);
    }
    return show_json(o, root, rc, e);
}

static void put_title(
    const struct show_out *o, char **words, int count, const cJSON *remote, int64_t whole)
{
    struct err e = ERR_NONE;
    char *text = value_text(remote), number[TEXT_SHORT];
    for (int i = 0; i < count; i++) {
        fputs(i ? "." : show_on(o, SHOW_BOLD), o->file);
        (void)!show_text(o, words[i], strlen(words[i]), &e);
        fputs(i ? "" : show_off(o), o->file);
    }
    fputs("  ", o->file);
    (void)!show_text(o, text ? text : "", text ? strnlen(text, VALUE_TEXT) : 0, &e);
    if (whole)
        fprintf(o->file, "  the first %d of %s entries", PROPERTIES_MAX, text_count(number, whole));
    fputs("\n\n", o->file);
    free(text);
}

/* Follows the words behind the id; *remote is replaced by what they lead to. */
static int follow(struct session *s, char **words, int count, cJSON **remote, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++) {
        cJSON *answer = NULL, *next;
        if (!live_object(*remote))
            return err_set(e, ERR_USAGE, "%s: what is before it is no object", words[i]);
        rc = properties_of(s, live_object(*remote), &answer, e);
        if (rc == 0 && !(next = step(answer, words[i])))
            rc = err_set(e, ERR_USAGE, "there is no property \"%s\"", words[i]);
        else if (rc == 0) {
            cJSON_Delete(*remote);
            *remote = next;
        }
        cJSON_Delete(answer);
    }
    return rc;
}

static int run_inspect(struct session *s, struct prompt_call *c, struct err *e)
{
    cJSON *remote = NULL, *part = NULL;
    char *helper = NULL;
    struct view v = {.rows = NULL};
    int64_t whole = 0;
    size_t top = settings_given(c->in.settings, SET_TOP)
                     ? (size_t)settings_number(c->in.settings, SET_TOP)
                     : SIZE_MAX;
    int rc = object_of(s, c->in.words[0], &remote, e);
    if (rc == 0)
        rc = follow(s, c->in.words + 1, c->in.word_count - 1, &remote, e);
    if (rc == 0 && live_object(remote)) {
        rc = live_begin(s, &helper, e);
        if (rc == 0)
            rc = take_part(s, helper, live_object(remote), &part, &whole, e);
        if (rc == 0)
            rc = make_view(s, live_object(part ? part : remote), &v, e);
    }
    if (rc == 0 && c->out.format == SHOW_JSON) {
        rc = put_json(&c->out, &v, c->in.words[0], remote, whole, top, e);
    } else if (rc == 0) {
        if (c->out.format == SHOW_TEXT)
            put_title(&c->out, c->in.words, c->in.word_count, remote, whole);
        if (v.count)
            rc = put_table(&c->out, &v, top, e);
    }
    session_release(s);
    free_view(&v);
    free(helper);
    cJSON_Delete(part);
    cJSON_Delete(remote);
    return rc;
}

static const enum setting_id inspect_settings[] = {SET_TOP, SET_CSV, SET_END};

const struct prompt_command prompt_inspect = {
    .name = "inspect",
    .usage = "@ID [PROPERTY...]",
    .summary = "the live object behind an id of the latest snapshots",
    .help = "  inspect @12345                 its properties, and their ids to go on with\n"
            "  inspect @12345 users 0         the object that they lead to\n"
            "  inspect @12345 [[Entries]]     of a Map\n"
            "No getter is called, and nothing of it is held in the target afterwards.\n",
    .json = "heaptap.inspect/1",
    .completes = COMPLETE_IDS,
    .settings = inspect_settings,
    .words_min = 1,
    .words_max = 64,
    .run = run_inspect,
};

/* ---- instances ---- */

struct counted {
    int64_t direct, derived;
    int64_t examples[3]; /* heap object ids */
    size_t example_count;
};

static int function_prototype(struct session *s, char **ret, struct err *e)
{
    struct proto_runtime_evaluate p = {
        .expression = "Function.prototype", .object_group = SESSION_OBJECT_GROUP, .silent = true};
    cJSON *params, *answer = NULL, *remote = NULL;
    int rc = proto_runtime_evaluate_encode(&p, &params, e);
    if (rc == 0)
        rc = session_call(s, PROTO_RUNTIME_EVALUATE, params, 0, &answer, e);
    if (rc == 0)
        rc = live_take(answer, &remote, e);
    if (rc == 0 && !(*ret = strdup(live_object(remote) ? live_object(remote) : "")))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    cJSON_Delete(remote);
    cJSON_Delete(answer);
    return rc;
}

static int take_examples(
    struct session *s, const char *examples, struct counted *ret, struct err *e)
{
    cJSON *answer = NULL;
    const cJSON *item;
    int rc = properties_of(s, examples, &answer, e);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "result"))
    {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
        int64_t id = 0;
        if (rc || !live_object(value) || ret->example_count == 3 ||
            !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "enumerable")))
            continue;
        rc = live_heap_id(s, live_object(value), &id, e);
        if (rc == 0 && id) {
            ret->examples[ret->example_count++] = id;
            vocabulary_add_id(s->vocabulary, id);
        }
    }
    cJSON_Delete(answer);
    return rc;
}

static int count_one(struct session *s, const char *helper, const char *prototype,
    struct counted *ret, struct err *e)
{
    char *objects = NULL;
    cJSON *result = NULL, *answer = NULL;
    const cJSON *item;
    int rc = live_query(s, prototype, &objects, e);
    if (rc == 0) {
        cJSON *arguments = cJSON_CreateArray();
        live_add_object(arguments, objects);
        live_add_object(arguments, prototype);
        rc = live_call(s, helper, "count", arguments, false, &result, e);
    }
    if (rc == 0)
        rc = properties_of(s, live_object(result) ? live_object(result) : "", &answer, e);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "result"))
    {
        const char *name = text_of(item, "name");
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(value, "value");
        if (name && strcmp(name, "direct") == 0 && cJSON_IsNumber(number))
            ret->direct = (int64_t)number->valuedouble;
        else if (name && strcmp(name, "derived") == 0 && cJSON_IsNumber(number))
            ret->derived = (int64_t)number->valuedouble;
        else if (name && strcmp(name, "examples") == 0 && live_object(value) && rc == 0)
            rc = take_examples(s, live_object(value), ret, e);
    }
    cJSON_Delete(answer);
    cJSON_Delete(result);
    free(objects);
    return rc;
}

/* Counts for each class of that name; *ret_count of them. */
static int count_all(
    struct session *s, const char *name, struct counted *ret, size_t *ret_count, struct err *e)
{
    char *helper = NULL, *root = NULL, *functions = NULL;
    cJSON *found = NULL, *answer = NULL;
    const cJSON *item;
    int rc = live_begin(s, &helper, e);
    if (rc == 0)
        rc = function_prototype(s, &root, e);
    if (rc == 0)
        rc = live_query(s, root, &functions, e);
    if (rc == 0) {
        cJSON *arguments = cJSON_CreateArray();
        live_add_object(arguments, functions);
        live_add_text(arguments, name);
        rc = live_call(s, helper, "classes", arguments, false, &found, e);
    }
    if (rc == 0)
        rc = properties_of(s, live_object(found) ? live_object(found) : "", &answer, e);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "result"))
    {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
        bool enumerable = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "enumerable"));
        if (rc == 0 && enumerable && live_object(value) && *ret_count < NAMESAKES_MAX)
            rc = count_one(s, helper, live_object(value), &ret[(*ret_count)++], e);
    }
    cJSON_Delete(answer);
    cJSON_Delete(found);
    free(functions);
    free(root);
    free(helper);
    return rc;
}

static int put_counts(const struct show_out *o, const char *name, const struct counted *list,
    size_t count, struct err *e)
{
    int rc = 0;
    if (o->format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.instances/1", &rc);
        show_json_word(root, "class", name, &rc);
        cJSON *classes = show_json_array(root, "classes", &rc);
        for (size_t i = 0; i < count; i++) {
            cJSON *item = show_json_object(classes, NULL, &rc);
            show_json_integer(item, "count", list[i].direct, &rc);
            show_json_integer(item, "derived", list[i].derived, &rc);
            cJSON *ids = show_json_array(item, "examples", &rc);
            for (size_t k = 0; k < list[i].example_count; k++)
                show_json_integer(ids, NULL, list[i].examples[k], &rc);
        }
        return show_json(o, root, rc, e);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        char direct[TEXT_SHORT], derived[TEXT_SHORT];
        rc = show_text(o, name, strlen(name), e);
        fprintf(o->file, ": %s live object%s", text_count(direct, list[i].direct),
            list[i].direct == 1 ? "" : "s");
        if (list[i].derived)
            fprintf(o->file, ", %s of derived classes", text_count(derived, list[i].derived));
        for (size_t k = 0; k < list[i].example_count; k++)
            fprintf(o->file, "%s@%lld", k ? " " : ", such as ", (long long)list[i].examples[k]);
        fputc('\n', o->file);
    }
    return rc;
}

static int run_instances(struct session *s, struct prompt_call *c, struct err *e)
{
    const char *name = c->in.words[0];
    struct counted list[NAMESAKES_MAX] = {{.direct = 0}};
    size_t count = 0;
    int rc = count_all(s, name, list, &count, e);
    session_release(s);
    if (rc == 0 && count == 0)
        rc = err_set(e, ERR_USAGE,
            "there is no class \"%s\" in the target now (functions without a prototype have no "
            "instances)",
            name);
    return rc ? rc : put_counts(&c->out, name, list, count, e);
}

const struct prompt_command prompt_instances = {
    .name = "instances",
    .aliases = "count",
    .usage = "CLASS",
    .summary = "how many objects of a class live now, without a snapshot",
    .help = "  instances SessionState\n"
            "The class need not be global: it is looked for among all functions. Garbage is\n"
            "collected first, so what is counted is in use.\n",
    .json = "heaptap.instances/1",
    .completes = COMPLETE_CLASSES,
    .words_min = 1,
    .words_max = 1,
    .run = run_instances,
};
