/* A signalfd and its watch. */
#include "command/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

static sigset_t set_of(const int *numbers)
{
    sigset_t set;
    sigemptyset(&set);
    for (; *numbers; numbers++)
        sigaddset(&set, *numbers);
    return set;
}

int signals_watch(struct loop *l, const int *numbers, watch_fn fn, void *arg, int *ret_fd,
    struct watch **ret_watch, struct err *e)
{
    sigset_t set = set_of(numbers);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    *ret_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (*ret_fd < 0)
        return err_set_errno(e, ERR_IO, errno, "cannot listen for signals");
    return watch_new(l, *ret_fd, fn, arg, ret_watch, e);
}

void signals_unblock(const int *numbers)
{
    sigset_t set = set_of(numbers);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
