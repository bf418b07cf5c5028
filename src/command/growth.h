/* diff with three files or more: classes across a series of snapshots. */
#ifndef HEAPTAP_COMMAND_GROWTH_H
#define HEAPTAP_COMMAND_GROWTH_H

#include "command/heapfile.h"

int growth_run(const struct invocation *in, const struct show_out *out, struct err *e) MUST_USE;

#endif
