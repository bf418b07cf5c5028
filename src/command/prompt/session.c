/* A session of the prompt: the run, its targets, and how commands wait. */
#include "command/prompt/session.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "collect/ask.h"
#include "cdp/proto.h"
#include "command/conduct.h"
#include "command/prompt/embed.h"
#include "command/prompt/protocol.h"
#include "command/recap.h"
#include "command/signals.h"
#include "command/sink.h"
#include "store/place.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define FOR_EVER_US   (INT64_C(10) * 365 * 86400 * 1000000) /* a session waits for its target */
#define EVENT_SHOWN   2000                                  /* bytes of an event's parameters */
#define TITLE_COLUMNS 24                                    /* of a target in the prompt */

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
    while (s->told_count <= index) {
        if (!array_more(&s->told, s->told_count))
            return;
        s->told[s->told_count++] = (struct told){.count = 0};
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
    if (s->snapshot_count == SESSION_SNAPSHOTS_MAX || !array_more(&s->snapshots, s->snapshot_count))
        return;
    struct kept *added = &s->snapshots[s->snapshot_count];
    *added = (struct kept){.path = strdup(o->file->path),
        .target = index_of(s, t),
        .wall_ms = o->asked_at_ms,
        .epoch = o->epoch,
        .bytes = o->file->bytes,
        .nodes = o->file->nodes,
        .edges = o->file->edges,
        .heap_after = o->heap_after,
        .pause_ms = o->pause_ms};
    if (added->path)
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

/* ---- captures ---- */

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

static int open_signals(struct session *s, struct err *e)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, 0};
    return signals_watch(s->loop, numbers, on_signal, s, &s->signal_fd, &s->signal_watch, e);
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
        .progress = s->progress != NULL,
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
