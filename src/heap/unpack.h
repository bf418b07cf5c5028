/* A file's bytes as they were before .zst or .gz: told by the first bytes, read as a stream from
 * any descriptor, also a pipe. Memory is bounded whatever the file unpacks to. */
#ifndef HEAPTAP_HEAP_UNPACK_H
#define HEAPTAP_HEAP_UNPACK_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* One piece, in and out: large enough for few system calls, small enough for the L2 cache. */
#define UNPACK_PIECE (256 * 1024)

enum unpack_packing { UNPACK_PLAIN, UNPACK_ZSTD, UNPACK_GZIP };

struct unpack;

/* Begins to read fd (borrowed) at its position, which need not be able to seek. ERR_IO, ERR_NOMEM.
 */
int unpack_open(int fd, struct unpack **ret, struct err *e) MUST_USE;
void unpack_close(struct unpack *u); /* NULL is fine; fd stays open */

/* The next piece, valid until the next call; ret_count 0 at the end. ERR_IO; ERR_FORMAT where the
 * packed bytes break (e->position: in the packed file) or end too early (unpack_is_cut). */
int unpack_read(
    struct unpack *u, const void **ret_bytes, size_t *ret_count, struct err *e) MUST_USE;

enum unpack_packing unpack_packing(const struct unpack *u);
/* Bytes read from the descriptor so far. */
int64_t unpack_taken(const struct unpack *u);
/* The last ERR_FORMAT was an end in the middle of a packed stream. */
bool unpack_is_cut(const struct unpack *u);

/* "plain", "zstd", "gzip" */
const char *unpack_name(enum unpack_packing p);

#endif
