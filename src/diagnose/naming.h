/* What a person calls an object by: the edge into it that has the best name. */
#ifndef HEAPTAP_DIAGNOSE_NAMING_H
#define HEAPTAP_DIAGNOSE_NAMING_H

#include "base/buf.h"
#include "heap/heap.h"

#define NAMING_BYTES                                                                               \
    4096 /* of an edge or a class, as it is shown; V8 cuts them at 1024 characters */

enum naming_worth { NAMING_NOTHING, NAMING_INSIDE, NAMING_ELEMENT, NAMING_NAME, NAMING_PRIVATE };

const char *naming_class(const struct heap *h, uint32_t node);

/* The edge's name in place of what out holds; of the cell in which an ECMAScript module keeps a
 * variable that it exports the name of that. ERR_NOMEM. */
int naming_edge(struct heap *h, uint32_t edge, struct buf *out) MUST_USE;
bool naming_text_is(const struct buf *b, const char *text);

/* The edge that names the node best; *ret_edge HEAP_NONE where nothing but the roots leads to it.
 * born as births_mark makes it: what was there before is a better source. */
int naming_find(struct heap *h, const uint8_t *born, uint32_t node, uint32_t *ret_edge,
    enum naming_worth *ret_worth, struct err *e) MUST_USE;

/* The module that the edge is the exported variable of; HEAP_NONE. */
uint32_t naming_module(struct heap *h, uint32_t edge);

/* The file of the CommonJS module whose exports the object is, in place of what out holds; "" for
 * none. ERR_NOMEM. */
int naming_file(struct heap *h, uint32_t object, struct buf *out) MUST_USE;

/* The key of a Map's entry, by the edge from the Map's table to the value, where it is a string: in
 * place of what out holds, "" for none. ERR_NOMEM. */
int naming_key(struct heap *h, uint32_t edge, struct buf *out) MUST_USE;

/* The target of a node's first edge with the name, of the kinds property and internal; HEAP_NONE.
 */
uint32_t naming_property(struct heap *h, uint32_t node, const char *name);

#endif
