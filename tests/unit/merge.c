/* Routes for a suspect: where the floors are too noisy, by its count, and by nothing else; where
 * the requests enter at another thread, by those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/array.h"
#include "diagnose/merge.h"

#include <stdlib.h>
#include <string.h>

#define FLOORS 13
#define NOISE  60000.0 /* bytes that a floor is off by; what is kept is 200 a request */

/* Two routes in rounds that lean to either, then to none; the first has 1,600 requests in all, the
 * second 1,400. */
struct record {
    int64_t wall_ms[FLOORS];
    double bytes[FLOORS], external[FLOORS], counts[2 * FLOORS];
    struct floors_route routes[2];
    struct evidence_target target;
};

static void make(struct record *r)
{
    static const double sent[3][2] = {{200, 100}, {100, 200}, {100, 50}};
    static char get[] = "GET", kept[] = "/kept", other[] = "/other";
    *r = (struct record){.routes = {{get, kept, false}, {get, other, false}}};
    for (int i = 0; i < FLOORS; i++) {
        for (int k = 0; k < 2 && i > 0; k++)
            r->counts[2 * i + k] = r->counts[2 * (i - 1) + k] + sent[(i - 1) % 3][k];
        r->wall_ms[i] = 1000 * i;
        r->bytes[i] = 8e6 + 200 * r->counts[2 * i] + (i * 7 % 5 - 2) * NOISE / 2;
    }
    r->target.floors = (struct floors){.count = FLOORS,
        .route_count = 2,
        .wall_ms = r->wall_ms,
        .bytes = r->bytes,
        .external = r->external,
        .counts = r->counts,
        .routes = r->routes};
}

static struct diagnosis *suspect_of(int64_t growth)
{
    struct diagnosis *d = diagnosis_new();
    assert_non_null(d);
    d->verdict = DIAGNOSIS_LEAK;
    d->memory = MEMORY_JS_HEAP;
    assert_true(array_more(&d->suspects, 0));
    d->suspect_count = 1;
    d->suspects[0] = (struct diagnosis_suspect){.class_name = strdup("Entry"),
        .first = 100,
        .last = 100 + growth,
        .retained_growth = 320000};
    return d;
}

/* The number of the route that was named, -1: none. */
static int named(int64_t growth, double *ret_bytes)
{
    struct record r;
    struct err e = ERR_NONE;
    int which = -1;
    make(&r);
    struct diagnosis *d = suspect_of(growth);
    assert_int_equal(merge_routes(d, NULL, &r.target, 0, 1000 * (FLOORS - 1), &e), 0);
    if (d->suspects[0].route_count) {
        which = strcmp(d->suspects[0].routes[0].route, "/kept") == 0 ? 0 : 1;
        *ret_bytes = d->suspects[0].routes[0].bytes;
    }
    diagnosis_free(d);
    return which;
}

static void as_many_objects_as_requests_tell_the_route(void **state)
{
    double bytes = 0;
    (void)state;
    assert_int_equal(named(1600, &bytes), 0);
    assert_true(bytes > 190 && bytes < 210);
    assert_int_equal(named(1400, &bytes), 1);
    assert_int_equal(named(3200, &bytes), 0); /* two a request */
}

static void a_count_that_fits_none_names_none(void **state)
{
    double bytes = 0;
    (void)state;
    assert_int_equal(named(1000, &bytes), -1);
    assert_int_equal(named(1500, &bytes), -1);
    assert_int_equal(named(0, &bytes), -1);
}

/* Two workers of one file, of which each is handed half of the requests, on quiet floors. */
struct crew {
    struct record records[2];
    struct evidence_target targets[2];
};

static void make_crew(struct crew *c, double kept)
{
    static char worker[] = "worker", url[] = "file:///w.js";
    for (int k = 0; k < 2; k++) {
        struct record *r = &c->records[k];
        make(r);
        r->routes[0].elsewhere = r->routes[1].elsewhere = true;
        for (int i = 0; i < FLOORS; i++)
            r->bytes[i] = 8e6 + kept / 2 * r->counts[2 * i] + (i * 7 % 5 - 2) * 50;
        c->targets[k] = r->target;
        c->targets[k].kind = worker;
        c->targets[k].url = url;
        c->targets[k].parent_id = 1;
    }
}

static void what_a_pool_keeps_of_a_request_is_the_sum_over_its_workers(void **state)
{
    struct crew c;
    struct err e = ERR_NONE;
    (void)state;
    make_crew(&c, 4000);
    struct evidence all = {.targets = c.targets, .target_count = 2};
    struct diagnosis *d = suspect_of(800);
    assert_int_equal(merge_routes(d, &all, &c.targets[0], 0, 1000 * (FLOORS - 1), &e), 0);
    assert_int_equal(d->suspects[0].route_count, 1);
    const struct diagnosis_route *r = &d->suspects[0].routes[0];
    assert_string_equal(r->route, "/kept");
    assert_true(r->elsewhere && r->low <= 4000 && r->high >= 4000 && r->bytes > 3900);
    assert_true(r->instances > 0.95 && r->instances < 1.05); /* 800 here, of 1,600 requests */
    diagnosis_free(d);
}

static void workers_of_another_file_are_not_added(void **state)
{
    static char other[] = "file:///other.js";
    struct crew c;
    struct err e = ERR_NONE;
    (void)state;
    make_crew(&c, 4000);
    c.targets[1].url = other;
    struct evidence all = {.targets = c.targets, .target_count = 2};
    struct diagnosis *d = suspect_of(800);
    assert_int_equal(merge_routes(d, &all, &c.targets[0], 0, 1000 * (FLOORS - 1), &e), 0);
    assert_true(d->suspects[0].route_count == 1 && d->suspects[0].routes[0].bytes < 2100);
    diagnosis_free(d);
}

/* A worker has a server of its own: what enters elsewhere has nothing to do with it. */
static void its_own_requests_come_before_those_of_others(void **state)
{
    struct crew c;
    struct err e = ERR_NONE;
    (void)state;
    make_crew(&c, 4000);
    c.records[0].routes[0].elsewhere = false;
    struct diagnosis *d = suspect_of(800);
    assert_int_equal(merge_routes(d, NULL, &c.targets[0], 0, 1000 * (FLOORS - 1), &e), 0);
    assert_true(d->suspects[0].route_count == 1 && !d->suspects[0].routes[0].elsewhere);
    diagnosis_free(d);
    /* Its own do not account for the growth, those of others do. */
    c.records[0].routes[0].elsewhere = true;
    c.records[0].routes[1].elsewhere = false;
    d = suspect_of(800);
    assert_int_equal(merge_routes(d, NULL, &c.targets[0], 0, 1000 * (FLOORS - 1), &e), 0);
    assert_true(d->suspects[0].route_count == 1);
    diagnosis_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_pool_keeps_of_a_request_is_the_sum_over_its_workers),
        cmocka_unit_test(workers_of_another_file_are_not_added),
        cmocka_unit_test(its_own_requests_come_before_those_of_others),
        cmocka_unit_test(as_many_objects_as_requests_tell_the_route),
        cmocka_unit_test(a_count_that_fits_none_names_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
