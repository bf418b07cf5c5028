/* Tables: filled once, shown as text that fits the terminal, as CSV or as JSON.
 *
 *      static const struct show_column columns[] = {
 *          {"class", "class", SHOW_NAME, 0}, {"count", "count", SHOW_COUNT, 0},
 *          {"retained size", "retained_size", SHOW_COUNT, 0}};
 *      struct show_table *t = show_table_new(columns, 3);
 *      for (...) {
 *          show_add_text(t, name, strlen(name));
 *          show_add_integer(t, count);
 *          show_add_integer(t, bytes);
 *      }
 *      rc = show_table(&out, t, e);
 *      show_table_free(t);
 */
#ifndef HEAPTAP_SHOW_TABLE_H
#define HEAPTAP_SHOW_TABLE_H

#include "show/out.h"

#include <stdint.h>

#include <cjson/cJSON.h>

/* What a cell holds and how text shows it. CSV and JSON have plain numbers and whole texts. */
enum show_type {
    SHOW_NAME,     /* text; takes the width that is left, cut in the middle */
    SHOW_WORD,     /* text; short, cut only when nothing else helps */
    SHOW_PATH,     /* text of several words that is never cut */
    SHOW_COUNT,    /* integer: 1,234,567 */
    SHOW_DELTA,    /* integer: +1,234 */
    SHOW_SIZE,     /* integer, bytes: 18.2 MB */
    SHOW_GROWTH,   /* integer, bytes: +18.2 MB */
    SHOW_DURATION, /* integer, microseconds: 12.4 s */
    SHOW_TIME,     /* integer, wall clock in ms: ISO 8601 UTC, in CSV and JSON too */
    SHOW_ID,       /* integer: @1234; plain in CSV and JSON */
    SHOW_NUMBER,   /* double with so many decimals */
    SHOW_MEAN,     /* double with so many decimals: 1,234.5 */
    SHOW_BYTES,    /* double, bytes: 18.2 MB */
    SHOW_SHARE,    /* double, 0 to 1: 12.3 % */
    SHOW_BOOL,     /* integer: yes, no; true, false */
};

bool show_holds_text(enum show_type type);
bool show_holds_double(enum show_type type); /* neither: an integer */

struct show_column {
    const char *title; /* borrowed; the head in text */
    const char *key;   /* borrowed, static; the name in CSV and JSON */
    enum show_type type;
    int how; /* SHOW_NUMBER, SHOW_MEAN: decimals; | SHOW_SPARE */
};

/* Text goes without such columns where not all fit; the last one goes first. */
#define SHOW_SPARE    0x100
#define SHOW_DECIMALS 0xff

/* 16 bytes a cell: 1 GB of cells and 1 GB of text bound what one table may take. */
#define SHOW_CELLS_MAX (64 * 1024 * 1024)
#define SHOW_TEXT_MAX  (1024 * 1024 * 1024)

struct show_table;

/* columns are borrowed for the table's life. NULL when memory is out; the functions below take it,
 * and show_table tells. */
struct show_table *show_table_new(const struct show_column *columns, size_t count);
void show_table_free(struct show_table *t);

/* The next cell, from left to right and row by row. What goes wrong is told by show_table. */
void show_add_text(struct show_table *t, const char *text, size_t length); /* copied; any bytes */
void show_add_word(struct show_table *t, const char *text);                /* NULL: none */
void show_add_integer(struct show_table *t, int64_t value);
void show_add_number(struct show_table *t, double value); /* NaN and infinities: none */
void show_add_none(struct show_table *t); /* "-" in text, empty in CSV, null in JSON */

size_t show_table_rows(const struct show_table *t);

/* Prints the table in the sink's format: text with a head and aligned columns (nothing but the head
 * for an empty table), RFC 4180 CSV with a head, or a JSON array of objects. Where the columns do
 * not fit the terminal, even without the spare ones, text has some lines for each row in their
 * place. */
int show_table(const struct show_out *o, const struct show_table *t, struct err *e) MUST_USE;

/* The rows as an array of objects, to be put into a larger answer; owned by the caller
 * (cJSON_Delete). The column's keys must outlive it. */
int show_table_json(const struct show_table *t, cJSON **ret, struct err *e) MUST_USE;

#endif
