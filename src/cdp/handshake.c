/* The HTTP upgrade that begins a WebSocket. */
#include "cdp/handshake.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define RFC_GUID    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */
#define SHA1_SIZE   20
#define ACCEPT_SIZE 29 /* 20 bytes in base64, and a NUL */
#define STATUS_MIN  12 /* "HTTP/1.1 101" */

int handshake_make_key(char ret_key[HANDSHAKE_KEY_SIZE], struct err *e)
{
    unsigned char nonce[16];
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return err_set(e, ERR_INTERNAL, "no random bytes from the kernel");
    EVP_EncodeBlock((unsigned char *)ret_key, nonce, sizeof nonce);
    return 0;
}

int handshake_write(
    struct buf *out, const char *host, const char *path, const char *key, struct err *e)
{
    int rc = buf_addf(out,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
        path, host, key);
    return rc ? err_set(e, rc, "no room for the WebSocket request") : 0;
}

static int expected_accept(const char *key, char ret_accept[ACCEPT_SIZE])
{
    char text[HANDSHAKE_KEY_SIZE + sizeof RFC_GUID];
    unsigned char digest[SHA1_SIZE];
    int length = snprintf(text, sizeof text, "%s%s", key, RFC_GUID);
    if (EVP_Digest(text, (size_t)length, digest, NULL, EVP_sha1(), NULL) != 1)
        return ERR_INTERNAL;
    EVP_EncodeBlock((unsigned char *)ret_accept, digest, sizeof digest);
    return 0;
}

/* A piece of the head, borrowed. */
struct slice {
    const char *text;
    size_t length;
};

static bool slice_is(struct slice s, const char *text)
{
    return s.length == strlen(text) && strncasecmp(s.text, text, s.length) == 0;
}

static struct slice trim(struct slice s)
{
    while (s.length && (s.text[0] == ' ' || s.text[0] == '\t'))
        s.text++, s.length--;
    while (s.length && (s.text[s.length - 1] == ' ' || s.text[s.length - 1] == '\t'))
        s.length--;
    return s;
}

/* Is token an element of the comma-separated list? */
static bool list_has(struct slice list, const char *token)
{
    while (list.length) {
        const char *comma = memchr(list.text, ',', list.length);
        size_t length = comma ? (size_t)(comma - list.text) : list.length;
        if (slice_is(trim((struct slice){list.text, length}), token))
            return true;
        size_t step = length + (comma != NULL);
        list = (struct slice){list.text + step, list.length - step};
    }
    return false;
}

struct seen {
    bool upgrade, connection, accept;
};

static int judge_header(
    struct slice name, struct slice value, const char *accept, struct seen *seen, struct err *e)
{
    if (slice_is(name, "upgrade")) {
        seen->upgrade = slice_is(value, "websocket");
    } else if (slice_is(name, "connection")) {
        seen->connection = seen->connection || list_has(value, "upgrade");
    } else if (slice_is(name, "sec-websocket-accept")) {
        if (seen->accept || value.length != strlen(accept) ||
            memcmp(value.text, accept, value.length) != 0)
            return err_set(e, ERR_PROTOCOL, "the WebSocket's answer to our key is wrong");
        seen->accept = true;
    } else if (slice_is(name, "sec-websocket-extensions") ||
               slice_is(name, "sec-websocket-protocol")) {
        return err_set(e, ERR_PROTOCOL, "the server answers with a %.*s that was not offered",
            (int)name.length, name.text);
    }
    return 0;
}

static int judge_status(struct slice line, struct err *e)
{
    const char *t = line.text;
    if (line.length < STATUS_MIN || memcmp(t, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)t[7]) ||
        t[8] != ' ' || !isdigit((unsigned char)t[9]) || !isdigit((unsigned char)t[10]) ||
        !isdigit((unsigned char)t[11]))
        return err_set(e, ERR_PROTOCOL, "this is not HTTP: \"%.*s\"",
            (int)(line.length < 40 ? line.length : 40), t);
    if (memcmp(t + 9, "101", 3) != 0)
        return err_set(e, ERR_UNREACHABLE,
            "the inspector refuses this target with HTTP %.*s: its id is old or wrong, or it is "
            "taken",
            (int)(line.length - 9 < 60 ? line.length - 9 : 60), t + 9);
    return 0;
}

/* The next line, without its CR LF, and moves rest behind it. */
static int next_line(struct slice *rest, struct slice *ret_line, struct err *e)
{
    const char *end = memmem(rest->text, rest->length, "\r\n", 2);
    if (!end)
        return err_set(e, ERR_PROTOCOL, "a line of the WebSocket's answer has no end");
    size_t length = (size_t)(end - rest->text);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)rest->text[i] < ' ' && rest->text[i] != '\t')
            return err_set(e, ERR_PROTOCOL, "a control character in the WebSocket's answer");
    *ret_line = (struct slice){rest->text, length};
    *rest = (struct slice){end + 2, rest->length - length - 2};
    return 0;
}

int handshake_read(
    const char *bytes, size_t length, const char *key, size_t *ret_used, struct err *e)
{
    size_t window = length < HANDSHAKE_HEAD_MAX ? length : HANDSHAKE_HEAD_MAX;
    const char *end = memmem(bytes, window, "\r\n\r\n", 4);
    static const char start[] = "HTTP/1.";
    if (memcmp(bytes, start, length < 7 ? length : 7) != 0)
        return err_set(e, ERR_PROTOCOL, "what answers does not speak HTTP");
    if (!end && length >= HANDSHAKE_HEAD_MAX)
        return err_set(
            e, ERR_PROTOCOL, "the WebSocket's answer is over %d bytes", HANDSHAKE_HEAD_MAX);
    if (!end) {
        *ret_used = 0;
        return 0;
    }
    struct slice rest = {bytes, (size_t)(end - bytes) + 2};
    struct slice line;
    struct seen seen = {0};
    char accept[ACCEPT_SIZE];
    int rc = expected_accept(key, accept);
    if (rc)
        return err_set(e, rc, "libcrypto has no SHA-1");
    rc = next_line(&rest, &line, e);
    if (!rc)
        rc = judge_status(line, e);
    while (!rc && rest.length) {
        rc = next_line(&rest, &line, e);
        if (rc)
            break;
        const char *colon = memchr(line.text, ':', line.length);
        if (!colon || colon == line.text || line.text[0] == ' ' || line.text[0] == '\t')
            return err_set(e, ERR_PROTOCOL, "a bad header in the WebSocket's answer");
        struct slice name = {line.text, (size_t)(colon - line.text)};
        struct slice value = {colon + 1, line.length - name.length - 1};
        rc = judge_header(name, trim(value), accept, &seen, e);
    }
    if (rc)
        return rc;
    if (!seen.upgrade || !seen.connection || !seen.accept)
        return err_set(e, ERR_PROTOCOL, "the WebSocket's answer lacks its %s header",
            !seen.upgrade      ? "Upgrade"
            : !seen.connection ? "Connection"
                               : "Sec-WebSocket-Accept");
    *ret_used = (size_t)(end - bytes) + 4;
    return 0;
}
