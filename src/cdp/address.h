/* TARGET as users write it: 9229, host:port, [::1]:9229, ws://host:port/ID, wss://…, pid:4711, each
 * with #2 or #TITLE behind it to pick one of several; no text means 127.0.0.1:9229. */
#ifndef HEAPTAP_CDP_ADDRESS_H
#define HEAPTAP_CDP_ADDRESS_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

#define ADDRESS_DEFAULT_PORT 9229
#define ADDRESS_HOST_SIZE    256 /* a DNS name has at most 253 bytes (RFC 1035), and a NUL */
#define ADDRESS_PATH_SIZE    256 /* "/" and a UUID are 37; Chromium's are shorter than 64 */
#define ADDRESS_TITLE_SIZE   256 /* what a person types to tell one target from another */
/* the longest address in text: wss://[host]:port/path#title and a NUL */
#define ADDRESS_TEXT_SIZE (ADDRESS_HOST_SIZE + ADDRESS_PATH_SIZE + ADDRESS_TITLE_SIZE + 32)

enum address_kind {
    ADDRESS_ENDPOINT, /* host and port: the inspector there says what targets it has */
    ADDRESS_URL,      /* a WebSocket URL, which names one target until the process restarts */
    ADDRESS_PROCESS,  /* a process of this host, by its id */
};

struct address {
    enum address_kind kind;
    char host[ADDRESS_HOST_SIZE]; /* name or IP literal without brackets; "" for a process */
    uint16_t port;                /* 0 for a process */
    bool tls;                     /* wss:// */
    char path[ADDRESS_PATH_SIZE]; /* "/…" of a URL, else "" */
    pid_t pid;                    /* of a process, else 0 */
    pid_t network;   /* of an endpoint: the process in whose network it is (network.h); 0: ours */
    int pick_number; /* #2 is 2; 0 when no number was given */
    char pick_title[ADDRESS_TITLE_SIZE]; /* #TITLE, else "" */
};

/* NULL or "" is the default address; 0.0.0.0 and [::] become loopback. ERR_USAGE says what is wrong
 * and which forms there are. */
int address_parse(const char *text, struct address *ret_address, struct err *e) MUST_USE;

/* The address as text that address_parse understands, in its shortest usual form; returns out. */
char *address_format(const struct address *a, char out[ADDRESS_TEXT_SIZE]);

/* "127.0.0.1:9229" or "[::1]:9229"; returns out. */
#define ADDRESS_HOST_PORT_SIZE (ADDRESS_HOST_SIZE + 10)
char *address_host_port(const char *host, uint16_t port, char out[ADDRESS_HOST_PORT_SIZE]);
/* The same for a Host header, where the %scope of an IPv6 address has no place. */
char *address_host_header(const char *host, uint16_t port, char out[ADDRESS_HOST_PORT_SIZE]);

/* Is host localhost or an IP literal of the loopback interface? Names are not looked up. */
bool address_is_loopback(const char *host);

/* Forgets what does not survive a restart of the target: a URL becomes its host and port. */
void address_follow(struct address *a);

#endif
