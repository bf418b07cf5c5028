/* Words filled into lines that fit the terminal. */
#include "show/fill.h"

#include <string.h>

#include "base/text.h"

#define PROSE_WIDTH 78  /* without a terminal */
#define PROSE_MAX   100 /* longer lines are hard to read */

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

int show_fill(const struct show_out *o, const char *text, size_t length, size_t at, size_t indent,
    struct err *e)
{
    struct buf word = buf_new(4 * length + 1); /* \xNN for a byte is the most */
    const char *end = text + length;
    size_t column = at;
    bool first = true;
    int rc = 0;
    while (rc == 0) {
        while (text < end && is_blank(*text))
            text++;
        const char *begin = text;
        while (text < end && !is_blank(*text))
            text++;
        if (text == begin)
            break;
        buf_clear(&word);
        rc = text_add_visible(&word, begin, (size_t)(text - begin));
        if (rc || word.length == 0)
            continue;
        size_t columns = text_columns(word.data, word.length);
        if (!first && o->width && column + 1 + columns > o->width && column > indent) {
            fprintf(o->file, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', o->file);
            column++;
        }
        fwrite(word.data, 1, word.length, o->file);
        column += columns;
        first = false;
    }
    fputc('\n', o->file);
    buf_free(&word);
    return rc ? err_set(e, rc, "out of memory") : 0;
}

struct show_out show_prose(const struct show_out *o)
{
    struct show_out prose = *o;
    prose.width = o->width == 0 ? PROSE_WIDTH : o->width > PROSE_MAX ? PROSE_MAX : o->width;
    return prose;
}

/* Bytes up to the end of the paragraph, or of the line if that stands as it is. */
static size_t part_length(const char *text)
{
    size_t length = 0;
    do {
        length += strcspn(text + length, "\n");
        length += text[length] == '\n';
    } while (*text != ' ' && text[length] && text[length] != ' ' && text[length] != '\n');
    return length;
}

void show_page(const struct show_out *o, const char *text)
{
    struct show_out prose = show_prose(o);
    struct err ignored = ERR_NONE;
    while (*text) {
        size_t length = part_length(text);
        if (*text == ' ' || *text == '\n')
            fwrite(text, 1, length, o->file);
        else
            (void)!show_fill(&prose, text, length, 0, 0, &ignored);
        text += length;
    }
}
