/* One run from the settings to the summary. */
#include "command/conduct.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "collect/folder.h"
#include "command/conclude.h"
#include "command/halt.h"
#include "command/logbook.h"
#include "command/narrate.h"
#include "command/signals.h"
#include "show/json.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ANSWER_MAX       16
#define SIGNAL_EXIT_BASE 128
#define EXIT_LEAK        1

struct conductor {
    struct loop *loop;
    const struct conduct_job *job; /* NULL: a plain run */
    struct run *run;
    struct narrator *narrator;
    struct logbook logbook;
    struct watch *signal_watch;
    struct timer *timeout;
    struct halt *halt;
    int signal_fd;
    int signals;     /* how many came */
    int last_signal; /* 0: none */
    int64_t began_us;
    bool ended;
    const char *reason;
    struct err why;
};

int conduct_addresses(
    const struct invocation *in, struct address **ret, size_t *ret_count, struct err *e)
{
    size_t count = in->word_count ? (size_t)in->word_count : 1;
    struct address *list = calloc(count, sizeof *list);
    if (!list)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        int rc = address_parse(in->word_count ? in->words[i] : NULL, &list[i], e);
        if (rc) {
            free(list);
            return rc;
        }
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

struct guard_limits conduct_limits(const struct settings *s)
{
    return (struct guard_limits){.max_pause_us = settings_number(s, SET_MAX_PAUSE),
        .min_free = settings_number(s, SET_MIN_FREE),
        .compress =
            settings_flag(s, SET_COMPRESS) || capture_output_is_zstd(settings_text(s, SET_OUTPUT)),
        .force = settings_flag(s, SET_FORCE)};
}

void conduct_report_leftovers(const char *folder)
{
    struct capture_leftovers left;
    struct err e = ERR_NONE;
    char size[TEXT_SHORT];
    if (capture_leftovers_list(folder, &left, &e) != 0)
        return; /* the folder itself is checked elsewhere */
    if (left.total)
        log_warn("%zu unfinished capture%s of killed runs in %s (%s), such as %s: safe to delete",
            left.total, left.total == 1 ? "" : "s", folder,
            text_size(size, (double)left.total_bytes), left.items[0].path);
    capture_leftovers_free(&left);
}

static void on_end(void *arg, const char *reason, const struct err *why)
{
    struct conductor *c = arg;
    c->ended = true;
    c->reason = reason;
    c->why = *why;
    loop_stop(c->loop);
}

static void on_signal(void *arg, int fd)
{
    struct conductor *c = arg;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    c->last_signal = (int)info.ssi_signo;
    if (c->signals++ > 0) {
        loop_stop(c->loop);
        return;
    }
    narrator_clear(c->narrator);
    log_info("ending; once more to leave at once");
    run_interrupt(c->run);
}

static void on_timeout(void *arg)
{
    struct conductor *c = arg;
    c->reason = "timeout";
    err_set(&c->why, ERR_TIMEOUT, "the time of --timeout has passed");
    loop_stop(c->loop);
}

static void on_stopping(void *arg)
{
    struct conductor *c = arg;
    if (c->run)
        run_halt(c->run);
}

static void on_going_on(void *arg)
{
    struct conductor *c = arg;
    if (c->run)
        run_continue(c->run);
}

static const struct halt_handlers halt_handlers = {
    .stopping = on_stopping, .going_on = on_going_on};

static int open_signals(struct conductor *c, struct err *e)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, 0};
    return signals_watch(c->loop, numbers, on_signal, c, &c->signal_fd, &c->signal_watch, e);
}

/* The loop has ended, so signals are read here. */
static bool hurried(void *arg, int wait_ms)
{
    struct conductor *c = arg;
    struct pollfd fd = {.fd = c->signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;
    if (c->signals < 2 && poll(&fd, 1, wait_ms) > 0 &&
        read(c->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        c->last_signal = (int)info.ssi_signo;
        if (++c->signals < 2)
            log_info("waiting for PostgreSQL (--drain); once more to leave at once");
    }
    return c->signals >= 2;
}

static int close_record(struct conductor *c, int exit_code, int64_t drain_us, struct err *e)
{
    struct logbook_end end = {.reason = c->reason ? c->reason : "signal",
        .exit_code = exit_code,
        .drain_us = drain_us,
        .hurried = hurried,
        .arg = c};
    return logbook_close(&c->logbook, &end, e);
}

/* diagnosis: for a job's answer, may be NULL. */
static int summarize(struct conductor *c, int64_t elapsed_us, const cJSON *diagnosis, struct err *e)
{
    struct journal_counts counts;
    struct err flush = ERR_NONE;
    if (journal_flush(c->logbook.journal, LOGBOOK_FLUSH_US, &flush) != 0)
        log_warn("%s", flush.text);
    journal_counts(c->logbook.journal, &counts);
    char *record = text_format("sqlite:%s", journal_path(c->logbook.journal));
    struct recap_end end = {.reason = c->reason,
        .elapsed_us = elapsed_us,
        .run_id = journal_run_id(c->logbook.journal),
        .record = record};
    end.rows = (int64_t)counts.written;
    end.unwritten = -end.rows;
    for (int i = 0; i < STORE_TABLES; i++) {
        end.unwritten += (int64_t)counts.posted[i];
        end.lost += (int64_t)counts.lost[i];
    }
    int rc = c->job ? c->job->answer(c->job->arg, &end, diagnosis, e)
                    : narrate_summary(c->narrator, c->run, &end, e);
    free(record);
    return rc;
}

/* What the run has come to, in words or in hand. A diagnosis that cannot be made is no failure of
 * the run: NULL, and it is said. */
static cJSON *diagnose(struct conductor *c, const struct settings *s)
{
    struct err why = ERR_NONE;
    cJSON *diagnosis = NULL;
    int signal = 0;
    struct conclude_options options = {.settings = s,
        .journal = c->logbook.journal,
        .signal_fd = c->signal_fd,
        .print = !settings_flag(s, SET_JSON)};
    if (!settings_flag(s, SET_DIAGNOSIS))
        return NULL;
    if (options.print)
        printf("\n");
    if (conclude_run(&options, &diagnosis, &signal, &why) == 0) {
        conclude_record(c->logbook.journal, diagnosis);
    } else {
        log_warn("no diagnosis: %s; heaptap diagnose --run %.8s --db sqlite:%s makes it", why.text,
            journal_run_id(c->logbook.journal), journal_path(c->logbook.journal));
    }
    if (signal) {
        c->signals++;
        c->last_signal = signal;
    }
    return diagnosis;
}

/* The end in words or JSON. Returns an exit code or an err_code. */
static int answer(struct conductor *c, const struct settings *s, int64_t elapsed_us, struct err *e)
{
    cJSON *diagnosis = NULL;
    bool json = settings_flag(s, SET_JSON), early = c->job && json;
    int rc = 0;
    if (early) { /* it is a part of the one object that the job prints */
        struct err flush = ERR_NONE;
        if (journal_flush(c->logbook.journal, LOGBOOK_FLUSH_US, &flush) != 0)
            log_warn("%s", flush.text);
        diagnosis = diagnose(c, s);
    }
    rc = summarize(c, elapsed_us, diagnosis, e);
    if (rc >= 0 && !early) {
        diagnosis = diagnose(c, s);
        int shown = diagnosis && json ? narrate_diagnosis(c->narrator, diagnosis, e) : 0;
        rc = shown ? shown : rc;
    }
    bool threshold = c->job && settings_given(s, SET_MAX_BYTES_PER_REQUEST);
    if (rc >= 0 && diagnosis && settings_flag(s, SET_EXIT_CODE) && !threshold &&
        conclude_is_leak(diagnosis))
        rc = EXIT_LEAK; /* also where a job has found too little to answer by */
    cJSON_Delete(diagnosis);
    return rc;
}

/* Left by the second signal or by --timeout: nothing half-written stays, and no time is lost. */
static int leave_at_once(struct conductor *c, bool summary)
{
    struct err ignored = ERR_NONE;
    run_abort(c->run);
    int code = c->why.code ? err_exit_code(c->why.code) : SIGNAL_EXIT_BASE + c->last_signal;
    if (c->why.code && summary && !c->job && run_target_count(c->run) > 0 &&
        summarize(c, clock_monotonic_us() - c->began_us, NULL, &ignored) != 0)
        log_warn("%s", ignored.text);
    if (close_record(c, code, 0, &ignored) != 0)
        log_warn("%s", ignored.text);
    if (c->why.code) {
        narrator_clear(c->narrator);
        log_error("%s", c->why.text);
    }
    fflush(stdout);
    _exit(code); /* the connections are closed by the kernel; the targets go on */
}

int conduct_agree_to_stacks(const struct settings *s, struct err *e)
{
    char answer[ANSWER_MAX] = "";
    if (!settings_flag(s, SET_STACKS) || settings_flag(s, SET_YES))
        return 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return err_set(e, ERR_USAGE,
            "--stacks makes the target allocate 36 to 50 times slower while it records: add --yes "
            "to agree, or use heaptap survivors, which costs a fifth at most");
    fprintf(stderr,
        "--stacks makes the target allocate 36 to 50 times slower while it records. Go on? [y/N] ");
    fflush(stderr);
    if (!fgets(answer, sizeof answer, stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
        return err_set(e, ERR_REFUSED, "not recorded: you did not agree to the cost of --stacks");
    return 0;
}

static void say_first_line(const struct conductor *c, const char *first_line)
{
    const struct database *db = c->logbook.database;
    bool shipped = database_is_postgres(db);
    log_info("%s; record in sqlite:%s%s%s (--db)", first_line, database_path(db),
        shipped ? " and PostgreSQL " : "", shipped ? database_destination(db) : "");
}

/* What close_all closes, also where this fails half-way. */
static int open_all(struct conductor *c, const struct invocation *in, const char *folder,
    enum narrate_mode mode, struct err *e)
{
    int rc = capture_folder_check(folder, e);
    if (rc == 0)
        rc = narrator_new(in->settings, mode, &c->narrator, e);
    if (rc == 0)
        rc = loop_new(&c->loop, e);
    if (rc == 0)
        rc = open_signals(c, e);
    if (rc == 0)
        rc = halt_new(c->loop, &halt_handlers, c, &c->halt, e);
    if (rc == 0)
        rc = logbook_open(in, &c->logbook, e);
    return rc;
}

static int start(
    struct conductor *c, const struct settings *s, struct run_options *options, struct err *e)
{
    const struct conduct_job *job = c->job;
    options->journal = c->logbook.journal;
    options->progress = narrator_shows_progress(c->narrator);
    narrator_on_end(c->narrator, on_end, c);
    int rc =
        job ? job->start(job->arg, c->loop, options, &narrator_handlers, c->narrator, &c->run, e)
            : run_start(c->loop, options, &narrator_handlers, c->narrator, &c->run, e);
    if (rc == 0 && settings_given(s, SET_TIMEOUT))
        rc = timer_new(c->loop, on_timeout, c, &c->timeout, e);
    if (rc == 0 && c->timeout)
        timer_start(c->timeout, settings_number(s, SET_TIMEOUT));
    return rc;
}

/* From the start to what it has come to. Returns an exit code or an err_code. */
static int run_to_end(struct conductor *c, const struct settings *s, struct run_options *options,
    bool summary, struct err *e)
{
    int rc = start(c, s, options, e);
    if (rc)
        return rc;
    rc = loop_run(c->loop, e);
    halt_free(c->halt);
    c->halt = NULL;
    if (rc == 0 && !c->ended)
        return leave_at_once(c, summary);
    if (rc == 0 && c->why.code) {
        *e = c->why;
        rc = c->why.code;
    }
    if (summary && rc != ERR_USAGE && run_target_count(c->run) > 0) {
        int shown = answer(c, s, clock_monotonic_us() - c->began_us, e);
        rc = rc ? rc : shown;
    }
    return rc;
}

/* Closes the record of a run that has come to rc; returns what the program ends with. */
static int end_record(struct conductor *c, const struct settings *s, int rc, struct err *e)
{
    struct err closing = ERR_NONE;
    if (!c->logbook.journal)
        return rc;
    int closed =
        close_record(c, rc < 0 ? err_exit_code(rc) : rc, settings_number(s, SET_DRAIN), &closing);
    if (c->signals >= 2) { /* left during the drain */
        if (closed)
            log_warn("%s", closing.text);
        return SIGNAL_EXIT_BASE + c->last_signal;
    }
    if (closed && rc == 0) {
        *e = closing;
        return closed;
    }
    return rc;
}

static void close_all(struct conductor *c)
{
    timer_free(c->timeout);
    halt_free(c->halt);
    watch_free(c->signal_watch);
    if (c->signal_fd >= 0)
        close(c->signal_fd);
    logbook_free(&c->logbook);
    narrator_free(c->narrator);
    loop_free(c->loop);
}

static int carry_out(const struct invocation *in, struct run_options *options,
    const char *first_line, bool summary, const struct conduct_job *job, struct err *e)
{
    struct conductor c = {
        .job = job, .signal_fd = -1, .began_us = clock_monotonic_us(), .why = ERR_NONE};
    enum narrate_mode mode = job ? NARRATE_NOTHING : summary ? NARRATE_LINES : NARRATE_CAPTURE;
    int rc = open_all(&c, in, options->folder, mode, e);
    if (rc == 0) {
        conduct_report_leftovers(options->folder);
        if (first_line)
            say_first_line(&c, first_line);
        rc = run_to_end(&c, in->settings, options, summary, e);
    }
    if (job)
        job->free_run(job->arg);
    else
        run_free(c.run);
    rc = end_record(&c, in->settings, rc, e);
    close_all(&c);
    return rc;
}

int conduct(const struct invocation *in, struct run_options *options, const char *first_line,
    bool summary, struct err *e)
{
    return carry_out(in, options, first_line, summary, NULL, e);
}

int conduct_job(const struct invocation *in, struct run_options *options, const char *first_line,
    const struct conduct_job *job, struct err *e)
{
    return carry_out(in, options, first_line, true, job, e);
}

/* Where the one file of a command goes: the folder of -o, or --dir. Owned by the caller; NULL when
 * memory is out. */
static char *folder_of_output(const struct settings *s)
{
    const char *output = settings_text(s, SET_OUTPUT);
    const char *slash = output ? strrchr(output, '/') : NULL;
    if (!output)
        return strdup(settings_text(s, SET_DIR));
    if (!slash)
        return strdup(".");
    return slash == output ? strdup("/") : text_format("%.*s", (int)(slash - output), output);
}

int conduct_one(
    const struct invocation *in, struct run_options *options, const char *label, struct err *e)
{
    const struct settings *s = in->settings;
    struct address *addresses = NULL;
    char *folder = folder_of_output(s);
    int rc = folder ? capture_output_check(settings_text(s, SET_OUTPUT), e)
                    : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = conduct_addresses(in, &addresses, &options->address_count, e);
    options->manual = true;
    options->addresses = addresses;
    options->folder = folder;
    options->label = settings_text(s, SET_LABEL) ? settings_text(s, SET_LABEL) : label;
    options->output = settings_text(s, SET_OUTPUT);
    options->wait_us = settings_number(s, SET_WAIT);
    options->give_up_us = settings_number(s, SET_GIVE_UP);
    options->limits = conduct_limits(s);
    options->max_pause_share = 1;
    options->allow_remote = settings_flag(s, SET_ALLOW_REMOTE);
    if (rc == 0)
        rc = conduct(in, options, NULL, false, e);
    free(folder);
    free(addresses);
    return rc;
}
