/* Snapshot files into a diagnosis. */
#include "diagnose/snapshots.h"

#include "base/clock.h"
#include "diagnose/judge.h"
#include "diagnose/suspects.h"
#include "heap/heap.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- when ---- */

/* The stamp of "heap-run-20260131T235959.123Z-4711-1.heapsnapshot"; 0: it has none. */
static int64_t time_of_name(const char *name)
{
    for (const char *c = name; *c; c++) {
        char iso[CLOCK_ISO_SIZE];
        int year, month, day, hour, minute, second, ms;
        if (!isdigit((unsigned char)*c) || (c > name && c[-1] != '-'))
            continue;
        if (sscanf(c, "%4d%2d%2dT%2d%2d%2d.%3dZ", &year, &month, &day, &hour, &minute, &second,
                &ms) != 7)
            continue;
        snprintf(iso, sizeof iso, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day, hour,
            minute, second, ms);
        return clock_read_iso(iso);
    }
    return 0;
}

int64_t snapshots_time(const char *path)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    int64_t wall_ms = time_of_name(slash ? slash + 1 : path);
    if (wall_ms == 0 && stat(path, &st) == 0)
        wall_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return wall_ms;
}

static bool times_ascend(const struct snapshots_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (files[i].wall_ms == 0 || (i && files[i].wall_ms <= files[i - 1].wall_ms))
            return false;
    return true;
}

/* ---- reading ---- */

struct reading {
    const struct diagnose_options *options;
    size_t file, count;
    char what[128];
};

static int on_progress(void *arg, enum heap_phase phase, double done)
{
    const struct reading *r = arg;
    double part = phase == HEAP_PHASE_ANALYSE ? 0.5 + done / 2 : fmax(done, 0) / 2;
    if (!r->options->progress)
        return 0;
    return r->options->progress(
        r->options->arg, r->what, ((double)r->file + fmin(fmax(part, 0), 1)) / (double)r->count);
}

/* One after the other, so that one is in memory at a time; the last one names what has grown. */
static int read_files(struct diagnosis *d, const struct snapshots_file *files, size_t count,
    const struct diagnose_options *o, double *ret_bytes, struct err *e)
{
    struct reading reading = {.options = o, .count = count};
    struct heap_options options = {.progress = on_progress, .arg = &reading};
    struct suspects *suspects = suspects_new(count);
    int rc = suspects ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct heap *h = NULL;
        reading.file = i;
        snprintf(reading.what, sizeof reading.what, "reading snapshot %zu of %zu", i + 1, count);
        if ((rc = heap_open(files[i].path, &options, &h, e)) != 0)
            break;
        ret_bytes[i] = (double)heap_total_size(h);
        if (i + 1 < count)
            rc = suspects_add(suspects, h, e);
        else
            rc = suspects_name(
                suspects, h, o->suspects_max ? o->suspects_max : DIAGNOSE_SUSPECTS, d, e);
        heap_close(h);
    }
    suspects_free(suspects);
    return rc;
}

static int add_files(
    struct diagnosis *d, const struct snapshots_file *files, size_t count, struct err *e)
{
    d->files = calloc(count, sizeof *d->files);
    if (!d->files)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        d->files[i].snapshot_id = files[i].snapshot_id;
        d->files[i].path = diagnosis_text(files[i].path, strlen(files[i].path));
        if (!d->files[i].path)
            return err_set(e, ERR_NOMEM, "out of memory");
        d->file_count++;
    }
    d->snapshots = count;
    return 0;
}

/* Every snapshot is a floor, for V8 collects before it. */
static int judge_totals(struct diagnosis *d, const struct snapshots_file *files, size_t count,
    const double *bytes, struct trend *ret, struct err *e)
{
    bool timed = times_ascend(files, count);
    double *seconds = calloc(count + 1, sizeof *seconds);
    if (!seconds)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        seconds[i] = timed ? (double)(files[i].wall_ms - files[0].wall_ms) / 1000 : (double)i;
    struct trend_input in = {.count = count, .seconds = seconds, .bytes = bytes};
    int rc = trend_judge(&in, ret, e);
    free(seconds);
    if (rc == 0 && d->floors == 0 && timed && count > 1) {
        d->span_seconds = (double)(files[count - 1].wall_ms - files[0].wall_ms) / 1000;
        d->bytes_per_hour = ret->slope * 3600;
        d->low = ret->low * 3600;
        d->high = ret->high * 3600;
    }
    return rc;
}

static void raise_support(struct diagnosis *d, size_t count)
{
    enum diagnosis_support supports = count >= 3   ? SUPPORT_RETENTION
                                      : count == 2 ? SUPPORT_GROWTH
                                                   : SUPPORT_SIZE;
    if (supports > d->supports)
        d->supports = supports;
}

#define PASSING_SHARE   0.5  /* of what is new: then what grew is no leak yet */
#define SURE_SHARE      0.3  /* of the growth: a suspect that has this and */
#define SURE_CONFIDENCE 0.85 /* grew in every step decides where sums are few and uneven */

/* Three totals, unevenly spaced, make no trend; objects that are new at every step, are all still
 * there and account for the growth do. */
static bool suspects_decide(const struct diagnosis *d, const double *bytes, size_t count)
{
    return d->verdict == DIAGNOSIS_INCONCLUSIVE && count >= 3 && bytes[count - 1] > bytes[0] &&
           d->suspect_count && d->suspects[0].share >= SURE_SHARE &&
           d->suspects[0].confidence >= SURE_CONFIDENCE;
}

/* What grows is the number of objects that only come and go: more of them now than before, by a
 * time limit or by the traffic, and nothing that stays. */
static int weigh_passing(struct diagnosis *d, struct err *e)
{
    if (!diagnosis_grows(d->verdict) || d->memory != MEMORY_JS_HEAP || d->suspect_count ||
        d->passing < PASSING_SHARE)
        return 0;
    d->verdict = DIAGNOSIS_INCONCLUSIVE;
    return diagnosis_note(d, e,
        "%.0f %% of what is new are objects that come and go: of those at one snapshot hardly "
        "any is left at the last; they are kept for a while or for as long as their requests take, "
        "and a longer run tells whether there come to be more of them",
        100 * d->passing);
}

int snapshots_read(struct diagnosis *d, const struct snapshots_file *files, size_t count,
    const struct diagnose_options *o, struct err *e)
{
    struct trend trend;
    if (count == 0)
        return 0;
    double *bytes = calloc(count, sizeof *bytes);
    int rc =
        bytes ? read_files(d, files, count, o, bytes, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = add_files(d, files, count, e);
    if (rc == 0)
        rc = judge_totals(d, files, count, bytes, &trend, e);
    if (rc == 0) {
        raise_support(d, count);
        if (d->floors < 3) {
            d->verdict = judge_trend(&trend, true);
            if (suspects_decide(d, bytes, count))
                d->verdict = DIAGNOSIS_LEAK;
            d->memory = d->verdict == DIAGNOSIS_INCONCLUSIVE ||
                                (d->verdict == DIAGNOSIS_NO_LEAK && trend.shape == TREND_FLAT)
                            ? MEMORY_NONE
                            : MEMORY_JS_HEAP;
        }
        rc = weigh_passing(d, e);
    }
    free(bytes);
    return rc;
}
