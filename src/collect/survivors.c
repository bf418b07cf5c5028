/* What a while of traffic leaves behind, as a .heapprofile file.
 *
 *   asking ──> starting ──> sampling ──> reading ──> storing ──> done
 *      └─(one runs: its last sample is the baseline)─^
 *
 * Waits: asking, starting and reading, the target (reading, for a full collection); sampling, the
 * timer or survivors_finish; storing, the disk. */
#include "collect/survivors.h"

#include "base/array.h"
#include "base/clock.h"
#include "cdp/proto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ASK_DEADLINE_US (60 * 1000000LL)
#define READ_DEADLINE   (120 * 1000000LL) /* it forces a full collection */
#define PROGRESS_US     200000

enum phase { ASKING, STARTING, SAMPLING, READING, STORING };

struct survivors {
    struct loop *loop;
    struct survivors_options options;
    char *path; /* owned */
    enum phase phase;
    bool finish_early, others; /* others: the profiler is somebody else's */
    double baseline;           /* ordinal of its last sample before */
    struct capture_outcome outcome;
    struct capture_file *file;
    char *text; /* of the profile, owned */
    struct allocations *stacks;
    size_t length, written;
    int64_t started_us, sampling_us, asked_us;
    struct timer *timer;
    int pending; /* calls that have not been answered */
    bool ended, gone;
    const struct capture_handlers *handlers;
    void *arg;
    struct loop_discard discard;
};

/* ---- profiles ---- */

double survivors_last_ordinal(const cJSON *profile)
{
    double last = 0;
    const cJSON *sample;
    cJSON_ArrayForEach(sample, cJSON_GetObjectItemCaseSensitive(profile, "samples"))
    {
        const cJSON *ordinal = cJSON_GetObjectItemCaseSensitive(sample, "ordinal");
        if (cJSON_IsNumber(ordinal) && ordinal->valuedouble > last)
            last = ordinal->valuedouble;
    }
    return last;
}

struct share { /* of a node, by its id */
    double node, bytes;
};

static int by_node(const void *a, const void *b)
{
    const struct share *x = a, *y = b;
    return (x->node > y->node) - (x->node < y->node);
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

/* Gives every node the bytes of its shares (sorted by node). Walks the tree along its own links:
 * cJSON's prev of a first child is the last one, so the way up is kept on a stack. */
static int set_sizes(cJSON *head, const struct share *shares, size_t count, struct err *e)
{
    cJSON **stack = NULL;
    size_t depth = 0, room = 0;
    int rc = 0;
    for (cJSON *node = head; node && rc == 0;) {
        struct share key = {number(node, "id"), 0};
        const struct share *share =
            count ? bsearch(&key, shares, count, sizeof *shares, by_node) : NULL;
        cJSON *size = cJSON_GetObjectItemCaseSensitive(node, "selfSize");
        if (!cJSON_IsNumber(size)) {
            rc = err_set(e, ERR_FORMAT, "the profile has a stack without a size");
            break;
        }
        (void)cJSON_SetNumberHelper(size, share ? share->bytes : 0);
        cJSON *children = cJSON_GetObjectItemCaseSensitive(node, "children");
        if (!array_grow(&stack, &room, depth + 1)) {
            rc = err_set(e, ERR_NOMEM, "out of memory");
            break;
        }
        stack[depth++] = node == head ? NULL : node->next; /* what comes after its children */
        node = children ? children->child : NULL;
        while (!node && depth)
            node = stack[--depth];
    }
    free(stack);
    return rc;
}

int survivors_subtract(cJSON *profile, double last_ordinal, struct err *e)
{
    cJSON *samples = cJSON_GetObjectItemCaseSensitive(profile, "samples");
    if (!cJSON_IsArray(samples))
        return err_set(e, ERR_FORMAT,
            "the profile tells no samples, so that what was sampled "
            "before cannot be taken out");
    size_t count = 0;
    struct share *shares = calloc((size_t)cJSON_GetArraySize(samples) + 1, sizeof *shares);
    if (!shares)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (cJSON *sample = samples->child, *next; sample; sample = next) {
        double size = number(sample, "size"), node = number(sample, "nodeId");
        next = sample->next;
        if (!(number(sample, "ordinal") > last_ordinal) || isnan(size) || isnan(node))
            cJSON_Delete(cJSON_DetachItemViaPointer(samples, sample));
        else
            shares[count++] = (struct share){node, size};
    }
    qsort(shares, count, sizeof *shares, by_node);
    size_t kept = 0;
    for (size_t i = 1; i < count; i++) {
        if (by_node(&shares[kept], &shares[i]) == 0)
            shares[kept].bytes += shares[i].bytes;
        else
            shares[++kept] = shares[i];
    }
    int rc = set_sizes(
        cJSON_GetObjectItemCaseSensitive(profile, "head"), shares, count ? kept + 1 : 0, e);
    free(shares);
    return rc;
}

/* ---- ending ---- */

static void free_survivors(void *object)
{
    struct survivors *s = object;
    free(s->path);
    free(s->text);
    allocations_free(s->stacks);
    free(s);
}

static void maybe_free(struct survivors *s)
{
    if (s->ended && s->pending == 0)
        loop_discard(s->loop, &s->discard, free_survivors, s);
}

static void stop(struct survivors *s)
{
    s->ended = true;
    capture_file_cancel(s->file);
    s->file = NULL;
    timer_free(s->timer);
    s->timer = NULL;
}

static void finish(struct survivors *s)
{
    if (s->ended)
        return;
    stop(s);
    s->outcome.duration_ms = (double)(clock_monotonic_us() - s->started_us) / 1000;
    s->handlers->done(s->arg, &s->outcome);
    maybe_free(s);
}

static void fail(struct survivors *s, const struct err *why)
{
    s->outcome.state = CAPTURE_FAILED;
    s->outcome.why = *why;
    finish(s);
}

/* True when the answer is still wanted. */
static bool answers(struct survivors *s)
{
    s->pending--;
    if (s->ended)
        maybe_free(s);
    return !s->ended;
}

static void ask(
    struct survivors *s, const char *method, cJSON *params, int64_t deadline_us, cdp_reply_fn fn)
{
    struct err e = ERR_NONE;
    if (cdp_call(target_session(s->options.target), method, params, deadline_us, fn, s, &e) == 0)
        s->pending++;
    else
        fail(s, &e);
}

/* ---- the file ---- */

static void write_on(void *arg)
{
    struct survivors *s = arg;
    size_t taken;
    while (s->file && s->written < s->length) {
        int rc = capture_file_write(s->file, s->text + s->written, s->length - s->written, &taken);
        s->written += taken;
        if (rc || taken == 0)
            return; /* goes on when there is room */
    }
    if (s->file)
        capture_file_finish(s->file);
}

static void file_done(void *arg, const struct capture_result *r, const struct err *why)
{
    struct survivors *s = arg;
    s->file = NULL;
    if (!r) {
        fail(s, why);
        return;
    }
    s->outcome.state = CAPTURE_COMPLETE;
    s->outcome.file = r; /* borrowed for the call, as done's is */
    finish(s);
}

static void sampled(void *arg, const struct sample *sample, const struct err *why)
{
    struct survivors *s = arg;
    (void)why; /* a reading less is no failure */
    if (!answers(s))
        return;
    if (sample) {
        s->outcome.heap_after = sample->heap_used;
        s->handlers->sampled(s->arg, "after-gc", sample);
    }
    s->phase = STORING;
    write_on(s);
}

static void got_profile(void *arg, const cJSON *result, const struct err *why)
{
    struct survivors *s = arg;
    struct err e = ERR_NONE;
    if (!answers(s))
        return;
    s->outcome.pause_ms = (double)(clock_monotonic_us() - s->asked_us) / 1000;
    if (why) {
        e = *why;
        err_context(&e, "no profile");
        fail(s, &e);
        return;
    }
    cJSON *profile = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(result, "profile"), true);
    int rc = profile ? 0 : err_set(&e, ERR_PROTOCOL, "the target answered without a profile");
    if (rc == 0 && s->others)
        rc = survivors_subtract(profile, s->baseline, &e);
    if (rc == 0)
        rc = allocations_from_profile(profile, &s->stacks, &e);
    if (rc == 0 && !(s->text = cJSON_PrintUnformatted(profile)))
        rc = err_set(&e, ERR_NOMEM, "no memory for the profile");
    cJSON_Delete(profile);
    if (rc) {
        fail(s, &e);
        return;
    }
    s->length = strlen(s->text);
    if (sampler_read(target_sampler(s->options.target), ASK_DEADLINE_US, sampled, s, &e) == 0)
        s->pending++;
    else
        fail(s, &e);
}

static void read_profile(struct survivors *s)
{
    s->phase = READING;
    s->asked_us = clock_monotonic_us();
    timer_stop(s->timer);
    s->handlers->progress(s->arg, "collecting garbage", 0, 0, 0);
    ask(s, s->others ? PROTO_HEAP_PROFILER_GET_SAMPLING_PROFILE : PROTO_HEAP_PROFILER_STOP_SAMPLING,
        NULL, READ_DEADLINE, got_profile);
}

/* ---- sampling ---- */

static void look(void *arg)
{
    struct survivors *s = arg;
    int64_t passed = clock_monotonic_us() - s->sampling_us;
    if (s->phase != SAMPLING)
        return;
    if (passed >= s->options.duration_us || s->finish_early) {
        read_profile(s);
        return;
    }
    int64_t left = s->options.duration_us - passed;
    s->handlers->progress(s->arg, "sampling", passed, s->options.duration_us, 0);
    timer_start(s->timer, left < PROGRESS_US ? left : PROGRESS_US);
}

static void begin_sampling(struct survivors *s)
{
    s->phase = SAMPLING;
    s->sampling_us = clock_monotonic_us();
    look(s);
}

static void started(void *arg, const cJSON *result, const struct err *why)
{
    struct survivors *s = arg;
    (void)result;
    if (!answers(s))
        return;
    if (why)
        fail(s, why);
    else
        begin_sampling(s);
}

static void asked(void *arg, const cJSON *result, const struct err *why)
{
    struct survivors *s = arg;
    struct err e = ERR_NONE;
    cJSON *params;
    if (!answers(s))
        return;
    if (!why) { /* one runs: the samples from here on count */
        s->others = true;
        s->baseline = survivors_last_ordinal(cJSON_GetObjectItemCaseSensitive(result, "profile"));
        begin_sampling(s);
        return;
    }
    if (why->code != ERR_TARGET) {
        fail(s, why);
        return;
    }
    struct proto_heap_profiler_start_sampling p = {
        .has_sampling_interval = true, .sampling_interval = (double)s->options.sample_every};
    s->phase = STARTING;
    if (proto_heap_profiler_start_sampling_encode(&p, &params, &e) != 0)
        fail(s, &e);
    else
        ask(s, PROTO_HEAP_PROFILER_START_SAMPLING, params, ASK_DEADLINE_US, started);
}

/* ---- for the owner ---- */

int survivors_start(struct loop *l, const struct survivors_options *o,
    const struct capture_handlers *h, void *arg, struct survivors **ret, struct err *e)
{
    struct survivors *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "out of memory");
    *s = (struct survivors){.loop = l,
        .options = *o,
        .path = strdup(o->path),
        .started_us = clock_monotonic_us(),
        .handlers = h,
        .arg = arg};
    s->outcome = capture_outcome_new(CAPTURE_PROFILE);
    int rc = s->path ? timer_new(l, look, s, &s->timer, e) : err_set(e, ERR_NOMEM, "out of memory");
    struct capture_file_options file = {.path = s->path,
        .kind = CAPTURE_PROFILE,
        .compress = o->compress,
        .room = write_on,
        .done = file_done,
        .arg = s};
    if (rc == 0) /* now, so that what cannot be written is said before the while */
        rc = capture_file_open(o->writer, &file, &s->file, e);
    if (rc == 0)
        rc = cdp_call(target_session(o->target), PROTO_HEAP_PROFILER_GET_SAMPLING_PROFILE, NULL,
            ASK_DEADLINE_US, asked, s, e);
    if (rc) {
        stop(s);
        free_survivors(s);
        return rc;
    }
    s->pending = 1;
    *ret = s;
    return 0;
}

const struct allocations *survivors_stacks(const struct survivors *s)
{
    return s->stacks;
}

void survivors_finish(struct survivors *s)
{
    s->finish_early = true;
    if (s->phase == SAMPLING)
        timer_start(s->timer, 0);
}

void survivors_target_gone(struct survivors *s, const struct err *why)
{
    s->gone = true;
    if (s->phase != STORING) /* else all of it has come */
        fail(s, why);
}

void survivors_cancel(struct survivors *s)
{
    if (!s || s->ended)
        return;
    stop(s);
    maybe_free(s);
}
