/* A load generator of the user's, started once a round: its words as they are, without a shell.
 * HEAPTAP_ROUND says which round (from 1; 0 for the warm-up), HEAPTAP_ROUNDS how many there are.
 * What it prints goes to standard error. */
#ifndef HEAPTAP_COLLECT_GENERATOR_H
#define HEAPTAP_COLLECT_GENERATOR_H

#include "cdp/loop.h"

struct generator;

/* status is as from waitpid. */
typedef void (*generator_fn)(void *arg, int status);

/* command: NULL-terminated words, borrowed. */
int generator_new(struct loop *l, char *const *command, generator_fn fn, void *arg,
    struct generator **ret, struct err *e) MUST_USE;
/* ERR_USAGE: it cannot be started. fn comes when it has ended. */
int generator_start(struct generator *g, int64_t round, int64_t rounds, struct err *e) MUST_USE;
/* Ends what runs (its whole group); fn is not called any more. NULL is fine. */
void generator_free(struct generator *g);

#endif
