/* Is this a whole capture? A streaming check of snapshots, timelines and sampling profiles that is
 * fed with the file's bytes in pieces of any size and keeps none of them (but the small "snapshot"
 * object at the head, whose counts it compares with what follows). */
#ifndef HEAPTAP_HEAP_WHOLE_H
#define HEAPTAP_HEAP_WHOLE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The "snapshot" object: V8 writes 1.5 to 3 KB; more than this is no snapshot of ours. */
#define WHOLE_META_MAX (1024 * 1024)
/* Nesting of arrays and objects: trace trees nest two levels a stack frame, and V8 keeps at most 64
 * frames; sampling profiles nest two a frame with up to a few hundred frames. */
#define WHOLE_DEPTH_MAX 4096

enum whole_kind {
    WHOLE_UNKNOWN,  /* too short to tell, or foreign */
    WHOLE_SNAPSHOT, /* snapshots and timelines */
    WHOLE_PROFILE,  /* a sampling profile */
};

enum whole_verdict {
    WHOLE_OK,
    WHOLE_TRUNCATED, /* begins well and ends too early */
    WHOLE_DAMAGED,   /* breaks in the middle, or its counts do not match, or more follows its end */
    WHOLE_FOREIGN,   /* something else */
};

struct whole_result {
    enum whole_verdict verdict;
    enum whole_kind kind;
    int64_t position; /* bytes: where it broke; the length of the file when truncated; else -1 */
    int64_t bytes;    /* looked at: all, or up to where it broke */
    int64_t nodes;    /* rows found, also in part */
    int64_t edges;
    int64_t strings;
    int64_t samples; /* rows of the timeline: 0 in a plain snapshot */
    int64_t trace_functions;
};

struct whole;

/* NULL when memory is out. */
struct whole *whole_new(void);
void whole_free(struct whole *w);

/* The next bytes of the file. 0, or ERR_FORMAT (ERR_NOMEM) from the first byte on that cannot be
 * right; then it stays so. e: one line for a person, with position. */
int whole_feed(struct whole *w, const void *bytes, size_t count, struct err *e) MUST_USE;

/* The file ends here. 0 for a whole file, else ERR_FORMAT; ret is filled in every case. */
int whole_finish(struct whole *w, struct whole_result *ret, struct err *e) MUST_USE;

/* "whole", "truncated", "damaged", "foreign" */
const char *whole_verdict_name(enum whole_verdict v);
/* "unknown", "snapshot", "profile" */
const char *whole_kind_name(enum whole_kind k);

/* Names the code that scans: "avx2" or "scalar". For benches and bug reports. */
const char *whole_scanner_name(void);

#endif
