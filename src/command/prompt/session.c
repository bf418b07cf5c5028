/* A session of the prompt: the run, its targets, and how commands wait. */
#include "command/prompt/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "collect/ask.h"
#include "cdp/proto.h"
#include "command/conduct.h"
#include "command/prompt/embed.h"
#include "command/prompt/protocol.h"
#include "command/recap.h"
#include "command/sink.h"
#include "store/place.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define READING_DEADLINE_US (60 * 1000000LL)
#define FOR_EVER_US         (INT64_C(10) * 365 * 86400 * 1000000) /* a session waits for its target */
#define EVENT_SHOWN         2000 /* bytes of an event's parameters */
#define TITLE_COLUMNS       24   /* of a target in the prompt */

/* ---- telling ---- */

/* From any thread: log lines come here, too. */
static void put_line(struct session *s, const char *line)
{
    struct buf text = buf_new(16 * ERR_TEXT_MAX);
    if (text_add_visible(&text, line, strlen(line)) == 0 && buf_add_text(&text, "\n") == 0 &&
        !(s->editor && editor_show(s->editor, text.data))) {
        if (s->progress)
            show_progress_clear(s->progress);
        fputs(text.data, stderr);
    }
    buf_free(&text);
}

void session_tell(struct session *s, const char *format, ...)
{
    char line[4 * ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    put_line(s, line);
}

static void on_log(void *arg, enum log_level level, const char *line)
{
    session_tell(arg, "heaptap: %s%s",
        level == LOG_ERROR  ? "error: "
        : level == LOG_WARN ? "warning: "
                            : "",
        line);
}

static size_t live_targets(const struct session *s)
{
    size_t count = 0;
    for (size_t i = 0; i < run_target_count(s->run); i++)
        count += run_target_live(s->run, i) != NULL;
    return count;
}

const struct run_target *session_facts(const struct session *s)
{
    return s->current == SIZE_MAX ? NULL : run_target_at(s->run, s->current);
}

void session_prompt(struct session *s, char out[128])
{
    const struct run_target *t = session_facts(s);
    struct buf name = buf_new(1024);
    if (!t) {
        snprintf(out, 128, "heaptap> ");
        return;
    }
    const char *title = t->identity.title;
    const char *slash = strrchr(title, '/');
    if (slash && slash[1])
        title = slash + 1;
    size_t length = strnlen(title, TITLE_COLUMNS);
    while (length > 0 && ((unsigned char)title[length] & 0xc0) == 0x80)
        length--;
    if (text_add_visible(&name, title, length) != 0 || name.length == 0) {
        buf_clear(&name);
        (void)!buf_add_text(&name, "target");
    }
    bool gone = !run_target_live(s->run, s->current);
    if (live_targets(s) > 1)
        snprintf(out, 128, "%zu %.90s%s> ", s->current + 1, name.data, gone ? " (gone)" : "");
    else
        snprintf(out, 128, "%.90s%s> ", name.data, gone ? " (gone)" : "");
    buf_free(&name);
}

static void refresh_prompt(struct session *s)
{
    char prompt[128];
    if (!s->editor || !s->run)
        return;
    session_prompt(s, prompt);
    editor_set_prompt(s->editor, prompt);
}

/* ---- what the run tells ---- */

static size_t index_of(const struct session *s, const struct run_target *t)
{
    for (size_t i = 0; i < run_target_count(s->run); i++)
        if (run_target_at(s->run, i) == t)
            return i;
    return SIZE_MAX;
}

static void on_said(void *arg, const struct run_target *t, bool warning, const char *text)
{
    char name[RECAP_NAME_SIZE];
    if (t)
        log_line(warning ? LOG_WARN : LOG_INFO, "%s: %s", recap_name(t, name), text);
    else
        log_line(warning ? LOG_WARN : LOG_INFO, "%s", text);
    (void)arg;
}

static void on_attached(void *arg, const struct run_target *t)
{
    struct session *s = arg;
    char name[RECAP_NAME_SIZE];
    size_t index = index_of(s, t);
    bool first = s->current == SIZE_MAX;
    bool again = !first && !run_target_live(s->run, s->current) &&
                 run_target_link(s->run, s->current) == run_target_link(s->run, index) &&
                 t->identity.kind != TARGET_WORKER;
    bool other = again && index != s->current;
    if (first || again)
        s->current = index;
    s->attached = true;
    vocabulary_set_counts(s->vocabulary, run_target_count(s->run), s->snapshot_count);
    refresh_prompt(s); /* before the line that is shown above it */
    if (other)
        log_info("%s is there in its place", recap_name(t, name));
    else if (!first)
        log_info("attached to %s%s", recap_name(t, name), again ? " again" : "");
    session_stir(s);
}

static void on_detached(void *arg, const struct run_target *t, const struct err *why)
{
    struct session *s = arg;
    char name[RECAP_NAME_SIZE];
    if (s->run_over || s->quit)
        return;
    if (t->identity.kind == TARGET_WORKER) /* of others the run says it */
        log_info("%s: %s", recap_name(t, name), why->text);
    refresh_prompt(s);
    session_stir(s);
}

static void on_metrics(void *arg, const struct run_target *t, const struct store_metrics *m)
{
    struct session *s = arg;
    size_t index = index_of(s, t);
    if (index == SIZE_MAX)
        return;
    if (index >= s->told_room) {
        size_t room = 2 * index + 8;
        struct told *grown = realloc(s->told, room * sizeof *grown);
        if (!grown)
            return;
        memset(grown + s->told_room, 0, (room - s->told_room) * sizeof *grown);
        s->told = grown;
        s->told_room = room;
    }
    struct told *told = &s->told[index];
    told->heap[told->count++ % SESSION_READINGS] = m->heap_used;
}

static void on_request(
    void *arg, const struct run_target *t, int64_t id, const struct request_row *row)
{
    (void)arg;
    (void)t;
    (void)id;
    (void)row;
}

static void on_progress(void *arg, const struct run_target *t, const char *phase, int64_t done,
    int64_t total, int64_t bytes, int64_t elapsed_us)
{
    struct session *s = arg;
    int64_t now = clock_monotonic_us();
    (void)t;
    (void)elapsed_us;
    if (!s->busy)
        return;
    if (strcmp(s->phase, phase) != 0) {
        if (strcmp(phase, CAPTURE_WAITING) == 0)
            session_tell(s, "heaptap: %s; Ctrl-C ends the wait", phase);
        snprintf(s->phase, sizeof s->phase, "%s", phase);
        show_progress_begin(
            s->progress, phase, total > 0 ? SHOW_UNIT_NONE : SHOW_UNIT_BYTES, total, now);
    }
    show_progress_at(s->progress, total > 0 ? done : bytes, total, now);
}

static void clear_taken(struct session *s)
{
    free(s->taken.path);
    free(s->taken.trigger);
    s->taken = (struct taken){.done = false};
}

static void keep(struct session *s, const struct run_target *t, const struct capture_outcome *o)
{
    if (s->snapshot_count == SESSION_SNAPSHOTS_MAX)
        return;
    struct kept *grown = realloc(s->snapshots, (s->snapshot_count + 1) * sizeof *grown);
    if (!grown)
        return;
    s->snapshots = grown;
    grown[s->snapshot_count] = (struct kept){.path = strdup(o->file->path),
        .target = index_of(s, t),
        .wall_ms = o->asked_at_ms,
        .epoch = o->epoch,
        .bytes = o->file->bytes,
        .nodes = o->file->nodes,
        .edges = o->file->edges,
        .heap_after = o->heap_after,
        .pause_ms = o->pause_ms};
    if (grown[s->snapshot_count].path)
        s->snapshot_count++;
    vocabulary_set_counts(s->vocabulary, run_target_count(s->run), s->snapshot_count);
}

static void on_snapshot(void *arg, const struct run_target *t, const char *trigger,
    const char *path, const struct capture_outcome *o, bool again)
{
    struct session *s = arg;
    (void)again;
    clear_taken(s);
    show_progress_clear(s->progress);
    s->phase[0] = '\0';
    s->taken.outcome = *o;
    s->taken.path = strdup(path);
    s->taken.trigger = strdup(trigger);
    if (o->file) {
        s->taken.file = *o->file;
        s->taken.file.path = s->taken.path;
    }
    s->taken.outcome.file = o->file ? &s->taken.file : NULL;
    s->taken.done = true;
    if (o->state == CAPTURE_COMPLETE && o->kind == CAPTURE_SNAPSHOT)
        keep(s, t, o);
    if (o->kind == CAPTURE_TIMELINE) {
        s->recording = false;
        if (!s->busy && o->state != CAPTURE_COMPLETE)
            log_warn("the timeline is lost: %s", o->why.text);
        else if (!s->busy)
            log_info("the timeline has ended: %s", path);
    }
    session_stir(s);
}

static void on_ended(void *arg, const char *reason, const struct err *why)
{
    struct session *s = arg;
    (void)reason;
    s->run_over = true;
    s->why = *why;
    session_stir(s);
}

static bool wants_event(const struct session *s, const char *method)
{
    size_t length = s->events ? strlen(s->events) : 0;
    return s->events && (length == 0 || (strncmp(method, s->events, length) == 0 &&
                                            (method[length] == '.' || method[length] == '\0')));
}

static void on_event(void *arg, const struct run_target *t, const char *method, const cJSON *params)
{
    struct session *s = arg;
    if (!wants_event(s, method) || index_of(s, t) != s->current)
        return;
    char *text = params ? cJSON_PrintUnformatted(params) : NULL;
    bool cut = text && strlen(text) > EVENT_SHOWN;
    session_tell(s, "%s %.*s%s", method, EVENT_SHOWN, text ? text : "{}", cut ? "…" : "");
    cJSON_free(text);
}

static const struct run_handlers handlers = {
    .said = on_said,
    .attached = on_attached,
    .detached = on_detached,
    .metrics = on_metrics,
    .request = on_request,
    .progress = on_progress,
    .snapshot = on_snapshot,
    .event = on_event,
    .ended = on_ended,
};

/* ---- waiting ---- */

void session_stir(struct session *s)
{
    loop_stop(s->loop);
}

bool session_interrupted(void *arg)
{
    struct session *s = arg;
    return atomic_load(&s->interrupted);
}

int session_wait(struct session *s, const bool *done, struct err *e)
{
    while (!*done) {
        if (s->timed_out)
            return err_set(e, ERR_TIMEOUT, "the time of --timeout has passed");
        if (atomic_load(&s->interrupted) || s->signal)
            return err_set(e, ERR_CANCELLED, "ended by Ctrl-C");
        if (s->run_over) {
            *e = s->why;
            return s->why.code ? s->why.code : err_set(e, ERR_LOST, "the session is over");
        }
        int rc = loop_run(s->loop, e);
        if (rc)
            return rc;
    }
    return 0;
}

struct pause {
    struct session *session;
    bool over;
};

static void pause_over(void *arg)
{
    struct pause *p = arg;
    p->over = true;
    session_stir(p->session);
}

int session_pause(struct session *s, int64_t us, struct err *e)
{
    struct pause p = {.session = s};
    struct timer *timer;
    int rc = timer_new(s->loop, pause_over, &p, &timer, e);
    if (rc)
        return rc;
    timer_start(timer, us);
    rc = session_wait(s, &p.over, e);
    timer_free(timer);
    return rc;
}

struct apart {
    int (*fn)(void *arg, struct err *e);
    void *arg;
    struct session *session;
    struct wake *wake;
    struct err why;
    int rc;
    bool done;
};

static void *work_apart(void *arg)
{
    struct apart *a = arg;
    a->rc = a->fn(a->arg, &a->why);
    wake_send(a->wake);
    return NULL;
}

static void apart_done(void *arg)
{
    struct apart *a = arg;
    a->done = true;
    session_stir(a->session);
}

int session_apart(struct session *s, int (*fn)(void *arg, struct err *e), void *arg, struct err *e)
{
    struct apart a = {.fn = fn, .arg = arg, .session = s, .why = ERR_NONE};
    pthread_t thread;
    int rc = wake_new(s->loop, apart_done, &a, &a.wake, e);
    if (rc)
        return rc;
    int code = pthread_create(&thread, NULL, work_apart, &a);
    if (code) {
        wake_free(a.wake);
        return err_set_errno(e, ERR_IO, code, "cannot start a thread");
    }
    while (!a.done && loop_run(s->loop, e) == 0) /* the thread hears of Ctrl-C itself */
        ;
    pthread_join(thread, NULL);
    wake_free(a.wake);
    if (a.rc < 0)
        *e = a.why;
    return a.rc;
}

/* ---- the target in use ---- */

int session_target(struct session *s, struct target **ret, struct err *e)
{
    struct target *t = s->current == SIZE_MAX ? NULL : run_target_live(s->run, s->current);
    if (!t)
        return err_set(e, ERR_LOST,
            s->current != SIZE_MAX && run_link_ended(s->run, run_target_link(s->run, s->current))
                ? "the target is gone for good; use takes another one"
                : "the target is gone; when it comes back, it is attached to again");
    *ret = t;
    return 0;
}

/* An answer that somebody waits for, or does not any more. */
struct asked {
    struct session *session;
    bool done, dropped;
    cJSON *result;
    struct sample sample;
    struct err why;
};

/* Frees it if nobody waits for it. */
static void answered(struct asked *a)
{
    a->done = true;
    if (a->dropped) {
        cJSON_Delete(a->result);
        free(a);
    } else {
        session_stir(a->session);
    }
}

static void on_reply(void *arg, const cJSON *result, const struct err *why)
{
    struct asked *a = arg;
    if (why)
        a->why = *why;
    else if (!a->dropped && !(a->result = cJSON_Duplicate(result, true)))
        err_set(&a->why, ERR_NOMEM, "no memory for the answer");
    answered(a);
}

static void on_sample(void *arg, const struct sample *sample, const struct err *why)
{
    struct asked *a = arg;
    if (why)
        a->why = *why;
    else
        a->sample = *sample;
    answered(a);
}

/* Waits for a; it is not to be touched after a failure of the wait. */
static int await_answer(struct session *s, struct asked *a, struct err *e)
{
    int rc = session_wait(s, &a->done, e);
    if (rc) {
        a->dropped = true;
        return rc;
    }
    if (a->why.code) {
        *e = a->why;
        rc = a->why.code;
        free(a);
    }
    return rc;
}

int session_call(struct session *s, const char *method, cJSON *params, int64_t deadline_us,
    cJSON **ret_result, struct err *e)
{
    struct target *t = NULL;
    struct asked *a = calloc(1, sizeof *a);
    int rc = a ? session_target(s, &t, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc) {
        cJSON_Delete(params);
        free(a);
        return rc;
    }
    *a = (struct asked){.session = s, .why = ERR_NONE};
    if (deadline_us == 0)
        deadline_us = settings_number(s->in->settings, SET_DEADLINE);
    rc = cdp_call(target_session(t), method, params, deadline_us, on_reply, a, e);
    if (rc) {
        free(a);
        return rc;
    }
    rc = await_answer(s, a, e);
    if (rc)
        return rc;
    *ret_result = a->result;
    free(a);
    return 0;
}

int session_read(struct session *s, struct sample *ret, struct err *e)
{
    struct target *t = NULL;
    struct asked *a = calloc(1, sizeof *a);
    int rc = a ? session_target(s, &t, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc) {
        free(a);
        return rc;
    }
    *a = (struct asked){.session = s, .why = ERR_NONE};
    rc = sampler_read(target_sampler(t), READING_DEADLINE_US, on_sample, a, e);
    if (rc) {
        free(a);
        return rc;
    }
    rc = await_answer(s, a, e);
    if (rc)
        return rc;
    *ret = a->sample;
    ret->heap_spaces = NULL;
    free(a);
    return 0;
}

void session_release(struct session *s)
{
    struct target *t = NULL;
    struct err e = ERR_NONE;
    struct proto_runtime_release_object_group p = {.object_group = SESSION_OBJECT_GROUP};
    cJSON *params;
    if (session_target(s, &t, &e) == 0 &&
        proto_runtime_release_object_group_encode(&p, &params, &e) == 0)
        (void)!cdp_call(
            target_session(t), PROTO_RUNTIME_RELEASE_OBJECT_GROUP, params, 0, NULL, NULL, &e);
}

int session_await_capture(struct session *s, struct err *e)
{
    int rc = session_wait(s, &s->taken.done, e);
    if (rc == ERR_CANCELLED || rc == ERR_TIMEOUT) {
        run_drop_capture(s->run); /* which tells of it */
        if (s->taken.done)
            *e = s->taken.outcome.why;
    } else if (rc == 0 && s->taken.outcome.state != CAPTURE_COMPLETE) {
        *e = s->taken.outcome.why;
        rc = e->code;
    }
    return rc;
}

int session_capture(struct session *s, const struct run_capture_wish *wish, struct err *e)
{
    struct target *t = NULL;
    int rc = session_target(s, &t, e);
    if (rc == 0 && s->recording)
        rc = err_set(e, ERR_REFUSED, "a timeline is being recorded; timeline stop ends it");
    if (rc)
        return rc;
    clear_taken(s);
    rc = run_capture(s->run, s->current, wish, e);
    return rc ? rc : session_await_capture(s, e);
}

/* ---- signals ---- */

static void on_signal(void *arg, int fd)
{
    struct session *s = arg;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    int number = (int)info.ssi_signo;
    if (number == SIGWINCH) {
        s->out.width = show_width(stdout);
        if (s->editor)
            editor_resize(s->editor);
        return;
    }
    if (number == SIGINT && s->terminal) {
        if (s->busy)
            atomic_store(&s->interrupted, true);
        else if (s->editor)
            editor_interrupt(s->editor);
    } else {
        if (s->signal) /* the second: at once */
            _exit(128 + number);
        s->signal = number;
        atomic_store(&s->interrupted, true);
    }
    session_stir(s);
}

/* Threads that start later inherit the mask. */
static int open_signals(struct session *s, struct err *e)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0)
        return err_set_errno(e, ERR_IO, errno, "cannot listen for signals");
    return watch_new(s->loop, s->signal_fd, on_signal, s, &s->signal_watch, e);
}

/* ---- beginning and end ---- */

static void on_timeout(void *arg)
{
    struct session *s = arg;
    s->timed_out = true;
    atomic_store(&s->interrupted, true);
    session_stir(s);
}

static void line_ready(void *arg)
{
    struct session *s = arg;
    s->line_ready = true;
    session_stir(s);
}

/* The history stands beside the record's usual place. */
static char *history_path(void)
{
    struct err e = ERR_NONE;
    char *record = NULL, *path = NULL;
    if (place_find(NULL, &record, &e) != 0 || place_make_folders(record, &e) != 0) {
        free(record);
        return NULL;
    }
    char *slash = strrchr(record, '/');
    if (slash)
        path = text_format("%.*s/history", (int)(slash - record), record);
    free(record);
    return path;
}

static int open_editor(struct session *s, struct err *e)
{
    char *history = s->terminal ? history_path() : NULL;
    struct editor_options options = {.terminal = s->terminal,
        .history = history,
        .complete = vocabulary_complete,
        .complete_arg = s->vocabulary,
        .ready = line_ready,
        .arg = s};
    int rc = editor_new(s->loop, &options, &s->editor, e);
    free(history);
    return rc;
}

static int start_run(struct session *s, const struct address *address, struct err *e)
{
    const struct settings *settings = s->in->settings;
    struct run_options options = {.addresses = address,
        .address_count = 1,
        .journal = s->logbook.journal,
        .metrics_interval_us = settings_number(settings, SET_METRICS_INTERVAL),
        .by_hand = true,
        .wait_us = settings_number(settings, SET_WAIT),
        .give_up_us = FOR_EVER_US,
        .folder = s->folder,
        .label = "prompt",
        .limits = conduct_limits(settings),
        .max_disk = settings_number(settings, SET_MAX_DISK),
        .max_pause_share = 1,
        .allow_remote = settings_flag(settings, SET_ALLOW_REMOTE),
        .follow = {.sample = 1, .overhead = settings_share(settings, SET_REQUESTS_OVERHEAD)}};
    return run_start(s->loop, &options, &handlers, s, &s->run, e);
}

int session_open(const struct invocation *in, const struct address *address, bool terminal,
    struct session *s, struct err *e)
{
    struct show_out errors;
    *s = (struct session){.in = in,
        .terminal = terminal,
        .json = settings_flag(in->settings, SET_JSON),
        .why = ERR_NONE,
        .current = SIZE_MAX,
        .signal_fd = -1,
        .folder = strdup(settings_text(in->settings, SET_DIR)),
        .vocabulary = vocabulary_new()};
    bool given =
        settings_text(in->settings, SET_COMMANDS) || settings_text(in->settings, SET_SCRIPT);
    int rc = s->folder && s->vocabulary ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = capture_folder_check(s->folder, e);
    if (rc == 0)
        rc = sink_open(in->settings, &s->out, e);
    if (rc == 0)
        rc = sink_open_errors(in->settings, &errors, e);
    if (rc == 0)
        rc = loop_new(&s->loop, e);
    if (rc == 0)
        rc = open_signals(s, e);
    if (rc == 0)
        rc = logbook_open(in, &s->logbook, e);
    if (rc == 0 && !settings_flag(in->settings, SET_QUIET))
        s->progress = show_progress_new(&errors);
    if (rc == 0 && settings_given(in->settings, SET_TIMEOUT))
        rc = timer_new(s->loop, on_timeout, s, &s->timeout, e);
    if (rc == 0 && !given)
        rc = open_editor(s, e);
    if (rc)
        return rc;
    if (s->timeout)
        timer_start(s->timeout, settings_number(in->settings, SET_TIMEOUT));
    log_open(settings_flag(in->settings, SET_VERBOSE) ? LOG_DEBUG
             : settings_flag(in->settings, SET_QUIET) ? LOG_ERROR
                                                      : LOG_INFO,
        on_log, s);
    rc = start_run(s, address, e);
    s->busy = true;
    if (rc == 0)
        rc = session_wait(s, &s->attached, e);
    s->busy = false;
    return rc;
}

/* The loop has ended, so signals are read here. */
static bool hurried(void *arg, int wait_ms)
{
    struct session *s = arg;
    struct pollfd fd = {.fd = s->signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;
    return poll(&fd, 1, wait_ms) > 0 &&
           read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info &&
           info.ssi_signo != SIGWINCH;
}

static void leave(struct session *s)
{
    struct err ignored = ERR_NONE;
    s->quit = true;
    s->busy = true;
    if (!s->run)
        return;
    if (!s->run_over) {
        run_drop_capture(s->run);
        run_finish(s->run, "quit");
        while (!s->run_over && loop_run(s->loop, &ignored) == 0)
            ;
    }
}

int session_close(struct session *s, int exit_code, struct err *e)
{
    struct logbook_end end = {.reason = s->signal ? "signal" : "quit",
        .exit_code = exit_code,
        .drain_us = settings_number(s->in->settings, SET_DRAIN),
        .hurried = hurried,
        .arg = s};
    http_cancel(s->fetch);
    s->fetch = NULL;
    leave(s);
    editor_free(s->editor);
    s->editor = NULL;
    run_free(s->run);
    int rc = logbook_close(&s->logbook, &end, e);
    log_close();
    logbook_free(&s->logbook);
    timer_free(s->timeout);
    watch_free(s->signal_watch);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    show_progress_free(s->progress);
    for (size_t i = 0; i < s->snapshot_count; i++) {
        free(s->snapshots[i].path);
        free(s->snapshots[i].label);
    }
    for (size_t i = 0; i < s->variable_count; i++)
        free(s->variables[i].value);
    clear_taken(s);
    embed_close_all(s);
    free(s->snapshots);
    free(s->variables);
    free(s->told);
    free(s->events);
    free(s->folder);
    vocabulary_free(s->vocabulary);
    protocol_free(s->protocol);
    loop_free(s->loop);
    return rc;
}
