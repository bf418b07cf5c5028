/* Errors: one list of codes for the whole program, and the human detail that travels with them.
 *
 * A function that can fail returns 0 or one of the negative codes below, is marked MUST_USE, writes
 * its results only on success and describes a failure in its last argument, a `struct err *`.
 * Callers add context on the way up; only the top (src/command) prints, once. */
#ifndef HEAPTAP_BASE_ERR_H
#define HEAPTAP_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum err_code {
    ERR_NOMEM = -1,       /* memory, or an allocation larger than its cap */
    ERR_USAGE = -2,       /* the user's words: options, durations, target forms */
    ERR_UNREACHABLE = -3, /* nothing listens there, or it is no inspector */
    ERR_LOST = -4,        /* the target went away while we were using it */
    ERR_PROTOCOL = -5,    /* the peer broke WebSocket, HTTP, JSON or CDP */
    ERR_TARGET = -6,      /* the target answered a command with an error */
    ERR_CAPTURE = -7,     /* a capture failed after it had begun */
    ERR_REFUSED = -8,     /* the guard said no */
    ERR_DB = -9,          /* database: cannot open, wrong schema, statement failed */
    ERR_FORMAT = -10,     /* a file that is bad, truncated or foreign */
    ERR_IO = -11,         /* the operating system said no: permissions, missing file */
    ERR_NOSPACE = -12,    /* disk full, quota met */
    ERR_TIMEOUT = -13,    /* a deadline passed */
    ERR_CANCELLED = -14,  /* the user ended it */
    ERR_FULL = -15,       /* a bounded queue or table is full */
    ERR_INTERNAL = -16,   /* our own bug, said politely */
};

#define ERR_TEXT_MAX 1024 /* bytes; one line for a person, with room for a path and its context */

struct err {
    int code;         /* 0 or an enum err_code */
    int64_t position; /* byte position in the input, -1 where there is none */
    char
        text[ERR_TEXT_MAX]; /* one line, no newline; may hold bytes from outside: escape to print */
};

#define ERR_NONE ((struct err){.position = -1})

/* Describes a failure and returns code, so that `return err_set(...)` reads well. e may be NULL. */
int err_set(struct err *e, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* As err_set, with ": " and strerror(errno_value) behind it. */
int err_set_errno(struct err *e, int code, int errno_value, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Puts "context: " before what e says and returns e's code. */
int err_context(struct err *e, const char *format, ...) PRINTF_LIKE(2, 3);

/* The process exit code (design, section 1) that a code ends with. */
int err_exit_code(int code);

#endif
