/* The command behind `run --`. */
#include "collect/child.h"

#include "base/clock.h"
#include "base/text.h"
#include "collect/host.h"
#include "collect/launch.h"
#include "collect/local.h"

#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_US      100000
#define PATIENCE_US  (4 * 1000000LL) /* then a Node process that does not listen will do */
#define INSPECT_FLAG "--inspect=127.0.0.1:0"

struct child {
    struct loop *loop;
    pid_t pid;     /* also the process group */
    int pidfd;     /* -1 once it was reaped */
    pid_t watched; /* 0: looking for one */
    int64_t looking_since_us;
    bool unmatched; /* that was told */
    bool has_match;
    regex_t match;
    struct watch *watch;
    struct timer *look_timer, *kill_timer;
    const struct child_handlers *handlers;
    void *arg;
};

/* ---- choosing the process ---- */

static bool listens_besides_inspector(pid_t pid)
{
    struct host_port ports[HOST_PORTS_MAX];
    uint16_t inspectors[HOST_PORTS_MAX];
    size_t all = host_listening(pid, ports, HOST_PORTS_MAX);
    return all >= 2 && local_inspector_ports(pid, inspectors, HOST_PORTS_MAX) > 0;
}

static bool has_inspector(pid_t pid)
{
    uint16_t port;
    return local_inspector_ports(pid, &port, 1) > 0;
}

/* The process of the family to watch, 0 for none yet. late: take one that does not serve, too. */
static pid_t choose(const struct child *c, bool late, const char **ret_how)
{
    pid_t *pids = calloc(HOST_PROCESSES_MAX, sizeof *pids);
    size_t count = pids ? host_processes(pids, HOST_PROCESSES_MAX) : 0;
    pid_t serving = 0, fallback = 0;
    for (size_t i = 0; i < count; i++) {
        char command[HOST_COMMAND_SIZE];
        if (!host_descends(pids[i], c->pid) || !has_inspector(pids[i]) ||
            host_command_line(pids[i], command) != 0)
            continue;
        if (c->has_match && regexec(&c->match, command, 0, NULL, 0) != 0)
            continue;
        if (c->has_match || (!serving && listens_besides_inspector(pids[i])))
            serving = pids[i];
        fallback = pids[i]; /* the youngest: launchers come first */
    }
    free(pids);
    *ret_how = c->has_match ? "its command line matches --match"
               : serving    ? "it listens"
                            : "none of the processes listens yet; it is the last that was started";
    return serving ? serving : late ? fallback : 0;
}

static void look(void *arg)
{
    struct child *c = arg;
    const char *how;
    if (c->watched)
        return;
    bool late = clock_monotonic_us() - c->looking_since_us > PATIENCE_US;
    pid_t pid = choose(c, late, &how);
    if (!pid && late && c->has_match && !c->unmatched) {
        c->unmatched = true;
        c->handlers->unmatched(c->arg);
    }
    if (!pid) {
        timer_start(c->look_timer, LOOK_US);
        return;
    }
    c->watched = pid;
    c->handlers->serving(c->arg, pid, how);
}

void child_look_again(struct child *c)
{
    c->watched = 0;
    c->unmatched = false;
    c->looking_since_us = clock_monotonic_us();
    timer_start(c->look_timer, LOOK_US);
}

/* ---- its life ---- */

static void ended(void *arg, int fd)
{
    struct child *c = arg;
    int status = 0;
    (void)fd;
    if (waitpid(c->pid, &status, WNOHANG) != c->pid)
        return;
    watch_free(c->watch);
    c->watch = NULL;
    close(c->pidfd);
    c->pidfd = -1;
    timer_stop(c->look_timer);
    c->handlers->ended(c->arg, status);
}

static void kill_group(void *arg)
{
    struct child *c = arg;
    kill(-c->pid, SIGKILL);
}

static void prepare(void)
{
    setsid(); /* Ctrl-C is for heaptap; a group in the background could not read the terminal */
}

static void prepare_apart(void)
{
    prepare();
    dup2(2, 1);
}

/* With the inspector's flag in NODE_OPTIONS. */
static int start_command(char *const *command, bool apart, pid_t *ret_pid, struct err *e)
{
    const char *old = getenv("NODE_OPTIONS");
    char *options = text_format("NODE_OPTIONS=%s%s" INSPECT_FLAG, old ? old : "", old ? " " : "");
    const char *const set[] = {options, NULL};
    const struct launch l = {command, set, apart ? prepare_apart : prepare, "", ERR_UNREACHABLE};
    int rc = options ? launch(&l, ret_pid, e) : err_set(e, ERR_NOMEM, "out of memory");
    free(options);
    return rc;
}

int child_start(struct loop *l, char *const *command, bool apart, const char *match,
    const struct child_handlers *h, void *arg, struct child **ret, struct err *e)
{
    struct child *c = calloc(1, sizeof *c);
    int rc = 0;
    if (!c)
        return err_set(e, ERR_NOMEM, "out of memory");
    *c = (struct child){.loop = l, .pidfd = -1, .handlers = h, .arg = arg};
    if (match && regcomp(&c->match, match, REG_EXTENDED | REG_NOSUB) != 0) {
        rc = err_set(e, ERR_USAGE, "\"%s\" is not a regular expression", match);
        goto out;
    }
    c->has_match = match != NULL;
    rc = timer_new(l, look, c, &c->look_timer, e);
    if (rc == 0)
        rc = timer_new(l, kill_group, c, &c->kill_timer, e);
    if (rc == 0)
        rc = start_command(command, apart, &c->pid, e);
    if (rc)
        goto out;
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (c->pidfd < 0)
        rc = err_set_errno(e, ERR_IO, errno, "cannot watch the process of \"%s\"", command[0]);
    else
        rc = watch_new(l, c->pidfd, ended, c, &c->watch, e);
    if (rc)
        goto out;
    child_look_again(c);
    *ret = c;
    c = NULL;
out:
    child_free(c);
    return rc;
}

void child_stop(struct child *c, int64_t grace_us)
{
    kill(-c->pid, SIGTERM);
    timer_start(c->kill_timer, grace_us);
}

void child_free(struct child *c)
{
    if (!c)
        return;
    if (c->pid > 0)
        kill(-c->pid, SIGKILL);
    watch_free(c->watch);
    timer_free(c->look_timer);
    timer_free(c->kill_timer);
    if (c->pidfd >= 0) {
        close(c->pidfd);
        waitpid(c->pid, NULL, 0);
    }
    if (c->has_match)
        regfree(&c->match);
    free(c);
}
