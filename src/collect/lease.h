/* One capture at a time on a host: two at once double the stall and the memory of both targets. */
#ifndef HEAPTAP_COLLECT_LEASE_H
#define HEAPTAP_COLLECT_LEASE_H

#include "base/err.h"

/* Takes the host's capture lease: ret_lease becomes a file descriptor, or -1 while somebody else
 * has it. It is an abstract socket's name, so the kernel gives it back when its holder dies. */
int lease_take(int *ret_lease, struct err *e) MUST_USE;
void lease_release(int lease); /* -1 is fine */

/* Who a capture waits for, and how long it has: for a person. own: for an earlier one of the same
 * target; most_us: how long it will wait at the most, 0: without end. */
void lease_text(bool own, int64_t waited_us, int64_t most_us, char out[ERR_TEXT_MAX]);

#endif
