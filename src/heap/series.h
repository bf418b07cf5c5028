/* Classes across a series of snapshots of one program: what grew in every step, and how fast. */
#ifndef HEAPTAP_HEAP_SERIES_H
#define HEAPTAP_HEAP_SERIES_H

#include "heap/heap.h"

struct heap_point {
    uint32_t count;
    uint64_t self_size, retained_size;
};

struct heap_trend {
    const char *key, *name;    /* borrowed from the series */
    struct heap_point *points; /* one a snapshot; zeros where the class was absent */
    bool grew_every_step;      /* in count */
    double count_slope;        /* objects a snapshot: least squares over all of them */
    double size_slope;         /* shallow bytes a snapshot */
};

struct heap_series;

/* A series of so many snapshots; NULL when memory is out. */
struct heap_series *heap_series_new(size_t snapshots);
void heap_series_free(struct heap_series *s); /* takes NULL */
/* The next snapshot; nothing of it is kept but the classes' sums. ERR_NOMEM, ERR_FULL. */
int heap_series_add(struct heap_series *s, const struct heap *h, struct err *e) MUST_USE;
/* Those that grew in every step first, then by slope in bytes. Borrowed; returns how many. */
size_t heap_series_rank(struct heap_series *s, const struct heap_trend **ret_list);

#endif
