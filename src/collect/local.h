/* Inspectors of processes on this host: which port a process' inspector has, and opening one in a
 * process that has none (SIGUSR1). */
#ifndef HEAPTAP_COLLECT_LOCAL_H
#define HEAPTAP_COLLECT_LOCAL_H

#include "cdp/address.h"
#include "cdp/loop.h"

struct local_find;

/* Called once: with the endpoint of the process' inspector, or with a NULL and why:
 * ERR_UNREACHABLE (no such process, it is not Node, it opened none), ERR_IO (it may not be looked
 * at). The find is freed after it. */
typedef void (*local_find_fn)(void *arg, const struct address *a, const struct err *why);

/* Looks for the inspector of a process. With may_open it is asked to open one (SIGUSR1) when none
 * is found; only ever a process that handles that signal. Ports that do not look like an
 * inspector's are not touched. */
int local_find_start(struct loop *l, pid_t pid, bool may_open, local_find_fn fn, void *arg,
    struct local_find **ret, struct err *e) MUST_USE;
/* fn is not called any more. NULL is fine; not to be called after fn was. */
void local_find_cancel(struct local_find *f);

/* Ports on which the inspector of pid may listen, the likeliest first: bound to loopback, or among
 * those that Node takes by itself (9229 and the following). Returns how many, at most max. */
size_t local_inspector_ports(pid_t pid, uint16_t *ports, size_t max);

#endif
