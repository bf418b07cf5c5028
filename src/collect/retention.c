/* Retention: the middle of a series goes first, its ends and what a diagnosis cites stay. */
#include "collect/retention.h"

#include "base/array.h"
#include "collect/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_MIN  2       /* the first and the latest */
#define FILES_MAX 1000000 /* a snapshot a minute for two years; 100 bytes each */

struct retention {
    struct retention_options options;
    struct retention_file *files; /* owned, in the order in which they were taken */
    size_t count;
    int64_t bytes; /* of all files */
};

/* ---- which one ---- */

static bool is_same_series(const struct retention_file *a, const struct retention_file *b)
{
    return a->target_id == b->target_id && strcmp(a->run_id, b->run_id) == 0;
}

static bool is_end_of_series(const struct retention_file *files, size_t count, size_t index)
{
    bool before = false, after = false;
    for (size_t i = 0; i < index && !before; i++)
        before = is_same_series(&files[i], &files[index]);
    for (size_t i = index + 1; i < count && !after; i++)
        after = is_same_series(&files[i], &files[index]);
    return !before || !after;
}

/* The oldest file that may go; ends: an ended run's first and latest, too. */
static int pick_oldest(const struct retention_file *files, size_t count, enum retention_scope scope,
    int64_t target_id, bool ends)
{
    for (size_t i = 0; i < count; i++) {
        const struct retention_file *f = &files[i];
        bool ours = f->run_id[0] == '\0';
        bool in_scope = scope == RETENTION_ALL_RUNS || ours;
        if (!in_scope || f->cited || f->live || f->busy || (target_id && f->target_id != target_id))
            continue;
        if (!is_end_of_series(files, count, i) || (ends && !ours))
            return (int)i;
    }
    return -1;
}

int retention_pick(
    const struct retention_file *files, size_t count, enum retention_scope scope, int64_t target_id)
{
    int index = pick_oldest(files, count, scope, target_id, false);
    if (index < 0 && scope == RETENTION_ALL_RUNS)
        index = pick_oldest(files, count, scope, target_id, true);
    return index;
}

/* ---- deleting ---- */

static void forget(struct retention *r, size_t index)
{
    r->bytes -= r->files[index].bytes;
    free(r->files[index].path);
    r->count--;
    memmove(&r->files[index], &r->files[index + 1], (r->count - index) * sizeof *r->files);
}

/* What stands at the path is still the capture that the record speaks of. */
static bool is_ours(const struct retention_file *f)
{
    struct stat st;
    return lstat(f->path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == f->bytes;
}

/* Unlinking a gigabyte takes some tens of milliseconds, once after a stall of many seconds: that is
 * no reason for a thread. */
static void delete_file(struct retention *r, size_t index, const char *why)
{
    struct retention_file *f = &r->files[index];
    const char *run_id = f->run_id[0] ? f->run_id : NULL;
    errno = 0;
    if (is_ours(f) && unlink(f->path) == 0)
        r->options.deleted(r->options.arg, run_id, f->snapshot_id, f->path, why);
    else if (errno == ENOENT)
        r->options.deleted(r->options.arg, run_id, f->snapshot_id, f->path, "it was gone already");
    forget(r, index); /* what cannot be deleted, or is something else now, is left alone */
}

/* ---- the bounds ---- */

static size_t count_of_target(const struct retention *r, int64_t target_id)
{
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++)
        count += r->files[i].run_id[0] == '\0' && r->files[i].target_id == target_id;
    return count;
}

static void keep_few(struct retention *r, int64_t target_id)
{
    char why[64];
    size_t keep = r->options.keep < KEEP_MIN ? KEEP_MIN : (size_t)r->options.keep;
    if (r->options.keep == 0)
        return;
    snprintf(why, sizeof why, "--keep %lld", (long long)r->options.keep);
    while (count_of_target(r, target_id) > keep) {
        int index = retention_pick(r->files, r->count, RETENTION_THIS_RUN, target_id);
        if (index < 0)
            return;
        delete_file(r, (size_t)index, why);
    }
}

int64_t retention_room(const struct retention *r)
{
    if (r->options.max_disk == 0)
        return -1;
    return r->options.max_disk > r->bytes ? r->options.max_disk - r->bytes : 0;
}

/* What could be deleted at the most: a file that finds no room all the same costs no other. */
static int64_t deletable(const struct retention *r, enum retention_scope scope)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct retention_file *f = &r->files[i];
        bool ours = f->run_id[0] == '\0';
        bool may = ours ? !is_end_of_series(r->files, r->count, i) : scope == RETENTION_ALL_RUNS;
        if (may && !f->cited && !f->live && !f->busy)
            bytes += f->bytes;
    }
    return bytes;
}

static bool make_quota(struct retention *r, int64_t bytes)
{
    bool any = false;
    if (bytes > 0 && r->bytes - deletable(r, RETENTION_ALL_RUNS) + bytes > r->options.max_disk)
        return false;
    while (r->options.max_disk > 0 && r->bytes + bytes > r->options.max_disk) {
        int index = retention_pick(r->files, r->count, RETENTION_ALL_RUNS, 0);
        if (index < 0)
            break;
        delete_file(r, (size_t)index, "--max-disk");
        any = true;
    }
    return any;
}

static bool make_free(struct retention *r, const char *folder, int64_t wanted)
{
    struct err e = ERR_NONE;
    int64_t free_bytes;
    bool any = false;
    if (capture_folder_free_bytes(folder, &free_bytes, &e) != 0 ||
        free_bytes + deletable(r, RETENTION_THIS_RUN) < wanted)
        return false;
    while (capture_folder_free_bytes(folder, &free_bytes, &e) == 0 && free_bytes < wanted) {
        int index = retention_pick(r->files, r->count, RETENTION_THIS_RUN, 0);
        if (index < 0)
            break;
        delete_file(r, (size_t)index, "--min-free");
        any = true;
    }
    return any;
}

static void enforce(struct retention *r, int64_t target_id)
{
    keep_few(r, target_id);
    (void)make_quota(r, 0);
}

bool retention_make_room(struct retention *r, const char *folder, int64_t bytes, int64_t min_free)
{
    bool quota = make_quota(r, bytes);
    bool space = make_free(r, folder, bytes + min_free);
    return quota || space;
}

/* ---- what there is ---- */

static int add_file(struct retention *r, const struct retention_file *file, struct err *e)
{
    if (r->count == FILES_MAX)
        return err_set(e, ERR_FULL, "more than %d captures in one folder", FILES_MAX);
    if (!array_more(&r->files, r->count))
        return err_set(e, ERR_NOMEM, "out of memory");
    size_t at = r->count;
    while (at > 0 && r->files[at - 1].taken_ms > file->taken_ms)
        at--;
    memmove(&r->files[at + 1], &r->files[at], (r->count - at) * sizeof *r->files);
    r->files[at] = *file;
    r->files[at].path = strdup(file->path);
    if (!r->files[at].path) {
        memmove(&r->files[at], &r->files[at + 1], (r->count - at) * sizeof *r->files);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    r->count++;
    r->bytes += file->bytes;
    return 0;
}

int retention_add(struct retention *r, int64_t snapshot_id, int64_t target_id, const char *path,
    int64_t bytes, int64_t taken_ms, struct err *e)
{
    struct retention_file file = {.path = (char *)(uintptr_t)path,
        .snapshot_id = snapshot_id,
        .target_id = target_id,
        .bytes = bytes,
        .taken_ms = taken_ms};
    int rc = add_file(r, &file, e);
    if (rc)
        return rc;
    enforce(r, target_id);
    return 0;
}

static bool is_in_folder(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length == 1)
        length = 0;
    return strncmp(path, folder, length) == 0 && path[length] == '/' &&
           !strchr(path + length + 1, '/');
}

int retention_add_past(
    struct retention *r, const struct past *past, const char *folder, struct err *e)
{
    for (size_t i = 0; i < past_count(past); i++) {
        const struct past_capture *c = past_at(past, i);
        struct retention_file file = {.path = c->file,
            .snapshot_id = c->snapshot_id,
            .target_id = c->target_id,
            .bytes = c->bytes,
            .taken_ms = c->taken_ms,
            .cited = c->cited,
            .live = c->run_is_open};
        if (!c->file || !is_in_folder(c->file, folder) || !is_ours(&file))
            continue;
        snprintf(file.run_id, sizeof file.run_id, "%s", c->run_id);
        int rc = add_file(r, &file, e);
        if (rc)
            return rc;
    }
    return 0;
}

void retention_hold(struct retention *r, int64_t snapshot_id, bool busy)
{
    struct retention_file *held = NULL;
    for (size_t i = 0; i < r->count; i++)
        if (r->files[i].run_id[0] == '\0' && r->files[i].snapshot_id == snapshot_id)
            held = &r->files[i];
    if (!held)
        return;
    held->busy = busy;
    if (!busy)
        enforce(r, held->target_id); /* which may free held */
}

int retention_new(const struct retention_options *o, struct retention **ret, struct err *e)
{
    struct retention *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "out of memory");
    r->options = *o;
    *ret = r;
    return 0;
}

void retention_free(struct retention *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        free(r->files[i].path);
    free(r->files);
    free(r);
}
