/* Scanning one big array of the file in pieces on two threads.
 *
 * Pieces are read with pread into a buffer of the thread's own rather than through the mapping: on
 * two threads that is faster than page faults and the shoot-downs that releasing pages costs, takes
 * no resident memory, and a file that is cut meanwhile is an error and not a signal. */
#include "heap/scan.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

int turns_init(struct turns *t, struct err *e)
{
    *t = (struct turns){0};
    if (pthread_mutex_init(&t->lock, NULL) != 0)
        return err_set(e, ERR_NOMEM, "no memory for a lock");
    if (pthread_cond_init(&t->moved, NULL) != 0) {
        pthread_mutex_destroy(&t->lock);
        return err_set(e, ERR_NOMEM, "no memory for a lock");
    }
    return 0;
}

void turns_free(struct turns *t)
{
    pthread_cond_destroy(&t->moved);
    pthread_mutex_destroy(&t->lock);
}

bool turns_wait(struct turns *t, uint64_t piece, uint64_t *ret_before)
{
    pthread_mutex_lock(&t->lock);
    while (t->turn != piece && !t->ended && !t->failed)
        pthread_cond_wait(&t->moved, &t->lock);
    bool mine = t->turn == piece && !t->ended && !t->failed;
    *ret_before = t->count;
    if (!mine)
        pthread_mutex_unlock(&t->lock);
    return mine; /* the lock is kept until turns_pass */
}

void turns_pass(struct turns *t, uint64_t count)
{
    t->count += count;
    t->turn++;
    pthread_cond_broadcast(&t->moved);
    pthread_mutex_unlock(&t->lock);
}

void turns_fail(struct turns *t)
{
    pthread_mutex_lock(&t->lock);
    t->failed = true;
    pthread_cond_broadcast(&t->moved);
    pthread_mutex_unlock(&t->lock);
}

int piece_new(struct piece *p, struct err *e)
{
    *p = (struct piece){0};
    p->memory = malloc(NUMBERS_PAD + PIECE + LOOK_AHEAD);
    if (!p->memory)
        return err_set(e, ERR_NOMEM, "no memory for a read buffer");
    p->at = p->memory + NUMBERS_PAD;
    return 0;
}

void piece_free(struct piece *p)
{
    free(p->memory);
    *p = (struct piece){0};
}

int piece_read(
    struct piece *p, const struct source *s, uint64_t from, uint64_t number, struct err *e)
{
    p->length = 0;
    p->offset = from;
    if (number >= (s->size - from + PIECE - 1) / PIECE)
        return 0;
    p->offset = from + number * PIECE;
    uint64_t left = s->size - p->offset;
    p->length = left < PIECE ? (size_t)left : PIECE;
    size_t ahead = left - p->length < LOOK_AHEAD ? (size_t)(left - p->length) : LOOK_AHEAD;
    size_t before = p->offset - from < NUMBERS_PAD ? 0 : NUMBERS_PAD;
    memset(p->memory, 0, NUMBERS_PAD);
    memset(p->at + p->length + ahead, 0, LOOK_AHEAD - ahead);
    return source_read(s, p->at - before, before + p->length + ahead, p->offset - before, e);
}

/* ---- rows of numbers ---- */

#define BATCH 8192u /* numbers handed on at a time: 32 KB stays in the L1 or L2 cache */

/* Numbers of rows that lie on both sides of a border between pieces. */
struct fragment {
    uint64_t index;
    uint32_t value;
};

struct scan {
    struct heap *heap;
    const struct rows *spec;
    const struct numbers *numbers;
    uint64_t from;
    struct turns turns;
    pthread_mutex_t lock; /* of the fragments */
    struct fragment *fragments;
    size_t fragment_count, fragment_capacity;
    bool cut; /* the file ended before the array, and partial results are wanted */
};

static int scan_keep(struct scan *s, uint64_t index, const uint32_t *values, size_t count)
{
    int r = 0;
    pthread_mutex_lock(&s->lock);
    if (!array_grow(&s->fragments, &s->fragment_capacity, s->fragment_count + count))
        r = ERR_NOMEM;
    for (size_t i = 0; i < count && r == 0; i++)
        s->fragments[s->fragment_count++] = (struct fragment){index + i, values[i]};
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Goes over a piece number by number to find the value that is at fault and where it stands. */
static int scan_explain(const struct scan *s, const struct piece *p, size_t length, uint64_t index,
    bool inside, struct err *e)
{
    const uint8_t *at = p->at, *end = p->at + length, *last = p->at + p->length + LOOK_AHEAD;
    while (inside && at < end && *at >= '0' && *at <= '9')
        at++;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            continue;
        const uint8_t *start = at;
        uint64_t value = 0;
        for (; at < last && *at >= '0' && *at <= '9'; at++)
            value = value > UINT64_MAX / 16 ? UINT64_MAX : value * 10 + (*at - '0');
        uint32_t field = (uint32_t)(index++ % s->spec->width);
        const char *what = s->spec->fault(s->heap, field, value);
        if (what)
            return source_bad(&s->heap->source, p->offset + (uint64_t)(start - p->at), e,
                "in \"%s\": %.*s %s", s->spec->name, (int)(at - start < 24 ? at - start : 24),
                (const char *)start, what);
    }
    return 0;
}

static int scan_parse(struct scan *s, const struct piece *p, size_t length, uint64_t index,
    size_t expected, bool inside, int thread, uint32_t *values, struct err *e)
{
    const struct source *source = &s->heap->source;
    const uint8_t *at = p->at, *end = p->at + length;
    uint32_t width = s->spec->width;
    size_t carried = 0, done = 0;
    bool large = false, good = true;
    uint64_t first = index;
    while (inside && at < end && *at >= '0' && *at <= '9')
        at++;
    while (at < end) {
        size_t got = s->numbers->parse(&at, end, values + carried, BATCH, &large);
        done += got;
        if (done > expected)
            break;
        size_t have = carried + got, used = 0;
        if (index % width) { /* the row began in the piece before */
            used = width - (size_t)(index % width);
            if (used > have)
                used = have;
            if (scan_keep(s, index, values, used) < 0)
                return err_set(e, ERR_NOMEM, "%s: no memory to read it", source->name);
        }
        size_t rows = (have - used) / width;
        if (rows)
            good &= s->spec->take(s->heap, (index + used) / width, values + used, rows, thread);
        used += rows * width;
        memmove(values, values + used, (have - used) * sizeof *values);
        carried = have - used;
        index += used;
    }
    if (carried && scan_keep(s, index, values, carried) < 0)
        return err_set(e, ERR_NOMEM, "%s: no memory to read it", source->name);
    if (large || !good || done != expected) {
        int r = scan_explain(s, p, length, first, inside, e);
        if (r < 0)
            return r;
    }
    if (!good || done != expected)
        return source_bad(source, p->offset, e, "a bad number in \"%s\"", s->spec->name);
    return 0;
}

/* What comes in piece order: counting, and finding the end. */
static int scan_turn(struct scan *s, const struct piece *p, size_t count, size_t stop,
    uint64_t before, struct err *e)
{
    const struct source *source = &s->heap->source;
    uint64_t most = s->spec->most == UINT64_MAX ? UINT64_MAX : s->spec->most * s->spec->width;
    if (p->length == 0) {
        if (!s->heap->options.partial)
            return source_bad(source, source->size, e,
                "the file ends within \"%s\": it is truncated", s->spec->name);
        s->cut = true;
        s->turns.ended = true;
        s->turns.end = source->size;
        return 0;
    }
    if (count > most - before)
        return source_bad(source, p->offset, e, "\"%s\" holds more rows than the header's %llu",
            s->spec->name, (unsigned long long)s->spec->most);
    if (stop < p->length) {
        if (p->at[stop] != ']')
            return source_bad(source, p->offset + stop, e,
                "\"%s\" holds something that is no number", s->spec->name);
        s->turns.ended = true;
        s->turns.end = p->offset + stop;
    }
    return 0;
}

static int scan_progress(struct scan *s, int thread, uint64_t offset, struct err *e)
{
    const struct heap_options *o = &s->heap->options;
    if (thread == 0 && o->progress &&
        o->progress(o->arg, HEAP_PHASE_READ, (double)offset / (double)s->heap->source.size) != 0)
        return err_set(e, ERR_CANCELLED, "%s: stopped while reading", s->heap->source.name);
    return 0;
}

/* The number that a damaged file ends with may lack digits: it is no number. */
static void scan_drop_cut(const struct scan *s, struct piece *p)
{
    if (p->offset + p->length < s->heap->source.size)
        return;
    while (p->length && p->at[p->length - 1] >= '0' && p->at[p->length - 1] <= '9')
        p->length--;
}

static int scan_work(void *arg, int thread, struct err *e)
{
    struct scan *s = arg;
    struct piece p;
    uint32_t *values = malloc((BATCH + NUMBERS_BATCH + FIELDS_MAX) * sizeof *values);
    int r = piece_new(&p, e);
    if (r == 0 && !values)
        r = err_set(e, ERR_NOMEM, "no memory for a read buffer");
    while (r == 0) {
        uint64_t number = atomic_fetch_add(&s->turns.next, 1), before;
        if ((r = piece_read(&p, &s->heap->source, s->from, number, e)) < 0)
            break;
        if (s->heap->options.partial)
            scan_drop_cut(s, &p);
        bool inside = p.at[-1] >= '0' && p.at[-1] <= '9' && number > 0;
        size_t stop = 0;
        size_t count = s->numbers->count(p.at, p.length, inside, &stop);
        if (!turns_wait(&s->turns, number, &before))
            break;
        r = scan_turn(s, &p, count, stop, before, e);
        s->turns.failed |= r < 0;
        turns_pass(&s->turns, count);
        if (r < 0 || p.length == 0)
            break;
        if ((r = scan_parse(s, &p, stop, before, count, inside, thread, values, e)) == 0)
            r = scan_progress(s, thread, p.offset, e);
    }
    if (r < 0)
        turns_fail(&s->turns);
    piece_free(&p);
    free(values);
    return r;
}

static int fragment_order(const void *a, const void *b)
{
    const struct fragment *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Puts the rows together that no piece had whole. */
static int scan_join(struct scan *s, struct err *e)
{
    uint32_t row[FIELDS_MAX], width = s->spec->width;
    if (s->fragment_count)
        qsort(s->fragments, s->fragment_count, sizeof *s->fragments, fragment_order);
    for (size_t i = 0; i + width <= s->fragment_count; i += width) {
        if (s->fragments[i].index % width)
            return source_bad(&s->heap->source, s->from, e, "\"%s\" is broken", s->spec->name);
        for (uint32_t f = 0; f < width; f++)
            row[f] = s->fragments[i + f].value;
        if (!s->spec->take(s->heap, s->fragments[i].index / width, row, 1, 0)) {
            for (uint32_t f = 0; f < width; f++) {
                const char *what = s->spec->fault(s->heap, f, row[f]);
                if (what)
                    return source_bad(&s->heap->source, s->from, e, "in row %llu of \"%s\": %u %s",
                        (unsigned long long)(s->fragments[i].index / width), s->spec->name, row[f],
                        what);
            }
            return source_bad(
                &s->heap->source, s->from, e, "a bad number in \"%s\"", s->spec->name);
        }
    }
    return 0;
}

int rows_read(struct heap *h, const struct rows *spec, const struct numbers *numbers, uint64_t from,
    uint64_t *ret_rows, uint64_t *ret_end, bool *ret_whole, struct err *e)
{
    struct scan s = {.heap = h, .spec = spec, .numbers = numbers, .from = from};
    int r = turns_init(&s.turns, e);
    if (r < 0)
        return r;
    if (pthread_mutex_init(&s.lock, NULL) != 0) {
        turns_free(&s.turns);
        return err_set(e, ERR_NOMEM, "no memory for a lock");
    }
    /* A small file is not worth a thread. */
    bool small = spec->one_thread || h->source.size - from < 8 * (uint64_t)PIECE;
    r = parallel_run(small ? 1 : h->threads, scan_work, &s, e);
    uint64_t count = s.turns.count;
    if (r == 0 && count % spec->width && !s.cut)
        r = source_bad(&h->source, s.turns.end, e,
            "\"%s\" holds %llu numbers, which are no whole rows of %u", spec->name,
            (unsigned long long)count, spec->width);
    if (r == 0 && spec->most != UINT64_MAX && count / spec->width != spec->most && !s.cut)
        r = source_bad(&h->source, s.turns.end, e,
            "\"%s\" holds %llu rows, but the header says %llu", spec->name,
            (unsigned long long)(count / spec->width), (unsigned long long)spec->most);
    if (r == 0)
        r = scan_join(&s, e);
    if (r == 0) {
        *ret_rows = count / spec->width;
        *ret_end = s.turns.end;
        *ret_whole = !s.cut;
    }
    free(s.fragments);
    pthread_mutex_destroy(&s.lock);
    turns_free(&s.turns);
    return r;
}
