/* Any bytes as what a server sends, in pieces of any size: the answer to the upgrade, then frames.
 */
#include "cdp/frame.h"
#include "cdp/handshake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 4096

/* Reads all frames in pieces of `step` bytes and sums up what came, so that two runs can be
 * compared. */
static uint64_t read_frames(const uint8_t *data, size_t size, size_t step)
{
    struct frame_reader *r = NULL;
    uint64_t sum = 5381;
    if (frame_reader_new(MESSAGE_MAX, &r, NULL))
        return 0;
    int rc = 0;
    for (size_t at = 0; !rc && at < size; at += step) {
        size_t left = size - at < step ? size - at : step;
        char *piece = malloc(left), *next = piece;
        memcpy(piece, data + at, left);
        enum frame_event event = FRAME_TEXT;
        while (!rc && event != FRAME_MORE) {
            const char *text = NULL;
            size_t length = 0, used = 0;
            rc = frame_read(r, next, left, &used, &event, &text, &length, NULL);
            assert(used <= left);
            if (rc || event == FRAME_MORE)
                break;
            next += used;
            left -= used;
            assert(length <= (event == FRAME_TEXT ? MESSAGE_MAX : FRAME_CONTROL_MAX));
            sum = sum * 33 + (uint64_t)event;
            for (size_t i = 0; i < length; i++)
                sum = sum * 33 + (uint8_t)text[i];
            if (event == FRAME_CLOSE)
                sum = sum * 33 + frame_close_code(text, length);
        }
        free(piece);
    }
    frame_reader_free(r);
    return sum * 33 + (uint64_t)(rc != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t step = 1 + data[0] % 64, used = 0;
    uint64_t whole = read_frames(data + 1, size - 1, size);
    assert(read_frames(data + 1, size - 1, step) == whole);
    char *head = malloc(size);
    memcpy(head, data + 1, size - 1);
    head = realloc(head, size - 1 ? size - 1 : 1);
    int rc = handshake_read(head, size - 1, "dGhlIHNhbXBsZSBub25jZQ==", &used, NULL);
    assert(rc || used <= size - 1);
    free(head);
    return 0;
}
