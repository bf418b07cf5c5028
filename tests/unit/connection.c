/* A connection against a peer that follows a script on a thread of its own: every call is answered
 * once, whatever the peer does, and nothing that it does harms us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "cdp/connection.h"
#include "cdp/proto.h"
#include "cdp/unescape.h"

/* ---- the peer ---- */

#define REQUEST_SIZE 4096

enum step_kind { END, REQUEST, UPGRADE, RAW, TEXT, AWAIT, PAUSE, RESET, HANG };

struct step {
    enum step_kind kind;
    const char *bytes; /* of RAW and TEXT */
    size_t length;     /* of RAW */
};

static struct {
    int listener;
    uint16_t port;
    const struct step *script;
    pthread_t thread;
    struct buf
        heard; /* payloads of the client's text frames, a line each; "<ping>", "<close 1000>" */
} peer;

static bool read_exactly(int fd, void *out, size_t length)
{
    for (size_t at = 0; at < length;) {
        ssize_t n = read(fd, (char *)out + at, length - at);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

/* Reads one frame of the client, as strictly as Node does; false at the end. */
static bool hear_frame(int fd)
{
    uint8_t head[2], more[8], mask[4];
    if (!read_exactly(fd, head, 2))
        return false;
    if (!(head[1] & 0x80) || !(head[0] & 0x80) || (head[0] & 0x70))
        abort(); /* Node would drop the connection for it */
    size_t length = head[1] & 0x7f;
    size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (!read_exactly(fd, more, extra) || !read_exactly(fd, mask, 4))
        return false;
    for (size_t i = 0; i < extra; i++)
        length = (i ? length << 8 : 0) | more[i];
    char *text = malloc(length + 1);
    bool ok = read_exactly(fd, text, length);
    for (size_t i = 0; i < length; i++)
        text[i] ^= (char)mask[i % 4];
    text[length] = '\0';
    int opcode = head[0] & 15;
    if (ok && opcode == 8)
        ok = buf_addf(&peer.heard, "<close %d>\n", (uint8_t)text[0] << 8 | (uint8_t)text[1]) == 0;
    else if (ok)
        ok = buf_addf(&peer.heard, "%s%s\n",
                 opcode == 1    ? ""
                 : opcode == 10 ? "<pong>"
                                : "<?>",
                 text) == 0;
    free(text);
    return ok;
}

static void say(int fd, const void *bytes, size_t length)
{
    (void)!send(fd, bytes, length, MSG_NOSIGNAL);
}

static void say_text(int fd, const char *text)
{
    size_t length = strlen(text);
    uint8_t head[4] = {0x81, (uint8_t)length};
    if (length > 125) {
        head[1] = 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
    }
    say(fd, head, length > 125 ? 4 : 2);
    say(fd, text, length);
}

static void read_request(int fd, char request[REQUEST_SIZE])
{
    size_t at = 0;
    memset(request, 0, REQUEST_SIZE);
    while (
        !strstr(request, "\r\n\r\n") && at + 1 < REQUEST_SIZE && read_exactly(fd, request + at, 1))
        at++;
}

static void upgrade(int fd)
{
    char request[REQUEST_SIZE], text[128];
    read_request(fd, request);
    unsigned char digest[20], accept[32];
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
        key ? key + strlen("Sec-WebSocket-Key: ") : "");
    EVP_Digest(text, strlen(text), digest, NULL, EVP_sha1(), NULL);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    char answer[256];
    int length = snprintf(answer, sizeof answer,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        (const char *)accept);
    say(fd, answer, (size_t)length);
}

static void *play(void *arg)
{
    (void)arg;
    int fd = accept(peer.listener, NULL, NULL);
    bool listening = true;
    char request[REQUEST_SIZE];
    for (const struct step *s = peer.script; s->kind != END; s++) {
        switch (s->kind) {
        case REQUEST: read_request(fd, request); break;
        case UPGRADE: upgrade(fd); break;
        case RAW: say(fd, s->bytes, s->length); break;
        case TEXT: say_text(fd, s->bytes); break;
        case AWAIT: listening = listening && hear_frame(fd); break;
        case PAUSE: usleep(30000); break;
        case RESET:
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
            close(fd);
            return NULL;
        case HANG:
            while (hear_frame(fd))
                continue;
            break;
        case END: break;
        }
    }
    shutdown(fd, SHUT_WR);
    while (listening && hear_frame(fd))
        continue;
    close(fd);
    return NULL;
}

static void peer_start(const struct step *script)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    peer.listener = socket(AF_INET, SOCK_STREAM, 0);
    peer.script = script;
    peer.heard = buf_new(8 << 20);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(peer.listener, 1), 0);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &size), 0);
    peer.port = ntohs(address.sin_port);
    if (script)
        assert_int_equal(pthread_create(&peer.thread, NULL, play, NULL), 0);
}

static const char *peer_end(void)
{
    if (peer.script)
        pthread_join(peer.thread, NULL);
    close(peer.listener);
    return peer.heard.data ? peer.heard.data : "";
}

/* ---- our side ---- */

static struct loop *loop;
static struct cdp_connection *connection;
static struct buf seen; /* what the callbacks saw, a word each */
static int closed_code;
static char closed_text[ERR_TEXT_MAX];
static bool (*after_opened)(struct cdp_session *s);
static bool (*after_event)(struct cdp_session *s);
static const char *close_in; /* the callback that closes the connection */

static void see(const char *format, ...)
{
    char word[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(word, sizeof word, format, args);
    va_end(args);
    assert_int_equal(buf_addf(&seen, "%s%s", seen.length ? " " : "", word), 0);
}

static void maybe_close(const char *where)
{
    if (close_in && strcmp(close_in, where) == 0) {
        cdp_close(connection);
        cdp_close(connection);
    }
}

static void on_opened(void *arg, struct cdp_session *s)
{
    (void)arg;
    see("opened");
    assert_true(cdp_session_is_main(s) && cdp_main_session(connection) == s);
    maybe_close("opened");
    if (after_opened)
        after_opened(s);
}

static void on_event(void *arg, struct cdp_session *s, const char *method, const cJSON *params)
{
    (void)arg, (void)params;
    see("event%s:%s", cdp_session_id(s), method);
    maybe_close("event");
    maybe_close(method);
    if (after_event)
        after_event(s);
}

static void on_chunk(void *arg, struct cdp_session *s, const char *escaped, size_t length)
{
    (void)arg;
    char out[1000];
    size_t used, made;
    struct err e = ERR_NONE;
    assert_int_equal(unescape(escaped, length, out, sizeof out, &used, &made, &e), 0);
    see("chunk%s:%.*s", cdp_session_id(s), (int)made, out);
    maybe_close("chunk");
}

static void on_reply(void *arg, const cJSON *result, const struct err *why);

static void on_attached(void *arg, struct cdp_session *s, const cJSON *params)
{
    (void)arg, (void)params;
    static char name[] = "worker";
    struct err e = ERR_NONE;
    see("attached:%s", cdp_session_id(s));
    assert_int_equal(cdp_call(s, PROTO_RUNTIME_GET_HEAP_USAGE, NULL, 0, on_reply, name, &e), 0);
}

static void on_detached(void *arg, struct cdp_session *s)
{
    (void)arg;
    struct err e = ERR_NONE;
    see("detached:%s", cdp_session_id(s));
    assert_int_equal(cdp_call(s, PROTO_RUNTIME_GET_HEAP_USAGE, NULL, 0, NULL, NULL, &e), ERR_LOST);
}

static void on_closed(void *arg, const struct err *why)
{
    (void)arg;
    see("closed");
    closed_code = why->code;
    strcpy(closed_text, why->text);
    cdp_close(connection); /* no harm */
    loop_stop(loop);
}

static void on_reply(void *arg, const cJSON *result, const struct err *why)
{
    const char *name = arg ? arg : "";
    assert_true((result != NULL) == (why == NULL));
    see("reply%s:%d", name, result ? 0 : why->code);
    if (why && why->code == ERR_TARGET)
        see("\"%s\"", why->text);
    maybe_close("reply");
}

static bool call(struct cdp_session *s)
{
    struct err e = ERR_NONE;
    return cdp_call(s, PROTO_RUNTIME_GET_HEAP_USAGE, NULL, 0, on_reply, NULL, &e) == 0;
}

static bool call_twice(struct cdp_session *s)
{
    return call(s) && call(s);
}

static bool call_briefly(struct cdp_session *s)
{
    struct err e = ERR_NONE;
    return cdp_call(s, PROTO_RUNTIME_GET_HEAP_USAGE, NULL, 10000, on_reply, NULL, &e) == 0;
}

static void converse_with(struct cdp_options o)
{
    static const struct cdp_handlers handlers = {.opened = on_opened,
        .event = on_event,
        .chunk = on_chunk,
        .attached = on_attached,
        .detached = on_detached,
        .closed = on_closed};
    struct err e = ERR_NONE;
    o.ip = "127.0.0.1";
    o.port = peer.port;
    o.path = "/id";
    seen = buf_new(1 << 20);
    assert_int_equal(loop_new(&loop, &e), 0);
    assert_int_equal(cdp_connect(loop, &o, &handlers, NULL, &connection, &e), 0);
    assert_int_equal(seen.length, 0);
    assert_int_equal(loop_run(loop, &e), 0);
    loop_free(loop); /* asserts that nothing is left */
}

static void expect(const char *expected, int code)
{
    if (strcmp(seen.data, expected) != 0 || closed_code != code)
        fail_msg("saw \"%s\" and %d (%s), not \"%s\" and %d", seen.data, closed_code, closed_text,
            expected, code);
    buf_free(&seen);
    buf_free(&peer.heard);
    after_opened = after_event = NULL;
    close_in = NULL;
}

#define CONVERSE(...)                                                                              \
    do {                                                                                           \
        static const struct step script[] = {__VA_ARGS__, {END, NULL, 0}};                         \
        peer_start(script);                                                                        \
        converse_with((struct cdp_options){0});                                                    \
        peer_end();                                                                                \
    } while (0)
#define SAY(text)                                                                                  \
    {                                                                                              \
        TEXT, text, 0                                                                              \
    }
#define BYTES(raw)                                                                                 \
    {                                                                                              \
        RAW, raw, sizeof(raw) - 1                                                                  \
    }
#define DO(kind)                                                                                   \
    {                                                                                              \
        kind, NULL, 0                                                                              \
    }

#define CHUNK(text)                                                                                \
    "{\"method\":\"HeapProfiler.addHeapSnapshotChunk\",\"params\":{\"chunk\":\"" text "\"}}"

static void calls_events_and_chunks_reach_their_owners(void **state)
{
    (void)state;
    after_opened = call_twice;
    CONVERSE(DO(UPGRADE), DO(AWAIT), DO(AWAIT), SAY("{\"method\":\"A.b\",\"params\":{}}"),
        SAY("{\"id\":2,\"result\":{}}"), SAY(CHUNK("\\\"x\\\\u00e9\\n")),
        SAY("{\"method\":\"C.d\"}"),
        SAY("{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"no\",\"data\":\"why\"}}"),
        SAY("{\"params\":{\"chunk\":\"a\\\"b\"},\"method\":\"HeapProfiler."
            "addHeapSnapshotChunk\"}"));
    const char *heard = peer.heard.data;
    assert_string_equal(heard, "{\"id\":1,\"method\":\"Runtime.getHeapUsage\"}\n"
                               "{\"id\":2,\"method\":\"Runtime.getHeapUsage\"}\n");
    expect("opened event:A.b reply:0 chunk:\"x\\u00e9\n event:C.d reply:-6 \"no: why (-32000)\" "
           "chunk:a\"b closed",
        ERR_LOST);
}

static void what_follows_the_upgrade_at_once_is_not_lost(void **state)
{
    (void)state;
    CONVERSE(DO(UPGRADE),
        BYTES("\x81\x10{\"method\":\"A.b\"}\x01\x03{\"m\x00\x0c"
              "ethod\":\"C.d\""),
        BYTES("\x80\x01}"), BYTES("\x88\x02\x03\xe9"));
    assert_string_equal(peer.heard.data, "<close 1000>\n");
    expect("opened event:A.b event:C.d closed", ERR_LOST);
}

static void a_vanished_peer_answers_every_call_once(void **state)
{
    (void)state;
    after_opened = call_twice;
    CONVERSE(DO(UPGRADE), DO(AWAIT), DO(AWAIT));
    expect("opened reply:-4 reply:-4 closed", ERR_LOST);
    after_opened = call_twice;
    CONVERSE(DO(UPGRADE), DO(AWAIT), DO(AWAIT), DO(RESET));
    expect("opened reply:-4 reply:-4 closed", ERR_LOST);
}

static void a_late_reply_is_a_stray(void **state)
{
    (void)state;
    after_opened = call_briefly;
    CONVERSE(DO(UPGRADE), DO(AWAIT), DO(PAUSE), SAY("{\"id\":1,\"result\":{}}"),
        SAY("{\"id\":7,\"result\":{}}"), SAY("{\"id\":\"1\",\"result\":{}}"), SAY("{\"id\":-1}"),
        SAY("{\"error\":{\"code\":-32700}}"), SAY("{\"method\":\"A.b\"}"));
    expect("opened reply:-13 event:A.b closed", ERR_LOST);
}

static void it_may_be_closed_in_any_callback(void **state)
{
    (void)state;
    close_in = "opened";
    CONVERSE(DO(UPGRADE), SAY("{\"method\":\"A.b\"}"), DO(HANG));
    expect("opened closed", ERR_CANCELLED);
    close_in = "event";
    CONVERSE(DO(UPGRADE), SAY("{\"method\":\"A.b\"}"), SAY("{\"method\":\"C.d\"}"), DO(HANG));
    assert_string_equal(peer.heard.data, "<close 1000>\n");
    expect("opened event:A.b closed", ERR_CANCELLED);
    close_in = "chunk";
    CONVERSE(DO(UPGRADE), SAY(CHUNK("a")), SAY(CHUNK("b")), DO(HANG));
    expect("opened chunk:a closed", ERR_CANCELLED);
    close_in = "reply";
    after_opened = call_twice;
    CONVERSE(DO(UPGRADE), DO(AWAIT), DO(AWAIT), SAY("{\"id\":1,\"result\":{}}"), DO(HANG));
    expect("opened reply:0 reply:-14 closed", ERR_CANCELLED);
}

static void close_at_once(void *arg)
{
    (void)arg;
    cdp_close(connection);
}

static void it_may_be_closed_before_it_is_open(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    static const struct cdp_handlers handlers = {.closed = on_closed};
    for (int delay = -1; delay < 2; delay++) {
        struct timer *t = NULL;
        peer_start(NULL);
        const struct cdp_options o = {.ip = "127.0.0.1", .port = peer.port, .path = "/"};
        seen = buf_new(1 << 20);
        assert_int_equal(loop_new(&loop, &e), 0);
        assert_int_equal(cdp_connect(loop, &o, &handlers, NULL, &connection, &e), 0);
        assert_int_equal(timer_new(loop, close_at_once, NULL, &t, &e), 0);
        if (delay < 0)
            cdp_close(connection);
        else
            timer_start(t, delay * 20000);
        assert_int_equal(loop_run(loop, &e), 0);
        timer_free(t);
        loop_free(loop);
        peer_end();
        expect("closed", ERR_CANCELLED);
    }
}

static void a_lying_peer_ends_the_connection_alone(void **state)
{
    (void)state;
    CONVERSE(DO(UPGRADE), BYTES("\x82\x01x"), DO(HANG));
    assert_string_equal(peer.heard.data, "<close 1002>\n");
    expect("opened closed", ERR_PROTOCOL);
    CONVERSE(DO(UPGRADE), SAY("{\"method\":"), DO(HANG));
    assert_non_null(strstr(closed_text, "broken JSON"));
    expect("opened closed", ERR_PROTOCOL);
    CONVERSE(DO(UPGRADE), SAY("[1]"), DO(HANG));
    expect("opened closed", ERR_PROTOCOL);
    CONVERSE(DO(UPGRADE), SAY("{\"method\":\"NodeWorker.attachedToWorker\"}"), DO(HANG));
    assert_non_null(strstr(closed_text, "NodeWorker.attachedToWorker"));
    expect("opened closed", ERR_PROTOCOL);
    CONVERSE(DO(UPGRADE),
        SAY("{\"params\":{\"chunk\":7},\"method\":\"HeapProfiler."
            "addHeapSnapshotChunk\"}"),
        DO(HANG));
    expect("opened closed", ERR_PROTOCOL);
}

static void what_is_no_inspector_is_told(void **state)
{
    (void)state;
    CONVERSE(DO(REQUEST), BYTES("HTTP/1.0 400 Bad Request\r\n\r\n"), DO(HANG));
    assert_non_null(strstr(closed_text, "HTTP 400"));
    expect("closed", ERR_UNREACHABLE);
    CONVERSE(DO(REQUEST), BYTES("SSH-2.0-x\r\n"), DO(HANG));
    expect("closed", ERR_PROTOCOL);
    peer_start(NULL);
    converse_with(
        (struct cdp_options){.deadline_us = 50000}); /* takes the connection, says nothing */
    peer_end();
    expect("closed", ERR_UNREACHABLE);
    peer_start(NULL);
    peer_end();
    converse_with((struct cdp_options){0}); /* nobody there */
    assert_non_null(strstr(closed_text, "nothing listens there"));
    expect("closed", ERR_UNREACHABLE);
}

static void pings_are_answered_unless_the_peer_is_node(void **state)
{
    (void)state;
    CONVERSE(DO(UPGRADE), BYTES("\x89\x02hi"), DO(PAUSE), SAY("{\"method\":\"A.b\"}"));
    assert_null(peer.heard.data);
    expect("opened event:A.b closed", ERR_LOST);
    static const struct step script[] = {
        DO(UPGRADE), BYTES("\x89\x02hi"), DO(AWAIT), SAY("{\"method\":\"A.b\"}"), DO(END)};
    peer_start(script);
    converse_with((struct cdp_options){.peer = CDP_PEER_OTHER});
    peer_end();
    assert_string_equal(peer.heard.data, "<pong>hi\n");
    expect("opened event:A.b closed", ERR_LOST);
}

static void a_message_over_the_cap_is_refused(void **state)
{
    (void)state;
    static const struct step script[] = {DO(UPGRADE), SAY("{\"method\":\"A.b\"}"),
        SAY("{\"method\":\"A.bcdefghijklmnopqrstuvwxyz\"}"), DO(HANG), DO(END)};
    peer_start(script);
    converse_with((struct cdp_options){.message_max = 20});
    peer_end();
    assert_non_null(strstr(closed_text, "over 20 bytes"));
    expect("opened event:A.b closed", ERR_PROTOCOL);
}

/* ---- pausing ---- */

static struct timer *resume_timer;

static void on_resume(void *arg)
{
    (void)arg;
    see("resumed");
    cdp_pause(connection, false);
}

static bool pause_now(struct cdp_session *s)
{
    (void)s;
    struct err e = ERR_NONE;
    cdp_pause(connection, true);
    cdp_pause(connection, true);
    if (!resume_timer)
        assert_int_equal(timer_new(loop, on_resume, NULL, &resume_timer, &e), 0);
    timer_start(resume_timer, 60000); /* longer than the peer needs to say all */
    after_event = NULL;
    return true;
}

static void on_paused_closed(void *arg, const struct err *why)
{
    timer_free(resume_timer);
    resume_timer = NULL;
    on_closed(arg, why);
}

static void nothing_is_delivered_during_a_pause(void **state)
{
    (void)state;
    static const struct cdp_handlers handlers = {
        .opened = on_opened, .event = on_event, .closed = on_paused_closed};
    static const struct step script[] = {DO(UPGRADE),
        BYTES(
            "\x81\x10{\"method\":\"A.a\"}\x81\x10{\"method\":\"A.b\"}\x81\x10{\"method\":\"A.c\"}"),
        DO(PAUSE), SAY("{\"method\":\"A.d\"}"), DO(AWAIT), DO(END)};
    struct err e = ERR_NONE;
    peer_start(script);
    const struct cdp_options o = {.ip = "127.0.0.1", .port = peer.port, .path = "/"};
    seen = buf_new(1 << 20);
    after_event = pause_now;
    assert_int_equal(loop_new(&loop, &e), 0);
    assert_int_equal(cdp_connect(loop, &o, &handlers, NULL, &connection, &e), 0);
    close_in = "A.d"; /* the last word of the peer */
    assert_int_equal(loop_run(loop, &e), 0);
    loop_free(loop);
    peer_end();
    expect("opened event:A.a resumed event:A.b event:A.c event:A.d closed", ERR_CANCELLED);
}

/* ---- workers ---- */

#define ATTACHED(id)                                                                               \
    "{\"method\":\"NodeWorker.attachedToWorker\",\"params\":{\"sessionId\":\"" id                  \
    "\",\"workerInfo\":{\"workerId\":\"9\",\"type\":\"worker\",\"title\":\"t\",\"url\":\"u\"},"    \
    "\"waitingForDebugger\":false}}"
#define FROM(id, message)                                                                          \
    "{\"method\":\"NodeWorker.receivedMessageFromWorker\",\"params\":{\"sessionId\":\"" id         \
    "\",\"message\":\"" message "\"}}"

static void workers_have_sessions_of_their_own(void **state)
{
    (void)state;
    CONVERSE(DO(UPGRADE), SAY(ATTACHED("5")), DO(AWAIT), SAY("{\"id\":1,\"result\":{}}"),
        SAY(FROM("5", "{\\\"method\\\":\\\"W.e\\\"}")),
        SAY(FROM("5", "{\\\"method\\\":\\\"HeapProfiler.addHeapSnapshotChunk\\\",\\\"params\\\":"
                      "{\\\"chunk\\\":\\\"a\\\\\\\"\\\\n\\\"}}")),
        SAY(FROM("5", "{\\\"id\\\":1,\\\"result\\\":{}}")), SAY(FROM("6", "{}")),
        SAY("{\"params\":{\"message\":\"{\\\"method\\\":\\\"W.f\\\"}\",\"sessionId\":\"5\"},"
            "\"method\":\"NodeWorker.receivedMessageFromWorker\"}"),
        SAY("{\"method\":\"NodeWorker.detachedFromWorker\",\"params\":{\"sessionId\":\"5\"}}"),
        SAY(FROM("5", "{\\\"method\\\":\\\"W.late\\\"}")), SAY("{\"method\":\"A.b\"}"));
    assert_string_equal(peer.heard.data,
        "{\"id\":1,\"method\":\"NodeWorker.sendMessageToWorker\",\"params\":{\"message\":"
        "\"{\\\"id\\\":1,\\\"method\\\":\\\"Runtime.getHeapUsage\\\"}\",\"sessionId\":\"5\"}}\n");
    expect(
        "opened attached:5 event5:W.e chunk5:a\"\n replyworker:0 event5:W.f detached:5 event:A.b "
        "closed",
        ERR_LOST);
}

static void a_lost_worker_answers_its_calls(void **state)
{
    (void)state;
    CONVERSE(DO(UPGRADE), SAY(ATTACHED("5")), DO(AWAIT), /* it goes without an answer */
        SAY("{\"method\":\"NodeWorker.detachedFromWorker\",\"params\":{\"sessionId\":\"5\"}}"),
        SAY("{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"late\"}}"), SAY(ATTACHED("6")),
        DO(AWAIT), SAY("{\"id\":2,\"error\":{\"code\":-32000,\"message\":\"no session\"}}"),
        SAY(ATTACHED("7")), DO(AWAIT)); /* and one that waits while the connection ends */
    expect("opened attached:5 replyworker:-4 detached:5 attached:6 replyworker:-6 \"no session "
           "(-32000)\" attached:7 replyworker:-4 closed",
        ERR_LOST);
    CONVERSE(DO(UPGRADE), SAY(ATTACHED("5")), DO(AWAIT), SAY(ATTACHED("5")), DO(HANG));
    expect("opened attached:5 replyworker:-5 closed", ERR_PROTOCOL);
}

/* ---- what we send ---- */

static bool call_badly(struct cdp_session *s)
{
    struct err e = ERR_NONE;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "expression", "\xff");
    assert_int_equal(cdp_call(s, "Runtime.evaluate", params, 0, on_reply, NULL, &e), ERR_USAGE);
    params = cJSON_CreateObject();
    cJSON_AddRawToObject(params, "expression", "{,}");
    assert_int_equal(cdp_call(s, "Runtime.evaluate", params, 0, on_reply, NULL, &e), ERR_USAGE);
    assert_int_equal(
        cdp_call(s, "Runtime.evaluate", cJSON_CreateArray(), 0, on_reply, NULL, &e), ERR_USAGE);
    assert_int_equal(cdp_call(s, "Run\xfftime", NULL, 0, on_reply, NULL, &e), ERR_USAGE);
    see("refused");
    int made = 0;
    while (cdp_call(s, "X.y", NULL, 0, NULL, NULL, &e) == 0)
        made++;
    assert_int_equal(made, CDP_PENDING_MAX);
    assert_int_equal(e.code, ERR_FULL);
    cdp_close(connection);
    return true;
}

static void what_must_not_be_sent_is_not(void **state)
{
    (void)state;
    after_opened = call_badly;
    CONVERSE(DO(UPGRADE), DO(HANG));
    assert_null(strstr(peer.heard.data, "evaluate"));
    expect("opened refused closed", ERR_CANCELLED);
}

static bool call_big(struct cdp_session *s)
{
    struct err e = ERR_NONE;
    char *text = malloc(5000001);
    memset(text, 'x', 5000000);
    text[5000000] = '\0';
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "expression", text);
    free(text);
    assert_int_equal(cdp_call(s, "Runtime.evaluate", params, 0, on_reply, NULL, &e), 0);
    return true;
}

static void a_big_message_arrives_in_one_frame(void **state)
{
    (void)state;
    after_opened = call_big;
    CONVERSE(DO(UPGRADE), DO(AWAIT), SAY("{\"id\":1,\"result\":{}}"));
    assert_true(peer.heard.length > 5000000);
    assert_null(strstr(peer.heard.data, "<"));
    expect("opened reply:0 closed", ERR_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_events_and_chunks_reach_their_owners),
        cmocka_unit_test(what_follows_the_upgrade_at_once_is_not_lost),
        cmocka_unit_test(a_vanished_peer_answers_every_call_once),
        cmocka_unit_test(a_late_reply_is_a_stray),
        cmocka_unit_test(it_may_be_closed_in_any_callback),
        cmocka_unit_test(it_may_be_closed_before_it_is_open),
        cmocka_unit_test(a_lying_peer_ends_the_connection_alone),
        cmocka_unit_test(what_is_no_inspector_is_told),
        cmocka_unit_test(pings_are_answered_unless_the_peer_is_node),
        cmocka_unit_test(a_message_over_the_cap_is_refused),
        cmocka_unit_test(nothing_is_delivered_during_a_pause),
        cmocka_unit_test(workers_have_sessions_of_their_own),
        cmocka_unit_test(a_lost_worker_answers_its_calls),
        cmocka_unit_test(what_must_not_be_sent_is_not),
        cmocka_unit_test(a_big_message_arrives_in_one_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
