/* help and version: everything comes from the two tables, so that it cannot be out of date. */
#include "command/command.h"

#include "show/fill.h"

#include <stdio.h>
#include <string.h>

#define OPTION_COLUMN 33 /* where the help of an option begins */
#define NARROW        70 /* columns: with less it begins on the next line */
#define NARROW_INDENT 10

static void print_commands(void)
{
    printf("heaptap finds the leak in a running Node.js server from real profiling data.\n\n"
           "  heaptap run 9229                  watch a server started with node --inspect\n"
           "  heaptap run -- node server.js     start one and watch it\n"
           "  heaptap targets                   which Node processes are here\n\n"
           "Commands:\n");
    for (const struct command *const *c = command_table; *c; c++)
        printf("  %-12s %s\n", (*c)->name, (*c)->summary);
    printf("\nheaptap COMMAND --help tells the rest.\n");
}

/* Behind what stands in `column` columns already; a narrow terminal gets a line of its own. */
static void print_help_text(const struct show_out *o, const char *text, int column)
{
    struct err ignored = ERR_NONE;
    bool narrow = o->width < NARROW;
    if (narrow || column >= OPTION_COLUMN)
        printf("\n%*s", narrow ? NARROW_INDENT : OPTION_COLUMN, "");
    else
        printf("%*s", OPTION_COLUMN - column, "");
    size_t at = narrow ? NARROW_INDENT : OPTION_COLUMN;
    (void)!show_fill(o, text, strlen(text), at, at, &ignored);
}

static void print_setting(const struct show_out *o, enum setting_id id)
{
    const struct setting *s = setting_get(id);
    char text[512], variable[SETTING_VARIABLE_SIZE], fallback[64] = "", heard[64] = "";
    char letter[] = {'-', s->letter, ',', ' ', '\0'};
    int column = printf("  %s--%s%s%s", s->letter ? letter : "    ", s->name,
        s->argument ? " " : "", s->argument ? s->argument : "");
    if (s->fallback && s->type != SETTING_FLAG)
        snprintf(fallback, sizeof fallback, " (default %s)", s->fallback);
    else if (s->fallback && strcmp(s->fallback, "true") == 0)
        snprintf(fallback, sizeof fallback, " (on; --no-%s)", s->name);
    if (s->variable)
        snprintf(heard, sizeof heard, " [%s]", setting_variable(id, variable));
    snprintf(text, sizeof text, "%s%s%s", s->help, fallback, heard);
    print_help_text(o, text, column);
}

static void print_line(const struct show_out *o, const char *text)
{
    struct err ignored = ERR_NONE;
    (void)!show_fill(o, text, strlen(text), 0, 4, &ignored);
}

void help_print(const struct command *c)
{
    if (!c) {
        print_commands();
        return;
    }
    struct show_out out = show_out_new(stdout, SHOW_TEXT, SHOW_COLOR_NEVER);
    struct show_out prose = show_prose(&out);
    char title[512];
    snprintf(title, sizeof title, "heaptap %s%s%s: %s", c->name, *c->arguments ? " " : "",
        c->arguments, c->summary);
    print_line(&prose, title);
    printf("\nExamples:\n%s", c->examples);
    if (c->settings && *c->settings != SET_END) {
        printf("\nOptions:\n");
        for (const enum setting_id *id = c->settings; *id != SET_END; id++)
            print_setting(&prose, *id);
    }
    printf("\nEverywhere:\n");
    for (int id = SET_END + 1; id < SET_COUNT; id++)
        if (setting_get((enum setting_id)id)->everywhere)
            print_setting(&prose, (enum setting_id)id);
    print_help_text(&prose, "this page", printf("  -h, --help"));
    print_line(&prose, "Each option can stand in the environment as HEAPTAP_NAME or in the "
                       "configuration file as name = value.");
    if (c->details) {
        printf("\n");
        show_page(&out, c->details);
    }
}

static int run_help(const struct invocation *in, struct err *e)
{
    if (in->word_count == 0) {
        print_commands();
        return 0;
    }
    const struct command *command = command_find(in->words[0]);
    if (!command) {
        const char *nearest = command_nearest(in->words[0]);
        return err_set(e, ERR_USAGE, "there is no command \"%s\"%s%s%s", in->words[0],
            nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    }
    help_print(command);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "the list of commands, or one command's page",
    .examples = "  heaptap help\n  heaptap help run\n",
    .words_max = 1,
    .run = run_help,
};

static int run_version(const struct invocation *in, struct err *e)
{
    (void)e;
    if (settings_flag(in->settings, SET_JSON))
        printf("{\"schema\":\"heaptap.version/1\",\"version\":\"%s\"}\n", HEAPTAP_VERSION);
    else
        printf("heaptap %s\n", HEAPTAP_VERSION);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .arguments = "",
    .summary = "the version",
    .examples = "  heaptap version\n",
    .run = run_version,
};
