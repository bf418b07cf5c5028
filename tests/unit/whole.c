/* What a user would lose if a capture that is not whole passed for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "heap/whole.h"
#include "heap/whole_scan.h"

#define HEAD                                                                                       \
    "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\"],\"node_types\":[[\"a\"]]" \
    ","                                                                                            \
    "\"edge_fields\":[\"type\",\"to\"],\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"]}" \
    ","                                                                                            \
    "\"node_count\":3,\"edge_count\":2,\"trace_function_count\":0},\n"
#define NODES "\"nodes\":[1,2,3\n,4,5,6\n,7,8,9\n],\n"
#define EDGES "\"edges\":[0,3\n,1,6],\n"
#define MIDDLE                                                                                     \
    "\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n\"locations\":[],\n"
#define STRINGS "\"strings\":[\"<dummy>\",\n\"a \\\"b\\\" \\\\\",\n\"\\u00e9\"]}"
#define SMALL   HEAD NODES EDGES MIDDLE STRINGS

static int check_by(const struct whole_scanner *scanner, const char *text, size_t length,
    size_t step, struct whole_result *r, struct err *e)
{
    struct whole *w = whole_new();
    assert_non_null(w);
    whole_set_scanner(w, scanner);
    for (size_t i = 0; i < length; i += step) {
        size_t n = length - i < step ? length - i : step;
        /* A copy of its own: reads past a piece are found by the sanitizer. */
        char *piece = malloc(n);
        assert_non_null(piece);
        memcpy(piece, text + i, n);
        int rc = whole_feed(w, piece, n, e);
        free(piece);
        if (rc != 0)
            break;
    }
    int rc = whole_finish(w, r, e);
    whole_free(w);
    return rc;
}

static int check(const char *text, struct whole_result *r, struct err *e)
{
    return check_by(whole_scanner_best(), text, strlen(text), 1 << 20, r, e);
}

static void assert_verdict(const char *text, enum whole_verdict verdict, const char *says)
{
    struct whole_result r;
    struct err e = ERR_NONE;
    int rc = check(text, &r, &e);
    assert_int_equal(rc, verdict == WHOLE_OK ? 0 : ERR_FORMAT);
    assert_string_equal(whole_verdict_name(r.verdict), whole_verdict_name(verdict));
    if (says && !strstr(e.text, says))
        fail_msg("\"%s\" does not say \"%s\"", e.text, says);
}

static void a_whole_snapshot_passes_with_its_counts(void **state)
{
    (void)state;
    struct whole_result r;
    struct err e = ERR_NONE;
    assert_int_equal(check(SMALL, &r, &e), 0);
    assert_int_equal(r.verdict, WHOLE_OK);
    assert_int_equal(r.kind, WHOLE_SNAPSHOT);
    assert_int_equal(r.nodes, 3);
    assert_int_equal(r.edges, 2);
    assert_int_equal(r.strings, 3);
    assert_int_equal(r.bytes, strlen(SMALL));
    assert_int_equal(r.position, -1);
    assert_verdict(SMALL "\n", WHOLE_OK, NULL);
}

static void a_cut_at_every_byte_is_truncated(void **state)
{
    (void)state;
    for (size_t length = 0; length < strlen(SMALL); length++) {
        struct whole_result r;
        struct err e = ERR_NONE;
        assert_int_equal(
            check_by(whole_scanner_best(), SMALL, length, 1 << 20, &r, &e), ERR_FORMAT);
        assert_int_equal(r.verdict, WHOLE_TRUNCATED);
        assert_int_equal(r.position, (int64_t)length);
        assert_int_equal(e.position, (int64_t)length);
    }
    struct whole_result r;
    struct err e = ERR_NONE;
    const char *half = HEAD "\"nodes\":[1,2,3,4,5,6,7";
    assert_int_equal(check(half, &r, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "it ends in \"nodes\", after 2 of 3 rows"));
}

static void damage_is_found(void **state)
{
    (void)state;
    assert_verdict(HEAD "\"nodes\":[1,2,3]," EDGES STRINGS, WHOLE_DAMAGED,
        "\"nodes\" holds 3 numbers, but \"snapshot\" tells of 3 rows of 3");
    assert_verdict(HEAD NODES "\"edges\":[1,2,3,4,5]," STRINGS, WHOLE_DAMAGED, "\"edges\" holds 5");
    assert_verdict(HEAD NODES EDGES "\"samples\":[1]," STRINGS, WHOLE_DAMAGED, "no rows of 2");
    assert_verdict(HEAD "\"nodes\":[1,2,,3,4,5,6,7,8,9]," EDGES STRINGS, WHOLE_DAMAGED, "','");
    assert_verdict(HEAD "\"nodes\":[1,2 3,4,5,6,7,8,9]," EDGES STRINGS, WHOLE_DAMAGED, "'3'");
    assert_verdict(HEAD "\"nodes\":[1,2,\"3\",4,5,6,7,8,9]," EDGES STRINGS, WHOLE_DAMAGED,
        "'\"' in place of a number in \"nodes\"");
    assert_verdict(HEAD NODES NODES EDGES STRINGS, WHOLE_DAMAGED, "a second \"nodes\"");
    assert_verdict(HEAD NODES STRINGS, WHOLE_DAMAGED, "it has no \"edges\"");
    assert_verdict(HEAD NODES EDGES "\"strings\":[]} x", WHOLE_DAMAGED, "more bytes after the end");
    assert_verdict(SMALL SMALL, WHOLE_DAMAGED, "more bytes after the end");
    assert_verdict(HEAD NODES EDGES "\"strings\":[7]}", WHOLE_DAMAGED, "a string");
    assert_verdict(HEAD NODES EDGES "\"strings\":[\"a\nb\"]}", WHOLE_DAMAGED, "0x0a");
    assert_verdict(HEAD NODES EDGES "\"strings\":[\"\\x\"]}", WHOLE_DAMAGED, "escape");
    assert_verdict(HEAD NODES EDGES "\"strings\":[\"\\u00g0\"]}", WHOLE_DAMAGED, "hexadecimal");
    assert_verdict(HEAD NODES EDGES "\"strings\":[\"a\"\"b\"]}", WHOLE_DAMAGED, NULL);
    assert_verdict(HEAD NODES EDGES "\"strings\":[\"a\",]}", WHOLE_DAMAGED, "']'");
    assert_verdict(HEAD "\"nodes\":{}}", WHOLE_DAMAGED, "'{' in place of [");
    assert_verdict("{\"snapshot\":{}}", WHOLE_DAMAGED, "snapshot.meta");
    assert_verdict("{\"snapshot\":{\"meta\":{\"node_fields\":[1],\"edge_fields\":[1]},"
                   "\"node_count\":-1,\"edge_count\":1.5}}",
        WHOLE_DAMAGED, "node_count");
}

/* As Node 18 to 26 write timelines with allocation stacks. */
static void more_traced_functions_than_told_are_no_damage(void **state)
{
    (void)state;
    assert_verdict("{\"snapshot\":{\"meta\":{\"node_fields\":[1],\"edge_fields\":[1],"
                   "\"trace_function_info_fields\":[1,2]},\"node_count\":0,\"edge_count\":0,"
                   "\"trace_function_count\":1},\"nodes\":[],\"edges\":[],"
                   "\"trace_function_infos\":[1,2,3,4],\"trace_tree\":[1,0,0,0,[2,1,3,4,[]]],"
                   "\"strings\":[]}",
        WHOLE_OK, NULL);
}

static void foreign_files_are_told_apart(void **state)
{
    (void)state;
    static const char *const foreign[] = {"hello", "[]", "{}", "{\"nodes\":[]}", "\x1f\x8b\x08",
        "\x28\xb5\x2f\xfd", "<html>", "{\"traceEvents\":[]}", "{snapshot:1}", "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_verdict(foreign[i], WHOLE_FOREIGN, "no heap snapshot");
    assert_verdict("", WHOLE_TRUNCATED, "empty");
    assert_verdict("  \n", WHOLE_TRUNCATED, NULL);
    assert_verdict("{\"snap", WHOLE_TRUNCATED, "first key");
}

static void profiles_are_checked_too(void **state)
{
    (void)state;
    const char *good = "{\"head\":{\"callFrame\":{\"functionName\":\"(root)\"},\"children\":[]},"
                       "\"samples\":[{\"size\":16,\"nodeId\":1,\"ordinal\":1.5e3}]}";
    struct whole_result r;
    struct err e = ERR_NONE;
    assert_int_equal(check(good, &r, &e), 0);
    assert_int_equal(r.kind, WHOLE_PROFILE);
    assert_int_equal(r.samples, 0);
    assert_verdict("{\"samples\":[],\"head\":{\"callFrame\":{}}}", WHOLE_OK, NULL);
    assert_verdict("{\"head\":{}}", WHOLE_DAMAGED, "callFrame");
    assert_verdict("{\"samples\":[]}", WHOLE_DAMAGED, "\"head\"");
    assert_verdict("{\"head\":{\"callFrame\":nul}}", WHOLE_DAMAGED, "null");
    assert_verdict("{\"head\":{\"callFrame\":{}}", WHOLE_TRUNCATED, NULL);
}

static void deep_nesting_is_an_error_and_no_crash(void **state)
{
    (void)state;
    struct buf b = buf_new(1 << 20);
    assert_int_equal(buf_add_text(&b, HEAD "\"trace_tree\":"), 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_add_text(&b, i % 2 ? "{\"a\":" : "["), 0);
    assert_verdict(b.data, WHOLE_DAMAGED, "levels");
    buf_free(&b);
}

static void a_meta_without_end_is_capped(void **state)
{
    (void)state;
    struct buf b = buf_new(3 << 20);
    assert_int_equal(buf_add_text(&b, "{\"snapshot\":{\"meta\":\""), 0);
    for (int i = 0; i < WHOLE_META_MAX / 8; i++)
        assert_int_equal(buf_add_text(&b, "aaaaaaaaa"), 0);
    assert_verdict(b.data, WHOLE_DAMAGED, "longer than");
    buf_free(&b);
}

static uint32_t random_state = 12345;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

/* A snapshot large enough for the fast ways, with every kind of string. */
static char *make_snapshot(uint32_t rows)
{
    static const char *const pieces[] = {"a", "\\\"", "\\\\", "\\u12aF", "\\n", ",", "[", "]", "{}",
        "\xc3\xa9", "plain text of some length without anything special in it", "\\/"};
    struct buf b = buf_new(16 << 20);
    int rc = buf_addf(&b,
        "{\"snapshot\":{\"meta\":{\"node_fields\":[1,2],\"edge_fields\":[1]},"
        "\"node_count\":%u,\"edge_count\":%u},\"nodes\":[",
        rows, rows);
    for (uint32_t i = 0; i < rows && rc == 0; i++)
        rc = buf_addf(&b, "%s%u,%u%s", i ? "," : "", random_below(10), random_below(1 << 24),
            random_below(3) ? "\n" : "");
    if (rc == 0)
        rc = buf_add_text(&b, "],\"edges\":[");
    for (uint32_t i = 0; i < rows && rc == 0; i++)
        rc = buf_addf(&b, "%s%u", i ? "," : "", random_below(1 << (1 + random_below(23))));
    if (rc == 0)
        rc = buf_add_text(&b, "],\"strings\":[");
    for (uint32_t i = 0; i < rows && rc == 0; i++) {
        rc = buf_add_text(&b, i ? ",\n\"" : "\"");
        for (uint32_t n = random_below(9); n > 0 && rc == 0; n--)
            rc = buf_add_text(&b, pieces[random_below(sizeof pieces / sizeof *pieces)]);
        if (rc == 0)
            rc = buf_add_text(&b, "\"");
    }
    if (rc == 0)
        rc = buf_add_text(&b, "]}\n");
    assert_int_equal(rc, 0);
    return buf_take(&b);
}

static void assert_same(const char *text, size_t length)
{
    struct whole_result first;
    struct err first_error = ERR_NONE;
    int first_rc = check_by(&whole_scanner_scalar, text, length, length, &first, &first_error);
    static const size_t steps[] = {1, 63, 65, 1000, 1 << 24};
    for (size_t i = 0; i < 2 * sizeof steps / sizeof *steps; i++) {
        const struct whole_scanner *s = i % 2 ? whole_scanner_best() : &whole_scanner_scalar;
        struct whole_result r;
        struct err e = ERR_NONE;
        int rc = check_by(s, text, length, steps[i / 2], &r, &e);
        assert_int_equal(rc, first_rc);
        assert_int_equal(r.verdict, first.verdict);
        assert_int_equal(r.position, first.position);
        assert_int_equal(r.nodes, first.nodes);
        assert_int_equal(r.edges, first.edges);
        assert_int_equal(r.strings, first.strings);
        assert_string_equal(e.text, first_error.text);
    }
}

static void every_split_and_scanner_says_the_same(void **state)
{
    (void)state;
    char *text = make_snapshot(500);
    size_t length = strlen(text);
    struct whole_result r;
    struct err e = ERR_NONE;
    assert_int_equal(check(text, &r, &e), 0);
    assert_int_equal(r.nodes, 500);
    assert_int_equal(r.strings, 500);
    assert_same(text, length);
    static const char bytes[] = "0,\n\"\\]}[{u a-\x01\xff";
    for (int i = 0; i < 200; i++) { /* damage one byte, or cut */
        size_t at = random_below((uint32_t)length);
        char before = text[at];
        text[at] = bytes[random_below(sizeof bytes - 1)];
        assert_same(text, i % 4 ? length : at);
        text[at] = before;
    }
    free(text);
}

/* Backslashes that escape each other at every place relative to the 64 bytes that are scanned at a
 * time, with a quote behind them that ends the string or does not. The strings that follow are
 * commas: taken for the inside out they look right for long. */
static void runs_of_backslashes_do_not_hide_the_end_of_a_string(void **state)
{
    (void)state;
    for (int before = 0; before < 66; before++) {
        for (int run = 1; run <= 6; run++) {
            struct buf b = buf_new(4096);
            int rc = buf_addf(&b, "%s%s%s\"strings\":[\"%*s", HEAD, NODES, EDGES, before, "");
            for (int i = 0; i < run && rc == 0; i++)
                rc = buf_add_text(&b, "\\");
            if (rc == 0)
                rc = buf_add_text(&b, run % 2 ? "\"\"" : "\"");
            for (int i = 0; i < 100 && rc == 0; i++)
                rc = buf_add_text(&b, ",\",\"");
            if (rc == 0)
                rc = buf_add_text(&b, "]}");
            assert_int_equal(rc, 0);
            struct whole_result r;
            struct err e = ERR_NONE;
            assert_int_equal(check(b.data, &r, &e), 0);
            assert_int_equal(r.strings, 101);
            assert_same(b.data, b.length);
            buf_free(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_snapshot_passes_with_its_counts),
        cmocka_unit_test(a_cut_at_every_byte_is_truncated),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(more_traced_functions_than_told_are_no_damage),
        cmocka_unit_test(foreign_files_are_told_apart),
        cmocka_unit_test(profiles_are_checked_too),
        cmocka_unit_test(deep_nesting_is_an_error_and_no_crash),
        cmocka_unit_test(a_meta_without_end_is_capped),
        cmocka_unit_test(every_split_and_scanner_says_the_same),
        cmocka_unit_test(runs_of_backslashes_do_not_hide_the_end_of_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
