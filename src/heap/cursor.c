/* A file's JSON byte by byte. */
#include "heap/cursor.h"

int cursor_peek(struct cursor *c, struct err *e)
{
    if (c->at >= c->start && c->at - c->start < c->length)
        return c->block[c->at - c->start];
    if (c->at >= c->source->size)
        return CURSOR_END;
    uint64_t left = c->source->size - c->at;
    size_t length = left < CURSOR_BLOCK ? (size_t)left : CURSOR_BLOCK;
    int r = source_read(c->source, c->block, length, c->at, e);
    if (r < 0)
        return CURSOR_END + r;
    c->start = c->at;
    c->length = length;
    return c->block[0];
}

int cursor_token(struct cursor *c, struct err *e)
{
    for (;;) {
        int b = cursor_peek(c, e);
        if (b != ' ' && b != '\n' && b != '\r' && b != '\t')
            return b;
        c->at++;
    }
}

/* Why there is no byte, as an error. */
static int no_byte(const struct cursor *c, int byte, struct err *e)
{
    if (byte < CURSOR_END)
        return cursor_error(byte);
    return source_bad(c->source, c->source->size, e, "the file ends too early: it is truncated");
}

int cursor_expect(struct cursor *c, char want, struct err *e)
{
    int b = cursor_token(c, e);
    if (b < 0)
        return no_byte(c, b, e);
    if (b != want)
        return source_bad(c->source, c->at, e, "expected '%c'", want);
    c->at++;
    return 0;
}

/* Takes a byte that was peeked at. */
static int take(struct cursor *c, int byte, struct buf *copy, struct err *e)
{
    char text = (char)byte;
    c->at++;
    if (copy && buf_add(copy, &text, 1) < 0)
        return source_bad(c->source, c->at, e, "the \"snapshot\" object is too large");
    return 0;
}

/* Takes what is left of a string whose opening quote was taken. */
static int skip_string(struct cursor *c, struct buf *copy, struct err *e)
{
    bool escaped = false;
    for (;;) {
        int b = cursor_peek(c, e);
        if (b < 0)
            return no_byte(c, b, e);
        int r = take(c, b, copy, e);
        if (r < 0 || (b == '"' && !escaped))
            return r;
        escaped = b == '\\' && !escaped;
    }
}

int cursor_skip(struct cursor *c, struct buf *copy, struct err *e)
{
    uint64_t depth = 0; /* a count in place of recursion */
    bool any = false;
    int b = cursor_token(c, e);
    for (;; b = cursor_peek(c, e)) {
        if (b < 0)
            return no_byte(c, b, e);
        if (depth == 0 && any && (b == ',' || b == '}' || b == ']'))
            return 0;
        int r = take(c, b, copy, e);
        if (r == 0 && b == '"')
            r = skip_string(c, copy, e);
        if (r < 0)
            return r;
        any = true;
        if (b == '{' || b == '[') {
            depth++;
        } else if (b == '}' || b == ']') {
            if (depth == 0)
                return source_bad(c->source, c->at - 1, e, "a bracket too many");
            if (--depth == 0)
                return 0;
        }
    }
}

int cursor_key(struct cursor *c, char key[CURSOR_KEY_MAX], struct err *e)
{
    int r = cursor_expect(c, '"', e);
    if (r < 0)
        return r;
    size_t length = 0;
    for (;;) {
        int b = cursor_peek(c, e);
        if (b < 0)
            return no_byte(c, b, e);
        c->at++;
        if (b == '"')
            break;
        if (b == '\\' || b < ' ' || length + 1 >= CURSOR_KEY_MAX)
            return source_bad(c->source, c->at - 1, e, "a key that no snapshot has");
        key[length++] = (char)b;
    }
    key[length] = '\0';
    return cursor_expect(c, ':', e);
}
