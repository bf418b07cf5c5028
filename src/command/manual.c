/* manual: the manual page, made from the tables as help is. */
#include "command/command.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Text that roff neither reads as a request nor breaks: - stays a minus, a line begins with no dot.
 */
static void print_roff(const char *text)
{
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\''))
            printf("\\&");
        if (*text == '-')
            printf("\\-");
        else if (*text == '\\')
            printf("\\e");
        else
            putchar(*text);
        begins = *text == '\n';
    }
}

static void print_examples(const char *lines)
{
    printf(".PP\n.nf\n");
    print_roff(lines);
    printf(".fi\n");
}

static void print_option(enum setting_id id)
{
    const struct setting *s = setting_get(id);
    char variable[SETTING_VARIABLE_SIZE];
    bool flag = s->type == SETTING_FLAG, on = flag && s->fallback && !strcmp(s->fallback, "true");
    printf(".TP\n\\fB");
    if (s->letter)
        printf("\\-%c\\fR, \\fB", s->letter);
    print_roff("--");
    print_roff(s->name);
    if (on) {
        printf("\\fR, \\fB");
        print_roff("--no-");
        print_roff(s->name);
    }
    printf("\\fR");
    if (s->argument) {
        printf(" \\fI");
        print_roff(s->argument);
        printf("\\fR");
    }
    putchar('\n');
    print_roff(s->help);
    if (on || (s->fallback && !flag)) {
        printf(" (default ");
        print_roff(on ? "on" : s->fallback);
        putchar(')');
    }
    printf(".\n");
    if (s->variable) {
        printf("Environment: ");
        print_roff(setting_variable(id, variable));
        printf(".\n");
    }
}

/* Paragraphs as help has them: an empty line between two, lines as the terminal likes them. */
static void print_paragraphs(const char *text)
{
    printf(".PP\n");
    while (*text) {
        size_t length = strcspn(text, "\n");
        char line[256];
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        if (length == 0)
            printf(".PP\n");
        else if (isspace((unsigned char)line[0]))
            printf(".br\n"); /* a line of its own, such as in a list */
        print_roff(line);
        if (length > 0)
            putchar('\n');
        text += length + (text[length] == '\n');
    }
}

static void print_command(const struct command *c)
{
    printf(".SS heaptap %s %s\n", c->name, c->arguments);
    print_roff(c->summary);
    printf(".\n");
    print_examples(c->examples);
    if (c->details)
        print_paragraphs(c->details);
    for (const enum setting_id *id = c->settings; id && *id != SET_END; id++)
        print_option(*id);
}

static const char head[] =
    ".TH HEAPTAP 1 \"\" \"heaptap " HEAPTAP_VERSION "\" \"User Commands\"\n"
    ".SH NAME\nheaptap \\- finds the memory leak in a running Node.js server\n"
    ".SH SYNOPSIS\n\\fBheaptap\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
    ".SH DESCRIPTION\n"
    "heaptap attaches to the inspector of an unmodified process (node \\-\\-inspect, or a process "
    "id),\n"
    "samples its memory, takes heap snapshots on a schedule, reads them itself and names what "
    "leaks:\n"
    "class, holder, route and allocating line. Files stay on disk, figures in SQLite or "
    "PostgreSQL.\n";

static const char tail[] =
    ".SH ENVIRONMENT\nEach option can stand in the environment as HEAPTAP_NAME; an option comes "
    "before the\n"
    "environment, that before the configuration file, that before the default.\n"
    "\\fBheaptap config show\\fR prints what is in force and where it comes from.\n"
    ".SH FILES\n.TP\n$XDG_CONFIG_HOME/heaptap/config\nSettings, as name = value.\n"
    ".TP\n$XDG_STATE_HOME/heaptap/heaptap.db\nThe record, unless \\-\\-db says otherwise.\n"
    ".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nA leak or threshold was found, and \\-\\-exit\\-code "
    "was given.\n"
    ".TP\n2\nWrong usage.\n.TP\n3\nThe target cannot be reached, or was lost.\n"
    ".TP\n4\nA capture failed or was refused, or a file cannot be read or written.\n.TP\n5\nThe "
    "database, or a run that is not in it.\n"
    ".TP\n6\nA bad or truncated file.\n.TP\n124\nA \\-\\-timeout passed.\n"
    ".TP\n130, 143\nEnded by a second SIGINT or SIGTERM; the first one ends it normally.\n";

static int run(const struct invocation *in, struct err *e)
{
    (void)in;
    (void)e;
    fputs(head, stdout);
    printf(".SH COMMANDS\n");
    for (const struct command *const *c = command_table; *c; c++)
        print_command(*c);
    printf(".SH OPTIONS OF EVERY COMMAND\n");
    for (int id = SET_END + 1; id < SET_COUNT; id++)
        if (setting_get((enum setting_id)id)->everywhere)
            print_option((enum setting_id)id);
    fputs(tail, stdout);
    return 0;
}

const struct command command_manual = {
    .name = "manual",
    .arguments = "",
    .summary = "prints the manual page",
    .examples = "  heaptap manual | man -l -\n",
    .run = run,
};
