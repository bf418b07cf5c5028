/* One capture at a time on a host, by the name of an abstract socket (unix(7)). */
#include "collect/lease.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char lease_name[] = "\0heaptap-capture"; /* the first NUL makes it abstract */

int lease_take(int *ret_lease, struct err *e)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, lease_name, sizeof lease_name - 1);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof lease_name - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(e, ERR_IO, errno, "cannot make the socket of the capture lease");
    if (bind(fd, (struct sockaddr *)&name, length) == 0) {
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
