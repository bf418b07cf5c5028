/* How commands of the prompt wait: for the target, for a time, for a thread. */
#include "command/prompt/session.h"

#include "base/clock.h"
#include "cdp/proto.h"
#include "collect/run.h"

#include <pthread.h>
#include <stdlib.h>

#define READING_DEADLINE_US (60 * 1000000LL)
#define SILENCE_US          (1 * 1000000LL) /* before it is shown that an answer is waited for */
#define EXPLAIN_US          (4 * 1000000LL) /* before it is said what that may mean */
#define TICK_US             250000

void session_stir(struct session *s)
{
    loop_stop(s->loop);
}

bool session_interrupted(void *arg)
{
    struct session *s = arg;
    return atomic_load(&s->interrupted);
}

int session_wait(struct session *s, const bool *done, struct err *e)
{
    while (!*done) {
        if (s->timed_out)
            return err_set(e, ERR_TIMEOUT, "the time of --timeout has passed");
        if (atomic_load(&s->interrupted) || s->signal)
            return err_set(e, ERR_CANCELLED, "ended by Ctrl-C");
        if (s->run_over) {
            *e = s->why;
            return s->why.code ? s->why.code : err_set(e, ERR_LOST, "the session is over");
        }
        int rc = loop_run(s->loop, e);
        if (rc)
            return rc;
    }
    return 0;
}

struct pause {
    struct session *session;
    bool over;
};

static void pause_over(void *arg)
{
    struct pause *p = arg;
    p->over = true;
    session_stir(p->session);
}

int session_pause(struct session *s, int64_t us, struct err *e)
{
    struct pause p = {.session = s};
    struct timer *timer;
    int rc = timer_new(s->loop, pause_over, &p, &timer, e);
    if (rc)
        return rc;
    timer_start(timer, us);
    rc = session_wait(s, &p.over, e);
    timer_free(timer);
    return rc;
}

struct apart {
    int (*fn)(void *arg, struct err *e);
    void *arg;
    struct session *session;
    struct wake *wake;
    struct err why;
    int rc;
    bool done;
};

static void *work_apart(void *arg)
{
    struct apart *a = arg;
    a->rc = a->fn(a->arg, &a->why);
    wake_send(a->wake);
    return NULL;
}

static void apart_done(void *arg)
{
    struct apart *a = arg;
    a->done = true;
    session_stir(a->session);
}

int session_apart(struct session *s, int (*fn)(void *arg, struct err *e), void *arg, struct err *e)
{
    struct apart a = {.fn = fn, .arg = arg, .session = s, .why = ERR_NONE};
    pthread_t thread;
    int rc = wake_new(s->loop, apart_done, &a, &a.wake, e);
    if (rc)
        return rc;
    int code = pthread_create(&thread, NULL, work_apart, &a);
    if (code) {
        wake_free(a.wake);
        return err_set_errno(e, ERR_IO, code, "cannot start a thread");
    }
    while (!a.done && loop_run(s->loop, e) == 0) /* the thread hears of Ctrl-C itself */
        ;
    pthread_join(thread, NULL);
    wake_free(a.wake);
    if (a.rc < 0)
        *e = a.why;
    return a.rc;
}

/* ---- the target in use ---- */

int session_target(struct session *s, struct target **ret, struct err *e)
{
    struct target *t = s->current == SIZE_MAX ? NULL : run_target_live(s->run, s->current);
    if (!t)
        return err_set(e, ERR_LOST,
            s->current != SIZE_MAX && run_link_ended(s->run, run_target_link(s->run, s->current))
                ? "the target is gone for good; use takes another one"
                : "the target is gone; when it comes back, it is attached to again");
    *ret = t;
    return 0;
}

/* An answer that somebody waits for, or does not any more. */
struct asked {
    struct session *session;
    bool done, dropped;
    cJSON *result;
    struct sample sample;
    struct err why;
};

/* Frees it if nobody waits for it. */
static void answered(struct asked *a)
{
    a->done = true;
    if (a->dropped) {
        cJSON_Delete(a->result);
        free(a);
    } else {
        session_stir(a->session);
    }
}

static void on_reply(void *arg, const cJSON *result, const struct err *why)
{
    struct asked *a = arg;
    if (why)
        a->why = *why;
    else if (!a->dropped && !(a->result = cJSON_Duplicate(result, true)))
        err_set(&a->why, ERR_NOMEM, "no memory for the answer");
    answered(a);
}

static void on_sample(void *arg, const struct sample *sample, const struct err *why)
{
    struct asked *a = arg;
    if (why)
        a->why = *why;
    else
        a->sample = *sample;
    answered(a);
}

/* A target that says nothing for a while: the time is shown. */
struct silence {
    struct session *session;
    struct timer *timer;
    int64_t began_us;
    bool shown, explained;
};

static void on_silence(void *arg)
{
    struct silence *w = arg;
    struct session *s = w->session;
    int64_t now = clock_monotonic_us();
    if (!w->shown)
        show_progress_begin(s->progress, "waiting for the target", SHOW_UNIT_NONE, 0, w->began_us);
    else if (!w->explained && now - w->began_us >= EXPLAIN_US)
        show_progress_begin(
            s->progress, "waiting: busy, or paused by a debugger?", SHOW_UNIT_NONE, 0, w->began_us);
    w->shown = true;
    w->explained = now - w->began_us >= EXPLAIN_US;
    show_progress_at(s->progress, 0, 0, now);
    timer_start(w->timer, TICK_US);
}

static int wait_for_target(struct session *s, const bool *done, struct err *e)
{
    struct silence w = {.session = s, .began_us = clock_monotonic_us()};
    int rc = timer_new(s->loop, on_silence, &w, &w.timer, e);
    if (rc)
        return rc;
    timer_start(w.timer, SILENCE_US);
    rc = session_wait(s, done, e);
    timer_free(w.timer);
    if (w.shown)
        show_progress_clear(s->progress);
    return rc;
}

/* For the target in use; nothing is asked yet. */
static int new_question(
    struct session *s, struct asked **ret, struct target **ret_target, struct err *e)
{
    struct asked *a = calloc(1, sizeof *a);
    int rc = a ? session_target(s, ret_target, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc) {
        free(a);
        return rc;
    }
    *a = (struct asked){.session = s, .why = ERR_NONE};
    *ret = a;
    return 0;
}

/* Waits for a; it is not to be touched after a failure of the wait. */
static int await_answer(struct session *s, struct asked *a, struct err *e)
{
    int rc = wait_for_target(s, &a->done, e);
    if (rc) {
        a->dropped = true;
        return rc;
    }
    if (a->why.code) {
        *e = a->why;
        rc = a->why.code;
        free(a);
    }
    return rc;
}

int session_call(struct session *s, const char *method, cJSON *params, int64_t deadline_us,
    cJSON **ret_result, struct err *e)
{
    struct target *t = NULL;
    struct asked *a = NULL;
    int rc = new_question(s, &a, &t, e);
    if (rc) {
        cJSON_Delete(params);
        return rc;
    }
    if (deadline_us == 0)
        deadline_us = settings_number(s->in->settings, SET_DEADLINE);
    rc = cdp_call(target_session(t), method, params, deadline_us, on_reply, a, e);
    if (rc) {
        free(a);
        return rc;
    }
    rc = await_answer(s, a, e);
    if (rc)
        return rc;
    *ret_result = a->result;
    free(a);
    return 0;
}

int session_read(struct session *s, struct sample *ret, struct err *e)
{
    struct target *t = NULL;
    struct asked *a = NULL;
    int rc = new_question(s, &a, &t, e);
    if (rc)
        return rc;
    rc = sampler_read(target_sampler(t), READING_DEADLINE_US, on_sample, a, e);
    if (rc) {
        free(a);
        return rc;
    }
    rc = await_answer(s, a, e);
    if (rc)
        return rc;
    *ret = a->sample;
    ret->heap_spaces = NULL;
    free(a);
    return 0;
}

void session_release(struct session *s)
{
    struct target *t = NULL;
    struct err e = ERR_NONE;
    struct proto_runtime_release_object_group p = {.object_group = SESSION_OBJECT_GROUP};
    cJSON *params;
    if (session_target(s, &t, &e) == 0 &&
        proto_runtime_release_object_group_encode(&p, &params, &e) == 0)
        (void)!cdp_call(
            target_session(t), PROTO_RUNTIME_RELEASE_OBJECT_GROUP, params, 0, NULL, NULL, &e);
}
