/* Makes visible text fit a number of terminal columns: cut in the middle, or padded. */
#ifndef HEAPTAP_SHOW_FIT_H
#define HEAPTAP_SHOW_FIT_H

#include "base/buf.h"

/* Appends text (valid UTF-8, as text_add_visible makes it), cut in the middle to at most `columns`
 * if it is wider: names differ at both ends. unicode: "…" marks the cut, else "...". */
int fit_add(
    struct buf *out, const char *text, size_t length, size_t columns, bool unicode) MUST_USE;

int fit_add_spaces(struct buf *out, size_t count) MUST_USE;

#endif
