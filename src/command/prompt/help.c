/* help: the list, a command, or a method of the target's protocol; all from tables. */
#include "command/prompt/help.h"

#include "command/prompt/catalogue.h"
#include "show/json.h"

#include <ctype.h>
#include <string.h>

#define NAME_COLUMNS 34

static void put_option(const struct show_out *o, enum setting_id id)
{
    const struct setting *s = setting_get(id);
    char left[128];
    snprintf(left, sizeof left, "--%s%s%s", s->name, s->argument ? " " : "",
        s->argument ? s->argument : "");
    fprintf(o->file, "  %-26s %s", left, s->help);
    if (s->fallback && s->type != SETTING_FLAG)
        fprintf(o->file, " (default %s)", s->fallback);
    fputc('\n', o->file);
}

void help_command(const struct show_out *o, const struct prompt_command *p)
{
    const enum setting_id *settings = prompt_settings(p);
    fprintf(o->file, "%s%s%s%s%s: %s\n", show_on(o, SHOW_BOLD), p->name, show_off(o),
        *p->usage ? " " : "", p->usage, p->summary);
    if (p->aliases)
        fprintf(o->file, "also: %s\n", p->aliases);
    if (p->help)
        fprintf(o->file, "\n%s", p->help);
    if (settings && *settings != SET_END)
        fprintf(o->file, "\nOptions:\n");
    for (; settings && *settings != SET_END; settings++)
        put_option(o, *settings);
    if (p->json)
        fprintf(o->file, "\nWith --json: one object, schema %s.\n", p->json);
}

static void put_list(const struct show_out *o)
{
    for (const struct prompt_command *const *c = prompt_table; *c; c++) {
        char left[96];
        snprintf(left, sizeof left, "%s%s%s", (*c)->name, *(*c)->usage ? " " : "", (*c)->usage);
        fprintf(o->file, "  %-*s %s\n", NAME_COLUMNS, left, (*c)->summary);
    }
    fprintf(o->file,
        "  %-*s %s\n\n"
        "Any command may end in | PROGRAM, > FILE or >> FILE; several stand on a line with ;\n"
        "between them. help COMMAND tells more, help HeapProfiler.enable what a method takes.\n"
        "To find a leak: snapshot, use the server, snapshot, diff, retainers --class NAME,\n"
        "survivors.\n",
        NAME_COLUMNS, "Domain.method {JSON}", prompt_method.summary);
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
