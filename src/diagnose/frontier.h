/* The frontier between what was there before and what has come since: for everything new, the
 * object that it hangs on. Growth is put together by holder and class of the unit that hangs there.
 *
 * A *unit* is a new object right behind the frontier with all that it alone retains; a node is in
 * one unit at the most (the dominator tree). What engines keep inside an object (tables, element
 * stores, lists of reactions), and objects that were only made anew around old contents
 * (state = {...state, x}), belong to the holder: units hang beneath them. A unit that several ways
 * hold has a dominator far up; its holder is the old object among its retainers that fits best. */
#ifndef HEAPTAP_DIAGNOSE_FRONTIER_H
#define HEAPTAP_DIAGNOSE_FRONTIER_H

#include "diagnose/births.h"

/* How good an object is as an answer to "who holds it". */
enum frontier_rank {
    FRONTIER_ROOTS,   /* the root, synthetic nodes, the engine's own */
    FRONTIER_WEAK,    /* a WeakMap: its keys hold the values */
    FRONTIER_MINOR,   /* a closure, a list of timers */
    FRONTIER_CONTEXT, /* variables of a function */
    FRONTIER_OBJECT,
};

struct frontier_group {
    uint32_t holder;   /* node */
    uint32_t variable; /* string number of the variable, for the variables of a function; or NONE */
    uint32_t class;    /* of the units, a number as in class_of */
    uint32_t example;  /* the largest unit; HEAP_NONE: the holder's own size has grown */
    uint32_t units, members;             /* members: new nodes of that class in the units */
    uint64_t bytes, self;                /* of all new nodes in the units; of the members alone */
    uint64_t born_bytes[BIRTHS_MAX + 1]; /* by the number of the first snapshot that has them */
    uint32_t holders;                    /* more than 1: as many objects of the holder's class */
};

struct frontier;

/* born as births_mark makes it, lifted as frontier_lift; both borrowed. */
int frontier_find(struct heap *h, const uint8_t *born, const uint32_t *lifted,
    struct frontier **ret, struct err *e) MUST_USE;
void frontier_free(struct frontier *f); /* takes NULL */

/* Largest first; the caller may change them. */
size_t frontier_groups(struct frontier *f, struct frontier_group **ret);
/* The group, in the order of frontier_groups, that a new node belongs to; HEAP_NONE: to none. */
uint32_t frontier_group_of(const struct frontier *f, uint32_t node);

/* Whether a new node is the first one of a unit. */
bool frontier_is_unit(const struct frontier *f, uint32_t node);
/* Whether an edge only notes what a resource was made for, and does not say who holds. */
bool frontier_is_note(struct frontier *f, uint32_t edge);

bool frontier_is_inside(const struct heap *h, uint32_t node); /* kept in an object by the engine */
/* By node: itself, or for what is inside of an object that object (the next dominator that is not
 * inside). The caller frees; NULL: out of memory. */
uint32_t *frontier_lift(const struct heap *h);
enum frontier_rank frontier_rank(const struct heap *h, uint32_t node);
/* "" for a node whose class has no sized instance. Borrowed from the heap. */
const char *frontier_class_name(const struct heap *h, uint32_t class);

#endif
