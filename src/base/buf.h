/* A growable byte buffer that cannot be made without a cap. */
#ifndef HEAPTAP_BASE_BUF_H
#define HEAPTAP_BASE_BUF_H

#include "base/err.h"

#include <stddef.h>

struct buf {
    char *data;      /* owned; NUL-terminated after buf_add* so that text can be read as a string */
    size_t length;   /* bytes in use, without that NUL */
    size_t capacity; /* bytes allocated */
    size_t max;      /* length may never pass this */
};

/* Starts an empty buffer of at most max bytes; allocates nothing. */
struct buf buf_new(size_t max);
void buf_free(struct buf *b);  /* safe on an empty or freed buffer */
void buf_clear(struct buf *b); /* length 0, memory kept */

/* Each returns 0, ERR_FULL past the cap or ERR_NOMEM; on failure the contents are unchanged. */
int buf_reserve(struct buf *b, size_t more) MUST_USE; /* room for `more` bytes behind length */
int buf_add(struct buf *b, const void *bytes, size_t count) MUST_USE;
int buf_add_text(struct buf *b, const char *text) MUST_USE;
int buf_addf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3) MUST_USE;

/* Text put together of many pieces: the first failure stays in rc and is asked for once, at the
 * end. */
struct words {
    struct buf b;
    int rc; /* 0, ERR_FULL or ERR_NOMEM; later pieces are dropped */
};
void words_add(struct words *w, const char *format, ...) PRINTF_LIKE(2, 3);

/* Hands the memory to the caller (free it with free) and leaves b empty; "" if it was empty.
 * NULL only when memory is out. */
char *buf_take(struct buf *b);

#endif
