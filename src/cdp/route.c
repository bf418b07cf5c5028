/* Where a message goes, by its first bytes. V8 writes its messages in one way only, so a fixed
 * prefix is enough; a message that is written otherwise is parsed, and handled all the same. */
#include "cdp/route.h"

#include <string.h>

static const char chunk_start[] =
    "{\"method\":\"HeapProfiler.addHeapSnapshotChunk\",\"params\":{\"chunk\":\"";
static const char worker_start[] =
    "{\"method\":\"NodeWorker.receivedMessageFromWorker\",\"params\":{\"sessionId\":\"";
static const char worker_middle[] = "\",\"message\":\"";
static const char text_end[] = "\"}}";

#define LENGTH(text) (sizeof(text) - 1)

static bool starts_with(const char *text, size_t length, const char *start, size_t start_length)
{
    return length >= start_length && memcmp(text, start, start_length) == 0;
}

struct route route_message(const char *message, size_t length)
{
    const struct route parse = {.kind = ROUTE_JSON};
    if (length < LENGTH(text_end) ||
        memcmp(message + length - LENGTH(text_end), text_end, LENGTH(text_end)) != 0)
        return parse;
    const char *end = message + length - LENGTH(text_end);
    if (starts_with(message, length, chunk_start, LENGTH(chunk_start))) {
        const char *text = message + LENGTH(chunk_start);
        if (text > end)
            return parse;
        return (struct route){.kind = ROUTE_CHUNK, .text = text, .length = (size_t)(end - text)};
    }
    if (!starts_with(message, length, worker_start, LENGTH(worker_start)))
        return parse;
    const char *id = message + LENGTH(worker_start);
    size_t left = (size_t)(message + length - id);
    const char *id_end = memchr(id, '"', left);
    if (!id_end || memchr(id, '\\', (size_t)(id_end - id)))
        return parse;
    left -= (size_t)(id_end - id);
    const char *text = id_end + LENGTH(worker_middle);
    if (!starts_with(id_end, left, worker_middle, LENGTH(worker_middle)) || text > end)
        return parse;
    return (struct route){.kind = ROUTE_WORKER,
        .text = text,
        .length = (size_t)(end - text),
        .session_id = id,
        .session_id_length = (size_t)(id_end - id)};
}
