/* Whether a capture is allowed: the arithmetic that keeps a server alive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/guard.h"

#include <string.h>

#define MB     (1024 * 1024LL)
#define SECOND 1000000LL

static struct guard_facts healthy(void)
{
    return (struct guard_facts){.heap_used = 50 * MB,
        .heap_limit = 2048 * MB,
        .host_available = 8192 * MB,
        .group_room = -1,
        .disk_free = 100000 * MB,
        .quota_room = -1};
}

static const struct guard_limits usual = {.max_pause_us = 10 * SECOND, .min_free = 256 * MB};
static const struct guard_progress first_time = {.can_count = true};

static struct guard_verdict decide(const struct guard_facts *f, const struct guard_limits *l)
{
    struct guard_verdict v;
    guard_decide(f, l, &v);
    return v;
}

static enum guard_step next(
    const struct guard_facts *f, const struct guard_limits *l, const struct guard_progress *p)
{
    struct guard_verdict v = decide(f, l);
    return guard_next(f, l, &v, p);
}

static void a_small_heap_may_be_captured(void **state)
{
    struct guard_facts f = healthy();
    struct guard_verdict v = decide(&f, &usual);
    (void)state;
    assert_int_equal(v.answer, GUARD_GO);
    assert_string_equal(v.reason, "");
    assert_string_equal(v.forecast.by, "rule");
    assert_int_equal(next(&f, &usual, &first_time), GUARD_DONE);
}

/* 60 MB of small objects in a container of 450 MB died of std::bad_alloc when this was measured. */
static void a_container_that_a_snapshot_would_burst_is_spared(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.heap_used = 60 * MB;
    f.group_room = 390 * MB;
    struct guard_verdict v = decide(&f, &usual);
    assert_int_equal(v.answer, GUARD_REFUSE);
    assert_int_equal(v.causes, GUARD_MEMORY);
    assert_non_null(strstr(v.reason, "control group"));
    assert_non_null(strstr(v.reason, "--force"));
}

/* Measured: 115 -> 766 MB and 131 -> 710 MB for 51 MB of small objects on Node 20 and 24. */
static void the_rule_covers_what_small_objects_took(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.heap_used = 51 * MB;
    assert_in_range(decide(&f, &usual).forecast.memory, 651 * MB, 820 * MB);
}

static void a_pause_over_the_limit_is_refused_unless_forced(void **state)
{
    struct guard_facts f = healthy();
    struct guard_limits l = usual;
    (void)state;
    f.heap_used = 180 * MB;
    f.count =
        (struct guard_count){.nodes = 5000000, .heap_used = 180 * MB, .stall_us = 1800 * 1000};
    struct guard_verdict v = decide(&f, &l);
    assert_int_equal(v.answer, GUARD_REFUSE);
    assert_string_equal(v.forecast.by, "count");
    assert_non_null(strstr(v.reason, "--max-pause"));
    l.force = true;
    v = decide(&f, &l);
    assert_int_equal(v.answer, GUARD_FORCED);
    assert_null(strstr(v.reason, "--force"));
    l.force = false;
    l.max_pause_us = 60 * SECOND;
    assert_int_equal(decide(&f, &l).answer, GUARD_GO);
}

static void all_that_stands_in_the_way_is_named(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.heap_used = 800 * MB;
    f.host_available = 4096 * MB;
    f.disk_free = 300 * MB;
    struct guard_verdict v = decide(&f, &usual);
    assert_int_equal(v.causes, GUARD_MEMORY | GUARD_PAUSE | GUARD_DISK);
    assert_non_null(strstr(v.reason, "the host has"));
    assert_non_null(strstr(v.reason, "--max-pause"));
    assert_non_null(strstr(v.reason, "--min-free"));
}

static void a_short_disk_gets_a_compressed_file_and_a_full_one_none(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.disk_free = 256 * MB + 60 * MB;
    struct guard_verdict v = decide(&f, &usual);
    assert_int_equal(v.answer, GUARD_DEGRADE);
    assert_non_null(strstr(v.reason, "compressed"));
    f.disk_free = 256 * MB + 10 * MB;
    v = decide(&f, &usual);
    assert_int_equal(v.answer, GUARD_REFUSE);
    assert_non_null(strstr(v.reason, "--min-free"));
    f = healthy();
    f.quota_room = 5 * MB;
    v = decide(&f, &usual);
    assert_int_equal(v.answer, GUARD_REFUSE);
    assert_int_equal(v.causes, GUARD_QUOTA);
    assert_non_null(strstr(v.reason, "--max-disk"));
}

static struct guard_history strings_of_200_mb(void)
{
    return (struct guard_history){.heap_used = 200 * MB,
        .nodes = 600000,
        .pause_us = 2 * SECOND,
        .memory = 170 * MB,
        .file_bytes = 40 * MB};
}

static void what_the_target_showed_beats_the_rule(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.heap_used = 210 * MB; /* the rule would say 5.8 million nodes */
    f.history = strings_of_200_mb();
    struct guard_verdict v = decide(&f, &usual);
    assert_int_equal(v.answer, GUARD_GO);
    assert_string_equal(v.forecast.by, "history");
    assert_in_range(v.forecast.nodes, 600000, 900000);
    assert_in_range(v.forecast.pause_us, 2400000, 4000000);
}

static void growth_since_the_last_capture_may_be_of_the_densest_kind(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.heap_used = 300 * MB;
    f.history = strings_of_200_mb();
    assert_in_range(decide(&f, &usual).forecast.nodes, 600000 + 100 * MB / 37, 4000000);
}

/* The second capture of 51 MB of small objects raised the RSS by 229 MB, the first by 651: the
 * allocator had kept 483. A container of 1 GB has room for it. */
static void memory_that_a_capture_left_is_used_again(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.group_room = 400 * MB;
    f.history = (struct guard_history){
        .heap_used = 50 * MB, .nodes = 1480000, .pause_us = 4 * SECOND, .memory = 651 * MB};
    assert_int_equal(decide(&f, &usual).answer, GUARD_REFUSE);
    f.retained = 483 * MB;
    struct guard_verdict v = decide(&f, &usual);
    assert_int_equal(v.answer, GUARD_GO);
    assert_in_range(v.forecast.memory, 229 * MB, 400 * MB);
}

static void near_v8s_limit_collections_make_it_slower_and_then_deadly(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    int64_t usual_pause = decide(&f, &usual).forecast.pause_us;
    f.heap_limit = 60 * MB;
    struct guard_verdict v = decide(&f, &usual);
    assert_int_equal(v.forecast.pause_us, 2 * usual_pause);
    f.heap_limit = 54 * MB;
    v = decide(&f, &usual);
    assert_true(v.causes & GUARD_HEAP);
    assert_non_null(strstr(v.reason, "--max-old-space-size"));
    /* A collection or a count would be one more step towards its end. */
    assert_int_equal(next(&f, &usual, &first_time), GUARD_DONE);
}

static void unknown_facts_refuse_nothing(void **state)
{
    struct guard_facts f = {.heap_used = -1,
        .heap_limit = -1,
        .host_available = -1,
        .group_room = -1,
        .disk_free = -1,
        .quota_room = -1};
    (void)state;
    assert_int_equal(decide(&f, &usual).answer, GUARD_GO);
    assert_int_equal(next(&f, &usual, &first_time), GUARD_DONE);
}

static void a_large_heap_is_counted_before_its_first_capture(void **state)
{
    struct guard_facts f = healthy();
    struct guard_progress p = first_time;
    (void)state;
    f.heap_used = 200 * MB;
    assert_int_equal(next(&f, &usual, &p), GUARD_COUNT);
    p.can_count = false; /* Deno sends no figures; then garbage may be in it at least */
    assert_int_equal(next(&f, &usual, &p), GUARD_COLLECT);
    p.collected = true;
    assert_int_equal(next(&f, &usual, &p), GUARD_DONE);
    p = first_time;
    p.ids_matter = true; /* a count would end the epoch of a snapshot that is there */
    assert_int_equal(next(&f, &usual, &p), GUARD_COLLECT);
}

static void a_count_that_would_hurt_by_itself_is_left_out(void **state)
{
    struct guard_facts f = healthy();
    struct guard_progress p = first_time;
    struct guard_limits l = usual;
    (void)state;
    f.heap_used = 400 * MB;
    f.group_room = 100 * MB;
    assert_int_not_equal(next(&f, &l, &p), GUARD_COUNT);
    f.group_room = -1;
    l.max_pause_us = 2 * SECOND;
    assert_int_not_equal(next(&f, &l, &p), GUARD_COUNT);
}

static void a_forced_capture_stalls_nobody_for_a_count(void **state)
{
    struct guard_facts f = healthy();
    struct guard_limits l = usual;
    (void)state;
    l.force = true;
    f.heap_used = 200 * MB;
    assert_int_equal(decide(&f, &l).answer, GUARD_FORCED);
    assert_int_equal(next(&f, &l, &first_time), GUARD_DONE);
    f.heap_used = 100 * MB;
    l.max_pause_us = 600 * SECOND;
    f.disk_free = l.min_free + 100 * MB;
    assert_int_equal(decide(&f, &l).answer, GUARD_DEGRADE); /* it may be a plain file after all */
    assert_int_equal(next(&f, &l, &first_time), GUARD_COUNT);
}

static void garbage_is_collected_before_a_refusal_once(void **state)
{
    struct guard_facts f = healthy();
    struct guard_progress p = {.can_count = true, .ids_matter = true};
    (void)state;
    f.heap_used = 380 * MB;
    f.history = strings_of_200_mb();
    assert_int_equal(decide(&f, &usual).answer, GUARD_REFUSE);
    assert_int_equal(next(&f, &usual, &p), GUARD_COLLECT);
    p.collected = true;
    assert_int_equal(next(&f, &usual, &p), GUARD_DONE);
    p.refusals = 1; /* the ids are worth less than an end of refusals */
    assert_int_equal(next(&f, &usual, &p), GUARD_COUNT);
    p.counted = true;
    assert_int_equal(next(&f, &usual, &p), GUARD_DONE);
}

static void an_earlier_run_is_believed_while_the_heaps_are_alike(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.heap_used = 210 * MB;
    f.history = strings_of_200_mb();
    f.history.of_earlier_run = true;
    assert_string_equal(decide(&f, &usual).forecast.by, "history");
    assert_int_equal(next(&f, &usual, &first_time), GUARD_DONE);
    f.heap_used = 400 * MB;
    assert_string_equal(decide(&f, &usual).forecast.by, "rule");
    assert_int_equal(next(&f, &usual, &first_time), GUARD_COUNT);
}

static void a_busy_host_is_slower(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    int64_t alone = decide(&f, &usual).forecast.pause_us;
    f.load = 0.5;
    assert_int_equal(decide(&f, &usual).forecast.pause_us, alone);
    f.load = 3;
    assert_int_equal(decide(&f, &usual).forecast.pause_us, 3 * alone);
    f.load = 100;
    assert_int_equal(decide(&f, &usual).forecast.pause_us, 8 * alone);
    f.load = 4;
    assert_int_equal(next(&f, &usual, &first_time), GUARD_COUNT); /* which tells better */
}

static void an_old_count_is_not_believed(void **state)
{
    struct guard_facts f = healthy();
    (void)state;
    f.count = (struct guard_count){.nodes = 1000, .heap_used = 50 * MB, .age_us = 3600 * SECOND};
    assert_string_equal(decide(&f, &usual).forecast.by, "rule");
}

static void pauses_keep_to_their_share_of_time(void **state)
{
    (void)state;
    assert_int_equal(guard_rest_us(1000000, 0.1), 9000000);
    assert_int_equal(guard_rest_us(1000000, 1), 0);
    assert_true(guard_rest_us(1000000, 0) > 1000 * 3600 * SECOND);
}

static void after_refusals_the_next_try_is_later_but_never_never(void **state)
{
    (void)state;
    assert_int_equal(guard_retry_us(60 * SECOND, 1), 60 * SECOND);
    assert_int_equal(guard_retry_us(60 * SECOND, 2), 120 * SECOND);
    assert_int_equal(guard_retry_us(60 * SECOND, 4), 480 * SECOND);
    assert_int_equal(guard_retry_us(60 * SECOND, 1000), 3600 * SECOND);
    assert_int_equal(guard_retry_us(7200 * SECOND, 5), 7200 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_heap_may_be_captured),
        cmocka_unit_test(a_container_that_a_snapshot_would_burst_is_spared),
        cmocka_unit_test(the_rule_covers_what_small_objects_took),
        cmocka_unit_test(a_pause_over_the_limit_is_refused_unless_forced),
        cmocka_unit_test(all_that_stands_in_the_way_is_named),
        cmocka_unit_test(a_short_disk_gets_a_compressed_file_and_a_full_one_none),
        cmocka_unit_test(what_the_target_showed_beats_the_rule),
        cmocka_unit_test(growth_since_the_last_capture_may_be_of_the_densest_kind),
        cmocka_unit_test(memory_that_a_capture_left_is_used_again),
        cmocka_unit_test(near_v8s_limit_collections_make_it_slower_and_then_deadly),
        cmocka_unit_test(unknown_facts_refuse_nothing),
        cmocka_unit_test(a_large_heap_is_counted_before_its_first_capture),
        cmocka_unit_test(a_count_that_would_hurt_by_itself_is_left_out),
        cmocka_unit_test(a_forced_capture_stalls_nobody_for_a_count),
        cmocka_unit_test(garbage_is_collected_before_a_refusal_once),
        cmocka_unit_test(an_earlier_run_is_believed_while_the_heaps_are_alike),
        cmocka_unit_test(a_busy_host_is_slower),
        cmocka_unit_test(an_old_count_is_not_believed),
        cmocka_unit_test(pauses_keep_to_their_share_of_time),
        cmocka_unit_test(after_refusals_the_next_try_is_later_but_never_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
