/* The loop that everything hangs on: timers in order and on time, other threads heard, descriptors
 * watched to their end, and objects that free themselves within their own callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "cdp/loop.h"
#include "cdp/resolve.h"
#include "cdp/timers.h"

static struct loop *loop;

static int make_loop(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    return loop_new(&loop, &e);
}

static int free_loop(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void run(void)
{
    struct err e = ERR_NONE;
    assert_int_equal(loop_run(loop, &e), 0);
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static struct timer *new_timer(timer_fn fn, void *arg)
{
    struct timer *t = NULL;
    struct err e = ERR_NONE;
    assert_int_equal(timer_new(loop, fn, arg, &t, &e), 0);
    return t;
}

static char order[64];

static void note(void *arg)
{
    strcat(order, arg);
}

static void timers_fire_in_order_and_on_time(void **state)
{
    (void)state;
    order[0] = '\0';
    struct timer *c = new_timer(note, (char[]){"c"}), *a = new_timer(note, (char[]){"a"}),
                 *b = new_timer(note, (char[]){"b"});
    struct timer *never = new_timer(note, (char[]){"x"}), *end = new_timer(stop, NULL);
    timer_start(c, 30000);
    timer_start(a, 90000);
    timer_start(a, 10000); /* afresh */
    timer_start(b, 20000);
    timer_start(never, 15000);
    timer_stop(never);
    timer_start(end, 40000);
    assert_true(timer_running(a));
    assert_false(timer_running(never));
    int64_t start_us = clock_monotonic_us();
    run();
    assert_true(clock_monotonic_us() - start_us >= 40000);
    assert_string_equal(order, "abc");
    assert_false(timer_running(a));
    timer_free(a);
    timer_free(b);
    timer_free(c);
    timer_free(never);
    timer_free(end);
}

static int rounds;

static void again(void *arg)
{
    struct timer **t = arg;
    if (++rounds == 5)
        loop_stop(loop);
    else
        timer_start(*t, 0);
}

static void a_timer_may_start_itself_and_others_still_run(void **state)
{
    (void)state;
    struct timer *t = NULL;
    rounds = 0;
    order[0] = '\0';
    t = new_timer(again, &t);
    struct timer *other = new_timer(note, (char[]){"o"});
    timer_start(t, 0);
    timer_start(other, 0);
    run();
    assert_int_equal(rounds, 5);
    assert_string_equal(order, "o");
    timer_free(t);
    timer_free(other);
}

static void free_both(void *arg)
{
    struct timer **pair = arg;
    timer_free(pair[0]);
    timer_free(pair[1]);
    loop_stop(loop);
}

static void what_is_freed_in_a_callback_is_silent(void **state)
{
    (void)state;
    struct timer *pair[2];
    order[0] = '\0';
    pair[0] = new_timer(free_both, pair);
    pair[1] = new_timer(note, (char[]){"x"});
    timer_start(pair[0], 1000);
    timer_start(pair[1], 1000); /* due in the same turn */
    run();
    assert_string_equal(order, "");
}

/* Waiting must not spin: lws' own timers would, for the last millisecond of each. */
static void waiting_costs_no_cpu(void **state)
{
    (void)state;
    struct rusage before, after;
    struct timer *end = new_timer(stop, NULL);
    getrusage(RUSAGE_THREAD, &before);
    for (int i = 0; i < 100; i++) {
        timer_start(end, 1900);
        run();
    }
    getrusage(RUSAGE_THREAD, &after);
    int64_t cpu_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000LL +
                     (after.ru_utime.tv_usec - before.ru_utime.tv_usec) +
                     (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000LL +
                     (after.ru_stime.tv_usec - before.ru_stime.tv_usec);
    assert_true(cpu_us < 60000); /* of 190 ms; spinning takes 90 */
    timer_free(end);
}

static void a_thousand_timers_keep_their_order(void **state)
{
    (void)state;
    struct timers heap = {0};
    struct timers_node nodes[1000] = {{0}};
    unsigned seed = 1;
    assert_int_equal(timers_reserve(&heap, 1000), 0);
    for (int i = 0; i < 1000; i++) {
        seed = seed * 1103515245 + 12345;
        timers_add(&heap, &nodes[i], seed / 65536 % 500);
    }
    for (int i = 0; i < 1000; i += 3)
        timers_remove(&heap, &nodes[i]);
    int64_t last = -1;
    size_t count = 0;
    for (struct timers_node *n; (n = timers_first(&heap)); count++) {
        assert_true(n->due_us >= last);
        last = n->due_us;
        timers_remove(&heap, n);
        timers_remove(&heap, n); /* twice does no harm */
    }
    assert_int_equal(count, 666);
    timers_free(&heap);
}

/* ---- other threads ---- */

static int wakes_seen;

static void on_wake(void *arg)
{
    if (++wakes_seen == *(int *)arg)
        loop_stop(loop);
}

static void *send_later(void *arg)
{
    usleep(20000);
    wake_send(arg);
    return NULL;
}

static void other_threads_are_heard(void **state)
{
    (void)state;
    int one = 1;
    struct wake *w = NULL;
    struct err e = ERR_NONE;
    pthread_t thread;
    wakes_seen = 0;
    assert_int_equal(wake_new(loop, on_wake, &one, &w, &e), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_later, w), 0);
    run();
    pthread_join(thread, NULL);
    assert_int_equal(wakes_seen, 1);
    int two = 2;
    struct wake *many = NULL;
    wakes_seen = 0;
    assert_int_equal(wake_new(loop, on_wake, &two, &many, &e), 0);
    for (int i = 0; i < 100; i++)
        wake_send(many); /* several sends, at least one call */
    wake_send(w);
    struct timer *end = new_timer(stop, NULL);
    timer_start(end, 50000);
    run();
    assert_true(wakes_seen >= 1);
    wake_free(w);
    wake_free(many);
    timer_free(end);
}

/* ---- descriptors ---- */

static struct watch *watch;
static char got[64];

static void on_readable(void *arg, int fd)
{
    (void)arg;
    char c; /* one byte at a time: what is left must be told again */
    ssize_t n = read(fd, &c, 1);
    if (n == 1) {
        strncat(got, &c, 1);
    } else {
        assert_true(n == 0 || errno == EAGAIN);
        if (n == 0) {
            strcat(got, "$");
            watch_free(watch);
            loop_stop(loop);
        }
    }
}

static void *write_and_close(void *arg)
{
    int fd = *(int *)arg;
    usleep(10000);
    assert_int_equal(write(fd, "hello", 5), 5);
    usleep(10000);
    assert_int_equal(write(fd, " you", 4), 4);
    close(fd);
    return NULL;
}

static void a_pipe_is_read_to_its_end(void **state)
{
    (void)state;
    int fds[2];
    pthread_t thread;
    struct err e = ERR_NONE;
    got[0] = '\0';
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(watch_new(loop, fds[0], on_readable, NULL, &watch, &e), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_and_close, &fds[1]), 0);
    run();
    pthread_join(thread, NULL);
    assert_string_equal(got, "hello you$");
    assert_int_equal(close(fds[0]), 0); /* still ours */
}

static void descriptors_do_not_leak(void **state)
{
    (void)state;
    struct timer *end = new_timer(stop, NULL);
    int fds[2];
    struct err e = ERR_NONE;
    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < 50; i++) {
        struct watch *w = NULL;
        assert_int_equal(watch_new(loop, fds[0], on_readable, NULL, &w, &e), 0);
        watch_free(w);
    }
    timer_start(end, 1000);
    run();
    timer_start(end, 1000);
    run();
    int next = dup(fds[0]);
    assert_true(next <= fds[1] + 2);
    close(next);
    close(fds[0]);
    close(fds[1]);
    timer_free(end);
}

/* ---- names ---- */

static struct resolved names;
static int name_code;

static void on_resolved(void *arg, const struct resolved *r, const struct err *why)
{
    (void)arg;
    names = r ? *r : (struct resolved){0};
    name_code = why ? why->code : 0;
    loop_stop(loop);
}

static void names_become_addresses(void **state)
{
    (void)state;
    struct resolve *r;
    struct err e = ERR_NONE;
    static const char *const literals[] = {"127.0.0.1", "::1", "10.1.2.3"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(resolve_start(loop, literals[i], 1000000, on_resolved, NULL, &r, &e), 0);
        run();
        assert_int_equal(names.count, 1);
        assert_string_equal(names.ip[0], literals[i]);
    }
    assert_int_equal(resolve_start(loop, "localhost", 5000000, on_resolved, NULL, &r, &e), 0);
    run();
    assert_string_equal(names.ip[0], "127.0.0.1");
    assert_int_equal(
        resolve_start(loop, "no.such.host.invalid", 9000000, on_resolved, NULL, &r, &e), 0);
    run();
    assert_int_equal(name_code, ERR_UNREACHABLE);
    assert_int_equal(resolve_start(loop, "localhost", 5000000, on_resolved, NULL, &r, &e), 0);
    resolve_cancel(r); /* its thread may still run, and must not touch the loop */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order_and_on_time, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(
            a_timer_may_start_itself_and_others_still_run, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(
            what_is_freed_in_a_callback_is_silent, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(waiting_costs_no_cpu, make_loop, free_loop),
        cmocka_unit_test(a_thousand_timers_keep_their_order),
        cmocka_unit_test_setup_teardown(other_threads_are_heard, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(a_pipe_is_read_to_its_end, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(descriptors_do_not_leak, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(names_become_addresses, make_loop, free_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
