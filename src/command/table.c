/* The table of commands. */
#include "command/command.h"

#include <string.h>

const struct command *const command_table[] = {
    &command_targets,
    &command_run,
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

#define NEAREST_WORD_MAX 32 /* longer words are no misspelt command */
#define NEAREST_EDITS    2

/* Levenshtein's distance, both words shorter than NEAREST_WORD_MAX. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NEAREST_WORD_MAX + 1];
    size_t length = strlen(b);
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[length];
}

const char *command_nearest(const char *word)
{
    const char *nearest = NULL;
    size_t best = NEAREST_EDITS + 1;
    if (strlen(word) >= NEAREST_WORD_MAX)
        return NULL;
    for (const struct command *const *c = command_table; *c; c++) {
        size_t distance = edit_distance(word, (*c)->name);
        if (distance < best) {
            best = distance;
            nearest = (*c)->name;
        }
    }
    return nearest;
}
