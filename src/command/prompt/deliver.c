/* Where a command's answer goes. */
#include "command/prompt/deliver.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_BYTES_NOW 4096 /* so many go out without a thread */

extern char **environ;

static ssize_t gather(void *cookie, const char *bytes, size_t count)
{
    struct gathering *g = cookie;
    if (buf_add(&g->text, bytes, count) == 0)
        return (ssize_t)count;
    g->overflown = true;
    errno = ENOSPC;
    return 0;
}

FILE *deliver_gather(struct gathering *g)
{
    *g = (struct gathering){.text = buf_new(DELIVER_MAX)};
    return fopencookie(g, "w", (cookie_io_functions_t){.write = gather});
}

bool deliver_is_program(const char *word)
{
    const char *path = getenv("PATH");
    if (strchr(word, '/'))
        return access(word, X_OK) == 0;
    while (path && *path) {
        size_t length = strcspn(path, ":");
        char *name = text_format("%.*s/%s", (int)length, path, word);
        bool found = name && access(name, X_OK) == 0;
        free(name);
        if (found)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static int write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t wrote = write(fd, bytes, count);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return errno;
        bytes += wrote;
        count -= (size_t)wrote;
    }
    return 0;
}

/* ---- a file ---- */

static char *expand_home(const char *path)
{
    const char *home = getenv("HOME");
    return path[0] == '~' && path[1] == '/' && home ? text_format("%s%s", home, path + 1)
                                                    : strdup(path);
}

static int write_file(const struct script_command *c, const struct buf *text, struct err *e)
{
    char *path = expand_home(c->file);
    if (!path)
        return err_set(e, ERR_NOMEM, "out of memory");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (c->append ? O_APPEND : O_TRUNC), 0600);
    int code = fd < 0 ? errno : write_all(fd, text->data, text->length);
    if (fd >= 0 && close(fd) != 0 && code == 0)
        code = errno;
    int rc = code ? err_set_errno(
                        e, code == ENOSPC ? ERR_NOSPACE : ERR_IO, code, "cannot write %s", path)
                  : 0;
    free(path);
    return rc;
}

/* ---- a program ---- */

struct piping {
    const char *program;
    const struct buf *text;
};

/* The program hears Ctrl-C, which this process hears through a descriptor. */
static int start_program(const char *program, int input, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    char shell[] = "sh", dash[] = "-c";
    char *line = strdup(program);
    if (!line)
        return ENOMEM;
    char *argv[] = {shell, dash, line, NULL};
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGINT);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    int code = posix_spawn(ret, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(line);
    return code;
}

static int pipe_apart(void *arg, struct err *e)
{
    struct piping *p = arg;
    int ends[2], status = 0;
    pid_t pid;
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
    int code = start_program(p->program, ends[0], &pid);
    close(ends[0]);
    if (code == 0)
        (void)!write_all(
            ends[1], p->text->data, p->text->length); /* it may stop reading: its right */
    close(ends[1]);
    if (code)
        return err_set_errno(e, ERR_IO, code, "cannot start %s", p->program);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(e, ERR_USAGE, "there is no program %s", p->program);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return err_set(e, ERR_IO, "%s ended with exit code %d", p->program, WEXITSTATUS(status));
    return 0;
}

/* ---- the terminal ---- */

static size_t lines_of(const struct session *s, const struct buf *text)
{
    size_t lines = 0, column = 0;
    for (size_t i = 0; i < text->length; i++) {
        bool end = text->data[i] == '\n';
        column = end ? 0 : column + 1;
        if (end || (s->out.width && column == s->out.width)) {
            lines++;
            column = 0;
        }
    }
    return lines;
}

/* -X: what was read stays on the screen, for the next command wants its ids. */
static const char *pager(void)
{
    const char *own = getenv("PAGER");
    if (own)
        return *own ? own : NULL;
    return deliver_is_program("less") ? "less -RX" : NULL;
}

static bool is_long(const struct session *s, const struct buf *text)
{
    struct winsize size;
    return s->terminal && s->out.tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
           size.ws_row > 1 && lines_of(s, text) > (size_t)size.ws_row - 1;
}

static int print_apart(void *arg, struct err *e)
{
    const struct buf *text = arg;
    fflush(stdout);
    int code = write_all(STDOUT_FILENO, text->data, text->length);
    return code && code != EPIPE ? err_set_errno(e, ERR_IO, code, "cannot write the output") : 0;
}

int deliver(
    struct session *s, const struct script_command *c, const struct buf *text, struct err *e)
{
    struct piping p = {.program = c->program, .text = text};
    struct buf copy = *text; /* of the bounds, not of the bytes */
    if (c->file)
        return write_file(c, text, e);
    if (!c->program && is_long(s, text))
        p.program = pager();
    if (p.program) {
        int rc = session_apart(s, pipe_apart, &p, e);
        return rc && !c->program ? 0 : rc; /* what a pager says is its own affair */
    }
    if (text->length == 0)
        return 0;
    if (text->length <= PIPE_BYTES_NOW)
        return print_apart(&copy, e);
    return session_apart(s, print_apart, &copy, e);
}
