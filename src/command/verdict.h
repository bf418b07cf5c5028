/* A diagnosis in words: the answer first, then what it rests on. */
#ifndef HEAPTAP_COMMAND_VERDICT_H
#define HEAPTAP_COMMAND_VERDICT_H

#include "diagnose/diagnosis.h"
#include "show/out.h"

/* Prints all of it for a person, with a plot of the memory on a terminal. Text from the target is
 * escaped, lines fit the terminal. */
int verdict_print(const struct show_out *o, const struct diagnosis *d, struct err *e) MUST_USE;

/* The answer alone, in one sentence or two without a newline: "Leak: SessionState, +400 …". Owned
 * by the caller (free), not escaped; NULL when memory is out. */
char *verdict_headline(const struct diagnosis *d);

#endif
