/* Packed captures: whatever packs them, the same bytes come out, and a cut is told from damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "heap/unpack.h"

#define PLAIN_SIZE ((size_t)(3 << 20)) /* several pieces */

static char *plain; /* hard to pack, so that packed data spans pieces as well */
static char *packed[3];
static size_t packed_size[3];

static int setup(void **state)
{
    (void)state;
    plain = malloc(PLAIN_SIZE);
    uint32_t x = 1;
    for (size_t i = 0; i < PLAIN_SIZE; i++) {
        x = x * 1664525u + 1013904223u;
        plain[i] = (char)(x >> 28);
    }
    packed[UNPACK_PLAIN] = malloc(PLAIN_SIZE);
    memcpy(packed[UNPACK_PLAIN], plain, PLAIN_SIZE);
    packed_size[UNPACK_PLAIN] = PLAIN_SIZE;

    size_t bound = ZSTD_compressBound(PLAIN_SIZE);
    packed[UNPACK_ZSTD] = malloc(bound);
    packed_size[UNPACK_ZSTD] = ZSTD_compress(packed[UNPACK_ZSTD], bound, plain, PLAIN_SIZE, 1);

    z_stream z = {0};
    deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    bound = deflateBound(&z, PLAIN_SIZE);
    packed[UNPACK_GZIP] = malloc(bound);
    z.next_in = (Bytef *)plain;
    z.avail_in = PLAIN_SIZE;
    z.next_out = (Bytef *)packed[UNPACK_GZIP];
    z.avail_out = (uInt)bound;
    deflate(&z, Z_FINISH);
    packed_size[UNPACK_GZIP] = z.total_out;
    deflateEnd(&z);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(plain);
    for (int i = 0; i < 3; i++)
        free(packed[i]);
    return 0;
}

/* The first `count` bytes of what is packed, `times` in a row, out of a file. Returns the result of
 * the last read; out gets the bytes. */
static int unpack_parts(
    enum unpack_packing p, size_t count, int times, struct buf *out, bool *ret_cut, struct err *e)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    for (int i = 0; i < times; i++)
        assert_int_equal(fwrite(packed[p], 1, count, file), count);
    assert_int_equal(fflush(file), 0);
    rewind(file);
    struct unpack *u = NULL;
    assert_int_equal(unpack_open(fileno(file), &u, e), 0);
    const void *bytes;
    size_t got = 0;
    int rc;
    *out = buf_new(4 * PLAIN_SIZE);
    while ((rc = unpack_read(u, &bytes, &got, e)) == 0 && got > 0)
        assert_int_equal(buf_add(out, bytes, got), 0);
    *ret_cut = unpack_is_cut(u);
    if (rc == 0) {
        assert_int_equal(unpack_taken(u), count * (size_t)times);
        assert_int_equal(unpack_read(u, &bytes, &got, e), 0); /* the end stays the end */
        assert_int_equal(got, 0);
    }
    unpack_close(u);
    fclose(file);
    return rc;
}

static void the_same_bytes_come_out(void **state)
{
    (void)state;
    for (int p = UNPACK_PLAIN; p <= UNPACK_GZIP; p++)
        for (int times = 1; times <= 2; times++) { /* zstd frames and gzip members may follow on */
            struct buf out;
            bool cut;
            struct err e = ERR_NONE;
            size_t size = packed_size[p];
            assert_int_equal(unpack_parts((enum unpack_packing)p, size, times, &out, &cut, &e), 0);
            assert_int_equal(out.length, PLAIN_SIZE * (size_t)times);
            assert_memory_equal(out.data, plain, PLAIN_SIZE);
            assert_memory_equal(out.data + out.length - PLAIN_SIZE, plain, PLAIN_SIZE);
            buf_free(&out);
        }
}

static void a_cut_is_told_from_damage(void **state)
{
    (void)state;
    for (int p = UNPACK_ZSTD; p <= UNPACK_GZIP; p++) {
        size_t size = packed_size[p];
        size_t cuts[] = {4, 5, 20, size / 2, UNPACK_PIECE, UNPACK_PIECE + 1, size - 1};
        for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
            struct buf out;
            bool cut = false;
            struct err e = ERR_NONE;
            assert_int_equal(
                unpack_parts((enum unpack_packing)p, cuts[i], 1, &out, &cut, &e), ERR_FORMAT);
            assert_true(cut);
            assert_int_equal(e.position, cuts[i]);
            if (out.length)
                assert_memory_equal(out.data, plain, out.length);
            buf_free(&out);
        }
        struct buf out;
        bool cut = false;
        struct err e = ERR_NONE;
        char *at = &packed[p][size / 2];
        for (int bit = 0; bit < 8; bit++)
            at[bit] = (char)~at[bit];
        int rc = unpack_parts((enum unpack_packing)p, size, 1, &out, &cut, &e);
        for (int bit = 0; bit < 8; bit++)
            at[bit] = (char)~at[bit];
        /* zstd without checksum may not see what a literal was */
        assert_true(rc == ERR_FORMAT || (rc == 0 && p == UNPACK_ZSTD));
        assert_false(rc == ERR_FORMAT && cut);
        buf_free(&out);
    }
}

static void *drip(void *arg)
{
    int fd = *(int *)arg;
    for (size_t i = 0; i < 5; i++) /* the first bytes one by one */
        assert_int_equal(write(fd, packed[UNPACK_GZIP] + i, 1), 1);
    for (size_t i = 5; i < packed_size[UNPACK_GZIP];) {
        ssize_t n = write(fd, packed[UNPACK_GZIP] + i, packed_size[UNPACK_GZIP] - i);
        assert_true(n > 0);
        i += (size_t)n;
    }
    close(fd);
    return NULL;
}

static void pipes_are_read(void **state)
{
    (void)state;
    int ends[2];
    pthread_t thread;
    struct unpack *u = NULL;
    struct err e = ERR_NONE;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&thread, NULL, drip, &ends[1]), 0);
    assert_int_equal(unpack_open(ends[0], &u, &e), 0);
    assert_int_equal(unpack_packing(u), UNPACK_GZIP);
    const void *bytes;
    size_t got, total = 0;
    while (unpack_read(u, &bytes, &got, &e) == 0 && got > 0) {
        assert_memory_equal(bytes, plain + total, got);
        total += got;
    }
    assert_int_equal(total, PLAIN_SIZE);
    unpack_close(u);
    pthread_join(thread, NULL);
    close(ends[0]);
}

static void what_cannot_be_read_is_said(void **state)
{
    (void)state;
    struct unpack *u = NULL;
    struct err e = ERR_NONE;
    assert_int_equal(unpack_open(-1, &u, &e), ERR_IO);
    assert_non_null(strstr(e.text, "Bad file descriptor"));
    assert_null(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_come_out),
        cmocka_unit_test(a_cut_is_told_from_damage),
        cmocka_unit_test(pipes_are_read),
        cmocka_unit_test(what_cannot_be_read_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
