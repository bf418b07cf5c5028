/* Connections made in the network of another process: that of a container has loopback and ports of
 * its own, and the inspector of a process in it listens there. */
#ifndef HEAPTAP_CDP_NETWORK_H
#define HEAPTAP_CDP_NETWORK_H

#include "base/err.h"

#include <sys/types.h>

/* Whether the process has another network than this one; false, too, if that cannot be told. */
bool network_is_foreign(pid_t pid);

/* The calling thread is in that network until network_leave; pid 0 is ours. ERR_UNREACHABLE: the
 * process is gone, or this takes rights that we do not have; then nothing has changed. */
int network_enter(pid_t pid, int *ret_back, struct err *e) MUST_USE;
void network_leave(int back);

#endif
