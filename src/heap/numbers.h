/* Arrays of decimal numbers, in vector code where the processor has it. */
#ifndef HEAPTAP_HEAP_NUMBERS_H
#define HEAPTAP_HEAP_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBERS_PAD   64 /* bytes that may be read before and behind what is scanned */
#define NUMBERS_BATCH 64 /* room that numbers_parse wants in out at the least */

/* A text of numbers separated by commas and white space. Every byte from 0 to space separates. */
struct numbers {
    const char *instructions; /* "avx512", "avx2", "portable" */
    /* How many numbers begin in [p, p+length); inside: the byte before p is a digit. *ret_stop is
     * the offset of the first byte that is neither digit nor separator, or length. */
    size_t (*count)(const uint8_t *p, size_t length, bool inside, size_t *ret_stop);
    /* Reads the numbers that begin in [*p, end), each to its last digit even behind end, until out
     * has less than NUMBERS_BATCH entries left; moves *p behind the last. *p must not be in a
     * number. Values are modulo 2^32; *large becomes true if one has ten digits or more. */
    size_t (*parse)(
        const uint8_t **p, const uint8_t *end, uint32_t *out, size_t capacity, bool *large);
    /* Bit i of the results: p[i] is a quote, a backslash; for 64 bytes. */
    void (*quotes)(const uint8_t *p, uint64_t *ret_quote, uint64_t *ret_backslash);
    /* Splits rows of three numbers with the order kind, name, target * stride into columns: edge
     * and edge_name of the engine. Returns the OR of what must be 0 (a remainder of the division, a
     * target or kind that is too large), and raises *most_name to the largest name of an edge whose
     * kind has text. */
    uint32_t (*edges)(const uint32_t *rows, size_t count, uint32_t stride, uint32_t nodes,
        uint32_t kinds, uint32_t *edge, uint32_t *edge_name, uint32_t *most_name);
};

/* The best that the processor has, or no better than `most` (NULL: no limit). */
const struct numbers *numbers_for(const char *most);

#endif
