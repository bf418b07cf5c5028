/* Text for people and text from outside: what is parsed from options, printed in tables, and made
 * safe before it reaches a terminal or a database. */
#ifndef HEAPTAP_BASE_TEXT_H
#define HEAPTAP_BASE_TEXT_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* "500ms", "60s", "5m", "2h", "7d" (fractions allowed) to microseconds. A bare number is an error:
 * nobody can tell its unit. ERR_USAGE names the text and the forms that are understood. */
int text_parse_duration(const char *text, int64_t *ret_us, struct err *e) MUST_USE;

/* "512KB", "2GB", "512MiB", "4096" (bytes); every unit is 1024-based. */
int text_parse_size(const char *text, int64_t *ret_bytes, struct err *e) MUST_USE;

/* "10%" or "0.1" to 0.1; within 0 to 1. */
int text_parse_share(const char *text, double *ret_share, struct err *e) MUST_USE;

/* true|1|yes|on and false|0|no|off, in any case. */
int text_parse_bool(const char *text, bool *ret_value, struct err *e) MUST_USE;

/* A whole decimal number within [min, max]. */
int text_parse_integer(
    const char *text, int64_t min, int64_t max, int64_t *ret_value, struct err *e) MUST_USE;

#define TEXT_SHORT 32 /* bytes that the formatters below need at the most */

/* "18.2 MB"; 1 MB = 1048576 bytes. Returns out. */
char *text_size(char out[TEXT_SHORT], double bytes);
/* "1,234,567" */
char *text_count(char out[TEXT_SHORT], int64_t count);
/* "830 ms", "12.4 s", "3 m 20 s", "2 h 5 m" */
char *text_duration(char out[TEXT_SHORT], int64_t us);

/* Length of the UTF-8 sequence that starts text (1 to 4), 0 if the bytes are not valid UTF-8
 * (overlong forms, surrogates and values above U+10FFFF included). length is how many bytes may be
 * read. */
size_t text_utf8_sequence(const char *text, size_t length);
bool text_utf8_valid(const char *text, size_t length);

/* Appends text so that it cannot command a terminal: control characters (C0, DEL, C1, bidirectional
 * overrides, line separators) and invalid bytes come out as \xNN or \u{NNNN}, everything else as
 * is. */
int text_add_visible(struct buf *out, const char *text, size_t length) MUST_USE;

/* Appends JSON in which the same characters stand as \uNNNN, where a JSON printer left them as they
 * are: C1, bidirectional overrides and line separators. json is valid UTF-8. */
int text_add_visible_json(struct buf *out, const char *json, size_t length) MUST_USE;

/* Appends text as valid UTF-8 without NUL: what is not comes out as \xNN (escaped, not cut). */
int text_add_storable(struct buf *out, const char *text, size_t length) MUST_USE;

/* Columns that valid UTF-8 takes on a terminal (combining marks 0, wide characters 2). */
size_t text_columns(const char *text, size_t length);

/* Whether it is a word of decimal digits only, at least one. */
bool text_is_digits(const char *text);

/* Whether a script's URL names a file, as a path or with file:. NULL does not. */
bool text_is_file_url(const char *url);

/* A malloc'ed copy of a formatted text; NULL when memory is out. */
char *text_format(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
