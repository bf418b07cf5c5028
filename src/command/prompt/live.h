/* Live objects of the target: what commands that look at them share. Everything that they hold in
 * the target is of one object group, which session_release lets go. */
#ifndef HEAPTAP_COMMAND_PROMPT_LIVE_H
#define HEAPTAP_COMMAND_PROMPT_LIVE_H

#include "command/prompt/session.h"

#include <cjson/cJSON.h>

/* Puts our functions (live.js) into the target; *ret_helper (owned) is the object that has them. */
int live_begin(struct session *s, char **ret_helper, struct err *e) MUST_USE;

/* Calls one of them: arguments is a JSON array of {"objectId":…} or {"value":…}, taken. *ret_result
 * is the RemoteObject, owned. */
int live_call(struct session *s, const char *helper, const char *function, cJSON *arguments,
    bool by_value, cJSON **ret_result, struct err *e) MUST_USE;

/* An argument for it; taken by the array. */
void live_add_object(cJSON *arguments, const char *object);
void live_add_number(cJSON *arguments, double value);
void live_add_text(cJSON *arguments, const char *text);

/* A RemoteObject out of an answer of evaluate or callFunctionOn, detached and owned. ERR_TARGET
 * with the exception's first line if it threw. */
int live_take(cJSON *answer, cJSON **ret_remote, struct err *e) MUST_USE;
/* Its object id, NULL for a primitive; borrowed. */
const char *live_object(const cJSON *remote);
/* Another of its texts, such as "className"; NULL if it has none. */
const char *live_text(const cJSON *remote, const char *key);

/* All live objects that have a prototype in their chain: an array's object id, owned. Forces a
 * collection. */
int live_query(struct session *s, const char *prototype, char **ret_array, struct err *e) MUST_USE;

/* The heap object id of an object, as snapshots name it; 0: it has none now. */
int live_heap_id(struct session *s, const char *object, int64_t *ret, struct err *e) MUST_USE;

/* ---- an object's properties ---- */

/* Its own ones and the internal ones: the answer of Runtime.getProperties, owned. */
int live_properties(
    struct session *s, const char *object, cJSON **ret_answer, struct err *e) MUST_USE;
/* One of that answer after the other, internal ones last: the first for item NULL, NULL behind the
 * last. Borrowed from the answer, as all that follows. */
const cJSON *live_next_property(const cJSON *answer, const cJSON *item);
/* NULL if there is none of that name. */
const cJSON *live_property(const cJSON *answer, const char *name);
/* Its value, a remote; NULL for accessors, too. */
const cJSON *live_value(const cJSON *answer, const char *name);
int64_t live_integer(const cJSON *answer, const char *name); /* 0 where it is no number */
/* The objects in an array that was looked at: *item NULL for the first; NULL behind the last. */
const char *live_next_object(const cJSON *answer, const cJSON **item);

#endif
