/* Whether a capture is allowed: the arithmetic that keeps a server alive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/guard.h"

#include <string.h>

#define MB (1024 * 1024LL)

static struct guard_facts healthy(void)
{
    return (struct guard_facts){.heap_used = 50 * MB,
        .heap_limit = 2048 * MB,
        .host_available = 8192 * MB,
        .group_room = -1,
        .disk_free = 100000 * MB,
        .nodes = -1};
}

static const struct guard_limits usual = {.max_pause_us = 10 * 1000000, .min_free = 256 * MB};

static enum guard_answer decide(
    const struct guard_facts *f, const struct guard_limits *l, char reason[GUARD_REASON_SIZE])
{
    struct guard_forecast forecast;
    return guard_decide(f, l, &forecast, reason);
}

static void a_small_heap_may_be_captured(void **state)
{
    char reason[GUARD_REASON_SIZE];
    struct guard_facts f = healthy();
    (void)state;
    assert_int_equal(decide(&f, &usual, reason), GUARD_GO);
    assert_string_equal(reason, "");
}

/* 60 MB of small objects in a container of 450 MB died of std::bad_alloc when this was measured. */
static void a_container_that_a_snapshot_would_burst_is_spared(void **state)
{
    char reason[GUARD_REASON_SIZE];
    struct guard_facts f = healthy();
    (void)state;
    f.heap_used = 60 * MB;
    f.group_room = 390 * MB;
    assert_int_equal(decide(&f, &usual, reason), GUARD_REFUSE);
    assert_non_null(strstr(reason, "control group"));
    assert_non_null(strstr(reason, "--force"));
}

static void a_pause_over_the_limit_is_refused_unless_forced(void **state)
{
    char reason[GUARD_REASON_SIZE];
    struct guard_facts f = healthy();
    struct guard_limits l = usual;
    (void)state;
    f.nodes = 5 * 1000 * 1000;
    assert_int_equal(decide(&f, &l, reason), GUARD_REFUSE);
    assert_non_null(strstr(reason, "--max-pause"));
    l.force = true;
    assert_int_equal(decide(&f, &l, reason), GUARD_FORCED);
    l.force = false;
    l.max_pause_us = 60 * 1000000LL;
    assert_int_equal(decide(&f, &l, reason), GUARD_GO);
}

static void a_full_disk_is_refused(void **state)
{
    char reason[GUARD_REASON_SIZE];
    struct guard_facts f = healthy();
    (void)state;
    f.disk_free = 300 * MB;
    assert_int_equal(decide(&f, &usual, reason), GUARD_REFUSE);
    assert_non_null(strstr(reason, "--min-free"));
}

static void what_the_target_showed_beats_the_rule(void **state)
{
    char reason[GUARD_REASON_SIZE];
    struct guard_facts f = healthy();
    struct guard_forecast forecast;
    (void)state;
    f.heap_used = 400 * MB; /* of long strings: few nodes, so the rule would be far too high */
    f.history = (struct guard_history){.heap_used = 200 * MB,
        .nodes = 600000,
        .pause_us = 2000000,
        .memory = 170 * MB,
        .file_bytes = 250 * MB};
    assert_int_equal(guard_decide(&f, &usual, &forecast, reason), GUARD_GO);
    assert_string_equal(forecast.by, "history");
    assert_int_equal(forecast.nodes, 1200000);
    assert_in_range(forecast.pause_us, 4000000, 5000000);
}

static void unknown_facts_refuse_nothing(void **state)
{
    char reason[GUARD_REASON_SIZE];
    struct guard_facts f = {.heap_used = -1,
        .heap_limit = -1,
        .host_available = -1,
        .group_room = -1,
        .disk_free = -1,
        .nodes = -1};
    (void)state;
    assert_int_equal(decide(&f, &usual, reason), GUARD_GO);
}

static void pauses_keep_to_their_share_of_time(void **state)
{
    (void)state;
    assert_int_equal(guard_rest_us(1000000, 0.1), 9000000);
    assert_int_equal(guard_rest_us(1000000, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_heap_may_be_captured),
        cmocka_unit_test(a_container_that_a_snapshot_would_burst_is_spared),
        cmocka_unit_test(a_pause_over_the_limit_is_refused_unless_forced),
        cmocka_unit_test(a_full_disk_is_refused),
        cmocka_unit_test(what_the_target_showed_beats_the_rule),
        cmocka_unit_test(unknown_facts_refuse_nothing),
        cmocka_unit_test(pauses_keep_to_their_share_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
