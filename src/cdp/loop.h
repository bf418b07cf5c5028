/* The loop: one thread that owns all sockets, timers and signals of the program.
 *
 * Everything here is called from the loop's thread, or before loop_run starts, with one exception:
 * wake_send may be called from any thread (not from a signal handler).
 *
 * An object may be freed at any moment, also within its own callback: it is silent at once, and its
 * memory goes at the end of the turn. Callbacks never run inside the call that asked for them.
 */
#ifndef HEAPTAP_CDP_LOOP_H
#define HEAPTAP_CDP_LOOP_H

#include "base/err.h"

struct loop;

int loop_new(struct loop **ret_loop, struct err *e) MUST_USE;
/* Everything made on the loop must have been freed or closed before; NULL is fine. */
void loop_free(struct loop *l);

/* Serves until loop_stop; may be called again after it. */
int loop_run(struct loop *l, struct err *e) MUST_USE;
/* loop_run returns at the end of this turn. */
void loop_stop(struct loop *l);

/* ---- timers: they fire once, not before their time ---- */
struct timer;
typedef void (*timer_fn)(void *arg);

int timer_new(
    struct loop *l, timer_fn fn, void *arg, struct timer **ret_timer, struct err *e) MUST_USE;
/* Starts it, or starts it afresh: fn runs delay_us microseconds from now (0: in the next turn). */
void timer_start(struct timer *t, int64_t delay_us);
void timer_stop(struct timer *t);
bool timer_running(const struct timer *t);
void timer_free(struct timer *t); /* NULL is fine */

/* ---- wakes: how other threads reach the loop ---- */
struct wake;
typedef void (*wake_fn)(void *arg);

int wake_new(struct loop *l, wake_fn fn, void *arg, struct wake **ret_wake, struct err *e) MUST_USE;
/* From any thread: fn runs soon on the loop's thread, once for one or several sends. The caller
 * sees to it that no thread sends while or after wake_free runs. */
void wake_send(struct wake *w);
void wake_free(struct wake *w); /* NULL is fine */

/* ---- watches: file descriptors that become readable (signalfd, pidfd, pipes, timerfd) ---- */
struct watch;
/* Readable, or at its end, which only reading tells. Reading little is fine: it is called again
 * while something is left. After an end or an error was read, free the watch. */
typedef void (*watch_fn)(void *arg, int fd);

/* fd stays the caller's and becomes non-blocking; close it after watch_free. */
int watch_new(struct loop *l, int fd, watch_fn fn, void *arg, struct watch **ret_watch,
    struct err *e) MUST_USE;
void watch_free(struct watch *w); /* NULL is fine */

/* ---- the end of the turn ---- */
typedef void (*loop_free_fn)(void *object);
/* Calls free_fn(object) at the end of this turn, when no callback is on the stack. It cannot fail:
 * embed the link. */
struct loop_discard {
    struct loop_discard *next;
    loop_free_fn free_fn;
    void *object;
};
void loop_discard(struct loop *l, struct loop_discard *link, loop_free_fn free_fn, void *object);

#endif
