/* Readings of one target's memory: install once, then one call a reading. */
#include "collect/sampler.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/own.h"
#include "collect/ask.h"
#include "collect/host.h"
#include "cdp/proto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INSTALL_DEADLINE_US (10 * 1000000LL)
#define STOP_DEADLINE_US    (2 * 1000000LL)
#define SPACES_MAX          64          /* V8 has about a dozen */
#define SPACES_TEXT_MAX     (64 * 1024) /* their names and two numbers each */

extern const char sampler_source[]; /* sampler.js */

struct sampler {
    struct cdp_session *session; /* borrowed */
    bool scripted;               /* false: only the heap's own figures */
    pid_t host_pid;              /* whose rss is read here; 0: the target has to */
    char *object;                /* RemoteObject id of the function's object, owned */
    cJSON *spaces;               /* names of the heap's spaces, owned */
    double old_limit;            /* of a worker's old generation, bytes; NAN: not known */
    sampler_ready_fn ready;
    void (*stopped)(void *arg);
    void *ready_arg, *stopped_arg;
    struct err problem; /* why it is not scripted though it should be; code 0: none */
};

/* Bytes, counts and times are neither negative nor beyond what a double counts exactly. */
static double plausible(double figure)
{
    return figure >= 0 && figure <= 0x1p53 ? figure : NAN;
}

/* ---- installing ---- */

static void got_canary(void *arg, const cJSON *result, const struct err *why)
{
    struct sampler *s = arg;
    struct err e = ERR_NONE;
    const char *object;
    if (!why && ask_object(result, &object, &e) == 0)
        s->object = strdup(object); /* without it every capture is an epoch of its own */
    s->ready(s->ready_arg, s->problem.code ? &s->problem : NULL);
}

/* Where nothing of ours runs, a plain object tells whether heap object ids were reset. */
static void do_without(struct sampler *s, const struct err *why)
{
    struct err e = ERR_NONE;
    s->scripted = false;
    if (why)
        s->problem = *why;
    if (ask_evaluate(s->session, "({})", false, INSTALL_DEADLINE_US, got_canary, s, &e) != 0)
        s->ready(s->ready_arg, &e);
}

static void got_about(void *arg, const cJSON *result, const struct err *why)
{
    struct sampler *s = arg;
    struct err e = ERR_NONE;
    const char *text;
    cJSON *about = NULL;
    if (!why && ask_text(result, &text, &e) == 0 && strlen(text) <= SPACES_TEXT_MAX)
        about = cJSON_Parse(text);
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(about, "old");
    if (cJSON_IsNumber(old))
        s->old_limit = plausible(old->valuedouble);
    s->spaces = cJSON_DetachItemFromObjectCaseSensitive(about, "spaces");
    cJSON_Delete(about);
    s->ready(s->ready_arg, NULL); /* without names the readings still hold everything else */
}

static void installed(void *arg, const cJSON *result, const struct err *why)
{
    struct sampler *s = arg;
    struct err e = ERR_NONE;
    const char *object;
    int rc = why ? why->code : ask_object(result, &object, &e);
    if (rc == 0 && !(s->object = strdup(object)))
        rc = err_set(&e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = ask_call_on(s->session, s->object, "function(){return this.about()}",
            INSTALL_DEADLINE_US, got_about, s, &e);
    if (rc) {
        free(s->object);
        s->object = NULL;
        do_without(s, why ? why : &e);
    }
}

static void got_plain(void *arg, const cJSON *result, const struct err *why)
{
    struct sampler *s = arg;
    (void)result;
    if (why)
        s->ready(s->ready_arg, why);
    else
        do_without(s, NULL);
}

int sampler_new(struct cdp_session *session, bool scripted, pid_t host_pid, int64_t expiry_us,
    sampler_ready_fn ready, void *arg, struct sampler **ret, struct err *e)
{
    struct sampler *s = calloc(1, sizeof *s);
    struct buf source = buf_new(1 << 20);
    int rc = s ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc)
        goto out;
    *s = (struct sampler){.session = session,
        .scripted = scripted,
        .host_pid = host_pid,
        .ready = ready,
        .ready_arg = arg,
        .old_limit = NAN,
        .problem = ERR_NONE};
    if (!scripted) {
        rc = cdp_call(
            session, PROTO_RUNTIME_GET_HEAP_USAGE, NULL, INSTALL_DEADLINE_US, got_plain, s, e);
        goto out;
    }
    rc = buf_addf(&source, "%s(%lld)" OWN_SOURCE_URL("sampler"), sampler_source,
        (long long)(expiry_us / 1000));
    if (rc) {
        err_set(e, rc, "out of memory");
        goto out;
    }
    rc = ask_evaluate(session, source.data, true, INSTALL_DEADLINE_US, installed, s, e);
out:
    buf_free(&source);
    if (rc)
        free(s);
    else
        *ret = s;
    return rc;
}

const char *sampler_object(const struct sampler *s)
{
    return s->object;
}

double sampler_old_limit(const struct sampler *s)
{
    return s->old_limit;
}

/* ---- reading ---- */

struct reading {
    struct sampler *sampler;
    sample_fn fn;
    void *arg;
};

static double number_at(const cJSON *array, int index)
{
    const cJSON *item = cJSON_GetArrayItem(array, index);
    return cJSON_IsNumber(item) ? plausible(item->valuedouble) : NAN;
}

/* {"new_space":{"used":bytes,"size":bytes},…} of the numbers behind the fixed ones. */
static char *spaces_text(const cJSON *numbers, int first, const cJSON *names)
{
    int count = cJSON_GetArraySize(names);
    cJSON *object = count > 0 && count <= SPACES_MAX ? cJSON_CreateObject() : NULL;
    for (int i = 0; object && i < count; i++) {
        const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, i));
        double used = number_at(numbers, first + 2 * i);
        double size = number_at(numbers, first + 2 * i + 1);
        if (!name || isnan(used) || isnan(size))
            continue;
        cJSON *space = cJSON_AddObjectToObject(object, name);
        cJSON_AddNumberToObject(space, "used", used);
        cJSON_AddNumberToObject(space, "size", size);
    }
    char *text = object ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return text;
}

int sampler_parse(
    const char *text, const cJSON *spaces, struct sample *ret, char **ret_spaces, struct err *e)
{
    struct sample sample = {.wall_ms = ret->wall_ms};
    double *const fields[] = {&sample.heap_used, &sample.heap_total, &sample.external,
        &sample.array_buffers, &sample.rss, &sample.heap_limit, &sample.gc_count, &sample.gc_major,
        &sample.gc_ms, &sample.loop_delay_ms, &sample.loop_delay_max_ms, &sample.loop_utilization};
    const int field_count = sizeof fields / sizeof *fields;
    if (strlen(text) > SPACES_TEXT_MAX)
        return err_set(e, ERR_PROTOCOL, "a reading of %zu bytes is none", strlen(text));
    cJSON *array = cJSON_Parse(text);
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) < field_count ||
        isnan(number_at(array, 0))) {
        cJSON_Delete(array);
        return err_set(e, ERR_PROTOCOL, "the target answered a reading with something else");
    }
    for (int i = 0; i < field_count; i++)
        *fields[i] = number_at(array, i);
    *ret_spaces = spaces_text(array, field_count, spaces);
    sample.heap_spaces = *ret_spaces;
    *ret = sample;
    cJSON_Delete(array);
    return 0;
}

/* The target tells it only where asked to, because finding out costs it more than anything else. */
static void read_rss(const struct sampler *s, struct sample *sample)
{
    int64_t rss;
    if (s->host_pid && isnan(sample->rss) && host_rss(s->host_pid, &rss) == 0)
        sample->rss = (double)rss;
}

static void got_reading(void *arg, const cJSON *result, const struct err *why)
{
    struct reading *reading = arg;
    struct sampler *s = reading->sampler;
    int64_t now_ms = clock_wall_ms(); /* the target's own clock may be another */
    struct sample sample = {.wall_ms = now_ms};
    struct err e = ERR_NONE;
    char *spaces = NULL;
    int rc = why ? why->code : 0;
    if (rc == 0 && s->scripted) {
        const char *text;
        rc = ask_text(result, &text, &e);
        if (rc == 0)
            rc = sampler_parse(text, s->spaces, &sample, &spaces, &e);
        if (rc == 0) {
            read_rss(s, &sample);
            sample.heap_limit = fmin(sample.heap_limit, s->old_limit); /* which may be NAN */
        }
    } else if (rc == 0) {
        struct proto_runtime_get_heap_usage_result r;
        rc = proto_runtime_get_heap_usage_result_decode(result, &r, &e);
        sample = (struct sample){
            now_ms, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NULL};
        if (rc == 0) {
            sample.heap_used = plausible(r.used_size);
            sample.heap_total = plausible(r.total_size);
            if (isnan(sample.heap_used))
                rc = err_set(
                    &e, ERR_PROTOCOL, "the target says that its heap is %g bytes", r.used_size);
        }
    }
    reading->fn(reading->arg, rc ? NULL : &sample, rc ? (why ? why : &e) : NULL);
    free(spaces);
    free(reading);
}

int sampler_read(struct sampler *s, int64_t deadline_us, sample_fn fn, void *arg, struct err *e)
{
    struct reading *reading = malloc(sizeof *reading);
    if (!reading)
        return err_set(e, ERR_NOMEM, "out of memory");
    *reading = (struct reading){s, fn, arg};
    const char *read =
        s->host_pid ? "function(){return this.read(false)}" : "function(){return this.read(true)}";
    int rc = s->scripted
                 ? ask_call_on(s->session, s->object, read, deadline_us, got_reading, reading, e)
                 : cdp_call(s->session, PROTO_RUNTIME_GET_HEAP_USAGE, NULL, deadline_us,
                       got_reading, reading, e);
    if (rc)
        free(reading);
    return rc;
}

/* ---- recording stacks ---- */

void sampler_stay_still(struct sampler *s, bool still)
{
    struct err e = ERR_NONE;
    if (s->scripted && s->object) /* without an answer: a recording goes on with what it gets */
        (void)!ask_call_on(s->session, s->object,
            still ? "function(){this.stayStill(true)}" : "function(){this.stayStill(false)}",
            STOP_DEADLINE_US, NULL, NULL, &e);
}

/* ---- leaving ---- */

static void did_stop(void *arg, const cJSON *result, const struct err *why)
{
    struct sampler *s = arg;
    (void)result;
    (void)why;
    if (s->stopped)
        s->stopped(s->stopped_arg);
}

static void release_group(void *arg, const cJSON *result, const struct err *why)
{
    struct sampler *s = arg;
    struct err e = ERR_NONE;
    struct proto_runtime_release_object_group group = {.object_group = ASK_OBJECT_GROUP};
    cJSON *params;
    (void)result;
    int rc = why ? why->code : proto_runtime_release_object_group_encode(&group, &params, &e);
    if (rc == 0)
        rc = cdp_call(s->session, PROTO_RUNTIME_RELEASE_OBJECT_GROUP, params, STOP_DEADLINE_US,
            did_stop, s, &e);
    if (rc)
        did_stop(s, NULL, NULL);
}

void sampler_stop(struct sampler *s, void (*fn)(void *arg), void *arg)
{
    struct err e = ERR_NONE;
    s->stopped = fn;
    s->stopped_arg = arg;
    const char *function = s->scripted ? "function(){this.stop()}" : "function(){}";
    bool asked = s->object && ask_call_on(s->session, s->object, function, STOP_DEADLINE_US,
                                  release_group, s, &e) == 0;
    if (!asked)
        did_stop(s, NULL, NULL);
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    free(s->object);
    cJSON_Delete(s->spaces);
    free(s);
}
