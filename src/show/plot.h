/* Small plots for a terminal: Unicode blocks, or ASCII where the terminal has none. Only for
 * SHOW_TEXT sinks: they print nothing into CSV or JSON. */
#ifndef HEAPTAP_SHOW_PLOT_H
#define HEAPTAP_SHOW_PLOT_H

#include "show/out.h"

#include <stdint.h>

enum show_scale {
    SHOW_SCALE_NUMBER, /* 1.2k, 3.4M */
    SHOW_SCALE_BYTES,  /* 18.2 MB */
};

struct show_point {
    int64_t wall_ms; /* ascending */
    double value;    /* NaN: a gap */
};

#define SHOW_PLOT_WIDTH_DEFAULT 80 /* where the width is unknown */
#define SHOW_PLOT_HEIGHT        8  /* rows when 0 is asked for */

/* An area plot over time: title, value axis on the left, times below. Points that share a column
 * are averaged, columns between points are interpolated, gaps stay empty. The axis starts at 0
 * unless all values are within a small band far above it; the labels tell. Too few points for a
 * plot (under 2) print one line that says so. */
int show_plot(const struct show_out *o, const char *title, const struct show_point *points,
    size_t count, enum show_scale scale, size_t height, struct err *e) MUST_USE;

struct show_bar {
    const char *label; /* borrowed; any text */
    double value;      /* negative ones are drawn as 0 and labelled */
};

/* Horizontal bars with label and value. */
int show_bars(const struct show_out *o, const char *title, const struct show_bar *bars,
    size_t count, enum show_scale scale, struct err *e) MUST_USE;

#endif
