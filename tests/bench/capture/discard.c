/* The bound that a capture is measured against: asks an inspector for a snapshot and reads what
 * comes without looking at it. usage: discard PORT PATH */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASK      "{\"id\":1,\"method\":\"HeapProfiler.takeHeapSnapshot\"}"
#define ANSWER   "{\"id\":1,\"result\":{}}" /* the last bytes of all that comes */
#define READ_MAX (256 * 1024)

static void fail(const char *what)
{
    fprintf(stderr, "discard: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void send_all(int fd, const void *bytes, size_t count)
{
    if (send(fd, bytes, count, 0) != (ssize_t)count)
        fail("send");
}

static int open_session(int port, const char *path)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[1024];
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail("connect");
    int length = snprintf(text, sizeof(text),
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        path);
    send_all(fd, text, (size_t)length);
    length = (int)recv(fd, text, sizeof(text) - 1, 0);
    if (length < 12 || memcmp(text, "HTTP/1.1 101", 12) != 0)
        fail("upgrade");
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: discard PORT PATH\n");
        return 2;
    }
    int fd = open_session(atoi(argv[1]), argv[2]);
    /* One masked text frame; a mask of zeros leaves the payload as it is. */
    const unsigned char head[6] = {0x81, 0x80 | (sizeof(ASK) - 1)};
    send_all(fd, head, sizeof(head));
    send_all(fd, ASK, sizeof(ASK) - 1);

    static char buffer[READ_MAX + sizeof(ANSWER)];
    size_t kept = 0; /* the tail of what was read before, so that an answer cut in two is seen */
    uint64_t total = 0;
    for (;;) {
        ssize_t count = recv(fd, buffer + kept, READ_MAX, 0);
        if (count <= 0)
            fail("recv");
        total += (uint64_t)count;
        size_t have = kept + (size_t)count;
        size_t tail = sizeof(ANSWER) - 1;
        if (have >= tail && memcmp(buffer + have - tail, ANSWER, tail) == 0)
            break;
        kept = have < tail ? have : tail;
        memmove(buffer, buffer + have - kept, kept);
    }
    printf("{\"bytes\":%llu}\n", (unsigned long long)total);
    close(fd);
    return 0;
}
