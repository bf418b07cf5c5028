/* TARGET as users write it. */
#include "cdp/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FORMS                                                                                      \
    "write 9229, HOST:PORT, [::1]:9229, ws://HOST:PORT/ID or pid:NUMBER, and #2 or #TITLE behind " \
    "it "                                                                                          \
    "to pick one of several"

static int bad(struct err *e, const char *text, const char *why)
{
    return err_set(e, ERR_USAGE, "\"%s\" is not a target: %s; " FORMS, text, why);
}

static bool all_digits(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return length > 0;
}

/* A decimal number within [1, max]; 0 if it is none. */
static int64_t number_of(const char *text, size_t length, int64_t max)
{
    char digits[16];
    int64_t value = 0;
    if (!all_digits(text, length) || length >= sizeof digits)
        return 0;
    memcpy(digits, text, length);
    digits[length] = '\0';
    return text_parse_integer(digits, 1, max, &value, NULL) == 0 ? value : 0;
}

/* Letters, digits and what names and literals consist of; nothing that could break a header. */
static bool host_is_sane(const char *host, size_t length, bool literal)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)host[i];
        if (!isalnum(c) && c != '-' && c != '.' && c != '_' && !(literal && (c == ':' || c == '%')))
            return false;
    }
    return length > 0 && host[0] != '-';
}

/* "Every address of this host" is what a server listens on (Node prints it for --inspect=0.0.0.0);
 * who wants to reach it takes the loopback address. */
static void reach_unspecified(struct address *a)
{
    struct in_addr in;
    struct in6_addr in6;
    if (inet_pton(AF_INET, a->host, &in) == 1 && in.s_addr == htonl(INADDR_ANY))
        strcpy(a->host, "127.0.0.1");
    else if (inet_pton(AF_INET6, a->host, &in6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&in6))
        strcpy(a->host, "::1");
}

/* HOST:PORT, [LITERAL]:PORT or PORT of text[0..length); default_port 0 means that it must be said.
 */
static int parse_host_port(const char *whole, const char *text, size_t length,
    uint16_t default_port, struct address *a, struct err *e)
{
    const char *host = text, *port = NULL;
    size_t host_length = length, port_length = 0;
    bool literal = false;
    if (length && text[0] == '[') {
        const char *bracket = memchr(text, ']', length);
        if (!bracket)
            return bad(e, whole, "the [ has no ]");
        literal = true;
        host = text + 1;
        host_length = (size_t)(bracket - host);
        port = bracket + 1;
        port_length = (size_t)(text + length - port);
        if (port_length && *port++ != ':')
            return bad(e, whole, "only :PORT may follow the ]");
        port_length -= port_length > 0;
        if (!memchr(host, ':', host_length))
            return bad(e, whole, "brackets are for IPv6 addresses");
    } else {
        const char *colon = memchr(text, ':', length);
        if (colon) {
            host_length = (size_t)(colon - text);
            port = colon + 1;
            port_length = length - host_length - 1;
            if (memchr(port, ':', port_length))
                return bad(e, whole, "an IPv6 address needs brackets, as in [::1]:9229");
        }
    }
    if (!host_is_sane(host, host_length, literal))
        return bad(e, whole,
            host_length ? "the host has a character that hosts have not" : "the host is missing");
    if (host_length >= sizeof a->host)
        return bad(e, whole, "the host is too long");
    memcpy(a->host, host, host_length);
    struct in6_addr in6;
    char bare[ADDRESS_HOST_SIZE];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(a->host, "%"), a->host);
    if (literal && inet_pton(AF_INET6, bare, &in6) != 1)
        return bad(e, whole, "this is no IPv6 address");
    reach_unspecified(a);
    if (!port && !default_port)
        return bad(e, whole, "the port is missing");
    a->port = port ? (uint16_t)number_of(port, port_length, UINT16_MAX) : default_port;
    return a->port ? 0 : bad(e, whole, "the port is not a number from 1 to 65535");
}

static int parse_url(
    const char *whole, const char *text, size_t length, struct address *a, struct err *e)
{
    a->kind = ADDRESS_URL;
    a->tls = strncasecmp(text, "wss", 3) == 0;
    const char *host = strstr(text, "://") + 3;
    length -= (size_t)(host - text);
    const char *slash = memchr(host, '/', length);
    size_t host_length = slash ? (size_t)(slash - host) : length;
    if (memchr(host, '@', host_length))
        return bad(e, whole, "a user name in the URL is not supported");
    int rc = parse_host_port(whole, host, host_length, a->tls ? 443 : 80, a, e);
    if (rc)
        return rc;
    size_t path_length = length - host_length;
    if (path_length < 2)
        return bad(e, whole, "the URL has no target's ID behind the port");
    if (path_length >= sizeof a->path)
        return bad(e, whole, "the URL's path is too long");
    for (size_t i = 0; i < path_length; i++)
        if ((unsigned char)slash[i] <= ' ' || (unsigned char)slash[i] >= 0x7f)
            return bad(e, whole, "the URL's path has a character that URLs have not");
    memcpy(a->path, slash, path_length);
    return 0;
}

/* What stands behind the #. */
static int parse_pick(const char *whole, const char *pick, struct address *a, struct err *e)
{
    size_t length = strlen(pick);
    if (length == 0)
        return bad(e, whole, "nothing stands behind the #");
    if (all_digits(pick, length)) {
        a->pick_number = (int)number_of(pick, length, 1000000);
        return a->pick_number ? 0 : bad(e, whole, "targets are counted from #1");
    }
    if (length >= sizeof a->pick_title)
        return bad(e, whole, "the title is too long");
    if (!text_utf8_valid(pick, length))
        return bad(e, whole, "the title is not valid UTF-8");
    memcpy(a->pick_title, pick, length + 1);
    return 0;
}

static bool begins(const char *text, const char *start)
{
    return strncasecmp(text, start, strlen(start)) == 0;
}

int address_parse(const char *text, struct address *ret_address, struct err *e)
{
    struct address a = {.kind = ADDRESS_ENDPOINT, .port = ADDRESS_DEFAULT_PORT};
    text = text ? text : "";
    size_t length = strcspn(text, "#");
    int rc = text[length] ? parse_pick(text, text + length + 1, &a, e) : 0;
    if (rc)
        return rc;
    if (length == 0) {
        strcpy(a.host, "127.0.0.1");
    } else if (all_digits(text, length)) {
        strcpy(a.host, "127.0.0.1");
        a.port = (uint16_t)number_of(text, length, UINT16_MAX);
        if (!a.port)
            rc = bad(e, text, "the port is not a number from 1 to 65535");
    } else if (begins(text, "pid:")) {
        a.kind = ADDRESS_PROCESS;
        a.port = 0;
        a.pid = (pid_t)number_of(text + 4, length - 4, INT_MAX);
        if (!a.pid)
            rc = bad(e, text, "pid: wants a process id");
    } else if (begins(text, "ws://") || begins(text, "wss://")) {
        rc = parse_url(text, text, length, &a, e);
    } else if (memmem(text, length, "://", 3)) {
        rc = bad(e, text, "of URLs only ws:// and wss:// are understood");
    } else {
        rc = parse_host_port(text, text, length, 0, &a, e);
    }
    if (!rc)
        *ret_address = a;
    return rc;
}

char *address_host_port(const char *host, uint16_t port, char out[ADDRESS_HOST_PORT_SIZE])
{
    bool literal = strchr(host, ':') != NULL;
    snprintf(out, ADDRESS_HOST_PORT_SIZE, literal ? "[%s]:%u" : "%s:%u", host, port);
    return out;
}

char *address_host_header(const char *host, uint16_t port, char out[ADDRESS_HOST_PORT_SIZE])
{
    char bare[ADDRESS_HOST_SIZE];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(host, "%"), host);
    return address_host_port(bare, port, out);
}

char *address_format(const struct address *a, char out[ADDRESS_TEXT_SIZE])
{
    char host_port[ADDRESS_HOST_PORT_SIZE];
    char pick[ADDRESS_TITLE_SIZE + 1] = "";
    if (a->pick_number)
        snprintf(pick, sizeof pick, "#%d", a->pick_number);
    else if (a->pick_title[0])
        snprintf(pick, sizeof pick, "#%s", a->pick_title);
    if (a->kind == ADDRESS_PROCESS)
        snprintf(out, ADDRESS_TEXT_SIZE, "pid:%d%s", (int)a->pid, pick);
    else if (a->kind == ADDRESS_URL)
        snprintf(out, ADDRESS_TEXT_SIZE, "%s://%s%s%s", a->tls ? "wss" : "ws",
            address_host_port(a->host, a->port, host_port), a->path, pick);
    else
        snprintf(
            out, ADDRESS_TEXT_SIZE, "%s%s", address_host_port(a->host, a->port, host_port), pick);
    return out;
}

bool address_is_loopback(const char *host)
{
    struct in_addr in;
    struct in6_addr in6;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &in) == 1)
        return (ntohl(in.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &in6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&in6) || (IN6_IS_ADDR_V4MAPPED(&in6) && in6.s6_addr[12] == 127);
}

void address_follow(struct address *a)
{
    if (a->kind != ADDRESS_URL)
        return;
    a->kind = ADDRESS_ENDPOINT;
    a->path[0] = '\0';
}
