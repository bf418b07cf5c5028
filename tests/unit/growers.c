/* Which threads of a process get snapshots: those that grow, and no more than it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/growers.h"

#define LEAST 16384.0

static size_t chosen[GROWERS_MAX];

#define CHOOSE(list) growers_choose(list, sizeof(list) / sizeof *(list), LEAST, 0, chosen)

static void the_one_that_serves_is_looked_into_where_nothing_grows(void **state)
{
    const struct grower list[] = {{2000, true, false, NULL}, {-5000, true, false, "/w.js"}};
    (void)state;
    assert_int_equal(CHOOSE(list), 1);
    assert_int_equal(chosen[0], 0);
    assert_int_equal(growers_choose(NULL, 0, LEAST, 7, chosen), 1);
    assert_int_equal(chosen[0], 7);
}

static void a_worker_that_grows_is_and_the_main_thread_then_is_not(void **state)
{
    const struct grower list[] = {{20000, true, false, NULL}, {300000, true, false, "/w.js"}};
    (void)state;
    assert_int_equal(CHOOSE(list), 1);
    assert_int_equal(chosen[0], 1);
}

static void two_programs_that_grow_both_are_fastest_first(void **state)
{
    const struct grower list[] = {{200000, true, false, NULL}, {300000, true, false, "/w.js"}};
    (void)state;
    assert_int_equal(CHOOSE(list), 2);
    assert_int_equal(chosen[0], 1);
    assert_int_equal(chosen[1], 0);
}

static void of_a_pool_one_is_and_it_stays_the_same_one(void **state)
{
    const struct grower list[] = {{0, true, false, NULL}, {300000, true, false, "/w.js"},
        {290000, true, true, "/w.js"}, {310000, true, false, "/w.js"}};
    (void)state;
    assert_int_equal(CHOOSE(list), 1);
    assert_int_equal(chosen[0], 2);
}

static void a_pool_counts_as_a_whole(void **state)
{
    const struct grower list[] = {{20000, true, false, NULL}, {40000, true, false, "/w.js"},
        {30000, true, false, "/w.js"}, {35000, true, false, "/w.js"}};
    (void)state;
    assert_int_equal(CHOOSE(list), 1);
    assert_int_equal(chosen[0], 1);
}

static void what_was_begun_goes_on_until_something_else_grows_far_more(void **state)
{
    struct grower list[] = {{1000, true, true, NULL}, {9000, true, false, "/w.js"}};
    (void)state;
    assert_int_equal(CHOOSE(list), 1);
    assert_int_equal(chosen[0], 0);
    list[1].growth = 400000;
    assert_int_equal(CHOOSE(list), 1);
    assert_int_equal(chosen[0], 1);
}

static void one_that_has_ended_is_not(void **state)
{
    const struct grower list[] = {{0, true, false, NULL}, {900000, false, true, "/w.js"}};
    (void)state;
    assert_int_equal(CHOOSE(list), 1);
    assert_int_equal(chosen[0], 0);
}

static void many_programs_that_grow_are_no_more_than_can_be_borne(void **state)
{
    const struct grower list[] = {{500000, true, false, "/a.js"}, {500001, true, false, "/b.js"},
        {500002, true, false, "/c.js"}, {500003, true, false, NULL}, {500004, true, false, NULL}};
    (void)state;
    assert_int_equal(CHOOSE(list), GROWERS_MAX);
    assert_int_equal(chosen[0], 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_serves_is_looked_into_where_nothing_grows),
        cmocka_unit_test(a_worker_that_grows_is_and_the_main_thread_then_is_not),
        cmocka_unit_test(two_programs_that_grow_both_are_fastest_first),
        cmocka_unit_test(of_a_pool_one_is_and_it_stays_the_same_one),
        cmocka_unit_test(a_pool_counts_as_a_whole),
        cmocka_unit_test(what_was_begun_goes_on_until_something_else_grows_far_more),
        cmocka_unit_test(one_that_has_ended_is_not),
        cmocka_unit_test(many_programs_that_grow_are_no_more_than_can_be_borne),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
