/* What was there in earlier snapshots of one process: objects keep their ids within an epoch, so a
 * node of the last snapshot is old if an earlier one has its id. */
#ifndef HEAPTAP_DIAGNOSE_BIRTHS_H
#define HEAPTAP_DIAGNOSE_BIRTHS_H

#include "heap/heap.h"

#define BIRTHS_MAX 32   /* snapshots that can be added */
#define BIRTHS_BIG 2048 /* bytes retained from which a node's sizes are remembered */

struct births;

struct births *births_new(void); /* NULL: out of memory */
void births_free(struct births *b);

/* The next earlier snapshot, oldest first; it may be closed afterwards. About a bit an id, and 16
 * bytes for each node that retains BIRTHS_BIG. ERR_NOMEM, ERR_FULL. */
int births_add(struct births *b, const struct heap *h, struct err *e) MUST_USE;
size_t births_count(const struct births *b);

/* For each node of the last snapshot the number of the first one that has its id, births_count if
 * none has. *ret_kin: 0 to 1, how many of the ids that the first snapshot shares name the same
 * thing in both; much under 1 means another process or epoch. The caller frees. */
int births_mark(const struct births *b, const struct heap *last, uint8_t **ret_born,
    double *ret_kin, struct err *e) MUST_USE;

/* Sizes of the object in snapshot i; false if it was not there or retained less than BIRTHS_BIG. */
bool births_sizes(
    const struct births *b, size_t i, uint32_t id, uint64_t *ret_retained, uint32_t *ret_self);

/* Calls tell for each object whose sizes snapshot i remembers, by id. */
void births_walk(const struct births *b, size_t i,
    void (*tell)(void *arg, uint32_t id, uint64_t retained, uint32_t self), void *arg);

#endif
