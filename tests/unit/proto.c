/* Messages from outside: a wrong or hostile one is refused with the path of what is wrong, and what
 * we send is valid JSON in valid UTF-8 whatever the user typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cdp/proto.h"

static cJSON *tree_of(const char *text)
{
    cJSON *tree = NULL;
    struct err e = ERR_NONE;
    if (json_parse(text, strlen(text), &tree, &e))
        fail_msg("%s", e.text);
    return tree;
}

static void results_are_decoded(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    cJSON *tree =
        tree_of("{\"result\":{\"type\":\"object\",\"value\":null,\"objectId\":\"7\",\"new\":1},"
                "\"exceptionDetails\":{\"text\":\"Uncaught\",\"lineNumber\":3,"
                "\"columnNumber\":-1,\"exception\":{\"type\":\"string\"}}}");
    struct proto_runtime_evaluate_result r;
    assert_int_equal(proto_runtime_evaluate_result_decode(tree, &r, &e), 0);
    assert_string_equal(r.result.type, "object");
    assert_string_equal(r.result.object_id, "7");
    assert_null(r.result.subtype);
    assert_true(cJSON_IsNull(r.result.value)); /* a value may be null */
    assert_true(r.has_exception_details && r.exception_details.has_exception);
    assert_int_equal(r.exception_details.column_number, -1);
    assert_int_equal(r.exception_details.exception_id, 0); /* its default */
    assert_null(r.exception_details.url);
    cJSON_Delete(tree);

    tree = tree_of("{\"usedSize\":1.5,\"totalSize\":3e9}");
    struct proto_runtime_get_heap_usage_result usage;
    assert_int_equal(proto_runtime_get_heap_usage_result_decode(tree, &usage, &e), 0);
    assert_false(usage.has_backing_storage_size);
    assert_true(usage.total_size == 3e9);
    cJSON_Delete(tree);
}

static void a_wrong_field_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "Runtime.evaluate is an array, not an object"},
        {"{}", "Runtime.evaluate.result is missing"},
        {"{\"result\":3}", "Runtime.evaluate.result is a number, not an object"},
        {"{\"result\":null}", "Runtime.evaluate.result is null, not an object"},
        {"{\"result\":{}}", "Runtime.evaluate.result.type is missing"},
        {"{\"result\":{\"type\":7}}", "Runtime.evaluate.result.type is a number, not a string"},
        {"{\"result\":{\"type\":\"x\"},\"exceptionDetails\":{\"text\":\"\",\"lineNumber\":1.5}}",
            "Runtime.evaluate.exceptionDetails.lineNumber is a number, not a whole number"},
        {"{\"result\":{\"type\":\"x\"},\"exceptionDetails\":{\"text\":\"\",\"lineNumber\":1e300}}",
            "lineNumber is a number, not a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct proto_runtime_evaluate_result r = {.has_exception_details = true};
        struct err e = ERR_NONE;
        cJSON *tree = tree_of(cases[i].text);
        assert_int_equal(proto_runtime_evaluate_result_decode(tree, &r, &e), ERR_PROTOCOL);
        if (!strstr(e.text, cases[i].says))
            fail_msg("%s: \"%s\"", cases[i].text, e.text);
        assert_null(r.result.type); /* written only on success */
        cJSON_Delete(tree);
    }
}

static void items_of_arrays_are_checked(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    struct proto_heap_profiler_heap_stats_update update;
    cJSON *tree = tree_of("{\"statsUpdate\":[0,1,2]}");
    assert_int_equal(proto_heap_profiler_heap_stats_update_decode(tree, &update, &e), 0);
    assert_int_equal(cJSON_GetArraySize(update.stats_update), 3);
    cJSON_Delete(tree);
    tree = tree_of("{\"statsUpdate\":[0,1,\"2\"]}");
    assert_int_equal(proto_heap_profiler_heap_stats_update_decode(tree, &update, &e), ERR_PROTOCOL);
    assert_non_null(strstr(e.text, "statsUpdate"));
    cJSON_Delete(tree);
    tree = tree_of("{\"statsUpdate\":7}");
    assert_int_equal(proto_heap_profiler_heap_stats_update_decode(tree, &update, &e), ERR_PROTOCOL);
    cJSON_Delete(tree);
}

static void parameters_are_encoded_without_their_defaults(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    const struct proto_runtime_evaluate p = {.expression = "\"h\xc3\xa9\"",
        .return_by_value = true,
        .has_timeout = true,
        .timeout = 250};
    cJSON *tree = NULL;
    char *text = NULL;
    size_t length;
    assert_int_equal(proto_runtime_evaluate_encode(&p, &tree, &e), 0);
    assert_int_equal(json_print(tree, &text, &length, &e), 0);
    assert_string_equal(
        text, "{\"expression\":\"\\\"h\xc3\xa9\\\"\",\"returnByValue\":true,\"timeout\":250}");
    assert_int_equal(length, strlen(text));
    free(text);
    cJSON_Delete(tree);
    const struct proto_node_worker_enable enable = {.wait_for_debugger_on_start = false};
    assert_int_equal(proto_node_worker_enable_encode(&enable, &tree, &e), 0);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(tree, "waitForDebuggerOnStart")));
    cJSON_Delete(tree);
}

/* Malformed JSON or UTF-8 ends Node 22 and 24 with a segmentation fault. */
static void nothing_invalid_is_ever_printed(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    char *text = NULL;
    size_t length;
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "expression", "\xff\xfe");
    assert_int_equal(json_print(tree, &text, &length, &e), ERR_USAGE);
    cJSON_Delete(tree);
    tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "\xc3", "x");
    assert_int_equal(json_print(tree, &text, &length, &e), ERR_USAGE);
    cJSON_Delete(tree);
    tree = cJSON_CreateObject();
    cJSON *inner = cJSON_AddArrayToObject(tree, "a");
    cJSON_AddItemToArray(inner, cJSON_CreateNumber(1));
    cJSON_AddItemToArray(inner, cJSON_CreateRaw("{,}"));
    cJSON_AddNumberToObject(tree, "b", 2);
    assert_int_equal(json_print(tree, &text, &length, &e), ERR_USAGE);
    cJSON_Delete(tree);
    tree = cJSON_CreateObject();
    cJSON_AddNumberToObject(tree, "n", 1.0 / 0.0);
    assert_int_equal(json_print(tree, &text, &length, &e), 0);
    assert_string_equal(text, "{\"n\":null}");
    free(text);
    cJSON_Delete(tree);
}

static void hostile_texts_are_refused_before_they_cost_memory(void **state)
{
    (void)state;
    cJSON *tree = NULL;
    struct err e = ERR_NONE;
    static char deep[5000];
    memset(deep, '[', sizeof deep);
    assert_int_equal(json_parse(deep, sizeof deep, &tree, &e), ERR_PROTOCOL);
    assert_non_null(strstr(e.text, "nests deeper"));
    size_t size = JSON_ITEMS_MAX * 2 + 10;
    char *wide = malloc(size);
    for (size_t i = 0; i < size; i++)
        wide[i] = i % 2 ? ',' : '0';
    wide[0] = '[';
    assert_int_equal(json_parse(wide, size, &tree, &e), ERR_PROTOCOL);
    assert_non_null(strstr(e.text, "more than"));
    free(wide);
    static const char *const bad[] = {"", "{", "{\"a\":1,}", "nul", "{} {}", "{\"a\":\"\xff\"}",
        "{\"a\":\"\\ud800\"}", "\"unterminated", "[1,2", "{\"a\" 1}", "\\"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (json_parse(bad[i], strlen(bad[i]), &tree, &e) != ERR_PROTOCOL)
            fail_msg("parsed: %s", bad[i]);
    static const char brackets[] = " {\"a\":\"[[[[,,,,\\\"]]\"} \n";
    assert_int_equal(json_parse(brackets, sizeof brackets - 1, &tree, &e), 0);
    cJSON_Delete(tree);
    size = 50 << 20; /* one long text is no cost: its commas are no items */
    char *text = malloc(size);
    memset(text, ',', size);
    text[0] = text[size - 1] = '"';
    assert_int_equal(json_parse(text, size, &tree, &e), 0);
    cJSON_Delete(tree);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_decoded),
        cmocka_unit_test(a_wrong_field_is_named),
        cmocka_unit_test(items_of_arrays_are_checked),
        cmocka_unit_test(parameters_are_encoded_without_their_defaults),
        cmocka_unit_test(nothing_invalid_is_ever_printed),
        cmocka_unit_test(hostile_texts_are_refused_before_they_cost_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
