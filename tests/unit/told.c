/* What is said of routes: each figure has one word, and a headline accuses no innocent route. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "command/told_routes.h"
#include "command/verdict.h"

#include <stdlib.h>
#include <string.h>

static void nothing_shows_only_where_the_interval_begins_at_zero(void **state)
{
    struct routes_estimate none = {0, 10, 0, 400, false, -1}, some = {0, 200, 36, 336, false, -1},
                           leak = {0, 5000, 4900, 5100, true, -1}, mix = {0, 90, 80, 100, true, 0},
                           unknown = {0, NAN, NAN, NAN, false, -1};
    (void)state;
    assert_string_equal(told_route_word(&none), "nothing shows");
    assert_string_equal(told_route_word(&some), "not sure");
    assert_string_equal(told_route_word(&leak), "leaks");
    assert_string_equal(told_route_word(&mix), "leaks, or its like");
    none.together = 0;
    assert_string_equal(told_route_word(&none), "nothing shows");
    mix.leaks = false;
    assert_string_equal(told_route_word(&mix), "cannot be told apart");
    assert_string_equal(told_route_word(&unknown), "unknown");
}

/* The headline where so many routes come together. */
static void assert_headline(size_t count, const char *expected)
{
    static char get[] = "GET", a[] = "/a", b[] = "/b", c[] = "/c", d[] = "/d", e[] = "/e";
    struct diagnosis_route routes[] = {{get, a, 1100, 900, 1300, NAN, false},
        {get, b, 1100, 900, 1300, NAN, false}, {get, c, 1100, 900, 1300, NAN, false},
        {get, d, 1100, 900, 1300, NAN, false}, {get, e, 1100, 900, 1300, NAN, false}};
    static char class_name[] = "Entry";
    struct diagnosis_suspect suspect = {
        .class_name = class_name, .last = 500, .routes = routes, .route_count = count};
    struct diagnosis diagnosis = {
        .verdict = DIAGNOSIS_LEAK, .memory = MEMORY_JS_HEAP, .suspects = &suspect};
    diagnosis.suspect_count = 1;
    char *headline = verdict_headline(&diagnosis);
    assert_non_null(headline);
    assert_non_null(strstr(headline, expected));
    free(headline);
}

static void a_headline_names_no_two_of_five_routes_that_come_together(void **state)
{
    (void)state;
    assert_headline(1, "GET /a keeps 1.1 KB a request");
    assert_headline(2, "1.1 KB kept a request by GET /a, GET /b or both");
    assert_headline(3, "kept a request by one or more of GET /a, GET /b and GET /c");
    assert_headline(5, "kept a request by one or more of 5 routes that come together");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_shows_only_where_the_interval_begins_at_zero),
        cmocka_unit_test(a_headline_names_no_two_of_five_routes_that_come_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
