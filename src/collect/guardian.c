/* The guardian. The child is forked, not executed: it is small because it touches hardly any
 * memory, and it makes only calls that are safe in a child of a process with threads. */
#include "collect/guardian.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNEL_FD 3
#define READ_SIZE  (64 * 1024)
#define FDS_MAX    2
/* A target that builds a snapshot of gigabytes is silent for minutes, so these are long. */
#define SILENCE_US (5 * 60 * 1000000LL)
#define TOTAL_US   (30 * 60 * 1000000LL)

struct guardian {
    pid_t pid;
    int channel;
    bool watching;
};

struct order { /* what heaptap tells its guardian; with the connection and the lease if it watches
                */
    bool watch, worker;
    int32_t call_id;
};

struct ward {
    int connection, lease; /* -1: none */
    struct guardian_scan scan;
};

/* ---- the stream ---- */

/* Neither can be in a piece of a snapshot: there each quote has a backslash before it. */
static const char leaving_mark[] = "{\"method\":\"NodeRuntime.waitingForDisconnect\"";

void guardian_scan_begin(struct guardian_scan *scan, int32_t call_id, bool worker)
{
    *scan = (struct guardian_scan){.tail_length = 0};
    snprintf(scan->reply, sizeof scan->reply, worker ? "{\\\"id\\\":%d," : "{\"id\":%d,", call_id);
}

static bool has_mark(const struct guardian_scan *scan, const char *bytes, size_t length)
{
    return memmem(bytes, length, scan->reply, strlen(scan->reply)) ||
           memmem(bytes, length, leaving_mark, sizeof leaving_mark - 1);
}

bool guardian_scan_bytes(struct guardian_scan *scan, const char *bytes, size_t length)
{
    char seam[2 * sizeof scan->tail];
    size_t head = length < sizeof scan->tail ? length : sizeof scan->tail;
    memcpy(seam, scan->tail, scan->tail_length);
    memcpy(seam + scan->tail_length, bytes, head);
    size_t joined = scan->tail_length + head;
    bool seen = has_mark(scan, seam, joined) || has_mark(scan, bytes, length);
    const char *end = head < length ? bytes + length : seam + joined;
    scan->tail_length = head < length || joined > sizeof scan->tail ? sizeof scan->tail : joined;
    memmove(scan->tail, end - scan->tail_length, scan->tail_length);
    return seen;
}

/* ---- in the child ---- */

static void drain(struct ward *ward)
{
    char buffer[READ_SIZE];
    int64_t now = clock_monotonic_us(), end = now + TOTAL_US, heard = now;
    while (now < end && now - heard < SILENCE_US) {
        struct pollfd fd = {.fd = ward->connection, .events = POLLIN};
        int ready = poll(&fd, 1, 1000);
        now = clock_monotonic_us();
        if (ready <= 0)
            continue;
        ssize_t got = recv(ward->connection, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return;
        if (got > 0) {
            heard = now;
            if (guardian_scan_bytes(&ward->scan, buffer, (size_t)got))
                return;
        }
    }
}

static void drop(struct ward *ward)
{
    if (ward->connection >= 0)
        close(ward->connection);
    if (ward->lease >= 0)
        close(ward->lease);
    ward->connection = ward->lease = -1;
}

/* Descriptors that came with a message, in its order. */
static size_t take_fds(struct msghdr *message, int fds[FDS_MAX])
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (count > FDS_MAX)
        count = FDS_MAX;
    memcpy(fds, CMSG_DATA(c), count * sizeof(int));
    return count;
}

/* False when heaptap is gone. */
static bool take_order(struct ward *ward)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct order order;
    struct iovec body = {.iov_base = &order, .iov_len = sizeof order};
    struct msghdr message = {.msg_iov = &body,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control};
    int fds[FDS_MAX] = {-1, -1};
    ssize_t got = recvmsg(CHANNEL_FD, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR)
        return true;
    if (got != (ssize_t)sizeof order)
        return false;
    drop(ward);
    if (take_fds(&message, fds) && order.watch) {
        *ward = (struct ward){.connection = fds[0], .lease = fds[1]};
        guardian_scan_begin(&ward->scan, order.call_id, order.worker);
    }
    return true;
}

/* Alone with the channel: no terminal, no pipe that a reader waits at the end of, no signal. */
static void settle_in(int channel)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_NAME, "heaptap-guard");
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < CHANNEL_FD; fd++)
        dup2(null, fd);
    dup2(channel, CHANNEL_FD);
    closefrom(CHANNEL_FD + 1);
    if (chdir("/") != 0)
        return; /* a folder stays in use, no more */
}

static void guard(int channel)
{
    struct ward ward = {.connection = -1, .lease = -1};
    settle_in(channel);
    while (take_order(&ward))
        continue;
    if (ward.connection >= 0)
        drain(&ward);
    _exit(0);
}

/* ---- for its owner ---- */

int guardian_start(struct guardian **ret, struct err *e)
{
    int ends[2];
    struct guardian *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        free(g);
        return err_set_errno(e, ERR_IO, errno, "cannot make the channel of the guardian");
    }
    g->pid = fork();
    if (g->pid == 0)
        guard(ends[1]);
    int reason = errno;
    close(ends[1]);
    g->channel = ends[0];
    if (g->pid < 0) {
        close(g->channel);
        free(g);
        return err_set_errno(e, ERR_IO, reason, "cannot start the guardian");
    }
    *ret = g;
    return 0;
}

/* Should it be gone, heaptap goes on without it. */
static bool send_order(
    const struct guardian *g, const struct order *order, const int *fds, size_t n)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec body = {.iov_base = (void *)(uintptr_t)order, .iov_len = sizeof *order};
    struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1};
    if (n) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    return sendmsg(g->channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof *order;
}

void guardian_watch(struct guardian *g, const struct cdp_session *s, int lease)
{
    int fds[FDS_MAX] = {cdp_plain_fd(cdp_session_connection(s)), lease};
    struct order order = {
        .watch = true, .worker = !cdp_session_is_main(s), .call_id = cdp_last_call(s)};
    if (g && fds[0] >= 0)
        g->watching = send_order(g, &order, fds, lease >= 0 ? 2 : 1);
}

void guardian_forget(struct guardian *g)
{
    const struct order order = {.watch = false};
    if (g && g->watching)
        g->watching = !send_order(g, &order, NULL, 0);
}

void guardian_free(struct guardian *g)
{
    if (!g)
        return;
    close(g->channel);
    if (!g->watching)
        waitpid(g->pid, NULL, 0);
    free(g);
}
