/* The requests hook's life: installed, kept alive by beats, taken out.
 *
 *   installing ──> following ──(stopped, failed)──> over
 *        ^             │
 *        └─ it expired ┘   (we were stopped for longer than it waits for a beat)
 *
 * installing waits for Runtime.addBinding and Runtime.evaluate, following for the beat's timer and
 * its answer; the session's end answers whatever is open. */
#include "collect/requests.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/own.h"
#include "base/text.h"
#include "base/uuid.h"
#include "collect/ask.h"
#include "cdp/proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTALL_DEADLINE_US (10 * 1000000LL)
#define STOP_DEADLINE_US    (2 * 1000000LL)
#define BEAT_US             1000000
#define EXPIRY_BEATS        15 /* beats that the hook misses before it ends itself */
/* Characters of batches on the way, some 200,000 rows: what the target holds at the most while
 * nobody reads, but for one batch more. Half of it asks for a beat ahead of time. */
#define WINDOW      (2 << 20)
#define SOURCE_MAX  (1 << 20)
#define BINDING_MAX 64
#define NO_FLOOR    (-1)

extern const char requests_source[];     /* requests.js */
extern const char request_rows_source[]; /* request_rows.js */
extern const char pairs_source[];        /* pairs.js */

enum stage { INSTALLING, FOLLOWING, OVER };

struct requests {
    struct cdp_session *session; /* borrowed */
    enum stage stage;
    struct requests_options options;
    char *match; /* owned */
    char binding[BINDING_MAX];
    char *object; /* RemoteObject id of the hook, owned */
    struct timer *timer;
    bool beating;                   /* a beat is on its way */
    bool beat_wanted;               /* another one as soon as it is back */
    bool floor_wanted, floor_asked; /* with the next beat, with the one on its way */
    int64_t floor_since_us;
    int64_t unread; /* batches taken since the last beat was sent */
    size_t unread_bytes;
    const struct requests_handlers *handlers;
    void *arg;
};

static void beat(void *arg);
static void install(struct requests *r);
static void take_out(struct requests *r);

static void fail(struct requests *r, const struct err *why)
{
    bool was_there = r->stage == FOLLOWING;
    timer_stop(r->timer);
    if (r->stage == OVER)
        return;
    r->stage = OVER;
    if (why->code == ERR_LOST || why->code == ERR_CANCELLED)
        return;
    if (was_there)
        take_out(r);
    r->handlers->failed(r->arg, why);
}

/* ---- beats ---- */

/* A hook that is over: ours to put back if only our beats were missing. */
static void was_over(struct requests *r, const char *why)
{
    struct err e = ERR_NONE;
    if (r->stage != FOLLOWING)
        return;
    if (strcmp(why, REQUESTS_EXPIRED) == 0) {
        install(r);
        return;
    }
    err_set(&e, ERR_TARGET, "requests are not followed any more: %s", why);
    fail(r, &e);
}

static void got_beat(void *arg, const cJSON *result, const struct err *why)
{
    struct requests *r = arg;
    struct err e = ERR_NONE;
    struct request_beat *beat = NULL;
    const char *text = NULL;
    r->beating = false;
    int rc = why ? why->code : ask_text(result, &text, &e);
    if (rc == 0)
        rc = requests_read_beat(text, clock_wall_ms(), &beat, &e);
    if (rc) {
        fail(r, why ? why : &e);
        return;
    }
    beat->floor_asked = r->floor_asked && beat->floor_count;
    if (beat->floor_asked)
        beat->floors[beat->floor_count - 1].forced = true;
    if (beat->dropped)
        r->handlers->lost(r->arg, beat->dropped);
    r->handlers->beat(r->arg, beat);
    if (*beat->stopped)
        was_over(r, beat->stopped);
    requests_beat_free(beat);
    if (r->stage == FOLLOWING && r->beat_wanted)
        timer_start(r->timer, 0);
    else if (r->stage == FOLLOWING && !timer_running(r->timer))
        timer_start(r->timer, BEAT_US);
}

static int ask_for_beat(struct requests *r, bool last, struct err *e)
{
    char function[128];
    int64_t floor_ms =
        r->floor_wanted ? (clock_monotonic_us() - r->floor_since_us) / 1000 : NO_FLOOR;
    snprintf(function, sizeof function, "function(){%sreturn this.beat(%lld,%lld)}",
        last ? "this.stop('left');" : "", (long long)r->unread, (long long)floor_ms);
    r->floor_asked = r->floor_wanted;
    r->floor_wanted = r->beat_wanted = false;
    /* No deadline: a snapshot keeps the target silent for as long as it takes. */
    int rc =
        ask_call_on(r->session, r->object, function, last ? STOP_DEADLINE_US : 0, got_beat, r, e);
    if (rc == 0) {
        r->beating = true;
        r->unread = 0;
        r->unread_bytes = 0;
    }
    return rc;
}

static void beat(void *arg)
{
    struct requests *r = arg;
    struct err e = ERR_NONE;
    if (r->stage == FOLLOWING && !r->beating && ask_for_beat(r, false, &e) != 0)
        fail(r, &e);
}

/* ---- installing ---- */

/* The engine's "Invalid regular expression: /(/: Unterminated group" in our words. */
static void explain(const struct requests *r, struct err *e)
{
    char reason[TEXT_SHORT];
    const char *last = strrchr(e->text, ':');
    if (!r->match || !last || !strstr(e->text, "Invalid regular expression"))
        return;
    snprintf(reason, sizeof reason, "%s", last + 1);
    err_set(e, ERR_USAGE, "requests-match: \"%s\" is no regular expression of JavaScript:%s",
        r->match, reason);
}

static void installed(void *arg, const cJSON *result, const struct err *why)
{
    struct requests *r = arg;
    struct err e = ERR_NONE;
    const char *object;
    int rc = why ? why->code : ask_object(result, &object, &e);
    if (r->stage != INSTALLING)
        return;
    free(r->object);
    r->object = rc == 0 ? strdup(object) : NULL;
    if (rc == 0 && !r->object)
        rc = err_set(&e, ERR_NOMEM, "out of memory");
    if (rc) {
        explain(r, &e);
        if (e.code != ERR_USAGE)
            err_context(&e, "requests cannot be followed");
        fail(r, why ? why : &e);
        return;
    }
    r->stage = FOLLOWING;
    timer_start(r->timer, r->beat_wanted ? 0 : BEAT_US);
    r->handlers->following(r->arg);
}

static char *options_text(const struct requests *r)
{
    cJSON *o = cJSON_CreateObject();
    bool made = o && cJSON_AddNumberToObject(o, "sample", r->options.sample) &&
                cJSON_AddBoolToObject(o, "keepQuery", r->options.keep_query) &&
                cJSON_AddBoolToObject(o, "keepCode", r->options.keep_code) &&
                cJSON_AddNumberToObject(o, "budget", r->options.overhead) &&
                cJSON_AddNumberToObject(o, "window", WINDOW) &&
                cJSON_AddNumberToObject(o, "expiry", EXPIRY_BEATS) &&
                (!r->match || cJSON_AddStringToObject(o, "match", r->match));
    char *text = made ? cJSON_PrintUnformatted(o) : NULL;
    cJSON_Delete(o);
    return text;
}

/* Appends JSON in ASCII: a worker of Node 18 takes a message with anything else for broken
 * (requests.js is ASCII for the same reason). */
static int add_ascii(struct buf *out, const char *json)
{
    int rc = 0;
    for (size_t left = strlen(json); left && rc == 0;) {
        const unsigned char *at = (const unsigned char *)json;
        size_t size = text_utf8_sequence(json, left);
        uint32_t c = size == 2   ? (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu)
                     : size == 3 ? (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu)
                     : size == 4 ? (at[0] & 0x07u) << 18 | (at[1] & 0x3fu) << 12 |
                                       (at[2] & 0x3fu) << 6 | (at[3] & 0x3fu)
                                 : at[0];
        if (size == 0)
            return ERR_USAGE;
        if (c < 0x80)
            rc = buf_add(out, json, 1);
        else if (c < 0x10000)
            rc = buf_addf(out, "\\u%04x", c);
        else
            rc = buf_addf(out, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10),
                0xdc00 + (c & 0x3ff)); /* a surrogate pair */
        json += size;
        left -= size;
    }
    return rc;
}

static int evaluate(struct requests *r, struct err *e)
{
    struct buf source = buf_new(SOURCE_MAX);
    char *options = options_text(r);
    int rc = options ? buf_addf(&source, "%s('%s',", requests_source, r->binding) : ERR_NOMEM;
    if (rc == 0)
        rc = add_ascii(&source, options);
    if (rc == 0)
        rc = buf_addf(&source, ",%s", request_rows_source);
    if (rc == 0 && r->options.pairs)
        rc = buf_addf(&source, ",%s", pairs_source);
    if (rc == 0)
        rc = buf_add_text(&source, ")" OWN_SOURCE_URL("requests"));
    if (rc == ERR_USAGE) {
        free(options);
        buf_free(&source);
        return err_set(e, rc, "requests-match is not valid UTF-8");
    }
    if (rc)
        err_set(e, rc, "out of memory");
    else
        rc = ask_evaluate(r->session, source.data, true, INSTALL_DEADLINE_US, installed, r, e);
    free(options);
    buf_free(&source);
    return rc;
}

static void bound(void *arg, const cJSON *result, const struct err *why)
{
    struct requests *r = arg;
    struct err e = ERR_NONE;
    (void)result;
    if (r->stage != INSTALLING)
        return;
    if (why || evaluate(r, &e) != 0)
        fail(r, why ? why : &e);
}

/* A new name each time: whatever else is called like it in the target stays untouched. */
static int bind(struct requests *r, struct err *e)
{
    char id[UUID_TEXT_SIZE];
    struct proto_runtime_add_binding p = {.name = r->binding};
    cJSON *params;
    int rc = uuid_new(id, e);
    if (rc)
        return rc;
    snprintf(r->binding, sizeof r->binding, "__heaptap_%.8s%.4s", id, id + 9);
    rc = proto_runtime_add_binding_encode(&p, &params, e);
    return rc ? rc
              : cdp_call(r->session, PROTO_RUNTIME_ADD_BINDING, params, INSTALL_DEADLINE_US, bound,
                    r, e);
}

static void install(struct requests *r)
{
    struct err e = ERR_NONE;
    r->stage = INSTALLING;
    r->unread = 0;
    r->unread_bytes = 0;
    if (bind(r, &e) != 0)
        fail(r, &e);
}

int requests_start(struct loop *l, struct cdp_session *session, const struct requests_options *o,
    const struct requests_handlers *h, void *arg, struct requests **ret, struct err *e)
{
    struct requests *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "out of memory");
    *r = (struct requests){
        .session = session, .stage = INSTALLING, .options = *o, .handlers = h, .arg = arg};
    int rc = 0;
    if (o->match && !(r->match = strdup(o->match)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = timer_new(l, beat, r, &r->timer, e);
    if (rc == 0)
        rc = bind(r, e);
    if (rc)
        requests_free(r);
    else
        *ret = r;
    return rc;
}

/* ---- batches ---- */

bool requests_event(struct requests *r, const char *method, const cJSON *params)
{
    struct err e = ERR_NONE;
    struct proto_runtime_binding_called event;
    size_t rows = 0;
    int64_t dropped = 0;
    if (strcmp(method, PROTO_RUNTIME_BINDING_CALLED) != 0 ||
        proto_runtime_binding_called_decode(params, &event, &e) != 0 ||
        strcmp(event.name, r->binding) != 0)
        return false;
    if (requests_is_pair(event.payload)) {
        if (requests_read_pair(event.payload, r->handlers->pair, r->arg, &e) != 0)
            fail(r, &e);
        return true;
    }
    r->unread++;
    r->unread_bytes += strlen(event.payload);
    int rc = requests_read_batch(
        event.payload, clock_wall_ms(), r->handlers->row, r->arg, &rows, &dropped, &e);
    if (rc)
        fail(r, &e);
    else if (dropped)
        r->handlers->lost(r->arg, dropped);
    if (r->unread_bytes >= WINDOW / 2)
        beat(r);
    return true;
}

/* ---- pairs of snapshots ---- */

static int tell_pairs(
    struct requests *r, const char *call, cdp_reply_fn fn, void *arg, struct err *e)
{
    char function[128];
    if (r->stage != FOLLOWING)
        return err_set(e, ERR_CANCELLED, "requests are not followed");
    snprintf(function, sizeof function, "function(){this.pairs.%s;return ''}", call);
    return ask_call_on(r->session, r->object, function, 0, fn, arg, e);
}

int requests_pair_arm(struct requests *r, bool pause, cdp_reply_fn fn, void *arg, struct err *e)
{
    return tell_pairs(r, pause ? "arm('pause')" : "arm('hold')", fn, arg, e);
}

int requests_pair_release(struct requests *r, int64_t number, struct err *e)
{
    char call[64];
    snprintf(call, sizeof call, "release(%lld)", (long long)number);
    return tell_pairs(r, call, NULL, NULL, e);
}

int requests_pair_abandon(struct requests *r, int64_t number, struct err *e)
{
    char call[64];
    snprintf(call, sizeof call, "abandon(%lld)", (long long)number);
    return tell_pairs(r, call, NULL, NULL, e);
}

int requests_pair_disarm(struct requests *r, int64_t number, struct err *e)
{
    char call[64];
    snprintf(call, sizeof call, "arm('');this.pairs.abandon(%lld)", (long long)number);
    return tell_pairs(r, call, NULL, NULL, e);
}

/* ---- out of turn ---- */

void requests_ask_beat(struct requests *r)
{
    r->beat_wanted = true;
    if (r->stage == FOLLOWING && !r->beating)
        timer_start(r->timer, 0);
}

void requests_ask_floor(struct requests *r, int64_t since_us)
{
    r->floor_wanted = true;
    r->floor_since_us = since_us;
    requests_ask_beat(r);
}

/* ---- leaving ---- */

/* Its answer comes to got_beat as any other. */
static void take_out(struct requests *r)
{
    struct err e = ERR_NONE;
    struct proto_runtime_remove_binding p = {.name = r->binding};
    cJSON *params;
    if (r->object)
        (void)!ask_for_beat(r, true, &e); /* if it cannot be asked, the hook expires */
    if (proto_runtime_remove_binding_encode(&p, &params, &e) == 0)
        (void)!cdp_call(
            r->session, PROTO_RUNTIME_REMOVE_BINDING, params, STOP_DEADLINE_US, NULL, NULL, &e);
}

void requests_stop(struct requests *r)
{
    timer_stop(r->timer);
    if (r->stage == OVER)
        return;
    r->stage = OVER;
    take_out(r);
}

void requests_free(struct requests *r)
{
    if (!r)
        return;
    timer_free(r->timer);
    free(r->match);
    free(r->object);
    free(r);
}
