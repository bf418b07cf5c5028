/* Opening a snapshot for a command, with its progress on the terminal. */
#ifndef HEAPTAP_COMMAND_READING_H
#define HEAPTAP_COMMAND_READING_H

#include "command/command.h"
#include "heap/heap.h"

/* heap_open with a progress line (after a second, on a terminal, without --quiet); with --partial
 * the log says what a damaged file lost. The caller closes the heap. */
int reading_open(
    const struct invocation *in, const char *path, struct heap **ret, struct err *e) MUST_USE;

#endif
