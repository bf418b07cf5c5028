/* Generalised least squares of growth, robust against outliers. */
#include "diagnose/regress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HUBER        2.5 /* standard deviations from which on a residual counts less */
#define HUBER_ROUNDS 5
#define RIDGE        1e-10

/* ---- small dense algebra ---- */

/* Cholesky of a symmetric n × n matrix in place (lower half). false: not positive. */
static bool factor(double *a, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        double d = a[j * n + j];
        for (size_t k = 0; k < j; k++)
            d -= a[j * n + k] * a[j * n + k];
        if (!(d > 0))
            return false;
        a[j * n + j] = sqrt(d);
        for (size_t i = j + 1; i < n; i++) {
            double s = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                s -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = s / a[j * n + j];
        }
    }
    return true;
}

static void solve(const double *l, size_t n, double *b)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= l[i * n + k] * b[k];
        b[i] /= l[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= l[k * n + i] * b[k];
        b[i] /= l[i * n + i];
    }
}

/* ---- one fit ---- */

/* Divides growth and requests by the root of their covariance, which has 2 + drift on its diagonal
 * and -1 beside it (in units of a reading's variance). Returns the log of its determinant. */
static double whiten(struct regress *f, double drift)
{
    size_t k = f->columns;
    double diagonal = 0, below = 0, log_determinant = 0;
    for (size_t i = 0; i < f->rows; i++) {
        below = i ? -1 / diagonal : 0;
        diagonal = sqrt(2 + drift - below * below);
        log_determinant += 2 * log(diagonal);
        f->y[i] = (f->growth[i] - (i ? below * f->y[i - 1] : 0)) / diagonal;
        for (size_t j = 0; j < k; j++)
            f->x[i * k + j] =
                (f->amounts[i * k + j] - (i ? below * f->x[(i - 1) * k + j] : 0)) / diagonal;
    }
    return log_determinant;
}

static double residual(const struct regress *f, size_t i)
{
    double r = f->y[i];
    for (size_t j = 0; j < f->columns; j++)
        r -= f->x[i * f->columns + j] * f->coefficients[j];
    return r;
}

static double weighted_product(const struct regress *f, size_t a, size_t b)
{
    double sum = 0;
    for (size_t i = 0; i < f->rows; i++)
        sum += f->weights[i] * f->x[i * f->columns + a] * f->x[i * f->columns + b];
    return sum;
}

/* Weighted least squares of the whitened rows; used[j] false keeps a coefficient at 0. Fills
 * coefficients, covariance and sigma2; ret_log_determinant: of the normal equations. */
static bool least_squares(struct regress *f, const bool *used, double *ret_log_determinant)
{
    size_t k = f->columns, n = 0;
    size_t at[REGRESS_COLUMNS_MAX];
    double scale[REGRESS_COLUMNS_MAX], right[REGRESS_COLUMNS_MAX] = {0};
    double gram[REGRESS_COLUMNS_MAX * REGRESS_COLUMNS_MAX];
    for (size_t j = 0; j < k; j++)
        if (!used || used[j])
            at[n++] = j;
    memset(f->coefficients, 0, sizeof f->coefficients);
    memset(f->covariance, 0, sizeof f->covariance);
    for (size_t a = 0; a < n; a++) {
        double square = weighted_product(f, at[a], at[a]);
        scale[a] = square > 0 ? sqrt(square) : 1;
        for (size_t i = 0; i < f->rows; i++)
            right[a] += f->weights[i] * f->x[i * k + at[a]] * f->y[i];
        for (size_t b = 0; b <= a; b++)
            gram[a * n + b] =
                weighted_product(f, at[a], at[b]) / (scale[a] * scale[b]) + (a == b ? RIDGE : 0);
    }
    if (n && !factor(gram, n))
        return false;
    double log_determinant = 0;
    for (size_t a = 0; a < n; a++) {
        double unit[REGRESS_COLUMNS_MAX] = {0};
        unit[a] = 1;
        solve(gram, n, unit);
        log_determinant += 2 * log(gram[a * n + a] * scale[a]);
        for (size_t b = 0; b < n; b++) {
            f->coefficients[at[a]] += unit[b] * right[b] / (scale[a] * scale[b]);
            f->covariance[at[a] * k + at[b]] = unit[b] / (scale[a] * scale[b]);
        }
    }
    double sum = 0;
    for (size_t i = 0; i < f->rows; i++)
        sum += f->weights[i] * residual(f, i) * residual(f, i);
    f->sigma2 = sum / (double)(f->rows > n ? f->rows - n : 1);
    if (ret_log_determinant)
        *ret_log_determinant = log_determinant;
    return true;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Weighs down what is far from the rest. */
static int reweigh(struct regress *f, struct err *e)
{
    double *sizes = malloc(f->rows * sizeof *sizes);
    if (!sizes)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < f->rows; i++)
        sizes[i] = fabs(residual(f, i));
    qsort(sizes, f->rows, sizeof *sizes, compare_doubles);
    double bound = HUBER * 1.4826 * sizes[f->rows / 2]; /* 1.4826: median to standard deviation */
    free(sizes);
    for (size_t i = 0; i < f->rows; i++) {
        double size = fabs(residual(f, i));
        f->weights[i] = bound > 0 && size > bound ? bound / size : 1;
    }
    return 0;
}

/* The proportion of drift to error that the growth speaks for. */
static double likely_drift(struct regress *f)
{
    static const double drifts[] = {0.003, 0.03, 0.1, 0.3, 1, 3, 10, 100};
    double best = INFINITY, drift = 1;
    for (size_t i = 0; i < f->rows; i++)
        f->weights[i] = 1;
    for (size_t d = 0; d < sizeof drifts / sizeof *drifts; d++) {
        if (drifts[d] < f->least_drift)
            continue;
        double normal, determinant = whiten(f, drifts[d]);
        if (!least_squares(f, NULL, &normal))
            continue;
        double freedom = (double)(f->rows - f->columns);
        double likelihood = freedom * log(fmax(f->sigma2, 1e-12)) + determinant + normal;
        if (likelihood < best) {
            best = likelihood;
            drift = drifts[d];
        }
    }
    return drift;
}

/* Variance of what the fit leaves of the growth, but for the two intervals that it leaves most of:
 * so many has one wild reading. */
static double unexplained(const struct regress *f)
{
    double sum = 0, largest[2] = {0};
    for (size_t i = 0; i < f->rows; i++) {
        double r = f->growth[i];
        for (size_t j = 0; j < f->columns; j++)
            r -= f->amounts[i * f->columns + j] * f->coefficients[j];
        sum += r * r;
        if (r * r > largest[0]) {
            largest[1] = largest[0];
            largest[0] = r * r;
        } else {
            largest[1] = fmax(largest[1], r * r);
        }
    }
    return (sum - largest[0] - largest[1]) / (double)(f->rows - f->columns);
}

int regress_fit(struct regress *f, double *ret_unexplained, struct err *e)
{
    int rc = 0;
    (void)whiten(f, likely_drift(f));
    if (least_squares(f, NULL, NULL))
        *ret_unexplained = unexplained(f);
    for (int round = 0; round <= HUBER_ROUNDS && rc == 0; round++) {
        if (!least_squares(f, NULL, NULL))
            return err_set(e, ERR_INTERNAL, "the normal equations have no solution");
        if (round < HUBER_ROUNDS)
            rc = reweigh(f, e);
    }
    return rc;
}

/* ---- what it says ---- */

/* Student's quantile as an expansion about the normal one (Fisher and Cornish). */
static double quantile(double z, size_t freedom)
{
    double n = freedom ? (double)freedom : 1;
    return z + (z * z * z + z) / (4 * n) + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * n * n);
}

double regress_error(const struct regress *f, const double *amounts, double z)
{
    double variance = 0;
    for (size_t a = 0; a < f->columns; a++)
        for (size_t b = 0; b < f->columns; b++)
            variance += amounts[a] * amounts[b] * f->covariance[a * f->columns + b] * f->sigma2;
    return quantile(z, f->rows - f->columns) * sqrt(fmax(variance, 0));
}

void regress_drop_negative(const struct regress *f, double z, double *ret, double *ret_errors)
{
    size_t left = f->columns;
    bool used[REGRESS_COLUMNS_MAX];
    struct regress copy = *f;
    for (size_t j = 0; j < f->columns; j++)
        used[j] = true;
    for (;;) {
        size_t worst = f->columns;
        for (size_t j = 0; j < f->columns; j++)
            if (used[j] && copy.coefficients[j] < 0 &&
                (worst == f->columns || copy.coefficients[j] < copy.coefficients[worst]))
                worst = j;
        if (worst == f->columns)
            break;
        used[worst] = false;
        left--;
        if (!least_squares(&copy, used, NULL))
            break;
    }
    for (size_t j = 0; j < f->columns; j++) {
        double variance = copy.covariance[j * f->columns + j] * copy.sigma2;
        ret[j] = fmax(copy.coefficients[j], 0);
        ret_errors[j] = quantile(z, f->rows - left) * sqrt(fmax(variance, 0));
    }
}

/* ---- rows ---- */

int regress_new(size_t rows, size_t columns, struct regress *ret, struct err *e)
{
    struct regress f = {.rows = rows, .columns = columns};
    f.growth = calloc(rows, sizeof(double));
    f.y = calloc(rows, sizeof(double));
    f.weights = calloc(rows, sizeof(double));
    f.amounts = calloc(rows * columns, sizeof(double));
    f.x = calloc(rows * columns, sizeof(double));
    *ret = f;
    if (!f.growth || !f.y || !f.weights || !f.amounts || !f.x)
        return err_set(e, ERR_NOMEM, "out of memory");
    return 0;
}

void regress_free(struct regress *f)
{
    free(f->growth);
    free(f->y);
    free(f->weights);
    free(f->amounts);
    free(f->x);
}
