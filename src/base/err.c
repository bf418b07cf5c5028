/* Errors: formatting, context, and the one mapping from codes to exit codes. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *format, ...)
{
    if (e) {
        va_list args;
        e->code = code;
        e->position = -1;
        va_start(args, format);
        vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
    }
    return code;
}

int err_set_errno(struct err *e, int code, int errno_value, const char *format, ...)
{
    if (errno_value == ENOSPC || errno_value == EDQUOT)
        code = ERR_NOSPACE;
    if (e) {
        va_list args;
        e->code = code;
        e->position = -1;
        va_start(args, format);
        int used = vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof e->text)
            snprintf(e->text + used, sizeof e->text - (size_t)used, ": %s", strerror(errno_value));
    }
    return code;
}

int err_context(struct err *e, const char *format, ...)
{
    if (!e)
        return ERR_INTERNAL;
    char context[ERR_TEXT_MAX];
    char joined[2 * ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    snprintf(joined, sizeof joined, "%s: %s", context, e->text);
    size_t keep = strnlen(joined, sizeof e->text - 1);
    memcpy(e->text, joined, keep);
    e->text[keep] = '\0';
    return e->code;
}

int err_exit_code(int code)
{
    switch ((enum err_code)code) {
    case ERR_USAGE: return 2;
    case ERR_UNREACHABLE:
    case ERR_LOST:
    case ERR_PROTOCOL:
    case ERR_TARGET: return 3;
    case ERR_CAPTURE:
    case ERR_REFUSED:
    case ERR_NOSPACE:
    case ERR_IO: return 4;
    case ERR_DB: return 5;
    case ERR_FORMAT: return 6;
    case ERR_TIMEOUT: return 124;
    case ERR_CANCELLED: return 130;
    case ERR_NOMEM:
    case ERR_FULL:
    case ERR_INTERNAL: return 4;
    }
    return code == 0 ? 0 : 4;
}
