/* One capture at a time on a host, by the name of an abstract socket (unix(7)). */
#include "collect/lease.h"

#include "base/text.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char lease_name[] = "\0heaptap-capture"; /* the first NUL makes it abstract */

static socklen_t fill_name(struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(name->sun_path, lease_name, sizeof lease_name - 1);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof lease_name - 1);
}

int lease_take(int *ret_lease, struct err *e)
{
    struct sockaddr_un name;
    socklen_t length = fill_name(&name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(e, ERR_IO, errno, "cannot make the socket of the capture lease");
    if (bind(fd, (struct sockaddr *)&name, length) == 0) {
        (void)!listen(fd, SOMAXCONN); /* so that others can ask whose it is; nobody answers */
        *ret_lease = fd;
        return 0;
    }
    int reason = errno;
    close(fd);
    if (reason != EADDRINUSE)
        return err_set_errno(e, ERR_IO, reason, "cannot take the capture lease");
    *ret_lease = -1;
    return 0;
}

void lease_release(int lease)
{
    if (lease >= 0)
        close(lease);
}

/* The process that took it, 0: not known. */
static pid_t holder(void)
{
    struct sockaddr_un name;
    struct ucred who = {.pid = 0};
    socklen_t length = fill_name(&name), size = sizeof who;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return 0;
    if (connect(fd, (struct sockaddr *)&name, length) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        who.pid = 0;
    close(fd);
    return who.pid;
}

void lease_text(bool own, int64_t waited_us, int64_t most_us, char out[ERR_TEXT_MAX])
{
    char who[128] = "", waited[TEXT_SHORT], most[TEXT_SHORT];
    pid_t pid = own ? 0 : holder();
    bool gone = pid && kill(pid, 0) != 0 && errno == ESRCH;
    if (gone)
        snprintf(who, sizeof who, " (what heaptap, pid %d, which is gone, has begun in its target)",
            (int)pid);
    else if (pid)
        snprintf(who, sizeof who, " (of heaptap, pid %d)", (int)pid);
    int length = snprintf(out, ERR_TEXT_MAX, "waiting for another capture %s%s",
        own ? "of the same target, which still sends it" : "on this host", who);
    if (most_us)
        length += snprintf(out + length, ERR_TEXT_MAX - (size_t)length, ", %s at the most",
            text_duration(most, most_us));
    if (waited_us >= 1000000)
        length += snprintf(out + length, ERR_TEXT_MAX - (size_t)length, ", for %s now",
            text_duration(waited, waited_us));
    snprintf(out + length, ERR_TEXT_MAX - (size_t)length, "; Ctrl-C ends the wait");
}
