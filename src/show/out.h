/* Where a command's answer goes and how it looks there: text for people, CSV or JSON. */
#ifndef HEAPTAP_SHOW_OUT_H
#define HEAPTAP_SHOW_OUT_H

#include "base/err.h"

#include <stddef.h>
#include <stdio.h>

enum show_format { SHOW_TEXT, SHOW_CSV, SHOW_JSON };

enum show_color { SHOW_COLOR_AUTO, SHOW_COLOR_ALWAYS, SHOW_COLOR_NEVER };

/* A plain value: copy it, change fields for a test. */
struct show_out {
    FILE *file; /* borrowed */
    enum show_format format;
    size_t width; /* columns to fit into; 0: no limit (not a terminal) */
    bool tty;
    bool color;
    bool unicode; /* block characters may be used */
};

/* Looks at file: is it a terminal, how wide, may it have colour (auto: a terminal, NO_COLOR unset
 * or empty, TERM not dumb) and block characters (the locale's variables say UTF-8). */
struct show_out show_out_new(FILE *file, enum show_format format, enum show_color color);

/* "auto", "always", "never"; ERR_USAGE otherwise. */
int show_parse_color(const char *text, enum show_color *ret, struct err *e) MUST_USE;

/* Columns of the terminal behind file, 0 if it is none. */
size_t show_width(FILE *file);

enum show_style { SHOW_BOLD, SHOW_DIM, SHOW_RED, SHOW_YELLOW, SHOW_GREEN };
/* The sequences that begin and end a style: "" without colour. */
const char *show_on(const struct show_out *o, enum show_style style);
const char *show_off(const struct show_out *o);

/* Prints text from outside so that it cannot command the terminal. */
int show_text(const struct show_out *o, const char *text, size_t length, struct err *e) MUST_USE;

/* Flushes. ERR_NOSPACE or ERR_IO if anything that was printed did not arrive: call it last. A
 * reader that went away (EPIPE, as with `| head`) is no error. */
int show_out_finish(const struct show_out *o, struct err *e) MUST_USE;

#endif
