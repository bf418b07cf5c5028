/* Who owns a run: a process, named so that a later one with the same pid is not taken for it. */
#ifndef HEAPTAP_STORE_OWNER_H
#define HEAPTAP_STORE_OWNER_H

#include "base/err.h"

#define OWNER_BOOT_SIZE 64
#define OWNER_HOST_SIZE 256

struct owner {
    char boot_id[OWNER_BOOT_SIZE]; /* the kernel's boot id, "/" and the pid namespace */
    char host[OWNER_HOST_SIZE];
    int64_t pid;
    int64_t start; /* clock ticks after boot */
};

void owner_self(struct owner *ret_owner);

enum owner_life {
    OWNER_ALIVE,
    OWNER_GONE,
    OWNER_UNSEEN, /* in another container or on another host: its process cannot be looked up */
};

/* Compares with this process's boot, pid namespace and /proc. */
enum owner_life owner_life(const struct owner *owner);

#endif
