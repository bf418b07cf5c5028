/* The plot of a timeline while it records. */
#include "command/liveplot.h"

#include "base/clock.h"
#include "base/text.h"
#include "show/plot.h"

#include <stdio.h>
#include <stdlib.h>

#define DRAW_US     250000
#define PLOT_HEIGHT 4
#define POINTS_MAX  400 /* more than a terminal has columns; neighbours are summed */

void liveplot_clear(struct liveplot *p)
{
    if (p->lines)
        fprintf(p->out.file, "\r\033[%dA\033[J", p->lines);
    p->lines = 0;
}

/* Interval 0 is all that was there before, and would dwarf the rest. */
static size_t gather(const struct recording *r, bool live, struct show_point *points)
{
    size_t intervals = r->count > 1 ? r->count - 1 : 0;
    size_t each = intervals / POINTS_MAX + 1, used = 0;
    int64_t began_ms = clock_wall_ms() - r->passed_us / 1000;
    for (size_t i = 0; i < intervals; i += each) {
        struct show_point *point = &points[used++];
        *point = (struct show_point){
            .wall_ms =
                began_ms + (int64_t)((double)r->passed_us / 1000 * (double)i / (double)intervals)};
        for (size_t k = i; k < i + each && k < intervals; k++)
            point->value += (double)(live ? r->intervals[k + 1].live : r->intervals[k + 1].most);
    }
    return used;
}

static int draw(const struct show_out *o, const struct recording *r, struct err *e)
{
    struct show_point points[POINTS_MAX + 1];
    char title[128], size[TEXT_SHORT];
    int rc = 0;
    for (int live = 0; live < 2 && rc == 0; live++) {
        size_t count = gather(r, live, points);
        double total = 0;
        for (size_t i = 0; i < count; i++)
            total += points[i].value;
        snprintf(title, sizeof title, "%s: %s",
            live ? "still live of it" : "allocated, and seen alive", text_size(size, total));
        rc = show_plot(o, title, points, count, SHOW_SCALE_BYTES, PLOT_HEIGHT, e);
    }
    return rc;
}

void liveplot_draw(struct liveplot *p, const struct recording *recording)
{
    int64_t now = clock_monotonic_us();
    struct show_out memory = p->out;
    struct err e = ERR_NONE;
    char *text = NULL;
    size_t length = 0;
    if (!p->out.tty || now - p->drawn_us < DRAW_US || recording->count < 3)
        return;
    p->drawn_us = now;
    memory.file = open_memstream(&text, &length);
    if (!memory.file)
        return; /* a plot less is no failure */
    int rc = draw(&memory, recording, &e);
    if (fclose(memory.file) == 0 && rc == 0) {
        liveplot_clear(p);
        for (size_t i = 0; i < length; i++)
            p->lines += text[i] == '\n';
        fwrite(text, 1, length, p->out.file);
        fflush(p->out.file);
    }
    free(text);
}
