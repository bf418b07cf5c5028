/* Does it grow? */
#include "diagnose/trend.h"

#include "diagnose/regress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STARTS           6   /* candidates for the end of the warm-up */
#define WARM_UP_MOST     0.5 /* of the points */
#define WARM_UP_RATIO    2.0 /* of the variance that is left with the first points to that without */
#define WARM_UP_LEFT     0.2  /* of all growth, that there is behind a warm-up at least */
#define WARM_UP_POINTS   8    /* fewer are all used */
#define STEADY_SHARE     0.5  /* of the first half's rate, that the last half has at least */
#define STILL_SHARE      0.25 /* of the mean rate, that a tail which grows no more has at most */
#define LOAD_POINTS      5
#define LOAD_LEAST       2.0 /* requests in flight at the most: fewer hold nothing to speak of */
#define LOAD_RATIO       1.5 /* of the most to the least in flight */
#define LOAD_CORRELATION 0.7
#define LOAD_STEADY      0.95
#define LEAST_DRIFT      0.1 /* a series too short to show its drift has some all the same */
#define AGREE_SHARE      0.6 /* of the growth by intervals, that there is from end to end at least */
#define END_POINTS_MAX   64
#define TAIL_POINTS      4
#define TAIL_EXPECTED    1.5 /* noise floors that a tail would have grown by */
#define FLAT_POINTS_MIN  3

/* The points that count, oldest first; owned. */
struct points {
    size_t count;
    double *seconds, *bytes, *load; /* load NULL: not known */
};

struct rate { /* over some points */
    double slope, error;
    double unexplained;
};

const char *trend_shape_name(enum trend_shape shape)
{
    static const char *const names[] = {
        "too few", "flat", "levelled off", "rising", "slowing", "unclear"};
    return names[shape];
}

/* ---- points ---- */

static int copy_points(const struct trend_input *in, struct points *ret, struct err *e)
{
    struct points p = {0};
    size_t room = in->count ? in->count : 1;
    p.seconds = malloc(room * sizeof *p.seconds);
    p.bytes = malloc(room * sizeof *p.bytes);
    p.load = in->load ? malloc(room * sizeof *p.load) : NULL;
    *ret = p;
    if (!p.seconds || !p.bytes || (in->load && !p.load))
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < in->count; i++) {
        if (!isfinite(in->bytes[i]) || !isfinite(in->seconds[i]))
            continue;
        if (ret->count && in->seconds[i] <= ret->seconds[ret->count - 1])
            continue; /* no time has passed */
        ret->seconds[ret->count] = in->seconds[i];
        ret->bytes[ret->count] = in->bytes[i];
        if (ret->load)
            ret->load[ret->count] = isfinite(in->load[i]) ? in->load[i] : 0;
        ret->count++;
    }
    return 0;
}

static void free_points(struct points *p)
{
    free(p->seconds);
    free(p->bytes);
    free(p->load);
}

static double span(const struct points *p, size_t first, size_t last)
{
    return p->seconds[last] - p->seconds[first];
}

/* ---- rates ---- */

/* Growth a second from point first to point last (inclusive), given the load if asked. Two points
 * have a rate without an error. */
static int find_rate(const struct points *p, size_t first, size_t last, bool with_load,
    struct rate *ret, struct err *e)
{
    struct regress f = {0};
    size_t rows = last - first, columns = with_load ? 2 : 1;
    *ret = (struct rate){
        .slope = (p->bytes[last] - p->bytes[first]) / span(p, first, last), .error = INFINITY};
    if (rows <= columns)
        return 0;
    int rc = regress_new(rows, columns, &f, e);
    for (size_t i = 0; rc == 0 && i < rows; i++) {
        f.growth[i] = p->bytes[first + i + 1] - p->bytes[first + i];
        f.amounts[i * columns] = span(p, first + i, first + i + 1);
        if (with_load)
            f.amounts[i * columns + 1] = p->load[first + i + 1] - p->load[first + i];
    }
    double unexplained = 0;
    f.least_drift = LEAST_DRIFT;
    if (rc == 0)
        rc = regress_fit(&f, &unexplained, e);
    if (rc == 0)
        *ret = (struct rate){f.coefficients[0],
            regress_error(&f, (const double[]){1, 0}, REGRESS_Z_95), unexplained};
    regress_free(&f);
    return rc;
}

/* The first point after the warm-up: as early as what is left unexplained from there on is not much
 * more even without the points that follow. */
static int find_start(const struct points *p, size_t *ret, struct err *e)
{
    double variance[STARTS], least = INFINITY;
    size_t first[STARTS], count = 0;
    *ret = 0;
    if (p->count < WARM_UP_POINTS)
        return 0;
    for (size_t i = 0; i < STARTS; i++) {
        struct rate rate;
        size_t at = (size_t)(WARM_UP_MOST * (double)(p->count * i) / (STARTS - 1));
        if (count && at == first[count - 1])
            continue;
        int rc = find_rate(p, at, p->count - 1, false, &rate, e);
        if (rc)
            return rc;
        first[count] = at;
        variance[count] = rate.unexplained;
        least = fmin(least, variance[count++]);
    }
    for (size_t i = 0; i < count; i++)
        if (variance[i] <= WARM_UP_RATIO * least) {
            *ret = first[i];
            break;
        }
    return 0;
}

/* The first point at or behind a share of the span from first on. */
static size_t point_at(const struct points *p, size_t first, double share)
{
    size_t last = p->count - 1, at = first;
    double from = p->seconds[first] + share * span(p, first, last) - 1e-9;
    while (at < last && p->seconds[at] < from)
        at++;
    return at;
}

/* ---- judging ---- */

/* Least squares on the levels: unlike growth by intervals it takes a plateau for what it is. */
static double level_slope(const struct points *p, size_t first, size_t last)
{
    double count = (double)(last - first + 1), mean_x = 0, mean_y = 0, xx = 0, xy = 0;
    for (size_t i = first; i <= last; i++) {
        mean_x += p->seconds[i] / count;
        mean_y += p->bytes[i] / count;
    }
    for (size_t i = first; i <= last; i++) {
        double x = p->seconds[i] - mean_x;
        xx += x * x;
        xy += x * (p->bytes[i] - mean_y);
    }
    return xx > 0 ? xy / xx : 0;
}

/* Whether a last part of the points stays within the noise, where it would have grown by more than
 * that at the mean rate. */
static bool has_levelled(const struct points *p, const struct trend *t)
{
    static const double shares[] = {0.5, 0.67, 0.75};
    size_t last = p->count - 1;
    double mean = (p->bytes[last] - p->bytes[0]) / span(p, 0, last);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        size_t at = point_at(p, 0, shares[i]);
        double least = INFINITY, most = -INFINITY, expected = mean * span(p, at, last);
        if (last - at + 1 < TAIL_POINTS)
            break;
        for (size_t k = at; k <= last; k++) {
            least = fmin(least, p->bytes[k]);
            most = fmax(most, p->bytes[k]);
        }
        double slope = level_slope(p, at, last);
        if (expected > TAIL_EXPECTED * t->noise && most - least < t->noise &&
            slope < STILL_SHARE * mean && slope * span(p, at, last) < t->noise / 2)
            return true;
    }
    return false;
}

/* The last half by levels or by intervals, whichever is more: one reading that dips bends levels,
 * and a plateau bends both. */
static int judge_halves(const struct points *p, size_t first, struct trend *t, struct err *e)
{
    struct rate late;
    size_t last = p->count - 1, middle = point_at(p, first, 0.5);
    if (middle == last)
        middle--;
    int rc = find_rate(p, middle, last, false, &late, e);
    t->early = level_slope(p, first, middle);
    t->late = rc == 0 ? fmax(level_slope(p, middle, last), late.slope) : NAN;
    return rc;
}

/* How far two series go together, -1 to 1. */
static double correlation(const double *a, const double *b, size_t count)
{
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < count; i++) {
        x += a[i] / (double)count;
        y += b[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        xx += (a[i] - x) * (a[i] - x);
        yy += (b[i] - y) * (b[i] - y);
        xy += (a[i] - x) * (b[i] - y);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

/* Where more and more is in flight and the bytes go with it, growth has to be there beside it. */
static int judge_load(const struct points *p, size_t first, struct trend *t, struct err *e)
{
    struct rate rate;
    size_t last = p->count - 1;
    if (!p->load || t->growth_low <= t->noise || last - first < LOAD_POINTS)
        return 0;
    double least = INFINITY, most = -INFINITY;
    for (size_t i = first; i <= last; i++) {
        least = fmin(least, p->load[i]);
        most = fmax(most, p->load[i]);
    }
    size_t count = p->count - first;
    if (most <= LOAD_LEAST || most <= LOAD_RATIO * least ||
        correlation(p->bytes + first, p->load + first, count) < LOAD_CORRELATION)
        return 0;
    /* A load that rises as steadily as time cannot be told from time. */
    bool steady = correlation(p->seconds + first, p->load + first, count) > LOAD_STEADY;
    int rc = find_rate(p, first, last, true, &rate, e);
    if (rc)
        return rc;
    t->follows_load = steady || (rate.slope - rate.error) * t->span <= t->noise;
    if (t->follows_load) {
        t->slope = rate.slope;
        t->low = rate.slope - rate.error;
        t->high = rate.slope + rate.error;
    }
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *values, size_t count)
{
    double sorted[END_POINTS_MAX];
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* Growth from end to end by the medians of a third at either end: a sawtooth rises in nearly every
 * interval, and has risen nowhere. */
static double find_rise(const struct points *p, size_t first, double slope)
{
    size_t count = p->count - first, end = count / 3;
    if (end > END_POINTS_MAX)
        end = END_POINTS_MAX;
    if (end < 2)
        return p->bytes[p->count - 1] - p->bytes[first];
    double between = median(p->bytes + p->count - end, end) - median(p->bytes + first, end);
    double at = (p->seconds[p->count - 1] + p->seconds[p->count - end] -
                    p->seconds[first + end - 1] - p->seconds[first]) /
                2; /* seconds between the middles */
    return between + slope * (span(p, first, p->count - 1) - at);
}

static enum trend_shape find_shape(const struct trend *t, double rise, bool levelled)
{
    if (t->follows_load)
        return t->high * t->span < t->noise ? TREND_FLAT : TREND_UNCLEAR;
    if (levelled)
        return TREND_LEVELLED;
    if (t->growth_high < t->noise)
        return t->total > t->noise && t->warm_up ? TREND_LEVELLED : TREND_FLAT;
    if (t->growth_low <= t->noise)
        return TREND_UNCLEAR;
    if (rise < AGREE_SHARE * t->growth)
        return TREND_UNCLEAR;
    double late = t->late * t->span / 2;
    if (late < t->noise / 4 || t->late < STEADY_SHARE * t->early ||
        t->growth < WARM_UP_LEFT * t->total)
        return TREND_SLOWING;
    return TREND_RISING;
}

int trend_judge(const struct trend_input *in, struct trend *ret, struct err *e)
{
    struct points p = {0};
    struct rate rate;
    size_t first = 0;
    bool levelled = false;
    struct trend t = {.shape = TREND_TOO_FEW, .slope = NAN, .low = NAN, .high = NAN};
    t.growth = t.growth_low = t.growth_high = t.early = t.late = t.level = NAN;
    int rc = copy_points(in, &p, e);
    if (rc)
        goto out;
    t.points = p.count;
    if (p.count) {
        double share = in->noise_share > 0 ? in->noise_share : TREND_NOISE_SHARE;
        t.level = p.bytes[p.count - 1];
        t.total = t.level - p.bytes[0];
        t.noise = fmax(
            in->noise_bytes > 0 ? in->noise_bytes : TREND_NOISE_BYTES, share * fabs(p.bytes[0]));
    }
    if (p.count < 2)
        goto out;
    rc = find_start(&p, &first, e);
    if (rc == 0)
        rc = find_rate(&p, first, p.count - 1, false, &rate, e);
    if (rc)
        goto out;
    t.warm_up = first;
    t.points = p.count - first;
    t.span = span(&p, first, p.count - 1);
    t.slope = rate.slope;
    t.growth = rate.slope * t.span;
    if (t.points < FLAT_POINTS_MIN)
        goto out;
    t.low = rate.slope - rate.error;
    t.high = rate.slope + rate.error;
    t.growth_low = t.low * t.span;
    t.growth_high = t.high * t.span;
    levelled = has_levelled(&p, &t);
    rc = judge_halves(&p, first, &t, e);
    if (rc == 0)
        rc = judge_load(&p, first, &t, e);
    t.shape = find_shape(&t, find_rise(&p, first, t.slope), levelled);
out:
    free_points(&p);
    if (rc == 0)
        *ret = t;
    return rc;
}
