/* Which route leaks: generalised least squares of the floors' growth on requests by route. */
#include "diagnose/routes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONFIDENCE_Z    2.576 /* of a 99 % interval */
#define FLOORS_MIN      6     /* fewer say nothing about their noise */
#define HUBER           2.5   /* standard deviations from which on a residual counts less */
#define HUBER_ROUNDS    5
#define TOGETHER_SPREAD 0.15     /* of the log odds between two routes from interval to interval */
#define NOTABLE_BYTES   16.0     /* a request; below is nothing that a heap holds */
#define NOTABLE_GROWTH  262144.0 /* over all floors: V8's own tables and code move that much */
#define NOTABLE_SIGMA   3.0      /* of the growth from floor to floor */
#define NOTABLE_SHARE   0.1      /* of the growth, for a route that may be behind it */
#define NAMED_ERRORS    1.25 /* half intervals: there are many routes, and each has its chance */
#define NAMED_SHARE     0.7  /* of the growth, that named routes explain */
#define WARM_UP_MOST    0.5  /* of the floors */
#define WARM_UP_RATIO   2.0  /* of the growth's variance with the first floors to that without */
#define RIDGE           1e-10

struct fit {
    size_t rows, columns;      /* intervals, groups of routes */
    double *growth, *requests; /* of each row, and rows × columns; owned, as the next three */
    double *y, *x;             /* the same, whitened */
    double *weights;           /* of the whitened rows */
    double coefficients[ROUTES_COLUMNS_MAX];
    double covariance[ROUTES_COLUMNS_MAX * ROUTES_COLUMNS_MAX]; /* without sigma2 */
    double sigma2;                                              /* of the whitened residuals */
};

const char *routes_verdict_name(enum routes_verdict verdict)
{
    static const char *const names[] = {"too-few", "no-growth", "named", "together", "unexplained"};
    return names[verdict];
}

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
static double whiten(struct fit *f, double drift)
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
                (f->requests[i * k + j] - (i ? below * f->x[(i - 1) * k + j] : 0)) / diagonal;
    }
    return log_determinant;
}

static double residual(const struct fit *f, size_t i)
{
    double r = f->y[i];
    for (size_t j = 0; j < f->columns; j++)
        r -= f->x[i * f->columns + j] * f->coefficients[j];
    return r;
}

static double weighted_product(const struct fit *f, size_t a, size_t b)
{
    double sum = 0;
    for (size_t i = 0; i < f->rows; i++)
        sum += f->weights[i] * f->x[i * f->columns + a] * f->x[i * f->columns + b];
    return sum;
}

/* Weighted least squares of the whitened rows; used[j] false keeps a coefficient at 0. Fills
 * coefficients, covariance and sigma2; ret_log_determinant: of the normal equations. */
static bool least_squares(struct fit *f, const bool *used, double *ret_log_determinant)
{
    size_t k = f->columns, n = 0;
    size_t at[ROUTES_COLUMNS_MAX];
    double scale[ROUTES_COLUMNS_MAX], right[ROUTES_COLUMNS_MAX] = {0};
    double gram[ROUTES_COLUMNS_MAX * ROUTES_COLUMNS_MAX];
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
        double unit[ROUTES_COLUMNS_MAX] = {0};
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
static int reweigh(struct fit *f, struct err *e)
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
static double likely_drift(struct fit *f)
{
    static const double drifts[] = {0.003, 0.03, 0.1, 0.3, 1, 3, 10, 100};
    double best = INFINITY, drift = 1;
    for (size_t i = 0; i < f->rows; i++)
        f->weights[i] = 1;
    for (size_t d = 0; d < sizeof drifts / sizeof *drifts; d++) {
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
static double unexplained(const struct fit *f)
{
    double sum = 0, largest[2] = {0};
    for (size_t i = 0; i < f->rows; i++) {
        double r = f->growth[i];
        for (size_t j = 0; j < f->columns; j++)
            r -= f->requests[i * f->columns + j] * f->coefficients[j];
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

static int fit_growth(struct fit *f, double *ret_unexplained, struct err *e)
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

/* ---- routes into columns ---- */

struct columns {
    size_t count;
    int *of;                          /* the column of each route, -1: no requests; owned */
    size_t sizes[ROUTES_COLUMNS_MAX]; /* routes in each */
};

static double between(const struct routes_input *in, size_t from, size_t to, size_t route)
{
    return in->counts[to * in->route_count + route] - in->counts[from * in->route_count + route];
}

/* Whether two routes keep their proportion through all intervals, but for chance. */
static bool come_together(const struct routes_input *in, size_t first, size_t a, size_t b)
{
    size_t last = in->floor_count - 1;
    double total_a = between(in, first, last, a), total_b = between(in, first, last, b);
    double share = total_a / (total_a + total_b), sum = 0;
    for (size_t i = first; i < last; i++) {
        double x = between(in, i, i + 1, a), y = between(in, i, i + 1, b);
        if (x + y > 0)
            sum += (x + y) * (x / (x + y) - share) * (x / (x + y) - share);
    }
    return sqrt(sum / (total_a + total_b)) / (share * (1 - share)) < TOGETHER_SPREAD;
}

/* The route with most requests that has no column yet; route_count: none. */
static size_t busiest(const struct routes_input *in, size_t first, const int *of)
{
    size_t best = in->route_count, last = in->floor_count - 1;
    double most = 0;
    for (size_t j = 0; j < in->route_count; j++)
        if (of[j] < 0 && between(in, first, last, j) > most) {
            most = between(in, first, last, j);
            best = j;
        }
    return best;
}

/* Routes that come together share a column; of more than there are columns for, the rarest share
 * the last one. */
static int make_columns(
    const struct routes_input *in, size_t first, size_t max, struct columns *ret, struct err *e)
{
    struct columns c = {.of = malloc((in->route_count ? in->route_count : 1) * sizeof *c.of)};
    size_t leaders[ROUTES_COLUMNS_MAX];
    size_t route;
    if (!c.of)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t j = 0; j < in->route_count; j++)
        c.of[j] = -1;
    while ((route = busiest(in, first, c.of)) < in->route_count) {
        size_t column = 0;
        while (column < c.count && !come_together(in, first, route, leaders[column]))
            column++;
        if (column == max)
            column = max - 1;
        if (column == c.count)
            leaders[c.count++] = route;
        c.of[route] = (int)column;
        c.sizes[column]++;
    }
    *ret = c;
    return 0;
}

static int new_fit(const struct routes_input *in, size_t first, const struct columns *c,
    struct fit *ret, struct err *e)
{
    struct fit f = {.rows = in->floor_count - 1 - first, .columns = c->count};
    f.growth = calloc(f.rows, sizeof(double));
    f.y = calloc(f.rows, sizeof(double));
    f.weights = calloc(f.rows, sizeof(double));
    f.requests = calloc(f.rows * f.columns, sizeof(double));
    f.x = calloc(f.rows * f.columns, sizeof(double));
    *ret = f;
    if (!f.growth || !f.y || !f.weights || !f.requests || !f.x)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < f.rows; i++) {
        f.growth[i] = in->bytes[first + i + 1] - in->bytes[first + i];
        for (size_t j = 0; j < in->route_count; j++)
            if (c->of[j] >= 0)
                f.requests[i * f.columns + (size_t)c->of[j]] +=
                    between(in, first + i, first + i + 1, j);
    }
    return 0;
}

static void free_fit(struct fit *f)
{
    free(f->growth);
    free(f->y);
    free(f->weights);
    free(f->requests);
    free(f->x);
}

/* ---- judging ---- */

/* Student's quantile as an expansion about the normal one (Fisher and Cornish). */
static double quantile(size_t freedom)
{
    double z = CONFIDENCE_Z, n = freedom ? (double)freedom : 1;
    return z + (z * z * z + z) / (4 * n) + (5 * pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * n * n);
}

/* Coefficients without negative ones: the most negative goes, until none is. */
static void drop_negative(const struct fit *f, double *ret)
{
    bool used[ROUTES_COLUMNS_MAX];
    struct fit copy = *f;
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
        if (!least_squares(&copy, used, NULL))
            break;
    }
    for (size_t j = 0; j < f->columns; j++)
        ret[j] = fmax(copy.coefficients[j], 0);
}

static struct routes_estimate nothing_known(void)
{
    return (struct routes_estimate){.bytes = NAN, .low = NAN, .high = NAN, .together = -1};
}

static void judge_growth(const struct fit *f, const double *totals, struct routes_summary *summary)
{
    double variance = 0;
    for (size_t a = 0; a < f->columns; a++) {
        summary->growth += f->coefficients[a] * totals[a];
        for (size_t b = 0; b < f->columns; b++)
            variance += totals[a] * totals[b] * f->covariance[a * f->columns + b] * f->sigma2;
    }
    double error = quantile(f->rows - f->columns) * sqrt(fmax(variance, 0));
    summary->growth_low = summary->growth - error;
    summary->growth_high = summary->growth + error;
}

static void judge_route(const struct fit *f, const double *positive, const double *totals, size_t a,
    bool together, double noise, struct routes_estimate *r)
{
    double error =
        quantile(f->rows - f->columns) * sqrt(f->covariance[a * f->columns + a] * f->sigma2);
    r->low = fmax(f->coefficients[a] - error, 0);
    r->high = fmax(f->coefficients[a] + error, 0);
    r->bytes = fmin(fmax(positive[a], r->low), r->high);
    r->together = together ? (int)a : -1;
    r->leaks = r->low >= NOTABLE_BYTES && f->coefficients[a] > NAMED_ERRORS * error &&
               r->bytes * totals[a] >= NOTABLE_GROWTH / 2 &&
               r->low * totals[a] > NOTABLE_SIGMA * noise;
}

static enum routes_verdict judge(const struct routes_summary *s, double named, double behind)
{
    bool grows = s->growth_low > 0 && s->growth >= NOTABLE_GROWTH;
    if (named > 0 && named >= NAMED_SHARE * s->growth)
        return ROUTES_NAMED;
    if (grows && behind > NOTABLE_SHARE * s->growth)
        return ROUTES_TOGETHER;
    if (named > 0)
        return ROUTES_NAMED;
    return grows ? ROUTES_UNEXPLAINED : ROUTES_NO_GROWTH;
}

static void judge_all(const struct routes_input *in, size_t first, const struct columns *c,
    const struct fit *f, struct routes_estimate *ret, struct routes_summary *summary)
{
    double positive[ROUTES_COLUMNS_MAX], totals[ROUTES_COLUMNS_MAX] = {0};
    double named = 0, behind = 0; /* bytes over all floors: explained, perhaps explained */
    size_t last = in->floor_count - 1;
    drop_negative(f, positive);
    for (size_t j = 0; j < in->route_count; j++)
        if (c->of[j] >= 0)
            totals[c->of[j]] += between(in, first, last, j);
    judge_growth(f, totals, summary);
    for (size_t j = 0; j < in->route_count; j++) {
        struct routes_estimate *r = &ret[j];
        *r = nothing_known();
        if (c->of[j] < 0)
            continue;
        size_t a = (size_t)c->of[j];
        r->requests = between(in, first, last, j);
        judge_route(f, positive, totals, a, c->sizes[a] > 1, summary->noise, r);
        if (r->leaks && r->together < 0)
            named += r->bytes * r->requests;
        else
            behind += (r->together < 0 ? r->high : r->bytes) * r->requests;
    }
    summary->verdict = judge(summary, named, behind);
}

/* One attempt from floor first on. */
static int estimate_from(const struct routes_input *in, size_t first,
    struct routes_estimate *estimates, struct routes_summary *summary, double *ret_unexplained,
    struct err *e)
{
    struct columns c = {0};
    struct fit f = {0};
    size_t floors = in->floor_count - first;
    size_t max = floors / 3 < ROUTES_COLUMNS_MAX ? floors / 3 : ROUTES_COLUMNS_MAX;
    *ret_unexplained = 0;
    for (size_t j = 0; j < in->route_count; j++)
        estimates[j] = nothing_known();
    *summary = (struct routes_summary){.verdict = ROUTES_NO_GROWTH,
        .floors_used = floors,
        .floors_needed = FLOORS_MIN,
        .warm_up = first};
    int rc = make_columns(in, first, max, &c, e);
    if (rc || c.count == 0)
        goto out;
    rc = new_fit(in, first, &c, &f, e);
    if (rc == 0)
        rc = fit_growth(&f, ret_unexplained, e);
    if (rc)
        goto out;
    summary->noise = sqrt(*ret_unexplained);
    judge_all(in, first, &c, &f, estimates, summary);
out:
    free_fit(&f);
    free(c.of);
    return rc;
}

#define STARTS 6 /* candidates: 0 to WARM_UP_MOST of the floors left out */

/* The first floor after the warm-up: as early as the growth from there on is not much more even
 * without the floors that follow. */
static int find_start(
    const struct routes_input *in, struct routes_estimate *scratch, size_t *ret, struct err *e)
{
    double variance[STARTS], least = INFINITY;
    size_t first[STARTS], count = 0;
    struct routes_summary ignored;
    for (size_t i = 0; i < STARTS; i++) {
        size_t at = (size_t)(WARM_UP_MOST * (double)(in->floor_count * i) / (STARTS - 1));
        if (in->floor_count < at + FLOORS_MIN || (count && at == first[count - 1]))
            continue;
        int rc = estimate_from(in, at, scratch, &ignored, &variance[count], e);
        if (rc)
            return rc;
        first[count] = at;
        least = fmin(least, variance[count++]);
    }
    for (size_t i = 0; i < count; i++)
        if (variance[i] <= WARM_UP_RATIO * least) {
            *ret = first[i];
            break;
        }
    return 0;
}

int routes_estimate(const struct routes_input *in, struct routes_estimate *ret_estimates,
    struct routes_summary *ret, struct err *e)
{
    struct routes_summary summary = {
        .verdict = ROUTES_TOO_FEW, .floors_used = in->floor_count, .floors_needed = FLOORS_MIN};
    size_t first = 0;
    double ignored;
    int rc = 0;
    for (size_t j = 0; j < in->route_count; j++)
        ret_estimates[j] = nothing_known();
    if (in->floor_count >= FLOORS_MIN) {
        rc = find_start(in, ret_estimates, &first, e);
        if (rc == 0)
            rc = estimate_from(in, first, ret_estimates, &summary, &ignored, e);
    }
    if (rc == 0)
        *ret = summary;
    return rc;
}
