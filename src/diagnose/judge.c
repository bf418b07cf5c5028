/* Verdicts from readings. */
#include "diagnose/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOWS_MAX     24   /* minima of as many windows stand for floors where there are none */
#define WINDOW_READINGS 4    /* in each, so that one of them is soon after a collection */
#define WEAK_MIN        6    /* windows */
#define FORCED_MIN      6    /* floors after collections of ours */
#define IDLE_SHARE      0.1  /* of the usual load: below it a stretch of time is idle */
#define IDLE_LEAST      0.02 /* utilization that counts as load at all */
#define LOAD_NEAR_MS    2000 /* a floor's load was measured at most so far from it */
#define OTHERS_SHARE    0.1  /* of the growth of RSS */

/* A series as it is judged; owned. */
struct series {
    size_t count;
    int64_t *wall_ms;
    double *seconds, *bytes, *load;
    bool strong;
    double share_active;
};

enum kind { KIND_HEAP, KIND_EXTERNAL, KIND_RSS };

/* ---- series ---- */

static int new_series(size_t room, struct series *ret, struct err *e)
{
    *ret = (struct series){.share_active = 1};
    ret->wall_ms = calloc(room + 1, sizeof *ret->wall_ms);
    ret->seconds = calloc(room + 1, sizeof *ret->seconds);
    ret->bytes = calloc(room + 1, sizeof *ret->bytes);
    if (!ret->wall_ms || !ret->seconds || !ret->bytes)
        return err_set(e, ERR_NOMEM, "out of memory");
    return 0;
}

static void free_series(struct series *s)
{
    free(s->wall_ms);
    free(s->seconds);
    free(s->bytes);
    free(s->load);
}

static void add_point(struct series *s, int64_t wall_ms, double bytes)
{
    if (!isfinite(bytes) || (s->count && wall_ms <= s->wall_ms[s->count - 1]))
        return;
    s->wall_ms[s->count] = wall_ms;
    s->bytes[s->count++] = bytes;
}

/* External memory stands beside the heap; RSS is counted without what both, other threads and
 * snapshots explain. */
static double value_of(
    const struct evidence_target *t, const struct evidence_reading *r, enum kind kind)
{
    if (kind == KIND_HEAP)
        return r->heap;
    if (kind == KIND_EXTERNAL)
        return r->external;
    if (t->shares_rss)
        return NAN;
    return r->rss - r->heap_total - r->external - r->snapshots_left - r->of_threads;
}

static size_t count_after_gc(const struct evidence_target *t)
{
    size_t count = 0;
    for (size_t i = 0; i < t->reading_count; i++)
        count += t->readings[i].after_gc;
    return count;
}

/* The lowest reading of each of several windows of equal time. */
static void add_minima(const struct evidence_target *t, enum kind kind, struct series *s)
{
    size_t windows = t->reading_count / WINDOW_READINGS;
    if (windows > WINDOWS_MAX)
        windows = WINDOWS_MAX;
    for (size_t w = 0; w < windows; w++) {
        const struct evidence_reading *least = NULL;
        size_t end = t->reading_count * (w + 1) / windows;
        for (size_t i = t->reading_count * w / windows; i < end; i++) {
            const struct evidence_reading *r = &t->readings[i];
            if (isfinite(value_of(t, r, kind)) &&
                (!least || value_of(t, r, kind) < value_of(t, least, kind)))
                least = r;
        }
        if (least)
            add_point(s, least->wall_ms, value_of(t, least, kind));
    }
}

/* Floors that the hook should have noted at least. A probe notes one with each reading, but for
 * those behind snapshots. */
static size_t floors_expected(const struct evidence_target *t)
{
    size_t count = count_after_gc(t), probed = 0;
    for (size_t i = 0; i < t->snapshot_count; i++)
        probed += t->snapshots[i].probed && t->snapshots[i].complete;
    return count > probed ? count - probed : 0;
}

/* Whether floors that V8 had of itself may be left out: garbage that died while it marked is in
 * them. */
static bool has_forced(const struct floors *f)
{
    size_t forced = 0;
    for (size_t i = 0; f->forced && i < f->count; i++)
        forced += f->forced[i];
    return forced >= FORCED_MIN;
}

/* The hook's floors where there are more of them: they leave the young generation out, in a probe
 * compiled code, too, and what snapshots left behind. */
static int make_series(
    const struct evidence_target *t, enum kind kind, struct series *ret, struct err *e)
{
    size_t after_gc = count_after_gc(t);
    const double *values = kind == KIND_HEAP       ? t->floors.bytes
                           : kind == KIND_EXTERNAL ? t->floors.external
                                                   : t->floors.native;
    bool hook = t->floors.count >= 3 && t->floors.count >= floors_expected(t) && values &&
                isfinite(values[0]);
    int rc = new_series(hook ? t->floors.count : t->reading_count, ret, e);
    if (rc)
        return rc;
    ret->strong = hook || after_gc >= 2;
    bool forced = hook && has_forced(&t->floors);
    for (size_t i = 0; hook && i < t->floors.count; i++)
        if (!forced || t->floors.forced[i])
            add_point(ret, t->floors.wall_ms[i], values[i]);
    for (size_t i = 0; !hook && i < t->reading_count; i++)
        if (t->readings[i].after_gc)
            add_point(ret, t->readings[i].wall_ms, value_of(t, &t->readings[i], kind));
    if (ret->count >= 2)
        return 0;
    ret->count = 0;
    ret->strong = false;
    add_minima(t, kind, ret);
    if (ret->count < WEAK_MIN)
        ret->count = 0;
    return 0;
}

static void set_seconds(struct series *s)
{
    for (size_t i = 0; i < s->count; i++)
        s->seconds[i] = (double)(s->wall_ms[i] - s->wall_ms[0]) / 1000;
}

/* ---- load ---- */

/* Requests in flight near each point, where they are known of most. */
static int set_load(const struct evidence_target *t, struct series *s, struct err *e)
{
    size_t known = 0, at = 0;
    if (t->load_count == 0 || s->count == 0)
        return 0;
    double *load = calloc(s->count, sizeof *load);
    if (!load)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < s->count; i++) {
        while (at + 1 < t->load_count && llabs(t->load[at + 1].wall_ms - s->wall_ms[i]) <=
                                             llabs(t->load[at].wall_ms - s->wall_ms[i]))
            at++;
        bool near = llabs(t->load[at].wall_ms - s->wall_ms[i]) <= LOAD_NEAR_MS;
        load[i] = near ? t->load[at].in_flight : 0;
        known += near;
    }
    if (2 * known >= s->count)
        s->load = load;
    else
        free(load);
    return 0;
}

/* Requests that had ended by a time, all routes together, NAN without any. */
static double requests_by(const struct floors *f, int64_t wall_ms)
{
    double before = NAN, total = 0;
    int64_t before_ms = 0;
    for (size_t i = 0; i < f->count; i++) {
        total = 0;
        for (size_t j = 0; j < f->route_count; j++)
            total += f->counts[i * f->route_count + j];
        if (f->wall_ms[i] >= wall_ms) {
            if (isnan(before) || f->wall_ms[i] == before_ms)
                return total;
            double share = (double)(wall_ms - before_ms) / (double)(f->wall_ms[i] - before_ms);
            return before + share * (total - before);
        }
        before = total;
        before_ms = f->wall_ms[i];
    }
    return before;
}

/* Mean utilization of the event loop from one time to another, NAN if it was not read. */
static double utilization_between(const struct evidence_target *t, int64_t from_ms, int64_t to_ms)
{
    double sum = 0, count = 0;
    for (size_t i = 0; i < t->reading_count; i++) {
        const struct evidence_reading *r = &t->readings[i];
        if (r->wall_ms > from_ms && r->wall_ms <= to_ms && isfinite(r->utilization)) {
            sum += r->utilization;
            count++;
        }
    }
    return count > 0 ? sum / count : NAN;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* How busy the event loop was between points; false: not known. */
static bool find_activity(const struct evidence_target *t, const struct series *s, double *activity)
{
    for (size_t i = 0; i + 1 < s->count; i++) {
        activity[i] = utilization_between(t, s->wall_ms[i], s->wall_ms[i + 1]);
        if (!isfinite(activity[i]))
            return false;
    }
    return s->count > 1;
}

/* Time that passes with requests: a second for as many as a second has on average. */
static bool count_requests(const struct evidence_target *t, struct series *s)
{
    size_t last = s->count - 1;
    double first = requests_by(&t->floors, s->wall_ms[0]);
    double all = requests_by(&t->floors, s->wall_ms[last]) - first;
    double seconds = (double)(s->wall_ms[last] - s->wall_ms[0]) / 1000;
    if (t->floors.count < 2 || t->floors.route_count == 0 || !(all >= (double)s->count))
        return false;
    for (size_t i = 0; i < s->count; i++)
        s->seconds[i] = (requests_by(&t->floors, s->wall_ms[i]) - first) / all * seconds;
    return true;
}

/* Lets no time pass while the event loop was idle. *ret: another time than the clock's. */
static int skip_idle(const struct evidence_target *t, struct series *s, bool *ret, struct err *e)
{
    size_t intervals = s->count ? s->count - 1 : 0;
    *ret = intervals >= 3 && count_requests(t, s);
    if (*ret || intervals < 3)
        return 0;
    double *activity = calloc(intervals, sizeof *activity);
    double *sorted = calloc(intervals, sizeof *sorted);
    int rc = activity && sorted ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc || !find_activity(t, s, activity))
        goto out;
    memcpy(sorted, activity, intervals * sizeof *sorted);
    qsort(sorted, intervals, sizeof *sorted, compare_doubles);
    double usual = sorted[intervals * 3 / 4], active = 0;
    if (usual < IDLE_LEAST)
        goto out;
    for (size_t i = 0; i < intervals; i++) {
        if (activity[i] > IDLE_SHARE * usual)
            active += (double)(s->wall_ms[i + 1] - s->wall_ms[i]) / 1000;
        else
            *ret = true;
        s->seconds[i + 1] = active;
    }
    double all = (double)(s->wall_ms[intervals] - s->wall_ms[0]) / 1000;
    s->share_active = all > 0 ? active / all : 1;
out:
    free(activity);
    free(sorted);
    return rc;
}

/* ---- judging ---- */

static int judge_series(struct series *s, enum kind kind, struct trend *ret, struct err *e)
{
    static const double absolute[] = {TREND_NOISE_BYTES, JUDGE_EXTERNAL_BYTES, JUDGE_RSS_BYTES};
    static const double shares[] = {TREND_NOISE_SHARE, JUDGE_EXTERNAL_SHARE, JUDGE_RSS_SHARE};
    struct trend_input in = {.count = s->count,
        .seconds = s->seconds,
        .bytes = s->bytes,
        .load = kind == KIND_RSS ? NULL : s->load,
        .noise_bytes = absolute[kind],
        .noise_share = shares[kind]};
    return trend_judge(&in, ret, e);
}

enum diagnosis_verdict judge_trend(const struct trend *t, bool strong)
{
    switch (t->shape) {
    case TREND_RISING: return strong ? DIAGNOSIS_LEAK : DIAGNOSIS_GROWTH;
    case TREND_FLAT:
    case TREND_LEVELLED: return DIAGNOSIS_NO_LEAK;
    case TREND_TOO_FEW:
        return t->points == 2 && strong && t->growth > t->noise ? DIAGNOSIS_GROWTH
                                                                : DIAGNOSIS_INCONCLUSIVE;
    case TREND_SLOWING:
    case TREND_UNCLEAR: break;
    }
    return DIAGNOSIS_INCONCLUSIVE;
}

struct part { /* one kind of memory, judged */
    struct series series;
    struct trend trend;
    enum diagnosis_verdict verdict;
};

/* Once more by the load: time that passes with requests, or without what was idle. Steady growth of
 * one of the two is growth, for a load that ends or wanes makes a plateau of a leak. */
static int judge_busy(
    const struct evidence_target *t, enum kind kind, struct part *part, struct err *e)
{
    struct series again = {0};
    struct trend busy;
    bool idle = false;
    int rc = make_series(t, kind, &again, e);
    if (rc == 0)
        rc = set_load(t, &again, e);
    if (rc == 0)
        rc = skip_idle(t, &again, &idle, e);
    if (rc == 0 && idle) {
        rc = judge_series(&again, kind, &busy, e);
        if (rc == 0 && busy.shape == TREND_RISING) {
            struct series swap = part->series;
            part->series = again;
            again = swap;
            part->trend = busy;
            part->verdict = judge_trend(&busy, part->series.strong);
        }
    }
    free_series(&again);
    return rc;
}

static int judge_part(
    const struct evidence_target *t, enum kind kind, struct part *ret, struct err *e)
{
    int rc = make_series(t, kind, &ret->series, e);
    if (rc)
        return rc;
    set_seconds(&ret->series);
    rc = set_load(t, &ret->series, e);
    if (rc == 0)
        rc = judge_series(&ret->series, kind, &ret->trend, e);
    if (rc)
        return rc;
    ret->verdict = judge_trend(&ret->trend, ret->series.strong);
    if (ret->trend.shape == TREND_RISING || ret->trend.shape == TREND_TOO_FEW ||
        ret->trend.follows_load)
        return 0;
    return judge_busy(t, kind, ret, e);
}

static bool grows(const struct part *p)
{
    return diagnosis_grows(p->verdict);
}

/* Whether the growth of RSS is another's: a part that does not grow, or may grow by a small part of
 * it at the most. What only seems to grow elsewhere would show in RSS, too. */
static bool is_none_of(const struct part *p, const struct part *rss)
{
    return p->verdict == DIAGNOSIS_NO_LEAK ||
           p->trend.growth_high < OTHERS_SHARE * rss->trend.growth_low;
}

/* Which of the parts decides, and what it is called. */
static const struct part *choose(const struct part parts[3], enum diagnosis_memory *ret_memory)
{
    const struct part *heap = &parts[KIND_HEAP], *external = &parts[KIND_EXTERNAL],
                      *rss = &parts[KIND_RSS];
    bool more_external =
        grows(external) &&
        (!grows(heap) || external->verdict > heap->verdict ||
            (external->verdict == heap->verdict && external->trend.slope > heap->trend.slope));
    if (more_external) {
        *ret_memory = MEMORY_EXTERNAL;
        return external;
    }
    if (grows(heap)) {
        *ret_memory = MEMORY_JS_HEAP;
        return heap;
    }
    if (grows(rss) && is_none_of(heap, rss) && is_none_of(external, rss)) {
        *ret_memory = MEMORY_RSS_ONLY;
        return rss;
    }
    *ret_memory = heap->trend.shape == TREND_LEVELLED ? MEMORY_JS_HEAP : MEMORY_NONE;
    if (heap->verdict == DIAGNOSIS_NO_LEAK && external->trend.shape == TREND_LEVELLED &&
        *ret_memory == MEMORY_NONE) {
        *ret_memory = MEMORY_EXTERNAL;
        return external;
    }
    if (heap->verdict == DIAGNOSIS_NO_LEAK && external->verdict == DIAGNOSIS_INCONCLUSIVE &&
        external->trend.points >= 3) {
        *ret_memory = MEMORY_NONE;
        return external;
    }
    return heap;
}

/* Until V8's limit is met by the heap, or the control group's by RSS. */
static double seconds_to_limit(const struct evidence_target *t, enum diagnosis_memory memory,
    const struct trend *trend, double share_active)
{
    double pace = trend->slope * share_active, least = NAN, rss = NAN;
    for (size_t i = t->reading_count; i-- > 0 && isnan(rss);)
        rss = t->readings[i].rss;
    if (!(pace > 0))
        return NAN;
    if (memory == MEMORY_JS_HEAP && t->heap_limit > 0)
        least = fmax(t->heap_limit - trend->level, 0) / pace;
    if (t->memory_limit > 0 && isfinite(rss))
        least = fmin(isnan(least) ? INFINITY : least, fmax(t->memory_limit - rss, 0) / pace);
    return least;
}

static int keep_series(const struct evidence_target *t, enum diagnosis_memory memory,
    const struct series *judged, struct judgement *j, struct err *e)
{
    size_t room = judged->count > t->reading_count ? judged->count : t->reading_count;
    j->series = calloc(room + 1, sizeof *j->series);
    if (!j->series)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (judged->strong && judged->count >= 3 && memory != MEMORY_RSS_ONLY) {
        for (size_t i = 0; i < judged->count; i++)
            j->series[j->series_count++] =
                (struct diagnosis_point){judged->wall_ms[i], judged->bytes[i]};
        return 0;
    }
    for (size_t i = 0; i < t->reading_count; i++) {
        const struct evidence_reading *r = &t->readings[i];
        double bytes = memory == MEMORY_EXTERNAL   ? r->external
                       : memory == MEMORY_RSS_ONLY ? r->rss
                                                   : r->heap;
        if (isfinite(bytes))
            j->series[j->series_count++] = (struct diagnosis_point){r->wall_ms, bytes};
    }
    return 0;
}

int judge_target(const struct evidence_target *t, struct judgement *ret, struct err *e)
{
    struct part parts[3] = {{.series = {0}}};
    struct judgement j = {.share_active = 1, .seconds_to_limit = NAN, .readings = t->reading_count};
    int rc = 0;
    for (int kind = KIND_HEAP; kind <= KIND_RSS && rc == 0; kind++)
        rc = judge_part(t, (enum kind)kind, &parts[kind], e);
    if (rc)
        goto out;
    const struct part *decides = choose(parts, &j.memory);
    j.verdict = decides->verdict;
    j.trend = decides->trend;
    j.strong = decides->series.strong;
    j.share_active = decides->series.share_active;
    j.floors = parts[KIND_HEAP].series.strong ? parts[KIND_HEAP].series.count : 0;
    if (grows(decides))
        j.seconds_to_limit = seconds_to_limit(t, j.memory, &j.trend, j.share_active);
    if (t->reading_count)
        j.span_seconds =
            (double)(t->readings[t->reading_count - 1].wall_ms - t->readings[0].wall_ms) / 1000;
    rc = keep_series(t, j.memory, &decides->series, &j, e);
out:
    for (int kind = KIND_HEAP; kind <= KIND_RSS; kind++)
        free_series(&parts[kind].series);
    if (rc == 0)
        *ret = j;
    else
        judge_clear(&j);
    return rc;
}

void judge_clear(struct judgement *j)
{
    free(j->series);
    *j = (struct judgement){0};
}
