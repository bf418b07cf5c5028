/* The folder that captures go to: file names, free space, and what a killed heaptap left there. */
#ifndef HEAPTAP_COLLECT_FOLDER_H
#define HEAPTAP_COLLECT_FOLDER_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define CAPTURE_FOLDER_DEFAULT "/tmp"
#define CAPTURE_PART_SUFFIX    ".part"
#define CAPTURE_ZSTD_SUFFIX    ".zst"

enum capture_kind {
    CAPTURE_SNAPSHOT, /* .heapsnapshot */
    CAPTURE_TIMELINE, /* .heaptimeline: a snapshot with trace sections */
    CAPTURE_PROFILE,  /* .heapprofile: the JSON of a sampling profile */
};

/* ".heapsnapshot" and so on. */
const char *capture_kind_suffix(enum capture_kind kind);

struct capture_name {
    const char *folder; /* borrowed; NULL is CAPTURE_FOLDER_DEFAULT */
    const char *label;  /* borrowed; any text, NULL allowed: it is cut to [a-z0-9-] */
    int64_t wall_ms;    /* when the capture was asked for, UTC */
    int64_t pid;        /* of the target, 0 if unknown */
    int64_t seq;        /* counts the captures of the run from 1 */
    enum capture_kind kind;
};

/* "/tmp/heap-<label>-<20260131T235959.123Z>-<pid>-<seq>.heapsnapshot" (design, section 3), without
 * ".zst". ret_path: owned by the caller, free(). */
int capture_path_make(const struct capture_name *n, char **ret_path, struct err *e) MUST_USE;

/* 0 when the folder (NULL: the default) is there and can be written to, else ERR_IO with what to
 * do. Ask at the start of a run rather than after the target has stalled for a snapshot. */
int capture_folder_check(const char *folder, struct err *e) MUST_USE;

/* Bytes that this user may still write to the file system of folder (or of the file there). */
int capture_folder_free_bytes(const char *folder, int64_t *ret_bytes, struct err *e) MUST_USE;

/* A .part file whose writer is gone. */
struct capture_leftover {
    char *path;          /* owned */
    int64_t bytes;       /* size */
    int64_t modified_ms; /* wall clock of the last write */
};

#define CAPTURE_LEFTOVERS_MAX 1000 /* listed in one folder; the total counts them all */

struct capture_leftovers {
    struct capture_leftover *items; /* owned, ordered by path */
    size_t count;
    size_t total;        /* found, listed or not */
    int64_t total_bytes; /* of all that were found */
};

/* Lists this user's capture .part files in folder whose writer is dead. A writer holds an flock on
 * its .part for as long as it lives and the kernel drops it with the process, so the lock tells the
 * living from the dead, also across pid reuse and containers that share the folder. ERR_IO when the
 * folder cannot be read. */
int capture_leftovers_list(
    const char *folder, struct capture_leftovers *ret, struct err *e) MUST_USE;
void capture_leftovers_free(struct capture_leftovers *l);

/* ERR_USAGE for an output that is no file: a capture is checked and gets its name when it is whole.
 * NULL is fine. */
int capture_output_check(const char *output, struct err *e) MUST_USE;
/* Whether that name asks for compression. NULL does not. */
bool capture_output_is_zstd(const char *output);

#endif
