/* Area plots over time and bars, in eighths of a character cell. */
#include "show/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/text.h"
#include "show/fit.h"

#define WIDTH_MOST  160 /* wider plots are no clearer */
#define COLUMNS_MIN 16
#define HEIGHT_MAX  60
#define LABEL_MAX   30 /* columns of a bar's label */
#define BAR_MOST    60
#define LINE_BYTES  (64 * 1024)
/* The axis starts at 0 unless the lowest value is above this share of the highest. */
#define ZERO_SHARE 0.7
#define DAY_MS     86400000
/* What text_add_visible makes of so many bytes at the most. */
#define VISIBLE_MOST(bytes) (4 * (bytes) + 1)

static char *scale_text(char out[TEXT_SHORT], double value, enum show_scale scale)
{
    static const struct {
        double at;
        const char *unit;
    } steps[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    if (scale == SHOW_SCALE_BYTES)
        return text_size(out, value);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (fabs(value) >= steps[i].at * 0.9995) {
            snprintf(out, TEXT_SHORT, "%.1f%s", value / steps[i].at, steps[i].unit);
            return out;
        }
    }
    snprintf(out, TEXT_SHORT, "%.4g", value);
    return out;
}

static size_t plot_width(const struct show_out *o)
{
    size_t width = o->width ? o->width : SHOW_PLOT_WIDTH_DEFAULT;
    return width < WIDTH_MOST ? width : WIDTH_MOST;
}

static void print_title(const struct show_out *o, const char *title)
{
    if (title)
        fprintf(o->file, "%s%s%s\n", show_on(o, SHOW_BOLD), title, show_off(o));
}

/* ---- area ---- */

struct axis {
    double low, high;
    int64_t first_ms, last_ms;
};

/* False when there are fewer than two moments with values. */
static bool find_axis(const struct show_point *points, size_t count, struct axis *a)
{
    size_t values = 0;
    *a = (struct axis){INFINITY, -INFINITY, 0, 0};
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(points[i].value))
            continue;
        if (values++ == 0)
            a->first_ms = points[i].wall_ms;
        a->last_ms = points[i].wall_ms;
        a->low = fmin(a->low, points[i].value);
        a->high = fmax(a->high, points[i].value);
    }
    if (a->low >= 0 && a->low <= ZERO_SHARE * a->high)
        a->low = 0;
    if (a->high <= a->low) { /* a flat line stands half high */
        double around = a->high != 0 ? fabs(a->high) : 1;
        a->low -= a->low == 0 ? 0 : around;
        a->high += around;
    }
    return a->last_ms > a->first_ms;
}

static size_t column_of(const struct axis *a, int64_t wall_ms, size_t columns)
{
    double at = (double)(wall_ms - a->first_ms) / (double)(a->last_ms - a->first_ms);
    size_t column = at > 0 ? (size_t)(at * (double)columns) : 0;
    return column < columns ? column : columns - 1;
}

/* Interpolates between column `from`, whose mean is there, and `to`. */
static void bridge(double *means, size_t from, size_t to)
{
    for (size_t c = from + 1; c < to; c++)
        means[c] =
            means[from] + (means[to] - means[from]) * (double)(c - from) / (double)(to - from);
}

/* The mean of each column, NaN where a gap is. */
static void fill_columns(const struct axis *a, const struct show_point *points, size_t count,
    double *means, size_t columns)
{
    double sum = 0;
    size_t in_column = 0, column = 0, last = columns; /* last: with a mean, columns for none */
    for (size_t c = 0; c < columns; c++)
        means[c] = NAN;
    for (size_t i = 0; i <= count; i++) {
        bool end = i == count;
        bool gap = !end && !isfinite(points[i].value);
        size_t next = end || gap ? column : column_of(a, points[i].wall_ms, columns);
        if ((end || gap || next != column) && in_column > 0) {
            means[column] = sum / (double)in_column;
            if (last < column)
                bridge(means, last, column);
            last = column;
            sum = 0;
            in_column = 0;
        }
        if (gap)
            last = columns;
        if (end || gap)
            continue;
        column = next;
        sum += points[i].value;
        in_column++;
    }
}

static const char *area_cell(const struct show_out *o, int eighths)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {" ", ".", ".", ".", ":", ":", ":", "|", "|"};
    int level = eighths < 0 ? 0 : eighths > 8 ? 8 : eighths;
    return o->unicode ? blocks[level] : ascii[level];
}

static int print_area(const struct show_out *o, const struct axis *a, const double *means,
    size_t columns, size_t height, enum show_scale scale, size_t label_columns)
{
    struct buf line = buf_new(LINE_BYTES);
    int rc = 0;
    for (size_t row = height; row-- > 0 && rc == 0;) {
        char label[TEXT_SHORT] = "";
        buf_clear(&line);
        if (row == height - 1)
            scale_text(label, a->high, scale);
        else if (row == 0)
            scale_text(label, a->low, scale);
        else if (row == height / 2)
            scale_text(
                label, a->low + (a->high - a->low) * ((double)row + 0.5) / (double)height, scale);
        rc = buf_addf(&line, "%*s %s", (int)label_columns, label,
            !o->unicode ? "|"
            : *label    ? "┤"
                        : "│");
        for (size_t c = 0; c < columns && rc == 0; c++) {
            double level = (means[c] - a->low) / (a->high - a->low) * (double)(8 * height);
            int eighths = isnan(level) ? 0 : (int)fmax(1, lround(level)) - (int)(8 * row);
            rc = buf_add_text(&line, area_cell(o, eighths));
        }
        while (line.length > 0 && line.data[line.length - 1] == ' ')
            line.data[--line.length] = '\0';
        if (rc == 0)
            fprintf(o->file, "%s\n", line.data);
    }
    buf_free(&line);
    return rc;
}

static void print_times(
    const struct show_out *o, const struct axis *a, size_t columns, size_t label_columns)
{
    const char *format = a->last_ms - a->first_ms > DAY_MS ? "%m-%d %H:%M" : "%H:%M:%S";
    char ends[2][32];
    int64_t at[2] = {a->first_ms, a->last_ms};
    for (int i = 0; i < 2; i++) {
        time_t seconds = (time_t)(at[i] / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(ends[i], sizeof ends[i], format, &tm);
    }
    fprintf(o->file, "%*s %s", (int)label_columns, "", o->unicode ? "└" : "+");
    for (size_t c = 0; c < columns; c++)
        fputs(o->unicode ? "─" : "-", o->file);
    size_t left = strlen(ends[0]), right = strlen(ends[1]) + strlen(" UTC");
    size_t between = columns > left + right ? columns - left - right : 1;
    fprintf(o->file, "\n%*s %s%*s%s UTC\n", (int)label_columns + 1, "", ends[0], (int)between, "",
        ends[1]);
}

int show_plot(const struct show_out *o, const char *title, const struct show_point *points,
    size_t count, enum show_scale scale, size_t height, struct err *e)
{
    struct axis a;
    char low[TEXT_SHORT], high[TEXT_SHORT];
    if (o->format != SHOW_TEXT)
        return 0;
    print_title(o, title);
    if (!find_axis(points, count, &a)) {
        fprintf(o->file, "(a plot needs values from at least two moments)\n");
        return 0;
    }
    size_t label_columns = strlen(scale_text(high, a.high, scale));
    double middle = a.low + (a.high - a.low) / 2;
    size_t others[] = {
        strlen(scale_text(low, a.low, scale)), strlen(scale_text(low, middle, scale)) + 1};
    for (size_t i = 0; i < 2; i++)
        label_columns = others[i] > label_columns ? others[i] : label_columns;
    size_t width = plot_width(o);
    size_t columns =
        width > label_columns + 2 + COLUMNS_MIN ? width - label_columns - 2 : COLUMNS_MIN;
    height = height == 0 ? SHOW_PLOT_HEIGHT : height < 2 ? 2 : height;
    height = height < HEIGHT_MAX ? height : HEIGHT_MAX;
    double *means = calloc(columns, sizeof *means);
    int rc = means ? 0 : ERR_NOMEM;
    if (rc == 0) {
        fill_columns(&a, points, count, means, columns);
        rc = print_area(o, &a, means, columns, height, scale, label_columns);
    }
    free(means);
    if (rc != 0)
        return err_set(e, rc, "out of memory");
    print_times(o, &a, columns, label_columns);
    return 0;
}

/* ---- bars ---- */

static int add_bar(const struct show_out *o, struct buf *line, double share, size_t columns)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    long parts = lround(share * (double)(8 * columns));
    int rc = 0;
    if (share > 0 && parts == 0)
        parts = 1;
    if (!o->unicode)
        parts = (parts + 7) / 8 * 8;
    for (long i = 0; i < parts / 8 && rc == 0; i++)
        rc = buf_add_text(line, o->unicode ? "█" : "#");
    return rc ? rc : buf_add_text(line, eighths[parts % 8]);
}

static int print_bar(const struct show_out *o, const struct show_bar *bar, double most,
    size_t label_columns, size_t bar_columns, enum show_scale scale)
{
    char value[TEXT_SHORT];
    struct buf label = buf_new(VISIBLE_MOST(strlen(bar->label)));
    struct buf line = buf_new(label.max + LINE_BYTES);
    int rc = text_add_visible(&label, bar->label, strlen(bar->label));
    if (rc == 0)
        rc =
            fit_add(&line, label.length ? label.data : "", label.length, label_columns, o->unicode);
    size_t used = line.length ? text_columns(line.data, line.length) : 0;
    if (rc == 0)
        rc = fit_add_spaces(&line, label_columns - used + 2);
    if (rc == 0 && bar->value > 0)
        rc = add_bar(o, &line, bar->value / most, bar_columns);
    if (rc == 0)
        fprintf(o->file, "%s%s%s\n", line.data, bar->value > 0 ? " " : "",
            scale_text(value, bar->value, scale));
    buf_free(&label);
    buf_free(&line);
    return rc;
}

int show_bars(const struct show_out *o, const char *title, const struct show_bar *bars,
    size_t count, enum show_scale scale, struct err *e)
{
    double most = 0;
    size_t label_columns = 0;
    int rc = 0;
    if (o->format != SHOW_TEXT)
        return 0;
    print_title(o, title);
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct buf label = buf_new(VISIBLE_MOST(strlen(bars[i].label)));
        rc = text_add_visible(&label, bars[i].label, strlen(bars[i].label));
        size_t columns = rc == 0 && label.length ? text_columns(label.data, label.length) : 0;
        label_columns = columns > label_columns ? columns : label_columns;
        most = bars[i].value > most ? bars[i].value : most;
        buf_free(&label);
    }
    label_columns = label_columns < LABEL_MAX ? label_columns : LABEL_MAX;
    size_t width = plot_width(o), besides = label_columns + 2 + 1 + 10; /* 10: "1023.9 MB" */
    size_t bar_columns = width > besides + 8 ? width - besides : 8;
    bar_columns = bar_columns < BAR_MOST ? bar_columns : BAR_MOST;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = print_bar(o, &bars[i], most, label_columns, bar_columns, scale);
    return rc ? err_set(e, rc, "out of memory") : 0;
}
