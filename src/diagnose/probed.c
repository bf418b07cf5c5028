/* Routes of a probe. */
#include "diagnose/probed.h"

#include "diagnose/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A round is left out when the squares of what is not explained fall to a ninth without it. */
#define OUTLIER_RATIO      9
#define OUTLIER_BYTES      16384.0
#define OUTLIER_SHARE      6   /* at most one round of so many */
#define OUTLIER_FLOORS_MAX 200 /* of more, one rise spoils little */
/* What a floor may be off by: run_floor.c takes 4 KB for the same, and a list of 2,000 entries
 * grows by 8 KB at once, in one round for all that it takes. */
#define READING_BYTES 6144.0

/* The floors that are left; owned. */
struct floors_left {
    size_t count, columns;
    double *bytes, *counts;
};

static int copy_floors(const struct routes_input *in, struct floors_left *ret, struct err *e)
{
    size_t cells = in->floor_count * in->route_count;
    *ret = (struct floors_left){in->floor_count, in->route_count,
        calloc(in->floor_count + 1, sizeof *ret->bytes), calloc(cells + 1, sizeof *ret->counts)};
    if (!ret->bytes || !ret->counts)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (in->floor_count)
        memcpy(ret->bytes, in->bytes, in->floor_count * sizeof *ret->bytes);
    if (cells)
        memcpy(ret->counts, in->counts, cells * sizeof *ret->counts);
    return 0;
}

static void free_floors(struct floors_left *f)
{
    free(f->bytes);
    free(f->counts);
}

static struct routes_input input_of(const struct floors_left *f)
{
    return (struct routes_input){f->count, f->columns, f->bytes, f->counts, NULL};
}

/* Requests of a column between a floor and the one before. */
static double grown_count(const struct routes_input *in, size_t floor, size_t column)
{
    size_t at = floor * in->route_count + column;
    return in->counts[at] - in->counts[at - in->route_count];
}

/* ---- rounds that nothing explains ---- */

/* Squares of what is left of the growth from floor to floor. */
static double unexplained(const struct routes_input *in, const struct routes_estimate *estimates)
{
    double sum = 0;
    for (size_t i = 1; i < in->floor_count; i++) {
        double rest = in->bytes[i] - in->bytes[i - 1];
        for (size_t j = 0; j < in->route_count; j++)
            if (!isnan(estimates[j].bytes))
                rest -= estimates[j].bytes * grown_count(in, i, j);
        sum += rest * rest;
    }
    return sum;
}

/* Takes out the growth and the requests between floors at - 1 and at. */
static void take_out(struct floors_left *f, size_t at)
{
    const struct routes_input in = input_of(f);
    size_t columns = f->columns;
    double bytes = f->bytes[at] - f->bytes[at - 1];
    for (size_t j = 0; j < columns; j++) {
        double count = grown_count(&in, at, j);
        for (size_t i = at + 1; i < f->count; i++)
            f->counts[i * columns + j] -= count;
    }
    for (size_t i = at + 1; i < f->count; i++)
        f->bytes[i - 1] = f->bytes[i] - bytes;
    memmove(&f->counts[at * columns], &f->counts[(at + 1) * columns],
        (f->count - at - 1) * columns * sizeof *f->counts);
    f->count--;
}

/* A runtime grows by some 50 KB once in its life, at any time: of few rounds, one such rise spoils
 * the figures of all. Leaves the round out without which nearly all is explained. */
static int leave_out_one(struct floors_left *f, struct routes_estimate *estimates,
    struct routes_summary *summary, bool *ret_left, struct err *e)
{
    struct routes_input in = input_of(f);
    struct routes_estimate *others = calloc(f->columns, sizeof *others);
    struct routes_summary ignored;
    double before = unexplained(&in, estimates), least = before;
    size_t best = 0;
    int rc = others ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t at = 1; rc == 0 && at < f->count; at++) {
        struct floors_left other = {0};
        rc = copy_floors(&in, &other, e);
        if (rc == 0) {
            take_out(&other, at);
            struct routes_input rest = input_of(&other);
            rc = routes_estimate(&rest, others, &ignored, e);
            double squares = rc == 0 ? unexplained(&rest, others) : INFINITY;
            if (squares < least) {
                least = squares;
                best = at;
            }
        }
        free_floors(&other);
    }
    *ret_left =
        rc == 0 && best && before > OUTLIER_BYTES * OUTLIER_BYTES && least * OUTLIER_RATIO < before;
    if (*ret_left) {
        take_out(f, best);
        in = input_of(f);
        rc = routes_estimate(&in, estimates, summary, e);
    }
    free(others);
    return rc;
}

/* ---- what leaks ---- */

static bool any_leaks(const struct routes_estimate *estimates, size_t count)
{
    for (size_t j = 0; j < count; j++)
        if (estimates[j].leaks)
            return true;
    return false;
}

/* A floor is read to about READING_BYTES, however well the regression fits. */
static void widen(const struct routes_input *in, struct routes_estimate *estimates,
    struct routes_summary *summary)
{
    for (size_t j = 0; j < in->route_count; j++) {
        double squares = 0;
        for (size_t i = 1; i < in->floor_count; i++)
            squares += grown_count(in, i, j) * grown_count(in, i, j);
        if (!isnan(estimates[j].bytes) && squares > 0)
            routes_widen(&estimates[j], REGRESS_Z_99 * READING_BYTES / sqrt(squares));
    }
    if (summary->verdict == ROUTES_NAMED && !any_leaks(estimates, in->route_count))
        summary->verdict = ROUTES_NO_GROWTH;
}

/* Whether the heap grows with what the leaking columns are said to keep: a cache that fills stops,
 * and what is less than a healthy heap moves by is no leak. */
static int judge_growth(const struct routes_input *in, const struct routes_estimate *estimates,
    enum trend_shape *ret, struct err *e)
{
    double *kept = calloc(in->floor_count + 1, sizeof *kept);
    struct trend trend;
    if (!kept)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 1; i < in->floor_count; i++) {
        kept[i] = kept[i - 1];
        for (size_t j = 0; j < in->route_count; j++)
            if (estimates[j].leaks)
                kept[i] += estimates[j].bytes * grown_count(in, i, j) / 1024;
    }
    struct trend_input input = {.count = in->floor_count, .seconds = kept, .bytes = in->bytes};
    int rc = trend_judge(&input, &trend, e);
    free(kept);
    if (rc == 0)
        *ret = trend.shape;
    return rc;
}

static int weigh_growth(const struct routes_input *in, struct routes_estimate *estimates,
    struct routes_summary *summary, struct err *e)
{
    enum trend_shape shape = TREND_RISING;
    if (!any_leaks(estimates, in->route_count))
        return 0;
    int rc = judge_growth(in, estimates, &shape, e);
    if (rc || shape == TREND_RISING)
        return rc;
    for (size_t j = 0; j < in->route_count; j++)
        estimates[j].leaks = false;
    if (summary->verdict == ROUTES_NAMED)
        summary->verdict = ROUTES_NO_GROWTH;
    return 0;
}

int probed_estimate(const struct routes_input *in, struct routes_estimate *ret_estimates,
    struct routes_summary *ret, size_t *ret_left_out, struct err *e)
{
    struct floors_left f = {0};
    struct routes_summary summary;
    bool left = in->floor_count <= OUTLIER_FLOORS_MAX;
    size_t most = in->floor_count ? (in->floor_count - 1) / OUTLIER_SHARE : 0, left_out = 0;
    int rc = copy_floors(in, &f, e);
    if (rc == 0)
        rc = routes_estimate(in, ret_estimates, &summary, e);
    while (rc == 0 && left && summary.verdict != ROUTES_TOO_FEW && left_out < most) {
        rc = leave_out_one(&f, ret_estimates, &summary, &left, e);
        left_out += rc == 0 && left;
    }
    const struct routes_input rest = input_of(&f);
    if (rc == 0) {
        widen(&rest, ret_estimates, &summary);
        rc = weigh_growth(&rest, ret_estimates, &summary, e);
    }
    free_floors(&f);
    if (rc == 0) {
        *ret = summary;
        *ret_left_out = left_out;
    }
    return rc;
}
