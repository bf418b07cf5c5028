/* The file behind a snapshot: opened, unpacked into an unlinked temporary file where it cannot be
 * mapped as it is (.zst, .gz, a pipe), read at offsets. */
#include "heap/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define SPOOL_BUFFER (1u << 20) /* bytes moved at a time: a syscall each megabyte costs nothing */

int source_bad(const struct source *s, uint64_t position, struct err *e, const char *format, ...)
{
    char what[ERR_TEXT_MAX / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    err_set(e, ERR_FORMAT, "%s: byte %llu: %s", s->name, (unsigned long long)position, what);
    if (e)
        e->position = (int64_t)position;
    return ERR_FORMAT;
}

int source_read(const struct source *s, void *to, size_t length, uint64_t offset, struct err *e)
{
    uint8_t *at = to;
    while (length) {
        ssize_t n = pread(s->fd, at, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(e, ERR_IO, errno, "%s: cannot read", s->name);
        if (n == 0)
            return source_bad(s, offset, e, "the file became shorter while it was read");
        at += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

/* ---- unpacking ---- */

struct spool {
    int from, to;
    uint8_t *in, *out;
    uint64_t written, taken, most;
    const struct source *source;
    const struct heap_options *options;
};

static int spool_progress(const struct spool *p, struct err *e)
{
    if (p->options->progress && p->options->progress(p->options->arg, HEAP_PHASE_UNPACK, -1) != 0)
        return err_set(e, ERR_CANCELLED, "%s: stopped while unpacking", p->source->name);
    return 0;
}

static int spool_write(struct spool *p, const uint8_t *bytes, size_t length, struct err *e)
{
    p->written += length;
    if (p->written > p->most)
        return err_set(e, ERR_FULL,
            "%s: unpacks to more than %llu MB, the bound for temporary files", p->source->name,
            (unsigned long long)(p->most >> 20));
    while (length) {
        ssize_t n = write(p->to, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(
                e, ERR_IO, errno, "%s: cannot write the unpacked copy", p->source->name);
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

static int spool_take(struct spool *p, size_t *ret_length, struct err *e)
{
    ssize_t n;
    do
        n = read(p->from, p->in, SPOOL_BUFFER);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set_errno(e, ERR_IO, errno, "%s: cannot read", p->source->name);
    p->taken += (uint64_t)n;
    *ret_length = (size_t)n;
    return spool_progress(p, e);
}

static int spool_plain(struct spool *p, size_t have, struct err *e)
{
    for (int r;;) {
        if ((r = spool_write(p, p->in, have, e)) < 0 || (r = spool_take(p, &have, e)) < 0)
            return r;
        if (have == 0)
            return 0;
    }
}

/* A packed file that ends or breaks too early: an error, or with `partial` what came out of it. */
static int spool_broken(const struct spool *p, struct err *e, const char *what)
{
    if (p->options->partial && p->written)
        return 0;
    return source_bad(p->source, p->taken, e, "%s", what);
}

static int spool_zstd(struct spool *p, size_t have, struct err *e)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();
    if (!z)
        return err_set(e, ERR_NOMEM, "%s: no memory to unpack it", p->source->name);
    int r = 0;
    size_t left = 0; /* 0 at the end of a frame */
    while (have) {
        ZSTD_inBuffer in = {p->in, have, 0};
        bool more = true; /* the last call may have filled the output */
        while (in.pos < in.size || more) {
            ZSTD_outBuffer out = {p->out, SPOOL_BUFFER, 0};
            left = ZSTD_decompressStream(z, &out, &in);
            if (ZSTD_isError(left)) {
                r = spool_broken(p, e, "the zstd data is damaged");
                goto out;
            }
            if ((r = spool_write(p, p->out, out.pos, e)) < 0)
                goto out;
            more = out.pos == out.size;
        }
        if ((r = spool_take(p, &have, e)) < 0)
            goto out;
    }
    if (left != 0)
        r = spool_broken(p, e, "the zstd data ends too early");
out:
    ZSTD_freeDCtx(z);
    return r;
}

static int spool_gzip(struct spool *p, size_t have, struct err *e)
{
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 32) != Z_OK)
        return err_set(e, ERR_NOMEM, "%s: no memory to unpack it", p->source->name);
    int r = 0, state = Z_OK;
    while (have) {
        z.next_in = p->in;
        z.avail_in = (uInt)have;
        do {
            if (state == Z_STREAM_END) { /* another member behind the first */
                if (z.avail_in == 0)
                    break;
                inflateReset(&z);
            }
            z.next_out = p->out;
            z.avail_out = SPOOL_BUFFER;
            state = inflate(&z, Z_NO_FLUSH);
            if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
                r = spool_broken(p, e, "the gzip data is damaged");
                goto out;
            }
            if ((r = spool_write(p, p->out, SPOOL_BUFFER - z.avail_out, e)) < 0)
                goto out;
        } while (z.avail_in || z.avail_out == 0);
        if ((r = spool_take(p, &have, e)) < 0)
            goto out;
    }
    if (state != Z_STREAM_END)
        r = spool_broken(p, e, "the gzip data ends too early");
out:
    inflateEnd(&z);
    return r;
}

static int scratch_open(const char *folder, int *ret_fd, struct err *e)
{
    if (!folder)
        folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) { /* a file system without nameless files */
        char path[4096];
        if ((size_t)snprintf(path, sizeof path, "%s/heaptap-XXXXXX", folder) < sizeof path &&
            (fd = mkostemp(path, O_CLOEXEC)) >= 0)
            unlink(path);
    }
    if (fd < 0)
        return err_set_errno(e, ERR_IO, errno, "%s: cannot make a temporary file there", folder);
    *ret_fd = fd;
    return 0;
}

enum packing { PACKING_NONE, PACKING_ZSTD, PACKING_GZIP };

static enum packing packing_of(const uint8_t *head, size_t length)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd}, gzip[] = {0x1f, 0x8b};
    if (length >= sizeof zstd && memcmp(head, zstd, sizeof zstd) == 0)
        return PACKING_ZSTD;
    return length >= sizeof gzip && memcmp(head, gzip, sizeof gzip) == 0 ? PACKING_GZIP
                                                                         : PACKING_NONE;
}

/* Copies what fd gives from its current position into a temporary file, unpacked. */
static int source_spool(struct source *s, int fd, const struct heap_options *o, struct err *e)
{
    struct spool p = {.from = fd,
        .to = -1,
        .most = o->max_unpacked ? o->max_unpacked : HEAP_UNPACKED_MAX,
        .source = s,
        .options = o};
    size_t have = 0;
    p.in = malloc(SPOOL_BUFFER);
    p.out = malloc(SPOOL_BUFFER);
    int r = p.in && p.out ? scratch_open(o->scratch, &p.to, e)
                          : err_set(e, ERR_NOMEM, "%s: no memory to unpack it", s->name);
    if (r < 0)
        goto out;
    /* The first bytes tell the packing; a pipe may give them one at a time. */
    while (have < 4) {
        ssize_t n = read(fd, p.in + have, SPOOL_BUFFER - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r = err_set_errno(e, ERR_IO, errno, "%s: cannot read", s->name);
            goto out;
        }
        if (n == 0)
            break;
        have += (size_t)n;
        p.taken += (uint64_t)n;
    }
    switch (packing_of(p.in, have)) {
    case PACKING_ZSTD: r = spool_zstd(&p, have, e); break;
    case PACKING_GZIP: r = spool_gzip(&p, have, e); break;
    case PACKING_NONE: r = spool_plain(&p, have, e); break;
    }
    if (r < 0)
        goto out;
    s->fd = p.to;
    s->owned = true;
    s->size = p.written;
    p.to = -1;
out:
    if (p.to >= 0)
        close(p.to);
    free(p.in);
    free(p.out);
    return r;
}

int source_open(struct source *s, int fd, bool owned, const char *name,
    const struct heap_options *o, struct err *e)
{
    *s = (struct source){.fd = fd, .owned = owned, .name = name};
    struct stat st;
    uint8_t head[4];
    int r;
    if (fstat(fd, &st) != 0)
        return err_set_errno(e, ERR_IO, errno, "%s: cannot look at it", name);
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO, "%s: is a folder, not a snapshot file", name);
    ssize_t have = S_ISREG(st.st_mode) ? pread(fd, head, sizeof head, 0) : -1;
    if (have < 0 || packing_of(head, (size_t)have) != PACKING_NONE) {
        if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_SET) != 0)
            return err_set_errno(e, ERR_IO, errno, "%s: cannot read from its start", name);
        r = source_spool(s, fd, o, e);
        if (owned)
            close(fd); /* spool made its own, or failed */
        if (r < 0) {
            s->fd = -1;
            s->owned = false;
            return r;
        }
    } else {
        s->size = (uint64_t)st.st_size;
    }
    if (s->size == 0)
        return source_bad(s, 0, e, "the file is empty");
    void *map = mmap(NULL, s->size, PROT_READ, MAP_SHARED, s->fd, 0);
    if (map == MAP_FAILED)
        return err_set_errno(e, ERR_IO, errno, "%s: cannot map it into memory", name);
    (void)madvise(map, s->size, MADV_RANDOM); /* names are looked up here and there */
    s->map = map;
    return 0;
}

void source_close(struct source *s)
{
    if (s->map)
        munmap((void *)(uintptr_t)s->map, s->size);
    if (s->owned && s->fd >= 0)
        close(s->fd);
    *s = (struct source){.fd = -1};
}
