/* Growth told from noise, warm-up, plateaus and steps, on series whose truth is known: a leak that
 * is missed costs a server, a false alarm costs the trust in all others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "diagnose/trend.h"
#include "noise.h"

#include <math.h>
#include <string.h>

#define POINTS_MAX 200
#define MB         1048576.0
#define SEEDS      40

struct world {
    size_t points;
    double every;           /* seconds between points */
    double leak;            /* bytes a second */
    double error;           /* of a reading, standard deviation */
    double drift;           /* of an interval's growth */
    double fill, fill_time; /* bytes, and seconds in which 63 % of them came: warm-up */
    double bound, rate;     /* a cache that fills at a rate up to a bound */
    double step, step_at;   /* bytes, seconds */
    double saw, saw_time;   /* amplitude and period of a sawtooth */
};

static struct trend judge(const struct world *w, uint64_t seed)
{
    double seconds[POINTS_MAX], bytes[POINTS_MAX], wandered = 0;
    struct err e = ERR_NONE;
    struct trend trend;
    random_state = seed * 7919 + 1;
    for (size_t i = 0; i < w->points; i++) {
        double t = seconds[i] = w->every * (double)i;
        wandered += w->drift * random_normal();
        bytes[i] = 20 * MB + w->leak * t + w->error * random_normal() + wandered;
        if (w->fill > 0)
            bytes[i] += w->fill * (1 - exp(-t / w->fill_time));
        if (w->bound > 0)
            bytes[i] += fmin(w->bound, w->rate * t);
        if (w->step > 0 && t >= w->step_at)
            bytes[i] += w->step;
        if (w->saw > 0)
            bytes[i] += w->saw * fmod(t, w->saw_time) / w->saw_time;
    }
    struct trend_input in = {.count = w->points, .seconds = seconds, .bytes = bytes};
    assert_int_equal(trend_judge(&in, &trend, &e), 0);
    return trend;
}

/* How many of SEEDS series are judged to be of a shape. */
static int count(const struct world *w, enum trend_shape shape)
{
    int found = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        found += judge(w, seed).shape == shape;
    return found;
}

#define assert_always(w, shape) assert_int_equal(count(w, shape), SEEDS)
#define assert_mostly(w, shape) assert_true(count(w, shape) >= SEEDS * 9 / 10)
#define assert_never(w, shape)  assert_int_equal(count(w, shape), 0)

static void a_steady_leak_is_found_with_its_pace(void **state)
{
    struct world w = {.points = 24, .every = 5, .leak = 40000, .error = 50000, .drift = 20000};
    (void)state;
    assert_always(&w, TREND_RISING);
    int inside = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct trend t = judge(&w, seed);
        assert_true(t.slope > 30000 && t.slope < 50000);
        inside += t.low <= 40000 && 40000 <= t.high;
    }
    assert_true(inside >= SEEDS * 8 / 10);
}

static void a_leak_of_half_a_minute_is_found_from_few_floors(void **state)
{
    struct world w = {.points = 6, .every = 5, .leak = 120000, .error = 60000, .drift = 30000};
    (void)state;
    assert_mostly(&w, TREND_RISING);
    w.points = 4;
    w.every = 10;
    assert_mostly(&w, TREND_RISING);
}

static void a_slow_leak_of_a_day_is_found(void **state)
{
    struct world w = {.points = 144, .every = 600, .leak = 100, .error = 200000, .drift = 10000};
    (void)state;
    assert_mostly(&w, TREND_RISING);
}

static void a_leak_behind_a_warm_up_is_found(void **state)
{
    struct world w = {
        .points = 30, .every = 10, .leak = 30000, .error = 30000, .fill = 8 * MB, .fill_time = 20};
    (void)state;
    assert_mostly(&w, TREND_RISING);
}

static void noise_is_flat(void **state)
{
    struct world w = {.points = 24, .every = 5, .error = 40000};
    (void)state;
    assert_never(&w, TREND_RISING);
    assert_mostly(&w, TREND_FLAT);
    w.points = 6;
    assert_never(&w, TREND_RISING);
}

static void drift_is_no_leak(void **state)
{
    struct world w = {.points = 24, .every = 5, .error = 30000, .drift = 60000};
    (void)state;
    assert_true(count(&w, TREND_RISING) <= SEEDS / 20);
}

static void a_warm_up_is_no_leak(void **state)
{
    struct world w = {.points = 24, .every = 5, .error = 40000, .fill = 6 * MB, .fill_time = 15};
    (void)state;
    assert_never(&w, TREND_RISING);
    assert_mostly(&w, TREND_LEVELLED);
    w.fill_time = 30; /* a quarter of the time */
    assert_never(&w, TREND_RISING);
}

static void a_cache_that_fills_to_its_bound_is_no_leak(void **state)
{
    struct world w = {.points = 24, .every = 5, .error = 40000, .bound = 5 * MB, .rate = 100000};
    (void)state;
    assert_never(&w, TREND_RISING); /* full after 52 of 115 s */
    assert_mostly(&w, TREND_LEVELLED);
    w.rate = 65000; /* after 80 s */
    assert_never(&w, TREND_RISING);
}

static void a_step_is_no_leak(void **state)
{
    struct world w = {.points = 24, .every = 5, .error = 30000, .step = 4 * MB, .step_at = 30};
    (void)state;
    assert_never(&w, TREND_RISING);
    w.step_at = 60;
    assert_never(&w, TREND_RISING);
    w.step_at = 95;
    assert_never(&w, TREND_RISING);
}

static void a_sawtooth_is_no_leak(void **state)
{
    struct world w = {.points = 48, .every = 5, .error = 20000, .saw = 3 * MB, .saw_time = 37};
    (void)state;
    assert_never(&w, TREND_RISING);
}

static void growth_with_what_is_in_flight_is_told_from_a_leak(void **state)
{
    double seconds[24], bytes[24], load[24];
    struct err e = ERR_NONE;
    struct trend t;
    (void)state;
    random_state = 7;
    for (int i = 0; i < 24; i++) {
        seconds[i] = 5 * i;
        load[i] = 10 + 8 * i + 5 * random_share();
        bytes[i] = 20 * MB + 60000 * load[i] + 30000 * random_normal();
    }
    struct trend_input in = {.count = 24, .seconds = seconds, .bytes = bytes, .load = load};
    assert_int_equal(trend_judge(&in, &t, &e), 0);
    assert_true(t.follows_load);
    assert_int_not_equal(t.shape, TREND_RISING);
    for (int i = 0; i < 24; i++) {
        load[i] = 10 + 60 * random_share();
        bytes[i] = 20 * MB + 60000 * load[i] + 100000.0 * 5 * i + 30000 * random_normal();
    }
    assert_int_equal(trend_judge(&in, &t, &e), 0);
    assert_false(t.follows_load);
    assert_int_equal(t.shape, TREND_RISING);
}

static void few_points_and_broken_ones_are_survived(void **state)
{
    double seconds[] = {0, 5, 5, 10, NAN}, bytes[] = {1e6, 2e6, 3e6, NAN, 4e6};
    struct err e = ERR_NONE;
    struct trend t;
    (void)state;
    for (size_t points = 0; points <= 5; points++) {
        struct trend_input in = {.count = points, .seconds = seconds, .bytes = bytes};
        assert_int_equal(trend_judge(&in, &t, &e), 0);
        assert_int_equal(t.shape, TREND_TOO_FEW);
    }
    assert_int_equal(t.points, 2);
    assert_true(t.growth > 999999 && t.growth < 1000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_leak_is_found_with_its_pace),
        cmocka_unit_test(a_leak_of_half_a_minute_is_found_from_few_floors),
        cmocka_unit_test(a_slow_leak_of_a_day_is_found),
        cmocka_unit_test(a_leak_behind_a_warm_up_is_found),
        cmocka_unit_test(noise_is_flat),
        cmocka_unit_test(drift_is_no_leak),
        cmocka_unit_test(a_warm_up_is_no_leak),
        cmocka_unit_test(a_cache_that_fills_to_its_bound_is_no_leak),
        cmocka_unit_test(a_step_is_no_leak),
        cmocka_unit_test(a_sawtooth_is_no_leak),
        cmocka_unit_test(growth_with_what_is_in_flight_is_told_from_a_leak),
        cmocka_unit_test(few_points_and_broken_ones_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
