/* What the commands that read snapshot files share: patterns, objects, names. */
#include "command/heapfile.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "show/json.h"

#define CUT "…" /* as a table cuts a long name */

/* A name as tables show it, typed or pasted as it is: "{id, name}", "(compiled code)", or one that
 * was cut. "(a|b)" is an expression. */
static bool is_shown_name(const char *text)
{
    size_t length = strlen(text);
    if (strstr(text, CUT))
        return true;
    if (length < 3)
        return false;
    bool in_parentheses = text[0] == '(' && text[length - 1] == ')';
    bool plain = strcspn(text + 1, "()[]{}|*+?.\\^$") == length - 2;
    return (text[0] == '{' && text[length - 1] == '}') || (in_parentheses && plain);
}

/* The expression that matches just such a name; owned. */
static char *expression_of(const char *name)
{
    struct buf b = buf_new(4 * strlen(name) + 8);
    int rc = buf_add_text(&b, "^");
    while (*name && rc == 0) {
        bool cut = strncmp(name, CUT, strlen(CUT)) == 0;
        if (cut)
            rc = buf_add_text(&b, ".*");
        else
            rc = buf_addf(&b, "%s%c", strchr("()[]{}|*+?.\\^$", *name) ? "\\" : "", *name);
        name += cut ? strlen(CUT) : 1;
    }
    if (rc == 0)
        rc = buf_add_text(&b, "$");
    if (rc)
        buf_free(&b);
    return rc ? NULL : buf_take(&b);
}

int heapfile_pattern(
    const struct invocation *in, enum setting_id id, regex_t *ret, bool *ret_any, struct err *e)
{
    const char *text = settings_text(in->settings, id);
    *ret_any = text != NULL;
    if (!text)
        return 0;
    char *expression = is_shown_name(text) ? expression_of(text) : strdup(text);
    if (!expression)
        return err_set(e, ERR_NOMEM, "out of memory");
    int code = regcomp(ret, expression, REG_EXTENDED | REG_NOSUB);
    free(expression);
    if (code == 0)
        return 0;
    char why[128];
    regerror(code, ret, why, sizeof why);
    return err_set(e, ERR_USAGE, "--%s %s: %s", setting_get(id)->name, text, why);
}

int heapfile_node(const struct heap *h, const char *word, uint32_t *ret_node, struct err *e)
{
    int64_t id;
    if (text_parse_integer(word + (*word == '@'), 0, UINT32_MAX, &id, NULL) < 0)
        return err_set(e, ERR_USAGE, "%s: is no object id such as @1234", word);
    *ret_node = heap_find_id(h, (uint32_t)id);
    if (*ret_node == HEAP_NONE)
        return err_set(
            e, ERR_USAGE, "@%lld: no object of this snapshot has that id", (long long)id);
    return 0;
}

size_t heapfile_top(const struct invocation *in, const struct show_out *o, size_t otherwise)
{
    if (settings_given(in->settings, SET_TOP))
        return (size_t)settings_number(in->settings, SET_TOP);
    return o->format == SHOW_TEXT && o->tty ? otherwise : SIZE_MAX;
}

void heapfile_add_name(
    struct show_table *t, const struct show_out *o, const struct heap *h, uint32_t node)
{
    struct buf name = buf_new(UINT32_MAX);
    size_t most = o->format == SHOW_TEXT ? HEAPFILE_NAME_TEXT : HEAPFILE_NAME_DATA;
    int r = heap_add_node_name(h, node, &name);
    if (r == 0 && name.length == 0 && o->format == SHOW_TEXT)
        r = buf_addf(&name, "(%s)", heap_kind_name(h, heap_columns(h)->kind[node]));
    size_t length = r == 0 ? name.length : 0;
    if (length > most)
        length = most;
    while (length < name.length && length > 0 && ((uint8_t)name.data[length] & 0xc0) == 0x80)
        length--; /* not within a character */
    show_add_text(t, name.data ? name.data : "", length);
    buf_free(&name);
}

void heapfile_end(const struct show_out *o, size_t rows, size_t hidden, const char *nothing)
{
    char count[TEXT_SHORT];
    if (o->format != SHOW_TEXT)
        return;
    if (hidden)
        fprintf(o->file, "… and %s more; --top N shows them\n", text_count(count, (int64_t)hidden));
    else if (rows == 0)
        fprintf(o->file, "%s\n", nothing);
}

void heapfile_json_statistics(cJSON *to, const struct heap *h, int *rc)
{
    const struct heap_statistics *s = heap_statistics(h);
    cJSON *o = show_json_object(to, "statistics", rc);
    show_json_integer(o, "total", (int64_t)s->total, rc);
    show_json_integer(o, "native_total", (int64_t)s->native_total, rc);
    show_json_integer(o, "typed_arrays", (int64_t)s->typed_arrays, rc);
    show_json_integer(o, "v8_total", (int64_t)s->v8_total, rc);
    show_json_integer(o, "code", (int64_t)s->code, rc);
    show_json_integer(o, "js_arrays", (int64_t)s->js_arrays, rc);
    show_json_integer(o, "strings", (int64_t)s->strings, rc);
    show_json_integer(o, "system", (int64_t)s->system, rc);
}

struct show_table *heapfile_paths(
    const struct heap *h, const struct heap_path_group *groups, size_t count, size_t followed)
{
    static const struct show_column columns[] = {{"PATH", "path", SHOW_PATH, 0},
        {"OBJECTS", "count", SHOW_COUNT, 0}, {"SHARE", "share", SHOW_SHARE, 0},
        {"SELF", "self_size", SHOW_SIZE, 0}, {"EXAMPLE", "example", SHOW_ID, 0}};
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        show_add_word(t, groups[i].text);
        show_add_integer(t, groups[i].count);
        show_add_number(t, followed ? (double)groups[i].count / (double)followed : 0);
        show_add_integer(t, (int64_t)groups[i].self_size);
        show_add_integer(t, heap_columns(h)->id[groups[i].example]);
    }
    return t;
}
