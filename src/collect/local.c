/* Inspectors of processes on this host. */
#include "collect/local.h"

#include "base/clock.h"
#include "cdp/discover.h"
#include "cdp/network.h"
#include "collect/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_DEADLINE_US 1000000
#define OPEN_DEADLINE_US  3000000 /* 5 to 11 ms were measured; a process in a long GC takes more */
#define POLL_US           20000
#define NODE_PORTS        100 /* a cluster's workers take 9230, 9231, … */

struct local_find {
    struct loop *loop; /* borrowed */
    pid_t pid;
    bool may_open;
    bool asked; /* SIGUSR1 was sent */
    int64_t give_up_us;
    struct timer *timer;
    struct discover *probe;         /* running, else NULL */
    uint16_t ports[HOST_PORTS_MAX]; /* to probe, from next on */
    size_t count, next;
    uint16_t refused[HOST_PORTS_MAX]; /* probed, and no inspector */
    size_t refused_count;
    local_find_fn fn;
    void *arg;
    struct loop_discard discard;
};

static bool is_node_port(uint16_t port)
{
    return port >= ADDRESS_DEFAULT_PORT && port < ADDRESS_DEFAULT_PORT + NODE_PORTS;
}

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

size_t local_inspector_ports(pid_t pid, uint16_t *ports, size_t max)
{
    struct host_port all[HOST_PORTS_MAX];
    size_t found = host_listening(pid, all, HOST_PORTS_MAX);
    size_t count = 0;
    for (int likely = 1; likely >= 0; likely--)
        for (size_t i = 0; i < found && count < max; i++)
            if (is_node_port(all[i].port) == (likely == 1) &&
                (likely == 1 || is_loopback(all[i].ip)))
                ports[count++] = all[i].port;
    return count;
}

static void free_find(void *object)
{
    free(object);
}

static void release(struct local_find *f)
{
    timer_free(f->timer);
    discover_cancel(f->probe);
    loop_discard(f->loop, &f->discard, free_find, f);
}

void local_find_cancel(struct local_find *f)
{
    if (f)
        release(f);
}

static void finish(struct local_find *f, const struct address *a, const struct err *why)
{
    local_find_fn fn = f->fn;
    void *arg = f->arg;
    release(f);
    fn(arg, a, why);
}

static void fail(struct local_find *f, int code, const char *text)
{
    struct err e = ERR_NONE;
    err_set(&e, code, "pid %d: %s", (int)f->pid, text);
    finish(f, NULL, &e);
}

static bool was_refused(const struct local_find *f, uint16_t port)
{
    for (size_t i = 0; i < f->refused_count; i++)
        if (f->refused[i] == port)
            return true;
    return false;
}

/* The inspector may listen on one family only. */
static struct address address_of(pid_t pid, uint16_t port)
{
    struct host_port all[HOST_PORTS_MAX];
    size_t found = host_listening(pid, all, HOST_PORTS_MAX);
    struct address a = {.kind = ADDRESS_ENDPOINT, .port = port};
    snprintf(a.host, sizeof a.host, "127.0.0.1");
    if (network_is_foreign(pid))
        a.network = pid;
    for (size_t i = 0; i < found; i++) {
        if (all[i].port != port)
            continue;
        if (strcmp(all[i].ip, "::") == 0)
            snprintf(a.host, sizeof a.host, "::1");
        else if (strcmp(all[i].ip, "0.0.0.0") != 0)
            snprintf(a.host, sizeof a.host, "%s", all[i].ip);
        break;
    }
    return a;
}

static void probe_next(struct local_find *f);

static void probed(void *arg, struct discovery *d, const struct err *why)
{
    struct local_find *f = arg;
    (void)why;
    f->probe = NULL;
    uint16_t port = f->ports[f->next - 1];
    if (!d) {
        if (f->refused_count < HOST_PORTS_MAX)
            f->refused[f->refused_count++] = port;
        probe_next(f);
        return;
    }
    discovery_free(d);
    struct address a = address_of(f->pid, port);
    finish(f, &a, NULL);
}

/* Nothing among the ports that are there now: ask the process to open one, then look again. */
static void ask_or_wait(struct local_find *f)
{
    bool opens = host_catches_sigusr1(f->pid);
    if (!f->asked && !opens && (f->may_open || !host_is_node(f->pid))) {
        fail(f, ERR_UNREACHABLE,
            "has no inspector, and does not open one on SIGUSR1 (not a Node process, or started "
            "with --disable-sigusr1): start it with --inspect");
        return;
    }
    if (!f->asked && f->may_open) {
        if (kill(f->pid, SIGUSR1) != 0) {
            fail(f, ERR_IO, strerror(errno));
            return;
        }
        f->asked = true;
    }
    if (!f->asked)
        fail(f, ERR_UNREACHABLE, "has no inspector open");
    else if (clock_monotonic_us() > f->give_up_us)
        fail(f, ERR_UNREACHABLE,
            "did not open an inspector after SIGUSR1: port 9229 may be taken by another process "
            "(its own log says so)");
    else
        timer_start(f->timer, POLL_US);
}

static void probe_next(struct local_find *f)
{
    struct err e = ERR_NONE;
    while (f->next < f->count && was_refused(f, f->ports[f->next]))
        f->next++;
    if (f->next == f->count) {
        ask_or_wait(f);
        return;
    }
    struct address a = address_of(f->pid, f->ports[f->next]);
    f->next++;
    if (discover_start(f->loop, &a, PROBE_DEADLINE_US, probed, f, &f->probe, &e) != 0)
        finish(f, NULL, &e);
}

static void look(void *arg)
{
    struct local_find *f = arg;
    char command[HOST_COMMAND_SIZE];
    if (host_command_line(f->pid, command) != 0) {
        fail(f, ERR_UNREACHABLE, "there is no such process");
        return;
    }
    struct err e = ERR_NONE;
    int back = -1;
    if (network_is_foreign(f->pid) && network_enter(f->pid, &back, &e) != 0) {
        finish(f, NULL, &e);
        return;
    }
    network_leave(back);
    f->count = local_inspector_ports(f->pid, f->ports, HOST_PORTS_MAX);
    f->next = 0;
    probe_next(f);
}

int local_find_start(struct loop *l, pid_t pid, bool may_open, local_find_fn fn, void *arg,
    struct local_find **ret, struct err *e)
{
    struct local_find *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(e, ERR_NOMEM, "out of memory");
    *f = (struct local_find){.loop = l,
        .pid = pid,
        .may_open = may_open,
        .give_up_us = clock_monotonic_us() + OPEN_DEADLINE_US,
        .fn = fn,
        .arg = arg};
    int rc = timer_new(l, look, f, &f->timer, e);
    if (rc) {
        free(f);
        return rc;
    }
    timer_start(f->timer, 0);
    *ret = f;
    return 0;
}
