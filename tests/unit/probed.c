/* Floors of a probe: the route that leaks is named whatever snapshots leave behind, and a cache
 * that fills or growth that any heap has is no leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "diagnose/floors.h"
#include "noise.h"

#include <math.h>
#include <string.h>

#define ROUNDS 18
#define FLOORS (ROUNDS + 4) /* the start, and anew after snapshots at the start, at 6 and at 12 */

struct record {
    int64_t wall_ms[FLOORS];
    double bytes[FLOORS], external[FLOORS], counts[2 * FLOORS];
    bool base[FLOORS], forced[FLOORS];
    struct floors_route routes[2];
    struct floors floors;
};

/* kept: by requests of the first route so far, bytes. */
static void make(struct record *r, double (*kept)(double requests))
{
    static char get[] = "GET", one[] = "/one", other[] = "/other";
    static const double sent[3][2] = {{200, 100}, {100, 200}, {100, 50}};
    double total[2] = {0}, left = 0;
    size_t count = 0;
    random_state = 7;
    *r = (struct record){.routes = {{get, one, false}, {get, other, false}}};
    for (int round = 0; round <= ROUNDS; round++) {
        for (int k = 0; k < 2 && round > 0; k++)
            total[k] += sent[(round - 1) % 3][k];
        bool taken = round == 0 || round == 6 || round == 12;
        for (int again = 0; again < (taken ? 2 : 1); again++) {
            left += again ? 400000 : 0;
            r->wall_ms[count] = 1000000 + round * 1000 + again * 300;
            r->bytes[count] = 8e6 + left + kept(total[0]) + 300 * random_normal();
            r->base[count] = again;
            r->forced[count] = true;
            memcpy(&r->counts[2 * count++], total, sizeof total);
        }
    }
    r->floors = (struct floors){.count = count,
        .route_count = 2,
        .wall_ms = r->wall_ms,
        .bytes = r->bytes,
        .external = r->external,
        .counts = r->counts,
        .forced = r->forced,
        .probed = true,
        .base = r->base,
        .routes = r->routes};
}

static double leak(double requests)
{
    return 500 * requests;
}

static double little(double requests)
{
    return 70 * requests; /* 170 KB in all: any heap moves by as much */
}

static double cache(double requests)
{
    return 1500 * fmin(requests, 900);
}

static void judge(struct record *r, double (*kept)(double), struct routes_estimate *ret,
    struct routes_summary *summary, struct floors_beside *beside)
{
    struct err e = ERR_NONE;
    make(r, kept);
    assert_int_equal(floors_judge(&r->floors, FLOORS_HEAP, ret, summary, beside, &e), 0);
}

static void a_route_that_leaks_is_named_and_snapshots_count_for_none(void **state)
{
    struct record r;
    struct routes_estimate found[2];
    struct routes_summary summary;
    struct floors_beside beside;
    (void)state;
    judge(&r, leak, found, &summary, &beside);
    assert_int_equal(summary.verdict, ROUTES_NAMED);
    assert_true(found[0].leaks && found[0].low <= 500 && found[0].high >= 500);
    assert_true(found[0].high - found[0].low < 150 && !found[1].leaks);
    assert_true(!beside.elsewhere && beside.left_out == 0 && !beside.time.leaks);
}

/* A diagnosis takes what snapshots leave behind out of the floors first, the table does not. */
static void levelled_floors_have_the_same_estimate(void **state)
{
    static const int64_t taken_ms[] = {1000100, 1006100, 1012100};
    struct record r;
    struct routes_estimate found[2], again[2];
    struct routes_summary summary;
    struct err e = ERR_NONE;
    (void)state;
    judge(&r, leak, found, &summary, NULL);
    floors_level(&r.floors, taken_ms, 3);
    assert_int_equal(floors_judge(&r.floors, FLOORS_HEAP, again, &summary, NULL, &e), 0);
    for (int j = 0; j < 2; j++)
        assert_true(
            fabs(found[j].low - again[j].low) < 0.01 && fabs(found[j].high - again[j].high) < 0.01);
}

static void a_cache_that_fills_is_no_leak(void **state)
{
    struct record r;
    struct routes_estimate found[2];
    struct routes_summary summary;
    (void)state;
    judge(&r, cache, found, &summary, NULL);
    assert_true(!found[0].leaks && !found[1].leaks && summary.verdict != ROUTES_NAMED);
}

static void growth_that_any_heap_has_is_no_leak(void **state)
{
    struct record r;
    struct routes_estimate found[2];
    struct routes_summary summary;
    (void)state;
    judge(&r, little, found, &summary, NULL);
    assert_true(!found[0].leaks && !found[1].leaks && summary.verdict != ROUTES_NAMED);
    assert_true(found[0].low > 0); /* though it is sure that something stays */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_that_leaks_is_named_and_snapshots_count_for_none),
        cmocka_unit_test(levelled_floors_have_the_same_estimate),
        cmocka_unit_test(a_cache_that_fills_is_no_leak),
        cmocka_unit_test(growth_that_any_heap_has_is_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
