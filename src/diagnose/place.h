/* Where in the source something stands. */
#ifndef HEAPTAP_DIAGNOSE_PLACE_H
#define HEAPTAP_DIAGNOSE_PLACE_H

#include "diagnose/diagnosis.h"
#include "diagnose/globals.h"
#include "heap/heap.h"

/* Of a closure, or of the constructor of an object; NULL in *ret if the file has no location. Owned
 * by the caller: diagnosis_place_free. */
int place_of_node(
    struct heap *h, uint32_t node, struct diagnosis_place **ret, struct err *e) MUST_USE;

/* Of what owner (the variables of a function, a module, an object) has by that name: the line that
 * declares it where the script is a file of this machine, else that of a function that uses it or
 * of the constructor. *ret NULL: unknown, or in the runtime itself. */
int place_of_name(struct heap *h, uint32_t owner, const char *name, struct diagnosis_place **ret,
    struct err *e) MUST_USE;

/* Of what the file exports by that name: the line that declares it, else the file alone. */
int place_of_export(
    const char *file, const char *name, struct diagnosis_place **ret, struct err *e) MUST_USE;

/* Of a property of the global object, or of where a listener of that event is added to the process:
 * the only line of the program's own scripts that has it, of those that are files of this machine.
 * *ret NULL: none, or several. */
int place_of_global(struct heap *h, enum globals_kind kind, const char *name,
    struct diagnosis_place **ret, struct err *e) MUST_USE;

/* What a module calls its default export, in place of what out holds, where its script is a file of
 * this machine that says so; else out stays. ERR_NOMEM. */
int place_default_name(struct heap *h, uint32_t module, struct buf *out) MUST_USE;

/* What a block calls the only variable of a class, whose variables the context has, where its
 * script is a file of this machine that tells; else out stays empty. ERR_NOMEM. */
int place_block_name(struct heap *h, uint32_t context, const char *class, struct buf *out) MUST_USE;

enum place_side { PLACE_PROGRAM, PLACE_PACKAGE, PLACE_RUNTIME };

/* Whose class an object is of, or whose functions' variables it is: by the URL of the script; what
 * has none counts as the program's. */
enum place_side place_side(struct heap *h, uint32_t node);

/* Whether the script of an object's class, or of the functions whose variables it is, is that file.
 */
bool place_is_in(struct heap *h, uint32_t node, const char *file);

#endif
