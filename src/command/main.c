/* Start-up: find the command, read its settings, run it, report its error once. */
#include "command/command.h"

#include "base/log.h"
#include "base/text.h"
#include "show/fill.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2

/* The rest of a line of which `at` columns are printed; on a terminal broken between words. */
static void print_filled(int at, const char *text)
{
    struct show_out errors = show_out_new(stderr, SHOW_TEXT, SHOW_COLOR_NEVER);
    struct err ignored = ERR_NONE;
    if (!errors.width)
        fprintf(stderr, "%s\n", text);
    else
        (void)!show_fill(&errors, text, strlen(text), at > 0 ? (size_t)at : 0, 2, &ignored);
}

static void write_log_line(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    const char *mark = level == LOG_ERROR ? "error: " : level == LOG_WARN ? "warning: " : "";
    print_filled(fprintf(stderr, "heaptap: %s", mark), line);
}

void command_tell_error(const char *command, const struct err *e)
{
    struct buf visible = buf_new(8 * ERR_TEXT_MAX);
    if (text_add_visible(&visible, e->text, strlen(e->text)) == 0)
        print_filled(fprintf(stderr, "heaptap%s%s: ", command ? " " : "", command ? command : ""),
            visible.data ? visible.data : "failed");
    buf_free(&visible);
}

static int unknown_command(const char *word)
{
    struct err e = ERR_NONE;
    const char *nearest = *word == '-' ? NULL : command_nearest(word);
    err_set(&e, ERR_USAGE, "there is no command \"%s\"%s%s%s; heaptap help lists them", word,
        nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    command_tell_error(NULL, &e);
    return EXIT_USAGE;
}

static int check_words(const struct invocation *in, struct err *e)
{
    const struct command *c = in->command;
    if (in->after && !c->takes_command)
        return err_set(e, ERR_USAGE, "takes no command behind \"--\"");
    if (in->after && !in->after[0])
        return err_set(e, ERR_USAGE, "expected a command behind \"--\"");
    if (in->word_count < c->words_min)
        return err_set(e, ERR_USAGE, "expected %s; see heaptap %s --help", c->arguments, c->name);
    if (c->words_max >= 0 && in->word_count > c->words_max)
        return err_set(e, ERR_USAGE, "\"%s\" is one word too many; see heaptap %s --help",
            in->words[c->words_max], c->name);
    return 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct err e = ERR_NONE;
    struct settings *settings = NULL;
    struct invocation in = {.command = command};
    bool help = false;
    int rc = settings_read(
        command->settings, argc, argv, &settings, &in.words, &in.word_count, &in.after, &help, &e);
    if (rc)
        goto out;
    if (help) {
        help_print(command);
        goto out;
    }
    enum log_level level = settings_flag(settings, SET_VERBOSE) ? LOG_DEBUG
                           : settings_flag(settings, SET_QUIET) ? LOG_ERROR
                                                                : LOG_INFO;
    log_open(level, write_log_line, NULL);
    in.settings = settings;
    rc = check_words(&in, &e);
    if (rc == 0)
        rc = command->run(&in, &e);
out:
    if (rc < 0)
        command_tell_error(command->name, &e);
    if (fflush(stdout) != 0 && errno != EPIPE && rc == 0) {
        err_set(&e, ERR_IO, "cannot write to standard output");
        command_tell_error(command->name, &e);
        rc = ERR_IO;
    }
    log_close();
    settings_free(settings);
    return rc < 0 ? err_exit_code(rc) : rc;
}

/* The command's word, which options may stand before: they are put behind it. NULL: there is none.
 */
static const char *bring_forward(int argc, char **argv)
{
    int leading = settings_leading(argc, argv);
    if (leading + 1 >= argc)
        return NULL;
    char *word = argv[leading + 1];
    memmove(argv + 2, argv + 1, (size_t)leading * sizeof *argv);
    argv[1] = word;
    return word;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file past the limit is an error of write */
    if (argc < 2) {
        help_print(NULL);
        return EXIT_USAGE;
    }
    const char *word = bring_forward(argc, argv);
    if (!word) {
        fprintf(
            stderr, "heaptap: expected a command behind the options; heaptap help lists them\n");
        return EXIT_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        word = "version";
    const struct command *command = command_find(word);
    return command ? run_command(command, argc - 1, argv + 1) : unknown_command(word);
}
