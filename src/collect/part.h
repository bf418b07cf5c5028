/* One file that is being written as NAME.part: checked, compressed and hashed on the way, and put
 * under its name only when it is whole and durable. Used by the writer thread (collect/file.c);
 * every call may wait for the disk. */
#ifndef HEAPTAP_COLLECT_PART_H
#define HEAPTAP_COLLECT_PART_H

#include "base/err.h"
#include "collect/folder.h"

#include <stddef.h>
#include <stdint.h>

struct part;

struct part_result {
    int64_t bytes;         /* on disk */
    int64_t content_bytes; /* before compression */
    int64_t nodes;
    int64_t edges;
    char sha256[65]; /* of the bytes on disk */
};

/* Creates path.part (path.zst.part with compress) with O_EXCL and mode 0600 and locks it. ERR_IO
 * also when path exists already. */
int part_create(const char *path, enum capture_kind kind, bool compress, struct part **ret,
    struct err *e) MUST_USE;

/* The final name, ".zst" included. */
const char *part_path(const struct part *p);

/* ERR_CAPTURE when the bytes cannot belong to a whole capture; ERR_NOSPACE, ERR_IO. After a failure
 * only part_free may follow. */
int part_write(struct part *p, const void *bytes, size_t count, struct err *e) MUST_USE;

/* Completes the file: wholeness, fsync, rename (never over another file), fsync of the folder.
 * After a failure nothing stands under the final name. */
int part_seal(struct part *p, struct part_result *ret, struct err *e) MUST_USE;

/* Removes the .part unless it was sealed. NULL is fine. */
void part_free(struct part *p);

#endif
