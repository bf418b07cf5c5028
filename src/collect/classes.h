/* Classes of one target from snapshot to snapshot: which rows changed, and what has grown. */
#ifndef HEAPTAP_COLLECT_CLASSES_H
#define HEAPTAP_COLLECT_CLASSES_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#define CLASSES_MAX        1000000 /* of one snapshot; the largest seen have some ten thousand */
#define CLASSES_FULL_EVERY 60      /* snapshots: then every row is written, changed or not */

struct class_figures {
    int64_t count, self_size, retained_size;
};

/* One class in two snapshots; a class that is not there has zeros. Texts are borrowed. */
struct class_change {
    const char *key, *name;
    struct class_figures before, now;
};

struct classes;

/* Empty: nothing has been seen. NULL when memory is out. */
struct classes *classes_new(void);
void classes_free(struct classes *c); /* NULL is fine */

/* Takes the next snapshot's classes: the answer of `summary --json`. visit is called for each row
 * to write: those that changed since the snapshot before, or all. ERR_FORMAT when the answer is
 * none; then c is as it was. */
int classes_take(struct classes *c, const cJSON *summary,
    void (*visit)(void *arg, const struct class_change *change), void *arg, struct err *e) MUST_USE;

/* Snapshots taken so far. */
int64_t classes_taken(const struct classes *c);

/* The classes whose retained size grew most between the first snapshot and the latest, at most max;
 * none before the second. Borrowed from c until the next classes_take. */
size_t classes_grown(const struct classes *c, struct class_change *ret, size_t max);

#endif
