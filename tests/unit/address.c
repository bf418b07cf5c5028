/* What users type as TARGET: every documented form reaches the right place, and mistakes are told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cdp/address.h"

static struct address parse(const char *text)
{
    struct address a;
    struct err e = ERR_NONE;
    if (address_parse(text, &a, &e))
        fail_msg("%s", e.text);
    return a;
}

struct form {
    const char *text, *again; /* again: how address_format writes it */
    enum address_kind kind;
    const char *host;
    int port;
    const char *path;
};

static void every_form_is_understood(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {NULL, "127.0.0.1:9229", ADDRESS_ENDPOINT, "127.0.0.1", 9229, ""},
        {"", "127.0.0.1:9229", ADDRESS_ENDPOINT, "127.0.0.1", 9229, ""},
        {"9333", "127.0.0.1:9333", ADDRESS_ENDPOINT, "127.0.0.1", 9333, ""},
        {"1", "127.0.0.1:1", ADDRESS_ENDPOINT, "127.0.0.1", 1, ""},
        {"65535", "127.0.0.1:65535", ADDRESS_ENDPOINT, "127.0.0.1", 65535, ""},
        {"localhost:9229", "localhost:9229", ADDRESS_ENDPOINT, "localhost", 9229, ""},
        {"my_app.prod-1.example:80", "my_app.prod-1.example:80", ADDRESS_ENDPOINT,
            "my_app.prod-1.example", 80, ""},
        {"[::1]:9229", "[::1]:9229", ADDRESS_ENDPOINT, "::1", 9229, ""},
        {"[fe80::1%eth0]:1234", "[fe80::1%eth0]:1234", ADDRESS_ENDPOINT, "fe80::1%eth0", 1234, ""},
        {"ws://127.0.0.1:9229/0f2c", "ws://127.0.0.1:9229/0f2c", ADDRESS_URL, "127.0.0.1", 9229,
            "/0f2c"},
        {"ws://[::1]:9229/a/b?c=d", "ws://[::1]:9229/a/b?c=d", ADDRESS_URL, "::1", 9229,
            "/a/b?c=d"},
        {"wss://debug.example/x", "wss://debug.example:443/x", ADDRESS_URL, "debug.example", 443,
            "/x"},
        {"WS://h/x", "ws://h:80/x", ADDRESS_URL, "h", 80, "/x"},
        {"0.0.0.0:9229", "127.0.0.1:9229", ADDRESS_ENDPOINT, "127.0.0.1", 9229, ""},
        {"[::]:9229", "[::1]:9229", ADDRESS_ENDPOINT, "::1", 9229, ""},
        {"ws://0.0.0.0:9229/0f2c", "ws://127.0.0.1:9229/0f2c", ADDRESS_URL, "127.0.0.1", 9229,
            "/0f2c"},
        {"ws://[::]:9229/0f2c", "ws://[::1]:9229/0f2c", ADDRESS_URL, "::1", 9229, "/0f2c"},
        {"pid:4711", "pid:4711", ADDRESS_PROCESS, "", 0, ""},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char text[ADDRESS_TEXT_SIZE];
        struct address a = parse(forms[i].text);
        assert_int_equal(a.kind, forms[i].kind);
        assert_string_equal(a.host, forms[i].host);
        assert_int_equal(a.port, forms[i].port);
        assert_string_equal(a.path, forms[i].path);
        assert_string_equal(address_format(&a, text), forms[i].again);
        struct address b = parse(text);
        assert_memory_equal(&a, &b, sizeof a);
    }
    assert_int_equal(parse("pid:4711").pid, 4711);
    assert_true(parse("wss://h/x").tls);
    assert_false(parse("ws://h/x").tls);
}

static void one_of_several_can_be_picked(void **state)
{
    (void)state;
    char text[ADDRESS_TEXT_SIZE];
    assert_int_equal(parse("9229#2").pick_number, 2);
    assert_int_equal(parse("#2").pick_number, 2);
    assert_int_equal(parse("pid:7#1").pick_number, 1);
    struct address a = parse("[::1]:9229#My page: 2nd #x");
    assert_string_equal(a.pick_title, "My page: 2nd #x");
    assert_int_equal(a.pick_number, 0);
    assert_string_equal(address_format(&a, text), "[::1]:9229#My page: 2nd #x");
    assert_string_equal(parse("ws://h:1/x#t").path, "/x");
}

static void mistakes_are_told(void **state)
{
    (void)state;
    static const char *const bad[] = {"0", "65536", "99999999999999999999", "host",
        "host:", ":9229", "host:0", "host:abc", "host:1:2", "::1:9229", "[::1", "[::1]", "[::1]x",
        "[::1]:", "[]:1", "[host]:1", "[::zz]:1", "http://h:1/x", "ws://", "ws:///x", "ws://h",
        "ws://h:1", "ws://h:1/", "ws://u@h:1/x", "ws://h:1/a b", "ws://h:1/\x01", "pid:", "pid:0",
        "pid:-1", "pid:abc", "pid:99999999999", "h\r\nX: y:1", "a b:1", "-h:1", "9229#", "9229#0",
        "9229#99999999", "9229#\xff", "h/x:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct address a = {.port = 7};
        struct err e = ERR_NONE;
        if (address_parse(bad[i], &a, &e) != ERR_USAGE)
            fail_msg("\"%s\" was understood", bad[i]);
        assert_int_equal(a.port, 7);
        assert_non_null(strstr(e.text, "9229"));
    }
}

static void long_texts_do_not_overflow(void **state)
{
    (void)state;
    static char text[5000];
    struct address a;
    memset(text, 'a', sizeof text - 1);
    memcpy(text + sizeof text - 6, ":9229", 5);
    assert_int_equal(address_parse(text, &a, NULL), ERR_USAGE);
    memcpy(text, "ws://h:1/", 9);
    assert_int_equal(address_parse(text, &a, NULL), ERR_USAGE);
    memcpy(text, "9229#t", 6);
    assert_int_equal(address_parse(text, &a, NULL), ERR_USAGE);
}

static void loopback_is_told_from_the_world(void **state)
{
    (void)state;
    assert_true(address_is_loopback("localhost"));
    assert_true(address_is_loopback("127.0.0.1"));
    assert_true(address_is_loopback("127.8.9.1"));
    assert_true(address_is_loopback("::1"));
    assert_true(address_is_loopback("::ffff:127.0.0.1"));
    assert_false(address_is_loopback("::ffff:10.0.0.1"));
    assert_false(address_is_loopback("0.0.0.0"));
    assert_false(address_is_loopback("127.0.0.1.example"));
    assert_false(address_is_loopback("10.0.0.1"));
    assert_false(address_is_loopback("example"));
}

static void a_host_header_has_no_scope(void **state)
{
    (void)state;
    char text[ADDRESS_HOST_PORT_SIZE];
    assert_string_equal(address_host_header("fe80::1%eth0", 9229, text), "[fe80::1]:9229");
    assert_string_equal(address_host_port("fe80::1%eth0", 9229, text), "[fe80::1%eth0]:9229");
    assert_string_equal(address_host_header("127.0.0.1", 9229, text), "127.0.0.1:9229");
}

static void a_url_is_followed_by_its_host_and_port(void **state)
{
    (void)state;
    struct address a = parse("ws://h:1/x#2");
    address_follow(&a);
    assert_int_equal(a.kind, ADDRESS_ENDPOINT);
    assert_string_equal(a.path, "");
    assert_int_equal(a.pick_number, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_understood),
        cmocka_unit_test(one_of_several_can_be_picked),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(long_texts_do_not_overflow),
        cmocka_unit_test(loopback_is_told_from_the_world),
        cmocka_unit_test(a_host_header_has_no_scope),
        cmocka_unit_test(a_url_is_followed_by_its_host_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
