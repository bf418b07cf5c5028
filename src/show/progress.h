/* The progress line: one line on a terminal (stderr) that says how far a long command is, how fast
 * it goes and when it will be done. Nothing at all is written where there is no terminal. */
#ifndef HEAPTAP_SHOW_PROGRESS_H
#define HEAPTAP_SHOW_PROGRESS_H

#include "show/out.h"

#include <stdint.h>

#define PROGRESS_INTERVAL_US 100000 /* redrawn at most 10 times a second */

struct show_progress;

/* o: as made by show_out_new(stderr, SHOW_TEXT, …); copied. NULL when memory is out: all functions
 * take that, a line less is no failure. */
struct show_progress *show_progress_new(const struct show_out *o);
/* Clears the line and frees. */
void show_progress_free(struct show_progress *p);

enum show_unit { SHOW_UNIT_BYTES, SHOW_UNIT_COUNT, SHOW_UNIT_NONE };

/* Begins a phase, such as "building snapshot" or "receiving"; text is copied and escaped. total: 0
 * if unknown. With SHOW_UNIT_NONE only the bar and the forecast are shown. */
void show_progress_begin(
    struct show_progress *p, const char *text, enum show_unit unit, int64_t total, int64_t now_us);
/* How far the phase is; draws if it is time to. A total that becomes known later is given here too
 * (0: keep). now_us: clock_monotonic_us(). */
void show_progress_at(struct show_progress *p, int64_t done, int64_t total, int64_t now_us);
/* Takes the line away before something else is printed; the next show_progress_at draws again. */
void show_progress_clear(struct show_progress *p);

#endif
