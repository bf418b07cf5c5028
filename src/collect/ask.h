/* Questions to a session, typed: what the collectors ask often, over cdp_call. */
#ifndef HEAPTAP_COLLECT_ASK_H
#define HEAPTAP_COLLECT_ASK_H

#include "cdp/connection.h"

/* Everything that heaptap keeps a handle of in a target is in this object group. */
#define ASK_OBJECT_GROUP "heaptap"

/* Runtime.evaluate of a program of ours: silent, with the command line API where api is set, its
 * object kept in our group. */
int ask_evaluate(struct cdp_session *s, const char *expression, bool api, int64_t deadline_us,
    cdp_reply_fn fn, void *arg, struct err *e) MUST_USE;

/* Runtime.evaluate of a promise, answered when that is settled, which takes a turn of the event
 * loop; ERR_TARGET also where the promise was collected first. */
int ask_settled(struct cdp_session *s, const char *expression, int64_t deadline_us, cdp_reply_fn fn,
    void *arg, struct err *e) MUST_USE;

/* Runtime.callFunctionOn of an object, silent. */
int ask_call_on(struct cdp_session *s, const char *object, const char *function,
    int64_t deadline_us, cdp_reply_fn fn, void *arg, struct err *e) MUST_USE;

/* What either of them answered, where a text or an object of ours is expected; borrowed from
 * result. ERR_TARGET with the exception's words when the target threw. */
int ask_text(const cJSON *result, const char **ret_text, struct err *e) MUST_USE;
int ask_object(const cJSON *result, const char **ret_object, struct err *e) MUST_USE;

/* HeapProfiler.getHeapObjectId of an object, and what it answered; "0": ids were reset. */
int ask_heap_id(struct cdp_session *s, const char *object, int64_t deadline_us, cdp_reply_fn fn,
    void *arg, struct err *e) MUST_USE;
int ask_heap_id_answer(const cJSON *result, int64_t *ret_id, struct err *e) MUST_USE;

#endif
