/* Commands of the shell that run in the prompt: the same code, with the session's snapshots by
 * number and the answer where the prompt wants it. */
#ifndef HEAPTAP_COMMAND_PROMPT_EMBED_H
#define HEAPTAP_COMMAND_PROMPT_EMBED_H

#include "command/prompt/session.h"
#include "command/prompt/table.h"

/* Runs the shell's command of c with its words as they are. */
int embed_run(struct session *s, struct prompt_call *c, struct err *e) MUST_USE;

/* The same with words that name files put in the place of snapshot numbers. */
int embed_run_words(struct session *s, struct prompt_call *c, char **words, int count,
    bool foreign_ids, struct err *e) MUST_USE;

/* Prints what a recording's file tells of sites, as `allocations` does. */
int embed_sites(struct session *s, struct prompt_call *c, const char *path, struct err *e) MUST_USE;

/* Closes the snapshots that are kept open. */
void embed_close_all(struct session *s);

#endif
