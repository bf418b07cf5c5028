/* A .part file: check, compress, hash and write on the way in; fsync and rename at the end. */
#include "collect/part.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <zstd.h>

#include "base/text.h"
#include "collect/file.h"
#include "heap/whole.h"

/* Level 3 is zstd's own default: 350 MB of snapshot shrink about seven times at several hundred
 * MB/s, faster than any target sends. */
#define PART_ZSTD_LEVEL 3
/* Writeback is started in steps of this size: large enough for sequential disk writes. */
#define PART_SYNC_STEP (8 * 1024 * 1024)

struct part {
    char *path;    /* owned; final name, as reported */
    char *folder;  /* owned */
    char *name;    /* owned; final name within folder */
    char *partial; /* owned; name + ".part" */
    int folder_fd; /* so that a renamed folder does not split creation from renaming */
    int fd;
    bool created; /* .part exists and is ours to remove */
    enum capture_kind kind;
    struct whole *whole; /* owned */
    EVP_MD_CTX *hash;    /* owned */
    ZSTD_CCtx *zstd;     /* owned; NULL without compression */
    char *packed;        /* owned; zstd's output, packed_size bytes */
    size_t packed_size;
    int64_t bytes;         /* written to the file */
    int64_t content_bytes; /* taken by part_write */
    int64_t sync_begun;    /* bytes whose writeback was started */
    int64_t sync_ended;    /* bytes that are known to have left the page cache */
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static int set_names(struct part *p, const char *path, bool compress, struct err *e)
{
    const char *suffix =
        compress && !ends_with(path, CAPTURE_ZSTD_SUFFIX) ? CAPTURE_ZSTD_SUFFIX : "";
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(e, ERR_IO, "%s is no file name", *path ? path : "an empty text");
    p->path = text_format("%s%s", path, suffix);
    p->name = text_format("%s%s", name, suffix);
    p->partial = text_format("%s%s" CAPTURE_PART_SUFFIX, name, suffix);
    p->folder = !slash          ? strdup(".")
                : slash == path ? strdup("/")
                                : strndup(path, (size_t)(slash - path));
    if (!p->path || !p->name || !p->partial || !p->folder)
        return err_set(e, ERR_NOMEM, "out of memory");
    return 0;
}

static int create_file(struct part *p, struct err *e)
{
    struct stat st;
    p->folder_fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->folder_fd < 0)
        return err_set_errno(e, ERR_IO, errno, "cannot write to the folder %s", p->folder);
    if (fstatat(p->folder_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return err_set(e, ERR_IO, "%s exists already: choose another name or remove it", p->path);
    p->fd = openat(
        p->folder_fd, p->partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->fd < 0 && errno == EEXIST)
        return err_set(e, ERR_IO,
            "%s" CAPTURE_PART_SUFFIX " exists already: it is being written or was left by a "
            "killed heaptap; choose another name or remove it",
            p->path);
    if (p->fd < 0)
        return err_set_errno(e, ERR_IO, errno, "cannot create %s", p->path);
    p->created = true;
    /* Tells capture_leftovers_list that we live. A file system without locks only costs that. */
    (void)flock(p->fd, LOCK_EX | LOCK_NB);
    return 0;
}

static int create_tools(struct part *p, bool compress, struct err *e)
{
    p->whole = whole_new();
    p->hash = EVP_MD_CTX_new();
    if (!p->whole || !p->hash)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (EVP_DigestInit_ex(p->hash, EVP_sha256(), NULL) != 1)
        return err_set(e, ERR_INTERNAL, "libcrypto does not offer SHA-256");
    if (!compress)
        return 0;
    p->zstd = ZSTD_createCCtx();
    p->packed_size = ZSTD_CStreamOutSize();
    p->packed = malloc(p->packed_size);
    if (!p->zstd || !p->packed)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, PART_ZSTD_LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1)))
        return err_set(e, ERR_INTERNAL, "libzstd refused its settings");
    return 0;
}

int part_create(
    const char *path, enum capture_kind kind, bool compress, struct part **ret, struct err *e)
{
    struct part *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "out of memory");
    p->folder_fd = -1;
    p->fd = -1;
    p->kind = kind;
    int rc = set_names(p, path, compress, e);
    if (rc == 0)
        rc = create_tools(p, compress, e);
    if (rc == 0)
        rc = create_file(p, e);
    if (rc == 0)
        *ret = p;
    else
        part_free(p);
    return rc;
}

const char *part_path(const struct part *p)
{
    return p->path;
}

static int write_error(const struct part *p, int errno_value, struct err *e)
{
    return err_set_errno(e, ERR_IO, errno_value, "cannot write %s", p->path);
}

/* Keeps writeback going while we write and waits for the oldest bytes when CAPTURE_DIRTY_MAX are
 * behind. An error that the kernel reports here it reports only once, so it counts. */
static int limit_dirty(struct part *p, struct err *e)
{
    while (p->bytes - p->sync_begun >= PART_SYNC_STEP) {
        (void)sync_file_range(p->fd, p->sync_begun, PART_SYNC_STEP, SYNC_FILE_RANGE_WRITE);
        p->sync_begun += PART_SYNC_STEP;
    }
    while (p->sync_begun - p->sync_ended > CAPTURE_DIRTY_MAX) {
        int rc = sync_file_range(p->fd, p->sync_ended, PART_SYNC_STEP,
            SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
        if (rc != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT))
            return write_error(p, errno, e);
        p->sync_ended += PART_SYNC_STEP;
    }
    return 0;
}

static int write_disk(struct part *p, const char *bytes, size_t count, struct err *e)
{
    if (EVP_DigestUpdate(p->hash, bytes, count) != 1)
        return err_set(e, ERR_INTERNAL, "libcrypto failed to hash");
    while (count > 0) {
        ssize_t written = write(p->fd, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return write_error(p, errno, e);
        bytes += written;
        count -= (size_t)written;
        p->bytes += written;
    }
    return limit_dirty(p, e);
}

static int write_packed(
    struct part *p, const char *bytes, size_t count, ZSTD_EndDirective end, struct err *e)
{
    ZSTD_inBuffer in = {bytes, count, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {p->packed, p->packed_size, 0};
        left = ZSTD_compressStream2(p->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return err_set(e, ERR_INTERNAL, "libzstd: %s", ZSTD_getErrorName(left));
        int rc = out.pos > 0 ? write_disk(p, p->packed, out.pos, e) : 0;
        if (rc != 0)
            return rc;
    } while (end == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return 0;
}

/* The bytes came from the target, so what the check found is a failed capture. */
static int not_whole(struct err *e)
{
    err_context(e, "the target did not send a whole capture");
    if (e)
        e->code = ERR_CAPTURE;
    return ERR_CAPTURE;
}

int part_write(struct part *p, const void *bytes, size_t count, struct err *e)
{
    int rc = whole_feed(p->whole, bytes, count, e);
    if (rc == ERR_FORMAT)
        return not_whole(e);
    if (rc != 0)
        return rc;
    p->content_bytes += (int64_t)count;
    if (p->zstd)
        return write_packed(p, bytes, count, ZSTD_e_continue, e);
    return write_disk(p, bytes, count, e);
}

static int check_whole(struct part *p, struct part_result *result, struct err *e)
{
    struct whole_result found;
    int rc = whole_finish(p->whole, &found, e);
    if (rc == ERR_FORMAT)
        return not_whole(e);
    if (rc != 0)
        return rc;
    enum whole_kind wanted = p->kind == CAPTURE_PROFILE ? WHOLE_PROFILE : WHOLE_SNAPSHOT;
    if (found.kind != wanted)
        return err_set(e, ERR_CAPTURE, "the target sent a %s where a %s was asked for",
            whole_kind_name(found.kind), whole_kind_name(wanted));
    result->nodes = found.nodes;
    result->edges = found.edges;
    return 0;
}

static int take_sha256(struct part *p, char out[65], struct err *e)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (EVP_DigestFinal_ex(p->hash, digest, &length) != 1 || length != 32)
        return err_set(e, ERR_INTERNAL, "libcrypto failed to hash");
    for (unsigned int i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

/* Renames within the folder, never over another file, also where renameat2 knows no flags (NFS). */
static int rename_new(struct part *p, struct err *e)
{
    if (renameat2(p->folder_fd, p->partial, p->folder_fd, p->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL || errno == ENOSYS) {
        if (linkat(p->folder_fd, p->partial, p->folder_fd, p->name, 0) == 0) {
            (void)unlinkat(p->folder_fd, p->partial, 0);
            return 0;
        }
    }
    if (errno == EEXIST)
        return err_set(
            e, ERR_IO, "%s was made by somebody else meanwhile: it was left as it is", p->path);
    return err_set_errno(e, ERR_IO, errno, "cannot rename %s" CAPTURE_PART_SUFFIX, p->path);
}

static int make_durable(struct part *p, struct err *e)
{
    if (fsync(p->fd) != 0)
        return write_error(p, errno, e);
    int fd = p->fd;
    p->fd = -1;
    if (close(fd) != 0 && errno != EINTR) /* NFS and quotas speak here */
        return write_error(p, errno, e);
    int rc = rename_new(p, e);
    if (rc != 0)
        return rc;
    p->created = false;
    if (fsync(p->folder_fd) != 0 && errno != EINVAL && errno != EBADF) {
        rc = err_set_errno(e, ERR_IO, errno, "cannot make the name %s durable", p->path);
        (void)unlinkat(p->folder_fd, p->name, 0);
    }
    return rc;
}

int part_seal(struct part *p, struct part_result *ret, struct err *e)
{
    struct part_result result = {0};
    int rc = check_whole(p, &result, e);
    if (rc == 0 && p->zstd)
        rc = write_packed(p, NULL, 0, ZSTD_e_end, e);
    if (rc == 0)
        rc = take_sha256(p, result.sha256, e);
    if (rc == 0)
        rc = make_durable(p, e);
    if (rc != 0)
        return rc;
    result.bytes = p->bytes;
    result.content_bytes = p->content_bytes;
    *ret = result;
    return 0;
}

void part_free(struct part *p)
{
    if (!p)
        return;
    if (p->created)
        (void)unlinkat(p->folder_fd, p->partial, 0);
    if (p->fd >= 0)
        (void)close(p->fd);
    if (p->folder_fd >= 0)
        (void)close(p->folder_fd);
    whole_free(p->whole);
    EVP_MD_CTX_free(p->hash);
    ZSTD_freeCCtx(p->zstd);
    free(p->packed);
    free(p->path);
    free(p->folder);
    free(p->name);
    free(p->partial);
    free(p);
}
