/* What a target's own /json/protocol says: its domains, methods, events, parameters and types. */
#ifndef HEAPTAP_COMMAND_PROMPT_PROTOCOL_H
#define HEAPTAP_COMMAND_PROMPT_PROTOCOL_H

#include "base/err.h"
#include "show/out.h"

#include <cjson/cJSON.h>
#include <stddef.h>

#define PROTOCOL_MAX (8 * 1024 * 1024) /* bytes; Chromium's has 1.6 MB, Node's 78 to 98 KB */

struct protocol;

/* Judges the text of /json/protocol. ERR_PROTOCOL if it is none. */
int protocol_read(const char *text, size_t length, struct protocol **ret, struct err *e) MUST_USE;
void protocol_free(struct protocol *p); /* NULL is fine */

/* "HeapProfiler.enable" and so on, in the target's order; texts are the target's. */
size_t protocol_count(const struct protocol *p);
const char *protocol_name(const struct protocol *p, size_t index);
bool protocol_is_event(const struct protocol *p, size_t index);
/* The command of that name, NULL if there is none. */
const cJSON *protocol_find(const struct protocol *p, const char *name);
/* The method nearest to name, NULL. */
const char *protocol_nearest(const struct protocol *p, const char *name);

/* Prints a domain's methods and events, or one of them with its parameters and results. ERR_USAGE:
 * there is no such name. */
int protocol_help(
    const struct protocol *p, const struct show_out *o, const char *name, struct err *e) MUST_USE;

#endif
