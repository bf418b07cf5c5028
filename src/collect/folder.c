/* File names of captures, free space, and the search for .part files of dead writers. */
#include "collect/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* Keeps names well below NAME_MAX (255): the other parts take at most 100 bytes. */
#define LABEL_MAX 48
/* A .part file that was just created may not be locked yet: its writer gets this long. */
#define LOCK_GRACE_MS 2000

static const char *folder_or_default(const char *folder)
{
    return folder ? folder : CAPTURE_FOLDER_DEFAULT;
}

const char *capture_kind_suffix(enum capture_kind kind)
{
    static const char *const suffixes[] = {[CAPTURE_SNAPSHOT] = ".heapsnapshot",
        [CAPTURE_TIMELINE] = ".heaptimeline",
        [CAPTURE_PROFILE] = ".heapprofile"};
    return suffixes[kind];
}

/* Lower case, everything else than letters and digits becomes one '-', none at the ends. */
static void cut_label(char out[LABEL_MAX + 1], const char *label)
{
    size_t used = 0;
    for (const char *c = label ? label : ""; *c && used < LABEL_MAX; c++) {
        if ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'))
            out[used++] = *c;
        else if (*c >= 'A' && *c <= 'Z')
            out[used++] = (char)(*c - 'A' + 'a');
        else if (used > 0 && out[used - 1] != '-')
            out[used++] = '-';
    }
    while (used > 0 && out[used - 1] == '-')
        used--;
    out[used] = '\0';
    if (used == 0)
        strcpy(out, "target");
}

int capture_path_make(const struct capture_name *n, char **ret_path, struct err *e)
{
    char label[LABEL_MAX + 1];
    char when[CLOCK_ISO_SIZE];
    const char *folder = folder_or_default(n->folder);
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    cut_label(label, n->label);
    char *path = text_format("%.*s%sheap-%s-%s-%" PRId64 "-%" PRId64 "%s", (int)length, folder,
        length == 1 && folder[0] == '/' ? "" : "/", label, clock_compact(when, n->wall_ms), n->pid,
        n->seq, capture_kind_suffix(n->kind));
    if (!path)
        return err_set(e, ERR_NOMEM, "out of memory");
    *ret_path = path;
    return 0;
}

int capture_folder_check(const char *folder, struct err *e)
{
    struct stat st;
    folder = folder_or_default(folder);
    if (stat(folder, &st) != 0)
        return err_set_errno(e, ERR_IO, errno,
            "cannot use the folder %s for captures (--dir names another)", folder);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO,
            "%s is no folder, so captures cannot go there (--dir names another)", folder);
    /* faccessat, because access asks for the real user where we act as the effective one. */
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0)
        return err_set_errno(e, ERR_IO, errno,
            "cannot write captures to the folder %s (--dir names another)", folder);
    return 0;
}

int capture_folder_free_bytes(const char *folder, int64_t *ret_bytes, struct err *e)
{
    struct statvfs st;
    folder = folder_or_default(folder);
    if (statvfs(folder, &st) != 0)
        return err_set_errno(
            e, ERR_IO, errno, "cannot tell the free space of the folder %s", folder);
    uint64_t bytes = (uint64_t)st.f_bavail * st.f_frsize;
    *ret_bytes = bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
    return 0;
}

/* ---- leftovers ---- */

static bool is_capture_part(const char *name)
{
    static const char *const middles[] = {"", CAPTURE_ZSTD_SUFFIX};
    size_t length = strlen(name);
    for (int kind = CAPTURE_SNAPSHOT; kind <= CAPTURE_PROFILE; kind++) {
        for (size_t i = 0; i < 2; i++) {
            char tail[64];
            int size = snprintf(tail, sizeof tail, "%s%s" CAPTURE_PART_SUFFIX,
                capture_kind_suffix((enum capture_kind)kind), middles[i]);
            if (length > (size_t)size && strcmp(name + length - (size_t)size, tail) == 0)
                return true;
        }
    }
    return false;
}

/* Whether name is a .part of ours whose writer is gone; fills st. */
static bool is_dead(int folder_fd, const char *name, struct stat *st)
{
    /* O_NONBLOCK: a FIFO of that name must not hold us. Other users' files cannot be opened, and
     * are not ours to speak of. */
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool dead = fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_uid == geteuid() &&
                flock(fd, LOCK_SH | LOCK_NB) == 0;
    if (dead) {
        int64_t changed_ms = st->st_ctim.tv_sec * INT64_C(1000) + st->st_ctim.tv_nsec / 1000000;
        dead = st->st_size > 0 || clock_wall_ms() - changed_ms > LOCK_GRACE_MS;
    }
    (void)close(fd);
    return dead;
}

static int add_leftover(
    struct capture_leftovers *l, const char *folder, const char *name, const struct stat *st)
{
    l->total++;
    l->total_bytes += st->st_size;
    if (l->count == CAPTURE_LEFTOVERS_MAX)
        return 0;
    size_t length = strlen(folder);
    const char *between = length > 0 && folder[length - 1] == '/' ? "" : "/";
    char *path = text_format("%s%s%s", folder, between, name);
    if (!path)
        return ERR_NOMEM;
    l->items[l->count++] = (struct capture_leftover){.path = path,
        .bytes = st->st_size,
        .modified_ms = st->st_mtim.tv_sec * INT64_C(1000) + st->st_mtim.tv_nsec / 1000000};
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct capture_leftover *x = a, *y = b;
    return strcmp(x->path, y->path);
}

int capture_leftovers_list(const char *folder, struct capture_leftovers *ret, struct err *e)
{
    int rc = 0;
    struct capture_leftovers found = {0};
    folder = folder_or_default(folder);
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set_errno(e, ERR_IO, errno, "cannot look for old captures in %s", folder);
    found.items = calloc(CAPTURE_LEFTOVERS_MAX, sizeof *found.items);
    if (!found.items)
        rc = ERR_NOMEM;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(dir))) {
        struct stat st;
        if (is_capture_part(entry->d_name) && is_dead(dirfd(dir), entry->d_name, &st))
            rc = add_leftover(&found, folder, entry->d_name, &st);
    }
    (void)closedir(dir);
    if (rc != 0) {
        capture_leftovers_free(&found);
        return err_set(e, rc, "out of memory");
    }
    qsort(found.items, found.count, sizeof *found.items, by_path);
    *ret = found;
    return 0;
}

void capture_leftovers_free(struct capture_leftovers *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i].path);
    free(l->items);
    *l = (struct capture_leftovers){0};
}

int capture_output_check(const char *output, struct err *e)
{
    if (output && strcmp(output, "-") == 0)
        return err_set(
            e, ERR_USAGE, "a capture goes to a file, not to standard output: give -o a name");
    return 0;
}

bool capture_output_is_zstd(const char *output)
{
    size_t length = output ? strlen(output) : 0, suffix = sizeof CAPTURE_ZSTD_SUFFIX - 1;
    return length > suffix && strcmp(output + length - suffix, CAPTURE_ZSTD_SUFFIX) == 0;
}
