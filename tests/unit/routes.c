/* Which route leaks, on floors whose truth is known: leaks are found with intervals that hold, and
 * where nothing can be told nothing is claimed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "diagnose/floors.h"
#include "noise.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define ROUTES 5
#define FLOORS 24 /* two minutes of 5 s */

struct world {
    double keeps[ROUTES]; /* bytes a request */
    bool constant_mix;    /* else it changes threefold between 10 s windows */
    double error, drift;  /* standard deviations: of a reading, of an interval's growth */
    double warm_up;       /* bytes, within the first fifth */
    double bytes[FLOORS], counts[FLOORS * ROUTES];
};

static void make(struct world *w, uint64_t seed)
{
    double heap = 20e6, total[ROUTES] = {0}, rate[ROUTES];
    random_state = seed;
    for (int i = 0; i < FLOORS; i++) {
        for (int j = 0; j < ROUTES; j++) {
            if (i % 2 == 0 || w->constant_mix)
                rate[j] = w->constant_mix ? 300 : 200 * (1 + 2 * random_share());
            double requests = i == 0 ? 0
                                     : floor(rate[j] + sqrt(rate[j]) * (w->constant_mix ? 0.2 : 1) *
                                                           random_normal());
            total[j] += requests;
            heap += requests * w->keeps[j];
            w->counts[i * ROUTES + j] = total[j];
        }
        heap += w->drift * random_normal();
        if (i > 0 && i <= FLOORS / 6)
            heap += w->warm_up / (FLOORS / 6.0);
        w->bytes[i] = heap + w->error * random_normal();
    }
}

static void judge(const struct world *w, struct routes_estimate *r, struct routes_summary *s)
{
    struct routes_input in = {FLOORS, ROUTES, w->bytes, w->counts, NULL};
    struct err e = ERR_NONE;
    assert_int_equal(routes_estimate(&in, r, s, &e), 0);
}

/* 200 worlds: how often every leaking route was named and no other, and how often the
 * intervals held the truth. */
static void two_of_five_routes_leak_and_both_are_named(void **state)
{
    int named = 0, wrong = 0, held = 0, intervals = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world w = {.keeps = {0, 5120, 0, 512, 0}, .error = 20e3, .drift = 10e3};
        struct routes_estimate r[ROUTES];
        struct routes_summary s;
        make(&w, seed);
        judge(&w, r, &s);
        named += r[1].leaks && r[3].leaks && s.verdict == ROUTES_NAMED;
        wrong += r[0].leaks || r[2].leaks || r[4].leaks;
        for (int j = 0; j < ROUTES; j++, intervals++)
            held += r[j].low <= w.keeps[j] && w.keeps[j] <= r[j].high;
    }
    printf("named %d of 200, wrong %d, intervals held %d of %d\n", named, wrong, held, intervals);
    assert_true(named >= 196);
    assert_true(wrong <= 2);
    assert_true(held >= intervals * 97 / 100);
}

static void a_server_without_a_leak_has_no_route_named(void **state)
{
    int wrong = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct world w = {.error = 60e3, .drift = 30e3, .warm_up = seed % 2 ? 4e6 : 0};
        struct routes_estimate r[ROUTES];
        struct routes_summary s;
        make(&w, seed);
        judge(&w, r, &s);
        for (int j = 0; j < ROUTES; j++)
            wrong += r[j].leaks;
    }
    printf("wrong %d of 5000\n", wrong);
    assert_true(wrong <= 5);
}

static void a_constant_mix_cannot_be_told_apart_and_that_is_said(void **state)
{
    int said = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct world w = {
            .keeps = {0, 5120, 0, 512, 0}, .constant_mix = true, .error = 20e3, .drift = 10e3};
        struct routes_estimate r[ROUTES];
        struct routes_summary s;
        make(&w, seed);
        judge(&w, r, &s);
        double truth = (double)(s.floors_used - 1) * 300 * 5632.0;
        said += s.verdict == ROUTES_TOGETHER && r[1].together >= 0 &&
                r[1].together == r[0].together && s.growth_low < 1.02 * truth &&
                s.growth_high > 0.98 * truth;
    }
    printf("said %d of 100\n", said);
    assert_true(said >= 97);
}

static void a_warm_up_is_no_leak_of_the_routes(void **state)
{
    int named = 0, wrong = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct world w = {
            .keeps = {0, 5120, 0, 0, 0}, .error = 20e3, .drift = 10e3, .warm_up = 8e6};
        struct routes_estimate r[ROUTES];
        struct routes_summary s;
        make(&w, seed);
        judge(&w, r, &s);
        named += r[1].leaks;
        for (int j = 0; j < ROUTES; j++)
            wrong += j != 1 && r[j].leaks;
    }
    printf("named %d of 100, wrong %d\n", named, wrong);
    assert_true(named >= 97 && wrong <= 2);
}

static void one_wild_reading_changes_little(void **state)
{
    struct world w = {.keeps = {0, 5120, 0, 512, 0}, .error = 20e3, .drift = 10e3};
    struct routes_estimate r[ROUTES];
    struct routes_summary s;
    (void)state;
    make(&w, 7);
    w.bytes[12] += 30e6;
    judge(&w, r, &s);
    assert_true(r[1].leaks && r[1].bytes > 4000 && r[1].bytes < 6200);
    assert_true(!r[0].leaks && !r[2].leaks && !r[4].leaks);
}

/* V8's own collections leave what died while they marked: some 300 KB, now and then. */
static void what_the_targets_own_collections_leave_spoils_no_figure(void **state)
{
    int named = 0, held = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct world w = {.keeps = {0, 5120, 0, 512, 0}, .error = 20e3, .drift = 10e3};
        struct routes_estimate r[ROUTES];
        struct routes_summary s;
        struct err e = ERR_NONE;
        bool forced[FLOORS];
        struct routes_input in = {FLOORS, ROUTES, w.bytes, w.counts, forced};
        make(&w, seed);
        for (int i = 0; i < FLOORS; i++) {
            forced[i] = i % 3 != 0;
            w.bytes[i] += forced[i] ? 0 : 600e3 * random_share();
        }
        assert_int_equal(routes_estimate(&in, r, &s, &e), 0);
        assert_int_equal(s.floors_used + s.warm_up, FLOORS * 2 / 3);
        named += r[1].leaks && r[3].leaks && s.verdict == ROUTES_NAMED;
        held += r[3].low <= 512 && r[3].high >= 512;
    }
    printf("named %d of 100, held %d\n", named, held);
    assert_true(named >= 95 && held >= 95);
}

static void too_few_floors_say_nothing(void **state)
{
    struct world w = {.keeps = {5120}, .error = 1};
    struct routes_estimate r[ROUTES];
    struct routes_summary s;
    struct err e = ERR_NONE;
    (void)state;
    make(&w, 1);
    for (size_t floors = 0; floors < 6; floors++) {
        struct routes_input in = {floors, ROUTES, w.bytes, w.counts, NULL};
        assert_int_equal(routes_estimate(&in, r, &s, &e), 0);
        assert_int_equal(s.verdict, ROUTES_TOO_FEW);
        assert_true(isnan(r[0].bytes) && !r[0].leaks);
    }
}

static void floors_without_requests_name_nothing(void **state)
{
    struct world w = {.error = 1000};
    struct routes_estimate r[ROUTES];
    struct routes_summary s;
    (void)state;
    make(&w, 1);
    memset(w.counts, 0, sizeof w.counts);
    judge(&w, r, &s);
    for (int j = 0; j < ROUTES; j++)
        assert_true(isnan(r[j].bytes) && !r[j].leaks);
}

/* The first snapshot leaves up to a megabyte behind in V8, which was growth of a server that kept
 * nothing. Floors 1 and 2 have a snapshot and no request between them, 4 and 5 only no request; 6
 * and 7 have both, but what has fallen is not of the snapshot. */
static void what_a_snapshot_leaves_behind_is_no_growth(void **state)
{
    int64_t wall_ms[] = {0, 1000, 2000, 3000, 4000, 5000, 6000, 7000};
    double bytes[] = {100, 110, 910, 920, 930, 980, 990, 985};
    double external[] = {5, 5, 7, 7, NAN, 7, 7, 7};
    double counts[] = {10, 20, 20, 30, 40, 40, 50, 50};
    const int64_t taken_ms[] = {1500, 3500, 6500};
    struct floors f = {.count = 8,
        .route_count = 1,
        .wall_ms = wall_ms,
        .bytes = bytes,
        .external = external,
        .counts = counts};
    (void)state;
    floors_level(&f, taken_ms, 3);
    const double leveled[] = {900, 910, 910, 920, 930, 980, 990, 985};
    for (size_t i = 0; i < f.count; i++)
        assert_true(bytes[i] == leveled[i]);
    assert_true(external[0] == 7 && external[1] == 7 && external[2] == 7);
}

/* A timer leaks without any request: nothing tells then what came of the snapshot. */
static void a_wider_interval_may_carry_a_leak_no_more(void **state)
{
    static const struct {
        double low, high, margin;
        bool leaks;
    } cases[] = {
        {5000, 5300, 80, true}, {435, 842, 0, true},
        {112, 323, 77, false}, /* 89 B a request of a clean server, as a probe once said */
        {60, 90, 50, false},   /* less than a heap holds */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct routes_estimate r = {
            .bytes = cases[i].low, .low = cases[i].low, .high = cases[i].high, .leaks = true};
        routes_widen(&r, cases[i].margin);
        assert_int_equal(r.leaks, cases[i].leaks);
        assert_true(r.low == cases[i].low - cases[i].margin);
        assert_true(r.high == cases[i].high + cases[i].margin);
    }
}

static void floors_without_requests_are_left_as_they_are(void **state)
{
    int64_t wall_ms[] = {0, 1000, 2000, 3000};
    double bytes[] = {100, 200, 300, 400}, external[] = {0, 0, 0, 0}, counts[] = {5, 5, 5, 5};
    const int64_t taken_ms[] = {500, 1500, 2500};
    struct floors f = {.count = 4,
        .route_count = 1,
        .wall_ms = wall_ms,
        .bytes = bytes,
        .external = external,
        .counts = counts};
    (void)state;
    floors_level(&f, taken_ms, 3);
    for (size_t i = 0; i < f.count; i++)
        assert_true(bytes[i] == 100.0 * (double)(i + 1));
}

/* What a snapshot has taken of malloc's memory is used again by the requests behind it, which then
 * seem to keep less: such intervals count for nothing. 60,000 bytes are kept a request of one
 * route. */
static void native_memory_that_a_snapshot_has_left_is_not_taken_for_less(void **state)
{
    enum { COUNT = 15 };
    static const double sent[3][2] = {{200, 100}, {100, 200}, {100, 50}};
    static const int64_t taken_ms[] = {500, 7500};
    int64_t wall_ms[COUNT];
    double bytes[COUNT], external[COUNT], native[COUNT], counts[2 * COUNT] = {0};
    struct floors_route routes[2] = {{NULL, NULL, false}, {NULL, NULL, false}};
    struct routes_estimate r[2];
    struct routes_summary s;
    struct err e = ERR_NONE;
    double left = 0; /* of what the latest snapshot has freed */
    (void)state;
    native[0] = 80e6;
    for (int i = 0; i < COUNT; i++) {
        bool taken = i == 1 || i == 8;
        double kept = 0;
        for (int k = 0; k < 2 && i > 0; k++) {
            double asked = taken ? 0 : sent[i % 3][k];
            counts[2 * i + k] = counts[2 * (i - 1) + k] + asked;
            kept += k == 0 ? 60000 * asked : 0;
        }
        double reused = fmin(left, kept);
        left = taken ? 7e6 : left - reused;
        wall_ms[i] = 1000 * i;
        bytes[i] = 8e6;
        external[i] = 2e6;
        if (i > 0)
            native[i] = native[i - 1] + kept - reused + (taken ? 9e6 : 0) + (i % 2 ? 2e5 : -2e5);
    }
    struct floors f = {.count = COUNT,
        .route_count = 2,
        .wall_ms = wall_ms,
        .bytes = bytes,
        .external = external,
        .native = native,
        .counts = counts,
        .routes = routes};
    floors_level(&f, taken_ms, 2);
    assert_int_equal(floors_shake(&f, taken_ms, 2, &e), 0);
    assert_true(f.shaken[1] && f.shaken[2] && !f.shaken[3] && f.shaken[8] && f.shaken[9]);
    assert_int_equal(floors_judge(&f, FLOORS_NATIVE, r, &s, NULL, &e), 0);
    assert_true(r[0].leaks && r[0].low <= 60000 && r[0].high >= 60000);
    assert_true(r[0].high - r[0].low < 12000 && !r[1].leaks);
    free(f.shaken);
    f.native = NULL; /* an older record has none */
    f.shaken = NULL;
    assert_int_equal(floors_judge(&f, FLOORS_NATIVE, r, &s, NULL, &e), 0);
    assert_int_equal(s.verdict, ROUTES_TOO_FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wider_interval_may_carry_a_leak_no_more),
        cmocka_unit_test(what_a_snapshot_leaves_behind_is_no_growth),
        cmocka_unit_test(floors_without_requests_are_left_as_they_are),
        cmocka_unit_test(native_memory_that_a_snapshot_has_left_is_not_taken_for_less),
        cmocka_unit_test(two_of_five_routes_leak_and_both_are_named),
        cmocka_unit_test(a_server_without_a_leak_has_no_route_named),
        cmocka_unit_test(a_constant_mix_cannot_be_told_apart_and_that_is_said),
        cmocka_unit_test(a_warm_up_is_no_leak_of_the_routes),
        cmocka_unit_test(one_wild_reading_changes_little),
        cmocka_unit_test(what_the_targets_own_collections_leave_spoils_no_figure),
        cmocka_unit_test(too_few_floors_say_nothing),
        cmocka_unit_test(floors_without_requests_name_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
