/* Lists that grow. */
#include "base/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 8 /* a power of two, as array_more wants it */

bool array_enlarge(void *list, size_t *room, size_t need, size_t width)
{
    size_t larger = *room > SIZE_MAX / 2 ? SIZE_MAX : 2 * *room;
    void *old, *grown;
    if (larger < ROOM_FIRST)
        larger = ROOM_FIRST;
    if (larger < need)
        larger = need;
    memcpy(&old, list, sizeof old); /* a T *, which may not be read through a void ** */
    if (larger > PTRDIFF_MAX / width || !(grown = realloc(old, larger * width)))
        return false;
    memcpy(list, &grown, sizeof grown);
    *room = larger;
    return true;
}

bool array_more_by(void *list, size_t count, size_t width)
{
    bool full = count == 0 || (count >= ROOM_FIRST && (count & (count - 1)) == 0);
    size_t room = count;
    return !full || array_enlarge(list, &room, count + 1, width);
}
