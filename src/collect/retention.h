/* Which capture files may stay: --keep, --max-disk, and room for the next one. */
#ifndef HEAPTAP_COLLECT_RETENTION_H
#define HEAPTAP_COLLECT_RETENTION_H

#include "store/past.h"

struct retention;

/* Who may be deleted to make room. */
enum retention_scope {
    RETENTION_THIS_RUN, /* --keep, --min-free */
    RETENTION_ALL_RUNS, /* --max-disk */
};

struct retention_file {
    char *path;      /* owned */
    char run_id[40]; /* "": this run */
    int64_t snapshot_id, target_id;
    int64_t bytes, taken_ms;
    bool cited; /* by a diagnosis */
    bool live;  /* of another run that goes on: not ours to delete */
    bool busy;  /* being analysed */
};

/* The file that goes first, -1 when none may go. Of a target of this run the first and the latest
 * file stay, and whatever is cited, busy or live; of ended runs the first and the latest of each
 * target go after all others. Files are in the order in which they were taken. For tests. */
int retention_pick(const struct retention_file *files, size_t count, enum retention_scope scope,
    int64_t target_id);

struct retention_options {
    int64_t keep;     /* of each target of this run, 0: all; at least 2 are kept */
    int64_t max_disk; /* bytes of all captures in the folder, 0: no bound */
    /* A file was deleted; text says which and why. run_id NULL: of this run. */
    void (*deleted)(
        void *arg, const char *run_id, int64_t snapshot_id, const char *path, const char *why);
    void *arg;
};

int retention_new(
    const struct retention_options *o, struct retention **ret, struct err *e) MUST_USE;

/* What earlier runs have left in the folder. */
int retention_add_past(
    struct retention *r, const struct past *past, const char *folder, struct err *e) MUST_USE;

/* A new file of this run (its row id and its target's); older ones may go for it. */
int retention_add(struct retention *r, int64_t snapshot_id, int64_t target_id, const char *path,
    int64_t bytes, int64_t taken_ms, struct err *e) MUST_USE;

/* Whether a file of this run is being read, so that it must stay until then. */
void retention_hold(struct retention *r, int64_t snapshot_id, bool busy);

/* Bytes that --max-disk leaves now, -1 for no bound. */
int64_t retention_room(const struct retention *r);

/* Deletes until a file of so many bytes fits under --max-disk and into the free space of the folder
 * with min_free left. True when something was deleted. */
bool retention_make_room(struct retention *r, const char *folder, int64_t bytes, int64_t min_free);

/* NULL is fine; files stay. */
void retention_free(struct retention *r);

#endif
