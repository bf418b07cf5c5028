/* WebSocket frames (RFC 6455) as a client sees them: bytes in, whole messages out; and back. */
#ifndef HEAPTAP_CDP_FRAME_H
#define HEAPTAP_CDP_FRAME_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define FRAME_CONTROL_MAX 125 /* bytes of a ping, pong or close (RFC 6455, 5.5) */
#define FRAME_HEADER_MAX  14  /* 2 bytes, 8 of length, 4 of mask */

enum frame_event {
    FRAME_MORE, /* all bytes are used, and no message is complete */
    FRAME_TEXT,
    FRAME_PING,
    FRAME_PONG,
    FRAME_CLOSE,
};

struct frame_reader;

/* message_max: bytes that one text may have. */
int frame_reader_new(
    uint64_t message_max, struct frame_reader **ret_reader, struct err *e) MUST_USE;
void frame_reader_free(struct frame_reader *r); /* NULL is fine */

/* Reads on in bytes[0..length) until something is complete. ret_used says how many bytes were taken
 * (with FRAME_MORE all of them); some may be kept inside, so call it again, even with length 0,
 * until it says FRAME_MORE. What was read is in ret_text[0..ret_length) until the next call: the
 * text, or the control frame's payload. ERR_PROTOCOL tells what the peer did: masked frames,
 * reserved bits, binary, broken fragments, lengths over message_max. */
int frame_read(struct frame_reader *r, const void *bytes, size_t length, size_t *ret_used,
    enum frame_event *ret_event, const char **ret_text, size_t *ret_length, struct err *e) MUST_USE;

/* Appends one whole masked frame to out. */
int frame_write_text(struct buf *out, const char *text, size_t length, struct err *e) MUST_USE;
int frame_write_pong(struct buf *out, const char *payload, size_t length, struct err *e) MUST_USE;
int frame_write_close(struct buf *out, uint16_t code, struct err *e) MUST_USE;

/* The code of a close frame's payload, 1005 (none) if it has none. */
uint16_t frame_close_code(const char *payload, size_t length);
enum { FRAME_CLOSE_NORMAL = 1000, FRAME_CLOSE_PROTOCOL = 1002, FRAME_CLOSE_NONE = 1005 };

#endif
