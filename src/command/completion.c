/* completion: shell scripts made from the tables. */
#include "command/command.h"

#include <stdio.h>
#include <string.h>

static void print_command_names(const char *separator)
{
    for (const struct command *const *c = command_table; *c; c++)
        printf("%s%s", c == command_table ? "" : separator, (*c)->name);
}

static bool has_setting(const struct command *c, enum setting_id id)
{
    if (setting_get(id)->everywhere)
        return true;
    for (const enum setting_id *own = c->settings; own && *own != SET_END; own++)
        if (*own == id)
            return true;
    return false;
}

static void print_options(const struct command *c)
{
    printf("--help");
    for (int id = SET_END + 1; id < SET_COUNT; id++)
        if (has_setting(c, (enum setting_id)id))
            printf(" --%s", setting_get((enum setting_id)id)->name);
}

/* The words that stand in the command's place for one: "init|status|ship" of db, any command's name
 * of help; none where files or targets are meant. */
static void print_words(const struct command *c)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    size_t length = strspn(c->arguments, letters);
    if (c == &command_help) {
        print_command_names(" ");
        return;
    }
    if (length == 0)
        return;
    for (const char *word = c->arguments;; word += length + 1) {
        length = strspn(word, letters);
        printf("%.*s", (int)length, word);
        if (word[length] != '|')
            return;
        printf(" ");
    }
}

static void print_bash(void)
{
    printf("_heaptap() {\n"
           "  local word=${COMP_WORDS[COMP_CWORD]} options= words=\n"
           "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
           "    COMPREPLY=($(compgen -W \"");
    print_command_names(" ");
    printf("\" -- \"$word\"))\n    return\n  fi\n  case ${COMP_WORDS[1]} in\n");
    for (const struct command *const *c = command_table; *c; c++) {
        printf("  %s) options=\"", (*c)->name);
        print_options(*c);
        printf("\" words=\"");
        print_words(*c);
        printf("\" ;;\n");
    }
    printf("  esac\n"
           "  if [ \"$COMP_CWORD\" = 2 ] && [ \"$words\" ] && [ \"${word#-}\" = \"$word\" ]; then\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n    return\n  fi\n"
           "  case $word in\n"
           "  -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
           "  *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
           "  esac\n"
           "}\n"
           "complete -F _heaptap heaptap\n");
}

static void print_quoted(const char *text)
{
    for (; *text; text++)
        printf(*text == '\'' ? "'\\''" : "%c", *text);
}

static void print_zsh(void)
{
    printf("#compdef heaptap\n_heaptap() {\n  local -a commands\n  commands=(\n");
    for (const struct command *const *c = command_table; *c; c++) {
        printf("    '%s:", (*c)->name);
        print_quoted((*c)->summary);
        printf("'\n");
    }
    printf("  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
           "  case $words[2] in\n");
    for (const struct command *const *c = command_table; *c; c++) {
        printf("  %s) _values -w option ", (*c)->name);
        print_options(*c);
        printf(" ");
        print_words(*c);
        printf(" ;;\n");
    }
    printf("  esac\n  _files\n}\ncompdef _heaptap heaptap\n");
}

static void print_fish(void)
{
    for (const struct command *const *c = command_table; *c; c++) {
        printf("complete -c heaptap -n __fish_use_subcommand -a %s -d '", (*c)->name);
        print_quoted((*c)->summary);
        printf("'\ncomplete -c heaptap -n '__fish_seen_subcommand_from %s' -a '", (*c)->name);
        print_words(*c);
        printf("'\n");
        for (int id = SET_END + 1; id < SET_COUNT; id++) {
            if (!has_setting(*c, (enum setting_id)id))
                continue;
            const struct setting *s = setting_get((enum setting_id)id);
            printf("complete -c heaptap -n '__fish_seen_subcommand_from %s' -l %s -d '", (*c)->name,
                s->name);
            print_quoted(s->help);
            printf("'\n");
        }
    }
}

static int run(const struct invocation *in, struct err *e)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].name, in->words[0]) == 0) {
            shells[i].print();
            return 0;
        }
    }
    return err_set(
        e, ERR_USAGE, "no completion for \"%s\": there are bash, zsh and fish", in->words[0]);
}

const struct command command_completion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "prints a shell's completion script",
    .examples = "  source <(heaptap completion bash)\n"
                "  heaptap completion fish > ~/.config/fish/completions/heaptap.fish\n",
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
