/* The word nearest to a misspelt one, for "did you mean". */
#ifndef HEAPTAP_COMMAND_NEAREST_H
#define HEAPTAP_COMMAND_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *word;  /* borrowed */
    const char *found; /* the best so far, borrowed; NULL: none is near */
    size_t best;
};

struct nearest nearest_begin(const char *word);
void nearest_try(struct nearest *n, const char *candidate);

#endif
