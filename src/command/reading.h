/* Opening a snapshot for a command, with its progress on the terminal. */
#ifndef HEAPTAP_COMMAND_READING_H
#define HEAPTAP_COMMAND_READING_H

#include "command/command.h"
#include "heap/heap.h"

/* heap_open with a progress line (after a second, on a terminal, without --quiet); with --partial
 * the log says what a damaged file lost. The caller gives the heap to reading_close. In the prompt
 * it is the prompt's own. */
int reading_open(
    const struct invocation *in, const char *path, struct heap **ret, struct err *e) MUST_USE;
void reading_close(const struct invocation *in, struct heap *h); /* takes NULL */

/* The same without asking the prompt, and closed with heap_close. */
int reading_open_fresh(
    const struct invocation *in, const char *path, struct heap **ret, struct err *e) MUST_USE;

#endif
