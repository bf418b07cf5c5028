/* Words filled into lines that fit the terminal. */
#ifndef HEAPTAP_SHOW_FILL_H
#define HEAPTAP_SHOW_FILL_H

#include "show/out.h"

/* Prints the words of text, made safe for a terminal, and ends the line. The cursor stands in
 * column `at`; further lines begin behind `indent` spaces. Without a terminal it is one line. */
int show_fill(const struct show_out *o, const char *text, size_t length, size_t at, size_t indent,
    struct err *e) MUST_USE;

/* A page of our own text, such as help: paragraphs are filled, lines that begin with a blank stand
 * as they are. Where there is no terminal lines have 78 columns. */
void show_page(const struct show_out *o, const char *text);
/* The sink with a width that prose is read at. */
struct show_out show_prose(const struct show_out *o);

#endif
