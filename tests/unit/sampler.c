/* Readings that a target sends: what is right is kept exactly, what is not is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/sampler.h"

#include <math.h>
#include <stdlib.h>

static void a_reading_is_kept_exactly(void **state)
{
    cJSON *names = cJSON_Parse("[\"new_space\",\"old_space\"]");
    struct sample s = {.wall_ms = 7};
    char *spaces = NULL;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(
        sampler_parse("[1,2,3,4,5,9007199254740991,6,7,8.5,0.25,12,0.5,100,200,300,400]", names, &s,
            &spaces, &e),
        0);
    assert_true(s.heap_used == 1 && s.array_buffers == 4 && s.heap_limit == 9007199254740991.0);
    assert_true(s.gc_ms == 8.5 && s.loop_delay_max_ms == 12 && s.wall_ms == 7);
    assert_string_equal(s.heap_spaces,
        "{\"new_space\":{\"used\":100,\"size\":200},\"old_space\":{\"used\":300,\"size\":400}}");
    free(spaces);
    cJSON_Delete(names);
}

static void figures_that_a_runtime_lacks_are_unknown(void **state)
{
    struct sample s = {0};
    char *spaces = NULL;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(
        sampler_parse("[1,2,3,4,5,6,null,null,null,null,null,null]", NULL, &s, &spaces, &e), 0);
    assert_true(isnan(s.gc_count) && isnan(s.loop_utilization) && s.rss == 5);
    assert_null(s.heap_spaces);
}

static void anything_else_is_refused(void **state)
{
    static const char *const bad[] = {"", "[]", "{}", "[1,2", "[\"1\",2,3,4,5,6,7,8,9,10,11,12]",
        "7", "[null,2,3,4,5,6,7,8,9,10,11,12]", "[-5,2,3,4,5,6,7,8,9,10,11,12]",
        "[1e300,2,3,4,5,6,7,8,9,10,11,12]"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sample s = {0};
        char *spaces = NULL;
        struct err e = ERR_NONE;
        assert_int_equal(sampler_parse(bad[i], NULL, &s, &spaces, &e), ERR_PROTOCOL);
        assert_null(spaces);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reading_is_kept_exactly),
        cmocka_unit_test(figures_that_a_runtime_lacks_are_unknown),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
