/* The prompt's language: commands on lines or between ";", words, quotes, and where output goes.
 *
 *      summary 2 --top 10 | less
 *      eval [...users.values()].length; gc
 *      HeapProfiler.collectGarbage {}  > answer.json
 *
 * Quotes (' " `) and brackets hold a command together: within them neither ";" nor "|" nor ">"
 * means anything, and within brackets and backquotes a command goes on over the end of the line.
 * "#" where a command would begin makes the rest of the line a remark. Pure: nothing here reads or
 * prints. */
#ifndef HEAPTAP_COMMAND_PROMPT_SCRIPT_H
#define HEAPTAP_COMMAND_PROMPT_SCRIPT_H

#include "base/err.h"

#include <stddef.h>

#define SCRIPT_MAX       (16 * 1024 * 1024) /* bytes of a script or a line: a large eval, no more */
#define SCRIPT_WORDS_MAX 256                /* of one command; more is no command for a person */

/* Cuts the next command off *cursor, which moves behind it. *ret_text NULL: there is none any more.
 * It is borrowed from the script, without blanks around it. ERR_USAGE: a quote or bracket is never
 * closed; *cursor is behind the bad line then, so that the next one can be read. */
int script_next(
    const char **cursor, const char **ret_text, size_t *ret_length, struct err *e) MUST_USE;

/* More lines have to come before the last command of text is whole. */
bool script_is_open(const char *text);

enum script_kind {
    SCRIPT_WORDS,      /* words; > and | always say where the output goes */
    SCRIPT_RAW,        /* a name and JSON */
    SCRIPT_EXPRESSION, /* JavaScript or SQL, where > and | may be operators: > counts only before a
                          path with a slash at its beginning (./FILE, ~/FILE), | only before a
                          program that there is */
};

struct script_command {
    char *name; /* the first word */
    /* All behind it, as written, without where the output goes; of a command that is not of words
     * without the options that it begins with. */
    char *rest;
    char **words; /* of rest, or those options; quotes taken away; NULL-terminated */
    int word_count;
    char *program; /* behind |, NULL: none */
    char *file;    /* behind >, NULL: none */
    bool append;   /* >> */
};

/* Takes a command apart. kind_of tells from the first word how to read the rest; is_program whether
 * a word is a program that could be started; name is the first word. */
struct script_rules {
    enum script_kind (*kind_of)(const char *name);
    bool (*is_program)(const char *word);
    /* Whether "--name" is an option (1), one with a value (2) or none (0). */
    int (*is_option)(const char *name, const char *word);
};
int script_parse(const char *text, size_t length, const struct script_rules *rules,
    struct script_command *ret, struct err *e) MUST_USE;
void script_command_free(struct script_command *c); /* safe on zeros */

#endif
