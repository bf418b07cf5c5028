/* Any bytes, split anywhere, by any scanner: the same verdict, and no crash. The first two bytes
 * choose the split. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "heap/whole.h"
#include "heap/whole_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(const uint8_t *data, size_t size, size_t step, const struct whole_scanner *scanner,
    struct whole_result *r, struct err *e)
{
    struct whole *w = whole_new();
    assert(w);
    whole_set_scanner(w, scanner);
    for (size_t i = 0; i < size; i += step) {
        size_t count = size - i < step ? size - i : step;
        uint8_t *piece = malloc(count); /* so that reading past its end is seen */
        assert(piece);
        memcpy(piece, data + i, count);
        int rc = whole_feed(w, piece, count, e);
        free(piece);
        if (rc != 0)
            break;
    }
    int rc = whole_finish(w, r, e);
    whole_free(w);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct whole_result whole, split;
    struct err whole_error = ERR_NONE, split_error = ERR_NONE;
    if (size < 2)
        return 0;
    size_t step = 1 + (size_t)(data[0] | (data[1] & 0x3) << 8);
    data += 2;
    size -= 2;
    int a = check(data, size, size + 1, whole_scanner_best(), &whole, &whole_error);
    int b = check(data, size, step, &whole_scanner_scalar, &split, &split_error);
    assert(a == b);
    assert(whole.verdict == split.verdict && whole.kind == split.kind);
    assert(whole.position == split.position && whole.bytes == split.bytes);
    assert(whole.nodes == split.nodes && whole.edges == split.edges);
    assert(whole.strings == split.strings && whole.samples == split.samples);
    assert(strcmp(whole_error.text, split_error.text) == 0);
    assert((a == 0) == (whole.verdict == WHOLE_OK));
    return 0;
}
