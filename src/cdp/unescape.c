/* The text of a JSON string: escapes to bytes.
 *
 * Each way is the same loop around a different step: copy a block, and look in it for the first
 * byte that is not plain (quote, backslash, control character). Blocks are stored whole before it
 * is known how much of them counts; what lies behind that is overwritten by what comes next. */
#include "cdp/unescape.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

struct window {
    const char *in, *in_end;
    char *out, *out_end;
};

static bool is_plain(char c)
{
    return c != '"' && c != '\\' && (unsigned char)c >= 0x20;
}

/* What stands behind the backslash of a two-byte escape; 0: there is no such escape. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
    }
}

/* XXXX of \uXXXX; -1 if it is cut off or not hexadecimal. */
static int32_t read_unit(const char *in, const char *in_end)
{
    if (in_end - in < 6 || in[0] != '\\' || in[1] != 'u')
        return -1;
    int32_t unit = 0;
    for (int i = 2; i < 6; i++) {
        char c = in[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Takes the \uXXXX, or two, at w->in. */
static int unicode_escape(struct window *w, struct err *e)
{
    int32_t unit = read_unit(w->in, w->in_end);
    if (unit < 0)
        return err_set(e, ERR_PROTOCOL, "a \\u escape is cut off or not hexadecimal");
    uint32_t c = (uint32_t)unit;
    size_t used = 6;
    if (c >= 0xd800 && c <= 0xdfff) {
        int32_t low = c <= 0xdbff ? read_unit(w->in + 6, w->in_end) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return err_set(e, ERR_PROTOCOL, "\\u%04x stands without its other half", c);
        c = 0x10000 + ((c - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
        used = 12;
    }
    w->in += used;
    w->out += put_utf8(w->out, c);
    return 0;
}

/* Takes what stands at w->in and is not plain; there is input, and room for a character. */
static int special(struct window *w, struct err *e)
{
    if (*w->in == '"')
        return err_set(e, ERR_PROTOCOL, "a bare quote within a JSON string");
    if (*w->in != '\\')
        return err_set(e, ERR_PROTOCOL, "a bare control character 0x%02x within a JSON string",
            (unsigned char)*w->in);
    if (w->in_end - w->in < 2)
        return err_set(e, ERR_PROTOCOL, "an escape is cut off at the end of a JSON string");
    if (w->in[1] == 'u')
        return unicode_escape(w, e);
    char c = short_escape(w->in[1]);
    if (!c)
        return err_set(
            e, ERR_PROTOCOL, "\\ and byte 0x%02x is no escape of JSON", (unsigned char)w->in[1]);
    *w->out++ = c;
    w->in += 2;
    return 0;
}

/* One character after the other, until a special one was taken or nothing more fits. */
static int step_scalar(struct window *w, struct err *e)
{
    while (w->in < w->in_end && w->out_end - w->out >= UNESCAPE_MIN_ROOM) {
        if (!is_plain(*w->in))
            return special(w, e);
        *w->out++ = *w->in++;
    }
    return 0;
}

static int run_scalar(struct window *w, struct err *e)
{
    int rc = 0;
    while (!rc && w->in < w->in_end && w->out_end - w->out >= UNESCAPE_MIN_ROOM)
        rc = step_scalar(w, e);
    return rc;
}

#if defined(__x86_64__)

/* An escape is followed by another one soon more often than not (a newline for each row, quotes
 * around each string), so the common two-byte ones are taken here without leaving the loop. */
#define TAKE_BLOCK(w, size, mask)                                                                  \
    if ((mask) == 0) {                                                                             \
        (w)->in += (size);                                                                         \
        (w)->out += (size);                                                                        \
        continue;                                                                                  \
    }                                                                                              \
    int plain = __builtin_ctz(mask);                                                               \
    (w)->in += plain;                                                                              \
    (w)->out += plain;                                                                             \
    int rc = special((w), e);                                                                      \
    if (rc)                                                                                        \
        return rc;

/* A block is read and written whole, and the character behind its plain part needs room too. */
#define BLOCK_FITS(w, size)                                                                        \
    ((w)->in_end - (w)->in >= (size) && (w)->out_end - (w)->out >= (size) + UNESCAPE_MIN_ROOM)

static int run_sse2(struct window *w, struct err *e)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1f);
    while (BLOCK_FITS(w, 16)) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)w->in);
        _mm_storeu_si128((__m128i *)(void *)w->out, block);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
        __m128i found = _mm_or_si128(
            control, _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
        uint32_t mask = (uint32_t)_mm_movemask_epi8(found);
        TAKE_BLOCK(w, 16, mask)
    }
    return run_scalar(w, e);
}

__attribute__((target("avx2"))) static int run_avx2(struct window *w, struct err *e)
{
    const __m256i quote = _mm256_set1_epi8('"');
    const __m256i backslash = _mm256_set1_epi8('\\');
    const __m256i last_control = _mm256_set1_epi8(0x1f);
    while (BLOCK_FITS(w, 32)) {
        __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)w->in);
        _mm256_storeu_si256((__m256i *)(void *)w->out, block);
        __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(block, last_control), block);
        __m256i found = _mm256_or_si256(control,
            _mm256_or_si256(_mm256_cmpeq_epi8(block, quote), _mm256_cmpeq_epi8(block, backslash)));
        uint32_t mask = (uint32_t)_mm256_movemask_epi8(found);
        TAKE_BLOCK(w, 32, mask)
    }
    return run_scalar(w, e);
}

#endif

bool unescape_way_exists(enum unescape_way way)
{
#if defined(__x86_64__)
    return way != UNESCAPE_AVX2 || __builtin_cpu_supports("avx2");
#else
    return way == UNESCAPE_SCALAR;
#endif
}

int unescape_by(enum unescape_way way, const char *in, size_t length, char *out, size_t capacity,
    size_t *ret_consumed, size_t *ret_produced, struct err *e)
{
    assert(capacity >= UNESCAPE_MIN_ROOM);
    struct window w = {in, in + length, out, out + capacity};
    int rc;
    switch (way) {
#if defined(__x86_64__)
    case UNESCAPE_AVX2: rc = run_avx2(&w, e); break;
    case UNESCAPE_SSE2: rc = run_sse2(&w, e); break;
#endif
    default: rc = run_scalar(&w, e); break;
    }
    if (rc) {
        if (e)
            e->position = w.in - in;
        return rc;
    }
    *ret_consumed = (size_t)(w.in - in);
    *ret_produced = (size_t)(w.out - out);
    return 0;
}

int unescape(const char *in, size_t length, char *out, size_t capacity, size_t *ret_consumed,
    size_t *ret_produced, struct err *e)
{
    enum unescape_way way = unescape_way_exists(UNESCAPE_AVX2)   ? UNESCAPE_AVX2
                            : unescape_way_exists(UNESCAPE_SSE2) ? UNESCAPE_SSE2
                                                                 : UNESCAPE_SCALAR;
    return unescape_by(way, in, length, out, capacity, ret_consumed, ret_produced, e);
}
