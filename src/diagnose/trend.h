/* Whether a series of readings grows, keeps growing, or has levelled off. Pure functions over
 * numbers, on the estimator of regress.h with time as what growth is regressed on.
 *
 * The noise floor is what a healthy heap moves by on its own: V8's code, feedback and maps, pools
 * and tables that double. Growth under it over the whole span is no growth. */
#ifndef HEAPTAP_DIAGNOSE_TREND_H
#define HEAPTAP_DIAGNOSE_TREND_H

#include "base/err.h"

#include <stddef.h>

struct trend_input {
    size_t count;
    const double *seconds; /* ascending: time under load, so that a pause is no plateau */
    const double *bytes;
    const double *load; /* what was in progress then, such as open requests; NULL: not known */
    double noise_bytes; /* the noise floor's absolute part; 0: TREND_NOISE_BYTES */
    double noise_share; /* of the level; 0: TREND_NOISE_SHARE */
};
#define TREND_NOISE_BYTES 262144.0
#define TREND_NOISE_SHARE 0.01

enum trend_shape {
    TREND_TOO_FEW,  /* points: under three */
    TREND_FLAT,     /* even the upper bound is under the noise floor */
    TREND_LEVELLED, /* it grew, and what came last grows no more */
    TREND_RISING,   /* it grows in the last half too, and the lower bound is above the floor */
    TREND_SLOWING,  /* it grows, but the last half much less than the first */
    TREND_UNCLEAR,
};

struct trend {
    enum trend_shape shape;
    size_t points, warm_up;                 /* used; left out at the beginning */
    double span;                            /* seconds of the points used */
    double slope, low, high;                /* bytes a second, 95 %; NAN: unknown */
    double growth, growth_low, growth_high; /* bytes over the span */
    double early, late;                     /* bytes a second: first and last half of it */
    double noise;                           /* floor, bytes */
    double level;                           /* the last point */
    double total;                           /* from the very first point to the last */
    bool follows_load; /* without what load explains nothing is left of the growth */
};

const char *trend_shape_name(enum trend_shape shape);

/* ERR_NOMEM. Values that are not finite are left out. */
int trend_judge(const struct trend_input *in, struct trend *ret, struct err *e) MUST_USE;

#endif
