/* Connections made in the network of another process. */
#include "cdp/network.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OURS "/proc/thread-self/ns/net"

static char *path_of(pid_t pid, char out[64])
{
    snprintf(out, 64, "/proc/%d/ns/net", (int)pid);
    return out;
}

bool network_is_foreign(pid_t pid)
{
    struct stat ours, theirs;
    char path[64];
    return stat(OURS, &ours) == 0 && stat(path_of(pid, path), &theirs) == 0 &&
           (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev);
}

int network_enter(pid_t pid, int *ret_back, struct err *e)
{
    char path[64];
    *ret_back = -1;
    if (pid == 0)
        return 0;
    int back = open(OURS, O_RDONLY | O_CLOEXEC);
    int there = open(path_of(pid, path), O_RDONLY | O_CLOEXEC);
    int failure = back < 0 || there < 0 ? errno : 0;
    /* To come back takes the same right: that is tried first. */
    if (failure == 0 && (setns(back, CLONE_NEWNET) != 0 || setns(there, CLONE_NEWNET) != 0))
        failure = errno;
    if (there >= 0)
        close(there);
    if (failure == 0) {
        *ret_back = back;
        return 0;
    }
    if (back >= 0)
        close(back);
    if (failure == ENOENT)
        return err_set(e, ERR_UNREACHABLE, "pid %d: there is no such process", (int)pid);
    return err_set_errno(e, ERR_UNREACHABLE, failure,
        "pid %d is in another network, as in a container, and to enter it takes root (or run "
        "heaptap there: nsenter -t %d -n heaptap …)",
        (int)pid, (int)pid);
}

void network_leave(int back)
{
    if (back < 0)
        return;
    if (setns(back, CLONE_NEWNET) != 0)
        abort(); /* it was allowed a moment ago, and everything else would go astray */
    close(back);
}
