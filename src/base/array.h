/* Lists that grow: the one place that enlarges an array of any type by realloc. */
#ifndef HEAPTAP_BASE_ARRAY_H
#define HEAPTAP_BASE_ARRAY_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* bool array_grow(T **list, size_t *room, size_t need): makes *room, the elements that *list has
 * memory for, at least need. *list is owned by the caller and came from here, or is NULL with a
 * room of 0. It grows by doubling, so that adding one element at a time is cheap; new elements are
 * not cleared. False: out of memory, or more bytes than an object can have; list and room are as
 * they were. A cap is the caller's affair, before the call. */
#define array_grow(list, room, need) array_grow_by((list), (room), (need), sizeof **(list))

/* bool array_more(T **list, size_t count): the same for a list that keeps no room of its own: it
 * holds count elements, and there will be room for one more. The list must have grown by this
 * call alone, for its room is told from count: the next power of two, 8 at least. */
#define array_more(list, count) array_more_by((list), (count), sizeof **(list))

/* What the macros call; width is the bytes of an element, list the address of the pointer. */
bool array_enlarge(void *list, size_t *room, size_t need, size_t width) MUST_USE;
bool array_more_by(void *list, size_t count, size_t width) MUST_USE;

MUST_USE static inline bool array_grow_by(void *list, size_t *room, size_t need, size_t width)
{
    return need <= *room || array_enlarge(list, room, need, width);
}

#endif
