/* Pieces of a capture into the writer's blocks, without a copy where there is room. */
#include "collect/intake.h"

#include "cdp/unescape.h"
#include "cdp/connection.h"

#include <stdlib.h>
#include <string.h>

#define REST_MAX (CDP_MESSAGE_MAX)

static int decode(
    struct intake *i, const char *escaped, size_t length, size_t *ret_used, struct err *e)
{
    size_t used = 0;
    while (used < length) {
        char *space;
        size_t size, consumed, produced;
        if (capture_file_space(i->file, UNESCAPE_MIN_ROOM, &space, &size) != 0)
            break;
        int rc = unescape(escaped + used, length - used, space, size, &consumed, &produced, e);
        if (rc)
            return err_context(e, "the target sent a broken piece of the snapshot");
        capture_file_commit(i->file, produced);
        used += consumed;
    }
    *ret_used = used;
    return 0;
}

/* The connection is paused then, but what it had read already still comes. */
static int keep(struct intake *i, const char *more, size_t length, struct err *e)
{
    size_t old = i->rest ? i->rest_length - i->rest_used : 0;
    char *rest = length <= REST_MAX - old ? malloc(old + length) : NULL;
    if (!rest)
        return err_set(e, ERR_NOMEM, "no memory for a piece of the snapshot");
    if (old)
        memcpy(rest, i->rest + i->rest_used, old);
    memcpy(rest + old, more, length);
    free(i->rest);
    i->rest = rest;
    i->rest_length = old + length;
    i->rest_used = 0;
    return 0;
}

int intake_add(struct intake *i, const char *escaped, size_t length, struct err *e)
{
    size_t used = 0;
    int rc = i->rest ? 0 : decode(i, escaped, length, &used, e);
    if (rc == 0 && used < length)
        rc = keep(i, escaped + used, length - used, e);
    return rc;
}

int intake_go_on(struct intake *i, struct err *e)
{
    size_t used;
    if (!i->rest)
        return 0;
    int rc = decode(i, i->rest + i->rest_used, i->rest_length - i->rest_used, &used, e);
    if (rc)
        return rc;
    i->rest_used += used;
    if (i->rest_used == i->rest_length)
        intake_free(i);
    return 0;
}

bool intake_is_full(const struct intake *i)
{
    return i->rest != NULL;
}

void intake_free(struct intake *i)
{
    free(i->rest);
    i->rest = NULL;
}
