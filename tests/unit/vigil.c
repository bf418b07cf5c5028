/* What the silence of a target means, and when a wait for it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/vigil.h"

#include <string.h>

#define SECOND 1000000LL

static enum vigil_step at(struct vigil *v, int64_t second)
{
    return vigil_look(v, second * SECOND);
}

static struct vigil asked_at_1(bool answered_before)
{
    struct vigil v = {.answered = answered_before};
    vigil_begin(&v, SECOND);
    return v;
}

static void lines_about_a_wait_come_ever_rarer(void **state)
{
    struct vigil_lines lines = {.next_us = 0};
    int count = 0;
    (void)state;
    for (int second = 0; second < 1000; second++)
        count += vigil_line_due(&lines, second * SECOND);
    assert_int_equal(count, 6); /* at 0, 10, 30, 90, 270, 810 s */
}

static void silence_alone_never_ends_a_capture(void **state)
{
    struct vigil v = asked_at_1(false);
    (void)state;
    for (int second = 1; second < 4000; second++)
        assert_int_not_equal(at(&v, second), VIGIL_GIVE_UP);
}

static void an_interrupted_capture_that_has_not_begun_is_given_up(void **state)
{
    struct vigil v = asked_at_1(true);
    (void)state;
    vigil_interrupt(&v, 5 * SECOND);
    assert_int_equal(at(&v, 5), VIGIL_ASK);
    vigil_answered_behind(&v);
    assert_int_equal(at(&v, 6), VIGIL_WAIT);
    assert_int_equal(at(&v, 16), VIGIL_GIVE_UP);
    struct vigil deaf = asked_at_1(false);
    vigil_interrupt(&deaf, 5 * SECOND);
    assert_int_equal(at(&deaf, 16), VIGIL_GIVE_UP);
}

static void one_that_is_being_built_is_not_given_up(void **state)
{
    struct vigil v = asked_at_1(true);
    (void)state;
    vigil_interrupt(&v, 5 * SECOND);
    assert_int_equal(at(&v, 5), VIGIL_ASK);
    for (int second = 6; second < 1000; second++)
        assert_int_not_equal(at(&v, second), VIGIL_GIVE_UP);
    v.resting = true; /* it was stopped meanwhile */
    assert_int_equal(at(&v, 1000), VIGIL_GIVE_UP);
    v.began = true;
    assert_int_equal(at(&v, 1001), VIGIL_WAIT);
}

static void a_line_says_what_the_target_does(void **state)
{
    struct vigil v = asked_at_1(true);
    char text[ERR_TEXT_MAX];
    (void)state;
    assert_int_equal(at(&v, 2), VIGIL_WAIT);
    assert_int_equal(at(&v, 9), VIGIL_ASK);
    assert_int_equal(at(&v, 10), VIGIL_WAIT);
    assert_int_equal(at(&v, 11), VIGIL_TELL);
    vigil_text(&v, 11 * SECOND, text);
    assert_non_null(strstr(text, "builds the snapshot"));
    vigil_answered_behind(&v);
    vigil_text(&v, 12 * SECOND, text);
    assert_non_null(strstr(text, "has not begun the snapshot for 11.0 s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_about_a_wait_come_ever_rarer),
        cmocka_unit_test(silence_alone_never_ends_a_capture),
        cmocka_unit_test(an_interrupted_capture_that_has_not_begun_is_given_up),
        cmocka_unit_test(one_that_is_being_built_is_not_given_up),
        cmocka_unit_test(a_line_says_what_the_target_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
