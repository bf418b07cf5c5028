/* A growable byte buffer that cannot be made without a cap. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

struct buf buf_new(size_t max)
{
    return (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    if (!b)
        return;
    free(b->data);
    b->data = NULL;
    b->length = b->capacity = 0;
}

void buf_clear(struct buf *b)
{
    b->length = 0;
    if (b->data)
        b->data[0] = '\0';
}

int buf_reserve(struct buf *b, size_t more)
{
    if (b->max - b->length < more)
        return ERR_FULL;
    size_t need = b->length + more + 1;
    if (need <= b->capacity)
        return 0;
    size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
    while (capacity < need)
        capacity += capacity / 2;
    if (capacity > b->max + 1)
        capacity = b->max + 1;
    char *data = realloc(b->data, capacity);
    if (!data)
        return ERR_NOMEM;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

int buf_add(struct buf *b, const void *bytes, size_t count)
{
    int rc = buf_reserve(b, count);
    if (rc)
        return rc;
    if (count)
        memcpy(b->data + b->length, bytes, count);
    b->length += count;
    b->data[b->length] = '\0';
    return 0;
}

int buf_add_text(struct buf *b, const char *text)
{
    return buf_add(b, text, strlen(text));
}

static int add_formatted(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    int rc = length < 0 ? ERR_INTERNAL : buf_reserve(b, (size_t)length);
    if (!rc) {
        vsnprintf(b->data + b->length, (size_t)length + 1, format, again);
        b->length += (size_t)length;
    }
    va_end(again);
    return rc;
}

int buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = add_formatted(b, format, args);
    va_end(args);
    return rc;
}

void words_add(struct words *w, const char *format, ...)
{
    va_list args;
    if (w->rc)
        return;
    va_start(args, format);
    w->rc = add_formatted(&w->b, format, args);
    va_end(args);
}

char *buf_take(struct buf *b)
{
    char *data = b->data ? b->data : calloc(1, 1);
    b->data = NULL;
    b->length = b->capacity = 0;
    return data;
}
