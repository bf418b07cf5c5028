/* Where a variable or property is declared, by the source of its script: a snapshot knows a place
 * that uses it, a person looks for the line that makes it. Reads JavaScript's tokens and brackets,
 * no grammar; what it cannot tell it does not find. */
#ifndef HEAPTAP_DIAGNOSE_DECLARATION_H
#define HEAPTAP_DIAGNOSE_DECLARATION_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum declaration_kind {
    DECLARATION_VARIABLE, /* const, let, var, function, class, import, a parameter */
    DECLARATION_PROPERTY, /* a field of a class, this.NAME = , anything.NAME = , NAME: in a literal
                           */
    DECLARATION_EXPORT,   /* a variable of the file, else exports.NAME = or NAME: in a literal */
};

struct declaration_place {
    uint32_t line, column; /* from 1; column in UTF-16 units */
};

/* The declaration of `name` (UTF-8, with the # of a private field) that is seen from `from`: of a
 * variable the innermost around it, of a property the one in the class around it, else the only one
 * there is. False: none, or none that is sure. Linear in the text, and needs little memory. */
bool declaration_find(const char *text, size_t length, enum declaration_kind kind, const char *name,
    struct declaration_place from, struct declaration_place *ret);

/* The place of an offset, and the offset of a place; false: the text has none such. */
struct declaration_place declaration_place_of(const char *text, size_t at);
bool declaration_offset_of(
    const char *text, size_t length, struct declaration_place place, size_t *ret);

/* The variable of `export default NAME`; false: there is none. Appends to out. */
bool declaration_default(const char *text, size_t length, struct buf *out);

#define DECLARATION_SOURCE_MAX (16u << 20) /* bytes of a script: bundles have a few MB */

/* Reads the local file that a script's URL names ("/app/a.js", "file:///app/a.js") into out. False
 * where it names none, or no readable, regular file of at most DECLARATION_SOURCE_MAX bytes. */
bool declaration_read(const char *url, struct buf *out);

#endif
