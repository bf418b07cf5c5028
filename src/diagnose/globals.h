/* Where a property of the global object is assigned, and where a listener of the process is added:
 * no object or function that a snapshot knows stands there, so the source is searched for a place
 * that is the only one. Reads tokens, as declaration.h does. */
#ifndef HEAPTAP_DIAGNOSE_GLOBALS_H
#define HEAPTAP_DIAGNOSE_GLOBALS_H

#include "diagnose/declaration.h"

enum globals_kind {
    GLOBALS_PROPERTY, /* globalThis.NAME = , global.NAME = , also with ['NAME'] and ??= */
    GLOBALS_LISTENER, /* process.on('NAME', … ; addListener, once and those that prepend */
};

/* How often a text has it; *ret: the first of them, written if there is one. */
size_t globals_find(const char *text, size_t length, enum globals_kind kind, const char *name,
    struct declaration_place *ret);

#endif
