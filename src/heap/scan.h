/* Scanning one big array of the file in pieces on two threads. */
#ifndef HEAPTAP_HEAP_SCAN_H
#define HEAPTAP_HEAP_SCAN_H

#include "heap/inside.h"
#include "heap/numbers.h"

#define PIECE      (256u << 10) /* bytes: with the numbers in it, it stays in a core's L2 cache */
#define LOOK_AHEAD 256u         /* bytes read behind a piece: the rest of its last number */

/* The pieces of a section are taken in turn: each thread looks through its piece first, says in
 * piece order how much is in it, and then knows where the results of its piece belong. */
struct turns {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t turn;  /* number of the piece whose count comes next */
    uint64_t count; /* of all pieces before it */
    uint64_t end;   /* offset behind the last piece's contents, once ended */
    bool ended, failed;
    _Atomic uint64_t next; /* piece to be taken */
};
int turns_init(struct turns *t, struct err *e) MUST_USE;
void turns_free(struct turns *t);
/* Waits for piece's turn. False: the section ended before it, or somebody failed. */
bool turns_wait(struct turns *t, uint64_t piece, uint64_t *ret_before);
/* Says what the piece holds; only between turns_wait and here may t->ended be set. */
void turns_pass(struct turns *t, uint64_t count);
void turns_fail(struct turns *t);

/* An array of rows of numbers. */
struct rows {
    const char *name; /* for messages */
    uint32_t width;   /* numbers a row */
    uint64_t most;    /* rows, UINT64_MAX: any number */
    /* Takes complete rows; false if a value in them is bad. On several threads at once unless
     * one_thread. */
    bool (*take)(struct heap *h, uint64_t row, const uint32_t *values, size_t rows, int thread);
    /* Says what is wrong with a value of a row, for the error's text; NULL if nothing. */
    const char *(*fault)(const struct heap *h, uint32_t field, uint64_t value);
    bool one_thread;
};
/* Reads the array whose first byte behind the bracket is at `from`. *ret_end is the offset of the
 * closing bracket (or the file's size, *ret_whole false, if partial and it ends too early). */
int rows_read(struct heap *h, const struct rows *spec, const struct numbers *numbers, uint64_t from,
    uint64_t *ret_rows, uint64_t *ret_end, bool *ret_whole, struct err *e) MUST_USE;

/* A piece in memory: `at` has NUMBERS_PAD readable bytes before and LOOK_AHEAD behind it. */
struct piece {
    uint8_t *memory, *at;
    size_t length;
    uint64_t offset;
};
int piece_new(struct piece *p, struct err *e) MUST_USE;
/* Reads piece number `number` of the section that begins at `from`; length 0 behind the file. */
int piece_read(struct piece *p, const struct source *s, uint64_t from, uint64_t number,
    struct err *e) MUST_USE;
void piece_free(struct piece *p);

#endif
