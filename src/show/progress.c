/* The progress line: bar, share, amount, rate and forecast, redrawn in place. */
#include "show/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "show/fit.h"

/* The rate is that of the last seconds: steady enough to read, quick enough to follow a stall. */
#define RATE_WINDOW_US 5000000
#define RATE_SAMPLES   ((size_t)(RATE_WINDOW_US / PROGRESS_INTERVAL_US))
/* A forecast from less time than this is a guess. */
#define FORECAST_US    500000
#define BAR_MAX        30
#define BAR_MIN        8
#define LINE_MAX_BYTES 4096
#define TEXT_COLUMNS   40 /* of the phase's text */
#define CLEAR          "\r\x1b[K"

struct sample {
    int64_t at_us;
    int64_t done;
};

struct show_progress {
    struct show_out out;
    struct buf text; /* of the phase, visible */
    enum show_unit unit;
    int64_t done, total;
    int64_t began_us;
    int64_t drawn_us; /* -1: not yet */
    bool on_screen;
    struct sample samples[RATE_SAMPLES]; /* ring, oldest at first */
    size_t first, count;
};

struct show_progress *show_progress_new(const struct show_out *o)
{
    struct show_progress *p = o->tty ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->out = *o;
    p->text = buf_new(LINE_MAX_BYTES);
    p->drawn_us = -1;
    return p;
}

void show_progress_clear(struct show_progress *p)
{
    if (!p || !p->on_screen)
        return;
    fputs(CLEAR, p->out.file);
    (void)fflush(p->out.file);
    p->on_screen = false;
    p->drawn_us = -1;
}

void show_progress_free(struct show_progress *p)
{
    if (!p)
        return;
    show_progress_clear(p);
    buf_free(&p->text);
    free(p);
}

static void keep_sample(struct show_progress *p, int64_t now_us)
{
    while (p->count > 0 && now_us - p->samples[p->first].at_us > RATE_WINDOW_US) {
        p->first = (p->first + 1) % RATE_SAMPLES;
        p->count--;
    }
    if (p->count == RATE_SAMPLES) {
        p->first = (p->first + 1) % RATE_SAMPLES;
        p->count--;
    }
    p->samples[(p->first + p->count) % RATE_SAMPLES] = (struct sample){now_us, p->done};
    p->count++;
}

/* Units a second over the window; 0 while unknown. */
static double rate(const struct show_progress *p)
{
    if (p->count < 2)
        return 0;
    const struct sample *old = &p->samples[p->first];
    const struct sample *new = &p->samples[(p->first + p->count - 1) % RATE_SAMPLES];
    if (new->at_us - old->at_us < FORECAST_US)
        return 0;
    return (double)(new->done - old->done) * 1e6 / (double)(new->at_us - old->at_us);
}

static int add_bar(struct buf *line, const struct show_progress *p, double share, size_t columns)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int rc = 0;
    size_t eighth = (size_t)(share * 8 * (double)columns);
    size_t full = eighth / 8, used = full;
    rc = buf_add_text(line, p->out.unicode ? "" : "[");
    for (size_t i = 0; i < full && rc == 0; i++)
        rc = buf_add_text(line, p->out.unicode ? "█" : "#");
    if (rc == 0 && p->out.unicode && eighth % 8) {
        rc = buf_add_text(line, eighths[eighth % 8]);
        used++;
    }
    for (; used < columns && rc == 0; used++)
        rc = buf_add_text(line, p->out.unicode ? "░" : ".");
    return rc ? rc : buf_add_text(line, p->out.unicode ? "" : "]");
}

static int add_amount(struct buf *line, const struct show_progress *p, double per_second)
{
    char text[TEXT_SHORT];
    int rc = 0;
    if (p->unit == SHOW_UNIT_BYTES) {
        rc = buf_addf(line, "  %s", text_size(text, (double)p->done));
        if (rc == 0 && per_second > 0)
            rc = buf_addf(line, "  %s/s", text_size(text, per_second));
    } else if (p->unit == SHOW_UNIT_COUNT) {
        rc = buf_addf(line, "  %s", text_count(text, p->done));
        if (rc == 0 && per_second > 0)
            rc = buf_addf(line, "  %s/s", text_count(text, llround(per_second)));
    }
    return rc;
}

/* A time that is less than a millisecond is none worth reading. */
static char *time_text(char out[TEXT_SHORT], int64_t us)
{
    if (us < 1000)
        snprintf(out, TEXT_SHORT, "0 ms");
    else
        (void)text_duration(out, us);
    return out;
}

/* What stands behind the bar: share, amount, rate, forecast or time so far. */
static int add_figures(
    struct buf *line, const struct show_progress *p, double share, int64_t now_us)
{
    char text[TEXT_SHORT];
    double per_second = rate(p);
    int rc = 0;
    if (p->total > 0)
        rc = buf_addf(line, " %3.0f %%", floor(100 * share));
    if (rc == 0)
        rc = add_amount(line, p, per_second);
    if (rc != 0)
        return rc;
    double left_us = per_second > 0 ? (double)(p->total - p->done) * 1e6 / per_second : -1;
    if (p->total > p->done && left_us >= 0 && left_us < 1e14)
        return buf_addf(line, "  %s left", time_text(text, (int64_t)left_us));
    return buf_addf(line, "  %s", time_text(text, now_us - p->began_us));
}

static int compose(struct buf *line, const struct show_progress *p, int64_t now_us)
{
    size_t now_wide = show_width(p->out.file); /* windows are resized */
    size_t width = now_wide ? now_wide : p->out.width ? p->out.width : 80;
    double share = p->total > 0 ? (double)p->done / (double)p->total : 0;
    struct buf figures = buf_new(LINE_MAX_BYTES);
    share = share > 1 ? 1 : share < 0 ? 0 : share;
    int rc = add_figures(&figures, p, share, now_us);
    if (rc == 0) {
        size_t right = text_columns(figures.data, figures.length);
        size_t room = width - 1 > right ? width - 1 - right : 0; /* the last column would wrap */
        size_t text_most = room < TEXT_COLUMNS ? room : TEXT_COLUMNS;
        rc = fit_add(
            line, p->text.length ? p->text.data : "", p->text.length, text_most, p->out.unicode);
        size_t used = line->length ? text_columns(line->data, line->length) : 0;
        size_t frame = p->out.unicode ? 2 : 4; /* two spaces, brackets */
        if (rc == 0 && p->total > 0 && room >= used + frame + BAR_MIN) {
            size_t bar = room - used - frame;
            rc = buf_add_text(line, "  ");
            if (rc == 0)
                rc = add_bar(line, p, share, bar < BAR_MAX ? bar : BAR_MAX);
        }
    }
    if (rc == 0)
        rc = buf_add(line, figures.data, figures.length);
    buf_free(&figures);
    return rc;
}

static void draw(struct show_progress *p, int64_t now_us)
{
    if (p->drawn_us >= 0 && now_us - p->drawn_us < PROGRESS_INTERVAL_US)
        return;
    struct buf line = buf_new(LINE_MAX_BYTES);
    keep_sample(p, now_us);
    if (compose(&line, p, now_us) == 0) {
        fprintf(p->out.file, CLEAR "%s", line.data);
        (void)fflush(p->out.file);
        p->on_screen = true;
        p->drawn_us = now_us;
    }
    buf_free(&line);
}

void show_progress_begin(
    struct show_progress *p, const char *text, enum show_unit unit, int64_t total, int64_t now_us)
{
    if (!p)
        return;
    buf_clear(&p->text);
    if (text_add_visible(&p->text, text, strlen(text)) != 0)
        buf_clear(&p->text);
    p->unit = unit;
    p->done = 0;
    p->total = total;
    p->began_us = now_us;
    p->first = p->count = 0;
    draw(p, now_us);
}

void show_progress_at(struct show_progress *p, int64_t done, int64_t total, int64_t now_us)
{
    if (!p)
        return;
    p->done = done;
    if (total > 0)
        p->total = total;
    draw(p, now_us);
}
