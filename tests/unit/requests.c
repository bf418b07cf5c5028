/* What a target sends as requests: right batches are kept exactly, lies are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/requests_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define NUMBERS 17

struct seen {
    int rows;
    struct request_row last;
    char url[64];
};

static void note(void *arg, const struct request_row *row)
{
    struct seen *seen = arg;
    seen->rows++;
    seen->last = *row;
    snprintf(seen->url, sizeof seen->url, "%s %s %s", row->method, row->url, row->route);
}

/* A batch with these rows; each number becomes four bytes. */
static char *batch(const uint32_t *numbers, size_t rows, const char *texts)
{
    static char payload[65536];
    unsigned char bytes[64 * NUMBERS * 4];
    unsigned char encoded[sizeof bytes * 2];
    for (size_t i = 0; i < rows * NUMBERS; i++)
        for (int b = 0; b < 4; b++)
            bytes[4 * i + (size_t)b] = (unsigned char)(numbers[i] >> 8 * b);
    EVP_EncodeBlock(encoded, bytes, (int)(rows * NUMBERS * 4));
    snprintf(payload, sizeof payload,
        "{\"v\":1,\"age\":5000,\"dropped\":3,\"texts\":%s,\"rows\":\"%s\"}", texts,
        (char *)encoded);
    return payload;
}

static const uint32_t good[2 * NUMBERS] = {0, 0, 1, 2, 4000, 2500, 200, 1, 2, 1000, 1001, 2000,
    2001, 30, 31, 4096, 4097, /* */ 1, 0, 1, 2, 5000, 1000, 499, 3, 1, 536870912, 7, 1, 1, 1, 1, 1,
    1};
#define TEXTS "[\"GET\",\"/products/17\",\"/products/:n\"]"

static int read(const char *payload, struct seen *seen)
{
    struct err e = ERR_NONE;
    size_t rows = 0;
    int64_t dropped = 0;
    *seen = (struct seen){0};
    int rc = requests_read_batch(payload, 1000000, note, seen, &rows, &dropped, &e);
    if (rc == 0) {
        assert_int_equal(rows, seen->rows);
        assert_int_equal(dropped, 3);
    }
    return rc;
}

static void a_batch_is_kept_exactly(void **state)
{
    struct seen seen;
    (void)state;
    assert_int_equal(read(batch(good, 1, TEXTS), &seen), 0);
    assert_string_equal(seen.url, "GET /products/17 /products/:n");
    assert_true(seen.last.wall_ms[1] == 999999 && seen.last.wall_ms[0] == 999996);
    assert_true(seen.last.duration_ms == 2.5 && seen.last.status == 200 && !seen.last.aborted);
    assert_true(seen.last.in_flight[0] == 1 && seen.last.in_flight[1] == 2);
    assert_true(seen.last.heap_used[0] == 8000 && seen.last.heap_used[1] == 8008);
    assert_true(seen.last.external[1] == 248 && seen.last.rss[1] == 4097 * 1024.0);
    assert_int_equal(read(batch(good, 2, TEXTS), &seen), 0);
    assert_true(seen.last.aborted && seen.last.heap_used[0] == 4294967296.0);
    assert_true(seen.last.pair == 0);
    uint32_t paired[NUMBERS];
    memcpy(paired, good, sizeof paired);
    paired[0] = 7 << 8 | 1;
    assert_int_equal(read(batch(paired, 1, TEXTS), &seen), 0);
    assert_true(seen.last.pair == 7 && seen.last.aborted);
}

static void a_batch_that_lies_gives_no_row(void **state)
{
    uint32_t bad[NUMBERS];
    struct seen seen;
    static const struct {
        int at;
        uint32_t value;
    } lies[] = {{1, 3}, {2, 4000000000u}, {3, 3}, {4, 6000}, {6, 1000}};
    static const char *const payloads[] = {"", "{}", "[]", "{\"v\":2}", "{\"v\":1}",
        "{\"v\":1,\"age\":-1,\"dropped\":0,\"texts\":[],\"rows\":\"AAAA\"}",
        "{\"v\":1,\"age\":1e300,\"dropped\":0,\"texts\":[],\"rows\":\"AAAA\"}",
        "{\"v\":1,\"age\":1,\"dropped\":0,\"texts\":[1],\"rows\":\"AAAA\"}",
        "{\"v\":1,\"age\":1,\"dropped\":0,\"texts\":[],\"rows\":\"AAAA\"}",
        "{\"v\":1,\"age\":1,\"dropped\":0,\"texts\":[],\"rows\":\"====\"}",
        "{\"v\":1,\"age\":1,\"dropped\":0,\"texts\":[],\"rows\":\"not base64 at all!\"}",
        "{\"v\":1,\"age\":1,\"dropped\":0,\"texts\":[],\"rows\":7}"};
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        memcpy(bad, good, sizeof bad);
        bad[lies[i].at] = lies[i].value;
        assert_int_equal(read(batch(bad, 1, TEXTS), &seen), ERR_PROTOCOL);
        assert_int_equal(seen.rows, 0);
    }
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        assert_int_equal(read(payloads[i], &seen), ERR_PROTOCOL);
        assert_int_equal(seen.rows, 0);
    }
    char *cut = batch(good, 2, TEXTS);
    for (size_t length = strlen(cut); length-- > 0;) {
        cut[length] = '\0';
        assert_int_equal(read(cut, &seen), ERR_PROTOCOL);
    }
}

static void note_pair(void *arg, const struct request_pair *pair)
{
    struct seen *seen = arg;
    snprintf(seen->url, sizeof seen->url, "%lld %d %s %s", (long long)pair->number, (int)pair->step,
        pair->method, pair->url);
}

static void a_step_of_a_pair_is_kept_exactly_or_refused(void **state)
{
    static const char good_step[] =
        "{\"v\":1,\"pair\":2,\"step\":\"before\",\"method\":\"GET\",\"url\":\"/x\"}";
    static const char *const bad[] = {"{\"v\":1,\"pair\":", "{\"v\":1,\"pair\":2}",
        "{\"v\":1,\"pair\":0,\"step\":\"after\",\"method\":\"\",\"url\":\"\"}",
        "{\"v\":1,\"pair\":1.5,\"step\":\"after\",\"method\":\"\",\"url\":\"\"}",
        "{\"v\":1,\"pair\":1,\"step\":\"under\",\"method\":\"\",\"url\":\"\"}",
        "{\"v\":1,\"pair\":1,\"step\":7,\"method\":\"\",\"url\":\"\"}",
        "{\"v\":1,\"pair\":1,\"step\":\"went\",\"method\":[],\"url\":\"\"}"};
    struct seen seen = {0};
    struct err e = ERR_NONE;
    (void)state;
    assert_true(requests_is_pair(good_step) && !requests_is_pair(batch(good, 1, TEXTS)));
    assert_int_equal(requests_read_pair(good_step, note_pair, &seen, &e), 0);
    assert_string_equal(seen.url, "2 0 GET /x");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        seen.url[0] = '\0';
        assert_int_equal(requests_read_pair(bad[i], note_pair, &seen, &e), ERR_PROTOCOL);
        assert_string_equal(seen.url, "");
    }
}

#define BEAT(routes, floors)                                                                       \
    "{\"v\":1,\"stopped\":\"\",\"failure\":\"\",\"blind\":false,\"begun\":9,\"aborted\":1,"        \
    "\"inFlight\":2,\"dropped\":0,\"passed\":3,\"share\":0.5,\"overhead\":0.04,\"routes\":" routes \
    ",\"floors\":" floors "}"

static void a_beat_is_kept_exactly(void **state)
{
    struct request_beat *beat = NULL;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(
        requests_read_beat(BEAT("[[\"\",\"(other)\",0],[\"GET\",\"/\",7]]",
                               "[[2000000,5000,1000,9000,10,20,[0,5],7],[0,1,1,1,1,1,[0],7]]"),
            10000, &beat, &e),
        0);
    assert_true(beat->passed == 3);
    assert_true(beat->begun == 9 && beat->share == 0.5 && beat->route_count == 2);
    assert_string_equal(beat->routes[1].path, "/");
    assert_true(beat->routes[1].count == 7 && beat->floor_count == 2);
    assert_true(beat->floors[0].wall_ms == 8000 && beat->floors[0].young == 1000 &&
                beat->floors[0].engine == 7);
    assert_true(beat->floors[0].counts[1] == 5 && beat->floors[1].counts[1] == 0);
    requests_beat_free(beat);
}

static void a_beat_that_lies_is_refused(void **state)
{
    static const char *const bad[] = {"", "7", "{\"v\":1}", BEAT("{}", "[]"), BEAT("[[1]]", "[]"),
        BEAT("[[\"GET\",\"/\",-1]]", "[]"), BEAT("[[\"GET\",\"/\",1.5]]", "[]"),
        BEAT("[[\"GET\",\"/\",1]]", "[[0,1,1,1,1,1,[2],7]]"),
        BEAT("[[\"GET\",\"/\",1]]", "[[0,1,1,1,1,1,[1,1],7]]"), BEAT("[]", "[[0,1,1,1,1]]"),
        BEAT("[]", "[[-5,1,1,1,1,1,[],7]]")};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct request_beat *beat = NULL;
        struct err e = ERR_NONE;
        assert_int_equal(requests_read_beat(bad[i], 0, &beat, &e), ERR_PROTOCOL);
        assert_null(beat);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_kept_exactly),
        cmocka_unit_test(a_batch_that_lies_gives_no_row),
        cmocka_unit_test(a_step_of_a_pair_is_kept_exactly_or_refused),
        cmocka_unit_test(a_beat_is_kept_exactly),
        cmocka_unit_test(a_beat_that_lies_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
