/* What it costs to turn the escaped chunks of a snapshot into a file that is checked, hashed and
 * durable: unescape, queue, check, SHA-256 and write, with and without zstd, against `cat` and
 * against the single parts. Each way runs in a process of its own.
 *
 * usage: bench_writer SNAPSHOT FOLDER [ROUNDS]     (writer.mjs makes a snapshot of a given size) */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/text.h"
#include "cdp/unescape.h"
#include "collect/file.h"
#include "heap/whole.h"
#include "show/table.h"

#define CHUNK     102400           /* decoded bytes a message, as Node 18 to 22 send */
#define FRAME_MAX (CHUNK * 2 + 16) /* every byte escaped */

static char frame[FRAME_MAX];
static char decoded[256 * 1024];

static void die(const char *what)
{
    fprintf(stderr, "bench_writer: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The chunks as they come over the wire, each behind its length, in an unlinked file. */
static int make_frames(const char *path, const char *folder)
{
    static char plain[CHUNK];
    char name[4096];
    snprintf(name, sizeof name, "%s/frames-XXXXXX", folder);
    int fd = mkstemp(name);
    FILE *in = fopen(path, "rb"), *out = fd >= 0 ? fdopen(dup(fd), "wb") : NULL;
    if (!in || !out)
        die(path);
    unlink(name);
    for (size_t n; (n = fread(plain, 1, sizeof plain, in)) > 0;) {
        uint32_t length = 0;
        for (size_t i = 0; i < n; i++) {
            char c = plain[i];
            if (c == '"' || c == '\\' || c == '\n')
                frame[length++] = '\\';
            frame[length++] = c == '\n' ? 'n' : c;
        }
        fwrite(&length, sizeof length, 1, out);
        fwrite(frame, 1, length, out);
    }
    fclose(in);
    if (fclose(out) != 0)
        die("frames");
    return fd;
}

static size_t next_frame(int fd, off_t *at)
{
    uint32_t length;
    if (pread(fd, &length, sizeof length, *at) != sizeof length)
        return 0;
    if (length > sizeof frame || pread(fd, frame, length, *at + 4) != (ssize_t)length)
        die("frames");
    *at += 4 + length;
    return length;
}

/* ---- the ways ---- */

static bool over;

static void on_done(void *arg, const struct capture_result *r, const struct err *why)
{
    (void)arg;
    if (!r) {
        fprintf(stderr, "bench_writer: %s\n", why->text);
        exit(1);
    }
    over = true;
}

static void on_wake(void *arg)
{
    uint64_t one = 1;
    if (write(*(int *)arg, &one, sizeof one) != sizeof one)
        die("wake");
}

static void wait_writer(struct capture_writer *w, int wake_fd)
{
    uint64_t count;
    if (read(wake_fd, &count, sizeof count) != sizeof count)
        die("wake");
    capture_writer_dispatch(w);
}

static void way_capture(int frames, const char *path, bool compress)
{
    struct err e = ERR_NONE;
    struct capture_writer *w = NULL;
    struct capture_file *f = NULL;
    int wake_fd = eventfd(0, 0);
    struct capture_file_options o = {
        .path = path, .kind = CAPTURE_SNAPSHOT, .compress = compress, .done = on_done};
    if (capture_writer_start(on_wake, &wake_fd, &w, &e) || capture_file_open(w, &o, &f, &e)) {
        fprintf(stderr, "bench_writer: %s\n", e.text);
        exit(1);
    }
    off_t at = 0;
    for (size_t length; (length = next_frame(frames, &at)) > 0;) {
        for (size_t used = 0, consumed, produced, size; used < length; used += consumed) {
            char *space;
            while (capture_file_space(f, UNESCAPE_MIN_ROOM, &space, &size) == ERR_FULL)
                wait_writer(w, wake_fd);
            if (unescape(frame + used, length - used, space, size, &consumed, &produced, &e))
                die(e.text);
            capture_file_commit(f, produced);
        }
    }
    capture_file_finish(f);
    while (!over)
        wait_writer(w, wake_fd);
    capture_writer_stop(w);
}

static void way_unescape(int frames)
{
    off_t at = 0;
    for (size_t length; (length = next_frame(frames, &at)) > 0;) {
        size_t consumed, produced;
        if (unescape(frame, length, decoded, sizeof decoded, &consumed, &produced, NULL))
            die("unescape");
    }
}

static void way_read(int frames)
{
    off_t at = 0;
    while (next_frame(frames, &at) > 0)
        ;
}

static void way_check(const char *path, bool hash)
{
    int fd = open(path, O_RDONLY);
    struct whole *w = whole_new();
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    for (ssize_t n; (n = read(fd, decoded, sizeof decoded)) > 0;)
        if (hash ? EVP_DigestUpdate(md, decoded, (size_t)n) != 1
                 : whole_feed(w, decoded, (size_t)n, NULL) != 0)
            die("check");
    EVP_MD_CTX_free(md);
    whole_free(w);
    close(fd);
}

static void way_cat(const char *path, const char *to)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
        die(to);
    execlp("cat", "cat", path, (char *)NULL);
    die("cat");
}

/* ---- measuring ---- */

enum way { WAY_CAT, WAY_READ, WAY_UNESCAPE, WAY_CHECK, WAY_HASH, WAY_CAPTURE, WAY_ZSTD, WAY_COUNT };

static const char *const way_names[WAY_COUNT] = {
    [WAY_CAT] = "cat SNAPSHOT >FILE (no fsync)",
    [WAY_READ] = "read the chunks",
    [WAY_UNESCAPE] = "read, unescape",
    [WAY_CHECK] = "read SNAPSHOT, check wholeness",
    [WAY_HASH] = "read SNAPSHOT, SHA-256",
    [WAY_CAPTURE] = "capture: all, fsync, rename",
    [WAY_ZSTD] = "capture with zstd",
};

struct cost {
    int64_t wall_us;
    double cpu_s;
    int64_t rss;
    int64_t bytes; /* of the file that was made, 0 for none */
};

static struct cost measure(enum way way, const char *path, const char *folder, int frames)
{
    char to[4096], made[4096];
    struct rusage usage;
    struct stat st;
    int status;
    struct cost cost = {0};
    snprintf(to, sizeof to, "%s/bench.heapsnapshot", folder);
    snprintf(made, sizeof made, "%s%s", to, way == WAY_ZSTD ? ".zst" : "");
    unlink(made);
    int64_t began = clock_monotonic_us();
    pid_t child = fork();
    if (child == 0) {
        switch (way) {
        case WAY_CAT: way_cat(path, to); break;
        case WAY_READ: way_read(frames); break;
        case WAY_UNESCAPE: way_unescape(frames); break;
        case WAY_CHECK: way_check(path, false); break;
        case WAY_HASH: way_check(path, true); break;
        case WAY_CAPTURE: way_capture(frames, to, false); break;
        case WAY_ZSTD: way_capture(frames, to, true); break;
        case WAY_COUNT: break;
        }
        _exit(0);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0)
        die(way_names[way]);
    cost.wall_us = clock_monotonic_us() - began;
    cost.cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    cost.rss = usage.ru_maxrss * INT64_C(1024);
    cost.bytes = stat(made, &st) == 0 ? st.st_size : 0;
    unlink(made);
    return cost;
}

int main(int argc, char **argv)
{
    static const struct show_column columns[] = {{"way", "way", SHOW_NAME, 0},
        {"wall s", "wall_s", SHOW_NUMBER, 3}, {"CPU s", "cpu_s", SHOW_NUMBER, 3},
        {"MB/s", "mb_per_s", SHOW_NUMBER, 0}, {"peak RSS", "peak_rss", SHOW_SIZE, 0},
        {"file", "file_bytes", SHOW_SIZE, 0}};
    struct stat st;
    struct err e = ERR_NONE;
    if (argc < 3 || stat(argv[1], &st) != 0) {
        fprintf(stderr, "usage: bench_writer SNAPSHOT FOLDER [ROUNDS]\n");
        return 2;
    }
    int rounds = argc > 3 ? atoi(argv[3]) : 3;
    int frames = make_frames(argv[1], argv[2]);
    struct show_out out = show_out_new(stdout, SHOW_TEXT, SHOW_COLOR_NEVER);
    struct show_table *t = show_table_new(columns, 6);
    printf("%.1f MB, best of %d by CPU, scanner %s\n", (double)st.st_size / 1048576, rounds,
        whole_scanner_name());
    for (int way = 0; way < WAY_COUNT; way++) {
        struct cost best = {0};
        for (int i = 0; i < rounds; i++) {
            struct cost c = measure((enum way)way, argv[1], argv[2], frames);
            if (i == 0 || c.cpu_s < best.cpu_s)
                best = c;
        }
        show_add_word(t, way_names[way]);
        show_add_number(t, (double)best.wall_us / 1e6);
        show_add_number(t, best.cpu_s);
        show_add_number(t, (double)st.st_size / 1048576 * 1e6 / (double)best.wall_us);
        show_add_integer(t, best.rss);
        show_add_integer(t, best.bytes);
    }
    int rc = show_table(&out, t, &e);
    show_table_free(t);
    return rc ? 1 : 0;
}
