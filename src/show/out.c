/* The sink: what a terminal can do, styles, and whether all that was printed arrived. */
#include "show/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

/* Narrower than this nothing fits; wider is a wrong answer of the terminal. */
#define WIDTH_MIN 20
#define WIDTH_MAX 10000

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

static bool locale_is_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (is_set(variables[i])) {
            const char *value = getenv(variables[i]);
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
        }
    }
    return false;
}

size_t show_width(FILE *file)
{
    struct winsize size;
    int fd = fileno(file);
    if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) != 0)
        return 0;
    if (size.ws_col == 0) /* a terminal that does not know, such as a serial line */
        return 80;
    return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col > WIDTH_MAX ? WIDTH_MAX : size.ws_col;
}

struct show_out show_out_new(FILE *file, enum show_format format, enum show_color color)
{
    struct show_out o = {.file = file, .format = format};
    int fd = fileno(file);
    const char *term = getenv("TERM");
    o.tty = fd >= 0 && isatty(fd);
    o.width = o.tty ? show_width(file) : 0;
    o.color =
        color == SHOW_COLOR_ALWAYS || (color == SHOW_COLOR_AUTO && o.tty && !is_set("NO_COLOR") &&
                                          term && *term && strcmp(term, "dumb") != 0);
    o.unicode = locale_is_utf8();
    return o;
}

int show_parse_color(const char *text, enum show_color *ret, struct err *e)
{
    static const char *const words[] = {
        [SHOW_COLOR_AUTO] = "auto", [SHOW_COLOR_ALWAYS] = "always", [SHOW_COLOR_NEVER] = "never"};
    for (int i = SHOW_COLOR_AUTO; i <= SHOW_COLOR_NEVER; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = (enum show_color)i;
            return 0;
        }
    }
    return err_set(e, ERR_USAGE, "\"%s\" is none of auto, always and never", text);
}

const char *show_on(const struct show_out *o, enum show_style style)
{
    static const char *const sequences[] = {[SHOW_BOLD] = "\x1b[1m",
        [SHOW_DIM] = "\x1b[2m",
        [SHOW_RED] = "\x1b[31m",
        [SHOW_YELLOW] = "\x1b[33m",
        [SHOW_GREEN] = "\x1b[32m"};
    return o->color ? sequences[style] : "";
}

const char *show_off(const struct show_out *o)
{
    return o->color ? "\x1b[0m" : "";
}

int show_text(const struct show_out *o, const char *text, size_t length, struct err *e)
{
    struct buf visible = buf_new(4 * length + 1); /* \xNN for a byte is the most */
    int rc = text_add_visible(&visible, text, length);
    if (rc == 0 && visible.length > 0)
        fwrite(visible.data, 1, visible.length, o->file);
    buf_free(&visible);
    return rc == 0 ? 0 : err_set(e, rc, "out of memory");
}

int show_out_finish(const struct show_out *o, struct err *e)
{
    if (fflush(o->file) == 0 && !ferror(o->file))
        return 0;
    if (errno == EPIPE)
        return 0;
    return err_set_errno(e, ERR_IO, errno, "cannot write the output");
}
