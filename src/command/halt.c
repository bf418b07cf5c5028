/* Signals of job control. */
#include "command/halt.h"

#include "command/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MOMENT_US 100000 /* messages of some bytes, which the kernel takes at once */

struct halt {
    int fd;
    struct watch *watch;
    struct timer *moment;
    const struct halt_handlers *handlers;
    void *arg;
};

static const int halting[] = {SIGTSTP, SIGCONT, 0};

static void on_signal(void *arg, int fd)
{
    struct halt *h = arg;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGCONT) {
        timer_stop(h->moment);
        h->handlers->going_on(h->arg);
    } else if (!timer_running(h->moment)) {
        h->handlers->stopping(h->arg);
        timer_start(h->moment, MOMENT_US);
    }
}

/* SIGTSTP itself is blocked. SIGCONT comes to on_signal. */
static void stop(void *arg)
{
    (void)arg;
    kill(getpid(), SIGSTOP);
}

int halt_new(struct loop *l, const struct halt_handlers *handlers, void *arg, struct halt **ret,
    struct err *e)
{
    struct halt *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(e, ERR_NOMEM, "out of memory");
    *h = (struct halt){.handlers = handlers, .arg = arg};
    int rc = signals_watch(l, halting, on_signal, h, &h->fd, &h->watch, e);
    if (rc == 0)
        rc = timer_new(l, stop, h, &h->moment, e);
    if (rc)
        halt_free(h);
    else
        *ret = h;
    return rc;
}

void halt_free(struct halt *h)
{
    if (!h)
        return;
    timer_free(h->moment);
    watch_free(h->watch);
    if (h->fd >= 0)
        close(h->fd);
    signals_unblock(halting);
    free(h);
}
