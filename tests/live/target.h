/* A Node process with an inspector, for tests that talk to a real one. */
#ifndef HEAPTAP_TESTS_TARGET_H
#define HEAPTAP_TESTS_TARGET_H

#include <stdint.h>
#include <sys/types.h>

struct target {
    pid_t pid;
    uint16_t port;
    int stdout_fd; /* what the script prints */
};

/* Starts `node --inspect=127.0.0.1:0 -e script`, waits for its port, and, if the script prints
 * "ready", for that too with target_await. Ends the test program if it cannot. */
struct target target_start(const char *node, const char *script, const char *option);
void target_await(const struct target *t, const char *text);
void target_stop(struct target *t); /* kills it; harmless twice */

#endif
