/* A Node process with an inspector, for tests that talk to a real one. */
#include "target.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "target: %s: %s\n", what, detail);
    exit(1);
}

/* Reads fd until text has come; returns what came. */
static char *read_until(int fd, const char *text)
{
    static char seen[65536];
    size_t length = 0;
    seen[0] = '\0';
    while (!strstr(seen, text)) {
        ssize_t n =
            length + 1 < sizeof seen ? read(fd, seen + length, sizeof seen - 1 - length) : 0;
        if (n <= 0)
            die("it ended before it said", text);
        length += (size_t)n;
        seen[length] = '\0';
    }
    return seen;
}

struct target target_start(const char *node, const char *script, const char *option)
{
    int out[2], err[2];
    if (pipe(out) || pipe(err))
        die("pipe", node);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], 1);
        dup2(err[1], 2);
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
        execl(node, node, "--inspect=127.0.0.1:0", option ? option : "--no-warnings", "-e", script,
            (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    close(err[1]);
    struct target t = {.pid = pid, .stdout_fd = out[0]};
    const char *found = strstr(read_until(err[0], "For help"), "ws://127.0.0.1:");
    t.port = found ? (uint16_t)atoi(found + strlen("ws://127.0.0.1:")) : 0;
    fcntl(err[0], F_SETFL, O_NONBLOCK); /* kept open, and forgotten: Node says little more */
    return t;
}

void target_await(const struct target *t, const char *text)
{
    (void)read_until(t->stdout_fd, text);
}

void target_stop(struct target *t)
{
    if (t->pid > 0) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
        close(t->stdout_fd);
    }
    t->pid = 0;
}
