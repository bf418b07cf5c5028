/* A diagnosis by a child process, and its place in the record. */
#include "command/conclude.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "cdp/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX  (16 * 1024 * 1024) /* suspects with paths of HEAP_PATH_MAX steps */
#define NICENESS    10
#define OOM_SCORE   "800" /* of 1000: before the servers that were watched */
#define READ_SIZE   65536
#define WORDS_MAX   16
#define POLL_MS_MAX 1000
#define JSON_FD     3

/* ---- the child ---- */

/* In the child: only async-signal-safe calls. */
static void become_diagnose(char *const *words, bool print, int output)
{
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0); /* Ctrl-C is for the parent */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGTTOU, SIG_IGN); /* it prints from the background */
    setpriority(PRIO_PROCESS, 0, NICENESS);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, OOM_SCORE, strlen(OOM_SCORE)) < 0)
        close(score); /* then it is as likely to go as its parent */
    int silent = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (silent < 0 || dup2(silent, 0) < 0 || (!print && dup2(silent, 1) < 0))
        _exit(127);
    if (output == JSON_FD ? fcntl(output, F_SETFD, 0) < 0 : dup2(output, JSON_FD) < 0)
        _exit(127);
    execv("/proc/self/exe", words);
    _exit(127);
}

static pid_t start(const struct conclude_options *o, int *ret_pipe, struct err *e)
{
    char *database = text_format("sqlite:%s", journal_path(o->journal));
    char path[32];
    char *words[WORDS_MAX] = {(char *)"heaptap", (char *)"diagnose", (char *)"--run",
        (char *)(uintptr_t)journal_run_id(o->journal), (char *)"--db", database,
        (char *)"--json-file", path, (char *)"--color",
        (char *)(uintptr_t)settings_text(o->settings, SET_COLOR)};
    int ends[2], count = 10;
    snprintf(path, sizeof path, "/dev/fd/%d", JSON_FD);
    if (settings_flag(o->settings, SET_QUIET))
        words[count++] = (char *)"--quiet";
    if (!database) {
        err_set(e, ERR_NOMEM, "out of memory");
        return -1;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
        free(database);
        return -1;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        become_diagnose(words, o->print, ends[1]);
    free(database);
    close(ends[1]);
    if (pid < 0) {
        err_set_errno(e, ERR_IO, errno, "cannot start a process");
        close(ends[0]);
        return -1;
    }
    *ret_pipe = ends[0];
    return pid;
}

/* Reads until the child closes its end. */
static int gather(int pipe, int signal_fd, struct buf *answer, int *ret_signal, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + CONCLUDE_SECONDS_MAX * INT64_C(1000000);
    for (;;) {
        struct pollfd fds[] = {{.fd = pipe, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
        struct signalfd_siginfo info;
        if (poll(fds, 2, POLL_MS_MAX) < 0 && errno != EINTR)
            return err_set_errno(e, ERR_IO, errno, "cannot wait for the diagnosis");
        if ((fds[1].revents & POLLIN) &&
            read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
            *ret_signal = (int)info.ssi_signo;
            return err_set(e, ERR_CANCELLED, "ended by a signal");
        }
        if (clock_monotonic_us() > until_us)
            return err_set(e, ERR_TIMEOUT, "it took longer than %d s", CONCLUDE_SECONDS_MAX);
        if (!fds[0].revents)
            continue;
        if (buf_reserve(answer, READ_SIZE) != 0)
            return err_set(e, ERR_FULL, "its answer is larger than %d bytes", ANSWER_MAX);
        ssize_t got = read(pipe, answer->data + answer->length, READ_SIZE);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return err_set_errno(e, ERR_IO, errno, "cannot read the diagnosis");
        if (got > 0)
            answer->length += (size_t)got;
    }
}

int conclude_run(const struct conclude_options *o, cJSON **ret_json, int *ret_signal, struct err *e)
{
    struct buf answer = buf_new(ANSWER_MAX);
    int pipe = -1, status = 0;
    pid_t pid = start(o, &pipe, e);
    if (pid < 0)
        return e->code;
    int rc = gather(pipe, o->signal_fd, &answer, ret_signal, e);
    if (rc)
        kill(pid, SIGKILL);
    close(pipe);
    waitpid(pid, &status, 0);
    if (rc == 0 && WIFSIGNALED(status))
        rc = err_set(e, ERR_INTERNAL, "it died (signal %d)", WTERMSIG(status));
    else if (rc == 0 && WEXITSTATUS(status) != 0)
        rc = err_set(e, ERR_FORMAT, "it ended with exit code %d", WEXITSTATUS(status));
    if (rc == 0)
        rc = json_parse(answer.data ? answer.data : "", answer.length, ret_json, e);
    buf_free(&answer);
    return rc;
}

/* ---- the record ---- */

static const cJSON *at(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_at(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(at(object, key));
}

static int64_t integer_at(const cJSON *object, const char *key)
{
    const cJSON *item = at(object, key);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : STORE_NO_INTEGER;
}

static double number_at(const cJSON *object, const char *key)
{
    const cJSON *item = at(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static void record_suspect(
    struct journal *journal, const cJSON *diagnosis, const cJSON *suspect, int64_t target_id)
{
    struct store_suspect row;
    const cJSON *holder = at(suspect, "holder"),
                *route = cJSON_GetArrayItem(at(suspect, "routes"), 0);
    const cJSON *site = cJSON_GetArrayItem(at(suspect, "allocated_at"), 0);
    const cJSON *place = site ? site : at(holder, "location");
    char *detail = cJSON_PrintUnformatted(suspect);
    store_row_clear(STORE_SUSPECTS, &row);
    row.target_id = target_id;
    row.created_at_ms = clock_wall_ms();
    row.rank = integer_at(suspect, "rank");
    row.verdict = text_at(diagnosis, "verdict");
    row.class_name = text_at(suspect, "class");
    row.function = text_at(at(suspect, "function"), "name");
    row.holder = text_at(holder, "text");
    row.culprit = text_at(suspect, "culprit");
    row.url = text_at(place, "url");
    row.line = integer_at(place, "line");
    row.column = integer_at(place, "column");
    row.count_growth = integer_at(at(suspect, "instances"), "growth");
    row.retained_growth = integer_at(at(suspect, "bytes"), "retained_growth");
    row.share_of_growth = number_at(at(suspect, "bytes"), "share_of_growth");
    row.method = text_at(route, "method");
    row.route = text_at(route, "route");
    row.bytes_per_request = number_at(route, "bytes_per_request");
    row.confidence = number_at(suspect, "confidence");
    row.detail = detail;
    journal_suspect(journal, &row);
    cJSON_free(detail);
}

static bool names_something(const cJSON *diagnosis)
{
    const char *verdict = text_at(diagnosis, "verdict");
    return verdict && (strcmp(verdict, "leak") == 0 || strcmp(verdict, "growth") == 0);
}

void conclude_record(struct journal *journal, const cJSON *diagnosis)
{
    const cJSON *evidence = at(diagnosis, "evidence"), *item;
    int64_t target_id = integer_at(evidence, "target_id");
    cJSON_ArrayForEach(item, at(diagnosis, "suspects"))
        record_suspect(journal, diagnosis, item, target_id);
    if (!names_something(diagnosis))
        return; /* its files are not worth more than others when the disk is short */
    cJSON_ArrayForEach(item, at(evidence, "files"))
    {
        struct store_event row;
        int64_t snapshot_id = integer_at(item, "snapshot_id");
        if (snapshot_id == STORE_NO_INTEGER)
            continue;
        store_row_clear(STORE_EVENTS, &row);
        row.target_id = target_id;
        row.snapshot_id = snapshot_id;
        row.created_at_ms = clock_wall_ms();
        row.kind = "cited";
        row.text = "the diagnosis rests on this snapshot";
        journal_event(journal, &row);
    }
}

bool conclude_is_leak(const cJSON *diagnosis)
{
    const char *verdict = text_at(diagnosis, "verdict");
    return verdict && strcmp(verdict, "leak") == 0;
}
