/* Times of the record, as SQL, scripts and people read them. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_times_are_written_as_sql_sorts_them(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782400007, "2000-02-29T00:00:00.007Z"},
        {1767225599999, "2025-12-31T23:59:59.999Z"},
        {1769903999123, "2026-01-31T23:59:59.123Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[CLOCK_ISO_SIZE];
        assert_string_equal(clock_iso(text, times[i].wall_ms), times[i].text);
        assert_int_equal(clock_read_iso(text), times[i].wall_ms);
    }
}

static void test_times_that_no_clock_shows_overrun_nothing(void **state)
{
    static const int64_t times[] = {
        -1, -62167219200000, 253402300800000, 8640000000000000, INT64_MAX, INT64_MIN};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[CLOCK_ISO_SIZE];
        assert_true(*clock_iso(text, times[i]) != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_written_as_sql_sorts_them),
        cmocka_unit_test(test_times_that_no_clock_shows_overrun_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
