/* A curve in one line of text. */
#ifndef HEAPTAP_COMMAND_PROMPT_SPARK_H
#define HEAPTAP_COMMAND_PROMPT_SPARK_H

#include "show/out.h"

#include <stddef.h>

#define SPARK_MAX 120 /* values that are kept */

struct spark { /* zeros to begin with */
    double values[SPARK_MAX];
    size_t count; /* ever */
};

void spark_add(struct spark *s, double value); /* NaN: a gap */
/* The latest values, at most columns of them.. */
void spark_put(const struct show_out *o, const struct spark *s, size_t columns);
void spark_print(const struct show_out *o, const double *values, size_t count, size_t columns);

#endif
