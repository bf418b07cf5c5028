/* Who owns a run, as /proc tells. */
#include "store/owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAT_MAX 1024 /* /proc/PID/stat is 52 numbers and a name of at most 64 bytes */

/* Field 22 of /proc/PID/stat; -1 if there is no such process. The name in field 2 may hold spaces
 * and brackets, so fields are counted from the last bracket. */
static int64_t start_of(int64_t pid)
{
    char path[64];
    char stat[STAT_MAX];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    size_t length = fread(stat, 1, sizeof stat - 1, file);
    fclose(file);
    stat[length] = '\0';
    char *at = strrchr(stat, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at + 1, NULL, 10) : -1;
}

void owner_self(struct owner *o)
{
    char boot[40] = "unknown";
    struct stat space = {0};
    memset(o, 0, sizeof *o);
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file) {
        if (fscanf(file, "%39s", boot) != 1)
            strcpy(boot, "unknown");
        fclose(file);
    }
    if (stat("/proc/self/ns/pid", &space) != 0)
        space.st_ino = 0;
    snprintf(o->boot_id, sizeof o->boot_id, "%s/%llu", boot, (unsigned long long)space.st_ino);
    if (gethostname(o->host, sizeof o->host - 1) != 0)
        strcpy(o->host, "unknown");
    o->pid = getpid();
    o->start = start_of(o->pid);
}

enum owner_life owner_life(const struct owner *o)
{
    struct owner self;
    owner_self(&self);
    if (strcmp(self.boot_id, o->boot_id) == 0)
        return start_of(o->pid) == o->start && o->start >= 0 ? OWNER_ALIVE : OWNER_GONE;
    size_t boot_length = strcspn(self.boot_id, "/");
    bool same_boot = boot_length == strcspn(o->boot_id, "/") &&
                     memcmp(self.boot_id, o->boot_id, boot_length) == 0;
    if (same_boot || strcmp(self.host, o->host) != 0)
        return OWNER_UNSEEN;
    return OWNER_GONE; /* this host, before it was started anew */
}
