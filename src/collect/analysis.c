/* Analysis of finished snapshots by a child process. */
#include "collect/analysis.h"

#include "base/buf.h"
#include "base/text.h"
#include "cdp/json.h"
#include "collect/host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAITING_MAX   64                  /* files; a run makes one at a time */
#define ANSWER_MAX    (256 * 1024 * 1024) /* a million classes of 200 bytes */
#define BYTES_A_ROW   22                  /* of a node or edge: the engine's own budget */
#define BYTES_FIXED   (32LL * 1024 * 1024)
#define ADDRESS_SLACK (1024LL * 1024 * 1024) /* libraries, the heap's arenas, the answer */
#define NICENESS      10
#define READ_SIZE     65536

struct job {
    struct job *next;
    char *path;
    const char *command;
    int64_t memory, address_space; /* bytes that its child may take */
    analysis_fn fn;
    void *arg;
};

struct analysis {
    struct loop *loop;
    struct job *first, *last; /* the first is the one that runs, if any does */
    size_t count;
    pid_t pid; /* 0: no child */
    int pipe;  /* its standard output */
    struct watch *watch;
    struct buf answer;
    struct timer *next_timer;
};

static void free_job(struct job *j)
{
    free(j->path);
    free(j);
}

/* In the child: only async-signal-safe calls. */
static void become_analyst(const struct job *j, int output)
{
    char *const words[] = {
        (char *)"heaptap", (char *)j->command, (char *)"--json", (char *)"--quiet", j->path, NULL};
    struct rlimit limit = {(rlim_t)j->address_space, (rlim_t)j->address_space};
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0); /* Ctrl-C is for heaptap */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpriority(PRIO_PROCESS, 0, NICENESS);
    setrlimit(RLIMIT_AS, &limit);
    int silent = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (silent < 0 || dup2(silent, 0) < 0 || dup2(output, 1) < 0 || dup2(silent, 2) < 0)
        _exit(127);
    execv("/proc/self/exe", words);
    _exit(127);
}

static void finish_job(struct analysis *a, const cJSON *summary, const struct err *why)
{
    struct job *j = a->first;
    a->first = j->next;
    if (!a->first)
        a->last = NULL;
    a->count--;
    buf_clear(&a->answer);
    timer_start(a->next_timer, 0);
    j->fn(j->arg, summary, why);
    free_job(j);
}

static void fail_job(struct analysis *a, const struct err *why)
{
    struct err e = *why;
    err_context(&e, "%s was not analysed", a->first->path);
    finish_job(a, NULL, &e);
}

static void end_child(struct analysis *a, int *ret_status)
{
    watch_free(a->watch);
    a->watch = NULL;
    close(a->pipe);
    waitpid(a->pid, ret_status, 0); /* it has closed its output, or was killed: no wait */
    a->pid = 0;
}

static void child_ended(struct analysis *a)
{
    struct err e = ERR_NONE;
    cJSON *summary = NULL;
    int status = 0;
    end_child(a, &status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        err_set(&e, ERR_FORMAT,
            WIFEXITED(status) ? "its analysis ended with exit code %d"
                              : "its analysis died (signal %d)",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        fail_job(a, &e);
        return;
    }
    if (json_parse(a->answer.data ? a->answer.data : "", a->answer.length, &summary, &e) != 0)
        fail_job(a, &e);
    else
        finish_job(a, summary, NULL);
    cJSON_Delete(summary);
}

static void child_wrote(void *arg, int fd)
{
    struct analysis *a = arg;
    struct err e = ERR_NONE;
    if (buf_reserve(&a->answer, READ_SIZE) != 0) {
        kill(a->pid, SIGKILL);
        end_child(a, NULL);
        err_set(&e, ERR_NOMEM, "its summary is too large");
        fail_job(a, &e);
        return;
    }
    ssize_t got = read(fd, a->answer.data + a->answer.length, READ_SIZE);
    if (got > 0) {
        a->answer.length += (size_t)got;
        a->answer.data[a->answer.length] = '\0';
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        child_ended(a);
    }
}

static void start_next(void *arg)
{
    struct analysis *a = arg;
    struct err e = ERR_NONE;
    int ends[2];
    if (!a->first || a->pid)
        return;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        err_set_errno(&e, ERR_IO, errno, "cannot make a pipe");
        fail_job(a, &e);
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_analyst(a->first, ends[1]);
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    a->pipe = ends[0];
    if (pid < 0) {
        err_set_errno(&e, ERR_IO, errno, "cannot start a process");
        close(ends[0]);
        fail_job(a, &e);
        return;
    }
    a->pid = pid;
    if (watch_new(a->loop, a->pipe, child_wrote, a, &a->watch, &e) != 0) {
        kill(pid, SIGKILL);
        end_child(a, NULL);
        fail_job(a, &e);
    }
}

int analysis_new(struct loop *l, struct analysis **ret, struct err *e)
{
    struct analysis *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "out of memory");
    a->loop = l;
    a->answer = buf_new(ANSWER_MAX);
    int rc = timer_new(l, start_next, a, &a->next_timer, e);
    if (rc)
        free(a);
    else
        *ret = a;
    return rc;
}

int analysis_add(
    struct analysis *a, const struct analysis_file *file, analysis_fn fn, void *arg, struct err *e)
{
    char need[TEXT_SHORT], there[TEXT_SHORT];
    int64_t available;
    int64_t memory = (file->nodes + file->edges) * BYTES_A_ROW + BYTES_FIXED;
    if (a->count == WAITING_MAX)
        return err_set(e, ERR_FULL, "%d snapshots wait for their analysis already", WAITING_MAX);
    if (host_memory_available(&available) == 0 && available / 2 < memory)
        return err_set(e, ERR_REFUSED,
            "its analysis would take %s and the host has %s left; heaptap summary does it later",
            text_size(need, (double)memory), text_size(there, (double)available));
    struct job *j = calloc(1, sizeof *j);
    if (!j || !(j->path = strdup(file->path))) {
        free(j);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    j->command = file->command;
    j->memory = memory;
    /* The file is mapped, or unpacked next to it; sanitizers reserve terabytes and set no limit. */
    j->address_space = 2 * memory + 20 * file->file_bytes + ADDRESS_SLACK;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    j->address_space = (int64_t)RLIM_INFINITY;
#endif
    j->fn = fn;
    j->arg = arg;
    if (a->last)
        a->last->next = j;
    else
        a->first = j;
    a->last = j;
    a->count++;
    timer_start(a->next_timer, 0);
    return 0;
}

size_t analysis_pending(const struct analysis *a)
{
    return a->count;
}

void analysis_free(struct analysis *a)
{
    if (!a)
        return;
    if (a->pid) {
        kill(a->pid, SIGKILL);
        end_child(a, NULL);
    }
    while (a->first) {
        struct job *j = a->first;
        a->first = j->next;
        free_job(j);
    }
    timer_free(a->next_timer);
    buf_free(&a->answer);
    free(a);
}
