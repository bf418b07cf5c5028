/* Signals as reads on the loop. */
#ifndef HEAPTAP_COMMAND_SIGNALS_H
#define HEAPTAP_COMMAND_SIGNALS_H

#include "cdp/loop.h"

/* Blocks the signals (numbers ends with 0) and has fn called with a signalfd when one comes. Call
 * it before other threads start, which inherit the mask. *ret_fd is the caller's, to be closed
 * after watch_free, also where the watch could not be made; -1: none. */
int signals_watch(struct loop *l, const int *numbers, watch_fn fn, void *arg, int *ret_fd,
    struct watch **ret_watch, struct err *e) MUST_USE;
void signals_unblock(const int *numbers);

#endif
