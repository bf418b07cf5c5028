/* What is typed as a request is what is sent, and what cannot be meant is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/load_request.h"

#include <stdlib.h>
#include <string.h>

static struct load_request parse(const char *text, const char *base, const char *body)
{
    struct load_request q = {0};
    struct err e = ERR_NONE;
    if (load_request_parse(text, base, body, &q, &e) != 0)
        fail_msg("%s: %s", text, e.text);
    return q;
}

static void refused(const char *text, const char *base, const char *why)
{
    struct load_request q = {0};
    struct err e = ERR_NONE;
    assert_int_equal(load_request_parse(text, base, NULL, &q, &e), ERR_USAGE);
    if (!strstr(e.text, why))
        fail_msg("\"%s\" is refused with \"%s\", not with \"%s\"", text, e.text, why);
    assert_null(q.url);
}

#define BASE "http://127.0.0.1:3000"

static void the_forms_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text, *base, *method, *url, *body, *route;
        bool json;
    } cases[] = {
        {"GET http://h/page", NULL, "GET", "http://h/page", NULL, "/page", false},
        {"http://h:81/page?x=1", NULL, "GET", "http://h:81/page?x=1", NULL, "/page", false},
        {"  DELETE   /a/17 ", BASE, "DELETE", BASE "/a/17", NULL, "/a/:n", false},
        {"/a/17b/", BASE, "GET", BASE "/a/17b/", NULL, "/a/17b/", false},
        {"GET http://h", NULL, "GET", "http://h", NULL, "/", false},
        {"GET http://h?q", NULL, "GET", "http://h?q", NULL, "/", false},
        {"GET /c/{n}/{uuid}?n={n}", BASE, "GET", BASE "/c/{n}/{uuid}?n={n}", NULL, "/c/:n/:uuid",
            false},
        {"POST /x {\"a\": {n}}", BASE, "POST", BASE "/x", "{\"a\": {n}}", "/x", true},
        {"POST /x a=1&b={uuid}", BASE, "POST", BASE "/x", "a=1&b={uuid}", "/x", false},
        {"M-SEARCH https://[::1]:8443/x", NULL, "M-SEARCH", "https://[::1]:8443/x", NULL, "/x",
            false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct load_request q = parse(cases[i].text, cases[i].base, NULL);
        assert_string_equal(q.method, cases[i].method);
        assert_string_equal(q.url, cases[i].url);
        assert_string_equal(q.route, cases[i].route);
        if (cases[i].body)
            assert_string_equal(q.body, cases[i].body);
        else
            assert_null(q.body);
        assert_int_equal(q.json, cases[i].json);
        load_request_clear(&q);
    }
}

static void a_body_for_all_goes_to_those_that_may_have_one(void **state)
{
    (void)state;
    struct load_request get = parse("GET /x", BASE, "{}"), put = parse("PUT /x", BASE, "{}"),
                        own = parse("PUT /x 1", BASE, "{}");
    assert_null(get.body);
    assert_string_equal(put.body, "{}");
    assert_true(put.json);
    assert_string_equal(own.body, "1");
    load_request_clear(&get);
    load_request_clear(&put);
    load_request_clear(&own);
}

static void what_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    char *longest = calloc(1, LOAD_URL_MAX + 100);
    memset(longest, 'a', LOAD_URL_MAX + 50);
    memcpy(longest, "http://h/", 9);
    refused("", NULL, "no URL");
    refused("GET", NULL, "no http");
    refused("POST ", NULL, "no URL");
    refused("GET /page", NULL, "--base");
    refused("GET ftp://h/x", NULL, "no http");
    refused("GET file:///etc/passwd", NULL, "no http");
    refused("GET http://", NULL, "no http");
    refused("GET http:///x", NULL, "no http");
    refused("GET http://user@", NULL, "no http");
    refused("GET /x body", BASE, "no body");
    refused("GET http://h/\xc3\xa4", NULL, "%C3");
    refused("GET http://h/\x1b[2J", NULL, "%1B");
    refused("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ http://h/", NULL, "letters");
    refused(longest, NULL, "longer");
    free(longest);
}

static void a_path_goes_where_the_request_before_went(void **state)
{
    (void)state;
    struct load_request q = parse("GET https://u:p@h:8443/a/b?x=1#f", NULL, NULL);
    char *base = load_request_base(&q);
    assert_string_equal(base, "https://u:p@h:8443");
    free(base);
    load_request_clear(&q);
    struct err e = ERR_NONE;
    assert_int_equal(load_base_parse("http://h:1/api/", &base, &e), 0);
    assert_string_equal(base, "http://h:1/api");
    free(base);
    assert_int_equal(load_base_parse("h:1", &base, &e), ERR_USAGE);
    assert_int_equal(load_base_parse("http://h/?a", &base, &e), ERR_USAGE);
}

static void placeholders_are_filled_anew_each_time(void **state)
{
    (void)state;
    struct buf a = buf_new(1000), b = buf_new(1000), small = buf_new(8);
    struct err e = ERR_NONE;
    assert_int_equal(load_request_fill("/{n}/{x}/{uuid}{", 41, &a, &e), 0);
    assert_int_equal(load_request_fill("/{n}/{x}/{uuid}{", 42, &b, &e), 0);
    assert_memory_equal(a.data, "/41/{x}/", 8);
    assert_memory_equal(b.data, "/42/{x}/", 8);
    assert_int_equal(a.length, 8 + 36 + 1);
    assert_memory_not_equal(a.data + 8, b.data + 8, 36);
    assert_int_equal(load_request_fill("{uuid}", 1, &small, &e), ERR_FULL);
    buf_free(&a);
    buf_free(&b);
    buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_forms_are_understood),
        cmocka_unit_test(a_body_for_all_goes_to_those_that_may_have_one),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(a_path_goes_where_the_request_before_went),
        cmocka_unit_test(placeholders_are_filled_anew_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
