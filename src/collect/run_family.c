/* A target that listens and has no requests may have children that serve: a cluster's workers. */
#include "collect/run_private.h"

#include "base/buf.h"
#include "collect/host.h"
#include "collect/local.h"

#include <stdlib.h>

#define BEATS_FIRST 3 /* without a request, about a second each; */
#define BEATS_MORE  10
#define NAMED_MAX   8    /* of a cluster of as many workers as processors */
#define TEXT_MAX    1024 /* 8 times a pid and a port, twice */

static bool is_watched(const struct run *r, pid_t pid)
{
    for (size_t i = 0; i < r->target_count; i++)
        if (r->targets[i]->facts.identity.host_pid == pid && r->targets[i]->target)
            return true;
    return false;
}

struct family {
    size_t count;
    struct buf pids, ports;
};

static int add_child(struct family *f, pid_t pid, uint16_t port)
{
    if (f->count++ >= NAMED_MAX)
        return 0;
    int rc = buf_addf(&f->pids, "%s%d", f->count > 1 ? ", " : "", (int)pid);
    return rc ? rc : buf_addf(&f->ports, " %u", port);
}

static int find_children(const struct watched *w, struct family *f)
{
    pid_t self = w->facts.identity.host_pid;
    pid_t *pids = calloc(HOST_PROCESSES_MAX, sizeof *pids);
    size_t count = pids ? host_processes(pids, HOST_PROCESSES_MAX) : 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        uint16_t port;
        if (pids[i] != self && host_descends(pids[i], self) && host_is_node(pids[i]) &&
            !is_watched(w->run, pids[i]) && local_inspector_ports(pids[i], &port, 1) > 0)
            rc = add_child(f, pids[i], port);
    }
    free(pids);
    return rc;
}

void run_family_beat(struct watched *w, bool has_requests)
{
    if (w->told_family || has_requests || !w->facts.identity.host_pid ||
        w->facts.identity.kind == TARGET_WORKER)
        return;
    int beats = ++w->idle_beats;
    if (beats != BEATS_FIRST && beats % BEATS_MORE != 0)
        return;
    struct family f = {.pids = buf_new(TEXT_MAX), .ports = buf_new(TEXT_MAX)};
    if (find_children(w, &f) == 0 && f.count) {
        w->told_family = true;
        run_say(w->run, w, true,
            "no request so far; %s with an inspector may be what serves (pid %s%s), as a cluster's "
            "workers do: heaptap run%s --requests follows %s",
            f.count == 1 ? "a child process" : "child processes", f.pids.data,
            f.count > NAMED_MAX ? ", …" : "", f.ports.data, f.count == 1 ? "it" : "them");
    }
    buf_free(&f.pids);
    buf_free(&f.ports);
}
