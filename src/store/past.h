/* What earlier runs of this record captured: how much it cost, and where the files are. */
#ifndef HEAPTAP_STORE_PAST_H
#define HEAPTAP_STORE_PAST_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define PAST_MAX 20000 /* captures that are looked at, the latest; 300 bytes each */

struct past_capture { /* a complete heap snapshot; texts are never NULL unless said */
    char *run_id;
    int64_t snapshot_id, target_id;
    bool run_is_open; /* its run goes on, in another heaptap */
    bool cited;       /* an event "cited" of its run names it: a diagnosis rests on it */
    char *file;       /* NULL: unknown */
    int64_t bytes, taken_ms;
    char *title, *runtime_version; /* of the target */
    int64_t nodes, heap_used;      /* 0: unknown */
    double pause_ms;               /* 0: unknown */
    int64_t rss_before, rss_peak;  /* 0: unknown */
};

struct past;

/* Reads them from the SQLite database at path, which is there. */
int past_load(const char *path, struct past **ret, struct err *e) MUST_USE;

size_t past_count(const struct past *p);                                /* 0 for NULL */
const struct past_capture *past_at(const struct past *p, size_t index); /* the oldest first */

/* The latest capture of a program by its title and the version of its runtime, NULL if there is
 * none. */
const struct past_capture *past_find(
    const struct past *p, const char *title, const char *runtime_version);

void past_free(struct past *p); /* NULL is fine */

#endif
