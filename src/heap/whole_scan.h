/* The two loops that whole.c spends its time in: over arrays of numbers and over arrays of strings.
 * A scanner takes the longest piece that it is sure of and leaves everything unusual (the closing
 * bracket, an error, the bytes around a split) to the caller, who looks byte by byte. So all
 * scanners give the same verdicts. */
#ifndef HEAPTAP_HEAP_WHOLE_SCAN_H
#define HEAPTAP_HEAP_WHOLE_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* What stands right before the next byte of an array of numbers. */
enum number_state {
    NUMBER_DIGIT, /* a digit */
    NUMBER_GAP,   /* white space after a number */
    NUMBER_COMMA, /* a comma, with or without white space behind it */
};

/* The same for an array of strings. */
enum string_state {
    STRING_INSIDE,  /* within a string, not behind a backslash that escapes */
    STRING_ESCAPED, /* within a string, behind such a backslash (only as a result) */
    STRING_AFTER,   /* after a string */
    STRING_COMMA,
};

struct whole_scanner {
    const char *name;
    /* Both return how many of the count bytes they took, move the state on and add the commas that
     * separate elements. */
    size_t (*numbers)(
        const unsigned char *bytes, size_t count, enum number_state *state, int64_t *commas);
    size_t (*strings)(
        const unsigned char *bytes, size_t count, enum string_state *state, int64_t *commas);
};

extern const struct whole_scanner whole_scanner_scalar;

/* The fastest that this processor runs. */
const struct whole_scanner *whole_scanner_best(void);

/* For tests and benches: another scanner than the best. */
struct whole;
void whole_set_scanner(struct whole *w, const struct whole_scanner *scanner);

#endif
