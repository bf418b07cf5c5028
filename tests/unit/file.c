/* Capture files: what a full disk, a bad peer, a killed process or a name taken would cost a user.
 * System calls of the writer are wrapped by the linker so that the n-th one can be made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <zstd.h>

#include "base/text.h"
#include "collect/file.h"
#include "collect/part.h"

/* ---- faults ---- */

enum call { CALL_WRITE, CALL_FSYNC, CALL_RENAME, CALL_SYNC_RANGE, CALL_COUNT };

static struct {
    atomic_int calls[CALL_COUNT];   /* made so far */
    atomic_int fail_at[CALL_COUNT]; /* which call fails, from 1; 0: none */
    atomic_int with;                /* errno */
    atomic_bool short_writes;       /* write takes few bytes and is interrupted now and then */
    atomic_bool no_flags;           /* renameat2 as on a file system without RENAME_NOREPLACE */
    pthread_mutex_t gate;           /* held: the writer stands still in write */
} faults = {.gate = PTHREAD_MUTEX_INITIALIZER};

static bool fails(enum call call)
{
    if (atomic_fetch_add(&faults.calls[call], 1) + 1 != faults.fail_at[call])
        return false;
    errno = faults.with;
    return true;
}

static void reset_faults(void)
{
    for (int i = 0; i < CALL_COUNT; i++)
        faults.calls[i] = faults.fail_at[i] = 0;
    faults.with = EIO;
    faults.short_writes = faults.no_flags = false;
}

ssize_t __real_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
    if (count == 8) /* the test's own eventfd */
        return __real_write(fd, bytes, count);
    pthread_mutex_lock(&faults.gate);
    pthread_mutex_unlock(&faults.gate);
    if (fails(CALL_WRITE))
        return -1;
    if (faults.short_writes && faults.calls[CALL_WRITE] % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    return __real_write(fd, bytes, faults.short_writes && count > 4099 ? 4099 : count);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return fails(CALL_FSYNC) ? -1 : __real_fsync(fd);
}

int __real_sync_file_range(int fd, off_t offset, off_t count, unsigned flags);
int __wrap_sync_file_range(int fd, off_t offset, off_t count, unsigned flags);
int __wrap_sync_file_range(int fd, off_t offset, off_t count, unsigned flags)
{
    if (flags != SYNC_FILE_RANGE_WRITE && fails(CALL_SYNC_RANGE))
        return -1;
    return __real_sync_file_range(fd, offset, count, flags);
}

int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    if (fails(CALL_RENAME))
        return -1;
    if (faults.no_flags && flags) {
        errno = EINVAL;
        return -1;
    }
    return __real_renameat2(from_fd, from, to_fd, to, flags);
}

/* ---- a folder, a loop and a capture ---- */

struct fixture {
    char folder[64];
    char path[128]; /* folder/a.heapsnapshot */
    int wake_fd;
    int writes_at_wake; /* blocks written when the writer first called */
    struct capture_writer *writer;
    int rooms;
    int dones;
    bool ok;
    struct capture_result result; /* of the last done; path copied below */
    char result_path[160];
    struct err error;
};

static void wake(void *arg)
{
    struct fixture *f = arg;
    uint64_t one = 1;
    if (f->writes_at_wake == 0)
        f->writes_at_wake = faults.calls[CALL_WRITE];
    assert_int_equal(write(f->wake_fd, &one, sizeof one), sizeof one);
}

static void on_room(void *arg)
{
    ((struct fixture *)arg)->rooms++;
}

static void on_done(void *arg, const struct capture_result *r, const struct err *why)
{
    struct fixture *f = arg;
    f->dones++;
    f->ok = r != NULL;
    assert_true((r == NULL) == (why != NULL));
    if (r) {
        f->result = *r;
        snprintf(f->result_path, sizeof f->result_path, "%s", r->path);
    } else {
        f->error = *why;
    }
}

static void turn(struct fixture *f) /* of the loop */
{
    struct pollfd p = {.fd = f->wake_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    uint64_t count;
    assert_int_equal(read(f->wake_fd, &count, sizeof count), sizeof count);
    capture_writer_dispatch(f->writer);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    reset_faults();
    strcpy(f->folder, "/tmp/heaptap-unit-file-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/a.heapsnapshot", f->folder);
    f->wake_fd = eventfd(0, EFD_CLOEXEC);
    struct err e = ERR_NONE;
    assert_int_equal(capture_writer_start(wake, f, &f->writer, &e), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    capture_writer_stop(f->writer);
    DIR *dir = opendir(f->folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    assert_int_equal(rmdir(f->folder), 0);
    close(f->wake_fd);
    free(f);
    return 0;
}

static int count_files(const struct fixture *f)
{
    int count = 0;
    DIR *dir = opendir(f->folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* A snapshot of about `size` bytes; owned. */
static char *make_snapshot(size_t size, size_t *ret_length)
{
    size_t rows = size / 16;
    struct buf b = buf_new(size + 4096);
    int rc = buf_addf(&b,
        "{\"snapshot\":{\"meta\":{\"node_fields\":[1],\"edge_fields\":[1]},\"node_count\":%zu,"
        "\"edge_count\":0},\"nodes\":[",
        rows);
    char row[] = ",000000000000000"; /* 16 bytes; printf would take longer than what is tested */
    for (size_t i = 0; i < rows && rc == 0; i++) {
        size_t value = i * 2654435761u % 1000000007u;
        for (size_t digit = 15; digit > 6; digit--, value /= 10)
            row[digit] = (char)('0' + value % 10);
        rc = i ? buf_add(&b, row, 16) : buf_add(&b, row + 1, 15);
    }
    if (rc == 0)
        rc = buf_add_text(&b, "],\"edges\":[],\"strings\":[\"x\"]}");
    assert_int_equal(rc, 0);
    *ret_length = b.length;
    return buf_take(&b);
}

static struct capture_file *open_file(struct fixture *f, bool compress)
{
    struct capture_file *file = NULL;
    struct err e = ERR_NONE;
    struct capture_file_options o = {.path = f->path,
        .kind = CAPTURE_SNAPSHOT,
        .compress = compress,
        .room = on_room,
        .done = on_done,
        .arg = f};
    if (capture_file_open(f->writer, &o, &file, &e) != 0)
        fail_msg("%s", e.text);
    return file;
}

/* Writes all, waiting for room as a loop does; stops early when the capture fails meanwhile. */
static void put(struct fixture *f, struct capture_file *file, const char *bytes, size_t count)
{
    while (count > 0 && f->dones == 0) {
        size_t taken = 0;
        int rc = capture_file_write(file, bytes, count, &taken);
        bytes += taken;
        count -= taken;
        if (rc == ERR_FULL)
            turn(f);
        else
            assert_int_equal(rc, 0);
    }
}

static void capture(struct fixture *f, const char *bytes, size_t count, bool compress)
{
    f->dones = 0;
    struct capture_file *file = open_file(f, compress);
    put(f, file, bytes, count);
    if (f->dones == 0)
        capture_file_finish(file);
    while (f->dones == 0)
        turn(f);
}

static char *read_file(const char *path, size_t *ret_length)
{
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    struct stat st;
    assert_int_equal(fstat(fileno(in), &st), 0);
    char *bytes = malloc((size_t)st.st_size + 1);
    assert_non_null(bytes);
    *ret_length = fread(bytes, 1, (size_t)st.st_size, in);
    fclose(in);
    return bytes;
}

static void assert_on_disk(const struct fixture *f, const char *bytes, size_t count)
{
    size_t length;
    char *read = read_file(f->result_path, &length);
    unsigned char digest[32];
    char hex[65];
    assert_int_equal(EVP_Digest(read, length, digest, NULL, EVP_sha256(), NULL), 1);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(f->result.sha256, hex);
    assert_int_equal(f->result.bytes, length);
    assert_int_equal(f->result.content_bytes, count);
    if (length != count || memcmp(read, bytes, count) != 0) {
        char *plain = malloc(count + 1);
        assert_int_equal(ZSTD_decompress(plain, count + 1, read, length), count);
        assert_memory_equal(plain, bytes, count);
        free(plain);
    }
    free(read);
    struct stat st;
    assert_int_equal(stat(f->result_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

/* ---- tests ---- */

static void a_capture_arrives_whole_and_hashed(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(20 << 20, &length);
    capture(f, bytes, length, false);
    assert_true(f->ok);
    assert_string_equal(f->result_path, f->path);
    assert_int_equal(f->result.nodes, (20 << 20) / 16);
    assert_on_disk(f, bytes, length);
    assert_int_equal(count_files(f), 1);
    free(bytes);
}

static void a_compressed_capture_unpacks_to_the_same(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(5 << 20, &length);
    capture(f, bytes, length, true);
    assert_true(f->ok);
    assert_non_null(strstr(f->result_path, ".heapsnapshot.zst"));
    assert_true(f->result.bytes < f->result.content_bytes);
    assert_on_disk(f, bytes, length);
    assert_int_equal(count_files(f), 1);
    free(bytes);
}

static void short_and_interrupted_writes_lose_nothing(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(1 << 20, &length);
    faults.short_writes = true;
    capture(f, bytes, length, false);
    assert_true(f->ok);
    assert_on_disk(f, bytes, length);
    free(bytes);
}

static void a_slow_disk_says_full_and_then_calls(void **state)
{
    struct fixture *f = *state;
    size_t length, taken = 0;
    char *bytes = make_snapshot(6 << 20, &length);
    struct capture_file *file = open_file(f, false);
    pthread_mutex_lock(&faults.gate);
    assert_int_equal(capture_file_write(file, bytes, length, &taken), ERR_FULL);
    assert_int_equal(taken, CAPTURE_BLOCK_COUNT * CAPTURE_BLOCK_SIZE);
    assert_int_equal(f->rooms, 0);
    pthread_mutex_unlock(&faults.gate);
    while (f->rooms == 0)
        turn(f);
    assert_int_equal(f->rooms, 1);
    assert_int_equal(f->writes_at_wake, CAPTURE_BLOCK_COUNT / 2); /* not for every block */
    put(f, file, bytes + taken, length - taken);
    capture_file_finish(file);
    while (f->dones == 0)
        turn(f);
    assert_true(f->ok);
    assert_on_disk(f, bytes, length);
    free(bytes);
}

static void space_is_written_to_without_a_copy(void **state)
{
    struct fixture *f = *state;
    size_t length, done = 0;
    char *bytes = make_snapshot(3 << 20, &length);
    struct capture_file *file = open_file(f, false);
    while (done < length) {
        char *space;
        size_t size;
        size_t least = done % 7 ? 4 : 100000;
        int rc = capture_file_space(file, least, &space, &size);
        if (rc == ERR_FULL) {
            turn(f);
            continue;
        }
        assert_true(size >= least);
        size_t step = length - done < size ? length - done : size - done % 3;
        memcpy(space, bytes + done, step);
        capture_file_commit(file, step);
        done += step;
    }
    assert_int_equal(capture_file_bytes(file), length);
    capture_file_finish(file);
    while (f->dones == 0)
        turn(f);
    assert_true(f->ok);
    assert_on_disk(f, bytes, length);
    free(bytes);
}

static void assert_clean_failure(struct fixture *f, int code, const char *says)
{
    assert_int_equal(f->dones, 1);
    assert_false(f->ok);
    assert_int_equal(f->error.code, code);
    if (!strstr(f->error.text, says))
        fail_msg("\"%s\" does not say \"%s\"", f->error.text, says);
    assert_int_equal(count_files(f), 0);
}

static void every_failing_call_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(2 << 20, &length);
    for (int call = CALL_WRITE; call <= CALL_RENAME; call++) {
        int tried = 0;
        for (int nth = 1;; nth++) {
            reset_faults();
            faults.fail_at[call] = nth;
            faults.with = nth % 2 ? ENOSPC : EIO;
            capture(f, bytes, length, false);
            if (faults.calls[call] < nth)
                break;
            assert_clean_failure(f, nth % 2 ? ERR_NOSPACE : ERR_IO,
                nth % 2 ? "No space left on device" : "Input/output error");
            assert_non_null(strstr(f->error.text, "a.heapsnapshot"));
            tried++;
        }
        assert_true(tried >= (call == CALL_WRITE ? 8 : call == CALL_FSYNC ? 2 : 1));
        assert_true(f->ok); /* the last round had no fault */
        assert_int_equal(unlink(f->path), 0);
    }
    free(bytes);
}

static void an_error_told_early_by_writeback_counts(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(CAPTURE_DIRTY_MAX + (32 << 20), &length);
    faults.fail_at[CALL_SYNC_RANGE] = 2;
    capture(f, bytes, length, false);
    assert_clean_failure(f, ERR_IO, "Input/output error");
    free(bytes);
}

static void a_file_size_limit_is_an_error_and_no_death(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(2 << 20, &length);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1 << 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    capture(f, bytes, length, false);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_clean_failure(f, ERR_IO, "File too large");
    free(bytes);
}

static void half_a_capture_never_gets_a_name(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(1 << 20, &length);
    capture(f, bytes, length / 2, false);
    assert_clean_failure(f, ERR_CAPTURE, "truncated at byte");
    bytes[length / 3] = 'x';
    capture(f, bytes, length, false);
    assert_clean_failure(f, ERR_CAPTURE, "damaged at byte");
    capture(f, "{\"head\":{\"callFrame\":{}}}", 25, false);
    assert_clean_failure(f, ERR_CAPTURE, "a profile where a snapshot was asked for");
    capture(f, "", 0, true);
    assert_clean_failure(f, ERR_CAPTURE, "empty");
    free(bytes);
}

static void bytes_after_a_failure_are_taken_and_dropped(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(1 << 20, &length);
    bytes[0] = 'x';
    struct capture_file *file = open_file(f, false);
    for (int i = 0; i < 20; i++) /* done() is not looked for, so the file stays ours */
        for (size_t at = 0, taken; at < length; at += taken) {
            int rc = capture_file_write(file, bytes + at, length - at, &taken);
            assert_true(rc == 0 || rc == ERR_FULL);
        }
    capture_file_finish(file);
    while (f->dones == 0)
        turn(f);
    assert_clean_failure(f, ERR_CAPTURE, "foreign");
    free(bytes);
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void assert_text(const char *path, const char *text)
{
    size_t length;
    char *read = read_file(path, &length);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(read, text, length);
    free(read);
}

static void a_file_that_is_there_stays(void **state)
{
    struct fixture *f = *state;
    struct capture_file *file = NULL;
    struct err e = ERR_NONE;
    struct capture_file_options o = {
        .path = f->path, .kind = CAPTURE_SNAPSHOT, .done = on_done, .arg = f};
    write_text(f->path, "precious");
    assert_int_equal(capture_file_open(f->writer, &o, &file, &e), ERR_IO);
    assert_non_null(strstr(e.text, "exists already"));
    assert_int_equal(unlink(f->path), 0);

    size_t length;
    char *bytes = make_snapshot(1 << 20, &length);
    for (int i = 0; i < 2; i++) { /* made while we write, with and without renameat2's flag */
        faults.no_flags = i == 1;
        f->dones = 0;
        file = open_file(f, false);
        put(f, file, bytes, length);
        write_text(f->path, "precious");
        capture_file_finish(file);
        while (f->dones == 0)
            turn(f);
        assert_false(f->ok);
        assert_int_equal(f->error.code, ERR_IO);
        assert_text(f->path, "precious");
        assert_int_equal(count_files(f), 1);
        assert_int_equal(unlink(f->path), 0);
    }
    capture(f, bytes, length, false); /* link in place of renameat2 works too */
    assert_true(f->ok);
    assert_int_equal(count_files(f), 1);
    free(bytes);
}

static void a_part_file_of_somebody_else_stays(void **state)
{
    struct fixture *f = *state;
    char part[160];
    struct capture_file *file = NULL;
    struct err e = ERR_NONE;
    struct capture_file_options o = {
        .path = f->path, .kind = CAPTURE_SNAPSHOT, .done = on_done, .arg = f};
    snprintf(part, sizeof part, "%s.part", f->path);
    write_text(part, "precious");
    assert_int_equal(capture_file_open(f->writer, &o, &file, &e), ERR_IO);
    assert_non_null(strstr(e.text, ".part exists already"));
    assert_text(part, "precious");
    assert_int_equal(unlink(part), 0);
    assert_int_equal(symlink("/tmp/heaptap-unit-nowhere", part), 0);
    assert_int_equal(capture_file_open(f->writer, &o, &file, &e), ERR_IO);
    assert_int_equal(access("/tmp/heaptap-unit-nowhere", F_OK), -1);
}

static void a_folder_that_cannot_be_used_is_said_at_once(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/nonexistent/a.heapsnapshot", "/dev/null/a.heapsnapshot",
        "/proc/a.heapsnapshot", "/tmp/", ""};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct capture_file *file = NULL;
        struct err e = ERR_NONE;
        struct capture_file_options o = {
            .path = paths[i], .kind = CAPTURE_SNAPSHOT, .done = on_done, .arg = f};
        assert_int_equal(capture_file_open(f->writer, &o, &file, &e), ERR_IO);
        assert_null(file);
        assert_true(strlen(e.text) > 10);
    }
    struct err e = ERR_NONE;
    assert_int_equal(capture_folder_check(f->folder, &e), 0);
    assert_int_equal(capture_folder_check("/nonexistent", &e), ERR_IO);
    assert_non_null(strstr(e.text, "--dir"));
    assert_int_equal(capture_folder_check("/dev/null", &e), ERR_IO);
    int64_t bytes = 0;
    assert_int_equal(capture_folder_free_bytes(f->folder, &bytes, &e), 0);
    assert_true(bytes > 0);
    assert_int_equal(capture_folder_free_bytes("/nonexistent", &bytes, &e), ERR_IO);
}

static void cancelling_removes_the_part_file(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(1 << 20, &length);
    for (int i = 0; i < 20; i++) {
        struct capture_file *file = open_file(f, i % 2);
        put(f, file, bytes, i % 3 ? length : length / 2);
        if (i % 3 == 1)
            capture_file_finish(file);
        if (i == 0)
            assert_int_equal(count_files(f), 1);
        capture_file_cancel(file);
        capture_writer_stop(f->writer);
        struct err e = ERR_NONE;
        assert_int_equal(capture_writer_start(wake, f, &f->writer, &e), 0);
        assert_int_equal(f->dones, 0);
        if (i % 3 != 1)
            assert_int_equal(count_files(f), 0);
        char path[160];
        snprintf(path, sizeof path, "%s.zst", f->path);
        (void)unlink(f->path); /* it was complete before the cancel, which is allowed */
        (void)unlink(path);
        assert_int_equal(count_files(f), 0);
    }
    free(bytes);
}

static void stopping_completes_what_was_finished_and_cancels_the_rest(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(1 << 20, &length);
    struct capture_file *file = open_file(f, false);
    put(f, file, bytes, length);
    capture_file_finish(file);
    snprintf(f->path, sizeof f->path, "%s/b.heapsnapshot", f->folder);
    struct capture_file *other = open_file(f, false);
    put(f, other, bytes, length / 2);
    capture_writer_stop(f->writer);
    f->writer = NULL;
    assert_int_equal(f->dones, 1);
    assert_true(f->ok);
    assert_int_equal(count_files(f), 1);
    assert_on_disk(f, bytes, length);
    free(bytes);
}

static void several_files_share_the_queue(void **state)
{
    struct fixture *f = *state;
    size_t length;
    char *bytes = make_snapshot(3 << 20, &length);
    struct capture_file *files[CAPTURE_OPEN_MAX];
    size_t at[CAPTURE_OPEN_MAX] = {0};
    for (int i = 0; i < CAPTURE_OPEN_MAX; i++) {
        snprintf(f->path, sizeof f->path, "%s/%d.heapsnapshot", f->folder, i);
        files[i] = open_file(f, i % 2);
    }
    struct err e = ERR_NONE;
    struct capture_file *more = NULL;
    struct capture_file_options o = {
        .path = "/tmp/heaptap-unit-more", .kind = CAPTURE_SNAPSHOT, .done = on_done, .arg = f};
    assert_int_equal(capture_file_open(f->writer, &o, &more, &e), ERR_FULL);
    assert_int_equal(access("/tmp/heaptap-unit-more.part", F_OK), -1);
    for (size_t open = CAPTURE_OPEN_MAX; open > 0;) {
        bool full = false;
        for (int i = 0; i < CAPTURE_OPEN_MAX; i++) {
            size_t taken = 0;
            if (at[i] > length)
                continue;
            size_t step = length - at[i] < 70001 ? length - at[i] : 70001;
            full |= capture_file_write(files[i], bytes + at[i], step, &taken) == ERR_FULL;
            at[i] += taken;
            if (at[i] == length) {
                capture_file_finish(files[i]);
                at[i]++;
                open--;
            }
        }
        if (full)
            turn(f);
    }
    while (f->dones < CAPTURE_OPEN_MAX)
        turn(f);
    assert_int_equal(count_files(f), CAPTURE_OPEN_MAX);
    assert_true(f->ok);
    assert_on_disk(f, bytes, length);
    free(bytes);
}

static void names_are_as_the_design_says(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_NONE;
    char *path = NULL;
    struct capture_name n = {.folder = f->folder,
        .label = "../My Server (Prod).js\n",
        .wall_ms = 1769903999123,
        .pid = 4711,
        .seq = 12,
        .kind = CAPTURE_TIMELINE};
    char wanted[200];
    snprintf(wanted, sizeof wanted,
        "%s/heap-my-server-prod-js-20260131T235959.123Z-4711-12.heaptimeline", f->folder);
    assert_int_equal(capture_path_make(&n, &path, &e), 0);
    assert_string_equal(path, wanted);
    free(path);
    n = (struct capture_name){.label = "\xc3\xa9", .kind = CAPTURE_PROFILE};
    assert_int_equal(capture_path_make(&n, &path, &e), 0);
    assert_string_equal(path, "/tmp/heap-target-19700101T000000.000Z-0-0.heapprofile");
    free(path);
}

/* A child opens a capture, writes a part of it and is killed. */
static void leave_part_by_kill(struct fixture *f)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* what the writer thread does, without the thread */
        struct part *part = NULL;
        char path[200];
        snprintf(path, sizeof path, "%s/killed.heapsnapshot", f->folder);
        close(ready[0]);
        if (part_create(path, CAPTURE_SNAPSHOT, false, &part, NULL) == 0 &&
            part_write(part, "{\"snapshot\":", 12, NULL) == 0)
            (void)!write(ready[1], "x", 1);
        pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void what_kill_leaves_is_reported(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_NONE;
    struct capture_leftovers l;
    leave_part_by_kill(f);
    assert_int_equal(capture_leftovers_list(f->folder, &l, &e), 0);
    assert_int_equal(l.total, 1);
    assert_int_equal(l.items[0].bytes, 12);
    assert_non_null(strstr(l.items[0].path, "/killed.heapsnapshot.part"));
    capture_leftovers_free(&l);
    assert_int_equal(count_files(f), 1);
}

static void leftovers_of_the_dead_are_told_from_the_living(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_NONE;
    char path[200];
    struct capture_leftovers l;
    struct capture_file *file = open_file(f, false); /* alive */
    put(f, file, "{\"snapshot\":", 12);
    assert_int_equal(capture_leftovers_list(f->folder, &l, &e), 0);
    assert_int_equal(l.total, 0);
    capture_leftovers_free(&l);

    static const char *const others[] = {
        "b.part", "c.heapsnapshot", "d.heapsnapshot.part.txt", ".heapsnapshot.part"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(path, sizeof path, "%s/%s", f->folder, others[i]);
        write_text(path, "x");
    }
    snprintf(path, sizeof path, "%s/fifo.heapsnapshot.part", f->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/z.heaptimeline.zst.part", f->folder);
    write_text(path, "12345");
    snprintf(path, sizeof path, "%s/y.heapprofile.part", f->folder);
    write_text(path, "123");
    snprintf(path, sizeof path, "%s/new.heapprofile.part", f->folder);
    write_text(path, ""); /* may be about to be locked */
    assert_int_equal(capture_leftovers_list(f->folder, &l, &e), 0);
    assert_int_equal(l.total, 2);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.total_bytes, 8);
    assert_non_null(strstr(l.items[0].path, "/y.heapprofile.part"));
    assert_non_null(strstr(l.items[1].path, "/z.heaptimeline.zst.part"));
    assert_true(l.items[0].modified_ms > 1700000000000);
    capture_leftovers_free(&l);
    assert_int_equal(capture_leftovers_list("/nonexistent", &l, &e), ERR_IO);
    capture_file_cancel(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_capture_arrives_whole_and_hashed),
        TEST(a_compressed_capture_unpacks_to_the_same),
        TEST(short_and_interrupted_writes_lose_nothing),
        TEST(a_slow_disk_says_full_and_then_calls),
        TEST(space_is_written_to_without_a_copy),
        TEST(every_failing_call_leaves_nothing_behind),
        TEST(an_error_told_early_by_writeback_counts),
        TEST(a_file_size_limit_is_an_error_and_no_death),
        TEST(half_a_capture_never_gets_a_name),
        TEST(bytes_after_a_failure_are_taken_and_dropped),
        TEST(a_file_that_is_there_stays),
        TEST(a_part_file_of_somebody_else_stays),
        TEST(a_folder_that_cannot_be_used_is_said_at_once),
        TEST(cancelling_removes_the_part_file),
        TEST(stopping_completes_what_was_finished_and_cancels_the_rest),
        TEST(several_files_share_the_queue),
        TEST(names_are_as_the_design_says),
        TEST(leftovers_of_the_dead_are_told_from_the_living),
        TEST(what_kill_leaves_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
