/* Capture files on their way to disk: one writer thread a process takes bytes from the loop thread
 * through a bounded queue of blocks, checks that they make a whole capture, hashes, compresses if
 * asked, and makes the file appear under its name only when it is whole and durable.
 *
 *      loop thread                                    writer thread
 *      capture_file_open    creates NAME.part
 *      capture_file_space   a block's free bytes
 *      (unescape into it)
 *      capture_file_commit  full blocks go ---------> check, compress, hash, write
 *      capture_file_finish  the end goes -----------> fsync, rename, fsync the folder
 *      capture_writer_dispatch  <--- wake() --------- room again; done or failed
 *           calls room() or done()
 *
 * Everything declared here is called on the loop thread and never waits for the disk, but for
 * capture_file_open (one open of a new file) and capture_writer_stop. Callbacks come from
 * capture_writer_dispatch and so on the loop thread too; only wake is called from the writer. */
#ifndef HEAPTAP_COLLECT_FILE_H
#define HEAPTAP_COLLECT_FILE_H

#include "base/err.h"
#include "collect/folder.h"

#include <stddef.h>
#include <stdint.h>

/* A block is one write: large enough to make system calls rare, small enough that the few in use
 * stay in the L2 cache between unescape, check, hash and write. */
#define CAPTURE_BLOCK_SIZE (256 * 1024)
/* 4 MB in all: three of V8's largest chunks (1.27 MB on the wire) or 10 ms at 400 MB/s, and a small
 * part of the 64 MiB that a capturing process may take. */
#define CAPTURE_BLOCK_COUNT 16
/* Each open file may hold one half-filled block, so this stays well below CAPTURE_BLOCK_COUNT. */
#define CAPTURE_OPEN_MAX 4
/* Written bytes that may wait for the disk in the page cache: more and fsync at the end would take
 * long and a host short of memory would stall everybody; less and a slow disk would push back on
 * the target, which keeps what we do not read in its own memory. */
#define CAPTURE_DIRTY_MAX (128 * 1024 * 1024)

struct capture_writer;
struct capture_file;

/* wake is called on the writer thread when capture_writer_dispatch has something to do; it must be
 * short and may not call anything declared here (lws_cancel_service behind loop_wake fits). */
int capture_writer_start(
    void (*wake)(void *arg), void *wake_arg, struct capture_writer **ret, struct err *e) MUST_USE;

/* Calls the room and done callbacks that are due. Cheap when there are none. */
void capture_writer_dispatch(struct capture_writer *w);

/* Ends the thread: files that were finished are completed first and their done is called from here,
 * the others are cancelled. NULL is fine. */
void capture_writer_stop(struct capture_writer *w);

struct capture_result {
    const char *path;      /* the final name, with ".zst" if compressed; borrowed */
    int64_t bytes;         /* on disk */
    int64_t content_bytes; /* of the capture itself; equals bytes without compression */
    char sha256[65];       /* of the bytes on disk, lower-case hexadecimal */
    int64_t nodes;         /* 0 for a profile */
    int64_t edges;         /* 0 for a profile */
    int64_t elapsed_us;    /* from open to durable */
    int64_t sync_us;       /* the part of it after the last byte came: the last blocks and fsync */
};

struct capture_file_options {
    const char *path; /* the final name, borrowed; ".zst" is added with compress (once) */
    enum capture_kind kind;
    bool compress;
    /* There is room again after capture_file_space said ERR_FULL. May be NULL. */
    void (*room)(void *arg);
    /* Called exactly once unless the file is cancelled; the handle is gone when it returns. r is
     * NULL on failure, when nothing is left on disk, and why is NULL on success. ERR_NOSPACE: disk
     * or quota full; ERR_IO: the system said no; ERR_CAPTURE: the bytes are no whole capture.
     * It may come before capture_file_finish: then drop what else the target sends. */
    void (*done)(void *arg, const struct capture_result *r, const struct err *why);
    void *arg; /* for room and done */
};

/* Creates NAME.part (O_EXCL, mode 0600) and checks that NAME is free, so that what cannot work is
 * said before the target stalls. ERR_IO, ERR_NOSPACE, ERR_NOMEM; ERR_FULL past CAPTURE_OPEN_MAX. */
int capture_file_open(struct capture_writer *w, const struct capture_file_options *o,
    struct capture_file **ret, struct err *e) MUST_USE;

/* Free bytes to write to, at least `least` of them (at most CAPTURE_BLOCK_SIZE). Valid until the
 * next call for this file. ERR_FULL: the disk is behind; stop reading from the target until room()
 * is called. After a failure that done() has not told yet the bytes are taken and dropped. */
int capture_file_space(
    struct capture_file *f, size_t least, char **ret_space, size_t *ret_size) MUST_USE;
/* The first `count` bytes of the space are now part of the file. */
void capture_file_commit(struct capture_file *f, size_t count);

/* Copies bytes in: for small captures that exist as a whole already, such as profiles. Takes as
 * much as there is room for; ret_taken < count means ERR_FULL, as above. */
int capture_file_write(
    struct capture_file *f, const void *bytes, size_t count, size_t *ret_taken) MUST_USE;

/* No more bytes will come: completes the file and then calls done(). */
void capture_file_finish(struct capture_file *f);

/* Removes the .part and forgets the file; done() will not be called. Allowed after
 * capture_file_finish: if the file is complete by then it stays. NULL is fine. */
void capture_file_cancel(struct capture_file *f);

/* Bytes committed so far. */
int64_t capture_file_bytes(const struct capture_file *f);

/* The final name, valid as long as the handle. */
const char *capture_file_path(const struct capture_file *f);

#endif
