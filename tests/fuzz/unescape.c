/* Any bytes as the text of a JSON string: all ways and all rooms give the same bytes or the same
 * error, and never more bytes than went in. */
#include "cdp/unescape.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the length, or -1 - position of the error. */
static int64_t decode(enum unescape_way way, const char *in, size_t length, size_t room, char *out)
{
    char *piece = malloc(room);
    struct err e = ERR_NONE;
    size_t at = 0, total = 0;
    int rc = 0;
    while (at < length && !rc) {
        size_t used = 0, made = 0;
        rc = unescape_by(way, in + at, length - at, piece, room, &used, &made, &e);
        if (rc)
            break;
        assert(used > 0 && made <= used && made <= room);
        memcpy(out + total, piece, made);
        at += used;
        total += made;
    }
    free(piece);
    return rc ? -1 - (int64_t)at - e.position : (int64_t)total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t room = UNESCAPE_MIN_ROOM + data[0] % 100, length = size - 1;
    char *in = malloc(length + 1), *first = malloc(length + 1), *other = malloc(length + 1);
    memcpy(in, data + 1, length);
    in = realloc(in, length ? length : 1); /* exact, so that a byte too far is seen */
    int64_t expected = decode(UNESCAPE_SCALAR, in, length, length + UNESCAPE_MIN_ROOM, first);
    for (int way = UNESCAPE_SCALAR; way <= UNESCAPE_AVX2; way++) {
        if (!unescape_way_exists((enum unescape_way)way))
            continue;
        int64_t got = decode((enum unescape_way)way, in, length, room, other);
        assert(got == expected);
        assert(got < 0 || memcmp(first, other, (size_t)got) == 0);
    }
    free(in);
    free(first);
    free(other);
    return 0;
}
