/* set, source, quit: the session itself. */
#include "base/array.h"
#include "command/prompt/table.h"

#include "base/text.h"
#include "command/prompt/session.h"
#include "show/json.h"
#include "show/table.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_DEPTH 16

/* ---- set ---- */

static enum setting_id find_variable(const char *name)
{
    for (const enum setting_id *id = prompt_variables; *id != SET_END; id++)
        if (strcmp(setting_get(*id)->name, name) == 0)
            return *id;
    return SET_END;
}

static struct variable *variable_of(const struct session *s, enum setting_id id)
{
    for (size_t i = 0; i < s->variable_count; i++)
        if (s->variables[i].id == id)
            return &s->variables[i];
    return NULL;
}

/* Judges the value as an option of that name would be. */
static int check_value(enum setting_id id, const char *value, struct err *e)
{
    const enum setting_id allowed[] = {id, SET_END};
    struct settings *settings = NULL;
    char **words, **after, name[] = "set";
    int count;
    bool help;
    char *option = text_format("--%s=%s", setting_get(id)->name, value);
    char *argv[] = {name, option, NULL};
    int rc = option ? settings_read(allowed, 2, argv, &settings, &words, &count, &after, &help, e)
                    : err_set(e, ERR_NOMEM, "out of memory");
    settings_free(settings);
    free(option);
    return rc;
}

static int set_variable(struct session *s, enum setting_id id, const char *value, struct err *e)
{
    int rc = check_value(id, value, e);
    char *copy = rc == 0 ? strdup(value) : NULL;
    struct variable *v = variable_of(s, id);
    if (rc)
        return rc;
    if (!v && array_more(&s->variables, s->variable_count)) {
        v = &s->variables[s->variable_count++];
        *v = (struct variable){.id = id};
    }
    if (!v || !copy) {
        free(copy);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    free(v->value);
    v->value = copy;
    if (id == SET_JSON)
        s->json = strcmp(copy, "false") != 0;
    return 0;
}

static int put_variables(struct session *s, const struct show_out *o, struct err *e)
{
    static const struct show_column columns[] = {{"NAME", "name", SHOW_NAME, 0},
        {"VALUE", "value", SHOW_WORD, 0}, {"MEANS", "help", SHOW_NAME, 0}};
    struct show_table *t = show_table_new(columns, sizeof columns / sizeof *columns);
    cJSON *rows = NULL;
    for (const enum setting_id *id = prompt_variables; *id != SET_END; id++) {
        const struct variable *v = variable_of(s, *id);
        show_add_word(t, setting_get(*id)->name);
        show_add_word(t, v ? v->value : setting_get(*id)->fallback);
        show_add_word(t, setting_get(*id)->help);
    }
    int rc = o->format == SHOW_JSON ? show_table_json(t, &rows, e) : show_table(o, t, e);
    if (rc == 0 && rows) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.set/1", &rc);
        show_json_add(root, "settings", rows, &rc);
        rc = show_json(o, root, rc, e);
    }
    show_table_free(t);
    return rc;
}

static int run_set(struct session *s, struct prompt_call *c, struct err *e)
{
    if (c->in.word_count == 0)
        return put_variables(s, &c->out, e);
    enum setting_id id = find_variable(c->in.words[0]);
    if (id == SET_END)
        return err_set(e, ERR_USAGE, "there is no setting \"%s\"; set lists them", c->in.words[0]);
    bool flag = setting_get(id)->type == SETTING_FLAG;
    if (c->in.word_count == 1 && !flag)
        return err_set(e, ERR_USAGE, "expected a value for %s", c->in.words[0]);
    return set_variable(s, id, c->in.word_count > 1 ? c->in.words[1] : "true", e);
}

const struct prompt_command prompt_set = {
    .name = "set",
    .usage = "[NAME [VALUE]]",
    .summary = "gives an option to all commands from now on that have it",
    .help = "  set                     what can be set\n"
            "  set top 10\n"
            "  set max-pause 2s\n",
    .json = "heaptap.set/1",
    .completes = COMPLETE_SETTINGS,
    .words_max = 2,
    .run = run_set,
};

/* ---- source ---- */

static int run_source(struct session *s, struct prompt_call *c, struct err *e)
{
    char *text = NULL;
    int rc = s->depth < SOURCE_DEPTH
                 ? prompt_read_file(c->in.words[0], &text, e)
                 : err_set(e, ERR_USAGE, "files that source each other go no deeper than %d",
                       SOURCE_DEPTH);
    if (rc)
        return rc;
    s->depth++;
    rc = prompt_execute_all(s, text); /* each failure was told */
    s->depth--;
    free(text);
    return rc;
}

const struct prompt_command prompt_source = {
    .name = "source",
    .aliases = ".",
    .usage = "FILE",
    .summary = "runs the commands of a file",
    .completes = COMPLETE_FILES,
    .words_min = 1,
    .words_max = 1,
    .run = run_source,
};

/* ---- quit ---- */

static int run_quit(struct session *s, struct prompt_call *c, struct err *e)
{
    (void)c;
    (void)e;
    s->quit = true;
    return 0;
}

const struct prompt_command prompt_quit = {
    .name = "quit",
    .aliases = "exit q",
    .usage = "",
    .summary = "leaves the targets as they were found, and the prompt",
    .run = run_quit,
};
