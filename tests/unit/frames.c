/* What comes over the wire before it is a message: frames, the upgrade, and the route by prefix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cdp/frame.h"
#include "cdp/handshake.h"
#include "cdp/route.h"

#define SMALL_MAX 1000

/* Reads bytes in steps and writes "T<text>" "P<ping>" "C<code>" … or "!" and the error. */
static char *read_all(const void *bytes, size_t length, size_t step, uint64_t max)
{
    struct frame_reader *r = NULL;
    struct err e = ERR_NONE;
    struct buf seen = buf_new(1 << 20);
    assert_int_equal(frame_reader_new(max, &r, &e), 0);
    int rc = 0;
    for (size_t at = 0; !rc && at < length; at += step) {
        const char *piece = (const char *)bytes + at;
        size_t left = length - at < step ? length - at : step;
        enum frame_event event = FRAME_TEXT;
        while (!rc && event != FRAME_MORE) {
            const char *text;
            size_t text_length, used;
            rc = frame_read(r, piece, left, &used, &event, &text, &text_length, &e);
            if (rc || event == FRAME_MORE)
                break;
            piece += used;
            left -= used;
            if (event == FRAME_CLOSE)
                assert_int_equal(buf_addf(&seen, "C%u ", frame_close_code(text, text_length)), 0);
            else
                assert_int_equal(
                    buf_addf(&seen, "%c%.*s ", "?TPO"[event], (int)text_length, text), 0);
        }
    }
    if (rc)
        assert_int_equal(buf_addf(&seen, "!%d %s", rc, e.text), 0);
    frame_reader_free(r);
    return buf_take(&seen);
}

static void expect(const char *bytes, size_t length, const char *expected)
{
    for (size_t step = 1; step <= length; step++) {
        char *seen = read_all(bytes, length, step, SMALL_MAX);
        if (strncmp(seen, expected, strlen(expected)) != 0 || !expected[0] != !seen[0])
            fail_msg("step %zu: \"%s\", not \"%s\"", step, seen, expected);
        free(seen);
    }
}
#define EXPECT(bytes, expected) expect(bytes, sizeof(bytes) - 1, expected)

static void messages_arrive_whole_however_they_are_cut(void **state)
{
    (void)state;
    EXPECT("\x81\x05hello\x81\x02{}", "Thello T{} ");
    EXPECT("\x81\x00\x81\x01x", "T Tx ");
    EXPECT("\x01\x03one\x00\x03two\x80\x05three", "Tonetwothree ");
    EXPECT("\x01\x03one\x89\x02hi\x80\x03two", "Phi Tonetwo ");
    EXPECT("\x89\x00\x8a\x01!\x88\x02\x03\xe8", "P O! C1000 ");
    EXPECT("\x88\x00", "C1005 ");
    EXPECT("\x81\x05hel", "");
}

static void a_message_of_many_megabytes_arrives(void **state)
{
    (void)state;
    size_t length = 70 << 20; /* beyond what the buffer keeps */
    char *bytes = malloc(length + 10);
    memset(bytes, 'x', length + 10);
    memcpy(bytes, "\x81\x7f\0\0\0\0", 6);
    for (int i = 0; i < 4; i++)
        bytes[6 + i] = (char)(length >> (24 - 8 * i));
    struct frame_reader *r = NULL;
    struct err e = ERR_NONE;
    assert_int_equal(frame_reader_new(1 << 30, &r, &e), 0);
    enum frame_event event = FRAME_MORE;
    const char *text = NULL;
    size_t text_length = 0, used = 0;
    for (size_t at = 0; at < length + 10; at += used)
        assert_int_equal(
            frame_read(r, bytes + at, length + 10 - at, &used, &event, &text, &text_length, &e), 0);
    assert_int_equal(event, FRAME_TEXT);
    assert_int_equal(text_length, length);
    assert_memory_equal(text, bytes + 10, length);
    frame_reader_free(r);
    free(bytes);
}

static void a_lying_peer_is_caught(void **state)
{
    (void)state;
    EXPECT("\x81\x85\x01\x02\x03\x04hello", "!-5 a masked");
    EXPECT("\xc1\x05hello", "!-5 a WebSocket frame with reserved bits 100");
    EXPECT("\x91\x05hello", "!-5 a WebSocket frame with reserved bits 001");
    EXPECT("\x82\x05hello", "!-5 a WebSocket frame of opcode 0x2 (binary)");
    EXPECT("\x83\x05hello", "!-5 a WebSocket frame of opcode 0x3");
    EXPECT("\x8b\x00", "!-5 a WebSocket frame of opcode 0xb");
    EXPECT("\x80\x05hello", "!-5 a WebSocket continuation");
    EXPECT("\x01\x01x\x81\x05hello", "!-5 a new WebSocket message");
    EXPECT("\x09\x00", "!-5 a broken");              /* a fragmented ping */
    EXPECT("\x89\x7e\x00\x7e", "!-5 a broken");      /* a long ping */
    EXPECT("\x81\x7e\x00\x05hello", "!-5 a broken"); /* 5 written in 16 bits */
    EXPECT("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "!-5 a broken");
    EXPECT("\x81\x7e\x03\xe9x", "!-5 a WebSocket message over 1000 bytes (a frame of 1001)");
    EXPECT("\x81\x7f\x40\0\0\0\0\0\0\0x", "!-5 a WebSocket message over 1000 bytes");
}

static void fragments_cannot_pass_the_cap_together(void **state)
{
    (void)state;
    char bytes[4 + 999 + 4];
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "\x01\x7e\x03\xe7", 4);
    memcpy(bytes + 1003, "\x80\x02xx", 4);
    char *seen = read_all(bytes, sizeof bytes, sizeof bytes, SMALL_MAX);
    assert_non_null(strstr(seen, "!-5 a WebSocket message over 1000 bytes"));
    free(seen);
}

/* Undoes our own masking, as a server would. */
static void what_we_send_is_one_masked_frame(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 125, 126, 4096, 5000, 65535, 65536, 200000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t length = lengths[i];
        char *text = malloc(length + 1);
        for (size_t k = 0; k < length; k++)
            text[k] = (char)('a' + k % 26);
        struct buf out = buf_new(1 << 20);
        struct err e = ERR_NONE;
        assert_int_equal(frame_write_text(&out, text, length, &e), 0);
        size_t head = length < 126 ? 2 : length < 65536 ? 4 : 10;
        assert_int_equal(out.length, head + 4 + length);
        assert_int_equal((uint8_t)out.data[0], 0x81);
        assert_int_equal((uint8_t)out.data[1], 0x80 | (length < 126   ? length
                                                          : head == 4 ? 126
                                                                      : 127));
        const char *mask = out.data + head;
        for (size_t k = 0; k < length; k++)
            assert_int_equal(out.data[head + 4 + k] ^ mask[k % 4], text[k]);
        buf_free(&out);
        free(text);
    }
    struct buf small = buf_new(20);
    assert_int_equal(frame_write_text(&small, "0123456789", 10, NULL), ERR_FULL);
    assert_int_equal(small.length, 0);
    assert_int_equal(frame_write_close(&small, FRAME_CLOSE_NORMAL, NULL), 0);
    assert_int_equal((uint8_t)small.data[0], 0x88);
    buf_free(&small);
}

/* ---- the upgrade ---- */

#define KEY    "dGhlIHNhbXBsZSBub25jZQ==" /* the example of RFC 6455, 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define HEAD   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

static int judge(const char *text, size_t *ret_used, struct err *e)
{
    size_t used = 0;
    int rc = handshake_read(text, strlen(text), KEY, &used, e);
    if (ret_used)
        *ret_used = used;
    return rc;
}

static void a_right_upgrade_is_accepted(void **state)
{
    (void)state;
    static const char good[] = HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n";
    struct err e = ERR_NONE;
    for (size_t length = 0; length < sizeof good - 1; length++) {
        size_t used = 7;
        assert_int_equal(handshake_read(good, length, KEY, &used, &e), 0);
        assert_int_equal(used, 0);
    }
    size_t used = 0;
    assert_int_equal(
        judge(HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n\x81\x02{}", &used, &e), 0);
    assert_int_equal(used, sizeof good - 1);
    assert_int_equal(
        judge("HTTP/1.1 101 \r\nupgrade:WebSocket\r\nCONNECTION: keep-alive ,Upgrade\r\n"
              "X-Other: y\r\nsec-websocket-accept:\t" ACCEPT " \r\n\r\n",
            NULL, &e),
        0);
    struct buf out = buf_new(4096);
    assert_int_equal(handshake_write(&out, "127.0.0.1:9229", "/id", KEY, &e), 0);
    assert_string_equal(out.data,
        "GET /id HTTP/1.1\r\nHost: 127.0.0.1:9229\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n");
    buf_free(&out);
    char key[HANDSHAKE_KEY_SIZE], other[HANDSHAKE_KEY_SIZE];
    assert_int_equal(handshake_make_key(key, &e), 0);
    assert_int_equal(handshake_make_key(other, &e), 0);
    assert_int_equal(strlen(key), 24);
    assert_string_not_equal(key, other);
}

static void a_wrong_upgrade_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        int code;
    } cases[] = {
        {"HTTP/1.0 400 Bad Request\r\nX: y\r\n\r\n", "HTTP 400 Bad Request", ERR_UNREACHABLE},
        {"HTTP/1.1 200 OK\r\n\r\n", "HTTP 200", ERR_UNREACHABLE},
        {"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP", ERR_PROTOCOL},
        {"HTTP/1.1\r\n\r\n", "not HTTP", ERR_PROTOCOL},
        {"HTTP/1.1 abc\r\n\r\n", "not HTTP", ERR_PROTOCOL},
        {HEAD "\r\n", "lacks its Sec-WebSocket-Accept", ERR_PROTOCOL},
        {HEAD "Sec-WebSocket-Accept: AAAA\r\n\r\n", "our key is wrong", ERR_PROTOCOL},
        {HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
            "our key is wrong", ERR_PROTOCOL},
        {HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\nSec-WebSocket-Protocol: x\r\n\r\n",
            "not offered", ERR_PROTOCOL},
        {HEAD "Sec-WebSocket-Accept: " ACCEPT
              "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            "not offered", ERR_PROTOCOL},
        {"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
            "lacks its Upgrade", ERR_PROTOCOL},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: "
         "close\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
            "lacks its Connection", ERR_PROTOCOL},
        {HEAD " folded: x\r\n\r\n", "bad header", ERR_PROTOCOL},
        {HEAD ": x\r\n\r\n", "bad header", ERR_PROTOCOL},
        {HEAD "no colon\r\n\r\n", "bad header", ERR_PROTOCOL},
        {HEAD "A: \x01\r\n\r\n", "control character", ERR_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_NONE;
        int rc = judge(cases[i].text, NULL, &e);
        if (rc != cases[i].code || !strstr(e.text, cases[i].says))
            fail_msg("case %zu: %d %s", i, rc, e.text);
    }
    static char endless[HANDSHAKE_HEAD_MAX + 1];
    memset(endless, 'x', sizeof endless - 1);
    memcpy(endless, HEAD "A: ", strlen(HEAD "A: "));
    struct err e = ERR_NONE;
    assert_int_equal(judge(endless, NULL, &e), ERR_PROTOCOL);
}

/* ---- the route ---- */

#define CHUNK  "{\"method\":\"HeapProfiler.addHeapSnapshotChunk\",\"params\":{\"chunk\":\""
#define WORKER "{\"method\":\"NodeWorker.receivedMessageFromWorker\",\"params\":{\"sessionId\":\""

static void the_bulk_is_recognised_and_the_rest_is_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        enum route_kind kind;
        const char *text, *id;
    } cases[] = {
        {CHUNK "\\\"nodes\\\":[1]\"}}", ROUTE_CHUNK, "\\\"nodes\\\":[1]", ""},
        {CHUNK "\"}}", ROUTE_CHUNK, "", ""},
        {WORKER "1\",\"message\":\"{\\\"id\\\":1}\"}}", ROUTE_WORKER, "{\\\"id\\\":1}", "1"},
        {WORKER "\",\"message\":\"\"}}", ROUTE_WORKER, "", ""},
        {CHUNK, ROUTE_JSON, "", ""},
        {CHUNK "}}", ROUTE_JSON, "", ""},
        {CHUNK "x\"}", ROUTE_JSON, "", ""},
        {CHUNK "x\"} }", ROUTE_JSON, "", ""},
        {WORKER "1\"}}", ROUTE_JSON, "", ""},
        {WORKER "\\u0031\",\"message\":\"x\"}}", ROUTE_JSON, "", ""},
        {WORKER "1\",\"message\":\"}}", ROUTE_JSON, "", ""},
        {WORKER "1\",\"other\":\"x\"}}", ROUTE_JSON, "", ""},
        {" " CHUNK "x\"}}", ROUTE_JSON, "", ""},
        {"{\"id\":1,\"result\":{}}", ROUTE_JSON, "", ""},
        {"\"}}", ROUTE_JSON, "", ""},
        {"", ROUTE_JSON, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route r = route_message(cases[i].message, strlen(cases[i].message));
        if (r.kind != cases[i].kind || r.length != strlen(cases[i].text) ||
            memcmp(r.text ? r.text : "", cases[i].text, r.length) != 0 ||
            r.session_id_length != strlen(cases[i].id) ||
            memcmp(r.session_id ? r.session_id : "", cases[i].id, r.session_id_length) != 0)
            fail_msg("case %zu: kind %d", i, r.kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_whole_however_they_are_cut),
        cmocka_unit_test(a_message_of_many_megabytes_arrives),
        cmocka_unit_test(a_lying_peer_is_caught),
        cmocka_unit_test(fragments_cannot_pass_the_cap_together),
        cmocka_unit_test(what_we_send_is_one_masked_frame),
        cmocka_unit_test(a_right_upgrade_is_accepted),
        cmocka_unit_test(a_wrong_upgrade_is_refused),
        cmocka_unit_test(the_bulk_is_recognised_and_the_rest_is_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
