/* Getting to know one session: who it is, whether it waits for a debugger, and its sampler. */
#include "collect/target.h"
#include "collect/target_private.h"

#include "base/clock.h"
#include "base/text.h"
#include "collect/ask.h"
#include "collect/host.h"
#include "cdp/proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDENTIFY_DEADLINE_US (5 * 1000000LL)
#define WAITING_LOOK_US      50000
#define STILL_LOOKS          3 /* at a Deno whose event loop does not turn, until that is believed */
#define WAITING_DEADLINE_US  (20 * 1000000LL) /* from "run" to a main script that runs */

/* In a process that waits for a debugger bootstrapComplete is still -1 (Node 18 to 26). Deno tells
 * it by nothing that could be read (2.9): while it waits it evaluates, but no promise is settled.
 * Nor is one in a long loop, on which our expression then stands: Error.stack has more lines. */
static const char identity_expression[] =
    "JSON.stringify({pid: process.pid, version: process.versions.deno || process.version, "
    "deno: !!process.versions.deno, v8: process.versions.v8, arch: process.arch, "
    "title: process.title, started: performance.timeOrigin, "
    "waiting: performance.nodeTiming?.bootstrapComplete === -1, "
    "inside: !!process.versions.deno && `${new Error().stack}`.split('\\n').length > 2})";
static const char turn_expression[] = "Promise.resolve('')";

const char *target_kind_name(enum target_kind kind)
{
    static const char *const names[] = {"node", "worker", "deno", "page", "other"};
    return names[kind];
}

const struct target_identity *target_identity(const struct target *t)
{
    return &t->identity;
}

struct cdp_session *target_session(const struct target *t)
{
    return t->session;
}

struct sampler *target_sampler(const struct target *t)
{
    return t->sampler;
}

const char *target_sampler_problem(const struct target *t)
{
    return t->sampler_problem;
}

struct attachment *target_attachment(const struct target *t)
{
    return t->attachment;
}

bool target_is_main(const struct target *t)
{
    return cdp_session_is_main(t->session);
}

void target_set_data(struct target *t, void *data)
{
    t->data = data;
}

void *target_data(const struct target *t)
{
    return t->data;
}

/* ---- the steps: identify, let it run, sampler ---- */

static void identify(void *arg);

static bool is_scripted(const struct target *t)
{
    return t->identity.kind == TARGET_NODE || t->identity.kind == TARGET_WORKER ||
           t->identity.kind == TARGET_DENO;
}

static void replace_text(char **field, const char *text)
{
    char *copy = text && *text ? strdup(text) : NULL;
    if (copy) {
        free(*field);
        *field = copy;
    }
}

static void sampler_ready(void *arg, const struct err *why)
{
    struct target *t = arg;
    if (why && why->code != ERR_TARGET && why->code != ERR_PROTOCOL) {
        t->known(t, why);
        return;
    }
    if (why)
        t->sampler_problem = strdup(why->text);
    t->known(t, NULL);
}

/* In a container of its own the process may know itself by another number than this host does. */
static void find_on_host(struct target *t)
{
    struct target_identity *id = &t->identity;
    if (!t->ip[0] || id->host_pid)
        return;
    id->host_pid = host_listener(t->ip, t->port, (pid_t)id->pid);
    if (!id->pid)
        id->pid = id->host_pid;
}

static void make_sampler(struct target *t)
{
    struct err e = ERR_NONE;
    find_on_host(t);
    if (t->passive || t->unsampled)
        t->known(t, NULL);
    else if (sampler_new(t->session, is_scripted(t), t->identity.host_pid, t->expiry_us,
                 sampler_ready, t, &t->sampler, &e) != 0)
        t->known(t, &e);
}

static void read_identity(struct target *t, const cJSON *facts)
{
    const char *version = cJSON_GetStringValue(cJSON_GetObjectItem(facts, "version"));
    const cJSON *pid = cJSON_GetObjectItem(facts, "pid");
    const cJSON *started = cJSON_GetObjectItem(facts, "started");
    struct target_identity *id = &t->identity;
    if (version)
        replace_text(&id->runtime_version, version[0] == 'v' ? version + 1 : version);
    replace_text(&id->v8_version, cJSON_GetStringValue(cJSON_GetObjectItem(facts, "v8")));
    replace_text(&id->arch, cJSON_GetStringValue(cJSON_GetObjectItem(facts, "arch")));
    if (cJSON_IsNumber(pid) && pid->valuedouble > 0 && pid->valuedouble < INT32_MAX)
        id->pid = (int64_t)pid->valuedouble;
    if (cJSON_IsNumber(started) && started->valuedouble > 0 && started->valuedouble < 1e15)
        id->started_at_ms = (int64_t)started->valuedouble;
    if (id->kind == TARGET_OTHER)
        id->kind = cJSON_IsTrue(cJSON_GetObjectItem(facts, "deno")) ? TARGET_DENO : TARGET_NODE;
    t->waits = cJSON_IsTrue(cJSON_GetObjectItem(facts, "waiting"));
    t->turns =
        t->turns || id->kind != TARGET_DENO || cJSON_IsTrue(cJSON_GetObjectItem(facts, "inside"));
}

static void was_let_run(void *arg, const cJSON *result, const struct err *why)
{
    struct target *t = arg;
    (void)result;
    if (why)
        t->known(t, why);
    else
        timer_start(t->timer, WAITING_LOOK_US);
}

/* Also harmless in a process that has only just started and does not wait. */
static void let_run(struct target *t)
{
    struct err e = ERR_NONE;
    if (clock_monotonic_us() - t->started_us > WAITING_DEADLINE_US) {
        err_set(&e, ERR_UNREACHABLE,
            "it waits for a debugger (--inspect-brk or --inspect-wait) and does not go on");
        t->known(t, &e);
        return;
    }
    if (cdp_call(t->session, PROTO_RUNTIME_RUN_IF_WAITING_FOR_DEBUGGER, NULL, IDENTIFY_DEADLINE_US,
            was_let_run, t, &e) != 0)
        t->known(t, &e);
}

static void go_on(struct target *t)
{
    t->identity.waiting = t->identity.waiting || t->waits;
    if (t->waits && !t->passive)
        let_run(t);
    else
        make_sampler(t);
}

/* A promise of ours was settled: the event loop turns. What was asked before stays unanswered. */
static void turned(void *arg, const cJSON *result, const struct err *why)
{
    struct target *t = arg;
    (void)result;
    if (why && why->code != ERR_TARGET)
        return;
    t->turns = true;
    if (t->between_looks)
        timer_start(t->timer, 0);
}

/* Looks again a few times whether the event loop turns, before a process is said to wait. */
static void look_for_turn(struct target *t)
{
    struct err e = ERR_NONE;
    t->waits = ++t->still_looks > STILL_LOOKS;
    if (t->waits) {
        t->still_looks = 0;
        go_on(t);
    } else if (ask_settled(t->session, turn_expression, IDENTIFY_DEADLINE_US, turned, t, &e) != 0) {
        t->known(t, &e);
    } else {
        t->between_looks = true;
        timer_start(t->timer, WAITING_LOOK_US);
    }
}

static void identified(void *arg, const cJSON *result, const struct err *why)
{
    struct target *t = arg;
    struct err e = ERR_NONE;
    const char *text;
    if (why && why->code == ERR_TIMEOUT) {
        err_set(&e, ERR_UNREACHABLE,
            "it accepts the connection but does not answer: it is stopped, or stalled by native "
            "code or by another client's snapshot");
        t->known(t, &e);
        return;
    }
    if (why && why->code != ERR_TARGET) {
        t->known(t, why);
        return;
    }
    int rc = why ? why->code : ask_text(result, &text, &e);
    cJSON *facts = rc == 0 ? cJSON_Parse(text) : NULL;
    if (facts)
        read_identity(t, facts);
    cJSON_Delete(facts);
    if (facts && !t->waits && !t->turns)
        look_for_turn(t);
    else
        go_on(t);
}

static void identify(void *arg)
{
    struct target *t = arg;
    struct err e = ERR_NONE;
    t->between_looks = false;
    if (!is_scripted(t) && t->identity.kind != TARGET_OTHER)
        make_sampler(t);
    else if (ask_evaluate(t->session, identity_expression, false, IDENTIFY_DEADLINE_US, identified,
                 t, &e) != 0)
        t->known(t, &e);
}

/* ---- making one ---- */

static enum target_kind kind_of(const struct target_start *start)
{
    if (!start->entry)
        return TARGET_WORKER;
    switch (start->discovery->runtime) {
    case RUNTIME_NODE: return TARGET_NODE;
    case RUNTIME_DENO: return TARGET_DENO;
    case RUNTIME_CHROMIUM: return TARGET_PAGE;
    case RUNTIME_UNKNOWN: break;
    }
    return TARGET_OTHER;
}

static int fill_identity(struct target *t, const struct target_start *start, struct err *e)
{
    const struct discovery *d = start->discovery;
    const struct discover_entry *entry = start->entry;
    struct target_identity *id = &t->identity;
    id->kind = kind_of(start);
    if (entry) {
        address_host_port(d->ip, d->port, id->address);
        id->host_pid = id->network = d->network;
        if (id->kind != TARGET_PAGE && !d->network && host_is_local(d->ip)) {
            memcpy(t->ip, d->ip, sizeof t->ip);
            t->port = d->port;
        }
    } else {
        memcpy(id->address, start->parent->address, sizeof id->address);
        id->host_pid = start->parent->host_pid;
        id->network = start->parent->network;
    }
    id->pid = id->host_pid;
    id->title = strdup(entry ? entry->title : start->worker_title);
    id->url = strdup(entry ? entry->url : start->worker_url);
    id->inspector_id = strdup(entry ? entry->id : start->worker_id);
    id->runtime_version = strdup(entry ? d->version : start->parent->runtime_version);
    id->v8_version = strdup(entry ? "" : start->parent->v8_version);
    id->arch = strdup(entry ? "" : start->parent->arch);
    if (!id->title || !id->url || !id->inspector_id || !id->runtime_version || !id->v8_version ||
        !id->arch)
        return err_set(e, ERR_NOMEM, "out of memory");
    return 0;
}

int target_new(const struct target_start *start, struct target **ret, struct err *e)
{
    struct target *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "out of memory");
    *t = (struct target){.attachment = start->attachment,
        .session = start->session,
        .passive = start->passive,
        .unsampled = start->unsampled,
        .expiry_us = start->expiry_us,
        .known = start->known};
    int rc = fill_identity(t, start, e);
    if (rc == 0)
        rc = timer_new(start->loop, identify, t, &t->timer, e);
    if (rc) {
        target_free(t);
        return rc;
    }
    if (!start->held)
        target_begin(t);
    *ret = t;
    return 0;
}

void target_begin(struct target *t)
{
    t->started_us = clock_monotonic_us();
    timer_start(t->timer, 0);
}

void target_free(struct target *t)
{
    if (!t)
        return;
    timer_free(t->timer);
    sampler_free(t->sampler);
    free(t->sampler_problem);
    free(t->identity.title);
    free(t->identity.url);
    free(t->identity.inspector_id);
    free(t->identity.runtime_version);
    free(t->identity.v8_version);
    free(t->identity.arch);
    free(t);
}
