/* Batches and beats of the requests hook, checked field by field. */
#include "collect/requests_read.h"

#include "cdp/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

/* Numbers of a row, as in requests.js. */
enum {
    ROW_FLAGS,
    ROW_METHOD,
    ROW_URL,
    ROW_ROUTE,
    ROW_ENDED,
    ROW_LASTED,
    ROW_STATUS,
    ROW_FLIGHT,
    ROW_HEAP = ROW_FLIGHT + 2,
    ROW_TOTAL = ROW_HEAP + 2,
    ROW_EXTERNAL = ROW_TOTAL + 2,
    ROW_RSS = ROW_EXTERNAL + 2,
    ROW_NUMBERS = ROW_RSS + 2
};
#define ROW_BYTES    (ROW_NUMBERS * 4)
#define FLAG_ABORTED 1u
#define PAIR_SHIFT   8   /* of the flags, where the number of a pair is */
#define HEAP_UNIT    8.0 /* bytes: a word, so that 32 bits reach 32 GB */
#define RSS_UNIT     1024.0
#define TEXTS_MAX    (3 * REQUESTS_BATCH_ROWS)      /* each row can bring three new ones */
#define AGE_MAX_US   (24 * 3600 * INT64_C(1000000)) /* of a batch in a process that was stopped */
#define WHOLE_MAX    9007199254740992.0             /* 2^53 */
#define DECODED_MAX  (REQUESTS_BATCH_ROWS * ROW_BYTES + 3)
#define ENCODED_MAX  ((DECODED_MAX + 2) / 3 * 4)

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_PROTOCOL, "the requests hook sent something else than %s", what);
}

static int parse(const char *text, const char *what, cJSON **ret, struct err *e)
{
    size_t length = strlen(text);
    if (length > REQUESTS_PAYLOAD_MAX)
        return err_set(e, ERR_PROTOCOL, "the requests hook sent %zu bytes as %s", length, what);
    int rc = json_parse(text, length, ret, e);
    if (rc)
        return err_context(e, "%s of the requests hook", what);
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(*ret, "v");
    if (cJSON_IsNumber(version) && version->valuedouble == 1)
        return 0;
    cJSON_Delete(*ret);
    *ret = NULL;
    return bad(e, what);
}

/* A whole number from 0 to 2^53, -1 for anything else. */
static int64_t whole(const cJSON *item)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= WHOLE_MAX) ||
        floor(item->valuedouble) != item->valuedouble)
        return -1;
    return (int64_t)item->valuedouble;
}

static int64_t whole_in(const cJSON *object, const char *key)
{
    return whole(cJSON_GetObjectItemCaseSensitive(object, key));
}

static const char *text_of(const cJSON *item, size_t max)
{
    const char *text = cJSON_GetStringValue(item);
    return text && strlen(text) <= max ? text : NULL;
}

/* ---- batches ---- */

struct texts {
    const char *items[TEXTS_MAX];
    size_t count;
};

static int read_texts(const cJSON *array, struct texts *texts, struct err *e)
{
    const cJSON *item;
    texts->count = 0;
    if (!cJSON_IsArray(array))
        return bad(e, "a list of texts");
    cJSON_ArrayForEach(item, array)
    {
        const char *text = text_of(item, REQUESTS_TEXT_MAX);
        if (!text || texts->count == TEXTS_MAX)
            return bad(e, "a list of texts");
        texts->items[texts->count++] = text;
    }
    return 0;
}

/* Base64 into bytes; ret_rows: how many whole rows they are. */
static int decode_rows(
    const char *encoded, unsigned char out[DECODED_MAX], size_t *ret, struct err *e)
{
    size_t length = encoded ? strlen(encoded) : 0;
    if (length == 0 || length > ENCODED_MAX || length % 4 != 0)
        return bad(e, "rows");
    int decoded = EVP_DecodeBlock(out, (const unsigned char *)encoded, (int)length);
    for (size_t i = length; i > length - 2 && encoded[i - 1] == '='; i--)
        decoded--; /* the library counts the padding */
    if (decoded <= 0 || decoded % ROW_BYTES != 0 || decoded / ROW_BYTES > REQUESTS_BATCH_ROWS)
        return bad(e, "whole rows");
    *ret = (size_t)decoded / ROW_BYTES;
    return 0;
}

static uint32_t number_at(const unsigned char *row, int index)
{
    const unsigned char *at = row + 4 * index;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool texts_are_there(const unsigned char *row, const struct texts *texts)
{
    return number_at(row, ROW_METHOD) < texts->count && number_at(row, ROW_URL) < texts->count &&
           number_at(row, ROW_ROUTE) < texts->count &&
           strlen(texts->items[number_at(row, ROW_METHOD)]) <= REQUESTS_METHOD_MAX &&
           number_at(row, ROW_STATUS) < 1000;
}

/* sent_ms: the wall clock when the batch's time began, as this host sees it. */
static void hand_out(const unsigned char *bytes, const struct texts *texts, double began_ms,
    request_row_fn fn, void *arg)
{
    double ended_ms = began_ms + number_at(bytes, ROW_ENDED) / 1000.0;
    struct request_row row = {.method = texts->items[number_at(bytes, ROW_METHOD)],
        .url = texts->items[number_at(bytes, ROW_URL)],
        .route = texts->items[number_at(bytes, ROW_ROUTE)],
        .aborted = number_at(bytes, ROW_FLAGS) & FLAG_ABORTED,
        .pair = number_at(bytes, ROW_FLAGS) >> PAIR_SHIFT,
        .duration_ms = number_at(bytes, ROW_LASTED) / 1000.0,
        .status = number_at(bytes, ROW_STATUS)};
    row.wall_ms[0] = (int64_t)(ended_ms - row.duration_ms);
    row.wall_ms[1] = (int64_t)ended_ms;
    for (int i = 0; i < 2; i++) {
        row.in_flight[i] = number_at(bytes, ROW_FLIGHT + i);
        row.heap_used[i] = number_at(bytes, ROW_HEAP + i) * HEAP_UNIT;
        row.heap_total[i] = number_at(bytes, ROW_TOTAL + i) * HEAP_UNIT;
        row.external[i] = number_at(bytes, ROW_EXTERNAL + i) * HEAP_UNIT;
        row.rss[i] = number_at(bytes, ROW_RSS + i) * RSS_UNIT;
    }
    fn(arg, &row);
}

int requests_read_batch(const char *payload, int64_t wall_ms, request_row_fn fn, void *arg,
    size_t *ret_rows, int64_t *ret_dropped, struct err *e)
{
    cJSON *tree = NULL;
    struct texts texts;
    unsigned char bytes[DECODED_MAX];
    size_t count = 0;
    int rc = parse(payload, "a batch", &tree, e);
    if (rc)
        return rc;
    int64_t age_us = whole_in(tree, "age"), dropped = whole_in(tree, "dropped");
    if (age_us < 0 || age_us > AGE_MAX_US || dropped < 0)
        rc = bad(e, "a batch");
    if (rc == 0)
        rc = read_texts(cJSON_GetObjectItemCaseSensitive(tree, "texts"), &texts, e);
    if (rc == 0)
        rc = decode_rows(
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "rows")), bytes, &count, e);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (!texts_are_there(bytes + i * ROW_BYTES, &texts) ||
            number_at(bytes + i * ROW_BYTES, ROW_ENDED) > age_us + 1)
            rc = bad(e, "rows that are possible");
    for (size_t i = 0; rc == 0 && i < count; i++)
        hand_out(bytes + i * ROW_BYTES, &texts, (double)(wall_ms - age_us / 1000), fn, arg);
    if (rc == 0) {
        *ret_rows = count;
        *ret_dropped = dropped;
    }
    cJSON_Delete(tree);
    return rc;
}

/* ---- pairs of snapshots ---- */

bool requests_is_pair(const char *payload)
{
    static const char head[] = "{\"v\":1,\"pair\":";
    return strncmp(payload, head, sizeof head - 1) == 0;
}

int requests_read_pair(const char *payload, request_pair_fn fn, void *arg, struct err *e)
{
    static const char *const steps[] = {"before", "after", "went"};
    cJSON *tree = NULL;
    int rc = parse(payload, "a pair", &tree, e);
    if (rc)
        return rc;
    const char *step = text_of(cJSON_GetObjectItemCaseSensitive(tree, "step"), REQUESTS_METHOD_MAX);
    struct request_pair pair = {.number = whole_in(tree, "pair"),
        .step = REQUEST_BEFORE,
        .method = text_of(cJSON_GetObjectItemCaseSensitive(tree, "method"), REQUESTS_METHOD_MAX),
        .url = text_of(cJSON_GetObjectItemCaseSensitive(tree, "url"), REQUESTS_TEXT_MAX)};
    while (step && pair.step <= REQUEST_WENT && strcmp(steps[pair.step], step) != 0)
        pair.step++;
    if (!step || pair.step > REQUEST_WENT || pair.number <= 0 || !pair.method || !pair.url)
        rc = bad(e, "a pair");
    else
        fn(arg, &pair);
    cJSON_Delete(tree);
    return rc;
}

/* ---- beats ---- */

static int read_routes(const cJSON *array, struct request_beat *beat, struct err *e)
{
    const cJSON *item;
    if (!cJSON_IsArray(array))
        return bad(e, "a list of routes");
    cJSON_ArrayForEach(item, array)
    {
        struct request_route route = {
            .method = text_of(cJSON_GetArrayItem(item, 0), REQUESTS_METHOD_MAX),
            .path = text_of(cJSON_GetArrayItem(item, 1), REQUESTS_TEXT_MAX),
            .count = whole(cJSON_GetArrayItem(item, 2))};
        if (beat->route_count == REQUESTS_ROUTES_MAX || !route.method || !route.path ||
            route.count < 0)
            return bad(e, "a list of routes");
        beat->routes[beat->route_count++] = route;
    }
    return 0;
}

static int read_counts(
    const cJSON *array, const struct request_beat *beat, struct request_floor *floor, struct err *e)
{
    const cJSON *item;
    size_t i = 0;
    if (!cJSON_IsArray(array))
        return bad(e, "counts by route");
    cJSON_ArrayForEach(item, array)
    {
        int64_t count = whole(item);
        if (i == beat->route_count || count < 0 || count > beat->routes[i].count)
            return bad(e, "counts by route");
        floor->counts[i++] = count;
    }
    return 0; /* routes that came later stay 0 */
}

static int read_floors(
    const cJSON *array, int64_t wall_ms, struct request_beat *beat, struct err *e)
{
    enum { AGE, COUNTS = 6, ENGINE };
    const cJSON *item;
    if (!cJSON_IsArray(array))
        return bad(e, "a list of floors");
    cJSON_ArrayForEach(item, array)
    {
        if (beat->floor_count == REQUESTS_FLOORS_MAX)
            return bad(e, "a list of floors");
        struct request_floor *floor = &beat->floors[beat->floor_count];
        int64_t age_us = whole(cJSON_GetArrayItem(item, AGE));
        double *const sizes[] = {
            &floor->heap_used, &floor->young, &floor->heap_total, &floor->external, &floor->rss};
        if (age_us < 0 || age_us > AGE_MAX_US)
            return bad(e, "a list of floors");
        for (int i = 0; i < COUNTS - 1; i++) {
            int64_t bytes = whole(cJSON_GetArrayItem(item, AGE + 1 + i));
            if (bytes < 0)
                return bad(e, "a list of floors");
            *sizes[i] = (double)bytes;
        }
        int64_t engine = whole(cJSON_GetArrayItem(item, ENGINE));
        if (engine < 0)
            return bad(e, "a list of floors");
        floor->engine = (double)engine;
        floor->wall_ms = wall_ms - age_us / 1000;
        int rc = read_counts(cJSON_GetArrayItem(item, COUNTS), beat, floor, e);
        if (rc)
            return rc;
        beat->floor_count++;
    }
    return 0;
}

static int read_figures(struct request_beat *beat, struct err *e)
{
    const cJSON *tree = beat->tree;
    const cJSON *share = cJSON_GetObjectItemCaseSensitive(tree, "share");
    const cJSON *overhead = cJSON_GetObjectItemCaseSensitive(tree, "overhead");
    beat->stopped = text_of(cJSON_GetObjectItemCaseSensitive(tree, "stopped"), REQUESTS_TEXT_MAX);
    beat->failure = text_of(cJSON_GetObjectItemCaseSensitive(tree, "failure"), REQUESTS_TEXT_MAX);
    beat->blind = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "blind"));
    beat->begun = whole_in(tree, "begun");
    beat->aborted = whole_in(tree, "aborted");
    beat->in_flight = whole_in(tree, "inFlight");
    beat->dropped = whole_in(tree, "dropped");
    beat->passed = whole_in(tree, "passed");
    if (!beat->stopped || !beat->failure || beat->begun < 0 || beat->aborted < 0 ||
        beat->in_flight < 0 || beat->dropped < 0 || beat->passed < 0 || !cJSON_IsNumber(share) ||
        !(share->valuedouble >= 0 && share->valuedouble <= 1) || !cJSON_IsNumber(overhead) ||
        !(overhead->valuedouble >= 0))
        return bad(e, "an answer to a beat");
    beat->share = share->valuedouble;
    beat->overhead = overhead->valuedouble;
    return 0;
}

int requests_read_beat(const char *text, int64_t wall_ms, struct request_beat **ret, struct err *e)
{
    struct request_beat *beat = calloc(1, sizeof *beat);
    if (!beat)
        return err_set(e, ERR_NOMEM, "out of memory");
    int rc = parse(text, "an answer to a beat", &beat->tree, e);
    if (rc == 0)
        rc = read_figures(beat, e);
    if (rc == 0)
        rc = read_routes(cJSON_GetObjectItemCaseSensitive(beat->tree, "routes"), beat, e);
    if (rc == 0)
        rc = read_floors(cJSON_GetObjectItemCaseSensitive(beat->tree, "floors"), wall_ms, beat, e);
    if (rc == 0)
        *ret = beat;
    else
        requests_beat_free(beat);
    return rc;
}

void requests_beat_free(struct request_beat *beat)
{
    if (!beat)
        return;
    cJSON_Delete(beat->tree);
    free(beat);
}
