/* Reads of /proc and of the control groups. Formats: proc(5), cgroups(7). */
#include "collect/host.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL_FILE        8192 /* /proc/PID/status is about 1.5 KB */
#define DEPTH_MAX         64   /* levels of a process' ancestry or of a group's folders */
#define TCP_LINE_MAX      256
#define STATE_ESTABLISHED 0x01
#define STATE_LISTEN      0x0A

/* Reads a whole small file, cut to size - 1; -1 if it cannot be read. */
static int read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t length = 0;
    ssize_t got = 0;
    while (length + 1 < size && (got = read(fd, out + length, size - 1 - length)) > 0)
        length += (size_t)got;
    close(fd);
    out[length] = '\0';
    return got < 0 ? -1 : (int)length;
}

static int read_proc(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return read_small(path, out, size);
}

/* The number behind "key" at the start of a line, in KB units of 1024 bytes. */
static int find_kilobytes(const char *text, const char *key, int64_t *ret_bytes)
{
    size_t length = strlen(key);
    for (const char *line = text; line && *line;) {
        if (strncmp(line, key, length) == 0) {
            *ret_bytes = strtoll(line + length, NULL, 10) * 1024;
            return 0;
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return ERR_IO;
}

int host_rss(pid_t pid, int64_t *ret_bytes)
{
    char text[256];
    long long pages;
    if (read_proc(pid, "statm", text, sizeof text) < 0 || sscanf(text, "%*d %lld", &pages) != 1)
        return ERR_IO;
    *ret_bytes = pages * sysconf(_SC_PAGESIZE);
    return 0;
}

int host_rss_peak(pid_t pid, int64_t *ret_bytes)
{
    char text[SMALL_FILE];
    if (read_proc(pid, "status", text, sizeof text) < 0)
        return ERR_IO;
    return find_kilobytes(text, "VmHWM:", ret_bytes);
}

/* Where a field of /proc/PID/stat begins, read into text; number as in proc(5), 3 or above: the
 * name before may hold spaces. NULL: it cannot be read. */
static const char *stat_field(pid_t pid, int number, char text[SMALL_FILE])
{
    if (read_proc(pid, "stat", text, SMALL_FILE) < 0)
        return NULL;
    const char *at = strrchr(text, ')');
    for (int field = 3; at && field <= number; field++)
        at = strchr(at + 1, ' ');
    return at ? at + 1 : NULL;
}

static int stat_number(pid_t pid, int number, int64_t *ret_value)
{
    char text[SMALL_FILE];
    const char *field = stat_field(pid, number, text);
    if (!field)
        return ERR_IO;
    *ret_value = strtoll(field, NULL, 10);
    return 0;
}

bool host_is_stopped(pid_t pid)
{
    char text[SMALL_FILE];
    const char *state = stat_field(pid, 3, text);
    return state && *state == 'T';
}

static int64_t ticks_to_us(int64_t ticks)
{
    return ticks * (1000000 / sysconf(_SC_CLK_TCK));
}

int host_cpu(pid_t pid, int64_t *ret_us)
{
    int64_t user, system;
    if (stat_number(pid, 14, &user) != 0 || stat_number(pid, 15, &system) != 0)
        return ERR_IO;
    *ret_us = ticks_to_us(user + system);
    return 0;
}

int host_start_time(pid_t pid, int64_t *ret_ticks)
{
    return stat_number(pid, 22, ret_ticks);
}

int host_started_at(pid_t pid, int64_t *ret_wall_ms)
{
    char text[128];
    int64_t ticks;
    double uptime;
    if (host_start_time(pid, &ticks) != 0 || read_small("/proc/uptime", text, sizeof text) < 0 ||
        sscanf(text, "%lf", &uptime) != 1)
        return ERR_IO;
    *ret_wall_ms = clock_wall_ms() - (int64_t)(uptime * 1000) + ticks_to_us(ticks) / 1000;
    return 0;
}

int host_command_line(pid_t pid, char out[HOST_COMMAND_SIZE])
{
    int length = read_proc(pid, "cmdline", out, HOST_COMMAND_SIZE);
    if (length < 0)
        return ERR_IO;
    while (length > 0 && out[length - 1] == '\0')
        length--;
    for (int i = 0; i < length; i++)
        if (out[i] == '\0')
            out[i] = ' ';
    return 0;
}

bool host_is_node(pid_t pid)
{
    char path[64], target[PATH_MAX], command[HOST_COMMAND_SIZE];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length > 0) {
        target[length] = '\0';
        const char *name = strrchr(target, '/');
        return strncmp(name ? name + 1 : target, "node", 4) == 0;
    }
    return host_command_line(pid, command) == 0 && strncmp(command, "node", 4) == 0;
}

bool host_catches_sigusr1(pid_t pid)
{
    char text[SMALL_FILE];
    if (read_proc(pid, "status", text, sizeof text) < 0)
        return false;
    const char *line = strstr(text, "\nSigCgt:");
    return line && (strtoull(line + 8, NULL, 16) >> (10 - 1) & 1); /* SIGUSR1 is signal 10 */
}

/* One line of /proc/net/tcp or tcp6; false if it is not a listening socket. */
static bool parse_tcp_line(
    const char *line, struct host_port *ret_port, unsigned long long *ret_inode)
{
    char address[33];
    unsigned port, state;
    if (sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %llu",
            address, &port, &state, ret_inode) != 4 ||
        state != STATE_LISTEN)
        return false;
    uint32_t words[4] = {0};
    size_t count = strlen(address) / 8; /* each word is printed as a host-endian number */
    for (size_t i = 0; i < count && i < 4; i++) {
        char hex[9] = {0};
        memcpy(hex, address + 8 * i, 8);
        words[i] = (uint32_t)strtoul(hex, NULL, 16);
    }
    ret_port->port = (uint16_t)port;
    return inet_ntop(count == 4 ? AF_INET6 : AF_INET, words, ret_port->ip, sizeof ret_port->ip);
}

/* Calls visit for each listening socket in the network namespace of pid, until it returns false. */
static void each_listener(pid_t pid,
    bool (*visit)(void *arg, const struct host_port *port, unsigned long long inode), void *arg)
{
    static const char *const tables[] = {"net/tcp", "net/tcp6"};
    for (size_t i = 0; i < 2; i++) {
        char path[64], line[TCP_LINE_MAX];
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, tables[i]);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        bool more = true;
        while (more && fgets(line, sizeof line, file)) {
            struct host_port port;
            unsigned long long inode;
            if (parse_tcp_line(line, &port, &inode))
                more = visit(arg, &port, inode);
        }
        fclose(file);
        if (!more)
            return;
    }
}

/* Calls visit for each socket inode that the process has open, until it returns false. */
static void each_socket(pid_t pid, bool (*visit)(void *arg, unsigned long long inode), void *arg)
{
    char path[64], name[PATH_MAX], target[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return;
    bool more = true;
    for (struct dirent *entry; more && (entry = readdir(folder));) {
        unsigned long long inode;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        ssize_t length = readlink(name, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        if (sscanf(target, "socket:[%llu]", &inode) == 1)
            more = visit(arg, inode);
    }
    closedir(folder);
}

int host_clients(pid_t pid, uint16_t port)
{
    static const char *const tables[] = {"net/tcp", "net/tcp6"};
    int count = -1;
    for (size_t i = 0; i < 2; i++) {
        char path[64], line[TCP_LINE_MAX];
        unsigned local, state;
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, tables[i]);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        count = count < 0 ? 0 : count;
        while (fgets(line, sizeof line, file))
            if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) == 2)
                count += local == port && state == STATE_ESTABLISHED;
        fclose(file);
    }
    return count;
}

struct listening {
    struct host_port *ports;
    unsigned long long inodes[HOST_PORTS_MAX * 16];
    size_t inode_count, count, max;
};

static bool collect_socket(void *arg, unsigned long long inode)
{
    struct listening *l = arg;
    l->inodes[l->inode_count++] = inode;
    return l->inode_count < sizeof l->inodes / sizeof *l->inodes;
}

static bool collect_port(void *arg, const struct host_port *port, unsigned long long inode)
{
    struct listening *l = arg;
    for (size_t i = 0; i < l->inode_count; i++) {
        if (l->inodes[i] == inode) {
            l->ports[l->count++] = *port;
            break;
        }
    }
    return l->count < l->max;
}

size_t host_listening(pid_t pid, struct host_port *ports, size_t max)
{
    struct listening l = {.ports = ports, .max = max};
    each_socket(pid, collect_socket, &l);
    if (l.inode_count > 0 && max > 0)
        each_listener(pid, collect_port, &l);
    return l.count;
}

struct wanted {
    const char *ip;
    uint16_t port;
    unsigned long long inode;
    bool found;
};

static bool match_port(void *arg, const struct host_port *port, unsigned long long inode)
{
    struct wanted *w = arg;
    bool any = strcmp(port->ip, "0.0.0.0") == 0 || strcmp(port->ip, "::") == 0;
    if (port->port == w->port && inode != 0 && (any || strcmp(port->ip, w->ip) == 0)) {
        w->inode = inode;
        return false;
    }
    return true;
}

static bool match_inode(void *arg, unsigned long long inode)
{
    struct wanted *w = arg;
    w->found = inode == w->inode;
    return !w->found;
}

pid_t host_listener(const char *ip, uint16_t port, pid_t likely)
{
    struct wanted w = {.ip = ip, .port = port};
    each_listener(getpid(), match_port, &w);
    if (w.inode == 0)
        return 0;
    if (likely > 0)
        each_socket(likely, match_inode, &w);
    if (w.found)
        return likely;
    pid_t *pids = calloc(HOST_PROCESSES_MAX, sizeof *pids);
    size_t count = pids ? host_processes(pids, HOST_PROCESSES_MAX) : 0;
    pid_t owner = 0;
    for (size_t i = 0; i < count && !owner; i++) {
        each_socket(pids[i], match_inode, &w);
        if (w.found)
            owner = pids[i];
    }
    free(pids);
    return owner;
}

bool host_is_local(const char *ip)
{
    struct in_addr v4;
    struct in6_addr v6;
    bool is_v4 = inet_pton(AF_INET, ip, &v4) == 1;
    if (is_v4 && ntohl(v4.s_addr) >> 24 == 127)
        return true;
    if (!is_v4 && inet_pton(AF_INET6, ip, &v6) != 1)
        return false;
    if (!is_v4 && IN6_IS_ADDR_LOOPBACK(&v6))
        return true;
    struct ifaddrs *list = NULL;
    bool found = false;
    if (getifaddrs(&list) != 0)
        return false;
    for (struct ifaddrs *a = list; a && !found; a = a->ifa_next) {
        if (is_v4 && a->ifa_addr && a->ifa_addr->sa_family == AF_INET)
            found = ((struct sockaddr_in *)a->ifa_addr)->sin_addr.s_addr == v4.s_addr;
        else if (!is_v4 && a->ifa_addr && a->ifa_addr->sa_family == AF_INET6)
            found = memcmp(&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, &v6, sizeof v6) == 0;
    }
    freeifaddrs(list);
    return found;
}

bool host_is_foreign(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool literal =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    return literal && !host_is_local(host);
}

static int compare_pids(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

size_t host_processes(pid_t *pids, size_t max)
{
    DIR *folder = opendir("/proc");
    size_t count = 0;
    if (!folder)
        return 0;
    for (struct dirent *entry; count < max && (entry = readdir(folder));)
        if (isdigit((unsigned char)entry->d_name[0]))
            pids[count++] = (pid_t)strtol(entry->d_name, NULL, 10);
    closedir(folder);
    qsort(pids, count, sizeof *pids, compare_pids);
    return count;
}

bool host_descends(pid_t pid, pid_t ancestor)
{
    for (int depth = 0; pid > 0 && depth < DEPTH_MAX; depth++) {
        int64_t parent;
        if (pid == ancestor)
            return true;
        if (stat_number(pid, 4, &parent) != 0)
            return false;
        pid = (pid_t)parent;
    }
    return false;
}

int host_memory_available(int64_t *ret_bytes)
{
    char text[SMALL_FILE];
    if (read_small("/proc/meminfo", text, sizeof text) < 0)
        return ERR_IO;
    return find_kilobytes(text, "MemAvailable:", ret_bytes);
}

int host_load(double *ret_share)
{
    char text[128];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    double load;
    if (processors < 1 || read_small("/proc/loadavg", text, sizeof text) < 0 ||
        sscanf(text, "%lf", &load) != 1)
        return ERR_IO;
    *ret_share = load / (double)processors;
    return 0;
}

/* A file that holds one number; "max" and version 1's enormous default are no limit (-1). */
static int read_limit(const char *folder, const char *name, int64_t *ret_value)
{
    char path[PATH_MAX], text[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (read_small(path, text, sizeof text) < 0)
        return ERR_IO;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    bool none = strncmp(text, "max", 3) == 0 || errno == ERANGE || value > INT64_MAX / 2;
    *ret_value = none ? -1 : value;
    return 0;
}

/* Page cache that the kernel drops before it kills: the group's inactive file pages. */
static int64_t droppable(const char *folder, const char *key)
{
    char path[PATH_MAX], text[SMALL_FILE];
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    if (read_small(path, text, sizeof text) < 0)
        return 0;
    const char *line = strstr(text, key);
    return line ? strtoll(line + strlen(key), NULL, 10) : 0;
}

/* Looks at one group's folder and keeps the limit that leaves the least room. */
static void look_at_group(const char *folder, bool version2, struct host_limit *tightest)
{
    int64_t limit, current;
    if (read_limit(folder, version2 ? "memory.max" : "memory.limit_in_bytes", &limit) != 0 ||
        limit < 0 ||
        read_limit(folder, version2 ? "memory.current" : "memory.usage_in_bytes", &current) != 0)
        return;
    current -= droppable(folder, version2 ? "\ninactive_file " : "\ntotal_inactive_file ");
    if (current < 0)
        current = 0;
    if (tightest->limit < 0 || limit - current < tightest->limit - tightest->current)
        *tightest = (struct host_limit){.limit = limit, .current = current};
}

/* Walks from the process' group up to the mount point: a limit of any level binds. */
static void walk_groups(
    const char *mount, const char *group, bool version2, struct host_limit *tightest)
{
    char folder[PATH_MAX];
    size_t floor = strlen(mount);
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (length < 0 || (size_t)length >= sizeof folder)
        return;
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        look_at_group(folder, version2, tightest);
        char *slash = strrchr(folder, '/');
        if (!slash || strlen(folder) <= floor)
            return;
        *slash = '\0';
    }
}

int host_cgroup(const char *root, pid_t pid, struct host_limit *ret)
{
    char path[PATH_MAX], text[SMALL_FILE];
    struct host_limit tightest = {.limit = -1};
    snprintf(path, sizeof path, "%s/proc/%d/cgroup", root, (int)pid);
    if (read_small(path, text, sizeof text) < 0)
        return ERR_IO;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        if (strcmp(group, "/") == 0)
            group[0] = '\0';
        char mount[PATH_MAX];
        bool version2 = *controllers == '\0';
        if (!version2 && !strstr(controllers, "memory"))
            continue;
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s", root, version2 ? "" : "/memory");
        walk_groups(mount, group, version2, &tightest);
        if (version2) { /* beside version 1 the second hierarchy is mounted one level deeper */
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/unified", root);
            walk_groups(mount, group, true, &tightest);
        }
    }
    *ret = tightest;
    return 0;
}
