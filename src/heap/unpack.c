/* Streams out of plain, zstd and gzip files. */
#include "heap/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

struct unpack {
    int fd; /* borrowed */
    enum unpack_packing packing;
    char *in;  /* owned; UNPACK_PIECE bytes, as read */
    char *out; /* owned; UNPACK_PIECE bytes, unpacked; NULL for plain */
    size_t in_at, in_end;
    int64_t taken; /* read from fd */
    bool end;      /* of fd */
    bool inside;   /* a packed stream has begun and not ended */
    bool out_full; /* the last call filled out: there may be more without more input */
    bool cut;
    ZSTD_DCtx *zstd; /* owned */
    z_stream gzip;   /* set up when packing is UNPACK_GZIP */
};

/* Reads until `least` bytes are there or the end; whole reads behind what is unread. */
static int fill(struct unpack *u, size_t least, struct err *e)
{
    memmove(u->in, u->in + u->in_at, u->in_end - u->in_at);
    u->in_end -= u->in_at;
    u->in_at = 0;
    while (u->in_end < least && !u->end) {
        ssize_t count = read(u->fd, u->in + u->in_end, UNPACK_PIECE - u->in_end);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return err_set_errno(e, ERR_IO, errno, "cannot read");
        u->end = count == 0;
        u->in_end += (size_t)count;
        u->taken += count;
    }
    return 0;
}

static enum unpack_packing packing_of(const char *head, size_t count)
{
    if (count >= 4 && memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0)
        return UNPACK_ZSTD;
    return count >= 2 && memcmp(head, "\x1f\x8b", 2) == 0 ? UNPACK_GZIP : UNPACK_PLAIN;
}

static int prepare(struct unpack *u, struct err *e)
{
    if (u->packing == UNPACK_PLAIN)
        return 0;
    u->out = malloc(UNPACK_PIECE);
    bool ok = u->out != NULL;
    if (ok && u->packing == UNPACK_ZSTD) {
        u->zstd = ZSTD_createDCtx();
        ok = u->zstd != NULL;
    } else if (ok) {
        ok = inflateInit2(&u->gzip, 15 + 16) == Z_OK; /* 32 KB window, gzip header */
    }
    return ok ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

int unpack_open(int fd, struct unpack **ret, struct err *e)
{
    int rc = 0;
    struct unpack *u = calloc(1, sizeof *u);
    if (u)
        u->in = malloc(UNPACK_PIECE);
    if (!u || !u->in) {
        free(u);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    u->fd = fd;
    rc = fill(u, 4, e);
    if (rc == 0) {
        u->packing = packing_of(u->in, u->in_end);
        rc = prepare(u, e);
    }
    if (rc == 0)
        *ret = u;
    else
        unpack_close(u);
    return rc;
}

void unpack_close(struct unpack *u)
{
    if (!u)
        return;
    ZSTD_freeDCtx(u->zstd);
    if (u->packing == UNPACK_GZIP)
        (void)inflateEnd(&u->gzip);
    free(u->in);
    free(u->out);
    free(u);
}

static int broken(struct unpack *u, bool cut, struct err *e)
{
    u->cut = cut;
    err_set(e, ERR_FORMAT, "the %s data %s", unpack_name(u->packing),
        cut ? "ends too early" : "is damaged");
    if (e)
        e->position = u->taken - (int64_t)(u->in_end - u->in_at);
    return ERR_FORMAT;
}

static int step_zstd(struct unpack *u, size_t *ret_count, struct err *e)
{
    ZSTD_inBuffer in = {u->in, u->in_end, u->in_at};
    ZSTD_outBuffer out = {u->out, UNPACK_PIECE, 0};
    size_t left = ZSTD_decompressStream(u->zstd, &out, &in);
    u->in_at = in.pos;
    if (ZSTD_isError(left))
        return broken(u, false, e);
    u->inside = left != 0;
    u->out_full = out.pos == out.size;
    *ret_count = out.pos;
    return 0;
}

static int step_gzip(struct unpack *u, size_t *ret_count, struct err *e)
{
    u->gzip.next_in = (Bytef *)u->in + u->in_at;
    u->gzip.avail_in = (uInt)(u->in_end - u->in_at);
    u->gzip.next_out = (Bytef *)u->out;
    u->gzip.avail_out = UNPACK_PIECE;
    int state = inflate(&u->gzip, Z_NO_FLUSH);
    u->in_at = u->in_end - u->gzip.avail_in;
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR)
        return broken(u, false, e);
    u->inside = state != Z_STREAM_END;
    if (state == Z_STREAM_END)
        (void)inflateReset(&u->gzip); /* another member may follow */
    u->out_full = state != Z_STREAM_END && u->gzip.avail_out == 0;
    *ret_count = UNPACK_PIECE - u->gzip.avail_out;
    return 0;
}

int unpack_read(struct unpack *u, const void **ret_bytes, size_t *ret_count, struct err *e)
{
    size_t count = 0;
    int rc = 0;
    while (count == 0) {
        if (u->in_at == u->in_end && !u->out_full)
            rc = fill(u, 1, e);
        if (rc != 0)
            return rc;
        if (u->in_at == u->in_end && !u->out_full) {
            if (u->inside)
                return broken(u, true, e);
            break;
        }
        if (u->packing == UNPACK_PLAIN) {
            *ret_bytes = u->in + u->in_at;
            *ret_count = u->in_end - u->in_at;
            u->in_at = u->in_end;
            return 0;
        }
        rc = u->packing == UNPACK_ZSTD ? step_zstd(u, &count, e) : step_gzip(u, &count, e);
        if (rc != 0)
            return rc;
    }
    *ret_bytes = u->out;
    *ret_count = count;
    return 0;
}

enum unpack_packing unpack_packing(const struct unpack *u)
{
    return u->packing;
}

int64_t unpack_taken(const struct unpack *u)
{
    return u->taken;
}

bool unpack_is_cut(const struct unpack *u)
{
    return u->cut;
}

const char *unpack_name(enum unpack_packing p)
{
    static const char *const names[] = {
        [UNPACK_PLAIN] = "plain", [UNPACK_ZSTD] = "zstd", [UNPACK_GZIP] = "gzip"};
    return names[p];
}
