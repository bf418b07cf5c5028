/* A file's JSON byte by byte, forward only: for its top level, whose big arrays scan.h reads. */
#ifndef HEAPTAP_HEAP_CURSOR_H
#define HEAPTAP_HEAP_CURSOR_H

#include "heap/inside.h"

#define CURSOR_BLOCK (64u << 10) /* bytes read at a time */

struct cursor {
    const struct source *source; /* borrowed */
    uint64_t at;                 /* offset of the next byte */
    uint64_t start;              /* of the block in memory */
    size_t length;
    uint8_t block[CURSOR_BLOCK];
};

/* A byte, or CURSOR_END, or a failure: below that, one less than its code (cursor_error). */
#define CURSOR_END (-1)
static inline int cursor_error(int byte)
{
    return byte + 1;
}

/* The byte at c->at, which stays. */
int cursor_peek(struct cursor *c, struct err *e) MUST_USE;
/* Skips white space and returns the byte behind it, which stays. */
int cursor_token(struct cursor *c, struct err *e) MUST_USE;

/* From here on 0, ERR_FORMAT, or what reading failed of. */

/* Skips white space and the byte that is wanted. */
int cursor_expect(struct cursor *c, char want, struct err *e) MUST_USE;
/* Skips one JSON value of any kind; it checks brackets and strings, not more. The value's bytes are
 * added to copy, unless that is NULL; beyond its cap they are ERR_FORMAT. */
int cursor_skip(struct cursor *c, struct buf *copy, struct err *e) MUST_USE;

/* Reads a key and the colon behind it. One that no snapshot has (too long, with an escape) is
 * ERR_FORMAT. */
enum { CURSOR_KEY_MAX = 64 };
int cursor_key(struct cursor *c, char key[CURSOR_KEY_MAX], struct err *e) MUST_USE;

#endif
