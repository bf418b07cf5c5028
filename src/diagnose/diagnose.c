/* From evidence to the answer. */
#include "diagnose/diagnose.h"

#include "base/text.h"
#include "diagnose/crew.h"
#include "diagnose/judge.h"
#include "diagnose/lines.h"
#include "diagnose/merge.h"
#include "diagnose/snapshots.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACE_SPAN_S 10 /* under this, what is no leak yet has no growth an hour */
#define FILES_MAX   8  /* snapshots that are read: the first, the last, and some between */

/* ---- which target ---- */

struct judged {
    const struct evidence_target *target;
    struct judgement judgement;
};

/* The target that is worse: by verdict, then by what has grown. */
static bool is_worse(const struct judged *a, const struct judged *b)
{
    bool a_grows = diagnosis_grows(a->judgement.verdict),
         b_grows = diagnosis_grows(b->judgement.verdict);
    if (a_grows != b_grows)
        return a_grows;
    if (a->judgement.verdict != b->judgement.verdict && a_grows)
        return a->judgement.verdict > b->judgement.verdict;
    double x = a->judgement.trend.total, y = b->judgement.trend.total;
    if (a_grows)
        return x > y;
    /* Nothing grows: the one that most is known of. */
    return a->judgement.readings > b->judgement.readings;
}

static const char *after_slash(const char *text)
{
    const char *slash = strrchr(text, '/');
    return slash && slash[1] ? slash + 1 : text;
}

/* "server.js (pid 4711)", "[worker 1] of render.js (worker of pid 4711)" */
static char *target_name(const struct evidence_target *t)
{
    bool worker = strcmp(t->kind, "worker") == 0, file = worker && *t->url;
    return t->pid ? text_format("%.100s%s%.100s (%spid %lld)", after_slash(t->title),
                        file ? " of " : "", file ? after_slash(t->url) : "",
                        worker ? "worker of " : "", (long long)t->pid)
                  : text_format("%.100s (%.20s)", after_slash(t->title), t->kind);
}

static int note_other(struct diagnosis *d, const struct judged *other, struct err *e)
{
    char size[TEXT_SHORT];
    char *name = target_name(other->target);
    const struct judgement *j = &other->judgement;
    int rc;
    if (!name)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (diagnosis_grows(j->verdict))
        rc = diagnosis_note(d, e,
            "target %lld, %s, grows too: %s, %s by %s an hour; --target %lld looks at it",
            (long long)other->target->id, name, diagnosis_verdict_name(j->verdict),
            diagnosis_memory_name(j->memory),
            text_size(size, j->trend.slope * j->share_active * 3600), (long long)other->target->id);
    else
        rc = diagnosis_note(d, e, "target %lld, %s: %s", (long long)other->target->id, name,
            diagnosis_verdict_name(j->verdict));
    free(name);
    return rc;
}

#define OTHERS_NOTED 8

/* Workers like the one that the answer is about need no line each. */
static int note_alike(struct diagnosis *d, const struct judged *list, size_t count,
    const struct judged *chosen, struct err *e)
{
    size_t alike = 0, growing = 0;
    for (size_t i = 0; i < count; i++)
        if (&list[i] != chosen && crew_alike(list[i].target, chosen->target)) {
            alike++;
            growing += diagnosis_grows(list[i].judgement.verdict);
        }
    if (alike == 0)
        return 0;
    return diagnosis_note(d, e, "%zu other worker%s of the same file: %zu grow%s, too", alike,
        alike == 1 ? "" : "s", growing, growing == 1 ? "s" : "");
}

/* Which of the targets the answer is about, and a line on each of the others. */
static int note_targets(struct diagnosis *d, const struct judged *list, size_t count,
    const struct judged *chosen, struct err *e)
{
    size_t noted = 0;
    char *name = target_name(chosen->target);
    int rc = name ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0 && count > 1)
        rc = diagnosis_note(d, e, "of %zu targets this is number %lld, %s", count,
            (long long)chosen->target->id, name);
    free(name);
    if (rc == 0)
        rc = note_alike(d, list, count, chosen, e);
    for (int pass = 0; pass < 2; pass++) /* those that grow first */
        for (size_t i = 0; i < count && rc == 0 && noted < OTHERS_NOTED; i++)
            if (&list[i] != chosen && !crew_alike(list[i].target, chosen->target) &&
                diagnosis_grows(list[i].judgement.verdict) == (pass == 0)) {
                rc = note_other(d, &list[i], e);
                noted++;
            }
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct evidence_target *t = list[i].target;
        if (t != chosen->target && t->pid != chosen->target->pid &&
            strcmp(t->title, chosen->target->title) == 0 && (t->gone || chosen->target->gone))
            return diagnosis_note(d, e,
                "the server was started again within the run: each process is judged on its own");
    }
    return rc;
}

/* ---- metrics ---- */

static void take_judgement(struct diagnosis *d, struct judgement *j)
{
    d->verdict = j->verdict;
    d->memory = j->memory;
    d->floors = j->floors;
    d->span_seconds = j->span_seconds;
    double hourly = 3600 * j->share_active;
    d->bytes_per_hour = j->trend.slope * hourly;
    d->low = j->trend.low * hourly;
    d->high = j->trend.high * hourly;
    d->seconds_to_limit = j->seconds_to_limit;
    d->series = j->series;
    d->series_count = j->series_count;
    j->series = NULL;
    if (j->floors >= 3)
        d->supports = SUPPORT_RETENTION;
    else if (j->floors == 2 || j->trend.points >= 3)
        d->supports = SUPPORT_GROWTH;
    else
        d->supports = j->readings ? SUPPORT_SIZE : SUPPORT_NOTHING;
}

static int note_trend(struct diagnosis *d, const struct judgement *j, struct err *e)
{
    char size[TEXT_SHORT], noise[TEXT_SHORT], span[TEXT_SHORT];
    const struct trend *t = &j->trend;
    int rc = 0;
    if (t->warm_up && t->shape != TREND_LEVELLED)
        rc = t->warm_up == 1
                 ? diagnosis_note(d, e, "the first reading is of the warm-up and is left out")
                 : diagnosis_note(d, e,
                       "the first %zu readings grew faster (warm-up) and are left out", t->warm_up);
    if (rc == 0 && j->share_active < 1)
        rc = diagnosis_note(d, e,
            "the server was idle for %.0f %% of the time: growth is counted over the rest",
            100 * (1 - j->share_active));
    if (rc)
        return rc;
    if (j->by_counts && diagnosis_grows(d->verdict))
        return diagnosis_note(d, e,
            "the floors alone do not decide; the counts of objects do: they grew from snapshot to "
            "snapshot, in the last half as in the first");
    if (j->by_routes && diagnosis_grows(d->verdict))
        return diagnosis_note(d, e,
            "the floors by the clock do not decide; with the requests of the routes that leak they "
            "grow steadily");
    switch (t->shape) {
    case TREND_LEVELLED:
        return diagnosis_note(d, e,
            "it grew by %s and then levelled off, as caches that fill and code that warms up do",
            text_size(size, t->total));
    case TREND_SLOWING:
        return diagnosis_note(d, e,
            "it grows, but the last half much less than the first: a run twice as long tells a "
            "cache that fills from a leak");
    case TREND_UNCLEAR:
        if (t->follows_load)
            return diagnosis_note(d, e,
                "what grew goes with the number of requests in flight, which grew too: that is "
                "more traffic, "
                "or cannot be told from it; steady traffic tells");
        return diagnosis_note(d, e, "growth of %s over %s cannot be told from noise (floor %s)",
            text_size(size, t->growth), text_duration(span, (int64_t)(t->span * 1e6)),
            text_size(noise, t->noise));
    case TREND_FLAT:
        return diagnosis_note(d, e, "over %s nothing grew by more than the noise floor of %s",
            text_duration(span, (int64_t)(t->span * 1e6)), text_size(noise, t->noise));
    case TREND_TOO_FEW:
    case TREND_RISING: break;
    }
    return 0;
}

static int note_memory(struct diagnosis *d, struct err *e)
{
    if (d->memory == MEMORY_RSS_ONLY && diagnosis_grows(d->verdict))
        return diagnosis_note(d, e,
            "it grows outside the JS heap and outside buffers that JavaScript owns: look at native "
            "add-ons, at malloc's fragmentation (try MALLOC_ARENA_MAX=2 or jemalloc), at worker "
            "threads, and at zlib or crypto objects that are never closed; a heap snapshot does "
            "not show it, `pmap -x PID` and a native profiler do");
    if (d->memory == MEMORY_EXTERNAL && diagnosis_grows(d->verdict) && d->suspect_count == 0)
        return diagnosis_note(d, e,
            "buffers and other memory that JavaScript objects own outside the heap grow: "
            "snapshots show who holds them, as ArrayBuffer and Buffer");
    return 0;
}

/* What would decide. */
static int note_next(struct diagnosis *d, const struct evidence_target *t, struct err *e)
{
    bool open = d->verdict == DIAGNOSIS_INCONCLUSIVE && !d->unserved;
    if (open && d->floors < 3)
        return diagnosis_note(d, e,
            "next: a longer run with floors (heap readings right after a full collection): "
            "`heaptap run --live-profile-interval 10s --duration 5m`, or a controlled experiment "
            "with `heaptap probe`");
    if (open)
        return diagnosis_note(d, e, "next: the same run for twice as long, under steady load");
    if (d->verdict == DIAGNOSIS_GROWTH)
        return diagnosis_note(d, e,
            "next: three or more snapshots or readings after full collections tell growth from "
            "retention: `heaptap run --live-profile-interval 10s` for some minutes");
    if (d->verdict == DIAGNOSIS_LEAK && d->memory != MEMORY_RSS_ONLY && d->snapshots < 2 &&
        (d->suspect_count == 0 || !d->suspects[0].holder.text))
        return diagnosis_note(d, e,
            "next: who holds it shows in snapshots: `heaptap run --snapshot-interval 1m` under "
            "load, where a stall is allowed");
    if (d->verdict == DIAGNOSIS_LEAK && d->memory != MEMORY_RSS_ONLY && t && t->floors.count == 0)
        return diagnosis_note(
            d, e, "next: which route makes it grow: `heaptap run --requests --gc-floor 10s`");
    return 0;
}

static void drop_suspects(struct diagnosis *d)
{
    for (size_t i = 0; i < d->suspect_count; i++)
        diagnosis_suspect_clear(&d->suspects[i]);
    d->suspect_count = 0;
}

/* Two points seconds apart make gigabytes an hour of a start-up. */
static void forget_pace(struct diagnosis *d)
{
    bool decided = d->verdict == DIAGNOSIS_LEAK || d->verdict == DIAGNOSIS_NO_LEAK;
    if (!decided && d->span_seconds < PACE_SPAN_S)
        d->bytes_per_hour = d->low = d->high = d->seconds_to_limit = NAN;
}

/* ---- snapshots of a run ---- */

/* The epoch with most snapshots, of several the latest: within it objects have one id. */
static int64_t main_epoch(const struct evidence_target *t)
{
    int64_t best = 0;
    size_t most = 0;
    for (size_t i = 0; i < t->snapshot_count; i++) {
        size_t count = 0;
        for (size_t k = 0; k < t->snapshot_count; k++)
            count += t->snapshots[k].epoch == t->snapshots[i].epoch && t->snapshots[k].complete;
        if (count >= most) {
            most = count;
            best = t->snapshots[i].epoch;
        }
    }
    return best;
}

static int note_file(struct diagnosis *d, const struct evidence_snapshot *s, struct err *e)
{
    if (strcmp(s->state, "deleted") == 0)
        return diagnosis_note(
            d, e, "%s was deleted (%s): its classes are still in the record", s->file, s->reason);
    if (!s->complete)
        return 0;
    return diagnosis_note(d, e,
        "%s is in the record, but not on disk: what its classes were is still known", s->file);
}

/* Snapshots of the epoch whose files are there, oldest first; the missing ones are said. */
static int find_files(struct diagnosis *d, const struct evidence_target *t,
    const struct evidence_snapshot **ret, size_t *ret_count, struct err *e)
{
    int64_t epoch = main_epoch(t);
    size_t other = 0, refused = 0, count = 0;
    int rc = 0;
    for (size_t i = 0; i < t->snapshot_count && rc == 0; i++) {
        const struct evidence_snapshot *s = &t->snapshots[i];
        if (s->timeline)
            continue;
        refused += strcmp(s->state, "refused") == 0;
        if (s->complete && s->epoch != epoch)
            other++;
        else if (s->complete && access(s->file, R_OK) == 0)
            ret[count++] = s;
        else
            rc = note_file(d, s, e);
    }
    if (rc == 0 && other)
        rc = diagnosis_note(d, e,
            "%zu snapshot%s of another epoch (object ids were reset) %s left out", other,
            other == 1 ? "" : "s", other == 1 ? "is" : "are");
    if (rc == 0 && refused)
        rc = diagnosis_note(
            d, e, "%zu snapshot%s refused by the guard", refused, refused == 1 ? " was" : "s were");
    *ret_count = count;
    return rc;
}

/* The first, the last, and evenly spaced ones between. */
static size_t thin_files(const struct evidence_snapshot **list, size_t count)
{
    if (count <= FILES_MAX)
        return count;
    for (size_t i = 0; i < FILES_MAX; i++)
        list[i] = list[i * (count - 1) / (FILES_MAX - 1)];
    return FILES_MAX;
}

/* Takes the file that a failure names out of the list; false: it names none. */
static bool take_out(struct snapshots_file *files, size_t *count, const struct err *why)
{
    for (size_t i = 0; i < *count; i++) {
        if (!strstr(why->text, files[i].path))
            continue;
        memmove(&files[i], &files[i + 1], (*count - i - 1) * sizeof *files);
        (*count)--;
        return true;
    }
    return false;
}

/* A file that cannot be read is said and left out: the record knows enough to go on. */
static int read_files(struct diagnosis *d, struct snapshots_file *files, size_t *count,
    const struct diagnose_options *o, struct err *e)
{
    for (;;) {
        struct err why = ERR_NONE;
        int rc = snapshots_read(d, files, *count, o, &why);
        bool broken = rc == ERR_FORMAT || rc == ERR_IO || rc == ERR_NOSPACE || rc == ERR_NOMEM;
        if (rc == 0)
            return 0;
        if (!broken) {
            *e = why;
            return rc;
        }
        drop_suspects(d);
        rc = diagnosis_note(d, e, "left out: %s", why.text);
        if (rc)
            return rc;
        if (!take_out(files, count, &why))
            *count = 0;
    }
}

static int read_snapshots(struct diagnosis *d, const struct evidence_target *t,
    const struct diagnose_options *o, int64_t *ret_first_ms, int64_t *ret_last_ms, struct err *e)
{
    const struct evidence_snapshot **list = calloc(t->snapshot_count + 1, sizeof *list);
    struct snapshots_file *files = calloc(t->snapshot_count + 1, sizeof *files);
    size_t count = 0;
    int rc =
        list && files ? find_files(d, t, list, &count, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        count = thin_files(list, count);
        for (size_t i = 0; i < count; i++)
            files[i] = (struct snapshots_file){list[i]->file, list[i]->id, list[i]->wall_ms};
        rc = read_files(d, files, &count, o, e);
    }
    if (rc == 0 && count) {
        *ret_first_ms = files[0].wall_ms;
        *ret_last_ms = files[count - 1].wall_ms;
    }
    free(list);
    free(files);
    return rc;
}

/* ---- counts ---- */

#define STEADY_LATE   0.3 /* of a class's growth, that comes in the last half; 0.5 is steady */
#define STEADY_SHARE  0.4 /* of the growth of the heap, that such classes retain at least */
#define OBJECTS_LEAST 10  /* of them: chance has a hand in fewer */

/* Counts have no noise: a class of the program's own that grew from snapshot to snapshot, in the
 * last half as in the first, is retention even where the floors beside it do not decide. */
static bool counts_decide(const struct evidence_target *t, const struct trend *trend)
{
    if (trend->shape != TREND_SLOWING && trend->shape != TREND_UNCLEAR)
        return false;
    if (trend->follows_load || !(trend->growth > trend->noise) || !(trend->total > trend->noise))
        return false;
    for (size_t i = 0; i < t->class_count; i++) {
        const struct evidence_class *c = &t->classes[i];
        if (merge_is_own_class(c->name) && c->late_share >= STEADY_LATE &&
            c->last_count - c->first_count >= OBJECTS_LEAST &&
            (double)c->retained_growth >= STEADY_SHARE * trend->total &&
            (double)c->retained_growth > trend->noise)
            return true;
    }
    return false;
}

/* ---- suspects and the verdict ---- */

#define SUSPECT_SHARE 0.3  /* of the growth, for a suspect that decides */
#define QUIET_SHARE   0.25 /* of the noise floor: suspects that grew by less are none */
#define QUIET_POINTS  6    /* of a trend that does not grow, though its interval is wide */

/* Objects whose bytes are outside the heap. */
static bool owns_external(const char *class_name)
{
    static const char *const names[] = {"Buffer", "ArrayBuffer", "SharedArrayBuffer", "Uint8Array",
        "Float64Array", "Float32Array", "Int32Array", "Uint32Array", "DataView"};
    for (size_t i = 0; class_name && i < sizeof names / sizeof *names; i++)
        if (strcmp(class_name, names[i]) == 0)
            return true;
    return false;
}

/* Floors that move a lot and do not grow have a wide interval; where nothing has stayed from
 * snapshot to snapshot either, there is no leak. */
static bool nothing_stays(const struct diagnosis *d, const struct trend *t)
{
    double stayed = 0;
    for (size_t i = 0; i < d->suspect_count; i++)
        stayed += (double)d->suspects[i].retained_growth;
    return d->verdict == DIAGNOSIS_INCONCLUSIVE && t->shape == TREND_UNCLEAR && !t->follows_load &&
           t->points >= QUIET_POINTS && t->growth < t->noise && d->snapshots >= 3 &&
           stayed < QUIET_SHARE * t->noise;
}

/* Suspects are objects that stayed from snapshot to snapshot, without noise: they decide where
 * floors do not, and say nothing where nothing grows. t: of floors, NULL: there are none. */
static int weigh_suspects(struct diagnosis *d, const struct trend *t, struct err *e)
{
    const struct diagnosis_suspect *s = d->suspects;
    bool load = t && t->follows_load;
    if (t && nothing_stays(d, t)) {
        d->verdict = DIAGNOSIS_NO_LEAK;
        drop_suspects(d);
        return diagnosis_note(d, e,
            "the size of the heap alone does not decide; that nothing stays from snapshot to "
            "snapshot does");
    }
    if (d->suspect_count == 0)
        return 0;
    if (d->verdict == DIAGNOSIS_NO_LEAK) {
        int rc = s->class_name ? diagnosis_note(d, e,
                                     "%s grew most, by %lld, and the heap does not grow any more",
                                     s->class_name, (long long)(s->last - s->first))
                               : 0;
        drop_suspects(d);
        return rc;
    }
    /* Readings tell the two memories apart, the sizes of snapshots hold both. */
    if (d->floors < 3 && d->memory == MEMORY_JS_HEAP && s->share > 0.5 &&
        owns_external(s->class_name))
        d->memory = MEMORY_EXTERNAL;
    bool enough = (double)s->retained_growth >= TREND_NOISE_BYTES && !(s->share < SUSPECT_SHARE);
    if (d->verdict != DIAGNOSIS_INCONCLUSIVE || load || !enough || d->snapshots < 2)
        return 0;
    d->verdict = d->snapshots >= 3 ? DIAGNOSIS_LEAK : DIAGNOSIS_GROWTH;
    if (d->memory == MEMORY_NONE)
        d->memory = MEMORY_JS_HEAP;
    return diagnosis_note(d, e,
        "the size of the heap alone does not decide; the objects that stayed from snapshot to "
        "snapshot do");
}

/* ---- a probe that measured nothing ---- */

static double requests_of(const struct floors *f)
{
    double sum = 0;
    for (size_t j = 0; j < f->route_count && f->count; j++)
        sum += f->counts[(f->count - 1) * f->route_count + j] - f->counts[j];
    return sum;
}

/* A probe whose requests none of the targets has served says nothing about them. A request that
 * somebody else has sent meanwhile does not change that. */
static bool is_unserved(const struct evidence *r)
{
    double requests = 0, rounds = 0;
    for (size_t i = 0; i < r->target_count; i++) {
        const struct floors *f = &r->targets[i].floors;
        double ended = 0;
        for (size_t k = 1; k < f->count && f->probed; k++)
            ended += !f->base[k];
        requests += requests_of(f);
        rounds = fmax(rounds, ended);
    }
    return requests < rounds;
}

static int weigh_requests(struct diagnosis *d, const struct evidence *r, struct err *e)
{
    if (diagnosis_grows(d->verdict) || !is_unserved(r))
        return 0;
    d->verdict = DIAGNOSIS_INCONCLUSIVE;
    d->unserved = true;
    return diagnosis_note(d, e,
        "nothing was measured: was it the process behind the URL (a cluster's worker, a proxy), "
        "and did the load's command ask it?");
}

/* ---- one target of a run ---- */

static int diagnose_target(struct diagnosis *d, const struct evidence *all, struct judged *chosen,
    const struct diagnose_options *o, struct err *e)
{
    const struct evidence_target *t = chosen->target;
    int64_t first_ms = 0, last_ms = 0;
    double growth = fmax(chosen->judgement.trend.total, 0);
    d->target_id = t->id;
    take_judgement(d, &chosen->judgement);
    int rc = read_snapshots(d, t, o, &first_ms, &last_ms, e);
    if (rc == 0)
        rc = note_trend(d, &chosen->judgement, e);
    if (rc == 0)
        rc = weigh_suspects(d, &chosen->judgement.trend, e);
    if (rc == 0)
        rc = weigh_requests(d, all, e);
    if (rc == 0)
        rc = merge_classes(d, t, growth, e);
    if (rc == 0)
        rc = merge_routes(d, all, t, first_ms, last_ms, e);
    if (rc == 0 && d->memory != MEMORY_RSS_ONLY) /* lines allocate in the heap */
        rc = lines_merge(d, t, e);
    if (rc == 0)
        rc = note_memory(d, e);
    return rc;
}

/* A probe knows how many requests of each route every round had: a route that leaks by the floors
 * leaks, though the heap's growth by the clock does not tell. */
static int routes_decide(const struct evidence_target *t, bool *ret, struct err *e)
{
    struct routes_summary summary;
    *ret = false;
    if (!t->floors.probed)
        return 0;
    struct routes_estimate *estimates = calloc(t->floors.route_count + 1, sizeof *estimates);
    int rc = estimates ? floors_judge(&t->floors, FLOORS_HEAP, estimates, &summary, NULL, e)
                       : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < t->floors.route_count && rc == 0; i++)
        *ret = *ret || estimates[i].leaks;
    free(estimates);
    return rc;
}

static int judge_one(const struct evidence_target *t, struct judgement *j, struct err *e)
{
    int rc = judge_target(t, j, e);
    if (rc || diagnosis_grows(j->verdict) || !j->strong)
        return rc;
    j->by_counts = j->verdict == DIAGNOSIS_INCONCLUSIVE && counts_decide(t, &j->trend);
    if (!j->by_counts)
        rc = routes_decide(t, &j->by_routes, e);
    if (rc == 0 && (j->by_counts || j->by_routes)) {
        j->verdict = DIAGNOSIS_LEAK;
        j->memory = MEMORY_JS_HEAP;
    }
    return rc;
}

static int judge_all(const struct evidence *r, struct judged *list, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < r->target_count && rc == 0; i++) {
        list[i].target = &r->targets[i];
        rc = judge_one(list[i].target, &list[i].judgement, e);
    }
    return rc;
}

static size_t whole_snapshots(const struct evidence_target *t)
{
    size_t count = 0;
    for (size_t i = 0; i < t->snapshot_count; i++)
        count += t->snapshots[i].complete && !t->snapshots[i].timeline;
    return count;
}

/* Of workers that are alike and all grow, the one that most is known of. */
static struct judged *find_imaged(struct judged *list, size_t count, struct judged *chosen)
{
    struct judged *best = chosen;
    for (size_t i = 0; i < count; i++)
        if (crew_alike(list[i].target, chosen->target) &&
            list[i].judgement.verdict == chosen->judgement.verdict &&
            whole_snapshots(list[i].target) > whole_snapshots(best->target))
            best = &list[i];
    return best;
}

static int choose_target(
    struct judged *list, size_t count, int64_t target_id, struct judged **ret, struct err *e)
{
    struct judged *chosen = NULL;
    for (size_t i = 0; i < count; i++)
        if (target_id ? list[i].target->id == target_id : !chosen || is_worse(&list[i], chosen))
            chosen = &list[i];
    if (chosen && !target_id)
        chosen = find_imaged(list, count, chosen);
    if (!chosen && target_id)
        return err_set(e, ERR_USAGE, "the run has no target %lld; it has 1 to %zu",
            (long long)target_id, count);
    *ret = chosen;
    return 0;
}

int diagnose_run(struct reader *record, const char *run_id, const struct diagnose_options *options,
    struct diagnosis **ret, struct err *e)
{
    static const struct diagnose_options none = {.target_id = 0};
    const struct diagnose_options *o = options ? options : &none;
    struct evidence *r = NULL;
    struct judged *list = NULL, *chosen = NULL;
    struct diagnosis *d = diagnosis_new();
    int rc = d ? evidence_read(record, run_id, &r, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc)
        goto out;
    snprintf(d->run_id, sizeof d->run_id, "%s", run_id);
    if (!(list = calloc(r->target_count + 1, sizeof *list)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = judge_all(r, list, e);
    if (rc == 0)
        rc = choose_target(list, r->target_count, o->target_id, &chosen, e);
    if (rc == 0 && !chosen)
        rc = diagnosis_note(d, e, "the run has attached to no target: nothing was measured");
    if (rc == 0 && chosen)
        rc = diagnose_target(d, r, chosen, o, e);
    if (rc == 0 && chosen)
        rc = note_targets(d, list, r->target_count, chosen, e);
    if (rc == 0 && r->watching)
        rc = diagnosis_note(d, e, "the run goes on: this is what it shows so far");
    if (rc == 0)
        rc = note_next(d, chosen ? chosen->target : NULL, e);
    if (rc == 0)
        forget_pace(d);
out:
    for (size_t i = 0; list && i < r->target_count; i++)
        judge_clear(&list[i].judgement);
    free(list);
    evidence_free(r);
    if (rc == 0)
        *ret = d;
    else
        diagnosis_free(d);
    return rc;
}

/* ---- bare files ---- */

int diagnose_files(const char *const *files, size_t count, const struct diagnose_options *options,
    struct diagnosis **ret, struct err *e)
{
    static const struct diagnose_options none = {.target_id = 0};
    struct diagnosis *d = diagnosis_new();
    struct snapshots_file *list = calloc(count + 1, sizeof *list);
    int rc = d && list ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count && rc == 0; i++)
        list[i] = (struct snapshots_file){files[i], 0, snapshots_time(files[i])};
    if (rc == 0)
        rc = snapshots_read(d, list, count, options ? options : &none, e);
    if (rc == 0)
        rc = weigh_suspects(d, NULL, e);
    if (rc == 0)
        rc = note_memory(d, e);
    if (rc == 0)
        rc = note_next(d, NULL, e);
    if (rc == 0)
        forget_pace(d);
    free(list);
    if (rc == 0)
        *ret = d;
    else
        diagnosis_free(d);
    return rc;
}
