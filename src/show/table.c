/* Tables: cells in one flat array, measured and printed as text, or written as CSV or JSON. */
#include "show/table.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/text.h"
#include "show/fill.h"
#include "show/fit.h"
#include "show/json.h"

#define GAP         2  /* spaces between columns */
#define NAME_MIN    12 /* columns that a name keeps on a narrow terminal */
#define NAME_GOOD   24 /* and while there are columns to spare */
#define WORD_MIN    6
#define COLUMNS_MAX 64
#define LEFT_OUT    SIZE_MAX /* the width of a column that text goes without */

#define RECORD_INDENT 4 /* of what stands below a name */

/* One row as text: a name of V8's longest string (1024) escaped is 8 KB; SQL cells may be larger.
 */
#define ROW_TEXT_MAX (64 * 1024 * 1024)

enum cell_kind { CELL_NONE, CELL_TEXT, CELL_INTEGER, CELL_NUMBER };

struct cell {
    enum cell_kind kind;
    uint32_t length; /* CELL_TEXT: bytes */
    union {
        int64_t integer;
        double number;
        uint64_t offset; /* CELL_TEXT: into text */
    };
};

_Static_assert(sizeof(struct cell) == 16, "SHOW_CELLS_MAX is derived from it");

struct show_table {
    const struct show_column *columns; /* borrowed */
    size_t column_count;
    uint64_t spare;     /* columns that text can go without, a bit each */
    struct cell *cells; /* owned, row by row */
    size_t cell_count;
    struct buf text; /* of all CELL_TEXT */
    int failure;     /* the first that an add met, 0 */
};

struct show_table *show_table_new(const struct show_column *columns, size_t count)
{
    assert(count > 0 && count <= COLUMNS_MAX);
    struct show_table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->columns = columns;
    t->column_count = count;
    t->text = buf_new(SHOW_TEXT_MAX);
    return t;
}

void show_table_free(struct show_table *t)
{
    if (!t)
        return;
    free(t->cells);
    buf_free(&t->text);
    free(t);
}

/* ---- filling ---- */

bool show_holds_text(enum show_type type)
{
    return type == SHOW_NAME || type == SHOW_WORD || type == SHOW_PATH;
}

bool show_holds_double(enum show_type type)
{
    return type == SHOW_NUMBER || type == SHOW_MEAN || type == SHOW_BYTES || type == SHOW_SHARE;
}

static enum show_type next_type(const struct show_table *t)
{
    return t->columns[t->cell_count % t->column_count].type;
}

static void add(struct show_table *t, struct cell cell)
{
    if (t->failure)
        return;
    if (t->cell_count == SHOW_CELLS_MAX)
        t->failure = ERR_FULL;
    else if (!array_more(&t->cells, t->cell_count))
        t->failure = ERR_NOMEM;
    else
        t->cells[t->cell_count++] = cell;
}

void show_add_text(struct show_table *t, const char *text, size_t length)
{
    if (!t || t->failure)
        return;
    assert(show_holds_text(next_type(t)));
    struct cell cell = {.kind = CELL_TEXT, .length = (uint32_t)length, .offset = t->text.length};
    if (length > UINT32_MAX)
        t->failure = ERR_FULL;
    else
        t->failure = buf_add(&t->text, text, length);
    add(t, cell);
}

void show_add_word(struct show_table *t, const char *text)
{
    if (text)
        show_add_text(t, text, strlen(text));
    else
        show_add_none(t);
}

void show_add_integer(struct show_table *t, int64_t value)
{
    if (!t || t->failure)
        return;
    assert(!show_holds_text(next_type(t)) && !show_holds_double(next_type(t)));
    add(t, (struct cell){.kind = CELL_INTEGER, .integer = value});
}

void show_add_number(struct show_table *t, double value)
{
    if (!t || t->failure)
        return;
    assert(show_holds_double(next_type(t)));
    if (isfinite(value))
        add(t, (struct cell){.kind = CELL_NUMBER, .number = value});
    else
        show_add_none(t);
}

void show_add_none(struct show_table *t)
{
    if (t)
        add(t, (struct cell){.kind = CELL_NONE});
}

size_t show_table_rows(const struct show_table *t)
{
    return t ? t->cell_count / t->column_count : 0;
}

static const struct cell *cell_at(const struct show_table *t, size_t row, size_t column)
{
    return &t->cells[row * t->column_count + column];
}

static const char *cell_bytes(const struct show_table *t, const struct cell *c)
{
    return t->text.data ? t->text.data + c->offset : "";
}

/* Shortest decimal form that reads back as the same double. */
static char *plain_number(char out[TEXT_SHORT], double value)
{
    snprintf(out, TEXT_SHORT, "%.15g", value);
    if (strtod(out, NULL) != value)
        snprintf(out, TEXT_SHORT, "%.17g", value);
    return out;
}

/* ---- text ---- */

static char *with_sign(char out[TEXT_SHORT], int64_t value)
{
    char count[TEXT_SHORT];
    snprintf(out, TEXT_SHORT, "%s%s", value > 0 ? "+" : "", text_count(count, value));
    return out;
}

static int add_mean(struct buf *out, double value, int decimals)
{
    char plain[TEXT_SHORT], whole[TEXT_SHORT];
    if (fabs(value) >= 1e15) /* a double knows no more digits */
        return buf_addf(out, "%g", value);
    snprintf(plain, sizeof plain, "%.*f", decimals, fabs(value));
    const char *point = strchr(plain, '.');
    return buf_addf(out, "%s%s%s", value < 0 ? "-" : "",
        text_count(whole, strtoll(plain, NULL, 10)), point ? point : "");
}

/* The cell as people read it, appended to out, not cut. */
static int add_visible(struct buf *out, const struct show_table *t,
    const struct show_column *column, const struct cell *c)
{
    char text[TEXT_SHORT + CLOCK_ISO_SIZE];
    if (c->kind == CELL_NONE)
        return buf_add_text(out, "-");
    switch (column->type) {
    case SHOW_NAME:
    case SHOW_PATH:
    case SHOW_WORD: return text_add_visible(out, cell_bytes(t, c), c->length);
    case SHOW_COUNT: return buf_add_text(out, text_count(text, c->integer));
    case SHOW_DELTA: return buf_add_text(out, with_sign(text, c->integer));
    case SHOW_SIZE: return buf_add_text(out, text_size(text, (double)c->integer));
    case SHOW_GROWTH:
        return buf_addf(
            out, "%s%s", c->integer > 0 ? "+" : "", text_size(text, (double)c->integer));
    case SHOW_DURATION: return buf_add_text(out, text_duration(text, c->integer));
    case SHOW_TIME: return buf_add_text(out, clock_iso(text, c->integer));
    case SHOW_ID: return buf_addf(out, "@%" PRId64, c->integer);
    case SHOW_NUMBER: return buf_addf(out, "%.*f", column->how & SHOW_DECIMALS, c->number);
    case SHOW_MEAN: return add_mean(out, c->number, column->how & SHOW_DECIMALS);
    case SHOW_BYTES: return buf_add_text(out, text_size(text, c->number));
    case SHOW_SHARE: return buf_addf(out, "%.1f %%", 100 * c->number);
    case SHOW_BOOL: return buf_add_text(out, c->integer ? "yes" : "no");
    }
    return ERR_INTERNAL;
}

static bool is_right_aligned(enum show_type type)
{
    return !show_holds_text(type) && type != SHOW_TIME && type != SHOW_BOOL;
}

static int measure(const struct show_table *t, size_t widths[COLUMNS_MAX])
{
    struct buf text = buf_new(ROW_TEXT_MAX);
    int rc = 0;
    for (size_t c = 0; c < t->column_count; c++)
        widths[c] = text_columns(t->columns[c].title, strlen(t->columns[c].title));
    for (size_t r = 0; r < show_table_rows(t) && rc == 0; r++) {
        for (size_t c = 0; c < t->column_count && rc == 0; c++) {
            buf_clear(&text);
            rc = add_visible(&text, t, &t->columns[c], cell_at(t, r, c));
            if (rc == 0 && text.length > 0) {
                size_t columns = text_columns(text.data, text.length);
                widths[c] = columns > widths[c] ? columns : widths[c];
            }
        }
    }
    buf_free(&text);
    return rc;
}

/* Takes `over` columns of width away from the columns of one type, from the widest first, but
 * leaves each at least `least`. Returns what could not be taken. */
static size_t shrink(const struct show_table *t, size_t widths[COLUMNS_MAX], enum show_type type,
    size_t least, size_t over)
{
    while (over > 0) {
        size_t widest = COLUMNS_MAX, next = least, ties = 0;
        for (size_t c = 0; c < t->column_count; c++) {
            if (t->columns[c].type != type || widths[c] <= least || widths[c] == LEFT_OUT)
                continue;
            if (widest == COLUMNS_MAX || widths[c] > widths[widest])
                widest = c;
        }
        if (widest == COLUMNS_MAX)
            break;
        size_t top = widths[widest];
        for (size_t c = 0; c < t->column_count; c++) {
            if (t->columns[c].type != type || widths[c] == LEFT_OUT)
                continue;
            ties += widths[c] == top;
            if (widths[c] < top && widths[c] > next)
                next = widths[c];
        }
        size_t each = (over + ties - 1) / ties;
        size_t step = each < top - next ? each : top - next;
        for (size_t c = 0; c < t->column_count && over > 0; c++) {
            if (t->columns[c].type == type && widths[c] == top) {
                size_t take = step < over ? step : over;
                widths[c] -= take;
                over -= take;
            }
        }
    }
    return over;
}

static size_t total_width(const struct show_table *t, const size_t widths[COLUMNS_MAX])
{
    size_t total = 0;
    for (size_t c = 0; c < t->column_count; c++)
        total += widths[c] == LEFT_OUT ? 0 : widths[c] + GAP;
    return total > 0 ? total - GAP : 0;
}

/* Narrows names, then goes without spare columns from the last on, then narrows names and words as
 * far as they go. false: it is not enough. */
static bool fit_widths(
    const struct show_out *o, const struct show_table *t, size_t widths[COLUMNS_MAX])
{
    size_t total = total_width(t, widths);
    for (size_t c = t->column_count; c > 0 && o->width > 0 && total > o->width; c--) {
        size_t tried[COLUMNS_MAX];
        memcpy(tried, widths, sizeof tried);
        if (shrink(t, tried, SHOW_NAME, NAME_GOOD, total - o->width) == 0) {
            memcpy(widths, tried, sizeof tried);
            return true;
        }
        if (t->columns[c - 1].how & SHOW_SPARE)
            widths[c - 1] = LEFT_OUT;
        total = total_width(t, widths);
    }
    if (o->width == 0 || total <= o->width)
        return true;
    size_t over = shrink(t, widths, SHOW_NAME, NAME_MIN, total - o->width);
    return shrink(t, widths, SHOW_WORD, WORD_MIN, over) == 0;
}

/* Appends text, cut or padded to the column's width; no spaces behind the last column. */
static int add_aligned(const struct show_out *o, const struct show_table *t, struct buf *line,
    const char *text, size_t length, size_t column, const size_t widths[COLUMNS_MAX])
{
    size_t columns = text_columns(text, length), width = widths[column];
    size_t pad = columns < width ? width - columns : 0;
    bool right = is_right_aligned(t->columns[column].type);
    bool last = true;
    for (size_t c = column + 1; c < t->column_count; c++)
        last = last && widths[c] == LEFT_OUT;
    int rc = right ? fit_add_spaces(line, pad) : 0;
    if (rc == 0 && columns > width && !right) {
        size_t before = line->length;
        rc = fit_add(line, text, length, width, o->unicode);
        /* a wide character that did not fit leaves a column over */
        if (rc == 0)
            pad = width - text_columns(line->data + before, line->length - before);
    } else if (rc == 0) {
        rc = buf_add(line, text, length);
    }
    if (rc == 0 && !last)
        rc = fit_add_spaces(line, (right ? 0 : pad) + GAP);
    return rc;
}

static int print_row(const struct show_out *o, const struct show_table *t, size_t row,
    const size_t widths[COLUMNS_MAX], struct buf *cell, struct buf *line)
{
    int rc = 0;
    buf_clear(line);
    for (size_t c = 0; c < t->column_count && rc == 0; c++) {
        if (widths[c] == LEFT_OUT)
            continue;
        buf_clear(cell);
        rc = add_visible(cell, t, &t->columns[c], cell_at(t, row, c));
        if (rc == 0)
            rc = add_aligned(o, t, line, cell->length ? cell->data : "", cell->length, c, widths);
    }
    if (rc == 0)
        fprintf(o->file, "%s\n", line->length ? line->data : "");
    return rc;
}

static int print_columns(
    const struct show_out *o, const struct show_table *t, const size_t widths[COLUMNS_MAX])
{
    struct buf cell = buf_new(ROW_TEXT_MAX);
    struct buf line = buf_new(ROW_TEXT_MAX);
    int rc = 0;
    for (size_t c = 0; c < t->column_count && rc == 0; c++)
        if (widths[c] != LEFT_OUT)
            rc = add_aligned(
                o, t, &line, t->columns[c].title, strlen(t->columns[c].title), c, widths);
    if (rc == 0)
        fprintf(o->file, "%s%s%s\n", show_on(o, SHOW_BOLD), line.data, show_off(o));
    for (size_t r = 0; r < show_table_rows(t) && rc == 0; r++)
        rc = print_row(o, t, r, widths, &cell, &line);
    buf_free(&cell);
    buf_free(&line);
    return rc;
}

/* ---- text, where columns do not fit ---- */

/* All but the first column in one line: "count 1,234  share 50.0 %". */
static int add_pairs(struct buf *line, const struct show_table *t, size_t row)
{
    int rc = 0;
    for (size_t c = 1; c < t->column_count && rc == 0; c++) {
        rc = buf_addf(line, "%s%s ", c > 1 ? "  " : "", t->columns[c].title);
        if (rc == 0)
            rc = add_visible(line, t, &t->columns[c], cell_at(t, row, c));
    }
    return rc;
}

/* The name in lines of its own, the rest in one below it. */
static int print_short_record(const struct show_out *o, const struct show_table *t, size_t row,
    const struct buf *pairs, struct buf *cell, struct err *e)
{
    buf_clear(cell);
    int rc = add_visible(cell, t, &t->columns[0], cell_at(t, row, 0));
    if (rc == 0)
        rc = show_fill(o, cell->data ? cell->data : "", cell->length, 0, RECORD_INDENT / 2, e);
    fprintf(o->file, "%*s%s\n", RECORD_INDENT, "", pairs->data ? pairs->data : "");
    return rc;
}

/* A line for each column, and an empty one between rows. */
static int print_long_record(const struct show_out *o, const struct show_table *t, size_t row,
    size_t widest, struct buf *cell, struct err *e)
{
    int rc = 0;
    if (row > 0)
        fputc('\n', o->file);
    for (size_t c = 0; c < t->column_count && rc == 0; c++) {
        const char *title = t->columns[c].title;
        size_t columns = text_columns(title, strlen(title));
        fprintf(o->file, "%s%s%s%*s", show_on(o, SHOW_BOLD), title, show_off(o),
            (int)(widest - columns + GAP), "");
        buf_clear(cell);
        rc = add_visible(cell, t, &t->columns[c], cell_at(t, row, c));
        if (rc == 0)
            rc = show_fill(
                o, cell->data ? cell->data : "", cell->length, widest + GAP, widest + GAP, e);
    }
    return rc;
}

static int print_records(const struct show_out *o, const struct show_table *t)
{
    struct err ignored = ERR_NONE;
    struct buf cell = buf_new(ROW_TEXT_MAX), pairs = buf_new(ROW_TEXT_MAX);
    size_t widest = 0;
    bool in_short = true;
    int rc = 0;
    for (size_t c = 0; c < t->column_count; c++) {
        size_t columns = text_columns(t->columns[c].title, strlen(t->columns[c].title));
        widest = columns > widest ? columns : widest;
    }
    for (size_t r = 0; r < show_table_rows(t) && in_short && rc == 0; r++) {
        buf_clear(&pairs);
        rc = add_pairs(&pairs, t, r);
        in_short = rc == 0 && text_columns(pairs.data, pairs.length) + RECORD_INDENT <= o->width;
    }
    for (size_t r = 0; r < show_table_rows(t) && rc == 0; r++) {
        buf_clear(&pairs);
        rc = in_short ? add_pairs(&pairs, t, r) : 0;
        if (rc == 0)
            rc = in_short ? print_short_record(o, t, r, &pairs, &cell, &ignored)
                          : print_long_record(o, t, r, widest, &cell, &ignored);
    }
    buf_free(&cell);
    buf_free(&pairs);
    return rc;
}

static int print_text(const struct show_out *o, const struct show_table *t)
{
    size_t widths[COLUMNS_MAX];
    int rc = measure(t, widths);
    if (rc)
        return rc;
    bool fits = fit_widths(o, t, widths);
    return fits || show_table_rows(t) == 0 ? print_columns(o, t, widths) : print_records(o, t);
}

/* ---- CSV (RFC 4180) ---- */

static int print_csv_text(const struct show_out *o, const char *bytes, size_t length)
{
    struct buf text = buf_new(4 * length + 1);
    int rc = text_add_storable(&text, bytes, length);
    if (rc != 0 || text.length == 0) {
        if (rc == 0)
            fputs("\"\"", o->file); /* an empty text, where an empty field is none */
    } else if (strpbrk(text.data, ",\"\r\n") || text.data[0] == ' ' ||
               text.data[text.length - 1] == ' ') {
        fputc('"', o->file);
        for (const char *c = text.data; *c; c++) {
            if (*c == '"')
                fputc('"', o->file);
            fputc(*c, o->file);
        }
        fputc('"', o->file);
    } else {
        fputs(text.data, o->file);
    }
    buf_free(&text);
    return rc;
}

static int print_csv_cell(const struct show_out *o, const struct show_table *t,
    const struct show_column *column, const struct cell *c)
{
    char text[TEXT_SHORT + CLOCK_ISO_SIZE];
    switch (c->kind) {
    case CELL_NONE: return 0;
    case CELL_TEXT: return print_csv_text(o, cell_bytes(t, c), c->length);
    case CELL_NUMBER: fputs(plain_number(text, c->number), o->file); return 0;
    case CELL_INTEGER:
        if (column->type == SHOW_TIME)
            fputs(clock_iso(text, c->integer), o->file);
        else if (column->type == SHOW_BOOL)
            fputs(c->integer ? "true" : "false", o->file);
        else
            fprintf(o->file, "%" PRId64, c->integer);
        return 0;
    }
    return ERR_INTERNAL;
}

static int print_csv(const struct show_out *o, const struct show_table *t)
{
    int rc = 0;
    for (size_t c = 0; c < t->column_count; c++)
        fprintf(o->file, "%s%s", c ? "," : "", t->columns[c].key);
    fputs("\r\n", o->file);
    for (size_t r = 0; r < show_table_rows(t) && rc == 0; r++) {
        for (size_t c = 0; c < t->column_count && rc == 0; c++) {
            if (c > 0)
                fputc(',', o->file);
            rc = print_csv_cell(o, t, &t->columns[c], cell_at(t, r, c));
        }
        fputs("\r\n", o->file);
    }
    return rc;
}

/* ---- JSON ---- */

static void json_cell(cJSON *row, const struct show_table *t, const struct show_column *column,
    const struct cell *c, int *rc)
{
    const char *key = column->key;
    switch (c->kind) {
    case CELL_NONE: show_json_null(row, key, rc); break;
    case CELL_TEXT: show_json_text(row, key, cell_bytes(t, c), c->length, rc); break;
    case CELL_NUMBER: show_json_number(row, key, c->number, rc); break;
    case CELL_INTEGER:
        if (column->type == SHOW_TIME)
            show_json_time(row, key, c->integer, rc);
        else if (column->type == SHOW_BOOL)
            show_json_bool(row, key, c->integer != 0, rc);
        else
            show_json_integer(row, key, c->integer, rc);
        break;
    }
}

static cJSON *json_row(cJSON *to, const struct show_table *t, size_t r, int *rc)
{
    cJSON *row = show_json_object(to, NULL, rc);
    for (size_t c = 0; c < t->column_count; c++)
        json_cell(row, t, &t->columns[c], cell_at(t, r, c), rc);
    return row;
}

/* Row by row, so that a large table does not stand in memory as a tree as well. */
static int print_json(const struct show_out *o, const struct show_table *t)
{
    int rc = 0;
    size_t rows = show_table_rows(t);
    fputs(rows ? "[\n" : "[]\n", o->file);
    for (size_t r = 0; r < rows && rc == 0; r++) {
        cJSON *row = json_row(NULL, t, r, &rc);
        char *text = rc == 0 ? cJSON_PrintUnformatted(row) : NULL;
        if (text)
            fprintf(o->file, "%s%s\n", text, r + 1 < rows ? "," : "");
        else
            rc = rc ? rc : ERR_NOMEM;
        cJSON_free(text);
        cJSON_Delete(row);
    }
    if (rows)
        fputs("]\n", o->file);
    return rc;
}

/* ---- both ends ---- */

static int check(const struct show_table *t, struct err *e)
{
    if (!t)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (t->failure == ERR_FULL)
        return err_set(e, ERR_FULL, "the table is too large to be shown: ask for less with --top");
    if (t->failure)
        return err_set(e, t->failure, "out of memory");
    assert(t->cell_count % t->column_count == 0);
    return 0;
}

static int explain(int rc, struct err *e)
{
    if (rc == 0)
        return 0;
    return err_set(e, rc, rc == ERR_FULL ? "a row is too large to be shown" : "out of memory");
}

int show_table(const struct show_out *o, const struct show_table *t, struct err *e)
{
    int rc = check(t, e);
    if (rc != 0)
        return rc;
    switch (o->format) {
    case SHOW_TEXT: rc = print_text(o, t); break;
    case SHOW_CSV: rc = print_csv(o, t); break;
    case SHOW_JSON: rc = print_json(o, t); break;
    }
    return explain(rc, e);
}

int show_table_json(const struct show_table *t, cJSON **ret, struct err *e)
{
    int rc = check(t, e);
    if (rc != 0)
        return rc;
    cJSON *rows = show_json_array(NULL, NULL, &rc);
    for (size_t r = 0; r < show_table_rows(t) && rc == 0; r++)
        (void)json_row(rows, t, r, &rc);
    if (rc == 0)
        *ret = rows;
    else
        cJSON_Delete(rows);
    return explain(rc, e);
}
