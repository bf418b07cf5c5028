/* A timeline's intervals are what the target says of them, and nothing that it says does harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/recording.h"

#include <stdio.h>

static void update(struct recording *r, const char *stats)
{
    char text[256];
    assert_in_range(snprintf(text, sizeof text, "{\"statsUpdate\":%s}", stats), 1, sizeof text - 1);
    cJSON *params = cJSON_Parse(text);
    assert_non_null(params);
    recording_update(r, params);
    cJSON_Delete(params);
}

static void an_interval_has_what_lives_and_the_most_that_did(void **state)
{
    (void)state;
    struct recording r = {.intervals = NULL};
    update(&r, "[0,10,1000, 2,3,300]");
    assert_int_equal(r.count, 3);
    assert_int_equal(r.intervals[0].live, 1000);
    assert_int_equal(r.intervals[1].most, 0);
    assert_int_equal(r.intervals[2].live, 300);
    update(&r, "[2,1,100]");
    assert_int_equal(r.count, 3);
    assert_int_equal(r.intervals[2].live, 100);
    assert_int_equal(r.intervals[2].most, 300);
    recording_free(&r);
    assert_int_equal(r.count, 0);
}

static void what_is_no_interval_is_left_out(void **state)
{
    (void)state;
    struct recording r = {.intervals = NULL};
    const char *const nonsense[] = {"[]", "[1]", "[1,2]", "[-1,1,5]", "[1e300,1,5]",
        "[1048576,1,5]", "[1,1,-5]", "[1,1,1e300]", "{}", "7", "null"};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        update(&r, nonsense[i]);
    assert_int_equal(r.count, 0);
    update(&r, "[-1,1,5, 1,1,7, 2,1]");
    assert_int_equal(r.count, 2);
    assert_int_equal(r.intervals[1].live, 7);
    recording_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interval_has_what_lives_and_the_most_that_did),
        cmocka_unit_test(what_is_no_interval_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
