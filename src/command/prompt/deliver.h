/* Where a command's answer goes: it is gathered first, then printed, paged, piped or written. */
#ifndef HEAPTAP_COMMAND_PROMPT_DELIVER_H
#define HEAPTAP_COMMAND_PROMPT_DELIVER_H

#include "base/buf.h"
#include "command/prompt/script.h"
#include "command/prompt/session.h"

/* Bytes of one answer; what is larger is for the command line, whose output streams. */
#define DELIVER_MAX (512 * 1024 * 1024)

struct gathering {
    struct buf text;
    bool overflown;
};

/* A stream that gathers what is printed; g outlives it. NULL when memory is out. */
FILE *deliver_gather(struct gathering *g);

/* Sends text to the program or file that the command names, else to standard output, by the pager
 * when a terminal could not show it at once. */
int deliver(struct session *s, const struct script_command *c, const struct buf *text,
    struct err *e) MUST_USE;

/* Whether a shell would find the program. */
bool deliver_is_program(const char *word);

#endif
