/* Taking out of a profile what was sampled before: by the ordinals of its samples. */
#include "collect/survivors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char text[] =
    "{\"head\":{\"id\":1,\"selfSize\":0,\"children\":["
    "{\"id\":2,\"selfSize\":30,\"children\":[{\"id\":3,\"selfSize\":7,\"children\":[]}]},"
    "{\"id\":4,\"selfSize\":5,\"children\":[]}]},"
    "\"samples\":[{\"size\":10,\"nodeId\":2,\"ordinal\":1},{\"size\":20,\"nodeId\":2,\"ordinal\":8}"
    ","
    "{\"size\":7,\"nodeId\":3,\"ordinal\":9},{\"size\":5,\"nodeId\":4,\"ordinal\":3}]}";

static int64_t size_of(const cJSON *node)
{
    return (int64_t)cJSON_GetObjectItem(node, "selfSize")->valuedouble;
}

static void only_later_samples_count(void **state)
{
    cJSON *profile = cJSON_Parse(text);
    struct err e = ERR_NONE;
    (void)state;
    assert_true(survivors_last_ordinal(profile) > 8.5);
    assert_int_equal(survivors_subtract(profile, 3, &e), 0);
    const cJSON *head = cJSON_GetObjectItem(profile, "head");
    const cJSON *children = cJSON_GetObjectItem(head, "children");
    const cJSON *second = cJSON_GetArrayItem(children, 0), *last = cJSON_GetArrayItem(children, 1);
    assert_int_equal(size_of(head), 0);
    assert_int_equal(size_of(second), 20);
    assert_int_equal(size_of(cJSON_GetArrayItem(cJSON_GetObjectItem(second, "children"), 0)), 7);
    assert_int_equal(size_of(last), 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(profile, "samples")), 2);
    cJSON_Delete(profile);
}

static void with_nothing_later_nothing_is_left(void **state)
{
    cJSON *profile = cJSON_Parse(text);
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(survivors_subtract(profile, survivors_last_ordinal(profile), &e), 0);
    const cJSON *children = cJSON_GetObjectItem(cJSON_GetObjectItem(profile, "head"), "children");
    assert_int_equal(size_of(cJSON_GetArrayItem(children, 0)), 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(profile, "samples")), 0);
    cJSON_Delete(profile);
}

static void profiles_without_samples_or_sizes_are_refused(void **state)
{
    static const char *const bad[] = {"{}", "{\"head\":{\"id\":1,\"selfSize\":0}}",
        "{\"head\":{\"id\":1},\"samples\":[]}",
        "{\"head\":{\"id\":1,\"selfSize\":1,\"children\":[3]},\"samples\":[]}"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cJSON *profile = cJSON_Parse(bad[i]);
        struct err e = ERR_NONE;
        assert_non_null(profile);
        assert_int_equal(survivors_subtract(profile, 0, &e), ERR_FORMAT);
        assert_true(strlen(e.text) > 0);
        cJSON_Delete(profile);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_later_samples_count),
        cmocka_unit_test(with_nothing_later_nothing_is_left),
        cmocka_unit_test(profiles_without_samples_or_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
