/* What this host's /proc tells of a process for nothing: memory, ports, family, limits. Every
 * function reads files that the kernel wrote; nothing here touches the process itself. */
#ifndef HEAPTAP_COLLECT_HOST_H
#define HEAPTAP_COLLECT_HOST_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOST_PORTS_MAX     64   /* listening ports of one process that are looked at */
#define HOST_PROCESSES_MAX 4096 /* processes of one listing; a host has some hundreds */
#define HOST_COMMAND_SIZE  512  /* bytes of a command line that are kept */

/* Resident memory now, and its highest value since the process began, in bytes. */
int host_rss(pid_t pid, int64_t *ret_bytes) MUST_USE;
int host_rss_peak(pid_t pid, int64_t *ret_bytes) MUST_USE;

/* Processor time that all its threads have used. */
int host_cpu(pid_t pid, int64_t *ret_us) MUST_USE;

bool host_is_stopped(pid_t pid); /* by a signal of job control; false: not, or nobody can tell */

/* Clock ticks between boot and the start of the process: with the pid it names one process. */
int host_start_time(pid_t pid, int64_t *ret_ticks) MUST_USE;
/* The same moment as wall-clock milliseconds since 1970. */
int host_started_at(pid_t pid, int64_t *ret_wall_ms) MUST_USE;

/* The command line with spaces between its words, cut to fit. "" for kernel threads. */
int host_command_line(pid_t pid, char out[HOST_COMMAND_SIZE]) MUST_USE;

/* Whether it runs a node binary (by the name of its executable or its own title). */
bool host_is_node(pid_t pid);
/* Whether it has a handler for SIGUSR1; without one the signal would end it. */
bool host_catches_sigusr1(pid_t pid);

struct host_port {
    uint16_t port;
    char ip[46]; /* the local address it listens on */
};

/* TCP ports that the process listens on. */
size_t host_listening(pid_t pid, struct host_port *ports, size_t max);
/* The process that listens on ip:port of this host, 0 if it cannot be told. ip is a literal; likely
 * is looked at first (0: none), which spares a look at all the others. */
pid_t host_listener(const char *ip, uint16_t port, pid_t likely);

/* Connections that clients have to port in the network namespace of pid; -1 if it cannot be told.
 */
int host_clients(pid_t pid, uint16_t port);

/* Whether ip (a literal) is loopback or an address of this host. */
bool host_is_local(const char *ip);
/* Whether host is a literal of another host; a name is not looked up and is none. */
bool host_is_foreign(const char *host);

/* All pids whose files may be read, ascending; returns how many there are, at most max. */
size_t host_processes(pid_t *pids, size_t max);
/* Whether pid is ancestor's descendant (or is it itself). */
bool host_descends(pid_t pid, pid_t ancestor);

/* Memory that this host can still give without swapping. */
int host_memory_available(int64_t *ret_bytes) MUST_USE;

/* Runnable processes a processor over the last minute: above 1 everybody gets less than all. */
int host_load(double *ret_share) MUST_USE;

struct host_limit {
    int64_t limit;   /* bytes; -1: no limit */
    int64_t current; /* bytes in use, page cache that can be dropped not counted */
};

/* The tightest memory limit of the process' control groups, version 1 or 2. root is "" or, in
 * tests, a folder that holds a proc and a sys tree. */
int host_cgroup(const char *root, pid_t pid, struct host_limit *ret) MUST_USE;

#endif
