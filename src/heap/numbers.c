/* Reading decimal numbers from text: portable code, AVX2, and AVX-512 with byte permutes.
 *
 * The vector forms find the digits of 64 bytes at once as bits. A number ends where a digit is
 * followed by something else; its digits are the bytes before that, at most eight of which fit a
 * 64-bit lane. Three multiply-and-add steps then turn eight digits into a value (10, 100, 10^4), in
 * four lanes or eight at a time. */
#include "heap/numbers.h"

#include "heap/heap.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

static inline bool is_separator(uint8_t c)
{
    return c == ',' || c <= ' ';
}

/* One number at p, whatever its length; returns what is behind it. */
static inline const uint8_t *number_slow(const uint8_t *p, uint32_t *ret_value, bool *large)
{
    uint32_t value = 0;
    const uint8_t *start = p;
    for (; is_digit(*p) && p - start < NUMBERS_PAD; p++)
        value = value * 10 + (*p - '0');
    if (p - start >= 10)
        *large = true;
    *ret_value = value;
    return p;
}

static size_t portable_count(const uint8_t *p, size_t length, bool inside, size_t *ret_stop)
{
    size_t count = 0, i;
    for (i = 0; i < length; i++) {
        bool digit = is_digit(p[i]);
        if (!digit && !is_separator(p[i]))
            break;
        count += digit && !inside;
        inside = digit;
    }
    *ret_stop = i;
    return count;
}

static size_t portable_parse(
    const uint8_t **ret_p, const uint8_t *end, uint32_t *out, size_t capacity, bool *large)
{
    const uint8_t *p = *ret_p;
    size_t count = 0;
    while (p < end && count < capacity) {
        if (is_digit(*p))
            p = number_slow(p, &out[count++], large);
        else
            p++;
    }
    *ret_p = p;
    return count;
}

static void portable_quotes(const uint8_t *p, uint64_t *ret_quote, uint64_t *ret_backslash)
{
    uint64_t quote = 0, backslash = 0;
    for (int i = 0; i < 64; i++) {
        quote |= (uint64_t)(p[i] == '"') << i;
        backslash |= (uint64_t)(p[i] == '\\') << i;
    }
    *ret_quote = quote;
    *ret_backslash = backslash;
}

/* Written so that compilers turn it into vector code for each of the targets below. The quotient by
 * way of a double is exact whenever the division has no remainder. */
#define EDGES_BODY                                                                                 \
    double inverse = 1.0 / stride;                                                                 \
    uint32_t bad = 0, most = *most_name;                                                           \
    for (size_t i = 0; i < count; i++) {                                                           \
        uint32_t kind = rows[3 * i], name = rows[3 * i + 1], target = rows[3 * i + 2];             \
        uint32_t to = (uint32_t)(int32_t)((double)target * inverse + 0.5);                         \
        bad |= (target - to * stride) | (uint32_t)(to >= nodes) | (uint32_t)(kind >= kinds);       \
        uint32_t text = kind != HEAP_ELEMENT && kind != HEAP_HIDDEN_EDGE ? name : 0;               \
        most = text > most ? text : most;                                                          \
        edge[i] = to << HEAP_EDGE_SHIFT | kind;                                                    \
        edge_name[i] = name;                                                                       \
    }                                                                                              \
    *most_name = most;                                                                             \
    return bad;

static uint32_t portable_edges(const uint32_t *rows, size_t count, uint32_t stride, uint32_t nodes,
    uint32_t kinds, uint32_t *edge, uint32_t *edge_name, uint32_t *most_name)
{
    EDGES_BODY
}

static const struct numbers portable = {
    "portable", portable_count, portable_parse, portable_quotes, portable_edges};

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#if defined(__clang__)
#define WIDE /* clang prefers what the target says by itself */
#else
#define WIDE ",prefer-vector-width=512"
#endif
#define AVX512                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,"    \
                          "lzcnt,popcnt" WIDE)))
#define LOW_BITS(n) ((n) >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << (n)) - 1)

/* ---- AVX2 ---- */

AVX2 static inline uint64_t avx2_mask(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

AVX2 static inline uint64_t avx2_digits(const uint8_t *p, uint64_t *ret_other)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)p);
    __m256i high = _mm256_loadu_si256((const __m256i *)(p + 32));
    __m256i zero = _mm256_set1_epi8('0'), nine = _mm256_set1_epi8(9);
    __m256i l = _mm256_sub_epi8(low, zero), h = _mm256_sub_epi8(high, zero);
    uint64_t digit = avx2_mask(_mm256_cmpeq_epi8(_mm256_min_epu8(l, nine), l),
        _mm256_cmpeq_epi8(_mm256_min_epu8(h, nine), h));
    __m256i comma = _mm256_set1_epi8(','), space = _mm256_set1_epi8(' ');
    uint64_t separator = avx2_mask(_mm256_or_si256(_mm256_cmpeq_epi8(low, comma),
                                       _mm256_cmpeq_epi8(_mm256_min_epu8(low, space), low)),
        _mm256_or_si256(
            _mm256_cmpeq_epi8(high, comma), _mm256_cmpeq_epi8(_mm256_min_epu8(high, space), high)));
    *ret_other = ~(digit | separator);
    return digit;
}

AVX2 static size_t avx2_count(const uint8_t *p, size_t length, bool inside, size_t *ret_stop)
{
    size_t count = 0;
    uint64_t before = inside;
    for (size_t i = 0; i < length; i += 64) {
        uint64_t other, digit = avx2_digits(p + i, &other);
        uint64_t begin = digit & ~(digit << 1 | before);
        other &= LOW_BITS(length - i);
        if (other || length - i < 64) {
            size_t stop = other ? _tzcnt_u64(other) : length - i;
            *ret_stop = i + stop;
            return count + (size_t)_mm_popcnt_u64(begin & LOW_BITS(stop));
        }
        count += (size_t)_mm_popcnt_u64(begin);
        before = digit >> 63;
    }
    *ret_stop = length;
    return count;
}

/* The bytes of the last eight digits that are the number's own, by how many it has. From 64 on:
 * there is no number, only the end of one that begins elsewhere. */
#define LAST_DIGITS(n) (~UINT64_C(0) << (64 - 8 * (n)))
static const uint64_t last_digits[128] = {0, LAST_DIGITS(1), LAST_DIGITS(2), LAST_DIGITS(3),
    LAST_DIGITS(4), LAST_DIGITS(5), LAST_DIGITS(6), LAST_DIGITS(7), [8 ... 63] = ~UINT64_C(0)};

AVX2 static inline __m128i avx2_two(const void *a, const void *b)
{
    uint64_t low, high;
    memcpy(&low, a, 8);
    memcpy(&high, b, 8);
    return _mm_set_epi64x((long long)high, (long long)low);
}

AVX2 static inline __m256i avx2_four(__m128i low, __m128i high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* The next four numbers of the 64 bytes at p, modulo 10^8; zeros where there are none any more. */
AVX2 static inline void avx2_next(
    const uint8_t *p, uint64_t *begin, uint64_t *behind, uint32_t *out)
{
    const uint8_t *digits[4];
    const uint64_t *own[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        unsigned from = (unsigned)_tzcnt_u64(*begin), to = (unsigned)_tzcnt_u64(*behind);
        *begin &= *begin - 1;
        *behind &= *behind - 1;
        digits[i] = p + to - 8;
        own[i] = &last_digits[(to - from) & 127];
    }
    __m256i v = avx2_four(avx2_two(digits[0], digits[1]), avx2_two(digits[2], digits[3]));
    v = _mm256_and_si256(_mm256_xor_si256(v, _mm256_set1_epi8('0')),
        avx2_four(avx2_two(own[0], own[1]), avx2_two(own[2], own[3])));
    v = _mm256_maddubs_epi16(v, _mm256_set1_epi16(0x010a));
    v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00010064));
    v = _mm256_madd_epi16(v, _mm256_set1_epi64x(0x0000000100002710));
    v = _mm256_add_epi32(v, _mm256_srli_epi64(v, 32));
    v = _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(v));
}

/* Adds what comes before the last eight digits of the numbers that have more. */
AVX2 static void avx2_long_ones(
    const uint8_t *p, uint64_t begin, uint64_t behind, uint32_t *out, bool *large)
{
    for (; begin; begin &= begin - 1, behind &= behind - 1, out++) {
        unsigned from = (unsigned)_tzcnt_u64(begin), to = (unsigned)_tzcnt_u64(behind);
        if (to - from == 9)
            *out += (uint32_t)(p[from] - '0') * 100000000;
        else if (to - from > 9)
            number_slow(p + from, out, large);
    }
}

AVX2 static size_t avx2_parse(
    const uint8_t **ret_p, const uint8_t *end, uint32_t *out, size_t capacity, bool *large)
{
    const uint8_t *p = *ret_p;
    size_t count = 0;
    while (p < end && capacity - count >= NUMBERS_BATCH) {
        uint64_t other, digit = avx2_digits(p, &other);
        if (digit == 0) {
            p += 64;
            continue;
        }
        if (~digit == 0) {
            p = number_slow(p, &out[count++], large);
            continue;
        }
        unsigned last = 63 - (unsigned)_lzcnt_u64(~digit);
        uint64_t begin = digit & ~(digit << 1) & LOW_BITS((size_t)(end - p)) & LOW_BITS(last);
        uint64_t behind = ~digit & digit << 1;
        uint64_t rest = begin, rest_behind = behind;
        unsigned found = (unsigned)_mm_popcnt_u64(begin);
        for (unsigned g = 0; g < found; g += 4)
            avx2_next(p, &rest, &rest_behind, out + count + g);
        uint64_t run = digit & digit << 1;
        run &= run << 2;
        run &= run << 4;
        if (run & digit << 8) /* nine digits side by side */
            avx2_long_ones(p, begin, behind, out + count, large);
        count += found;
        p += last + 1;
    }
    *ret_p = p;
    return count;
}

AVX2 static void avx2_quotes(const uint8_t *p, uint64_t *ret_quote, uint64_t *ret_backslash)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)p);
    __m256i high = _mm256_loadu_si256((const __m256i *)(p + 32));
    __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\');
    *ret_quote = avx2_mask(_mm256_cmpeq_epi8(low, quote), _mm256_cmpeq_epi8(high, quote));
    *ret_backslash =
        avx2_mask(_mm256_cmpeq_epi8(low, backslash), _mm256_cmpeq_epi8(high, backslash));
}

AVX2 static uint32_t avx2_edges(const uint32_t *rows, size_t count, uint32_t stride, uint32_t nodes,
    uint32_t kinds, uint32_t *edge, uint32_t *edge_name, uint32_t *most_name)
{
    EDGES_BODY
}

static const struct numbers avx2 = {"avx2", avx2_count, avx2_parse, avx2_quotes, avx2_edges};

/* ---- AVX-512 (VBMI, VBMI2) ---- */

AVX512 static size_t avx512_count(const uint8_t *p, size_t length, bool inside, size_t *ret_stop)
{
    size_t count = 0;
    uint64_t before = inside;
    const __m512i zero = _mm512_set1_epi8('0'), ten = _mm512_set1_epi8(10);
    const __m512i comma = _mm512_set1_epi8(','), space = _mm512_set1_epi8(' ');
    for (size_t i = 0; i < length; i += 64) {
        __m512i x = _mm512_loadu_si512(p + i);
        uint64_t digit = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x, zero), ten);
        uint64_t other =
            ~(digit | _mm512_cmpeq_epi8_mask(x, comma) | _mm512_cmple_epu8_mask(x, space));
        uint64_t begin = digit & ~(digit << 1 | before);
        other &= LOW_BITS(length - i);
        if (other || length - i < 64) {
            size_t stop = other ? _tzcnt_u64(other) : length - i;
            *ret_stop = i + stop;
            return count + (size_t)_mm_popcnt_u64(begin & LOW_BITS(stop));
        }
        count += (size_t)_mm_popcnt_u64(begin);
        before = digit >> 63;
    }
    *ret_stop = length;
    return count;
}

/* Eight digits a lane, first digit in the lowest byte, to a value a lane. */
AVX512 static inline __m512i avx512_value(__m512i digits)
{
    __m512i v = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(0x010a));
    v = _mm512_madd_epi16(v, _mm512_set1_epi32(0x00010064));
    v = _mm512_madd_epi16(v, _mm512_set1_epi64(0x0000000100002710));
    return _mm512_add_epi64(v, _mm512_srli_epi64(v, 32));
}

AVX512 static size_t avx512_parse(
    const uint8_t **ret_p, const uint8_t *end, uint32_t *out, size_t capacity, bool *large)
{
    const uint8_t *p = *ret_p;
    size_t count = 0;
    const __m512i zero = _mm512_set1_epi8('0'), ten = _mm512_set1_epi8(10);
    const __m512i eight = _mm512_set1_epi8(8);
    __m512i iota, lane, before;
    {
        uint8_t a[64], b[64], c[64];
        for (int i = 0; i < 64; i++) {
            a[i] = (uint8_t)i;
            b[i] = (uint8_t)(i / 8);
            c[i] = (uint8_t)(i % 8 - 8);
        }
        iota = _mm512_loadu_si512(a);
        lane = _mm512_loadu_si512(b);
        before = _mm512_loadu_si512(c);
    }
    while (p < end && capacity - count >= NUMBERS_BATCH) {
        __m512i x = _mm512_sub_epi8(_mm512_loadu_si512(p), zero);
        uint64_t digit = _mm512_cmplt_epu8_mask(x, ten);
        if (digit == 0) {
            p += 64;
            continue;
        }
        if (~digit == 0) {
            p = number_slow(p, &out[count++], large);
            continue;
        }
        unsigned last = 63 - (unsigned)_lzcnt_u64(~digit);
        uint64_t begin = digit & ~(digit << 1) & LOW_BITS((size_t)(end - p)) & LOW_BITS(last);
        uint64_t behind = ~digit & digit << 1;
        unsigned found = (unsigned)_mm_popcnt_u64(begin);
        __m512i froms = _mm512_maskz_compress_epi8(begin, iota);
        __m512i tos = _mm512_maskz_compress_epi8(behind, iota);
        __mmask64 have = LOW_BITS(found);
        __m512i lengths = _mm512_sub_epi8(tos, froms);
        uint64_t wide = _mm512_mask_cmpgt_epu8_mask(have, lengths, eight);
        if (wide && _mm512_mask_cmpge_epu8_mask(have, lengths, ten))
            *large = true;
        for (unsigned g = 0; g < found; g += 8) {
            __m512i pick = _mm512_add_epi8(lane, _mm512_set1_epi8((char)g));
            __m512i from = _mm512_permutexvar_epi8(pick, froms);
            __m512i at = _mm512_add_epi8(_mm512_permutexvar_epi8(pick, tos), before);
            __m512i v = avx512_value(
                _mm512_maskz_permutexvar_epi8(_mm512_cmpge_epi8_mask(at, from), at, x));
            if (wide >> g & 0xff) { /* the digits before the last eight */
                at = _mm512_sub_epi8(at, eight);
                __m512i high = avx512_value(
                    _mm512_maskz_permutexvar_epi8(_mm512_cmpge_epi8_mask(at, from), at, x));
                v = _mm512_add_epi64(v, _mm512_mul_epu32(high, _mm512_set1_epi64(100000000)));
            }
            _mm256_storeu_si256((__m256i *)(out + count + g), _mm512_cvtepi64_epi32(v));
        }
        count += found;
        p += last + 1;
    }
    *ret_p = p;
    return count;
}

AVX512 static void avx512_quotes(const uint8_t *p, uint64_t *ret_quote, uint64_t *ret_backslash)
{
    __m512i x = _mm512_loadu_si512(p);
    *ret_quote = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('"'));
    *ret_backslash = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('\\'));
}

AVX512 static uint32_t avx512_edges(const uint32_t *rows, size_t count, uint32_t stride,
    uint32_t nodes, uint32_t kinds, uint32_t *edge, uint32_t *edge_name, uint32_t *most_name)
{
    EDGES_BODY
}

static const struct numbers avx512 = {
    "avx512", avx512_count, avx512_parse, avx512_quotes, avx512_edges};

#endif

const struct numbers *numbers_for(const char *most)
{
#if defined(__x86_64__)
    bool any = !most || strcmp(most, "avx512") == 0;
    __builtin_cpu_init();
    if (any && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2"))
        return &avx512;
    if ((any || strcmp(most, "avx2") == 0) && __builtin_cpu_supports("avx2") &&
        __builtin_cpu_supports("bmi2"))
        return &avx2;
#else
    (void)most;
#endif
    return &portable;
}
