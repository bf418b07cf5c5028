/* The table of commands. */
#include "command/command.h"

#include "command/nearest.h"

#include <string.h>

const struct command *const command_table[] = {
    &command_targets,
    &command_run,
    &command_attach,
    &command_snapshot,
    &command_timeline,
    &command_survivors,
    &command_allocations,
    &command_probe,
    &command_diagnose,
    &command_report,
    &command_summary,
    &command_diff,
    &command_retainers,
    &command_dominators,
    &command_statistics,
    &command_strings,
    &command_find_objects,
    &command_metrics,
    &command_db,
    &command_verify,
    &command_config,
    &command_completion,
    &command_manual,
    &command_help,
    &command_version,
    NULL,
};

const struct command *command_find(const char *name)
{
    for (const struct command *const *c = command_table; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

const char *command_nearest(const char *word)
{
    struct nearest n = nearest_begin(word);
    for (const struct command *const *c = command_table; *c; c++)
        nearest_try(&n, (*c)->name);
    return n.found;
}
