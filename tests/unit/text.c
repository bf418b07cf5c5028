/* What users type as durations, sizes and shares, and what targets send as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"

static void durations_need_a_unit(void **state)
{
    (void)state;
    int64_t us = -1;
    struct err e = ERR_NONE;
    assert_int_equal(text_parse_duration("500ms", &us, &e), 0);
    assert_int_equal(us, 500000);
    assert_int_equal(text_parse_duration("1.5h", &us, &e), 0);
    assert_int_equal(us, 5400000000LL);
    static const char *const bad[] = {"", "60", "s", "-1s", "1e3s", "0x10s", "1.2.3s", "60 s extra",
        "nan", "infs", "99999999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        us = 7;
        assert_int_equal(text_parse_duration(bad[i], &us, &e), ERR_USAGE);
        assert_int_equal(us, 7);
    }
}

static void sizes_are_1024_based(void **state)
{
    (void)state;
    int64_t bytes = 0;
    struct err e = ERR_NONE;
    assert_int_equal(text_parse_size("512KB", &bytes, &e), 0);
    assert_int_equal(bytes, 512 * 1024);
    assert_int_equal(text_parse_size("2GB", &bytes, &e), 0);
    assert_int_equal(bytes, 2LL << 30);
    assert_int_equal(text_parse_size("512MiB", &bytes, &e), 0);
    assert_int_equal(bytes, 512LL << 20);
    assert_int_equal(text_parse_size("12 elephants", &bytes, &e), ERR_USAGE);
}

static void shares_are_percent_or_fraction(void **state)
{
    (void)state;
    double share = 0;
    struct err e = ERR_NONE;
    assert_int_equal(text_parse_share("10%", &share, &e), 0);
    assert_true(share > 0.0999 && share < 0.1001);
    assert_int_equal(text_parse_share("0.1", &share, &e), 0);
    assert_int_equal(text_parse_share("110%", &share, &e), ERR_USAGE);
}

static void assert_visible(const char *in, size_t length, const char *out)
{
    struct buf b = buf_new(1024);
    assert_int_equal(text_add_visible(&b, in, length), 0);
    assert_string_equal(b.data, out);
    buf_free(&b);
}

static void hostile_text_cannot_command_a_terminal(void **state)
{
    (void)state;
    assert_visible("plain \xc3\xa9", 8, "plain \xc3\xa9");
    assert_visible("\x1b[2J", 4, "\\x1b[2J");
    assert_visible("a\xff"
                   "b",
        3, "a\\xffb");
    assert_visible("\xe2\x80\xae", 3, "\\u{202e}");
    assert_visible("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* a surrogate is not UTF-8 */
}

static void hostile_json_cannot_command_a_terminal(void **state)
{
    (void)state;
    struct buf b = buf_new(1024);
    const char json[] = "{\"a\":\"\\u001b \xc3\xa9 \xc2\x9b \xe2\x80\xae\x7f\"}";
    assert_int_equal(text_add_visible_json(&b, json, sizeof json - 1), 0);
    assert_string_equal(b.data, "{\"a\":\"\\u001b \xc3\xa9 \\u009b \\u202e\\u007f\"}");
    buf_free(&b);
}

static void stored_text_has_no_nul(void **state)
{
    (void)state;
    struct buf b = buf_new(64);
    assert_int_equal(text_add_storable(&b, "a\0b\xfe", 4), 0);
    assert_string_equal(b.data, "a\\x00b\\xfe");
    buf_free(&b);
}

static void buffers_keep_their_cap(void **state)
{
    (void)state;
    struct buf b = buf_new(4);
    assert_int_equal(buf_add_text(&b, "abcd"), 0);
    assert_int_equal(buf_add_text(&b, "e"), ERR_FULL);
    assert_string_equal(b.data, "abcd");
    buf_free(&b);
}

static void numbers_are_readable(void **state)
{
    (void)state;
    char out[TEXT_SHORT];
    assert_string_equal(text_size(out, 18.2 * 1048576), "18.2 MB");
    assert_string_equal(text_size(out, 1048575), "1.0 MB");
    assert_string_equal(text_size(out, 12), "12 B");
    assert_string_equal(text_count(out, 1234567), "1,234,567");
    assert_string_equal(text_count(out, -1234), "-1,234");
    assert_string_equal(text_count(out, 999), "999");
    assert_string_equal(text_duration(out, 59990000), "1 m 0 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(sizes_are_1024_based),
        cmocka_unit_test(shares_are_percent_or_fraction),
        cmocka_unit_test(hostile_text_cannot_command_a_terminal),
        cmocka_unit_test(hostile_json_cannot_command_a_terminal),
        cmocka_unit_test(stored_text_has_no_nul),
        cmocka_unit_test(buffers_keep_their_cap),
        cmocka_unit_test(numbers_are_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
