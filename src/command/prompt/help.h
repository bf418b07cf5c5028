/* What help prints of the prompt's commands, all of it from their table. */
#ifndef HEAPTAP_COMMAND_PROMPT_HELP_H
#define HEAPTAP_COMMAND_PROMPT_HELP_H

#include "command/prompt/table.h"

void help_command(const struct show_out *o, const struct prompt_command *p);

#endif
