/* Rows on their way to the writer: copied into flat memory, read back in order. */
#ifndef HEAPTAP_STORE_PACKET_H
#define HEAPTAP_STORE_PACKET_H

#include "base/buf.h"
#include "base/uuid.h"
#include "store/table.h"

struct packet_value {
    enum { PACKET_NULL, PACKET_INTEGER, PACKET_REAL, PACKET_TEXT } type;
    union {
        int64_t integer;
        double real;
        struct {
            const char *text; /* borrowed from the packet; any bytes */
            size_t length;
        };
    };
};

struct packet {
    enum store_table table;
    int64_t seq;        /* 0 for a state: the writer gives it */
    const char *run_id; /* NUL-terminated, borrowed from the packet */
    size_t value_count;
    struct packet_value values[STORE_COLUMNS_MAX]; /* in the order of the table's columns */
};

/* Bytes that a row will take. */
size_t packet_size(enum store_table table, const void *row);
/* Copies a row to the end of out; run_id is a UUID text. ERR_FULL or ERR_NOMEM: out is as it was.
 */
int packet_add(struct buf *out, enum store_table table, const char run_id[UUID_TEXT_SIZE],
    int64_t seq, const void *row) MUST_USE;
/* Reads the packet at *offset and moves on; false at the end. */
bool packet_next(const struct buf *in, size_t *offset, struct packet *ret_packet);
/* The values of a row without a copy of its texts. */
void packet_read_row(enum store_table table, const void *row, struct packet_value *values);

#endif
