/* The questions of `metrics`, for others who need their answers. */
#ifndef HEAPTAP_COMMAND_METRICS_H
#define HEAPTAP_COMMAND_METRICS_H

#include "show/table.h"
#include "store/reader.h"

#define METRICS_NOTE_SIZE 256

/* Asks a question by its word (classes, requests, sites, …). ret_note: a line on what the answer
 * rests on, with its newline, or "". *ret is the caller's. */
int metrics_table(struct reader *reader, const char *word, const struct reader_filter *filter,
    struct show_table **ret, char ret_note[METRICS_NOTE_SIZE], struct err *e) MUST_USE;

#endif
