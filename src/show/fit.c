/* Cutting text in the middle by terminal columns. */
#include "show/fit.h"

#include <string.h>

#include "base/text.h"

static size_t step_at(const char *text, size_t length)
{
    size_t step = text_utf8_sequence(text, length);
    return step ? step : 1;
}

int fit_add_spaces(struct buf *out, size_t count)
{
    static const char spaces[] = "                                ";
    int rc = 0;
    while (count > 0 && rc == 0) {
        size_t step = count < sizeof spaces - 1 ? count : sizeof spaces - 1;
        rc = buf_add(out, spaces, step);
        count -= step;
    }
    return rc;
}

int fit_add(struct buf *out, const char *text, size_t length, size_t columns, bool unicode)
{
    size_t all = text_columns(text, length);
    if (all <= columns)
        return buf_add(out, text, length);
    const char *mark = unicode ? "…" : "...";
    size_t mark_columns = unicode ? 1 : 3;
    if (columns <= mark_columns)
        return buf_add_text(out, columns < mark_columns ? "" : mark);
    size_t room = columns - mark_columns;
    size_t head_room = (room + 1) / 2, tail_room = room / 2;

    size_t head = 0, used = 0;
    while (head < length) {
        size_t step = step_at(text + head, length - head);
        size_t wide = text_columns(text + head, step);
        if (used + wide > head_room)
            break;
        used += wide;
        head += step;
    }
    size_t tail = head, left = all - used;
    while (tail < length) { /* a mark that combines with what was cut goes with it */
        size_t step = step_at(text + tail, length - tail);
        size_t wide = text_columns(text + tail, step);
        if (left <= tail_room && wide > 0)
            break;
        left -= wide;
        tail += step;
    }
    int rc = buf_add(out, text, head);
    if (rc == 0)
        rc = buf_add_text(out, mark);
    if (rc == 0)
        rc = buf_add(out, text + tail, length - tail);
    return rc;
}
