/* A file is written beside its place, then renamed onto it. */
#include "base/replace.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_TRIED                                                                                \
    16 /* others' leftovers with our process id, as containers that share a folder */

static int fail(struct err *e, int reason, const char *path)
{
    bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
    return err_set_errno(e, full ? ERR_NOSPACE : ERR_IO, reason, "cannot write %s", path);
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

static int write_through(const char *path, const void *bytes, size_t length, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(e, errno, path);
    int reason = write_all(fd, bytes, length);
    if (close(fd) != 0 && reason == 0)
        reason = errno;
    return reason ? fail(e, reason, path) : 0;
}

/* A new file beside place, under a name that nobody has; *ret_name is the caller's. */
static int open_beside(const char *place, char **ret_name, int *ret_reason)
{
    for (int i = 0; i < NAMES_TRIED; i++) {
        char *name = text_format("%s.%ld-%d.part", place, (long)getpid(), i);
        if (!name) {
            *ret_reason = ENOMEM;
            return -1;
        }
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0) {
            *ret_name = name;
            return fd;
        }
        *ret_reason = errno;
        free(name);
        if (*ret_reason != EEXIST)
            return -1;
    }
    return -1;
}

/* The new name is lost in a crash unless its folder is on disk, too; some file systems cannot. */
static void sync_folder(const char *place)
{
    char *copy = strdup(place);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(copy);
}

static int write_beside(const char *place, const struct stat *old, const void *bytes, size_t length,
    const char *path, struct err *e)
{
    char *name = NULL;
    int reason = 0;
    int fd = open_beside(place, &name, &reason);
    if (fd < 0)
        return fail(e, reason, path);
    if (old && fchmod(fd, old->st_mode & 07777) != 0)
        reason = errno;
    if (reason == 0)
        reason = write_all(fd, bytes, length);
    if (reason == 0 && fsync(fd) != 0)
        reason = errno;
    if (close(fd) != 0 && reason == 0)
        reason = errno;
    if (reason == 0 && rename(name, place) != 0)
        reason = errno;
    if (reason)
        (void)unlink(name);
    else
        sync_folder(place);
    free(name);
    return reason ? fail(e, reason, path) : 0;
}

int replace_file(const char *path, const void *bytes, size_t length, struct err *e)
{
    struct stat old;
    bool there = stat(path, &old) == 0;
    if (there && S_ISDIR(old.st_mode))
        return fail(e, EISDIR, path);
    if (there && !S_ISREG(old.st_mode))
        return write_through(path, bytes, length, e);
    char *place = there ? realpath(path, NULL) : strdup(path);
    if (!place)
        return fail(e, errno, path);
    int rc = write_beside(place, there ? &old : NULL, bytes, length, path, e);
    free(place);
    return rc;
}
