/* A program that can be stopped (Ctrl-Z): what waits for it is let go first. */
#ifndef HEAPTAP_COMMAND_HALT_H
#define HEAPTAP_COMMAND_HALT_H

#include "cdp/loop.h"

struct halt;

/* From now on SIGTSTP calls stopping, lets the loop run for a moment, and stops this process;
 * SIGCONT calls going_on, also after a SIGSTOP. Call it before other threads start. */
struct halt_handlers {
    void (*stopping)(void *arg);
    void (*going_on)(void *arg);
};
int halt_new(struct loop *l, const struct halt_handlers *h, void *arg, struct halt **ret,
    struct err *e) MUST_USE;
/* Signals do what they always do. NULL is fine. */
void halt_free(struct halt *h);

#endif
