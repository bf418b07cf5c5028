/* Where a command prints, by its settings. */
#ifndef HEAPTAP_COMMAND_SINK_H
#define HEAPTAP_COMMAND_SINK_H

#include "command/command.h"
#include "show/out.h"

/* Standard output in the format and colour that the settings ask for. ERR_USAGE for a bad colour,
 * or for --json together with --csv. */
int sink_open(const struct settings *s, struct show_out *ret, struct err *e) MUST_USE;

/* The same for a command wherever it runs: in the prompt, where that wants it. */
int sink_of(const struct invocation *in, struct show_out *ret, struct err *e) MUST_USE;

/* Standard error for people: progress and log lines. */
int sink_open_errors(const struct settings *s, struct show_out *ret, struct err *e) MUST_USE;

#endif
