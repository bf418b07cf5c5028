/* WebSocket frames, over wslay's frame layer. (Its event layer checks UTF-8 byte by byte, which
 * costs more than all the rest of receiving a snapshot; json_parse checks what is parsed.) */
#include "cdp/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

#define KEEP_MAX (4 << 20) /* a larger message buffer is given back after its message */

struct frame_reader {
    wslay_frame_context_ptr wslay;
    const uint8_t *input; /* what wslay has not taken yet, borrowed during frame_read */
    size_t input_left;
    bool in_frame;       /* a header was read, its payload not yet all */
    bool in_message;     /* a text frame without FIN came */
    bool deliver_text;   /* the text was handed out: empty it at the next call */
    uint64_t frame_left; /* payload bytes still to come */
    uint8_t opcode;      /* of the frame */
    bool fin;
    struct buf text;
    size_t control_length;
    char control[FRAME_CONTROL_MAX];
};

static ssize_t take_input(uint8_t *out, size_t length, int flags, void *arg)
{
    (void)flags;
    struct frame_reader *r = arg;
    if (r->input_left == 0)
        return -1;
    if (length > r->input_left)
        length = r->input_left;
    memcpy(out, r->input, length);
    r->input += length;
    r->input_left -= length;
    return (ssize_t)length;
}

int frame_reader_new(uint64_t message_max, struct frame_reader **ret_reader, struct err *e)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = take_input};
    struct frame_reader *r = calloc(1, sizeof *r);
    if (!r || wslay_frame_context_init(&r->wslay, &callbacks, r) != 0) {
        free(r);
        return err_set(e, ERR_NOMEM, "out of memory for a WebSocket");
    }
    r->text = buf_new(message_max);
    *ret_reader = r;
    return 0;
}

void frame_reader_free(struct frame_reader *r)
{
    if (!r)
        return;
    wslay_frame_context_free(r->wslay);
    buf_free(&r->text);
    free(r);
}

/* Judges a frame's header. */
static int begin_frame(struct frame_reader *r, const struct wslay_frame_iocb *io, struct err *e)
{
    if (io->mask)
        return err_set(e, ERR_PROTOCOL, "a masked WebSocket frame, which a server must not send");
    if (io->rsv)
        return err_set(e, ERR_PROTOCOL,
            "a WebSocket frame with reserved bits %u%u%u, which mean nothing here",
            wslay_get_rsv1(io->rsv), wslay_get_rsv2(io->rsv), wslay_get_rsv3(io->rsv));
    bool data = io->opcode == WSLAY_TEXT_FRAME || io->opcode == WSLAY_CONTINUATION_FRAME;
    if (!data && io->opcode != WSLAY_CONNECTION_CLOSE && io->opcode != WSLAY_PING &&
        io->opcode != WSLAY_PONG)
        return err_set(e, ERR_PROTOCOL, "a WebSocket frame of opcode 0x%x%s", io->opcode,
            io->opcode == WSLAY_BINARY_FRAME ? " (binary), where only text belongs" : "");
    if (data && (io->opcode == WSLAY_CONTINUATION_FRAME) != r->in_message)
        return err_set(e, ERR_PROTOCOL,
            r->in_message ? "a new WebSocket message within a fragmented one"
                          : "a WebSocket continuation frame without a beginning");
    if (data && io->payload_length > r->text.max - r->text.length)
        return err_set(e, ERR_PROTOCOL, "a WebSocket message over %zu bytes (a frame of %llu)",
            r->text.max, (unsigned long long)io->payload_length);
    assert(data || io->payload_length <= FRAME_CONTROL_MAX); /* wslay refused it otherwise */
    r->in_frame = true;
    r->frame_left = io->payload_length;
    r->opcode = io->opcode;
    r->fin = io->fin;
    if (!data)
        r->control_length = 0;
    return 0;
}

static int add_payload(struct frame_reader *r, const uint8_t *data, size_t length, struct err *e)
{
    assert(length <= r->frame_left);
    r->frame_left -= length;
    if (wslay_is_ctrl_frame(r->opcode)) {
        memcpy(r->control + r->control_length, data, length);
        r->control_length += length;
        return 0;
    }
    if (buf_add(&r->text, data, length))
        return err_set(e, ERR_NOMEM, "out of memory for a message of %zu bytes and more",
            r->text.length + length);
    return 0;
}

/* The frame is complete; what does that make? */
static enum frame_event end_frame(struct frame_reader *r)
{
    r->in_frame = false;
    switch (r->opcode) {
    case WSLAY_PING: return FRAME_PING;
    case WSLAY_PONG: return FRAME_PONG;
    case WSLAY_CONNECTION_CLOSE: return FRAME_CLOSE;
    default: break;
    }
    r->in_message = !r->fin;
    return r->fin ? FRAME_TEXT : FRAME_MORE;
}

static int read_until_event(struct frame_reader *r, enum frame_event *ret_event, struct err *e)
{
    enum frame_event event = FRAME_MORE;
    while (event == FRAME_MORE) {
        struct wslay_frame_iocb io = {0};
        ssize_t got = wslay_frame_recv(r->wslay, &io);
        if (got == WSLAY_ERR_WANT_READ)
            break;
        if (got == WSLAY_ERR_PROTO)
            return err_set(e, ERR_PROTOCOL,
                "a broken WebSocket frame: a fragmented or long control frame, or a badly written "
                "length");
        if (got < 0)
            return err_set(e, ERR_INTERNAL, "wslay_frame_recv says %zd", got);
        int rc = r->in_frame ? 0 : begin_frame(r, &io, e);
        if (!rc)
            rc = add_payload(r, io.data, (size_t)got, e);
        if (rc)
            return rc;
        if (r->frame_left == 0)
            event = end_frame(r);
    }
    *ret_event = event;
    return 0;
}

int frame_read(struct frame_reader *r, const void *bytes, size_t length, size_t *ret_used,
    enum frame_event *ret_event, const char **ret_text, size_t *ret_length, struct err *e)
{
    if (r->deliver_text) {
        r->deliver_text = false;
        if (r->text.capacity > KEEP_MAX)
            buf_free(&r->text);
        else
            buf_clear(&r->text);
    }
    enum frame_event event = FRAME_MORE;
    r->input = bytes;
    r->input_left = length;
    int rc = read_until_event(r, &event, e);
    *ret_used = length - r->input_left;
    r->input = NULL;
    r->input_left = 0;
    if (rc)
        return rc;
    r->deliver_text = event == FRAME_TEXT;
    *ret_text = event == FRAME_TEXT ? (r->text.data ? r->text.data : "") : r->control;
    *ret_length = event == FRAME_TEXT ? r->text.length : r->control_length;
    *ret_event = event;
    return 0;
}

/* ---- writing ---- */

static ssize_t add_output(const uint8_t *data, size_t length, int flags, void *arg)
{
    (void)flags;
    return buf_add(arg, data, length) == 0 ? (ssize_t)length : -1;
}

static int make_mask(uint8_t *out, size_t length, void *arg)
{
    (void)arg;
    return getrandom(out, length, 0) == (ssize_t)length ? 0 : -1;
}

static int write_frame(
    struct buf *out, uint8_t opcode, const char *payload, size_t length, struct err *e)
{
    static const struct wslay_frame_callbacks callbacks = {
        .send_callback = add_output, .genmask_callback = make_mask};
    if (buf_reserve(out, length + FRAME_HEADER_MAX))
        return err_set(e, ERR_FULL, "too much waits to be sent: %zu bytes", out->length);
    wslay_frame_context_ptr wslay;
    if (wslay_frame_context_init(&wslay, &callbacks, out) != 0)
        return err_set(e, ERR_NOMEM, "out of memory for a message");
    size_t before = out->length;
    struct wslay_frame_iocb io = {.fin = 1,
        .opcode = opcode,
        .mask = 1,
        .payload_length = length,
        .data = (const uint8_t *)payload,
        .data_length = length};
    int rc = 0;
    do { /* it may take only a part of the payload at a time */
        ssize_t sent = wslay_frame_send(wslay, &io);
        if (sent < 0) {
            out->length = before;
            rc = err_set(e, ERR_INTERNAL, "wslay_frame_send says %zd", sent);
            break;
        }
        io.data += sent;
        io.data_length -= (size_t)sent;
    } while (io.data_length > 0);
    wslay_frame_context_free(wslay);
    return rc;
}

int frame_write_text(struct buf *out, const char *text, size_t length, struct err *e)
{
    return write_frame(out, WSLAY_TEXT_FRAME, text, length, e);
}

int frame_write_pong(struct buf *out, const char *payload, size_t length, struct err *e)
{
    assert(length <= FRAME_CONTROL_MAX);
    return write_frame(out, WSLAY_PONG, payload, length, e);
}

int frame_write_close(struct buf *out, uint16_t code, struct err *e)
{
    const char payload[2] = {(char)(code >> 8), (char)(code & 0xff)};
    return write_frame(out, WSLAY_CONNECTION_CLOSE, payload, sizeof payload, e);
}

uint16_t frame_close_code(const char *payload, size_t length)
{
    if (length < 2)
        return FRAME_CLOSE_NONE;
    return (uint16_t)((uint8_t)payload[0] << 8 | (uint8_t)payload[1]);
}
