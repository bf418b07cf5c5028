/* The file's strings: where each begins, found in parallel; decoded only when somebody asks. */
#include "base/text.h"
#include "heap/scan.h"

#include <stdlib.h>
#include <string.h>

const char *const known_text[KNOWN_COUNT] = {
    [KNOWN_OBJECT] = "Object",
    [KNOWN_ARRAY] = "Array",
    [KNOWN_ELEMENTS] = "elements",
    [KNOWN_FIRST] = "first",
    [KNOWN_SECOND] = "second",
    [KNOWN_PROTO] = "__proto__",
    [KNOWN_NATIVE_CONTEXT] = "system / NativeContext",
    [KNOWN_MAP_DESCRIPTORS] = "(map descriptors)",
    [KNOWN_SLOPPY_MAP] = "sloppy_function_map",
    [KNOWN_EXTERNAL_STRING] = "system / ExternalStringData",
    [KNOWN_ARRAY_BUFFER] = "system / JSArrayBufferData",
    [KNOWN_DOCUMENT_TREES] = "(Document DOM trees)",
    [KNOWN_TRUNCATED] = "truncated",
    [KNOWN_LENGTH] = "length",
    [KNOWN_HASH] = "hash",
    [KNOWN_VALUE] = "value",
    [KNOWN_CONSOLE] = "(Global handles)",
    [KNOWN_CONTEXT] = "context",
    [KNOWN_SHARED] = "shared",
    [KNOWN_SCRIPT] = "script",
    [KNOWN_OLD_SCRIPT] = "script_or_debug_info", /* Node 18 and 20 */
    [KNOWN_MAP] = "map",
    [KNOWN_CONTEXT_EDGE] = "native_context",
    [KNOWN_EMPTY] = "",
};

static const char part_of_key[] = " / part of key (";

/* Finding the strings takes two rounds over the section: how many quotes each piece has, then, with
 * every piece knowing whether it begins within a string, where each string begins. */
struct string_scan {
    struct heap *heap;
    const struct numbers *numbers;
    uint64_t from;
    uint64_t pieces;
    uint32_t *quotes; /* by piece */
    uint64_t *before; /* quotes in the pieces before */
    _Atomic uint64_t next;
    pthread_mutex_t lock; /* of what follows, and of the heap's lists */
    _Atomic uint64_t end; /* offset of the closing bracket; UINT64_MAX until found */
    uint64_t end_quotes;
    _Atomic bool failed;
};

/* Whether an odd number of backslashes stands right before the piece. What is read with it answers
 * that but for the longest runs: a look through the mapping would make some 100 KB of it resident.
 */
static bool piece_escaped(const struct string_scan *s, const struct piece *p)
{
    uint64_t before = p->offset - s->from, run = 0;
    uint64_t read = before < NUMBERS_PAD ? 0 : NUMBERS_PAD;
    while (run < read && *(p->at - run - 1) == '\\')
        run++;
    if (run == read)
        while (run < before && s->heap->source.map[p->offset - run - 1] == '\\')
            run++;
    return run & 1;
}

/* Bits of the quotes that no backslash escapes. *escaped: the first byte is escaped; updated. */
static inline uint64_t quotes_open(uint64_t quote, uint64_t backslash, uint64_t *escaped)
{
    if (backslash == 0) {
        quote &= ~*escaped;
        *escaped = 0;
        return quote;
    }
    /* Runs of backslashes: those with odd length escape what follows them. */
    const uint64_t even = UINT64_C(0x5555555555555555);
    backslash &= ~*escaped;
    uint64_t follows = backslash << 1 | *escaped;
    uint64_t odd_starts = backslash & ~even & ~follows;
    uint64_t even_ends;
    *escaped = __builtin_add_overflow(odd_starts, backslash, &even_ends);
    return quote & ~((even ^ even_ends << 1) & follows);
}

static int strings_count_work(void *arg, int thread, struct err *e)
{
    struct string_scan *s = arg;
    struct piece p;
    (void)thread;
    int r = piece_new(&p, e);
    while (r == 0 && !s->failed) {
        uint64_t number = atomic_fetch_add(&s->next, 1);
        if (number >= s->pieces || (r = piece_read(&p, &s->heap->source, s->from, number, e)) < 0)
            break;
        uint64_t escaped = piece_escaped(s, &p), count = 0;
        for (size_t i = 0; i < p.length; i += 64) {
            uint64_t quote, backslash;
            s->numbers->quotes(p.at + i, &quote, &backslash);
            if (p.length - i < 64) {
                quote &= (UINT64_C(1) << (p.length - i)) - 1;
                backslash &= (UINT64_C(1) << (p.length - i)) - 1;
            }
            count += (uint64_t)__builtin_popcountll(quotes_open(quote, backslash, &escaped));
        }
        s->quotes[number] = (uint32_t)count;
    }
    if (r < 0)
        s->failed = true;
    piece_free(&p);
    return r;
}

/* Looks at what stands between two strings: commas and white space, or the end of the array. */
static int strings_gap(struct string_scan *s, const struct piece *p, size_t from, size_t to,
    uint64_t quotes, bool *ret_end, struct err *e)
{
    for (size_t i = from; i < to; i++) {
        uint8_t b = p->at[i];
        if (b == ',' || b == '\n' || b == ' ' || b == '\r' || b == '\t')
            continue;
        uint64_t at = p->offset + i;
        pthread_mutex_lock(&s->lock);
        bool behind = at > s->end;
        if (b == ']' && !behind) {
            s->end = at;
            s->end_quotes = quotes;
        }
        pthread_mutex_unlock(&s->lock);
        *ret_end = b == ']' || behind;
        if (!*ret_end)
            return source_bad(
                &s->heap->source, at, e, "\"strings\" holds something that is no string");
        return 0;
    }
    return 0;
}

/* Notes the strings that the rules ask for by name. */
static int strings_notice(
    struct string_scan *s, const uint8_t *text, uint32_t number, struct err *e)
{
    struct heap *h = s->heap;
    if (*text >= '0' && *text <= '9') {
        const uint8_t *t = text;
        while (t - text < 32 && *t >= '0' && *t <= '9')
            t++;
        if (memcmp(t, part_of_key, sizeof part_of_key - 1) != 0)
            return 0;
        pthread_mutex_lock(&s->lock);
        int r = list32_add(&h->scan.weak_names, number);
        pthread_mutex_unlock(&s->lock);
        return r < 0 ? err_set(e, r, "%s: out of memory", h->source.name) : 0;
    }
    for (int k = 0; k < KNOWN_COUNT; k++) {
        const char *known = known_text[k];
        if (known[0] != (char)*text && known[0] != '\0')
            continue;
        size_t length = strlen(known);
        if (memcmp(text, known, length) != 0 || text[length] != '"')
            continue;
        pthread_mutex_lock(&s->lock);
        if (number < h->known[k])
            h->known[k] = number;
        pthread_mutex_unlock(&s->lock);
        return 0;
    }
    return 0;
}

static inline void strings_put(struct strings *t, uint64_t number, uint64_t offset)
{
    if (t->start64)
        t->start64[number] = offset - t->base;
    else
        t->start32[number] = (uint32_t)(offset - t->base);
}

static int strings_place(
    struct string_scan *s, const struct piece *p, uint64_t quotes, struct err *e)
{
    struct strings *t = &s->heap->strings;
    uint64_t escaped = piece_escaped(s, p);
    size_t outside = 0; /* where the text behind the last closing quote begins */
    bool end = false;
    int r;
    for (size_t i = 0; i < p->length; i += 64) {
        uint64_t quote, backslash;
        s->numbers->quotes(p->at + i, &quote, &backslash);
        if (p->length - i < 64) {
            quote &= (UINT64_C(1) << (p->length - i)) - 1;
            backslash &= (UINT64_C(1) << (p->length - i)) - 1;
        }
        quote = quotes_open(quote, backslash, &escaped);
        for (; quote; quote &= quote - 1, quotes++) {
            size_t at = i + (size_t)__builtin_ctzll(quote);
            if (quotes & 1) {
                outside = at + 1;
                continue;
            }
            if ((r = strings_gap(s, p, outside, at, quotes, &end, e)) < 0 || end)
                return r;
            strings_put(t, quotes / 2, p->offset + at + 1);
            if ((r = strings_notice(s, p->at + at + 1, (uint32_t)(quotes / 2), e)) < 0)
                return r;
        }
    }
    return quotes & 1 ? 0 : strings_gap(s, p, outside, p->length, quotes, &end, e);
}

static int strings_place_work(void *arg, int thread, struct err *e)
{
    struct string_scan *s = arg;
    struct piece p;
    const struct heap_options *o = &s->heap->options;
    int r = piece_new(&p, e);
    while (r == 0 && !s->failed) {
        uint64_t number = atomic_fetch_add(&s->next, 1);
        if (number >= s->pieces || (r = piece_read(&p, &s->heap->source, s->from, number, e)) < 0)
            break;
        if (p.offset > s->end)
            break;
        r = strings_place(s, &p, s->before[number], e);
        if (r == 0 && thread == 0 && o->progress &&
            o->progress(o->arg, HEAP_PHASE_READ, (double)p.offset / (double)s->heap->source.size) !=
                0)
            r = err_set(e, ERR_CANCELLED, "%s: stopped while reading", s->heap->source.name);
    }
    if (r < 0)
        s->failed = true;
    piece_free(&p);
    return r;
}

static int strings_reserve(struct string_scan *s, uint64_t *ret_quotes, struct err *e)
{
    struct heap *h = s->heap;
    uint64_t quotes = 0;
    for (uint64_t i = 0; i < s->pieces; i++) {
        s->before[i] = quotes;
        quotes += s->quotes[i];
    }
    if (quotes / 2 > STRINGS_MAX)
        return source_bad(&h->source, s->from, e, "more strings than %u", STRINGS_MAX);
    struct strings *t = &h->strings;
    t->base = s->from;
    size_t capacity = (size_t)(quotes / 2) + 2;
    bool wide = h->source.size - s->from >= UINT32_MAX;
    if (wide)
        t->start64 = column_new(h->pool, capacity, 8);
    else
        t->start32 = column_new(h->pool, capacity, 4);
    if (!t->start32 && !t->start64)
        return err_set(e, ERR_NOMEM, "%s: no memory for its strings", h->source.name);
    *ret_quotes = quotes;
    return 0;
}

static int strings_finish(struct string_scan *s, uint64_t quotes, uint64_t *ret_end, struct err *e)
{
    struct heap *h = s->heap;
    struct strings *t = &h->strings;
    if (s->end == UINT64_MAX) {
        if (!h->options.partial)
            return source_bad(
                &h->source, h->source.size, e, "the file ends within \"strings\": it is truncated");
        if (!(h->damage = strdup("the file ends within its strings")))
            return err_set(e, ERR_NOMEM, "%s: out of memory", h->source.name);
        t->count = (uint32_t)(quotes / 2);
        t->end = h->source.size;
        if (quotes % 2 == 0) /* else the unfinished string's own start serves */
            strings_put(t, t->count, t->end + 1);
    } else {
        t->count = (uint32_t)(s->end_quotes / 2);
        t->end = s->end;
        strings_put(t, t->count, t->end + 1);
    }
    for (int k = 0; k < KNOWN_COUNT; k++)
        if (h->known[k] >= t->count)
            h->known[k] = HEAP_NONE;
    *ret_end = t->end;
    return 0;
}

int strings_read(
    struct heap *h, const struct numbers *numbers, uint64_t from, uint64_t *ret_end, struct err *e)
{
    struct string_scan s = {.heap = h, .numbers = numbers, .from = from, .end = UINT64_MAX};
    uint64_t quotes = 0;
    s.pieces = (h->source.size - from + PIECE - 1) / PIECE;
    s.quotes = calloc(s.pieces + 1, sizeof *s.quotes);
    s.before = calloc(s.pieces + 1, sizeof *s.before);
    if (!s.quotes || !s.before || pthread_mutex_init(&s.lock, NULL) != 0) {
        free(s.quotes);
        free(s.before);
        return err_set(e, ERR_NOMEM, "%s: no memory for its strings", h->source.name);
    }
    for (int k = 0; k < KNOWN_COUNT; k++)
        h->known[k] = HEAP_NONE;
    int threads = s.pieces < 8 ? 1 : h->threads;
    int r = parallel_run(threads, strings_count_work, &s, e);
    if (r == 0)
        r = strings_reserve(&s, &quotes, e);
    if (r == 0) {
        atomic_store(&s.next, 0);
        r = parallel_run(threads, strings_place_work, &s, e);
    }
    if (r == 0)
        r = strings_finish(&s, quotes, ret_end, e);
    pthread_mutex_destroy(&s.lock);
    free(s.quotes);
    free(s.before);
    return r;
}

/* ---- texts ---- */

static inline uint64_t string_start(const struct strings *t, uint32_t number)
{
    return t->base + (t->start64 ? t->start64[number] : t->start32[number]);
}

const uint8_t *string_raw(const struct heap *h, uint32_t number, size_t *ret_length)
{
    static const uint8_t missing[] = "(name lost)"; /* of a damaged file */
    const struct strings *t = &h->strings;
    if (number >= t->count) {
        *ret_length = sizeof missing - 1;
        return missing;
    }
    uint64_t start = string_start(t, number);
    uint64_t close = string_start(t, number + 1) - 2; /* before the next string's opening quote */
    while (close > start && h->source.map[close] != '"')
        close--;
    *ret_length = (size_t)(close - start);
    return h->source.map + start;
}

static int hex4(const uint8_t *p, size_t left)
{
    int v = 0;
    if (left < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

static int add_code_point(struct buf *out, uint32_t c)
{
    char b[4];
    size_t n;
    if (c < 0x80) {
        b[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (char)(0xc0 | c >> 6);
        b[1] = (char)(0x80 | (c & 0x3f));
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (char)(0xe0 | c >> 12);
        b[1] = (char)(0x80 | (c >> 6 & 0x3f));
        b[2] = (char)(0x80 | (c & 0x3f));
        n = 3;
    } else {
        b[0] = (char)(0xf0 | c >> 18);
        b[1] = (char)(0x80 | (c >> 12 & 0x3f));
        b[2] = (char)(0x80 | (c >> 6 & 0x3f));
        b[3] = (char)(0x80 | (c & 0x3f));
        n = 4;
    }
    return buf_add(out, b, n);
}

/* The escape at p (behind the backslash); returns its length, 0 if it is none. */
static size_t escape_read(const uint8_t *p, size_t left, uint32_t *ret_c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (left == 0)
        return 0;
    if (*p != 'u') {
        const char *at = *p ? strchr(from, *p) : NULL;
        if (!at)
            return 0;
        *ret_c = (uint32_t)to[at - from];
        return 1;
    }
    int high = hex4(p + 1, left - 1);
    if (high < 0)
        return 0;
    *ret_c = (uint32_t)high;
    if (high < 0xd800 || high > 0xdbff || left < 11 || p[5] != '\\' || p[6] != 'u')
        return 5;
    int low = hex4(p + 7, left - 7);
    if (low < 0xdc00 || low > 0xdfff)
        return 5;
    *ret_c = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return 11;
}

bool string_begins(const struct heap *h, uint32_t number, const char *text, bool whole)
{
    size_t length, want = strlen(text);
    const uint8_t *raw = string_raw(h, number, &length);
    return (whole ? length == want : length >= want) && memcmp(raw, text, want) == 0;
}

int string_decode(const uint8_t *raw, size_t length, struct buf *out)
{
    int r = 0;
    for (size_t i = 0; i < length && r == 0;) {
        size_t run = i;
        while (run < length && raw[run] != '\\' && raw[run] < 0x80)
            run++;
        if (run > i) {
            r = buf_add(out, raw + i, run - i);
            i = run;
            continue;
        }
        if (raw[i] == '\\') {
            uint32_t c = 0;
            size_t used = escape_read(raw + i + 1, length - i - 1, &c);
            r = add_code_point(out, used ? c : 0xfffd);
            i += 1 + used;
            continue;
        }
        size_t n = text_utf8_sequence((const char *)raw + i, length - i);
        r = n ? buf_add(out, raw + i, n) : add_code_point(out, 0xfffd);
        i += n ? n : 1;
    }
    return r;
}

int heap_add_string(const struct heap *h, uint32_t number, struct buf *out)
{
    if (number >= h->strings.count && number - h->strings.count < h->renamed.count) {
        int r = buf_add_text(out, "Detached ");
        if (r < 0)
            return r;
        number = h->renamed.at[number - h->strings.count];
    }
    size_t length;
    const uint8_t *raw = string_raw(h, number, &length);
    return string_decode(raw, length, out);
}

uint32_t heap_string_count(const struct heap *h)
{
    return h->strings.count;
}

/* The code unit that decides the order of two texts which differ from this byte on: lead bytes of
 * four-byte sequences stand for surrogates, below U+E000 and above. */
static int utf16_rank(uint8_t lead)
{
    return lead < 0xee ? lead : lead < 0xf0 ? lead + 16 : lead - 2;
}

int heap_text_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t least = a_length < b_length ? a_length : b_length, i = 0;
    while (i < least && a[i] == b[i])
        i++;
    if (i == least)
        return (a_length > b_length) - (a_length < b_length);
    /* Within a common lead byte the trailing bytes decide, which have the same order in both. */
    return utf16_rank((uint8_t)a[i]) - utf16_rank((uint8_t)b[i]);
}

size_t utf16_length(const char *text, size_t length)
{
    size_t units = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = (uint8_t)text[i];
        units += (c & 0xc0) != 0x80;
        units += c >= 0xf0;
    }
    return units;
}
