/* The way of a capture's text from the target's messages into the writer's blocks. */
#ifndef HEAPTAP_COLLECT_INTAKE_H
#define HEAPTAP_COLLECT_INTAKE_H

#include "collect/file.h"

struct intake {
    struct capture_file *file; /* borrowed; set before the first piece */
    char *rest;                /* of pieces that the writer had no room for, still escaped; owned */
    size_t rest_length, rest_used;
};

/* Decodes a piece; what finds no room is kept, and intake_is_full until intake_go_on has placed it.
 * ERR_PROTOCOL: the target sent what is no string of JSON. */
int intake_add(struct intake *i, const char *escaped, size_t length, struct err *e) MUST_USE;
/* The writer has room again. */
int intake_go_on(struct intake *i, struct err *e) MUST_USE;
bool intake_is_full(const struct intake *i);
void intake_free(struct intake *i);

#endif
