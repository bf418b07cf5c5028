/* Analysis of finished snapshots while a run goes on: by a child process, heaptap itself, so that a
 * broken file cannot hurt the run and the collecting process stays small. */
#ifndef HEAPTAP_COLLECT_ANALYSIS_H
#define HEAPTAP_COLLECT_ANALYSIS_H

#include "cdp/loop.h"

#include <cjson/cJSON.h>

struct analysis;

struct analysis_file {
    const char *path;
    const char *command; /* static: "summary", or "allocations" for a timeline */
    int64_t file_bytes;  /* on disk */
    int64_t nodes, edges;
};

/* Called once a file: with the answer of `COMMAND --json` (borrowed), or why not. */
typedef void (*analysis_fn)(void *arg, const cJSON *summary, const struct err *why);

int analysis_new(struct loop *l, struct analysis **ret, struct err *e) MUST_USE;

/* Puts the file behind those that wait; one is analysed at a time. ERR_REFUSED when this host has
 * too little memory for it now; ERR_FULL when too many wait. */
int analysis_add(struct analysis *a, const struct analysis_file *file, analysis_fn fn, void *arg,
    struct err *e) MUST_USE;

/* Files that wait or are being analysed. */
size_t analysis_pending(const struct analysis *a);

/* Ends a running child; fn is not called any more. NULL is fine. */
void analysis_free(struct analysis *a);

#endif
