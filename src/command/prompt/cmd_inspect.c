/* inspect: live objects by the ids that snapshots give them. */
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
    rc = live_properties(s, live_object(part), &answer, e);
    if (rc == 0) {
        *ret_count = live_integer(answer, "count");
        *ret_remote = cJSON_Duplicate(live_value(answer, "entries"), true);
    }
    cJSON_Delete(answer);
    cJSON_Delete(part);
    return rc;
}

/* The value of a property, or of an internal one such as [[Entries]]; owned. */
static int step(const cJSON *answer, const char *name, cJSON **ret, struct err *e)
{
    const cJSON *property = live_property(answer, name);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(property, "value");
    if (!property)
        return err_set(e, ERR_USAGE, "there is no property \"%s\"", name);
    if (!value)
        return err_set(e, ERR_USAGE, "%s is an accessor, and no getter is called", name);
    *ret = cJSON_Duplicate(value, true);
    return *ret ? 0 : err_set(e, ERR_NOMEM, "out of memory");
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
    const char *type = live_text(remote, "type"), *text = live_text(remote, "unserializableValue");
    if (text)
        return strdup(text);
    if (type && strcmp(type, "undefined") == 0)
        return strdup("undefined");
    if (value)
        return cJSON_PrintUnformatted(value);
    text = live_text(remote, "description");
    return strndup(text ? text : "", text ? strcspn(text, "\n") : 0);
}

static const char *type_text(const cJSON *remote)
{
    const char *class = live_text(remote, "className"), *subtype = live_text(remote, "subtype");
    const char *type = live_text(remote, "type");
    return class ? class : subtype ? subtype : type ? type : "";
}

static int add_row(struct session *s, struct view *v, const cJSON *item, struct err *e)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
    bool accessor = !value && (cJSON_GetObjectItemCaseSensitive(item, "get") ||
                                  cJSON_GetObjectItemCaseSensitive(item, "set"));
    struct row row = {.name = live_text(item, "name"),
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
    return rc == ERR_TARGET ? 0 : rc;
}

static int make_view(struct session *s, const char *object, struct view *v, struct err *e)
{
    const cJSON *item = NULL;
    int rc = live_properties(s, object, &v->answer, e);
    if (rc)
        return rc;
    size_t count = 0;
    while ((item = live_next_property(v->answer, item)))
        count++;
    v->rows = calloc(count + 1, sizeof *v->rows);
    if (!v->rows)
        return err_set(e, ERR_NOMEM, "out of memory");
    while (rc == 0 && (item = live_next_property(v->answer, item)))
        rc = add_row(s, v, item, e);
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
    show_json_word(root, "description", live_text(remote, "description"), &rc);
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
        cJSON *answer = NULL, *next = NULL;
        if (!live_object(*remote))
            return err_set(e, ERR_USAGE, "%s: what is before it is no object", words[i]);
        rc = live_properties(s, live_object(*remote), &answer, e);
        if (rc == 0)
            rc = step(answer, words[i], &next, e);
        if (rc == 0) {
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
    .heading = "Live objects",
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
