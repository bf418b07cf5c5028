/* A load generator of the user's. */
#include "collect/generator.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct generator {
    struct loop *loop;
    char *const *command;
    generator_fn fn;
    void *arg;
    pid_t pid; /* 0: it does not run */
    int pidfd;
    struct watch *watch;
};

static void reap(struct generator *g, int *ret_status)
{
    watch_free(g->watch);
    g->watch = NULL;
    close(g->pidfd);
    waitpid(g->pid, ret_status, 0);
    g->pid = 0;
}

static void ended(void *arg, int fd)
{
    struct generator *g = arg;
    int status = 0;
    (void)fd;
    reap(g, &status);
    g->fn(g->arg, status);
}

/* In the new process: only async-signal-safe calls. */
static void become(char *const *command, char *const *environment, int report)
{
    sigset_t none;
    setpgid(0, 0); /* Ctrl-C is for heaptap */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    int silent = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (silent >= 0)
        dup2(silent, 0);
    dup2(2, 1); /* standard output is for the answer */
    execvpe(command[0], command, environment);
    int reason = errno;
    ssize_t ignored = write(report, &reason, sizeof reason);
    (void)ignored;
    _exit(127);
}

extern char **environ;

/* Ours with two more; owned by the caller, as are the texts in ret_own. */
static char **make_environment(int64_t round, int64_t rounds, char *ret_own[2])
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **copy = calloc(count + 3, sizeof *copy);
    ret_own[0] = text_format("HEAPTAP_ROUND=%lld", (long long)round);
    ret_own[1] = text_format("HEAPTAP_ROUNDS=%lld", (long long)rounds);
    if (!copy || !ret_own[0] || !ret_own[1]) {
        free(copy);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "HEAPTAP_ROUND", 13) != 0)
            copy[kept++] = environ[i];
    copy[kept++] = ret_own[0];
    copy[kept] = ret_own[1];
    return copy;
}

/* A failure to execute is reported through a pipe that exec closes. */
static int launch(struct generator *g, char *const *environment, struct err *e)
{
    int report[2];
    int reason = 0, rc = 0;
    if (pipe2(report, O_CLOEXEC) != 0)
        return err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0)
        become(g->command, environment, report[1]);
    close(report[1]);
    if (pid < 0) {
        rc = err_set_errno(e, ERR_IO, errno, "cannot start a process");
    } else if (read(report[0], &reason, sizeof reason) == (ssize_t)sizeof reason) {
        waitpid(pid, NULL, 0);
        rc = err_set(
            e, ERR_USAGE, "cannot start the load \"%s\": %s", g->command[0], strerror(reason));
    } else {
        g->pid = pid;
    }
    close(report[0]);
    return rc;
}

int generator_new(struct loop *l, char *const *command, generator_fn fn, void *arg,
    struct generator **ret, struct err *e)
{
    struct generator *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, ERR_NOMEM, "out of memory");
    *g = (struct generator){.loop = l, .command = command, .fn = fn, .arg = arg};
    *ret = g;
    return 0;
}

int generator_start(struct generator *g, int64_t round, int64_t rounds, struct err *e)
{
    char *own[2] = {NULL, NULL};
    char **environment = make_environment(round, rounds, own);
    int rc = environment ? launch(g, environment, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc)
        goto out;
    g->pidfd = (int)syscall(SYS_pidfd_open, g->pid, 0);
    if (g->pidfd < 0)
        rc = err_set_errno(e, ERR_IO, errno, "cannot watch the process of \"%s\"", g->command[0]);
    else if ((rc = watch_new(g->loop, g->pidfd, ended, g, &g->watch, e)) != 0)
        close(g->pidfd);
    if (rc) {
        kill(-g->pid, SIGKILL);
        waitpid(g->pid, NULL, 0);
        g->pid = 0;
    }
out:
    free(environment);
    free(own[0]);
    free(own[1]);
    return rc;
}

void generator_free(struct generator *g)
{
    if (!g)
        return;
    if (g->pid) {
        kill(-g->pid, SIGKILL);
        kill(g->pid, SIGKILL); /* it may not have made its group yet */
        reap(g, NULL);
    }
    free(g);
}
