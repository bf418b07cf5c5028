/* Where a command prints, by its settings. */
#include "command/sink.h"

static int read_color(const struct settings *s, enum show_color *ret, struct err *e)
{
    return show_parse_color(settings_text(s, SET_COLOR), ret, e);
}

int sink_open(const struct settings *s, struct show_out *ret, struct err *e)
{
    enum show_color color;
    int rc = read_color(s, &color, e);
    if (rc)
        return rc;
    bool json = settings_flag(s, SET_JSON), csv = settings_flag(s, SET_CSV);
    if (json && csv)
        return err_set(e, ERR_USAGE, "--json and --csv cannot both be had");
    *ret = show_out_new(stdout, json ? SHOW_JSON : csv ? SHOW_CSV : SHOW_TEXT, color);
    return 0;
}

int sink_of(const struct invocation *in, struct show_out *ret, struct err *e)
{
    struct show_out out;
    int rc = sink_open(in->settings, &out, e);
    if (rc == 0 && in->embedding) {
        enum show_format format = out.format;
        out = *in->embedding->out;
        out.format = format;
    }
    if (rc == 0)
        *ret = out;
    return rc;
}

int sink_open_errors(const struct settings *s, struct show_out *ret, struct err *e)
{
    enum show_color color;
    int rc = read_color(s, &color, e);
    if (rc == 0)
        *ret = show_out_new(stderr, SHOW_TEXT, color);
    return rc;
}
