/* The prompt's input: lines that a person edits at a terminal (libedit), or lines of a file or
 * pipe.
 *
 * Reading is done by a thread of its own, which waits in the editor; the loop gets each line
 * through a wake. What the loop has to say meanwhile is shown above the line being typed, by the
 * same thread, and the line is kept. All functions are called on the loop's thread. */
#ifndef HEAPTAP_COMMAND_PROMPT_EDITOR_H
#define HEAPTAP_COMMAND_PROMPT_EDITOR_H

#include "cdp/loop.h"

#include <stddef.h>

struct editor;

enum editor_answer {
    EDITOR_LINE,
    EDITOR_INTERRUPTED, /* Ctrl-C: the line was thrown away */
    EDITOR_ASKS_QUIT,   /* Ctrl-C, and the line was empty */
    EDITOR_END,         /* Ctrl-D, or the end of the input */
};

/* Completes the line up to the cursor, on the editor's thread; false: there is nothing. */
struct editor_choices {
    size_t length; /* bytes before the cursor that the choices stand for */
    char **words;  /* owned, each too; sorted */
    size_t count;
    bool final; /* with one choice: the word is whole and a blank may follow */
};
typedef bool (*editor_complete_fn)(
    void *arg, const char *line, size_t cursor, struct editor_choices *ret);
void editor_choices_free(struct editor_choices *c);

struct editor_options {
    bool terminal;               /* edit; else lines are read from standard input as they come */
    const char *history;         /* file, NULL: kept in memory only; copied */
    editor_complete_fn complete; /* NULL: words are not completed */
    void *complete_arg;
    void (*ready)(void *arg); /* a line can be taken; on the loop's thread */
    void *arg;
};
int editor_new(
    struct loop *l, const struct editor_options *o, struct editor **ret, struct err *e) MUST_USE;
/* Ends the thread and gives the terminal back as it was. NULL is fine. */
void editor_free(struct editor *e);

/* Asks for a line with a prompt; ready is called when there is one. */
void editor_ask(struct editor *e, const char *prompt);
/* Another prompt for the line that is being typed. */
void editor_set_prompt(struct editor *e, const char *prompt);
/* What came; *ret_line (owned by the caller) with EDITOR_LINE, without its newline. false: nothing
 * yet. */
bool editor_take(struct editor *e, enum editor_answer *ret, char **ret_line);

/* Shows text, lines that each end in a newline, above the line being typed; false: nobody types now
 * and the caller may print it himself. From any thread. */
bool editor_show(struct editor *e, const char *text);
/* Ctrl-C came while a line is being typed. */
void editor_interrupt(struct editor *e);
/* The terminal has another size. */
void editor_resize(struct editor *e);

/* Puts a command into the history, unless it begins with a blank or seems to hold a secret. */
void editor_remember(struct editor *e, const char *command);
/* Does a line hold what looks like a password, token or key? For tests. */
bool editor_is_secret(const char *line);

#endif
