/* The file behind a snapshot: opened, unpacked into an unlinked temporary file where it cannot be
 * mapped as it is (.zst, .gz, a pipe), read at offsets. */
#include "heap/inside.h"
#include "heap/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEGINNING 64 /* bytes that tell a snapshot from what is none */

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

static int spool_write(
    struct source *s, int fd, const uint8_t *bytes, size_t length, uint64_t most, struct err *e)
{
    if (length > most - s->size)
        return err_set(e, ERR_NOSPACE,
            "%s: unpacks to more than %llu MB, the bound for temporary files", s->name,
            (unsigned long long)(most >> 20));
    s->size += length;
    while (length) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(e, ERR_IO, errno, "%s: cannot write the unpacked copy", s->name);
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

/* What does not begin as a snapshot does is not copied: /dev/zero would fill the disk. */
static int check_beginning(
    const struct source *s, const uint8_t *bytes, size_t length, struct err *e)
{
    static const char database[] = "SQLite format 3";
    size_t at = 0;
    while (at < length && strchr(" \t\r\n", bytes[at]) && bytes[at])
        at++;
    if (length >= sizeof database && memcmp(bytes, database, sizeof database) == 0)
        return source_bad(s, 0, e, "this is an SQLite database, no heap snapshot");
    return at == length || bytes[at] == '{'
               ? 0
               : source_bad(s, at, e, "it does not begin with \"{\": this is no heap snapshot");
}

/* Copies what fd gives from its current position into a temporary file, unpacked. */
static int source_spool(struct source *s, int fd, const struct heap_options *o, struct err *e)
{
    struct unpack *u = NULL;
    uint64_t most = o->max_unpacked ? o->max_unpacked : HEAP_UNPACKED_MAX;
    int to = -1, r = unpack_open(fd, &u, e);
    if (r == 0)
        r = scratch_open(o->scratch, &to, e);
    for (size_t count = 1; r == 0 && count;) {
        const void *bytes;
        r = unpack_read(u, &bytes, &count, e);
        /* A packed file that breaks: what came out before may do. */
        if (r == ERR_FORMAT && o->partial && s->size) {
            r = 0;
            break;
        }
        if (r < 0) {
            err_context(e, "%s", s->name);
            break;
        }
        if (s->size == 0 && count)
            r = check_beginning(s, bytes, count, e);
        if (r == 0)
            r = spool_write(s, to, bytes, count, most, e);
        if (r == 0 && o->progress && o->progress(o->arg, HEAP_PHASE_UNPACK, -1) != 0)
            r = err_set(e, ERR_CANCELLED, "%s: stopped while unpacking", s->name);
    }
    unpack_close(u);
    if (r < 0 && to >= 0)
        close(to);
    if (r == 0) {
        s->fd = to;
        s->owned = true;
    }
    return r;
}

/* Whether the first bytes are those of a zstd or gzip file. */
static bool is_packed(const uint8_t *head, size_t length)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd}, gzip[] = {0x1f, 0x8b};
    return (length >= sizeof zstd && memcmp(head, zstd, sizeof zstd) == 0) ||
           (length >= sizeof gzip && memcmp(head, gzip, sizeof gzip) == 0);
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
    if (have < 0 || is_packed(head, (size_t)have)) {
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
    r = check_beginning(s, s->map, s->size < BEGINNING ? (size_t)s->size : BEGINNING, e);
    if (r < 0)
        source_close(s);
    return r;
}

void source_close(struct source *s)
{
    if (s->map)
        munmap((void *)(uintptr_t)s->map, s->size);
    if (s->owned && s->fd >= 0)
        close(s->fd);
    *s = (struct source){.fd = -1};
}
