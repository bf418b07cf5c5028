/* Starts a program of the user's in a process of its own. */
#include "collect/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Whether one of the texts sets the variable that entry ("NAME=value") sets. */
static bool is_set(const char *const *set, const char *entry)
{
    size_t length = strcspn(entry, "=") + 1;
    while (*set && strncmp(*set, entry, length) != 0)
        set++;
    return *set != NULL;
}

/* Owned by the caller, its texts are not; NULL when memory is out. */
static char **make_environment(const char *const *set)
{
    size_t count = 0, kept = 0, more = 0;
    while (environ[count])
        count++;
    while (set[more])
        more++;
    char **copy = calloc(count + more + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++)
        if (!is_set(set, environ[i]))
            copy[kept++] = environ[i];
    for (size_t i = 0; copy && i < more; i++)
        copy[kept++] = (char *)(uintptr_t)set[i];
    return copy;
}

/* In the new process: only async-signal-safe calls. Writes errno to report if exec fails. */
static void become(const struct launch *l, char *const *environment, int report)
{
    sigset_t none;
    l->prepare();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    execvpe(l->command[0], l->command, environment);
    int reason = errno;
    ssize_t ignored = write(report, &reason, sizeof reason);
    (void)ignored;
    _exit(127);
}

int launch(const struct launch *l, pid_t *ret_pid, struct err *e)
{
    char **environment = make_environment(l->set);
    int report[2], reason = 0, rc = 0; /* exec closes report where it succeeds */
    if (!environment)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (pipe2(report, O_CLOEXEC) != 0) {
        rc = err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
        goto out;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(l, environment, report[1]);
    close(report[1]);
    if (pid < 0) {
        rc = err_set_errno(e, ERR_IO, errno, "cannot start a process");
    } else if (read(report[0], &reason, sizeof reason) == (ssize_t)sizeof reason) {
        waitpid(pid, NULL, 0);
        rc = err_set(
            e, l->code, "cannot start %s\"%s\": %s", l->what, l->command[0], strerror(reason));
    } else {
        *ret_pid = pid;
    }
    close(report[0]);
out:
    free(environment);
    return rc;
}
