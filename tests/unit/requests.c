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

/* A number as request_rows.js writes it. */
static void add_number(char *out, uint64_t number)
{
    size_t at = strlen(out);
    for (; number > 31; number >>= 5)
        out[at++] = (char)(95 + (number & 31));
    out[at++] = (char)(48 + number);
    out[at] = '\0';
}

/* Differences. */
#define UP(number)   (2 * (uint64_t)(number))
#define DOWN(number) (2 * (uint64_t)(number) + 1)

static char *batch_of(const char *rows, int count, const char *texts)
{
    static char payload[65536];
    snprintf(payload, sizeof payload,
        "{\"v\":2,\"age\":5000,\"dropped\":3,\"count\":%d,\"texts\":%s,\"rows\":\"%s\"}", count,
        texts, rows);
    return payload;
}

static char *batch(const uint64_t *numbers, size_t count, int rows, const char *texts)
{
    char encoded[1024] = "";
    for (size_t i = 0; i < count; i++)
        add_number(encoded, numbers[i]);
    return batch_of(encoded, rows, texts);
}

/* What differs; method, URL, route, status; ended, lasted; in flight; heap; external; the heap's
 * whole size and RSS: all there is. */
static const uint64_t full[] = {1 + 2 + 4 + 8 + 16, 0, 1, 2, 200, UP(4000), 2500, 1, 2, UP(1000),
    UP(1), UP(30), UP(1), UP(2000), UP(1), UP(4096), UP(1)};
/* Behind it, one that differs in nothing, and one that is aborted, with the pair 7, and has less.
 */
static const uint64_t plain[] = {0, UP(500), 1000, UP(100)};
static const uint64_t special[] = {
    1 + 8 + 32, 15, 0, 1, 2, 499, DOWN(500), 0, DOWN(101), DOWN(1000)};
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ALL_MAX      (COUNT(full) + COUNT(plain) + COUNT(special))
#define TEXTS        "[\"GET\",\"/products/17\",\"/products/:n\"]"

/* The first rows of the three. */
static char *good(int rows)
{
    uint64_t all[ALL_MAX];
    size_t count = COUNT(full);
    memcpy(all, full, sizeof full);
    memcpy(all + count, plain, sizeof plain);
    memcpy(all + count + COUNT(plain), special, sizeof special);
    count += (rows > 1 ? COUNT(plain) : 0) + (rows > 2 ? COUNT(special) : 0);
    return batch(all, count, rows, TEXTS);
}

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
    assert_int_equal(read(good(1), &seen), 0);
    assert_string_equal(seen.url, "GET /products/17 /products/:n");
    assert_true(seen.last.wall_ms[1] == 999999 && seen.last.wall_ms[0] == 999996);
    assert_true(seen.last.duration_ms == 2.5 && seen.last.status == 200 && !seen.last.aborted);
    assert_true(seen.last.in_flight[0] == 1 && seen.last.in_flight[1] == 2);
    assert_true(seen.last.heap_used[0] == 8000 && seen.last.heap_used[1] == 8008);
    assert_true(seen.last.heap_total[0] == 16000 && seen.last.heap_total[1] == 16008);
    assert_true(seen.last.external[1] == 248 && seen.last.rss[1] == 4097 * 1024.0);
    assert_true(seen.last.pair == 0);
    assert_int_equal(read(good(2), &seen), 0);
    assert_string_equal(seen.url, "GET /products/17 /products/:n");
    assert_true(seen.last.wall_ms[1] == 999999 && seen.last.duration_ms == 1);
    assert_true(seen.last.in_flight[0] == 1 && seen.last.in_flight[1] == 1);
    assert_true(seen.last.heap_used[0] == 8008 && seen.last.heap_used[1] == 8808);
    assert_true(seen.last.external[0] == 248 && seen.last.heap_total[0] == 16008);
    assert_int_equal(read(good(3), &seen), 0);
    assert_true(seen.last.aborted && seen.last.pair == 7 && seen.last.status == 499);
    assert_true(seen.last.heap_used[0] == 8000 && seen.last.heap_used[1] == 0);
    assert_true(seen.last.duration_ms == 0 && seen.last.rss[0] == 4097 * 1024.0);
}

static void the_largest_numbers_are_kept_exactly(void **state)
{
    const uint64_t most = UINT32_MAX;
    const uint64_t numbers[] = {1 + 8 + 32, 2 * most, 0, 1, 2, 999, 0, most, UP(most), 0, /* */ 8,
        0, most, DOWN(most), UP(most)};
    struct seen seen;
    (void)state;
    assert_int_equal(read(batch(numbers, COUNT(numbers), 2, TEXTS), &seen), 0);
    assert_true(seen.last.heap_used[0] == 0 && seen.last.heap_used[1] == 8 * 4294967295.0);
    assert_true(seen.last.duration_ms == 4294967.295 && seen.last.status == 999);
}

static void refused(const char *payload)
{
    struct seen seen;
    assert_int_equal(read(payload, &seen), ERR_PROTOCOL);
    assert_int_equal(seen.rows, 0);
}

static void a_batch_that_lies_gives_no_row(void **state)
{
    uint64_t bad[COUNT(full)];
    static const struct {
        int at;
        uint64_t value;
    } lies[] = {{0, 64}, {0, UINT32_MAX}, {1, 3}, {2, 4000000000u}, {3, 3}, {4, 1000},
        {5, UP(6000)}, {5, DOWN(1)}, {6, (uint64_t)UINT32_MAX + 1}, {7, UINT64_C(1) << 34},
        {9, DOWN(1)}, {9, UP((uint64_t)UINT32_MAX + 1)}, {10, DOWN(1001)}, {11, DOWN(1)},
        {13, UP(UINT32_MAX)}, {15, DOWN(2)}, {16, UINT64_C(1) << 35}};
    static const char *const payloads[] = {"", "{}", "[]", "{\"v\":1}", "{\"v\":2}",
        "{\"v\":2,\"age\":-1,\"dropped\":0,\"count\":1,\"texts\":[],\"rows\":\"0000\"}",
        "{\"v\":2,\"age\":1e300,\"dropped\":0,\"count\":1,\"texts\":[],\"rows\":\"0000\"}",
        "{\"v\":2,\"age\":1,\"dropped\":0,\"count\":1,\"texts\":[1],\"rows\":\"0000\"}",
        "{\"v\":2,\"age\":1,\"dropped\":0,\"count\":1,\"texts\":[],\"rows\":\"0000\"}",
        "{\"v\":2,\"age\":1,\"dropped\":0,\"count\":1,\"texts\":[\"GET\"],\"rows\":7}",
        "{\"v\":2,\"age\":1,\"dropped\":0,\"count\":1,\"texts\":[\"GET\"]}"};
    static const char *const rows[] = {"", "0", "000", "00000", "====", "000/", "000P", "000\x7f",
        "000\xc3\xa4", "000\\u0000", "_______0000"};
    (void)state;
    refused(batch(full, COUNT(full), 2, TEXTS));
    refused(batch(full, COUNT(full), 0, TEXTS));
    refused(batch(full, COUNT(full), -1, TEXTS));
    refused(batch(full, COUNT(full), REQUESTS_BATCH_ROWS + 1, TEXTS));
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        memcpy(bad, full, sizeof bad);
        bad[lies[i].at] = lies[i].value;
        refused(batch(bad, COUNT(bad), 1, TEXTS));
    }
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        refused(payloads[i]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(batch_of(rows[i], 1, TEXTS));
    char *cut = good(3);
    for (size_t length = strlen(cut); length-- > 0;) {
        cut[length] = '\0';
        refused(cut);
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
    assert_true(requests_is_pair(good_step) && !requests_is_pair(good(1)));
    assert_int_equal(requests_read_pair(good_step, note_pair, &seen, &e), 0);
    assert_string_equal(seen.url, "2 0 GET /x");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        seen.url[0] = '\0';
        assert_int_equal(requests_read_pair(bad[i], note_pair, &seen, &e), ERR_PROTOCOL);
        assert_string_equal(seen.url, "");
    }
}

#define BEAT(routes, floors)                                                                       \
    "{\"v\":1,\"stopped\":\"\",\"over\":0,\"failure\":\"\",\"blind\":false,\"begun\":9,"           \
    "\"aborted\":1,"                                                                               \
    "\"inFlight\":2,\"dropped\":0,\"passed\":3,\"held\":77,\"share\":0.5,\"overhead\":0.04,"       \
    "\"routes\":" routes ",\"floors\":" floors "}"

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
    assert_true(beat->passed == 3 && beat->held == 77);
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
        cmocka_unit_test(the_largest_numbers_are_kept_exactly),
        cmocka_unit_test(a_batch_that_lies_gives_no_row),
        cmocka_unit_test(a_step_of_a_pair_is_kept_exactly_or_refused),
        cmocka_unit_test(a_beat_is_kept_exactly),
        cmocka_unit_test(a_beat_that_lies_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
