/* Batches and beats of the requests hook, checked field by field. */
#include "collect/requests_read.h"

#include "cdp/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the format that request_rows.js describes. */
enum {
    DIFFERS_KIND = 1,
    DIFFERS_EXTERNAL = 2,
    DIFFERS_FLIGHT = 4,
    DIFFERS_HEAP = 8,
    DIFFERS_OTHER = 16,
    DIFFERS_SPECIAL = 32,
    DIFFERS_MAX = 63
};
#define LAST        '0' /* a number's last character, plus its bits */
#define MORE        '_' /* the others before it */
#define BITS        5
#define NUMBER_BITS 35
#define VALUE_MAX   UINT32_MAX
#define HEAP_UNIT   8.0 /* bytes: a word, so that 32 bits reach 32 GB */
#define RSS_UNIT    1024.0
#define TEXTS_MAX   (3 * REQUESTS_BATCH_ROWS)      /* each row can bring three new ones */
#define AGE_MAX_US  (24 * 3600 * INT64_C(1000000)) /* of a batch in a process that was stopped */
#define WHOLE_MAX   9007199254740992.0             /* 2^53 */

static int bad(struct err *e, const char *what)
{
    return err_set(e, ERR_PROTOCOL, "the requests hook sent something else than %s", what);
}

static int parse(const char *text, const char *what, int version, cJSON **ret, struct err *e)
{
    size_t length = strlen(text);
    if (length > REQUESTS_PAYLOAD_MAX)
        return err_set(e, ERR_PROTOCOL, "the requests hook sent %zu bytes as %s", length, what);
    int rc = json_parse(text, length, ret, e);
    if (rc)
        return err_context(e, "%s of the requests hook", what);
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(*ret, "v");
    if (cJSON_IsNumber(v) && v->valuedouble == version)
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

/* The rows' characters, read from left to right. Once a number was none, all that follow are 0. */
struct reader {
    const unsigned char *at; /* up to a '\0' */
    bool broken;
};

static uint64_t next_number(struct reader *in)
{
    uint64_t value = 0;
    for (int shift = 0; !in->broken && shift < NUMBER_BITS; shift += BITS) {
        unsigned c = *in->at;
        bool more = c >= MORE;
        unsigned bits = c - (more ? MORE : LAST);
        if (bits >= 1u << BITS) /* another character, or the end */
            break;
        in->at++;
        value |= (uint64_t)bits << shift;
        if (!more)
            return value;
    }
    in->broken = true;
    return 0;
}

static uint32_t next_value(struct reader *in)
{
    uint64_t value = next_number(in);
    in->broken |= value > VALUE_MAX;
    return (uint32_t)value;
}

/* A value that is told by its difference to another one. */
static uint32_t next_from(struct reader *in, uint32_t before)
{
    uint64_t number = next_number(in);
    int64_t size = (int64_t)(number >> 1);
    int64_t value = (int64_t)before + (number & 1 ? -size : size);
    in->broken |= value < 0 || value > VALUE_MAX;
    return (uint32_t)value;
}

/* A row as it is sent, and what stays for the one behind it. */
struct raw {
    uint32_t method, url, route, status; /* the first three: indices of texts */
    bool aborted;
    uint32_t pair;
    uint32_t ended_us, lasted_us;
    uint32_t flight[2], heap[2], total[2], external[2], rss[2];
};

static void next_sides(struct reader *in, uint32_t sides[2])
{
    sides[0] = next_from(in, sides[1]);
    sides[1] = next_from(in, sides[0]);
}

static void next_row(struct reader *in, struct raw *row)
{
    uint64_t differs = next_number(in);
    in->broken |= differs > DIFFERS_MAX;
    uint64_t special = differs & DIFFERS_SPECIAL ? next_number(in) : 0;
    in->broken |= special >> 1 > VALUE_MAX;
    row->aborted = special & 1;
    row->pair = (uint32_t)(special >> 1);
    if (differs & DIFFERS_KIND) {
        row->method = next_value(in);
        row->url = next_value(in);
        row->route = next_value(in);
        row->status = next_value(in);
    }
    row->ended_us = next_from(in, row->ended_us);
    row->lasted_us = next_value(in);
    for (int i = 0; i < 2; i++)
        row->flight[i] = differs & DIFFERS_FLIGHT ? next_value(in) : 1;
    row->heap[0] = differs & DIFFERS_HEAP ? next_from(in, row->heap[1]) : row->heap[1];
    row->heap[1] = next_from(in, row->heap[0]);
    row->external[0] = row->external[1];
    row->total[0] = row->total[1];
    row->rss[0] = row->rss[1];
    if (differs & DIFFERS_EXTERNAL)
        next_sides(in, row->external);
    if (differs & DIFFERS_OTHER) {
        next_sides(in, row->total);
        next_sides(in, row->rss);
    }
}

static bool is_possible(const struct raw *row, const struct texts *texts, int64_t age_us)
{
    return row->method < texts->count && row->url < texts->count && row->route < texts->count &&
           strlen(texts->items[row->method]) <= REQUESTS_METHOD_MAX && row->status < 1000 &&
           row->ended_us <= age_us + 1;
}

/* All rows, before one of them is handed out. */
static int check_rows(
    const char *rows, int64_t count, const struct texts *texts, int64_t age_us, struct err *e)
{
    struct reader in = {.at = (const unsigned char *)rows};
    struct raw row = {0};
    if (!rows || count <= 0 || count > REQUESTS_BATCH_ROWS)
        return bad(e, "rows");
    for (int64_t i = 0; i < count; i++) {
        next_row(&in, &row);
        if (in.broken)
            return bad(e, "whole rows");
        if (!is_possible(&row, texts, age_us))
            return bad(e, "rows that are possible");
    }
    return *in.at == '\0' ? 0 : bad(e, "whole rows");
}

/* began_ms: the wall clock when the batch's time began, as this host sees it. */
static void hand_out(
    const struct raw *raw, const struct texts *texts, double began_ms, request_row_fn fn, void *arg)
{
    double ended_ms = began_ms + raw->ended_us / 1000.0;
    struct request_row row = {.method = texts->items[raw->method],
        .url = texts->items[raw->url],
        .route = texts->items[raw->route],
        .aborted = raw->aborted,
        .pair = raw->pair,
        .duration_ms = raw->lasted_us / 1000.0,
        .status = raw->status};
    row.wall_ms[0] = (int64_t)(ended_ms - row.duration_ms);
    row.wall_ms[1] = (int64_t)ended_ms;
    for (int i = 0; i < 2; i++) {
        row.in_flight[i] = raw->flight[i];
        row.heap_used[i] = raw->heap[i] * HEAP_UNIT;
        row.heap_total[i] = raw->total[i] * HEAP_UNIT;
        row.external[i] = raw->external[i] * HEAP_UNIT;
        row.rss[i] = raw->rss[i] * RSS_UNIT;
    }
    fn(arg, &row);
}

int requests_read_batch(const char *payload, int64_t wall_ms, request_row_fn fn, void *arg,
    size_t *ret_rows, int64_t *ret_dropped, struct err *e)
{
    cJSON *tree = NULL;
    struct texts texts;
    int rc = parse(payload, "a batch", 2, &tree, e);
    if (rc)
        return rc;
    const char *rows = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "rows"));
    int64_t age_us = whole_in(tree, "age"), dropped = whole_in(tree, "dropped");
    int64_t count = whole_in(tree, "count");
    if (age_us < 0 || age_us > AGE_MAX_US || dropped < 0)
        rc = bad(e, "a batch");
    if (rc == 0)
        rc = read_texts(cJSON_GetObjectItemCaseSensitive(tree, "texts"), &texts, e);
    if (rc == 0)
        rc = check_rows(rows, count, &texts, age_us, e);
    if (rc == 0) {
        struct reader in = {.at = (const unsigned char *)rows};
        struct raw row = {0};
        for (int64_t i = 0; i < count; i++) {
            next_row(&in, &row);
            hand_out(&row, &texts, (double)(wall_ms - age_us / 1000), fn, arg);
        }
        *ret_rows = (size_t)count;
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
    int rc = parse(payload, "a pair", 1, &tree, e);
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
    beat->over_ms = whole_in(tree, "over");
    beat->begun = whole_in(tree, "begun");
    beat->aborted = whole_in(tree, "aborted");
    beat->in_flight = whole_in(tree, "inFlight");
    beat->dropped = whole_in(tree, "dropped");
    beat->passed = whole_in(tree, "passed");
    beat->held = whole_in(tree, "held");
    if (!beat->stopped || !beat->failure || beat->over_ms < 0 || beat->begun < 0 ||
        beat->aborted < 0 || beat->in_flight < 0 || beat->dropped < 0 || beat->passed < 0 ||
        beat->held < 0 || !cJSON_IsNumber(share) ||
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
    int rc = parse(text, "an answer to a beat", 1, &beat->tree, e);
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
