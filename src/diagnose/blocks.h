/* Names of variables of blocks: a snapshot tells those of functions and files, and of the variables
 * that an if, a loop or bare braces declare only their order. Reads tokens, as declaration.h does.
 */
#ifndef HEAPTAP_DIAGNOSE_BLOCKS_H
#define HEAPTAP_DIAGNOSE_BLOCKS_H

#include "diagnose/declaration.h"

/* The name of the only const or let whose value is made as one of that class (new CLASS, […] for an
 * Array, {…} for a plain object), in the innermost block around the place that has such ones, but
 * not beyond the function around it. Appends to out. False: there is none, or several. */
bool blocks_find(const char *text, size_t length, struct declaration_place from, const char *class,
    struct buf *out);

#endif
