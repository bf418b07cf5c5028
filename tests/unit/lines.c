/* Which line allocates what stays: what a user opens first. */
#include "base/array.h"
#include "diagnose/lines.h"
#include "diagnose/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char APP[] = "/app/server.js", POOL[] = "/app/node_modules/pool/index.js";
static char runtime[] = "node:events", none[] = "";

static char handler_name[] = "handler";
static struct diagnosis_place handler = {handler_name, APP, 10, 5};

static struct evidence_site site(const char *function, char *url, uint32_t line, double growth)
{
    return (struct evidence_site){.function = (char *)function,
        .url = url,
        .line = line,
        .column = 1,
        .source = none,
        .last = growth,
        .low = 1,
        .readings = 3};
}

static struct diagnosis *one_suspect(const char *class, struct diagnosis_place *function)
{
    struct diagnosis *d = diagnosis_new();
    d->verdict = DIAGNOSIS_LEAK;
    assert_true(array_more(&d->suspects, 0));
    d->suspect_count = 1;
    d->suspects[0] = (struct diagnosis_suspect){
        .class_name = diagnosis_text(class, strlen(class)), .retained_growth = 1000000};
    if (function) {
        struct diagnosis_place *copy = calloc(1, sizeof *copy);
        *copy = (struct diagnosis_place){diagnosis_text("", 0),
            diagnosis_text(function->url, strlen(function->url)), function->line, function->column};
        d->suspects[0].function = copy;
    }
    return d;
}

static const struct diagnosis_place *first(
    struct diagnosis *d, struct evidence_site *sites, size_t count)
{
    struct evidence_target t = {.sites = sites, .site_count = count};
    struct err e = ERR_NONE;
    assert_int_equal(lines_merge(d, &t, &e), 0);
    return d->suspects[0].site_count ? &d->suspects[0].sites[0].place : NULL;
}

static void what_a_package_allocates_is_asked_for_by_the_program(void **state)
{
    struct evidence_site sites[] = {site("Pool", POOL, 3, 40000), site("connect", POOL, 30, 50000),
        site("log", APP, 40, 60000), site("emit", runtime, 1, 90000)};
    struct diagnosis *d = one_suspect("Pool", NULL);
    (void)state;
    sites[0].own = sites[1].own = &handler;
    const struct diagnosis_place *p = first(d, sites, 4);
    assert_string_equal(p->url, APP);
    assert_int_equal(p->line, 10);
    assert_string_equal(p->function, "handler");
    assert_int_equal(d->suspects[0].sites[0].live_bytes, 90000);
    diagnosis_free(d);
}

static void what_a_provider_makes_is_its_own(void **state)
{
    struct evidence_site sites[] = {site("CartStore", APP, 3, 40000)};
    struct diagnosis *d = one_suspect("CartStore", NULL);
    (void)state;
    sites[0].in_provider = true;
    assert_non_null(first(d, sites, 1));
    assert_string_equal(d->suspects[0].culprit, "context-provider");
    diagnosis_free(d);
}

static void without_a_line_of_the_program_a_package_s_own_stands(void **state)
{
    struct evidence_site sites[] = {site("Pool", POOL, 3, 40000), site("emit", runtime, 1, 90000)};
    struct diagnosis *d = one_suspect("Pool", NULL);
    (void)state;
    assert_string_equal(first(d, sites, 2)->url, POOL);
    diagnosis_free(d);
}

static void a_closure_s_line_is_the_function_around_it(void **state)
{
    struct evidence_site sites[] = {site("page", APP, 4, 50000), site("subscribe", APP, 20, 30000),
        site("after", APP, 30, 50000)};
    struct diagnosis_place closure = {none, APP, 24, 3};
    struct diagnosis *d = one_suspect("Function", &closure);
    (void)state;
    assert_int_equal(first(d, sites, 3)->line, 20);
    diagnosis_free(d);
}

/* Of a cache that has filled a little beside a leak the only sampled line is the leak's. */
static void a_small_suspect_is_not_said_to_be_made_where_another_class_is(void **state)
{
    struct evidence_site sites[] = {site("Session/<anonymous>", APP, 18, 500000)};
    struct diagnosis *d = one_suspect("Session", &handler);
    (void)state;
    assert_true(array_more(&d->suspects, 1));
    d->suspect_count = 2;
    struct diagnosis_place *place = calloc(1, sizeof *place);
    *place =
        (struct diagnosis_place){diagnosis_text("", 0), diagnosis_text(APP, strlen(APP)), 28, 1};
    d->suspects[1] = (struct diagnosis_suspect){.class_name = diagnosis_text("{key}", 5),
        .holder = {.place = place},
        .retained_growth = 70000};
    assert_int_equal(first(d, sites, 1)->line, 18);
    assert_int_equal(d->suspects[1].site_count, 0);
    diagnosis_free(d);
}

static void one_letter_of_a_minified_class_is_in_every_name(void **state)
{
    struct evidence_site sites[] = {site("render", APP, 1, 20000), site("r", APP, 9, 15000)};
    struct diagnosis *d = one_suspect("r", NULL);
    (void)state;
    assert_int_equal(first(d, sites, 2)->line, 9);
    diagnosis_free(d);
}

static struct diagnosis_place *own_of(const char *json)
{
    struct diagnosis_place *place = NULL;
    struct err e = ERR_NONE;
    assert_int_equal(stack_own_place(json, strlen(json), &place, &e), 0);
    return place;
}

static void stacks_of_the_record_are_read_and_broken_ones_are_none(void **state)
{
    (void)state;
    struct diagnosis_place *p =
        own_of("[{\"function\":\"get\",\"url\":\"/a/node_modules/x.js\",\"line\":1,\"column\":1},"
               "{\"function\":\"\",\"url\":\"/a/b.js\",\"line\":7,\"column\":2},"
               "{\"function\":\"map\",\"url\":\"\",\"line\":0,\"column\":0},"
               "{\"function\":\"stash\",\"url\":\"/a/b.js\",\"line\":5,\"column\":1}]");
    assert_string_equal(p->function, "stash/<anonymous>");
    assert_int_equal(p->line, 7);
    diagnosis_place_free(p);
    assert_null(own_of("[{\"url\":\"node:internal/modules/cjs/loader\"},{\"url\":\"/a/b.js\"}]"));
    const char *provider = "[{\"function\":\"a\",\"url\":\"/"
                           "a.js\"},{\"function\":\"CartProvider\",\"url\":\"/a.js\"}]";
    assert_true(stack_has_function(provider, strlen(provider), "Provider"));
    assert_false(stack_has_function(provider, strlen(provider), "Cart"));
    assert_null(own_of("[{\"url\":7},3,null]"));
    assert_null(own_of("{"));
    assert_null(own_of(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_package_allocates_is_asked_for_by_the_program),
        cmocka_unit_test(what_a_provider_makes_is_its_own),
        cmocka_unit_test(without_a_line_of_the_program_a_package_s_own_stands),
        cmocka_unit_test(a_closure_s_line_is_the_function_around_it),
        cmocka_unit_test(a_small_suspect_is_not_said_to_be_made_where_another_class_is),
        cmocka_unit_test(one_letter_of_a_minified_class_is_in_every_name),
        cmocka_unit_test(stacks_of_the_record_are_read_and_broken_ones_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
