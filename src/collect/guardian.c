/* The guardian. The child is forked, not executed: it is small because it touches hardly any
 * memory, and it makes only calls that are safe in a child of a process with threads. */
#include "collect/guardian.h"

#include "base/clock.h"
#include "collect/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNEL_FD 3
#define READ_SIZE  (64 * 1024)
#define WARDS_MAX  512 /* connections of a run; one beyond is not held */
#define WORDS_MAX  64  /* targets that may pause for us; one beyond waits for our SIGCONT */
#define FRAME_MAX  320 /* bytes of a call without params, within one to a worker */
#define LOOK_MS    200
/* A target that builds a snapshot of gigabytes is silent for minutes, so these are long; */
#define STREAM_SILENCE_US (5 * 60 * 1000000LL)
#define STREAM_TOTAL_US   (30 * 60 * 1000000LL)
/* one that does not is left as soon as it says nothing; what was installed in it ends itself. */
#define SILENCE_US (1 * 1000000LL)
#define TOTAL_US   (60 * 1000000LL)

struct guardian {
    pid_t pid;
    int channel;
    bool streaming;
};

enum order_kind {
    ORDER_HOLD,
    ORDER_RELEASE,
    ORDER_STREAM,
    ORDER_STREAM_ENDED,
    ORDER_SPEAK,
    ORDER_SPEAK_NO_MORE
};

struct words { /* what is said for a heaptap that is stopped */
    uintptr_t owner;
    int key; /* of the connection */
    size_t length;
    char frame[FRAME_MAX];
};

struct order { /* what heaptap tells its guardian */
    enum order_kind kind;
    int key; /* the connection's descriptor in heaptap; HOLD brings a copy of it */
    bool worker;
    int32_t call_id;    /* of STREAM, which brings the lease */
    struct words words; /* of SPEAK and SPEAK_NO_MORE */
};

struct ward { /* a connection that is held */
    int key, connection;
    bool streams;
    int64_t heard_us;
    struct guardian_scan scan;
};

struct wards {
    struct ward list[WARDS_MAX];
    size_t count;
    int lease; /* -1: none */
    struct words words[WORDS_MAX];
    size_t word_count;
};

/* ---- what a target still says ---- */

/* Neither can be in a piece of a snapshot: there each quote has a backslash before it. */
static const char leaving_mark[] = "{\"method\":\"NodeRuntime.waitingForDisconnect\"";

void guardian_scan_begin(struct guardian_scan *scan, int32_t call_id, bool worker)
{
    *scan = (struct guardian_scan){.tail_length = 0};
    snprintf(scan->reply, sizeof scan->reply, worker ? "{\\\"id\\\":%d," : "{\"id\":%d,", call_id);
}

static enum guardian_seen find_mark(
    const struct guardian_scan *scan, const char *bytes, size_t length)
{
    size_t reply = strlen(scan->reply);
    if (memmem(bytes, length, leaving_mark, sizeof leaving_mark - 1))
        return GUARDIAN_SEEN_LEAVING;
    if (reply && memmem(bytes, length, scan->reply, reply))
        return GUARDIAN_SEEN_REPLY;
    return GUARDIAN_SEEN_NOTHING;
}

enum guardian_seen guardian_scan_bytes(struct guardian_scan *scan, const char *bytes, size_t length)
{
    char seam[2 * sizeof scan->tail];
    size_t head = length < sizeof scan->tail ? length : sizeof scan->tail;
    memcpy(seam, scan->tail, scan->tail_length);
    memcpy(seam + scan->tail_length, bytes, head);
    size_t joined = scan->tail_length + head;
    enum guardian_seen across = find_mark(scan, seam, joined);
    enum guardian_seen within = find_mark(scan, bytes, length);
    const char *end = head < length ? bytes + length : seam + joined;
    scan->tail_length = head < length || joined > sizeof scan->tail ? sizeof scan->tail : joined;
    memmove(scan->tail, end - scan->tail_length, scan->tail_length);
    return across > within ? across : within;
}

/* ---- in the child: its wards ---- */

static void drop(struct wards *w, size_t index)
{
    close(w->list[index].connection);
    w->list[index] = w->list[--w->count];
}

static void drop_lease(struct wards *w)
{
    if (w->lease >= 0)
        close(w->lease);
    w->lease = -1;
}

static void end_stream(struct wards *w, struct ward *ward)
{
    ward->streams = false;
    ward->scan.reply[0] = '\0';
    drop_lease(w);
}

/* False when the connection is over. */
static bool read_rest(struct wards *w, struct ward *ward, int64_t now_us)
{
    char buffer[READ_SIZE];
    ssize_t got = recv(ward->connection, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    ward->heard_us = now_us;
    enum guardian_seen seen = guardian_scan_bytes(&ward->scan, buffer, (size_t)got);
    if (seen == GUARDIAN_SEEN_REPLY)
        end_stream(w, ward);
    return seen != GUARDIAN_SEEN_LEAVING;
}

static bool is_done_with(const struct ward *ward, int64_t began_us, int64_t now_us)
{
    int64_t silence_us = ward->streams ? STREAM_SILENCE_US : SILENCE_US;
    int64_t total_us = ward->streams ? STREAM_TOTAL_US : TOTAL_US;
    return now_us - ward->heard_us > silence_us || now_us - began_us > total_us;
}

/* heaptap is gone: reads until nobody says anything that matters. */
static void drain(struct wards *w)
{
    struct pollfd fds[WARDS_MAX];
    int64_t began_us = clock_monotonic_us();
    for (size_t i = 0; i < w->count; i++)
        w->list[i].heard_us = began_us;
    while (w->count) {
        for (size_t i = 0; i < w->count; i++)
            fds[i] = (struct pollfd){.fd = w->list[i].connection, .events = POLLIN};
        int ready = poll(fds, w->count, LOOK_MS);
        int64_t now_us = clock_monotonic_us();
        for (size_t i = w->count; i-- > 0;) { /* dropping moves only what was looked at */
            bool readable = ready > 0 && fds[i].revents;
            if ((readable && !read_rest(w, &w->list[i], now_us)) ||
                is_done_with(&w->list[i], began_us, now_us))
                drop(w, i);
        }
    }
}

static struct ward *find_ward(struct wards *w, int key)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->list[i].key == key)
            return &w->list[i];
    return NULL;
}

/* ---- in the child: for a heaptap that is stopped ---- */

static void speak(struct wards *w)
{
    while (w->word_count) {
        const struct words *words = &w->words[--w->word_count];
        const struct ward *ward = find_ward(w, words->key);
        if (ward) /* heaptap writes frames this small at once, so none is cut in two by ours */
            (void)!send(ward->connection, words->frame, words->length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* owner 0: all that are for the connection. */
static void forget_words(struct wards *w, uintptr_t owner, int key)
{
    for (size_t i = w->word_count; i-- > 0;)
        if (owner ? w->words[i].owner == owner : w->words[i].key == key)
            w->words[i] = w->words[--w->word_count];
}

/* ---- in the child: orders ---- */

/* fd came with the order, -1: none did; it is ours now. */
static void obey(struct wards *w, const struct order *order, int fd)
{
    struct ward *ward = find_ward(w, order->key);
    if (order->kind == ORDER_HOLD && fd >= 0 && !ward && w->count < WARDS_MAX) {
        w->list[w->count++] = (struct ward){.key = order->key, .connection = fd};
        return;
    }
    if (order->kind == ORDER_RELEASE && ward) {
        forget_words(w, 0, order->key);
        drop(w, (size_t)(ward - w->list));
    } else if (order->kind == ORDER_SPEAK || order->kind == ORDER_SPEAK_NO_MORE) {
        forget_words(w, order->words.owner, -1);
        if (order->kind == ORDER_SPEAK && w->word_count < WORDS_MAX)
            w->words[w->word_count++] = order->words;
    } else if (order->kind == ORDER_STREAM && ward) {
        ward->streams = true;
        guardian_scan_begin(&ward->scan, order->call_id, order->worker);
        drop_lease(w);
        w->lease = fd;
        return;
    } else if (order->kind == ORDER_STREAM_ENDED) {
        drop_lease(w);
        for (size_t i = 0; i < w->count; i++)
            w->list[i].streams = false;
    }
    if (fd >= 0)
        close(fd);
}

/* False when heaptap is gone. */
static bool take_order(struct wards *w)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct order order;
    struct iovec body = {.iov_base = &order, .iov_len = sizeof order};
    struct msghdr message = {.msg_iov = &body,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control};
    ssize_t got = recvmsg(CHANNEL_FD, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR)
        return true;
    if (got != (ssize_t)sizeof order)
        return false;
    int fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    obey(w, &order, fd);
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
    struct wards wards = {.lease = -1};
    struct pollfd orders = {.fd = CHANNEL_FD, .events = POLLIN};
    bool heaptap_lives = true;
    settle_in(channel);
    while (heaptap_lives) {
        if (wards.word_count == 0 || poll(&orders, 1, LOOK_MS) != 0)
            heaptap_lives = take_order(&wards);
        else if (host_is_stopped(getppid()))
            speak(&wards);
    }
    drain(&wards);
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

/* fd goes with it, -1: none. False: the guardian is gone, and heaptap goes on without it. */
static bool send_order(const struct guardian *g, struct order order, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec body = {.iov_base = &order, .iov_len = sizeof order};
    struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(g->channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof order;
}

int guardian_hold(struct guardian *g, const struct cdp_connection *c)
{
    int fd = cdp_plain_fd(c);
    bool held = g && fd >= 0 && send_order(g, (struct order){.kind = ORDER_HOLD, .key = fd}, fd);
    return held ? fd : -1;
}

void guardian_release(struct guardian *g, int held)
{
    if (g && held >= 0)
        (void)send_order(g, (struct order){.kind = ORDER_RELEASE, .key = held}, -1);
}

void guardian_stream(struct guardian *g, const struct cdp_session *s, int lease)
{
    struct order order = {.kind = ORDER_STREAM,
        .key = cdp_plain_fd(cdp_session_connection(s)),
        .worker = !cdp_session_is_main(s),
        .call_id = cdp_last_call(s)};
    if (g && order.key >= 0)
        g->streaming = send_order(g, order, lease);
}

void guardian_stream_ended(struct guardian *g)
{
    if (g && g->streaming)
        g->streaming = !send_order(g, (struct order){.kind = ORDER_STREAM_ENDED, .key = -1}, -1);
}

void guardian_speak(struct guardian *g, const void *owner, const struct cdp_session *s,
    const char *frame, size_t length)
{
    struct order order = {.kind = ORDER_SPEAK,
        .key = -1,
        .words = {.owner = (uintptr_t)owner,
            .key = cdp_plain_fd(cdp_session_connection(s)),
            .length = length}};
    if (!g || order.words.key < 0 || length > FRAME_MAX)
        return;
    memcpy(order.words.frame, frame, length);
    (void)send_order(g, order, -1);
}

void guardian_speak_no_more(struct guardian *g, const void *owner)
{
    struct order order = {
        .kind = ORDER_SPEAK_NO_MORE, .key = -1, .words = {.owner = (uintptr_t)owner}};
    if (g)
        (void)send_order(g, order, -1);
}

void guardian_free(struct guardian *g)
{
    if (!g)
        return;
    close(g->channel);
    if (!g->streaming)
        waitpid(g->pid, NULL, 0);
    free(g);
}
