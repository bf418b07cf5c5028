/* A load generator of the user's. */
#include "collect/generator.h"

#include "base/text.h"
#include "collect/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
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

/* In the new process. */
static void prepare(void)
{
    setpgid(0, 0); /* Ctrl-C is for heaptap */
    int silent = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (silent >= 0)
        dup2(silent, 0);
    dup2(2, 1); /* standard output is for the answer */
}

static int start_command(struct generator *g, int64_t round, int64_t rounds, struct err *e)
{
    char *of_round = text_format("HEAPTAP_ROUND=%lld", (long long)round);
    char *of_rounds = text_format("HEAPTAP_ROUNDS=%lld", (long long)rounds);
    const char *const set[] = {of_round, of_rounds, NULL};
    const struct launch l = {g->command, set, prepare, "the load ", ERR_USAGE};
    int rc =
        of_round && of_rounds ? launch(&l, &g->pid, e) : err_set(e, ERR_NOMEM, "out of memory");
    free(of_round);
    free(of_rounds);
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
    int rc = start_command(g, round, rounds, e);
    if (rc)
        return rc;
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
