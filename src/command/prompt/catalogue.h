/* The protocol that the target in use speaks, fetched from its /json/protocol when it is needed. */
#ifndef HEAPTAP_COMMAND_PROMPT_CATALOGUE_H
#define HEAPTAP_COMMAND_PROMPT_CATALOGUE_H

#include "command/prompt/protocol.h"
#include "command/prompt/session.h"

/* Begins to fetch it, so that words can be completed; says nothing of failures. */
void catalogue_fetch(struct session *s);
/* The target in use is another one. */
void catalogue_forget(struct session *s);
/* Waits for it. ERR_UNREACHABLE, ERR_PROTOCOL (Deno has none). */
int catalogue_get(struct session *s, const struct protocol **ret, struct err *e) MUST_USE;

#endif
