/* An attachment: finds the inspector, connects, keeps the list of targets, comes back after a loss.
 *
 *            ┌───────────────────────── again ──────────────────────────┐
 *            v                                                          │
 *   idle ─> locating ─> discovering ─> connecting ─> attached ─> lost ─> waiting
 *            (pid:N)     (/json/list)   (WebSocket)      │          └──> ended
 *                                                        └─> releasing ─> ended
 *
 * What each state waits for: locating, a port of the process (3 s); discovering, the HTTP answers;
 * connecting, the upgrade and the main target's identity; releasing, the target's answers to our
 * leaving (2 s), then the close; waiting, the backoff's timer.
 *
 * Where the address picks a worker, the main target is got to know, but not announced; when the
 * workers are listed the picked one is, alone. */
#include "collect/target_private.h"

#include "base/clock.h"
#include "base/text.h"
#include "collect/ask.h"
#include "collect/host.h"
#include "collect/local.h"
#include "cdp/proto.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISCOVER_DEADLINE_US (5 * 1000000LL)
#define CONNECT_DEADLINE_US  (10 * 1000000LL)
#define BACKOFF_FIRST_US     100000
#define BACKOFF_LAST_US      (2 * 1000000LL)  /* a restarted server is seen again within this */
#define STEADY_US            (10 * 1000000LL) /* a target that stays so long is no crash loop */
#define RELEASE_DEADLINE_US  (2 * 1000000LL)

enum state {
    STATE_IDLE,
    STATE_LOCATING,
    STATE_DISCOVERING,
    STATE_CONNECTING,
    STATE_ATTACHED,
    STATE_RELEASING,
    STATE_LOST,
    STATE_WAITING,
    STATE_ENDED,
    STATES
};

static const char *const state_names[STATES] = {"idle", "locating", "discovering", "connecting",
    "attached", "releasing", "lost", "waiting", "ended"};

#define TO(state) (1u << STATE_##state)
static const unsigned allowed[STATES] = {
    [STATE_IDLE] = TO(LOCATING) | TO(DISCOVERING) | TO(ENDED),
    [STATE_LOCATING] = TO(DISCOVERING) | TO(LOST) | TO(ENDED),
    [STATE_DISCOVERING] = TO(CONNECTING) | TO(LOST) | TO(ENDED),
    [STATE_CONNECTING] = TO(ATTACHED) | TO(RELEASING) | TO(LOST),
    [STATE_ATTACHED] = TO(RELEASING) | TO(LOST),
    [STATE_RELEASING] = TO(ENDED),
    [STATE_LOST] = TO(WAITING) | TO(ENDED),
    [STATE_WAITING] = TO(LOCATING) | TO(DISCOVERING) | TO(ENDED),
    [STATE_ENDED] = 0,
};

struct attachment {
    struct loop *loop; /* borrowed */
    enum state state;
    struct attachment_options options;
    char name[ADDRESS_TEXT_SIZE];
    struct address endpoint; /* where the inspector is this time */
    struct local_find *find;
    struct discover *discover;
    struct discovery *discovery;
    size_t entry; /* index of the picked one */
    struct cdp_connection *connection;
    int held;               /* by the guardian; -1: not */
    struct target *targets; /* the main one is the last */
    struct timer *timer;    /* of idle, waiting and releasing */
    int64_t first_try_us;
    int64_t backoff_us;
    int64_t attached_us; /* since when it is; 0: it is not */
    bool was_attached, closing;
    bool picks_worker;            /* of this connection: only one of its workers is announced */
    bool workers_listed, settled; /* of this connection */
    size_t releases;              /* answers that releasing waits for */
    struct err why;               /* of the loss */
    const struct attachment_handlers *handlers;
    void *arg;
    struct loop_discard discard;
};

static void on_timer(void *arg);

static void set_state(struct attachment *a, enum state to)
{
    if (!(allowed[a->state] & 1u << to)) {
        fprintf(stderr, "heaptap: attachment %s to %s\n", state_names[a->state], state_names[to]);
        abort();
    }
    a->state = to;
}

static void say(struct attachment *a, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct attachment *a, const char *format, ...)
{
    char line[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (a->handlers->said)
        a->handlers->said(a->arg, line);
}

/* ---- losing it ---- */

static void end(struct attachment *a)
{
    set_state(a, STATE_ENDED);
    timer_stop(a->timer);
    if (a->closing)
        a->handlers->closed(a->arg);
}

/* A process that is gone does not come back under its number. */
static bool is_over(const struct attachment *a)
{
    int64_t start;
    return a->options.address.kind == ADDRESS_PROCESS && !a->options.moves &&
           host_start_time(a->options.address.pid, &start) != 0;
}

/* From any state that is on the way or attached: try again, or not. */
static void lose(struct attachment *a, const struct err *why)
{
    int64_t next_us = -1;
    a->why = *why;
    discovery_free(a->discovery);
    a->discovery = NULL;
    set_state(a, STATE_LOST);
    if (a->attached_us && clock_monotonic_us() - a->attached_us >= STEADY_US)
        a->backoff_us = BACKOFF_FIRST_US;
    a->attached_us = 0;
    if (a->closing) {
        end(a);
        return;
    }
    bool patient =
        a->options.persists || clock_monotonic_us() - a->first_try_us < a->options.wait_us;
    bool hopeless = why->code == ERR_USAGE || why->code == ERR_NOMEM || is_over(a);
    if (!hopeless && (a->was_attached ? a->options.follow : patient)) {
        next_us = a->backoff_us;
        a->backoff_us += a->backoff_us / 2;
        if (a->backoff_us > BACKOFF_LAST_US)
            a->backoff_us = BACKOFF_LAST_US;
    }
    if (next_us < 0) {
        end(a);
    } else {
        set_state(a, STATE_WAITING);
        timer_start(a->timer, next_us);
    }
    a->handlers->down(a->arg, &a->why, next_us);
}

/* ---- targets of the connection ---- */

static void remove_target(struct attachment *a, struct target *t, const struct err *why)
{
    struct target **link = &a->targets;
    while (*link && *link != t)
        link = &(*link)->next;
    if (*link)
        *link = t->next;
    if (t->announced)
        a->handlers->detached(a->arg, t, why);
    target_free(t);
}

struct target *target_main(const struct target *t)
{
    struct target *last = t->attachment->targets;
    while (last && last->next)
        last = last->next;
    return last;
}

int target_worker_number(const struct target *t)
{
    const struct discovery *d = t->attachment->discovery;
    bool is_worker = t->identity.kind == TARGET_WORKER;
    return d && is_worker ? discovery_worker_number(d, t->identity.inspector_id) : 0;
}

static void announce(struct attachment *a, struct target *t)
{
    t->announced = true;
    a->was_attached = true;
    a->handlers->attached(a->arg, t);
}

/* Tells once that nobody is being got to know any more. */
static void settle(struct attachment *a)
{
    if (a->state != STATE_ATTACHED || !a->workers_listed || a->settled)
        return;
    for (const struct target *t = a->targets; t; t = t->next)
        if (!t->judged && !a->picks_worker)
            return;
    a->settled = true;
    if (a->handlers->settled)
        a->handlers->settled(a->arg);
}

/* Leaves, because of why. */
static void break_off(struct attachment *a, const struct err *why)
{
    a->why = *why;
    err_context(&a->why, "%s", a->name);
    cdp_close(a->connection);
}

/* The one worker that is wanted begins; a restarted process may not have started it yet. */
static void pick_worker(struct attachment *a)
{
    size_t index;
    struct err e = ERR_NONE;
    if (discovery_pick(a->discovery, &a->endpoint, &index, &e) != 0) {
        if (a->was_attached || a->options.wait_us)
            e.code = ERR_UNREACHABLE; /* worth another try */
        break_off(a, &e);
        return;
    }
    for (struct target *t = a->targets; t; t = t->next)
        if (strcmp(t->identity.inspector_id, a->discovery->entries[index].id) == 0)
            target_begin(t);
}

static void workers_listed(void *arg, const cJSON *result, const struct err *why)
{
    struct attachment *a = arg;
    (void)result;
    (void)why; /* a runtime without workers, too, has told of all */
    a->workers_listed = true;
    if (a->picks_worker && a->state == STATE_ATTACHED)
        pick_worker(a);
    else
        settle(a);
}

static void worker_known(struct target *t, const struct err *why)
{
    struct attachment *a = t->attachment;
    t->judged = true;
    if (a->state != STATE_ATTACHED)
        return;
    if (why && a->picks_worker) {
        break_off(a, why);
        return;
    }
    if (why)
        say(a, "worker \"%s\" cannot be watched: %s", t->identity.title, why->text);
    else
        announce(a, t);
    settle(a);
}

static void tell(struct attachment *a, const char *method, cJSON *params)
{
    struct err e = ERR_NONE;
    if (cdp_call(cdp_main_session(a->connection), method, params, 0, NULL, NULL, &e) != 0)
        say(a, "%s: %s", method, e.text);
}

static void leave_exiting(struct attachment *a)
{
    err_set(&a->why, ERR_LOST, "%s: the process ended", a->name);
    cdp_close(a->connection); /* it cannot exit before we have left */
}

static void still_there(void *arg, const cJSON *result, const struct err *why)
{
    struct attachment *a = arg;
    (void)result;
    if (why && why->code == ERR_TARGET && a->state == STATE_ATTACHED)
        leave_exiting(a);
}

/* What keeps an exiting process from waiting for us. One that has begun to exit before it reads
 * this tells nothing and waits for us for ever; it has no context any more to evaluate in. */
static void ask_for_events(struct attachment *a, const struct target *t)
{
    struct err e = ERR_NONE;
    cJSON *params;
    if (t->identity.kind != TARGET_NODE && t->identity.kind != TARGET_DENO)
        return;
    struct proto_node_runtime_notify_when_waiting_for_disconnect notify = {.enabled = true};
    if (proto_node_runtime_notify_when_waiting_for_disconnect_encode(&notify, &params, &e) == 0)
        tell(a, PROTO_NODE_RUNTIME_NOTIFY_WHEN_WAITING_FOR_DISCONNECT, params);
    if (ask_evaluate(cdp_main_session(a->connection), "0", false, 0, still_there, a, &e) != 0)
        say(a, "%s", e.text);
}

/* Events of the workers that are there come before the answer. */
static void ask_for_workers(struct attachment *a, const struct target *t)
{
    struct err e = ERR_NONE;
    struct proto_node_worker_enable workers = {.wait_for_debugger_on_start = false};
    cJSON *params;
    bool wanted = a->options.workers || a->picks_worker;
    bool asked = t->identity.kind == TARGET_NODE && wanted &&
                 proto_node_worker_enable_encode(&workers, &params, &e) == 0 &&
                 cdp_call(cdp_main_session(a->connection), PROTO_NODE_WORKER_ENABLE, params, 0,
                     workers_listed, a, &e) == 0;
    if (!asked)
        workers_listed(a, NULL, NULL);
}

static void main_known(struct target *t, const struct err *why)
{
    struct attachment *a = t->attachment;
    t->judged = true;
    if (a->state != STATE_CONNECTING)
        return;
    if (why) {
        break_off(a, why);
        return;
    }
    set_state(a, STATE_ATTACHED);
    a->attached_us = clock_monotonic_us();
    a->workers_listed = a->settled = false;
    if (!a->picks_worker)
        announce(a, t);
    if (a->state == STATE_ATTACHED) {
        ask_for_events(a, t);
        ask_for_workers(a, t);
    }
}

static int add_target(struct attachment *a, struct target_start *start)
{
    struct target *t;
    struct err e = ERR_NONE;
    start->loop = a->loop;
    start->attachment = a;
    start->passive = a->options.passive;
    start->expiry_us = a->options.expiry_us;
    int rc = target_new(start, &t, &e);
    if (rc) {
        say(a, "%s", e.text);
        return rc;
    }
    t->next = a->targets;
    a->targets = t;
    cdp_session_set_data(start->session, t);
    return 0;
}

/* ---- the connection's callbacks ---- */

static void on_opened(void *arg, struct cdp_session *s)
{
    struct attachment *a = arg;
    struct target_start start = {.session = s,
        .discovery = a->discovery,
        .entry = &a->discovery->entries[a->entry],
        .unsampled = a->picks_worker,
        .known = main_known};
    a->held = guardian_hold(a->options.guardian, a->connection);
    if (add_target(a, &start) != 0)
        cdp_close(a->connection);
}

static void on_event(void *arg, struct cdp_session *s, const char *method, const cJSON *params)
{
    struct attachment *a = arg;
    struct target *t = cdp_session_data(s);
    if (strcmp(method, PROTO_NODE_RUNTIME_WAITING_FOR_DISCONNECT) == 0 && cdp_session_is_main(s)) {
        leave_exiting(a);
        return;
    }
    if (t && t->announced && a->handlers->event)
        a->handlers->event(a->arg, t, method, params);
}

static void on_chunk(void *arg, struct cdp_session *s, const char *escaped, size_t length)
{
    struct attachment *a = arg;
    struct target *t = cdp_session_data(s);
    if (t && t->announced && a->handlers->chunk)
        a->handlers->chunk(a->arg, t, escaped, length);
}

static void on_worker(void *arg, struct cdp_session *s, const cJSON *params)
{
    struct attachment *a = arg;
    struct err e = ERR_NONE;
    struct proto_node_worker_attached_to_worker event;
    if (a->state != STATE_ATTACHED)
        return;
    if (proto_node_worker_attached_to_worker_decode(params, &event, &e) != 0) {
        say(a, "a worker cannot be watched: %s", e.text);
        return;
    }
    const struct proto_node_worker_worker_info *info = &event.worker_info;
    if (discovery_add_worker(a->discovery, info->worker_id, info->title, info->url, &e) != 0)
        say(a, "worker \"%s\" cannot be picked: %s", info->title, e.text);
    struct target *main_target = cdp_session_data(cdp_main_session(a->connection));
    struct target_start start = {.session = s,
        .worker_title = info->title,
        .worker_url = info->url,
        .worker_id = info->worker_id,
        .parent = &main_target->identity,
        .held = a->picks_worker,
        .known = worker_known};
    (void)add_target(a, &start);
}

static void on_worker_gone(void *arg, struct cdp_session *s)
{
    struct attachment *a = arg;
    struct target *t = cdp_session_data(s);
    struct err why = ERR_NONE;
    if (!t)
        return;
    bool picked = a->picks_worker && t->announced;
    err_set(&why, ERR_LOST, "the worker ended");
    if (a->discovery)
        discovery_remove_worker(a->discovery, t->identity.inspector_id);
    remove_target(a, t, &why);
    if (picked && a->state == STATE_ATTACHED)
        break_off(a, &why);
}

static void on_closed(void *arg, const struct err *why)
{
    struct attachment *a = arg;
    bool ours = why->code == ERR_CANCELLED && a->why.code;
    struct err reason = ours ? a->why : *why;
    if (!ours && !strstr(reason.text, a->name))
        err_context(&reason, "%s", a->name);
    a->connection = NULL;
    guardian_release(a->options.guardian, a->held);
    a->held = -1;
    a->why = ERR_NONE;
    while (a->targets)
        remove_target(a, a->targets, &reason);
    if (a->state == STATE_RELEASING)
        end(a);
    else
        lose(a, &reason);
}

static const struct cdp_handlers connection_handlers = {
    .opened = on_opened,
    .event = on_event,
    .chunk = on_chunk,
    .attached = on_worker,
    .detached = on_worker_gone,
    .closed = on_closed,
};

/* ---- the way to a connection ---- */

static void connect_to_target(struct attachment *a)
{
    struct err e = ERR_NONE;
    const struct discovery *d = a->discovery;
    struct cdp_options options = {.ip = d->ip,
        .port = d->port,
        .network = d->network,
        .tls_name = d->tls ? d->host : NULL,
        .path = d->entries[a->entry].path,
        .peer = d->runtime == RUNTIME_NODE || d->runtime == RUNTIME_UNKNOWN ? CDP_PEER_NODE
                                                                            : CDP_PEER_OTHER,
        .deadline_us = CONNECT_DEADLINE_US};
    if (!options.path) {
        err_set(&e, ERR_UNREACHABLE, "%s: another client is attached to that %s", a->name,
            d->runtime == RUNTIME_CHROMIUM ? "page" : "target");
        lose(a, &e);
        return;
    }
    set_state(a, STATE_CONNECTING);
    if (cdp_connect(a->loop, &options, &connection_handlers, a, &a->connection, &e) != 0)
        lose(a, &e);
}

static void refuse_remote(struct attachment *a)
{
    struct err e = ERR_NONE;
    err_set(&e, ERR_USAGE,
        "%s is another host: whoever reaches an inspector can run code in the process, so this "
        "needs --allow-remote, and better an SSH tunnel",
        a->name);
    lose(a, &e);
}

static void discovered(void *arg, struct discovery *d, const struct err *why)
{
    struct attachment *a = arg;
    struct err e = ERR_NONE;
    a->discover = NULL;
    if (!d) {
        lose(a, why);
        return;
    }
    a->discovery = d;
    if (!a->options.allow_remote && !d->network && !host_is_local(d->ip)) {
        refuse_remote(a); /* a name, which turned out to be one */
        return;
    }
    a->picks_worker = discovery_asks_for_worker(d, &a->endpoint);
    a->entry = 0; /* the process of the worker */
    int rc = a->picks_worker ? 0 : discovery_pick(d, &a->endpoint, &a->entry, &e);
    if (rc) {
        err_context(&e, "%s", a->name);
        lose(a, &e);
    } else {
        connect_to_target(a);
    }
}

static void discover(struct attachment *a)
{
    struct err e = ERR_NONE;
    set_state(a, STATE_DISCOVERING);
    if (!a->options.allow_remote && !a->endpoint.network && host_is_foreign(a->endpoint.host)) {
        refuse_remote(a); /* before a packet leaves */
        return;
    }
    if (discover_start(
            a->loop, &a->endpoint, DISCOVER_DEADLINE_US, discovered, a, &a->discover, &e) != 0)
        lose(a, &e);
}

static void located(void *arg, const struct address *endpoint, const struct err *why)
{
    struct attachment *a = arg;
    a->find = NULL;
    if (!endpoint) {
        lose(a, why);
        return;
    }
    a->endpoint = *endpoint;
    a->endpoint.pick_number = a->options.address.pick_number;
    memcpy(a->endpoint.pick_title, a->options.address.pick_title, sizeof a->endpoint.pick_title);
    discover(a);
}

static void begin(struct attachment *a)
{
    struct err e = ERR_NONE;
    if (a->options.address.kind != ADDRESS_PROCESS) {
        a->endpoint = a->options.address;
        if (a->was_attached)
            address_follow(&a->endpoint);
        discover(a);
        return;
    }
    set_state(a, STATE_LOCATING);
    if (local_find_start(a->loop, a->options.address.pid, true, located, a, &a->find, &e) != 0)
        lose(a, &e);
}

/* ---- for the owner ---- */

int attachment_new(struct loop *l, const struct attachment_options *o,
    const struct attachment_handlers *h, void *arg, struct attachment **ret, struct err *e)
{
    struct attachment *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "out of memory");
    *a = (struct attachment){.loop = l,
        .options = *o,
        .backoff_us = BACKOFF_FIRST_US,
        .first_try_us = clock_monotonic_us(),
        .held = -1,
        .why = ERR_NONE,
        .handlers = h,
        .arg = arg};
    address_format(&o->address, a->name);
    int rc = timer_new(l, on_timer, a, &a->timer, e);
    if (rc) {
        free(a);
        return rc;
    }
    timer_start(a->timer, 0);
    *ret = a;
    return 0;
}

void attachment_set_pid(struct attachment *a, pid_t pid)
{
    a->options.address.kind = ADDRESS_PROCESS;
    a->options.address.pid = pid;
    address_format(&a->options.address, a->name);
    if (a->state == STATE_WAITING)
        timer_start(a->timer, 0);
}

static void released(void *arg)
{
    struct attachment *a = arg;
    if (a->releases > 0 && --a->releases == 0 && a->connection)
        cdp_close(a->connection);
}

static void on_timer(void *arg)
{
    struct attachment *a = arg;
    if (a->state == STATE_RELEASING)
        cdp_close(a->connection); /* the target did not answer in time */
    else if (a->state == STATE_ENDED)
        a->handlers->closed(a->arg);
    else
        begin(a);
}

/* Stops every sampler, main target last so that its session outlives its workers'. */
static void release(struct attachment *a)
{
    set_state(a, STATE_RELEASING);
    a->releases = 1;
    for (struct target *t = a->targets; t; t = t->next) {
        if (t->sampler && t->announced) {
            a->releases++;
            sampler_stop(t->sampler, released, a);
        }
    }
    timer_start(a->timer, RELEASE_DEADLINE_US);
    released(a);
}

void attachment_close(struct attachment *a)
{
    if (a->closing)
        return;
    a->closing = true;
    switch (a->state) {
    case STATE_CONNECTING:
    case STATE_ATTACHED: release(a); break;
    case STATE_RELEASING:
    case STATE_LOST: break;
    case STATE_IDLE:
    case STATE_LOCATING:
    case STATE_DISCOVERING:
    case STATE_WAITING:
        local_find_cancel(a->find);
        a->find = NULL;
        discover_cancel(a->discover);
        a->discover = NULL;
        set_state(a, STATE_ENDED);
        timer_start(a->timer, 0); /* closed never comes within this call */
        break;
    case STATE_ENDED: timer_start(a->timer, 0); break;
    case STATES: break;
    }
}

static void free_attachment(void *object)
{
    free(object);
}

void attachment_free(struct attachment *a)
{
    if (!a)
        return;
    local_find_cancel(a->find);
    discover_cancel(a->discover);
    discovery_free(a->discovery);
    timer_free(a->timer);
    assert(!a->connection); /* close it first */
    loop_discard(a->loop, &a->discard, free_attachment, a);
}
