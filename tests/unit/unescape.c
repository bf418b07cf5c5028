/* The bytes of a snapshot file: what the target meant, whichever way and in whichever pieces they
 * are decoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "cdp/unescape.h"

static const enum unescape_way ways[] = {UNESCAPE_SCALAR, UNESCAPE_SSE2, UNESCAPE_AVX2};
#define WAYS (sizeof ways / sizeof *ways)

/* Decodes all of it in pieces of at most room bytes; returns the length or -1. The buffers are
 * exact, so that the sanitizer sees a byte too many. */
static long decode(enum unescape_way way, const char *in, size_t length, size_t room, char *out)
{
    struct err e = ERR_NONE;
    char *copy = malloc(length + 1), *piece = malloc(room);
    size_t at = 0;
    long total = 0;
    int rc = 0;
    memcpy(copy, in, length);
    copy = realloc(copy, length ? length : 1);
    do {
        size_t used = 0, made = 0;
        rc = unescape_by(way, copy + at, length - at, piece, room, &used, &made, &e);
        if (rc)
            break;
        assert_true(used > 0 || length == at);
        assert_true(made <= room && made <= used);
        memcpy(out + total, piece, made);
        total += (long)made;
        at += used;
    } while (at < length);
    free(copy);
    free(piece);
    return rc ? -1 : total;
}

/* The slow reference: cJSON, which cannot hold NUL. */
static long reference(const char *in, size_t length, char *out)
{
    char *quoted = malloc(length + 3);
    snprintf(quoted, length + 3, "\"%.*s\"", (int)length, in);
    cJSON *tree = cJSON_ParseWithOpts(quoted, NULL, true);
    long total = -1;
    if (tree) {
        total = (long)strlen(tree->valuestring);
        memcpy(out, tree->valuestring, (size_t)total);
    }
    cJSON_Delete(tree);
    free(quoted);
    return total;
}

static void check(const char *in, size_t length, const char *expected, long expected_length)
{
    char out[4096];
    for (size_t w = 0; w < WAYS; w++) {
        if (!unescape_way_exists(ways[w]))
            continue;
        for (size_t room = UNESCAPE_MIN_ROOM; room < length + 80; room++) {
            long got = decode(ways[w], in, length, room, out);
            if (got != expected_length ||
                (got > 0 && expected && memcmp(out, expected, (size_t)got) != 0))
                fail_msg(
                    "way %d, room %zu: %ld bytes for %.*s", ways[w], room, got, (int)length, in);
        }
    }
}

static void escapes_become_what_they_mean(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20ac\\uD83D\\ude00", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\\\\ud83d\\\\uDE00", "\\ud83d\\uDE00"}, /* the inner JSON's escapes are left alone */
        {"\xe2\x82\xac raw", "\xe2\x82\xac raw"},
        {"\\uFFFF\\uFFFD\\u07ff\\u0800\\u007f\\u0080",
            "\xef\xbf\xbf\xef\xbf\xbd\xdf\xbf\xe0\xa0\x80\x7f\xc2\x80"},
        {"{\\\"nodes\\\":[1,2,\\n3],\\\"strings\\\":[\\\"a\\\",\\\"b\\\\\\\"c\\\"]}",
            "{\"nodes\":[1,2,\n3],\"strings\":[\"a\",\"b\\\"c\"]}"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789\\n",
            "0123456789012345678901234567890123456789012345678901234567890123456789\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].in, strlen(cases[i].in), cases[i].out, (long)strlen(cases[i].out));
    check("\\u0000", 6, "\0", 1);
}

static void broken_texts_are_refused_wherever_they_stand(void **state)
{
    (void)state;
    static const char *const bad[] = {"\"", "\n", "\x1f", "\\", "\\x", "\\u", "\\u1", "\\u12",
        "\\u123", "\\u123g", "\\ud800", "\\ud800x", "\\ud800\\n", "\\ud800\\u0041",
        "\\ud800\\ud800", "\\udc00", "\\ud83d\\ude0", "\\U0041", "\\u+123"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (size_t before = 0; before < 70; before++) {
            char text[100];
            memset(text, 'x', before);
            strcpy(text + before, bad[i]);
            check(text, strlen(text), NULL, -1);
            struct err e = ERR_NONE;
            char out[200];
            size_t used, made;
            assert_int_equal(
                unescape(text, strlen(text), out, sizeof out, &used, &made, &e), ERR_PROTOCOL);
            assert_int_equal(e.position, (int64_t)before);
        }
    }
}

/* Texts over a small alphabet meet every neighbourhood of escapes at every place in a block. */
static void all_ways_agree_with_the_reference(void **state)
{
    (void)state;
    static const char *const words[] = {"a", "bcdefghijklmnop", "\\n", "\\\"", "\\\\", "\\u00e9",
        "\\ud83d\\ude00", "\xc3\xa9", "0123456789abcdef0123456789abcdef", "\\u2028", "\\", "\"",
        "\\ud83d"};
    unsigned seed = 4711;
    for (int round = 0; round < 1500; round++) {
        char text[600] = "", expected[600];
        size_t kinds = round % 3 ? 10 : 13; /* a third of them may be broken */
        for (int i = 0; i < 12; i++) {
            seed = seed * 1103515245 + 12345;
            strcat(text, words[seed / 65536 % kinds]);
        }
        long length = reference(text, strlen(text), expected);
        char out[600];
        for (size_t w = 0; w < WAYS; w++) {
            if (!unescape_way_exists(ways[w]))
                continue;
            for (size_t room = UNESCAPE_MIN_ROOM; room < 200; room += 1 + room / 16) {
                long got = decode(ways[w], text, strlen(text), room, out);
                if (got != length || (got > 0 && memcmp(out, expected, (size_t)got) != 0))
                    fail_msg(
                        "way %d, room %zu: %ld, not %ld: %s", ways[w], room, got, length, text);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_become_what_they_mean),
        cmocka_unit_test(broken_texts_are_refused_wherever_they_stand),
        cmocka_unit_test(all_ways_agree_with_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
