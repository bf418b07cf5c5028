/* Plain objects grouped by shape; see shapes.c. */
#ifndef HEAPTAP_HEAP_SHAPES_H
#define HEAPTAP_HEAP_SHAPES_H

#include "heap/inside.h"

/* Every exact list of properties that plain objects of a heap have, in order of appearance. */
struct shape_table {
    struct shape *shape;
    uint32_t count, slots;
    uint32_t *slot;
    struct names names;    /* of properties */
    uint32_t *property_of; /* by string: number in names + 1; borrowed column of strings.count */
};
int shape_table_add(
    struct shape_table *t, const struct heap *h, uint32_t node, uint32_t *ret_shape) MUST_USE;
void shape_table_free(struct shape_table *t); /* but not names and property_of */

/* The definitions that are frequent enough among `plain` objects. */
int shapes_define(
    struct shape_table *t, const struct heap *h, uint64_t plain, struct shapes *out) MUST_USE;
/* For each shape the definition (of this heap or of another) that it has, or HEAP_NONE. */
int shapes_match(struct shape_table *t, const struct heap *h, const struct shapes *defs,
    uint32_t *definition_of_shape) MUST_USE;
/* A property's name as it stands in a definition: quoted if it could be misread. */
int shape_format_name(struct buf *out, const char *text, size_t length) MUST_USE;

#endif
