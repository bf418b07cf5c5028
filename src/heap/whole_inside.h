/* What the wholeness check's two parts share: whole.c steps through JSON, whole_sections.c knows
 * what the sections of a capture must hold. */
#ifndef HEAPTAP_HEAP_WHOLE_INSIDE_H
#define HEAPTAP_HEAP_WHOLE_INSIDE_H

#include "base/buf.h"
#include "heap/whole.h"

#include <stdbool.h>

/* Top-level keys and those below "head" are compared up to here; longer ones are nobody we know. */
#define WHOLE_KEY_MAX 32

enum lex {
    LEX_VALUE,        /* a value must follow */
    LEX_VALUE_OR_END, /* just after [ */
    LEX_KEY,          /* after a comma in an object */
    LEX_KEY_OR_END,   /* just after { */
    LEX_COLON,
    LEX_AFTER,   /* after a value: a comma or the end of what holds it */
    LEX_STRING,  /* in a string or a key */
    LEX_ESCAPE,  /* behind a backslash */
    LEX_HEX,     /* in \uXXXX */
    LEX_NUMBER,  /* behind the first byte of a number */
    LEX_LITERAL, /* in true, false, null */
    LEX_END,     /* after the whole */
};

enum section {
    SECTION_OTHER,
    SECTION_SNAPSHOT,
    SECTION_NODES,
    SECTION_EDGES,
    SECTION_TRACE_FUNCTIONS,
    SECTION_TRACE_TREE,
    SECTION_SAMPLES, /* of a timeline: numbers; of a profile: objects */
    SECTION_LOCATIONS,
    SECTION_STRINGS,
    SECTION_HEAD, /* of a profile */
    SECTION_COUNT,
};

/* What the head of a snapshot says about a section of rows. */
struct whole_rows {
    int64_t fields; /* numbers a row, 0 while unknown */
    int64_t count;  /* rows promised, -1 without a promise */
    int64_t found;  /* numbers (strings) seen */
};

struct whole {
    const struct whole_scanner *scanner;
    enum whole_kind kind;

    enum lex lex;
    bool in_key;                                /* the string is a key */
    unsigned hex_left;                          /* LEX_HEX */
    const char *literal;                        /* LEX_LITERAL: what must still come */
    unsigned depth;                             /* open arrays and objects */
    uint64_t objects[WHOLE_DEPTH_MAX / 64 + 1]; /* bit d: the container at depth d is an object */

    enum section section; /* of the top-level key in force */
    bool seen[SECTION_COUNT];
    char key[WHOLE_KEY_MAX];
    size_t key_length; /* may pass WHOLE_KEY_MAX: then the rest was not kept */
    bool has_call_frame;
    struct whole_rows rows[SECTION_COUNT];
    struct buf meta; /* the bytes of "snapshot" */

    int64_t offset;     /* bytes taken */
    struct err failure; /* code 0 while all is well */
    enum whole_verdict verdict;
};

static inline bool whole_is_rows(enum section s)
{
    return s == SECTION_NODES || s == SECTION_EDGES || s == SECTION_TRACE_FUNCTIONS ||
           s == SECTION_SAMPLES || s == SECTION_LOCATIONS;
}

/* ---- whole.c: failures; each returns ERR_FORMAT ---- */
int whole_fail(struct whole *w, enum whole_verdict verdict, const char *format, ...)
    PRINTF_LIKE(3, 4);
int whole_foreign(struct whole *w);
/* A byte that JSON does not allow here. Before the first key it means that this is something
 * else. */
int whole_unexpected(struct whole *w, unsigned char c, const char *wanted);

/* ---- whole_sections.c: 0, or what a failure returned ---- */
/* Of a section that is known; NULL for SECTION_OTHER. Static. */
const char *whole_section_name(enum section s);
int whole_begin_section(struct whole *w) MUST_USE; /* w->key was read */
/* The first byte of a top-level value or of an element right below it. */
int whole_check_value(struct whole *w, unsigned char c) MUST_USE;
int whole_end_section(struct whole *w) MUST_USE;
int whole_end(struct whole *w) MUST_USE; /* the closing brace was read */
/* What is missing, in words, for a file that ends too early; ERR_FORMAT. */
int whole_ends_early(struct whole *w) MUST_USE;
int64_t whole_rows_found(const struct whole *w, enum section s);

#endif
