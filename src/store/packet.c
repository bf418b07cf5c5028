/* Rows in flat memory. A packet is a head and then one value after the other: a type byte, and
 * eight bytes, or a length and the bytes of a text. */
#include "store/packet.h"

#include <assert.h>
#include <string.h>

struct head {
    uint32_t size; /* of the whole packet */
    uint32_t table;
    int64_t seq;
    char run_id[UUID_TEXT_SIZE];
};

/* More than a name can be, and keeps sizes within 32 bits. */
#define TEXT_MAX_BYTES ((size_t)16 << 20)

void packet_read_row(enum store_table table, const void *row, struct packet_value *values)
{
    const struct store_table_info *info = &store_tables[table];
    for (size_t i = 0; i < info->column_count; i++) {
        const char *field = (const char *)row + info->columns[i].offset;
        struct packet_value *value = &values[i];
        *value = (struct packet_value){.type = PACKET_NULL};
        switch (info->columns[i].kind) {
        case STORE_TIME:
        case STORE_INTEGER:
        case STORE_COUNTER:
            memcpy(&value->integer, field, sizeof value->integer);
            if (value->integer !=
                (info->columns[i].kind == STORE_TIME ? 0 : (int64_t)STORE_NO_INTEGER))
                value->type = PACKET_INTEGER;
            break;
        case STORE_REAL:
        case STORE_MB:
            memcpy(&value->real, field, sizeof value->real);
            if (isfinite(value->real))
                value->type = PACKET_REAL;
            if (info->columns[i].kind == STORE_MB)
                value->real /= 1048576;
            break;
        case STORE_TEXT:
            memcpy(&value->text, field, sizeof value->text);
            if (value->text) {
                value->type = PACKET_TEXT;
                value->length = strnlen(value->text, TEXT_MAX_BYTES);
            }
            break;
        }
    }
}

static size_t value_size(const struct packet_value *value)
{
    switch (value->type) {
    case PACKET_NULL: return 1;
    case PACKET_TEXT: return 1 + sizeof(uint32_t) + value->length;
    default: return 1 + sizeof value->integer;
    }
}

static size_t values_size(enum store_table table, const struct packet_value *values)
{
    size_t size = sizeof(struct head);
    for (size_t i = 0; i < store_tables[table].column_count; i++)
        size += value_size(&values[i]);
    return size;
}

size_t packet_size(enum store_table table, const void *row)
{
    struct packet_value values[STORE_COLUMNS_MAX];
    packet_read_row(table, row, values);
    return values_size(table, values);
}

static char *put(char *to, const void *bytes, size_t count)
{
    memcpy(to, bytes, count);
    return to + count;
}

int packet_add(struct buf *out, enum store_table table, const char run_id[UUID_TEXT_SIZE],
    int64_t seq, const void *row)
{
    struct packet_value values[STORE_COLUMNS_MAX];
    packet_read_row(table, row, values);
    size_t size = values_size(table, values);
    if (size > UINT32_MAX)
        return ERR_FULL;
    int rc = buf_reserve(out, size);
    if (rc != 0)
        return rc;
    struct head head = {.size = (uint32_t)size, .table = (uint32_t)table, .seq = seq};
    memcpy(head.run_id, run_id, UUID_TEXT_SIZE);
    char *to = put(out->data + out->length, &head, sizeof head);
    for (size_t i = 0; i < store_tables[table].column_count; i++) {
        unsigned char type = (unsigned char)values[i].type;
        to = put(to, &type, 1);
        if (values[i].type == PACKET_TEXT) {
            uint32_t length = (uint32_t)values[i].length;
            to = put(to, &length, sizeof length);
            to = put(to, values[i].text, length);
        } else if (values[i].type != PACKET_NULL) {
            to = put(to, &values[i].integer, sizeof values[i].integer);
        }
    }
    assert(to == out->data + out->length + size);
    out->length += size;
    return 0;
}

bool packet_next(const struct buf *in, size_t *offset, struct packet *p)
{
    struct head head;
    if (*offset >= in->length)
        return false;
    const char *from = in->data + *offset;
    memcpy(&head, from, sizeof head);
    p->table = (enum store_table)head.table;
    p->seq = head.seq;
    p->run_id = from + offsetof(struct head, run_id);
    p->value_count = store_tables[p->table].column_count;
    from += sizeof head;
    for (size_t i = 0; i < p->value_count; i++) {
        struct packet_value *value = &p->values[i];
        value->type = (unsigned char)*from++;
        if (value->type == PACKET_TEXT) {
            uint32_t length;
            memcpy(&length, from, sizeof length);
            value->text = from + sizeof length;
            value->length = length;
            from += sizeof length + length;
        } else if (value->type != PACKET_NULL) {
            memcpy(&value->integer, from, sizeof value->integer);
            from += sizeof value->integer;
        }
    }
    *offset += head.size;
    return true;
}
