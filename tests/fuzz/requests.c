/* Any text as what the requests hook sends: refused with a reason, or rows and counts within
 * bounds. */
#include "collect/requests_read.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(void *arg, const struct request_row *row)
{
    size_t *rows = arg;
    ++*rows;
    assert(strlen(row->method) <= REQUESTS_METHOD_MAX && strlen(row->url) <= REQUESTS_TEXT_MAX &&
           strlen(row->route) <= REQUESTS_TEXT_MAX);
    assert(row->status >= 0 && row->status < 1000 && row->pair >= 0 && row->duration_ms >= 0);
    for (int i = 0; i < 2; i++)
        assert(row->heap_used[i] >= 0 && row->heap_total[i] >= 0 && row->external[i] >= 0 &&
               row->rss[i] >= 0 && row->in_flight[i] >= 0);
}

static void check_pair(void *arg, const struct request_pair *pair)
{
    (void)arg;
    assert(pair->number > 0 && pair->method && pair->url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    struct err e = ERR_NONE, e2 = ERR_NONE, e3 = ERR_NONE;
    size_t handed = 0, rows = 0;
    int64_t dropped = 0;
    int rc = requests_read_batch(text, 1000000, check_row, &handed, &rows, &dropped, &e);
    assert(rc ? !handed && e.text[0] : handed == rows && rows && dropped >= 0);
    rc = requests_read_pair(text, check_pair, NULL, &e2);
    assert(rc == 0 || e2.text[0]);
    struct request_beat *beat = NULL;
    rc = requests_read_beat(text, 1000000, &beat, &e3);
    assert(rc ? !beat && e3.text[0] : beat->route_count <= REQUESTS_ROUTES_MAX && beat->held >= 0);
    requests_beat_free(beat);
    free(text);
    return 0;
}
