/* Scanners over arrays of numbers and strings: AVX2, 64 bytes at a time as bit masks, and scalar.
 */
#include "heap/whole_scan.h"

#include <stdbool.h>
#include <string.h>

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of a valid escape sequence that starts with the backslash at bytes[0], 0 if it is none or
 * does not end within count. */
static size_t escape_length(const unsigned char *bytes, size_t count)
{
    if (count < 2 || bytes[1] == '\0' || !strchr("\"\\/bfnrtu", bytes[1]))
        return 0;
    if (bytes[1] != 'u')
        return 2;
    if (count < 6)
        return 0;
    for (size_t i = 2; i < 6; i++)
        if (!is_hex(bytes[i]))
            return 0;
    return 6;
}

/* ---- scalar ---- */

static size_t scalar_numbers(
    const unsigned char *bytes, size_t count, enum number_state *state, int64_t *commas)
{
    enum number_state s = *state;
    size_t i = 0;
    for (; i < count; i++) {
        unsigned char c = bytes[i];
        if (c >= '0' && c <= '9') {
            if (s == NUMBER_GAP)
                break;
            s = NUMBER_DIGIT;
        } else if (c == ',') {
            if (s == NUMBER_COMMA)
                break;
            s = NUMBER_COMMA;
            ++*commas;
        } else if (c == '\n') {
            if (s == NUMBER_DIGIT)
                s = NUMBER_GAP;
        } else {
            break;
        }
    }
    *state = s;
    return i;
}

static size_t scalar_strings(
    const unsigned char *bytes, size_t count, enum string_state *state, int64_t *commas)
{
    enum string_state s = *state;
    size_t i = 0;
    while (i < count) {
        unsigned char c = bytes[i];
        if (s == STRING_INSIDE) {
            size_t step = c == '\\' ? escape_length(bytes + i, count - i) : 1;
            if (step == 0 || c < 0x20)
                break;
            if (c == '"')
                s = STRING_AFTER;
            i += step;
            continue;
        }
        if (c == '"' && s == STRING_COMMA)
            s = STRING_INSIDE;
        else if (c == ',' && s == STRING_AFTER)
            s = STRING_COMMA, ++*commas;
        else if (c != '\n')
            break;
        i++;
    }
    *state = s;
    return i;
}

const struct whole_scanner whole_scanner_scalar = {"scalar", scalar_numbers, scalar_strings};

/* ---- AVX2 ---- */

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,popcnt,bmi")))

struct block {
    __m256i low, high; /* 64 bytes */
};

AVX2 static inline struct block load(const unsigned char *bytes)
{
    return (struct block){_mm256_loadu_si256((const __m256i *)(const void *)bytes),
        _mm256_loadu_si256((const __m256i *)(const void *)(bytes + 32))};
}

AVX2 static inline uint64_t join(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

/* Bits of the bytes that equal c. */
AVX2 static inline uint64_t equals(struct block b, char c)
{
    __m256i wanted = _mm256_set1_epi8(c);
    return join(_mm256_cmpeq_epi8(b.low, wanted), _mm256_cmpeq_epi8(b.high, wanted));
}

/* Bits of the bytes within base..base+span, unsigned. */
AVX2 static inline uint64_t within(struct block b, char base, char span)
{
    __m256i from = _mm256_set1_epi8(base), top = _mm256_set1_epi8(span);
    __m256i low = _mm256_sub_epi8(b.low, from), high = _mm256_sub_epi8(b.high, from);
    return join(_mm256_cmpeq_epi8(_mm256_min_epu8(low, top), low),
        _mm256_cmpeq_epi8(_mm256_min_epu8(high, top), high));
}

/* Bit i: whether the number of set bits at or below i is odd. */
static inline uint64_t odd_so_far(uint64_t bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    return bits;
}

AVX2 static size_t avx2_numbers(
    const unsigned char *bytes, size_t count, enum number_state *state, int64_t *ret_commas)
{
    enum number_state s = *state;
    size_t taken = 0;
    int64_t sum = 0;
    for (; count - taken >= 64; taken += 64) {
        struct block b = load(bytes + taken);
        uint64_t digits = within(b, '0', 9), commas = equals(b, ','), space = equals(b, '\n');
        if (~(digits | commas | space))
            break;
        /* White space behind a number: its runs begin behind a digit, and adding their first bits
         * to all runs carries through exactly these. */
        uint64_t first = space & (digits << 1 | (s != NUMBER_COMMA));
        uint64_t gap = space & ~(space + first);
        uint64_t may_follow_number = (digits | gap) << 1 | (s != NUMBER_COMMA);
        uint64_t follows_gap = gap << 1 | (s == NUMBER_GAP);
        if ((commas & ~may_follow_number) | (digits & follows_gap))
            break;
        sum += __builtin_popcountll(commas);
        s = digits >> 63 ? NUMBER_DIGIT : gap >> 63 ? NUMBER_GAP : NUMBER_COMMA;
    }
    *state = s;
    *ret_commas += sum;
    return taken;
}

/* Bits of the characters that a backslash escapes, of the 64 at bytes. escaped_in says whether the
 * first one is, by the block before; *ret_out whether the first one of the next block is. Returns
 * false on an escape sequence that is wrong or cannot be seen to its end. */
static bool find_escaped(const unsigned char *bytes, size_t count, uint64_t backslashes,
    bool escaped_in, uint64_t *ret_escaped, bool *ret_out)
{
    uint64_t escaped = escaped_in;
    bool out = false;
    backslashes &= ~escaped;
    while (backslashes) {
        unsigned at = (unsigned)__builtin_ctzll(backslashes);
        if (escape_length(bytes + at, count - at) == 0)
            return false;
        out = at == 63;
        if (out)
            break;
        escaped |= UINT64_C(2) << at;
        backslashes &= ~(UINT64_C(3) << at);
    }
    *ret_escaped = escaped;
    *ret_out = out;
    return true;
}

AVX2 static size_t avx2_strings(
    const unsigned char *bytes, size_t count, enum string_state *state, int64_t *ret_commas)
{
    enum string_state s = *state;
    bool escaped_in = false;
    size_t taken = 0;
    int64_t sum = 0;
    for (; count - taken >= 64; taken += 64) {
        struct block b = load(bytes + taken);
        uint64_t quotes = equals(b, '"'), backslashes = equals(b, '\\');
        uint64_t control = within(b, 0, 0x1f), escaped = 0;
        bool escaped_out = false;
        if (s == STRING_INSIDE && !escaped_in && !(quotes | backslashes | control))
            continue;
        if ((backslashes || escaped_in) && !find_escaped(bytes + taken, count - taken, backslashes,
                                               escaped_in, &escaped, &escaped_out))
            break;
        quotes &= ~escaped;
        uint64_t inside = odd_so_far(quotes) ^ (s == STRING_INSIDE ? ~UINT64_C(0) : 0);
        uint64_t opening = quotes & inside, outside = ~inside & ~quotes;
        uint64_t commas = equals(b, ',') & outside, space = equals(b, '\n') & outside;
        if ((outside & ~(commas | space)) | (control & inside))
            break;
        /* Opening quotes and commas take turns: each has the parity of its turn. */
        uint64_t marks = opening | commas, odd = odd_so_far(marks);
        uint64_t odd_turn = s == STRING_COMMA ? opening : commas;
        if (odd_turn != (marks & odd))
            break;
        sum += __builtin_popcountll(commas);
        if (inside >> 63)
            s = STRING_INSIDE;
        else if (marks)
            s = commas > opening ? STRING_COMMA : STRING_AFTER; /* by the highest bit */
        else if (s == STRING_INSIDE)
            s = STRING_AFTER;
        escaped_in = escaped_out;
    }
    *state = escaped_in ? STRING_ESCAPED : s;
    *ret_commas += sum;
    return taken;
}

static const struct whole_scanner scanner_avx2 = {"avx2", avx2_numbers, avx2_strings};

const struct whole_scanner *whole_scanner_best(void)
{
    bool fits = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
                __builtin_cpu_supports("bmi");
    return fits ? &scanner_avx2 : &whole_scanner_scalar;
}

#else

const struct whole_scanner *whole_scanner_best(void)
{
    return &whole_scanner_scalar;
}

#endif
