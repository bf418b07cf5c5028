/* Growth from reading to reading, regressed on what may be behind it: requests by route, time. One
 * estimator for all of them. Pure functions over numbers.
 *
 * Model: the growth in each interval is a sum over columns of a coefficient times an amount, plus
 * noise of two kinds: an error of each reading, which the next interval takes back, and drift,
 * which stays. Their proportion is found by restricted likelihood (Patterson and Thompson, 1971),
 * and outliers are bounded by Huber's weights. */
#ifndef HEAPTAP_DIAGNOSE_REGRESS_H
#define HEAPTAP_DIAGNOSE_REGRESS_H

#include "base/err.h"

#include <stddef.h>

#define REGRESS_COLUMNS_MAX 24
#define REGRESS_Z_95        1.96
#define REGRESS_Z_99        2.576

struct regress {
    size_t rows, columns;     /* more rows than columns */
    double *growth, *amounts; /* of each row, and rows × columns; owned, as the next three */
    double *y, *x;            /* the same, whitened */
    double *weights;          /* of the whitened rows */
    double least_drift;       /* of drift's variance to a reading's; 0: as the growth speaks */
    double coefficients[REGRESS_COLUMNS_MAX];
    double covariance[REGRESS_COLUMNS_MAX * REGRESS_COLUMNS_MAX]; /* without sigma2 */
    double sigma2;                                                /* of the whitened residuals */
};

/* Zeros, to be filled by the caller; regress_free it in any case. */
int regress_new(size_t rows, size_t columns, struct regress *ret, struct err *e) MUST_USE;
void regress_free(struct regress *f);

/* Fills coefficients, covariance and sigma2. ret_unexplained: the variance of what is left of the
 * growth but for its two largest intervals. */
int regress_fit(struct regress *f, double *ret_unexplained, struct err *e) MUST_USE;

/* Half the width of the interval of the sum of coefficients times amounts (as many as columns). */
double regress_error(const struct regress *f, const double *amounts, double z);

/* Coefficients without negative ones: the most negative goes, until none is. ret_errors: half the
 * widths of the intervals of those that stay. */
void regress_drop_negative(const struct regress *f, double z, double *ret, double *ret_errors);

#endif
