/* The word nearest to a misspelt one, by Levenshtein's distance. */
#include "command/nearest.h"

#include <string.h>

#define WORD_MAX  64 /* longer words are no misspelt name */
#define EDITS_MAX 2

/* Both words are shorter than WORD_MAX. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
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

struct nearest nearest_begin(const char *word)
{
    return (struct nearest){.word = word, .best = EDITS_MAX + 1};
}

void nearest_try(struct nearest *n, const char *candidate)
{
    if (strlen(n->word) >= WORD_MAX || strlen(candidate) >= WORD_MAX)
        return;
    size_t distance = edit_distance(n->word, candidate);
    if (distance < n->best) {
        n->best = distance;
        n->found = candidate;
    }
}
