/* What makes allocations from a file and what analyses them share. */
#ifndef HEAPTAP_HEAP_ALLOCATIONS_INSIDE_H
#define HEAPTAP_HEAP_ALLOCATIONS_INSIDE_H

#include "heap/allocations.h"

struct text_block;

struct allocations {
    struct allocation_frame *frames;
    struct allocation_node *nodes;
    uint32_t frame_count, node_count;
    struct text_block *texts; /* of the frames */
    uint32_t function_count;  /* of the frames, those that the file names */
    struct allocation_interval *intervals;
    uint32_t interval_count;
    bool is_profile;
    int64_t samples, recorded, recorded_with_stack;
};

/* Texts that never move: returns a copy with a NUL behind it, or NULL when memory is out. */
const char *texts_add(struct text_block **texts, const char *text, size_t length);
void texts_free(struct text_block *texts);

/* The frame's texts are copied. */
int allocations_add_frame(struct allocations *a, const struct allocation_frame *frame,
    uint32_t *ret, struct err *e) MUST_USE;
int allocations_add_node(struct allocations *a, const struct allocation_node *node, uint32_t *ret,
    struct err *e) MUST_USE;

/* Of two amounts: ALLOCATION_UNKNOWN if one is; INT64_MAX at the most. */
int64_t allocations_sum(int64_t a, int64_t b);

#endif
