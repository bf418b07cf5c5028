/* help: the list, a command, or a method of the target's protocol; all from tables. */
#include "command/prompt/help.h"

#include "command/prompt/catalogue.h"
#include "show/fill.h"
#include "show/json.h"

#include <ctype.h>
#include <string.h>

#define NAME_COLUMNS   13
#define OPTION_COLUMNS 26

/* "  NAME         what it is", filled behind the name. */
static void put_item(const struct show_out *o, const char *name, size_t columns, const char *text)
{
    struct show_out prose = show_prose(o);
    struct err ignored = ERR_NONE;
    size_t length = strlen(name);
    fprintf(o->file, "  %s%s%s", show_on(o, SHOW_BOLD), name, show_off(o));
    if (length > columns)
        fprintf(o->file, "\n%*s", (int)columns + 3, "");
    else
        fprintf(o->file, "%*s", (int)(columns - length) + 1, "");
    (void)!show_fill(&prose, text, strlen(text), columns + 3, columns + 3, &ignored);
}

static void put_option(const struct show_out *o, enum setting_id id)
{
    const struct setting *s = setting_get(id);
    char left[128], text[512];
    bool value = s->fallback && s->type != SETTING_FLAG;
    snprintf(left, sizeof left, "--%s%s%s", s->name, s->argument ? " " : "",
        s->argument ? s->argument : "");
    snprintf(text, sizeof text, "%s%s%s%s", s->help, value ? " (default " : "",
        value ? s->fallback : "", value ? ")" : "");
    put_item(o, left, OPTION_COLUMNS, text);
}

void help_command(const struct show_out *o, const struct prompt_command *p)
{
    const enum setting_id *settings = prompt_settings(p);
    struct show_out prose = show_prose(o);
    struct err ignored = ERR_NONE;
    char title[256];
    snprintf(title, sizeof title, "%s%s: %s", *p->usage ? " " : "", p->usage, p->summary);
    fprintf(o->file, "%s%s%s", show_on(o, SHOW_BOLD), p->name, show_off(o));
    if (*p->usage)
        fputc(' ', o->file);
    (void)!show_fill(
        &prose, title, strlen(title), strlen(p->name) + (*p->usage != '\0'), 0, &ignored);
    if (p->aliases)
        fprintf(o->file, "also: %s\n", p->aliases);
    if (p->help)
        fputc('\n', o->file);
    if (p->help)
        show_page(o, p->help);
    if (settings && *settings != SET_END)
        fprintf(o->file, "\nOptions:\n");
    for (; settings && *settings != SET_END; settings++)
        put_option(o, *settings);
    if (p->json)
        fprintf(o->file, "\nWith --json: one object, schema %s.\n", p->json);
}

static void put_list(const struct show_out *o)
{
    show_page(o, "To find a leak, use the server until it is warm, then:\n"
                 "  snapshot; use it more; snapshot; diff    which classes grow\n"
                 "  retainers --class NAME                   who holds them\n"
                 "  survivors; use it meanwhile              which lines allocate what stays\n");
    for (const struct prompt_command *const *c = prompt_table; *c; c++) {
        if ((*c)->heading)
            fprintf(o->file, "\n%s\n", (*c)->heading);
        put_item(o, (*c)->name, NAME_COLUMNS, (*c)->summary);
    }
    put_item(o, prompt_method.name, NAME_COLUMNS, prompt_method.summary);
    fputc('\n', o->file);
    show_page(o,
        "help COMMAND tells how each is used, help HeapProfiler.enable what a method takes. Any\n"
        "command may end in | PROGRAM, > FILE or >> FILE; several stand on a line with ; between\n"
        "them.\n");
}

static int list_json(const struct show_out *o, struct err *e)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.help/1", &rc);
    cJSON *list = show_json_array(root, "commands", &rc);
    for (const struct prompt_command *const *c = prompt_table; *c; c++) {
        cJSON *item = show_json_object(list, NULL, &rc);
        show_json_word(item, "name", (*c)->name, &rc);
        show_json_word(item, "usage", (*c)->usage, &rc);
        show_json_word(item, "summary", (*c)->summary, &rc);
        show_json_word(item, "json", (*c)->json, &rc);
    }
    return show_json(o, root, rc, e);
}

static int run(struct session *s, struct prompt_call *c, struct err *e)
{
    const struct protocol *protocol;
    if (c->in.word_count == 0 && c->out.format == SHOW_JSON)
        return list_json(&c->out, e);
    if (c->in.word_count == 0) {
        put_list(&c->out);
        return 0;
    }
    const char *word = c->in.words[0];
    const struct prompt_command *p = prompt_find(word);
    if (p) {
        help_command(&c->out, p);
        return 0;
    }
    if (isupper((unsigned char)*word)) {
        int rc = catalogue_get(s, &protocol, e);
        return rc ? rc : protocol_help(protocol, &c->out, word, e);
    }
    const char *nearest = prompt_nearest(word);
    return err_set(e, ERR_USAGE, "there is no command \"%s\"%s%s%s", word,
        nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

const struct prompt_command prompt_help = {
    .name = "help",
    .aliases = "? h",
    .usage = "[COMMAND|METHOD]",
    .summary = "this list, one command, or a method of the target's protocol",
    .help = "  help snapshot\n"
            "  help HeapProfiler                   its methods and events\n"
            "  help HeapProfiler.startSampling     what it takes and answers\n",
    .json = "heaptap.help/1",
    .completes = COMPLETE_COMMANDS,
    .words_max = 1,
    .run = run,
};
