/* help and version: everything comes from the two tables, so that it cannot be out of date. */
#include "command/command.h"

#include <stdio.h>
#include <string.h>

#define OPTION_COLUMN 30

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

static void print_setting(enum setting_id id)
{
    const struct setting *s = setting_get(id);
    char left[128], variable[SETTING_VARIABLE_SIZE];
    char letter[] = {'-', s->letter, ',', ' ', '\0'};
    snprintf(left, sizeof left, "%s--%s%s%s", s->letter ? letter : "    ", s->name,
        s->argument ? " " : "", s->argument ? s->argument : "");
    int width = (int)strlen(left) > OPTION_COLUMN ? 0 : OPTION_COLUMN;
    printf("  %-*s%s%s", width, left, width ? " " : "\n                                 ", s->help);
    if (s->fallback && s->type != SETTING_FLAG)
        printf(" (default %s)", s->fallback);
    else if (s->fallback && strcmp(s->fallback, "true") == 0)
        printf(" (on; --no-%s)", s->name);
    if (s->variable)
        printf(" [%s]", setting_variable(id, variable));
    printf("\n");
}

void help_print(const struct command *c)
{
    if (!c) {
        print_commands();
        return;
    }
    printf("heaptap %s%s%s: %s\n\nExamples:\n%s", c->name, *c->arguments ? " " : "", c->arguments,
        c->summary, c->examples);
    if (c->settings) {
        printf("\nOptions:\n");
        for (const enum setting_id *id = c->settings; *id != SET_END; id++)
            print_setting(*id);
    }
    printf("\nEverywhere:\n");
    for (int id = SET_END + 1; id < SET_COUNT; id++)
        if (setting_get((enum setting_id)id)->everywhere)
            print_setting((enum setting_id)id);
    printf("  -h, --help                     this page\n"
           "Each option can stand in the environment as HEAPTAP_NAME or in the configuration file"
           " as name = value.\n");
    if (c->details)
        printf("\n%s", c->details);
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
