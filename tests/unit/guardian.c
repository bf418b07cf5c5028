/* The end of a stream that nobody reads any more is seen wherever it lies, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "collect/guardian.h"

/* Reads text in two parts, and in single bytes; true if its end was seen in all, false in none. */
static bool sees_end(const char *text, bool worker)
{
    size_t length = strlen(text), seen = 0;
    struct guardian_scan scan;
    for (size_t cut = 0; cut <= length; cut++) {
        guardian_scan_begin(&scan, 42, worker);
        bool first = guardian_scan_bytes(&scan, text, cut) != GUARDIAN_SEEN_NOTHING;
        seen +=
            first || guardian_scan_bytes(&scan, text + cut, length - cut) != GUARDIAN_SEEN_NOTHING;
    }
    guardian_scan_begin(&scan, 42, worker);
    bool found = false;
    for (size_t i = 0; i < length; i++)
        found |= guardian_scan_bytes(&scan, text + i, 1) != GUARDIAN_SEEN_NOTHING;
    seen += found;
    if (seen != 0)
        assert_int_equal(seen, length + 2);
    return seen != 0;
}

#define CHUNK "\x81\x7e{\"method\":\"HeapProfiler.addHeapSnapshotChunk\",\"params\":{\"chunk\":\""
#define LONG                                                                                       \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"

static void the_answer_ends_it(void **state)
{
    (void)state;
    assert_true(sees_end("{\"id\":42,\"result\":{}}", false));
    assert_true(sees_end(CHUNK LONG "\"}}\x81\x15{\"id\":42,\"result\":{}}" LONG, false));
    assert_true(sees_end(CHUNK "{\\\"id\\\":42,\\\"result\\\":{}}", true));
}

static void a_process_that_waits_for_us_to_leave_ends_it(void **state)
{
    (void)state;
    assert_true(sees_end(
        CHUNK LONG "\"}}\x81\x40{\"method\":\"NodeRuntime.waitingForDisconnect\"}", false));
}

static void nothing_else_does(void **state)
{
    (void)state;
    assert_false(sees_end(CHUNK LONG "\"}}\x81\x15{\"id\":4,\"result\":{}}", false));
    assert_false(sees_end("{\"id\":421,\"result\":{}}", false));
    assert_false(sees_end(CHUNK "{\\\"id\\\":42,\\\"method\\\":\\\"in the heap\\\"}", false));
    assert_false(
        sees_end(CHUNK "{\\\"method\\\":\\\"NodeRuntime.waitingForDisconnect\\\"}", false));
    assert_false(sees_end(CHUNK "{\\\\\\\"id\\\\\\\":42,", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_ends_it),
        cmocka_unit_test(a_process_that_waits_for_us_to_leave_ends_it),
        cmocka_unit_test(nothing_else_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
